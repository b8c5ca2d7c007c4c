//! Judges how often a release called, and how it spaced its attempts.

use crate::judging::{Case, Policy, is_good_reply};
use crate::{AnsweredBy, Attempts, Exchange, Finding, RetryAfter, Severity, Stimulus};

/// Below this, two attempts are as good as immediate. Stock SDKs wait 100 ms and more (contracts.md section 6.2).
pub(crate) const SPACED_MS: u64 = 50;

/// How much earlier than the floor an attempt may come: clocks and rounding.
const FLOOR_SLACK_MS: u64 = 60;
/// An HTTP date has whole seconds: a whole one may be lost to rounding, at either end.
pub(crate) const DATE_SLACK_MS: u64 = 1_100;

/// Returns how long a release waited between two attempts, in milliseconds, and never less than it did wait.
///
/// An error reply is known from its head on; when its end was noted depends on how busy the machine is. Where an exchange went on long after
/// the next one had begun, it was given up without a word: some clients leave a stream of HTTP/2 open when they time out. What is
/// known then is how much later the next one began.
pub fn gap(before: &Exchange, after: &Exchange) -> u64 {
    let was_left_open = before.ended_ms > after.started_ms.saturating_add(SPACED_MS);
    let error = before.response.as_ref().filter(|response| response.status >= 400);
    let since = match error {
        _ if was_left_open => before.started_ms,
        Some(response) => response.head_ms,
        None => before.ended_ms,
    };
    after.started_ms.saturating_sub(since)
}

/// Returns the exchanges that are calls of the probed surface: what a release asked its provider for.
pub(crate) fn calls(exchanges: &[Exchange]) -> impl Iterator<Item = &Exchange> {
    exchanges.iter().filter(|exchange| exchange.is_call())
}

/// Judges the attempts of one ask.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let all: Vec<&Exchange> = calls(&case.observation.exchanges).collect();
    if all.iter().any(|exchange| exchange.answered_by == AnsweredBy::Guard) && all.len() > 1 {
        findings.push(Finding::new(
            Severity::Fail,
            "retry-storm",
            format!("at most {} attempts", case.policy.max_attempts),
            format!("{} attempts, then stopped by surestep", all.len()),
            "Bound the retries of all layers together: SDK, HTTP client, your own loop and any gateway. Give one layer the policy and switch the others off.",
        ));
        return;
    }
    let groups = by_model(&all);
    let guards = usize::try_from(case.policy.calls_per_ask.saturating_sub(1)).unwrap_or(usize::MAX);
    for group in &groups {
        // A guard call that uses the same model comes on top.
        let n =
            if groups.len() > 1 { group.len() } else { group.len().saturating_sub(guards).max(1) };
        judge_count(case, n, rounds_of_sdk(group), findings);
        judge_gaps(case, group, findings);
    }
    if case.probe.attempts == Attempts::Recovers {
        let enough = all.len() > 1;
        if !enough && !all.is_empty() {
            findings.push(Finding::new(
                unrecovered(case.policy),
                "transient-error-not-retried",
                "a second attempt after an error that passes",
                "1 attempt",
                unrecovered_advice(case),
            ));
        }
    }
}

/// How much it weighs that a release does not recover: one whose configuration says that it retries has to.
pub(crate) fn unrecovered(policy: &Policy) -> Severity {
    if policy.retry_is_declared { Severity::Fail } else { Severity::Warn }
}

/// What helps a release that does not recover. An error in another form may have broken what reads it, before there was a retry.
pub(crate) fn unrecovered_advice(case: &Case<'_>) -> &'static str {
    if case.probe.stimulus.is_odd_error() {
        "This error's body is no envelope: a text, or a web page. Decide on a retry by the status, and read the body afterwards, with nothing taken for granted: it may be no JSON, and `error` may be a text. If the provider's own errors are not recovered from either, it is the retry that is missing."
    } else {
        "A short overload becomes an error for the user. Retry 429, 5xx and timeouts once or twice, with backoff, or declare `retry: { max_attempts: 1 }`."
    }
}

/// Groups calls by the model they name, in the order of their first call.
fn by_model<'e>(calls: &[&'e Exchange]) -> Vec<Vec<&'e Exchange>> {
    let mut groups: Vec<Vec<&Exchange>> = Vec::new();
    for &call in calls {
        match groups
            .iter_mut()
            .find(|group| group.iter().any(|other| other.request.model == call.request.model))
        {
            Some(group) => group.push(call),
            None => groups.push(vec![call]),
        }
    }
    groups
}

/// Counts how often the SDK began anew, by the number of the retry that it names itself: with more than one, another layer retries as well.
fn rounds_of_sdk(group: &[&Exchange]) -> usize {
    group.iter().filter(|call| call.request.retry_count == Some(0)).count()
}

fn judge_count(case: &Case<'_>, n: usize, rounds: usize, findings: &mut Vec<Finding>) {
    let Policy { max_attempts, .. } = *case.policy;
    let within_policy = u32::try_from(n).unwrap_or(u32::MAX) <= max_attempts;
    let seen = if rounds > 1 && rounds < n {
        format!("{n} attempts, in {rounds} rounds of the SDK's own retries")
    } else {
        format!("{n} attempts")
    };
    match case.probe.attempts {
        Attempts::One if n > 1 => findings.push(Finding::new(
            Severity::Fail,
            "non-retryable-retried",
            "1 attempt: sending the same request again cannot help",
            seen,
            "Do not retry 400, 401, 402, 403, 404, 413, 422 or a redirect. Check each layer: SDK `max_retries`, HTTP client, your own loop.",
        )),
        Attempts::OneOrWarn if n > 1 && within_policy => findings.push(Finding::new(
            Severity::Warn,
            "non-retryable-retried",
            "1 attempt: the error code says that sending it again cannot help",
            seen,
            "The status alone misleads here. Look at the error code before a retry (`x-should-retry: false` or `max_retries=0` with a policy of your own).",
        )),
        Attempts::One
        | Attempts::OneOrWarn
        | Attempts::Policy
        | Attempts::PolicyAfterFloor
        | Attempts::PolicyAfterFloorOrWarn
        | Attempts::Recovers => {
            if !within_policy {
                findings.push(Finding::new(
                    Severity::Fail,
                    "retry-budget-exceeded",
                    format!("at most {max_attempts} attempts, all layers together"),
                    seen,
                    "Two layers retry, or one retries too often. Give one layer the policy, or raise `retry.max_attempts` if so many are meant.",
                ));
            }
        }
    }
}

fn judge_gaps(case: &Case<'_>, group: &[&Exchange], findings: &mut Vec<Finding>) {
    let pairs: Vec<(&Exchange, &Exchange)> = group
        .iter()
        .zip(group.iter().skip(1))
        .map(|(a, b)| (*a, *b))
        // What follows a good reply is no other attempt, but another call.
        .filter(|(before, _)| !is_good_reply(before))
        .collect();
    let gaps: Vec<u64> = pairs.iter().map(|(before, after)| gap(before, after)).collect();
    if let (Some(first), Some(last)) = (group.first(), group.last()) {
        let elapsed = last.started_ms.saturating_sub(first.started_ms);
        if elapsed > case.policy.max_elapsed_ms {
            findings.push(Finding::new(
                Severity::Warn,
                "retry-time-exceeded",
                format!(
                    "the last attempt starts within {} ms of the first",
                    case.policy.max_elapsed_ms
                ),
                format!("{elapsed} ms"),
                "Bound the whole call by one deadline, waits between attempts included.",
            ));
        }
    }
    let severity = match case.probe.attempts {
        Attempts::PolicyAfterFloor => Severity::Fail,
        Attempts::PolicyAfterFloorOrWarn => Severity::Warn,
        Attempts::One | Attempts::OneOrWarn | Attempts::Policy | Attempts::Recovers => {
            judge_spacing(case, &pairs, &gaps, findings);
            return;
        }
    };
    let slack = if case.probe.id.ends_with("-date") { DATE_SLACK_MS } else { FLOOR_SLACK_MS };
    for ((before, _), gap) in pairs.iter().zip(&gaps) {
        let Some(floor) = before.response.as_ref().and_then(|response| response.retry_after_ms)
        else {
            continue;
        };
        if gap + slack < floor {
            findings.push(Finding::new(
                severity,
                "retry-after-ignored",
                format!("the next attempt after {floor} ms or later, or none"),
                format!("after {gap} ms"),
                "Take `retry-after` (seconds, HTTP date) as the least time to wait; when it is longer than your deadline, give up at once.",
            ));
            return;
        }
    }
}

fn judge_spacing(
    case: &Case<'_>,
    pairs: &[(&Exchange, &Exchange)],
    gaps: &[u64],
    findings: &mut Vec<Finding>,
) {
    let immediate = gaps.iter().filter(|gap| **gap < SPACED_MS).count();
    if immediate == 0 || case.probe.attempts == Attempts::One {
        return;
    }
    // openai-node reads a hint that names no time as none at all, and waits for as long.
    let is_misled = matches!(case.probe.stimulus, Stimulus::RateLimited(RetryAfter::Text(_)));
    // One immediate repetition is bounded; several in a row hit a provider that is already in trouble.
    let is_bounded = immediate == 1 || is_misled || are_sent_anew(pairs, gaps);
    let severity = if is_bounded { Severity::Warn } else { Severity::Fail };
    findings.push(Finding::new(
        severity,
        "retry-without-backoff",
        format!("{SPACED_MS} ms and more between attempts, growing"),
        format!("gaps of {gaps:?} ms"),
        "Wait before each further attempt, longer each time, with jitter.",
    ));
}

/// Whether each immediate repetition is that of an HTTP client which sends a request once more when its connection broke before a reply, below a
/// policy that waits: Deno's `fetch` does.
fn are_sent_anew(pairs: &[(&Exchange, &Exchange)], gaps: &[u64]) -> bool {
    let mut was_immediate = false;
    pairs.iter().zip(gaps).all(|((before, _), gap)| {
        let is_immediate = *gap < SPACED_MS;
        let is_right = !is_immediate || (!was_immediate && before.response.is_none());
        was_immediate = is_immediate;
        is_right
    })
}
