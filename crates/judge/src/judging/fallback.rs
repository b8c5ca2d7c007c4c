//! What a release makes of a failing primary when another model could answer. Whether it may ask that one is judged with its calls.

use super::{Case, is_good_reply, last_call};
use crate::{Exchange, Finding, OutcomeKind, Severity, attempts, catalogue};

/// Returns whether another model than the failing one gave the last reply, and a good one.
pub(super) fn is_answered(case: &Case<'_>) -> bool {
    case.probe.group == catalogue::FALLBACK_GROUP && last_call(case).is_some_and(is_good_reply)
}

/// Judges how a declared fallback was used.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.probe.group != catalogue::FALLBACK_GROUP || case.policy.fallback_models.is_empty() {
        return;
    }
    let is_declared = |call: &&Exchange| {
        call.request.model.as_ref().is_some_and(|model| case.policy.fallback_models.contains(model))
    };
    let used: Vec<&Exchange> =
        attempts::calls(&case.observation.exchanges).filter(is_declared).collect();
    if used.is_empty() {
        findings.push(Finding::new(
            Severity::Info,
            "fallback-not-used",
            format!("a call to one of [{}]", case.policy.fallback_models.join(", ")),
            "none, although the primary failed",
            "Noted only: the declared fallback has another trigger, or is out of use. In the second case take it out of `fallback_models`.",
        ));
    } else if case.outcome.kind() == OutcomeKind::Refused
        && used.iter().any(|call| is_good_reply(call))
    {
        findings.push(Finding::new(
            Severity::Warn,
            "fallback-answer-lost",
            "the answer of the declared fallback",
            "a refusal, although the fallback gave a good reply",
            "The fallback costs a call and saves nobody. See what the release makes of its reply: another parser, a deadline that was spent on the primary, or a check of the model's name.",
        ));
    }
}
