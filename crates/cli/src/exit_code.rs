//! The exit codes: each has one meaning, and is the same for every format.

use judge::Verdict;
use judge::gates::Decision;

/// The decision is `promote_small_step`; for `check`: all probes pass; for `can roll-back`: proven.
pub(crate) const PASS: u8 = 0;
/// The arguments or the configuration are wrong.
pub(crate) const USAGE: u8 = 2;
/// Hold: something failed.
pub(crate) const HOLD_FAILED: u8 = 10;
/// Hold: something is missing or ambiguous.
pub(crate) const HOLD_MISSING: u8 = 11;
/// Traffic had been moved and was moved back.
pub(crate) const ROLLBACK: u8 = 20;
/// surestep itself failed; the decision is hold.
pub(crate) const INTERNAL: u8 = 70;

/// Returns the code for a decision and the verdict that it rests on.
pub(crate) fn of(decision: Decision, verdict: Verdict) -> u8 {
    match (decision, verdict) {
        (Decision::PromoteSmallStep, Verdict::Pass) => PASS,
        (Decision::Rollback, _) => ROLLBACK,
        (Decision::Hold, Verdict::Fail) => HOLD_FAILED,
        // A step without a pass, or a hold without a reason, would be our own mistake: it must not look like a pass.
        (Decision::Hold, Verdict::Ambiguous | Verdict::Pass)
        | (Decision::PromoteSmallStep, Verdict::Fail | Verdict::Ambiguous) => HOLD_MISSING,
    }
}

/// Returns the code for a verdict alone.
pub(crate) fn of_verdict(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => PASS,
        Verdict::Fail => HOLD_FAILED,
        Verdict::Ambiguous => HOLD_MISSING,
    }
}
