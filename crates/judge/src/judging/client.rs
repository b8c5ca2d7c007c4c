//! What becomes of the upstream call, and of the service, when the asker leaves.

use super::Case;
use crate::{End, Exchange, Finding, Outcome, OutcomeKind, Severity};

/// The code of a release that does not serve the next ask after one whose asker has left.
pub const BROKEN_BY_LEAVER: &str = "broken-by-leaver";

/// A call that ends this soon was ended because the asker left. Frameworks that notice do so at once or with the next piece they
/// write; those that poll do it every second at worst (clients.md section 6).
const PROMPT_MS: u64 = 2_000;

const ADVICE: &str = "Pass the end of the user's request on: cancel the upstream call when the connection closes (an AbortController on `close`, a task that is cancelled, a generator that is closed). A deadline of the whole call bounds what is left.";

/// Judges what the release did when nobody was left to answer.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let left = match case.outcome {
        Outcome::Left { elapsed_ms } => *elapsed_ms,
        Outcome::Crashed { .. } => return,
        Outcome::Answered { .. } | Outcome::Refused { .. } | Outcome::TimedOut { .. } => {
            findings.push(Finding::new(
                Severity::Ambiguous,
                "stimulus-not-applied",
                "an answer that is still on its way when the asker leaves",
                format!("{} before that", case.outcome.kind().as_str()),
                "The release does not wait for its provider, or gives it up at once; see its other findings.",
            ));
            return;
        }
    };
    upstream(case, left, findings);
    if let Some(outcome) = case.afterwards.filter(|outcome| *outcome != OutcomeKind::Answered) {
        findings.push(Finding::new(
            Severity::Fail,
            BROKEN_BY_LEAVER,
            "an answer for the next asker",
            format!("the ask after the one that was left: {}", outcome.as_str()),
            "One user who closes a tab takes the service from the others. Handle the closed connection where the answer is written, and do not let the error end the process or hold its worker.",
        ));
    }
}

fn upstream(case: &Case<'_>, left: u64, findings: &mut Vec<Finding>) {
    let exchanges = &case.observation.exchanges;
    if exchanges.iter().any(|exchange| exchange.release_end == End::StillOpen) {
        findings.push(Finding::new(
            Severity::Fail,
            "upstream-outlives-asker",
            format!(
                "the upstream call closed, at the latest by the deadline of {} ms",
                case.policy.deadline_ms
            ),
            "still open when that was over",
            ADVICE,
        ));
        return;
    }
    let lasted = |exchange: &Exchange| exchange.ended_ms.saturating_sub(left);
    let longest = exchanges.iter().map(lasted).max().unwrap_or_default();
    if longest > PROMPT_MS {
        findings.push(Finding::new(
            Severity::Warn,
            "upstream-outlives-asker",
            format!("the upstream call closed within {PROMPT_MS} ms after the asker left"),
            format!(
                "closed {longest} ms after that: what the provider generated meanwhile is paid for"
            ),
            ADVICE,
        ));
    }
}
