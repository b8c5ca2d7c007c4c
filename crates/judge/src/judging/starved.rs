//! A starved machine proves nothing in either direction: what it can have made is ambiguous.
//!
//! The evidence is how long the release's own threads were ready to run and did not. Load, pressure and surestep's own lag tell of
//! the machine, and a machine that is merely busy starves nobody: a gate that cried wolf there would not be used.

use super::Case;
use crate::{Finding, Observation, Severity};

/// Waiting this long for a processor can make a healthy release call again: it uses up a tight timeout of its own, and a busy machine
/// with two cores stays well below it.
const CALLS_AGAIN_MS: u64 = 1_000;

/// What a release does when its own timeout strikes, and so may do on account of the machine alone.
const BY_ITS_OWN_TIMEOUT: &[&str] =
    &["extra-calls", "non-retryable-retried", "retry-budget-exceeded", "retry-without-backoff"];

/// How the machine did while an ask was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// How long the thread of the release that waited most waited for a processor; `None` where that cannot be known.
    pub cpu_wait_ms: Option<u64>,
    /// The same from its first call on: how a command starts has no part in how it spaces its calls.
    pub calling_wait_ms: Option<u64>,
    /// How much too late surestep itself noticed that the deadline was over.
    pub lag_ms: u64,
}

/// How long the thread that waited most had waited for a processor by a moment of the ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSample {
    /// Milliseconds since the ask began.
    pub at_ms: u64,
    /// Its wait by then.
    pub waited_ms: u64,
}

impl Machine {
    /// Reads it from samples in the order of their times.
    pub fn new(samples: &[CpuSample], observation: &Observation, lag_ms: u64) -> Self {
        let whole = samples.iter().map(|sample| sample.waited_ms).max();
        let first_call = observation.exchanges.first().map_or(u64::MAX, |call| call.started_ms);
        let before = samples.iter().take_while(|sample| sample.at_ms <= first_call).last().copied();
        let before = before.map_or(0, |sample| sample.waited_ms);
        Self {
            cpu_wait_ms: whole,
            calling_wait_ms: whole.map(|whole| whole.saturating_sub(before)),
            lag_ms,
        }
    }

    /// Returns whether an ask without outcome says more of the machine than of the release: half of the deadline was spent waiting
    /// for a processor, or surestep itself was a quarter of it late.
    pub(super) fn starved(self, deadline_ms: u64) -> bool {
        self.cpu_wait_ms.is_some_and(|waited| waited.saturating_mul(2) >= deadline_ms)
            || self.lag_ms.saturating_mul(4) >= deadline_ms
    }

    /// Returns whether a wait that is long enough is so only thanks to the machine: it takes away half of what was asked for, and
    /// without it the rest would have been too short.
    pub(crate) fn made_the_gap(self, gap_ms: u64, slack_ms: u64, floor_ms: u64) -> bool {
        self.calling_wait_ms.is_some_and(|waited| {
            waited.saturating_mul(2) >= floor_ms
                && gap_ms.saturating_sub(waited).saturating_add(slack_ms) < floor_ms
        })
    }
}

/// Words what the machine leaves open.
pub(crate) fn finding(case: &Case<'_>, seen: &str) -> Finding {
    let waited = match case.machine.calling_wait_ms {
        Some(waited) => format!("; its processes waited {waited} ms for a processor meanwhile"),
        None => String::new(),
    };
    Finding::new(
        Severity::Ambiguous,
        "machine-starved",
        "a machine on which the release gets to run",
        format!("{seen}{waited}"),
        "This machine was too busy to tell what the release does from what a lack of processors makes of it. Run again with fewer probes at once (`--jobs 1`), with less beside it, or on more processors.",
    )
}

/// Puts in doubt what a release may have done only since it hardly got a processor, and its own timeout struck.
pub(super) fn put_in_doubt(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.machine.calling_wait_ms.is_none_or(|waited| waited < CALLS_AGAIN_MS) {
        return;
    }
    let is_doubtful = |finding: &Finding| {
        finding.severity == Severity::Fail && BY_ITS_OWN_TIMEOUT.contains(&finding.code.as_str())
    };
    let doubtful: Vec<String> = findings
        .iter()
        .filter(|finding| is_doubtful(finding))
        .map(|doubtful| format!("{} ({})", doubtful.code, doubtful.seen))
        .collect();
    if doubtful.is_empty() {
        return;
    }
    findings.retain(|finding| !is_doubtful(finding));
    findings.push(finding(case, &doubtful.join(", ")));
}
