//! What can be said of a client whose calls were watched, without knowing what it made of the replies.
//!
//! Only what the wire proves: paths and credentials, repeated attempts and the waits between them. What a reply was is in each exchange's own
//! judgement.

use contract::Surface;

use crate::attempts::{DATE_SLACK_MS, SPACED_MS, gap};
use crate::judging::wire;
use crate::{Exchange, Finding, Severity};

/// Judges calls, each with its attempts in order. Each fact is said once, with how many calls it is about.
pub fn judge(surface: Surface, calls: &[Vec<Exchange>]) -> Vec<Finding> {
    let mut found: Vec<(Finding, usize)> = Vec::new();
    for attempts in calls {
        let mut of_call: Vec<Finding> = Vec::new();
        for exchange in attempts.iter().filter(|exchange| exchange.is_call()) {
            let on_wire = [
                wire::path(surface, exchange),
                wire::credential(exchange),
                wire::exposed(exchange),
                wire::request(exchange),
            ];
            of_call.extend(on_wire.into_iter().flatten());
        }
        of_call.extend(repeated_in_vain(attempts));
        of_call.extend(too_early(attempts));
        of_call.extend(without_waits(attempts));
        for (index, finding) in of_call.iter().enumerate() {
            let same =
                |other: &Finding| other.code == finding.code && other.expected == finding.expected;
            if of_call.iter().take(index).any(same) {
                continue;
            }
            match found.iter_mut().find(|(known, _)| same(known)) {
                Some((_, n_calls)) => *n_calls += 1,
                None => found.push((finding.clone(), 1)),
            }
        }
    }
    found
        .into_iter()
        .map(|(finding, n_calls)| match n_calls {
            1 => finding,
            _ => {
                Finding { seen: format!("{} (and so in {n_calls} calls)", finding.seen), ..finding }
            }
        })
        .collect()
}

fn pairs(attempts: &[Exchange]) -> impl Iterator<Item = (&Exchange, &Exchange)> {
    attempts.iter().zip(attempts.iter().skip(1))
}

/// The same request again after an error that it cannot help against.
fn repeated_in_vain(attempts: &[Exchange]) -> Option<Finding> {
    let hopeless = pairs(attempts).filter_map(|(before, _)| {
        let response = before.response.as_ref()?;
        let error = response.judgement.error.as_ref()?;
        (!error.retry_safe).then_some(response.status)
    });
    let statuses: Vec<u16> = hopeless.collect();
    let status = statuses.first()?;
    Some(Finding::new(
        Severity::Warn,
        "non-retryable-retried",
        "1 attempt: sending the same request again cannot help",
        format!("{} attempts, the first after status {status}", statuses.len() + 1),
        "Look at status and error code before a retry. Two users who ask the same at once look like a retry here.",
    ))
}

fn too_early(attempts: &[Exchange]) -> Option<Finding> {
    let (floor, gap) = pairs(attempts).find_map(|(before, after)| {
        // Whether it came as a date is not known here.
        let floor = before.response.as_ref()?.retry_after_ms?;
        let gap = gap(before, after);
        (gap + DATE_SLACK_MS < floor).then_some((floor, gap))
    })?;
    Some(Finding::new(
        Severity::Fail,
        "retry-after-ignored",
        format!("the next attempt after {floor} ms or later, or none"),
        format!("after {gap} ms"),
        "Take `retry-after` (seconds, HTTP date) as the least time to wait; when it is longer than your deadline, give up at once.",
    ))
}

fn without_waits(attempts: &[Exchange]) -> Option<Finding> {
    let gaps: Vec<u64> = pairs(attempts).map(|(before, after)| gap(before, after)).collect();
    let immediate = gaps.iter().filter(|gap| **gap < SPACED_MS).count();
    (immediate > 0).then(|| {
        Finding::new(
            if immediate > 1 { Severity::Fail } else { Severity::Warn },
            "retry-without-backoff",
            format!("{SPACED_MS} ms and more between attempts, growing"),
            format!("{immediate} of {} waits are shorter", gaps.len()),
            "Wait before each further attempt, longer each time, with jitter.",
        )
    })
}
