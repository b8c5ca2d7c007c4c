//! What is said of a release as a whole, once all its probes are made.

use evidence::Scanner;
use judge::overall::{self, Made};
use judge::{Exchange, Finding, OutcomeKind, Role, Severity, Verdict};

use crate::asking::Probing;

/// Judges all probes of a release together. `together`: one process got several asks at once.
pub(super) fn judge(
    probings: &[Probing],
    role: Role,
    fallback_models: &[String],
    together: bool,
    strict: bool,
) -> Vec<Finding> {
    let made: Vec<Made> = probings
        .iter()
        .map(|probing| Made {
            probe: probing.probe.id,
            group: probing.probe.group,
            mode: probing.probe.mode,
            outcome: probing.outcome.as_ref().map(judge::Outcome::kind),
            verdict: Verdict::of(&probing.judged.findings, strict),
            gaps_ms: own_waits(probing),
            form: probing.form,
            fell_back: probing.fell_back(fallback_models),
            hung_once: together && hung_once(probing),
        })
        .collect();
    overall::judge(&made).into_iter().map(|finding| finding.of_release(role)).collect()
}

/// Whether there was no outcome the first time, and nothing to blame the next.
fn hung_once(probing: &Probing) -> bool {
    let Some((first, later)) = probing.repeats.split_first() else { return false };
    let has_hung = first.outcome == Some(OutcomeKind::TimedOut)
        && first.findings.iter().any(|finding| finding.code == "hung");
    has_hung && !later.is_empty() && later.iter().all(|ask| ask.verdict.permits_release())
}

/// Returns the waits between attempts that a release chose by itself: under overload, of one model, without a hint how long to wait.
fn own_waits(probing: &Probing) -> Vec<u64> {
    let calls: Vec<&Exchange> =
        probing.observation.exchanges.iter().filter(|exchange| exchange.is_call()).collect();
    let is_plain = |call: &&Exchange| {
        call.response.as_ref().is_some_and(|response| response.retry_after_ms.is_none())
            && calls.first().is_some_and(|first| first.request.model == call.request.model)
    };
    if probing.probe.group != "overload" || !calls.iter().all(is_plain) {
        return Vec::new();
    }
    crate::records::gaps(&calls)
}

/// Names the secrets that are too short to be searched for: what holds them cannot be shown to be free of them.
pub(super) fn unsearchable(scanner: &Scanner, role: Role) -> Vec<Finding> {
    let other = role.other().as_str();
    scanner
        .unsearchable()
        .iter()
        // The name of a release's secret ends in its role; others are of both.
        .filter(|name| !name.ends_with(&format!(" of {other}")))
        .map(|name| {
            Finding::new(
                Severity::Warn,
                "secret-too-short",
                "secrets that can be searched for in logs and evidence",
                format!("{name} is too short or too ordinary to be searched for"),
                "Nobody can tell whether it stands in a log: give the release a real secret, or take it out of `secrets` when it is none.",
            )
            .of_release(role)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use evidence::{Needle, NeedleKind, Sensitive};

    use super::*;

    #[test]
    fn a_secret_that_cannot_be_searched_is_named_at_its_own_release() {
        let needle = |name: &str, value: &str| {
            Needle::new(NeedleKind::Credential, name, Sensitive::new(value))
        };
        let scanner = Scanner::new(vec![
            needle("secret PIN of new", "1234"),
            needle("secret API_KEY of rollback", "sk-long-enough-4711"),
            needle("the control's credential", "k"),
        ]);
        let of = |role| -> Vec<String> {
            unsearchable(&scanner, role).into_iter().map(|finding| finding.seen).collect()
        };
        let too_short =
            |name: &str| format!("{name} is too short or too ordinary to be searched for");
        assert_eq!(
            of(Role::New),
            [too_short("secret PIN of new"), too_short("the control's credential")]
        );
        assert_eq!(of(Role::Rollback), [too_short("the control's credential")]);
    }
}
