//! The same table for askers who leave, fallbacks, redirects, recovery, guard calls and a machine without time.

use Severity::Info;

use super::*;

/// An exchange that was still under way when the asker left, and ended so.
fn abandoned(started: u64, ended: u64, end: End) -> Exchange {
    Exchange {
        started_ms: started,
        ended_ms: ended,
        response: None,
        release_end: end,
        ..call(1, 0, 200)
    }
}

fn left(exchanges: Vec<Exchange>) -> Scene {
    let outcome = Outcome::Left { elapsed_ms: 1_000 };
    Scene {
        afterwards: Some(OutcomeKind::Answered),
        ..scene("client-leaves", exchanges, outcome, A::None)
    }
}

#[test]
fn an_upstream_call_may_not_outlive_its_asker() {
    left(vec![abandoned(100, 1_010, End::PeerLeft)]).check(&[]);
    left(vec![abandoned(100, 2_900, End::PeerLeft)]).check(&[]);
    left(vec![abandoned(100, 9_000, End::PeerLeft)]).check(&[("upstream-outlives-asker", Warn)]);
    // It was given up because of its own timeout, and made again.
    left(vec![abandoned(100, 900, End::PeerLeft), abandoned(1_400, 8_000, End::PeerLeft)])
        .check(&[("upstream-outlives-asker", Warn)]);
    left(vec![abandoned(100, 31_000, End::StillOpen)]).check(&[("upstream-outlives-asker", Fail)]);
}

#[test]
fn the_next_asker_is_served_all_the_same() {
    for outcome in [OutcomeKind::Crashed, OutcomeKind::TimedOut, OutcomeKind::Refused] {
        let mut scene = left(vec![abandoned(100, 1_010, End::PeerLeft)]);
        scene.afterwards = Some(outcome);
        scene.check(&[("broken-by-leaver", Fail)]);
    }
}

#[test]
fn who_does_not_wait_cannot_be_left() {
    let mut scene = left(vec![call(1, 0, 200)]);
    scene.outcome = refused();
    scene.check(&[("stimulus-not-applied", Ambiguous)]);
    scene.outcome = Outcome::Crashed { elapsed_ms: 1, how: crate::CrashKind::ConnectionLost };
    scene.check(&[("crashed", Fail)]);
}

#[test]
fn a_crash_without_a_call_has_one_cause() {
    let crashed = Outcome::Crashed { elapsed_ms: 1, how: crate::CrashKind::Exited { status: 1 } };
    scene("request-400", vec![], crashed, A::None).check(&[("crashed", Fail)]);
}

fn of_model(model: &str, exchange: Exchange) -> Exchange {
    Exchange {
        request: RequestSeen { model: Some(model.to_owned()), ..exchange.request.clone() },
        ..exchange
    }
}

#[test]
fn a_fallback_counts_when_it_is_declared_and_fails_when_it_is_silent() {
    let fell_back = || vec![call(1, 0, 503), of_model("m-2", call(2, 500, 200))];
    let mut scene = scene("fallback-503", fell_back(), answered(), A::Whole);
    scene.check(&[("silent-fallback", Fail)]);
    scene.policy.fallback_models = vec!["m-2".to_owned()];
    scene.check(&[("declared-fallback", Info)]);
    // Its answer is judged like any other.
    scene.answer = A::Labelled;
    scene.check(&[("declared-fallback", Info), ("answer-damaged", Fail)]);
    (scene.outcome, scene.answer) = (refused(), A::None);
    scene.check(&[("declared-fallback", Info), ("fallback-answer-lost", Warn)]);
    scene.exchanges = vec![call(1, 0, 503)];
    scene.check(&[("fallback-not-used", Info)]);
    scene.policy.fallback_models.clear();
    scene.check(&[]);
}

#[test]
fn attempts_are_counted_for_each_model() {
    let three = |model: &str, from: u64| {
        [0, 500, 1_500].map(|at| of_model(model, call(1, from + at, 503))).to_vec()
    };
    let calls = [three("m-1", 0), three("m-2", 3_000)].concat();
    let mut scene = scene("overload-503", calls, refused(), A::None);
    scene.policy.fallback_models = vec!["m-2".to_owned()];
    scene.check(&[("declared-fallback", Info)]);
}

#[test]
fn another_host_is_a_silent_fallback_as_well() {
    let mut elsewhere = call(2, 500, 200);
    elsewhere.request.host = "api.other.example".to_owned();
    let mut scene =
        scene("fallback-timeout", vec![call(1, 0, 503), elsewhere], answered(), A::Whole);
    scene.check(&[("silent-fallback", Fail)]);
    // Which of several calls goes where is the service's business.
    scene.policy.calls_per_ask = 2;
    scene.check(&[]);
}

#[test]
fn a_followed_redirect_is_no_attempt_and_must_leave_the_credential_behind() {
    let followed = |path: &str, auth| {
        let mut exchange = call(2, 20, 200);
        exchange.request.path = path.to_owned();
        exchange.request.resource = path.to_owned();
        exchange.request.auth = auth;
        vec![call(1, 0, 307), exchange]
    };
    let check = |path, auth, expected: &[(&str, Severity)]| {
        scene("request-redirect-elsewhere", followed(path, auth), refused(), A::None)
            .check(expected);
    };
    check("/moved/0123456789ab", AuthScheme::Bearer, &[("redirect-followed", Warn)]);
    check("/moved-away/0123456789ab", AuthScheme::None, &[("redirect-followed", Warn)]);
    check(
        "/moved-away/0123456789ab",
        AuthScheme::Bearer,
        &[("redirect-leaks-credential", Fail), ("redirect-followed", Warn)],
    );
}

#[test]
fn who_says_that_it_retries_must_recover() {
    for id in ["overload-recovers", "overload-recovers-429", "overload-recovers-502"] {
        let mut scene = scene(id, vec![call(1, 0, 503)], refused(), A::None);
        scene.policy.retry_is_declared = true;
        scene.check(&[
            ("transient-error-not-retried", Fail),
            ("transient-error-not-recovered", Fail),
        ]);
    }
    // The good reply was there.
    scene("overload-recovers", vec![call(1, 0, 503), call(2, 500, 200)], refused(), A::None)
        .check(&[("transient-error-not-recovered", Fail)]);
}

#[test]
fn the_rounds_of_an_sdk_show_which_layer_multiplies() {
    let calls: Vec<Exchange> = (0..6)
        .map(|n| {
            let mut exchange = call(n + 1, u64::from(n) * 600, 503);
            exchange.request.retry_count = Some(n % 3);
            exchange
        })
        .collect();
    let judged = scene("overload-503", calls, refused(), A::None).judged();
    assert_eq!(judged.findings[0].code, "retry-budget-exceeded");
    assert_eq!(judged.findings[0].seen, "6 attempts, in 2 rounds of the SDK's own retries");
}

#[test]
fn a_call_beside_the_surface_is_no_attempt_at_it() {
    let mut guard = call(1, 0, 200);
    guard.request.path = "/v1/moderations".to_owned();
    guard.request.resource = "/v1/moderations".to_owned();
    scene("request-400", vec![guard.clone(), call(2, 50, 400)], refused(), A::None).check(&[]);
    scene("request-400", vec![guard], refused(), A::None).check(&[("not-observed", Ambiguous)]);
}

#[test]
fn a_late_refusal_on_a_machine_without_time_says_nothing_of_the_release() {
    let late = |id, elapsed_ms, waited| Scene {
        machine: Machine { cpu_wait_ms: Some(waited), lag_ms: 0 },
        ..scene(
            id,
            vec![call(1, 0, 200)],
            Outcome::Refused { elapsed_ms, how: "status 502".to_owned() },
            A::None,
        )
    };
    late("tolerated-leading-space", 6_000, 3_000).check(&[("machine-starved", Ambiguous)]);
    late("tolerated-leading-space", 6_000, 2_900).check(&[("tolerated-variation-refused", Fail)]);
    // What takes no time is no time-out.
    late("tolerated-leading-space", 900, 900).check(&[("tolerated-variation-refused", Fail)]);
    // Here a refusal is right, and not attempts that go beyond the policy.
    late("overload-500", 6_000, 6_000).check(&[]);
}

#[test]
fn a_hang_on_a_machine_without_time_says_nothing_of_the_release() {
    let hung = |cpu_wait_ms, lag_ms| Scene {
        machine: Machine { cpu_wait_ms, lag_ms },
        ..scene(
            "network-stall-before-headers",
            vec![call(1, 0, 200)],
            Outcome::TimedOut { elapsed_ms: 30_100 },
            A::None,
        )
    };
    hung(None, 100).check(&[("hung", Fail)]);
    hung(Some(14_000), 100).check(&[("hung", Fail)]);
    hung(Some(15_000), 100).check(&[("machine-starved", Ambiguous)]);
    hung(Some(0), 8_000).check(&[("machine-starved", Ambiguous)]);
}

/// A call of a tool is a whole reply, and no word of it is an answer.
#[test]
fn a_call_of_a_tool_is_no_answer() {
    for (answer, code) in
        [(A::Empty, "error-became-empty-answer"), (A::Unrelated, "error-became-answer")]
    {
        scene("shape-tool-calls", vec![call(1, 0, 200)], answered(), answer).check(&[(code, Fail)]);
    }
    scene("shape-tool-calls", vec![call(1, 0, 200)], refused(), A::None).check(&[]);
    // One that works with tools asks again, and is answered.
    let twice = || vec![call(1, 0, 200), call(2, 500, 200)];
    scene("shape-tool-calls", twice(), answered(), A::Whole).check(&[]);
    scene("happy-unicode", twice(), answered(), A::Whole).check(&[("extra-calls", Fail)]);
}

#[test]
fn a_hint_when_to_come_back_is_a_floor_beside_a_503_too() {
    let asked = |at| {
        let mut first = call(1, 0, 503);
        first.response.as_mut().unwrap().retry_after_ms = Some(2_000);
        vec![first, call(2, at, 503)]
    };
    let id = "overload-503-retry-after";
    scene(id, asked(2_010), refused(), A::None).check(&[]);
    scene(id, asked(510), refused(), A::None).check(&[("retry-after-ignored", Fail)]);
    scene(id, vec![call(1, 0, 503)], refused(), A::None).check(&[]);
}

/// What breaks on the body of an error has its own advice.
#[test]
fn errors_in_another_form_have_their_own_advice() {
    for (id, is_odd) in [
        ("overload-recovers", false),
        ("overload-recovers-text", true),
        ("overload-recovers-page", true),
    ] {
        let mut scene = scene(id, vec![call(1, 0, 503)], refused(), A::None);
        scene.policy.retry_is_declared = true;
        let codes = ["transient-error-not-retried", "transient-error-not-recovered"];
        scene.check(&codes.map(|code| (code, Fail)));
        for finding in scene.judged().findings {
            assert_eq!(finding.advice.contains("no envelope"), is_odd, "{id}: {finding:?}");
        }
    }
}
