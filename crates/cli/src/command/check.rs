//! `check`: smoke probes of each release, before any traffic.

use drill::check;
use judge::{Fact, Item, Role, Verdict};

use crate::args::CheckArgs;
use crate::command::{Call, can};
use crate::exit_code;
use crate::failure::Failure;
use crate::self_test::standing;
use crate::wiring::{unseal, wire};

/// Runs it.
pub(crate) async fn run(call: &Call, args: &CheckArgs) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let unsealed = unseal(&settings, &call.environment)?;
    let scanner = unsealed.scanner.clone();
    let roles: Vec<Role> = match args.release {
        Some(role) => vec![role.into()],
        None => Role::BOTH.to_vec(),
    };
    let mut wired =
        wire(settings, &call.environment, unsealed, call.progress(), args.effort.into())
            .await
            .map_err(|failure| failure.redacted(&scanner))?;
    wired.bench.preconditions.extend(standing(&call.environment));
    let result = check(&wired.bench, &wired.ledger, &roles).await;
    for provider in wired.simulated {
        provider.stop().await;
    }
    let report = result.map_err(|error| Failure::from(error).redacted(&scanner))?;
    let bench = &wired.bench;
    let mut outcome =
        can::outcome("check", &bench.settings, &bench.subject, &wired.ledger, Some(&report.run))
            .await?;
    let items =
        wired.ledger.items(&bench.settings.service, &bench.settings.environment, None).await?;
    let verdict = verdict_of_run(&items, &report.run, bench.settings.gates.strict);
    outcome.exit_code = exit_code::of_verdict(verdict);
    outcome.headline = match verdict {
        Verdict::Pass => "all probes pass; traffic may move only after a drill".to_owned(),
        Verdict::Fail => "a probe failed".to_owned(),
        Verdict::Ambiguous => "something could not be told".to_owned(),
    };
    if verdict == Verdict::Pass
        && outcome.decided.decision == judge::gates::Decision::PromoteSmallStep
    {
        outcome.headline = "all probes pass, and an earlier drill still counts".to_owned();
    }
    wired.ledger.close().await;
    Ok(call.show(&outcome, &bench.scanner))
}

/// Returns what the probes of a run amount to: what was planned and not made is missing.
fn verdict_of_run(items: &[Item], run: &str, strict: bool) -> Verdict {
    let of_run: Vec<&Fact> =
        items.iter().filter(|item| item.run == run).map(|item| &item.fact).collect();
    let mut verdict = Verdict::Pass;
    let mut n_planned = 0_usize;
    for fact in &of_run {
        match fact {
            Fact::Planned { probes } => {
                for planned in probes {
                    n_planned += 1;
                    let made = of_run.iter().any(
                        |fact| matches!(fact, Fact::Probed(probed) if probed.planned == *planned),
                    );
                    verdict = verdict.and(if made { Verdict::Pass } else { Verdict::Ambiguous });
                }
            }
            Fact::Probed(probed) => {
                verdict =
                    verdict.and(probed.verdict).and(Verdict::of(&probed.log_findings, strict));
            }
            Fact::Compared { verdict: one, .. } | Fact::Stepped { verdict: one, .. } => {
                verdict = verdict.and(*one);
            }
            Fact::Withheld { .. } => verdict = verdict.and(Verdict::Ambiguous),
            // The review is a gate of its own, not a probe.
            Fact::Reviewed { .. }
            | Fact::SourceRead { .. }
            | Fact::SourceAccepted(_)
            | Fact::Decided { .. } => {}
        }
    }
    if n_planned == 0 { Verdict::Ambiguous } else { verdict }
}
