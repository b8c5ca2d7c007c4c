//! `can promote` and `can roll-back`: answers from stored evidence, at once and offline.

use drill::settings::Settings;
use evidence::{Ledger, LedgerError};
use jiff::SignedDuration;
use judge::gates::{Decided, Decision, Gate, GateContext, as_of_run, decide};
use judge::{Fact, Item, Subject, Verdict};

use crate::args::CanCommand;
use crate::command::Call;
use crate::exit_code;
use crate::failure::Failure;
use crate::result::{Outcome, ReleaseResult, RunFacts, verdict_of};
use crate::wiring::{ledger_path, now, state_dir, unseal};

/// The gates that say whether the way back is proven.
const WAY_BACK: [Gate; 2] = [Gate::RollbackReleaseSmoke, Gate::RollbackSwitchDrill];

/// Runs it.
pub(crate) async fn run(call: &Call, question: &CanCommand) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let unsealed = unseal(&settings, &call.environment)?;
    let path = ledger_path(&settings);
    let ledger = match Ledger::open_read_only(&path).await {
        Ok(ledger) => ledger,
        Err(LedgerError::Missing { .. }) => return no_evidence(call, &settings, question),
        Err(error) => return Err(Failure::from(error).redacted(&unsealed.scanner)),
    };
    let subject = crate::subject::subject(&settings, &unsealed.secrets, &ledger.fingerprinter());
    let mut outcome = outcome(word(question), &settings, &subject, &ledger, None).await?;
    let shown = route::show(&state_dir(&settings)).await;
    outcome.percent_new = shown.ok().map(|shown| shown.percent_new);
    if matches!(question, CanCommand::RollBack) {
        answer_way_back(&mut outcome);
    }
    ledger.close().await;
    Ok(call.show(&outcome, &unsealed.scanner))
}

fn word(question: &CanCommand) -> &'static str {
    match question {
        CanCommand::Promote => "can promote",
        CanCommand::RollBack => crate::result::WAY_BACK,
    }
}

/// Without a ledger there is no evidence: that is an answer, and it is hold.
fn no_evidence(call: &Call, settings: &Settings, question: &CanCommand) -> Result<u8, Failure> {
    let decided = Decided {
        decision: Decision::Hold,
        verdict: Verdict::Ambiguous,
        gates: Gate::ALL
            .into_iter()
            .map(|gate| judge::gates::GateReport {
                gate,
                verdict: Verdict::Ambiguous,
                reasons: vec![
                    "no evidence: there is no ledger yet; run `surestep drill`".to_owned(),
                ],
                since: None,
            })
            .collect(),
    };
    let mut outcome = build(word(question), settings, decided, None, &RunFacts::default());
    "there is no evidence yet: run `surestep drill`".clone_into(&mut outcome.headline);
    Ok(call.show(&outcome, &evidence::Scanner::new([])))
}

fn answer_way_back(outcome: &mut Outcome) {
    let of_way_back =
        || outcome.decided.gates.iter().filter(|report| WAY_BACK.contains(&report.gate));
    let verdict = of_way_back().fold(Verdict::Pass, |verdict, report| verdict.and(report.verdict));
    let since = of_way_back().filter_map(|report| report.since).min();
    outcome.exit_code = exit_code::of_verdict(verdict);
    outcome.required = WAY_BACK.to_vec();
    outcome.headline = match (verdict, since) {
        (Verdict::Pass, Some(since)) => format!(
            "the way back is proven; the proof is {} minutes old",
            now().duration_since(since).as_mins().max(0)
        ),
        (Verdict::Fail | Verdict::Ambiguous, _) | (Verdict::Pass, None) => {
            let why = of_way_back().flat_map(|report| &report.reasons).next();
            match why {
                Some(why) => format!("the way back is not proven: {why}"),
                None => "the way back is not proven".to_owned(),
            }
        }
    };
}

/// Derives a result from the ledger: the decision from all evidence that counts, the details from one run or the newest one.
pub(crate) async fn outcome(
    command: &'static str,
    settings: &Settings,
    subject: &Subject,
    ledger: &Ledger,
    run: Option<&str>,
) -> Result<Outcome, Failure> {
    // A row proves itself; that none was dropped, only the whole chain proves.
    let chain = ledger.verify().await?;
    if let Some(first) = chain.breaks.first() {
        return Err(Failure::internal(
            format!(
                "the ledger {} is not intact: record {}, {}; {}",
                ledger.path().display(),
                first.seq,
                first.what.as_str(),
                first.detail
            ),
            "Nothing in it counts. `surestep evidence verify` shows every break; keep the file, and start a new ledger.",
        ));
    }
    let items = ledger.items(&settings.service, &settings.environment, None).await?;
    let items = match run {
        Some(run) => as_of_run(items, run),
        None => items,
    };
    let required = required(settings);
    let context = GateContext {
        subject: subject.clone(),
        now: now(),
        max_age: SignedDuration::try_from(settings.gates.max_age).unwrap_or(SignedDuration::MAX),
        strict: settings.gates.strict,
    };
    let decided = decide(&items, &context, &required);
    let made = |item: &&Item| matches!(item.fact, Fact::Planned { .. });
    let run = run.or_else(|| items.iter().rfind(made).map(|item| item.run.as_str()));
    // A later review of the contract alone takes the place of the run's own.
    let is_review = |item: &Item| matches!(item.fact, Fact::Reviewed { .. });
    let review = items.iter().rposition(|item| is_review(item) && item.subject == *subject);
    let of_run: Vec<&Item> =
        items
            .iter()
            .enumerate()
            .filter(|(at, item)| {
                if is_review(item) { Some(*at) == review } else { Some(item.run.as_str()) == run }
            })
            .map(|(_, item)| item)
            .collect();
    let run = run.map(str::to_owned);
    let facts = RunFacts::of(of_run.iter().copied(), settings.gates.strict);
    Ok(build(command, settings, decided, run, &facts))
}

fn required(settings: &Settings) -> Vec<Gate> {
    settings.gates.require.iter().filter_map(|name| Gate::from_name(name)).collect()
}

fn build(
    command: &'static str,
    settings: &Settings,
    decided: Decided,
    run: Option<String>,
    facts: &RunFacts,
) -> Outcome {
    let required = required(settings);
    let exit_code = exit_code::of(decided.decision, decided.verdict);
    let mut notes = Vec::new();
    let left_out: Vec<&str> =
        Gate::ALL.into_iter().filter(|gate| !required.contains(gate)).map(Gate::as_str).collect();
    if !left_out.is_empty() {
        notes.push(format!("`gates.require` leaves out: {}", left_out.join(", ")));
    }
    for provider in [
        Some(&settings.provider),
        settings.new.provider.as_ref(),
        settings.rollback.provider.as_ref(),
    ] {
        let simulated = |provider: &&drill::settings::Provider| {
            provider.endpoint == drill::settings::ProviderEndpoint::Simulated
        };
        if provider.as_ref().is_some_and(simulated) {
            notes.push(
                "the provider was simulated: nothing here says how a real one behaves today"
                    .to_owned(),
            );
            break;
        }
    }
    let headline = headline(&decided);
    Outcome {
        command,
        run,
        service: settings.service.clone(),
        environment: settings.environment.clone(),
        provider: settings.provider.name.clone(),
        new: ReleaseResult {
            version: settings.new.version.clone(),
            verdict: verdict_of(&facts.new),
            probes: facts.new.clone(),
        },
        rollback: ReleaseResult {
            version: settings.rollback.version.clone(),
            verdict: verdict_of(&facts.rollback),
            probes: facts.rollback.clone(),
        },
        steps: facts.steps.clone(),
        findings: facts.findings.clone(),
        percent_new: None,
        notes,
        headline,
        decided,
        required,
        exit_code,
    }
}

fn headline(decided: &Decided) -> String {
    let open: Vec<&str> = decided
        .gates
        .iter()
        .filter(|report| report.verdict != Verdict::Pass)
        .map(|report| report.gate.as_str())
        .collect();
    match decided.decision {
        Decision::PromoteSmallStep => {
            "every required gate passes; the small step may be taken".to_owned()
        }
        Decision::Rollback => {
            "traffic had been moved, something failed, and it was moved back".to_owned()
        }
        Decision::Hold => match decided.verdict {
            Verdict::Fail => {
                format!("something failed; gates that do not pass: {}", open.join(", "))
            }
            Verdict::Ambiguous | Verdict::Pass => {
                format!(
                    "something is missing or could not be told; gates that do not pass: {}",
                    open.join(", ")
                )
            }
        },
    }
}
