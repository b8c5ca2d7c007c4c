//! `contract review`: has the documentation changed since somebody read it, and who reads it now?

use drill::{Acceptance, Desk, ReviewReport, RunNames, SourceReport, review_sources};
use evidence::Ledger;
use judge::reviews::{Sighting, SourceDigest};
use judge::{Finding, Verdict};
use serde_json::{Value, json};

use crate::args::{Format, ReviewArgs};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;
use crate::result::SCHEMA_VERSION;
use crate::sources::Sources;
use crate::wiring::{chance, ledger_path, now, unseal};

/// Runs it. The exit code is that of the gate, but a source that cannot be read is ambiguous here also where the gate asks for no
/// content: the question was whether it has changed.
pub(crate) async fn run(call: &Call, args: &ReviewArgs) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let reviewed = &settings.contract.reviewed;
    if reviewed.is_empty() {
        return Err(Failure {
            code: exit_code::HOLD_MISSING,
            ..Failure::usage(
                "there is nothing to review: `contract.reviewed` names no source",
                "Read the page that documents the surface, then add { source, on, by }.",
            )
        });
    }
    if let Some(unknown) =
        args.sources.iter().find(|source| reviewed.iter().all(|review| review.source != **source))
    {
        return Err(Failure::usage(
            format!("`{unknown}` is no source of `contract.reviewed`"),
            "Name it as it stands in the configuration.",
        ));
    }
    let unsealed = unseal(&settings, &call.environment)?;
    let ledger = Ledger::open(&ledger_path(&settings)).await?;
    let subject = crate::subject::subject(&settings, &unsealed.secrets, &ledger.fingerprinter());
    let names = RunNames::new(now(), chance());
    let desk = Desk {
        settings: &settings,
        subject: &subject,
        run: &names.run,
        ledger: &ledger,
        scanner: &unsealed.scanner,
        now,
    };
    let reader = Sources::new(&settings, &call.environment);
    let acceptance =
        args.accept.then(|| Acceptance { by: args.by.clone(), sources: args.sources.clone() });
    let report = review_sources(&desk, &reader, acceptance.as_ref())
        .await
        .map_err(|error| Failure::from(error).redacted(&unsealed.scanner))?;
    ledger.close().await;
    let code = exit_code::of_verdict(verdict(&report));
    let text = match call.arguments.format {
        Format::Json => pretty(&to_json(&report, code)),
        Format::Human | Format::Github => human(&report),
    };
    call.answer(&text, &unsealed.scanner);
    Ok(code)
}

fn verdict(report: &ReviewReport) -> Verdict {
    report.sources.iter().fold(report.verdict, |verdict, source| match source.sighting {
        Sighting::Unreadable { .. } => verdict.and(Verdict::Ambiguous),
        Sighting::Gone { .. } => verdict.and(Verdict::Fail),
        Sighting::Content { .. } => verdict,
    })
}

/// Returns the state of a source in one word.
fn state(source: &SourceReport) -> &'static str {
    match &source.sighting {
        Sighting::Content { .. } if source.accepted_now => "accepted",
        Sighting::Content { digest } if source.standing.accepted.contains(digest) => "unchanged",
        Sighting::Content { .. } if source.standing.accepted.is_empty() => "unknown",
        Sighting::Content { .. } => "changed",
        Sighting::Gone { .. } => "gone",
        Sighting::Unreadable { .. } => "unreadable",
    }
}

fn seen(source: &SourceReport) -> Option<&SourceDigest> {
    match &source.sighting {
        Sighting::Content { digest } => Some(digest),
        Sighting::Gone { .. } | Sighting::Unreadable { .. } => None,
    }
}

fn to_json(report: &ReviewReport, code: u8) -> Value {
    let one = |source: &SourceReport| {
        let review = &source.standing.review;
        json!({
            "source": review.source,
            "state": state(source),
            "on": review.on,
            "by": review.by,
            "accepted": source.standing.accepted,
            "digest": seen(source),
            "sighting": source.sighting,
        })
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "command": "contract review",
        "verdict": verdict(report),
        "exit_code": code,
        "sources": report.sources.iter().map(one).collect::<Vec<_>>(),
        "findings": report.findings,
    })
}

fn human(report: &ReviewReport) -> String {
    let mut text = String::new();
    for source in &report.sources {
        let review = &source.standing.review;
        text.push_str(&format!("{:<10}  {}\n", state(source), review.source));
        text.push_str(&format!("            reviewed on {} by {}\n", review.on, review.by));
        match &source.sighting {
            Sighting::Content { digest } => text.push_str(&format!("            now {digest}\n")),
            Sighting::Gone { how: why } | Sighting::Unreadable { why } => {
                text.push_str(&format!("            {why}\n"));
            }
        }
    }
    let blocking = |finding: &&Finding| finding.severity > judge::Severity::Info;
    for finding in report.findings.iter().filter(blocking) {
        text.push_str(&format!("\n{} {}\n", finding.severity.as_str(), finding.code));
        text.push_str(&format!("  expected  {}\n", finding.expected));
        text.push_str(&format!("  seen      {}\n", finding.seen));
        text.push_str(&format!("  do        {}\n", finding.advice));
    }
    let entries: String = report
        .sources
        .iter()
        .filter(|source| source.accepted_now)
        .filter_map(|source| Some((&source.standing.review, seen(source)?)))
        .map(|(review, digest)| {
            // JSON strings are YAML strings.
            let (name, by) = (json!(review.source), json!(review.by));
            format!(
                "    - {{ source: {name}, on: {}, by: {by}, digest: \"{digest}\" }}\n",
                review.on
            )
        })
        .collect();
    if !entries.is_empty() {
        text.push_str("\nThis ledger knows it now. For other ledgers, such as that of a CI job, write into surestep.yaml:\n\n");
        text.push_str(&format!("contract:\n  reviewed:\n{entries}"));
    }
    text
}
