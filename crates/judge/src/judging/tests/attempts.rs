//! How often a release called, and how long it waited.

use super::*;

/// A hint that names no time is none at all to openai-node, which then waits for as long.
#[test]
fn a_hint_without_a_time_may_mislead_a_client() {
    let calls = |status| vec![call(1, 0, status), call(2, 3, status), call(3, 6, status)];
    let check = |id, severity| {
        scene(id, calls(429), refused(), A::None).check(&[("retry-without-backoff", severity)]);
    };
    check("overload-429-garbage", Warn);
    scene("overload-503", calls(503), refused(), A::None).check(&[("retry-without-backoff", Fail)]);
}

#[test]
fn attempts_beyond_what_can_help_fail() {
    let twice = |status| vec![call(1, 0, status), call(2, 600, status)];
    scene("request-400", twice(400), refused(), A::None).check(&[("non-retryable-retried", Fail)]);
    // Stock SDKs cannot tell these two from a server error.
    scene("request-500-invalid", twice(500), refused(), A::None)
        .check(&[("non-retryable-retried", Warn)]);
    scene("overload-429-quota", twice(429), refused(), A::None)
        .check(&[("non-retryable-retried", Warn)]);
    let many: Vec<Exchange> = (0..5).map(|n| call(n + 1, u64::from(n) * 600, 503)).collect();
    scene("overload-503", many.clone(), refused(), A::None)
        .check(&[("retry-budget-exceeded", Fail)]);
    scene("overload-429-quota", many, refused(), A::None).check(&[("retry-budget-exceeded", Fail)]);
}

#[test]
fn attempts_within_the_policy_pass_when_spaced() {
    let spaced = vec![call(1, 0, 503), call(2, 500, 503), call(3, 1_500, 503)];
    scene("overload-503", spaced, refused(), A::None).check(&[]);
    let hasty = vec![call(1, 0, 503), call(2, 12, 503), call(3, 25, 503)];
    scene("overload-503", hasty, refused(), A::None).check(&[("retry-without-backoff", Fail)]);
    let hasty_once = vec![call(1, 0, 503), call(2, 12, 503)];
    scene("overload-503", hasty_once, refused(), A::None).check(&[("retry-without-backoff", Warn)]);
}

/// A topic, a moderation and an answer, all by one model.
#[test]
fn a_call_that_follows_a_good_reply_is_no_attempt() {
    let in_a_row = |id: &str, statuses: [u16; 3]| {
        let calls = statuses.iter().zip([0, 2, 4]).zip(1..);
        let calls = calls.map(|((&status, at), attempt)| call(attempt, at, status)).collect();
        let outcome = if statuses[2] == 200 { answered() } else { refused() };
        let relation = if statuses[2] == 200 { A::Whole } else { A::None };
        let mut scene = scene(id, calls, outcome, relation);
        scene.policy.calls_per_ask = 3;
        scene
    };
    in_a_row("happy-live", [200, 200, 200]).check(&[]);
    in_a_row("overload-503", [200, 200, 503]).check(&[]);
    in_a_row("overload-503", [503, 503, 503]).check(&[("retry-without-backoff", Fail)]);
}

/// Deno's `fetch` sends a request anew when its connection broke before a reply, also one that its caller will send again by itself.
#[test]
fn a_request_that_the_http_client_sends_anew_is_no_hasty_retry() {
    let broken = |attempt, at| Exchange { ended_ms: at, response: None, ..call(attempt, at, 503) };
    let anew = vec![broken(1, 0), broken(2, 5), broken(3, 500), broken(4, 505)];
    let wide = |calls| Scene {
        policy: Policy { max_attempts: 6, ..policy() },
        ..scene("network-reset-before-headers", calls, refused(), A::None)
    };
    wide(anew).check(&[("retry-without-backoff", Warn)]);
    let twice = vec![broken(1, 0), broken(2, 5), broken(3, 10), broken(4, 500)];
    wide(twice).check(&[("retry-without-backoff", Fail)]);
    let replied = vec![broken(1, 0), call(2, 5, 503), call(3, 10, 503)];
    wide(replied).check(&[("retry-without-backoff", Fail)]);
}

#[test]
fn attempts_that_are_left_open_are_spaced_by_their_beginnings() {
    let open = |attempt, at| Exchange { ended_ms: 9_000, response: None, ..call(attempt, at, 503) };
    let spaced = vec![open(1, 0), open(2, 2_000), open(3, 4_500)];
    scene("overload-503", spaced, refused(), A::None).check(&[]);
    let at_once = vec![open(1, 0), open(2, 20), open(3, 30)];
    scene("overload-503", at_once, refused(), A::None).check(&[("retry-without-backoff", Fail)]);
    // Its end was seen a little late.
    let late = Exchange { ended_ms: 2_020, response: None, ..call(1, 0, 503) };
    let hasty = vec![late, call(2, 2_000, 503)];
    scene("overload-503", hasty, refused(), A::None).check(&[("retry-without-backoff", Warn)]);
}

#[test]
fn a_guarded_model_is_another_call_and_not_another_attempt() {
    let mut guard = call(1, 0, 503);
    guard.request.model = Some("guard".to_owned());
    let mut scene = scene(
        "overload-503",
        vec![guard, call(2, 100, 503), call(3, 700, 503), call(4, 1_700, 503)],
        refused(),
        A::None,
    );
    scene.policy.models = vec!["guard".to_owned()];
    scene.policy.calls_per_ask = 2;
    scene.check(&[]);
}

#[test]
fn retry_after_is_a_floor() {
    let asked = |wait: u64, gap: u64| {
        let mut first = call(1, 0, 429);
        if let Some(response) = &mut first.response {
            response.retry_after_ms = Some(wait);
        }
        vec![first, call(2, 10 + gap, 429)]
    };
    scene("overload-429", asked(1_000, 1_000), refused(), A::None).check(&[]);
    scene("overload-429", asked(1_000, 500), refused(), A::None)
        .check(&[("retry-after-ignored", Fail)]);
    scene("overload-429-long", asked(130_000, 500), refused(), A::None)
        .check(&[("retry-after-ignored", Warn)]);
    // A busy machine notes the end of a reply late; the client has had its head for long.
    let mut noted_late = asked(1_000, 1_000);
    noted_late[0].ended_ms += 290;
    scene("overload-429", noted_late, refused(), A::None).check(&[]);
    // Giving up is right as well.
    scene("overload-429-long", vec![call(1, 0, 429)], refused(), A::None).check(&[]);
}

#[test]
fn recovering_is_expected_but_not_demanded() {
    let recovered = vec![call(1, 0, 503), call(2, 500, 200)];
    scene("overload-recovers", recovered, answered(), A::Whole).check(&[]);
    scene("overload-recovers", vec![call(1, 0, 503)], refused(), A::None)
        .check(&[("transient-error-not-retried", Warn), ("transient-error-not-recovered", Warn)]);
}
