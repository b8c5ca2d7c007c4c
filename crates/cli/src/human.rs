//! A result for people: the decision first, then what it rests on, the worst first, with what to do.

use std::fmt::Write as _;

use judge::gates::Decision;
use judge::{Finding, Severity, Verdict};

use crate::exit_code;
use crate::result::{NOT_ASSERTED, Outcome, ReleaseResult, is_smoke};
use crate::terminal::Paint;

/// How many places of one finding are named before the rest is counted.
const PLACES_SHOWN: usize = 4;

/// Renders a result.
pub(crate) fn render(outcome: &Outcome, paint: Paint) -> String {
    let mut text = String::new();
    render_into(outcome, paint, &mut text).expect("writing to a String cannot fail");
    text
}

fn render_into(outcome: &Outcome, paint: Paint, out: &mut String) -> std::fmt::Result {
    let word = match outcome.decided.decision {
        _ if outcome.asks_for_way_back() && outcome.exit_code == exit_code::PASS => {
            paint.green("yes")
        }
        _ if outcome.asks_for_way_back() => paint.red("no"),
        decision @ Decision::PromoteSmallStep => paint.green(decision.as_str()),
        decision @ Decision::Hold => paint.yellow(decision.as_str()),
        decision @ Decision::Rollback => paint.red(decision.as_str()),
    };
    writeln!(out)?;
    writeln!(out, "{}  {}", paint.bold(&word), outcome.headline)?;
    writeln!(
        out,
        "{}",
        paint.dim(&format!(
            "{} in {}, provider {}, new {} / rollback {}{}",
            outcome.service,
            outcome.environment,
            outcome.provider,
            outcome.new.version,
            outcome.rollback.version,
            outcome.run.as_ref().map(|run| format!(", {run}")).unwrap_or_default()
        ))
    )?;
    writeln!(out)?;
    gates(outcome, paint, out)?;
    releases(outcome, paint, out)?;
    findings(&outcome.findings, paint, out)?;
    if let Some(percent) = outcome.percent_new {
        writeln!(
            out,
            "route: {percent} percent on new, {} percent on rollback",
            100_u8.saturating_sub(percent)
        )?;
    }
    for note in &outcome.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "{}", paint.dim(&format!("not asserted: {}", NOT_ASSERTED.join(", "))))
}

fn gates(outcome: &Outcome, paint: Paint, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{}", paint.bold("gates"))?;
    for gate in &outcome.decided.gates {
        let required = if outcome.required.contains(&gate.gate) { "" } else { "  (not required)" };
        writeln!(out, "  {} {}{required}", paint.verdict(gate.verdict), gate.gate.as_str())?;
        for reason in gate.reasons.iter().take(PLACES_SHOWN) {
            writeln!(out, "            {reason}")?;
        }
        if gate.reasons.len() > PLACES_SHOWN {
            writeln!(out, "            and {} more", gate.reasons.len() - PLACES_SHOWN)?;
        }
    }
    writeln!(out)
}

fn releases(outcome: &Outcome, paint: Paint, out: &mut String) -> std::fmt::Result {
    for (role, release) in [("new", &outcome.new), ("rollback", &outcome.rollback)] {
        if release.probes.is_empty() {
            continue;
        }
        let count = |verdict: Verdict| count(release, verdict);
        writeln!(
            out,
            "{} {} {role} {}: {} probes, {} passed, {} failed, {} unsure",
            paint.bold("release"),
            paint.verdict(release.verdict.unwrap_or(Verdict::Ambiguous)),
            release.version,
            release.probes.iter().filter(|probe| is_smoke(probe)).count(),
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::Ambiguous),
        )?;
    }
    writeln!(out)
}

fn count(release: &ReleaseResult, verdict: Verdict) -> usize {
    release.probes.iter().filter(|probe| is_smoke(probe) && probe.verdict == verdict).count()
}

/// The same finding at several probes is shown once, with its places.
fn findings(findings: &[Finding], paint: Paint, out: &mut String) -> std::fmt::Result {
    let mut groups: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        let same = |other: &Finding| {
            other.code == finding.code
                && other.severity == finding.severity
                && other.release == finding.release
                && other.advice == finding.advice
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, all)) => all.push(finding),
            None => groups.push((finding, vec![finding])),
        }
    }
    groups.sort_by_key(|(first, _)| std::cmp::Reverse(first.severity));
    for (first, all) in &groups {
        let severity = match first.severity {
            Severity::Fail => paint.red("FAIL"),
            Severity::Ambiguous => paint.yellow("unsure"),
            Severity::Warn => paint.yellow("warn"),
            Severity::Info => paint.dim("info"),
        };
        let role = first.release.map(|role| format!(" of {role}")).unwrap_or_default();
        writeln!(out, "{severity} {}{role}", paint.bold(&first.code))?;
        writeln!(out, "  expected  {}", first.expected)?;
        for finding in all.iter().take(PLACES_SHOWN) {
            writeln!(out, "  seen      {}{}", finding.seen, place(finding))?;
        }
        if all.len() > PLACES_SHOWN {
            writeln!(out, "            and in {} more probes", all.len() - PLACES_SHOWN)?;
        }
        let breaks = contract::broken_clients_line(&first.breaks());
        if !breaks.is_empty() {
            writeln!(out, "  breaks    {breaks}")?;
        }
        writeln!(out, "  do        {}", first.advice)?;
        writeln!(out)?;
    }
    Ok(())
}

fn place(finding: &Finding) -> String {
    match (&finding.probe, finding.mode) {
        (Some(probe), Some(mode)) => format!("  [{probe}, {mode}]"),
        (Some(probe), None) => format!("  [{probe}]"),
        (None, Some(mode)) => format!("  [{mode}]"),
        (None, None) => String::new(),
    }
}
