//! Several asks of one probe: what they amount to together. Asking again never turns a failure into a pass.

use std::collections::BTreeSet;

use super::{BROKEN_BY_LEAVER, Judged};
use crate::{Finding, Outcome, OutcomeKind, Severity, Verdict};

/// Codes of what may be otherwise the next time, although the outcome itself says nothing of the kind.
const UNSURE: &[&str] =
    &["not-observed", "observation-lost", "stimulus-not-applied", STARVED, BROKEN_BY_LEAVER];

/// The code of an ask in which the release did not get to run: it shows nothing of the release.
const STARVED: &str = "machine-starved";

/// Returns whether one ask is too little to go by: it blocks, and for a reason that may have to do with the moment.
pub fn is_worth_another(outcome: Option<&Outcome>, judged: &Judged) -> bool {
    if Verdict::of(&judged.findings, false) == Verdict::Pass {
        return false;
    }
    match outcome.map(Outcome::kind) {
        Some(OutcomeKind::TimedOut | OutcomeKind::Crashed) => true,
        Some(OutcomeKind::Answered | OutcomeKind::Refused | OutcomeKind::Left) => {
            judged.findings.iter().any(|finding| UNSURE.contains(&finding.code.as_str()))
        }
        None => false,
    }
}

/// Says what several asks of one probe amount to.
///
/// What every ask shows stands. When each of them failed, every failure stands, even if they differ. When they do not agree
/// whether the probe failed, the probe is flaky: ambiguous, whatever came last. An ask for which the machine had no time counts only where there is
/// no other one; what it has leaked stands all the same.
pub fn settle(asks: &[(Option<OutcomeKind>, Judged)]) -> Judged {
    let is_starved = |(_, judged): &&(_, Judged)| {
        blocking(judged).into_iter().map(|(code, _)| code).eq([STARVED])
    };
    let shown: Vec<_> = asks.iter().filter(|ask| !is_starved(ask)).cloned().collect();
    Judged {
        findings: settle_findings(if shown.is_empty() { asks } else { &shown }),
        log_findings: all_log_findings(asks),
        logs_judged: asks.iter().any(|(_, judged)| judged.logs_judged),
    }
}

fn settle_findings(asks: &[(Option<OutcomeKind>, Judged)]) -> Vec<Finding> {
    let first = match asks {
        [] => return Vec::new(),
        [(_, only)] => return only.findings.clone(),
        [(_, first), ..] => first,
    };
    let everywhere = asks
        .iter()
        .map(|(_, judged)| blocking(judged))
        .reduce(|common, codes| common.intersection(&codes).copied().collect())
        .unwrap_or_default();
    let verdicts: Vec<Verdict> =
        asks.iter().map(|(_, judged)| Verdict::of(&judged.findings, false)).collect();
    let agree = verdicts.iter().all(|verdict| Some(verdict) == verdicts.first());
    let mut findings: Vec<Finding> = Vec::new();
    for finding in asks.iter().flat_map(|(_, judged)| &judged.findings) {
        let stands = match finding.severity {
            Severity::Info | Severity::Warn => true,
            Severity::Fail | Severity::Ambiguous => {
                agree || everywhere.contains(&(finding.code.as_str(), finding.severity.as_str()))
            }
        };
        let is_new = !findings
            .iter()
            .any(|known| known.code == finding.code && known.severity == finding.severity);
        if stands && is_new {
            findings.push(finding.clone());
        }
    }
    if !agree {
        findings.push(flaky(asks, first));
    }
    findings
}

/// What logs lack or hold, each thing once.
fn all_log_findings(asks: &[(Option<OutcomeKind>, Judged)]) -> Vec<Finding> {
    let mut log_findings: Vec<Finding> = Vec::new();
    for finding in asks.iter().flat_map(|(_, judged)| &judged.log_findings) {
        if !log_findings.iter().any(|known| known.code == finding.code) {
            log_findings.push(finding.clone());
        }
    }
    log_findings
}

/// Returns the codes of what blocks.
fn blocking(judged: &Judged) -> BTreeSet<(&str, &'static str)> {
    judged
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Warn)
        .map(|finding| (finding.code.as_str(), finding.severity.as_str()))
        .collect()
}

fn flaky(asks: &[(Option<OutcomeKind>, Judged)], first: &Judged) -> Finding {
    let seen: Vec<String> = asks
        .iter()
        .enumerate()
        .map(|(n, (outcome, judged))| {
            let outcome = outcome.map_or("not asked", OutcomeKind::as_str);
            let worst = judged.findings.iter().max_by_key(|finding| finding.severity);
            match worst.filter(|finding| finding.severity > Severity::Warn) {
                Some(worst) => format!("ask {}: {} ({})", n + 1, worst.code, worst.seen),
                None => format!("ask {}: {outcome}, as expected", n + 1),
            }
        })
        .collect();
    let named =
        asks.iter().flat_map(|(_, judged)| &judged.findings).next().or(first.findings.first());
    let finding = Finding::new(
        Severity::Ambiguous,
        "flaky",
        "the same behaviour each time",
        seen.join("; "),
        "The release does not react to this the same way twice. Look for a race, a timeout near the limit, a shared connection or a cache; a busy machine shows as `machine-starved`.",
    );
    match named {
        Some(named) => Finding {
            release: named.release,
            probe: named.probe.clone(),
            mode: named.mode,
            ..finding
        },
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(findings: &[(&str, Severity)]) -> Judged {
        let finding =
            |(code, severity): &(&str, Severity)| Finding::new(*severity, code, "", "", "");
        Judged { findings: findings.iter().map(finding).collect(), ..Judged::default() }
    }

    /// What each ask showed, and what stands at the end.
    #[track_caller]
    fn check(asks: &[&[(&str, Severity)]], expected: &[(&str, Severity)]) {
        let asks: Vec<_> =
            asks.iter().map(|findings| (Some(OutcomeKind::Refused), judged(findings))).collect();
        let settled = settle(&asks);
        let found: Vec<(&str, Severity)> =
            settled.findings.iter().map(|f| (f.code.as_str(), f.severity)).collect();
        assert_eq!(found, expected);
    }

    use Severity::{Ambiguous, Fail, Info, Warn};

    #[test]
    fn the_same_each_time_stands() {
        check(&[&[("hung", Fail)], &[("hung", Fail)]], &[("hung", Fail)]);
        check(&[&[], &[]], &[]);
        check(
            &[&[("not-observed", Ambiguous)], &[("not-observed", Ambiguous)]],
            &[("not-observed", Ambiguous)],
        );
    }

    #[test]
    fn failing_in_two_ways_is_failing() {
        check(&[&[("hung", Fail)], &[("crashed", Fail)]], &[("hung", Fail), ("crashed", Fail)]);
    }

    #[test]
    fn a_failure_that_does_not_come_back_is_flaky_and_never_a_pass() {
        check(&[&[("hung", Fail)], &[]], &[("flaky", Ambiguous)]);
        check(&[&[], &[("crashed", Fail)]], &[("flaky", Ambiguous)]);
    }

    #[test]
    fn an_ask_for_which_the_machine_had_no_time_shows_nothing() {
        let starved = (STARVED, Ambiguous);
        check(&[&[starved], &[]], &[]);
        check(&[&[starved], &[("hung", Fail)]], &[("hung", Fail)]);
        check(&[&[("hung", Fail)], &[starved]], &[("hung", Fail)]);
        check(&[&[starved], &[starved]], &[starved]);
        check(&[&[starved, ("extra-calls", Fail)], &[]], &[("flaky", Ambiguous)]);
    }

    #[test]
    fn what_every_ask_shows_outlives_what_only_one_does() {
        check(
            &[&[("silent-fallback", Fail), ("hung", Fail)], &[("silent-fallback", Fail)]],
            &[("silent-fallback", Fail), ("hung", Fail)],
        );
        check(
            &[&[("declared-fallback", Info), ("hung", Fail)], &[("retry-without-backoff", Warn)]],
            &[("declared-fallback", Info), ("retry-without-backoff", Warn), ("flaky", Ambiguous)],
        );
    }

    #[test]
    fn leaks_are_kept_whenever_they_were_seen() {
        let leak = Finding::new(Fail, "log-leaks-prompt", "", "", "");
        let leaking = Judged { log_findings: vec![leak.clone()], ..Judged::default() };
        let settled = settle(&[(None, leaking), (None, Judged::default())]);
        assert_eq!(settled.log_findings, std::slice::from_ref(&leak));
        // Also by an ask that counts for nothing else.
        let starved =
            Judged { log_findings: vec![leak.clone()], ..judged(&[(STARVED, Ambiguous)]) };
        let settled = settle(&[(None, starved), (None, Judged::default())]);
        assert_eq!((settled.findings, settled.log_findings), (Vec::new(), vec![leak]));
    }

    #[test]
    fn only_what_may_depend_on_the_moment_is_asked_again() {
        let refused = Outcome::Refused { elapsed_ms: 1, how: String::new() };
        let hung = Outcome::TimedOut { elapsed_ms: 1 };
        assert!(is_worth_another(Some(&hung), &judged(&[("hung", Fail)])));
        assert!(is_worth_another(Some(&refused), &judged(&[("not-observed", Ambiguous)])));
        assert!(!is_worth_another(Some(&refused), &judged(&[("happy-path-refused", Fail)])));
        assert!(!is_worth_another(Some(&hung), &judged(&[])));
        assert!(!is_worth_another(None, &judged(&[("release-exited", Fail)])));
    }
}
