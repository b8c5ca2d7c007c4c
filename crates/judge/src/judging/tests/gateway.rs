//! What is demanded of a gateway only.

use contract::conversation::{Loss, PartLost, RequestPart};

use super::*;

fn of_gateway(mut scene: Scene) -> Scene {
    scene.policy.kind = ReleaseKind::Gateway;
    scene
}

fn conversation(lost: &[(RequestPart, Loss)]) -> Exchange {
    let mut call = call(1, 0, 200);
    call.request.lost = Some(lost.iter().map(|&(part, loss)| PartLost { part, loss }).collect());
    call
}

#[test]
fn what_of_a_request_is_lost_is_named() {
    use RequestPart::{EarlierAnswer, Instructions, Stop, Temperature, Tools};
    let check = |lost: &[(RequestPart, Loss)], expected: &[(&str, Severity)]| {
        let calls = vec![conversation(lost)];
        let scene = of_gateway(scene("happy-conversation", calls, answered(), A::Whole));
        scene.check(expected);
        scene.judged().findings.into_iter().map(|finding| finding.seen).collect::<Vec<_>>()
    };
    check(&[], &[]);
    let part = ("request-part-lost", Fail);
    let parameter = ("request-parameter-lost", Warn);
    let seen = check(&[(Instructions, Loss::Absent), (EarlierAnswer, Loss::Moved)], &[part]);
    let expected =
        "the system message absent, an earlier message of the assistant out of its order";
    assert_eq!(seen, [expected]);
    check(&[(Tools, Loss::Changed)], &[part]);
    let seen = check(&[(Temperature, Loss::Changed), (Stop, Loss::Absent)], &[parameter]);
    assert_eq!(seen, ["`temperature` changed, `stop` absent"]);
    check(&[(Tools, Loss::Absent), (Stop, Loss::Absent)], &[part, parameter]);
}

#[test]
fn the_call_that_leads_to_the_answer_has_to_have_all() {
    let lost = [(RequestPart::Tools, Loss::Absent)];
    let check = |mut calls: Vec<Exchange>, guard: Option<usize>, expected: &[(&str, Severity)]| {
        for (call, at) in calls.iter_mut().zip([0, 600]) {
            call.started_ms += at;
        }
        let mut scene = of_gateway(scene("happy-conversation", calls, answered(), A::Whole));
        scene.policy.calls_per_ask = 2;
        if let Some(guard) = guard {
            scene.exchanges[guard].request.model = Some("guard".to_owned());
            scene.policy.models = vec!["guard".to_owned()];
        }
        scene.check(expected);
    };
    check(vec![conversation(&lost), conversation(&[])], None, &[]);
    check(vec![conversation(&lost), conversation(&[])], Some(0), &[]);
    let part = [("request-part-lost", Fail)];
    check(vec![conversation(&[]), conversation(&lost)], Some(0), &part);
    check(vec![conversation(&lost), conversation(&lost)], None, &part);
}

#[test]
fn a_request_that_is_turned_down_openly_is_a_warning() {
    let check = |id: &'static str, how: &str, kind, expected: &[(&str, Severity)]| {
        let outcome = Outcome::Refused { elapsed_ms: 5, how: how.to_owned() };
        let mut scene = scene(id, Vec::new(), outcome, A::None);
        scene.policy.kind = kind;
        scene.check(expected);
    };
    let warned = [("request-turned-down", Warn)];
    check("happy-conversation", "status 400", ReleaseKind::Gateway, &warned);
    check("happy-tool-calls", "status 422", ReleaseKind::Gateway, &warned);
    let unseen = [("not-observed", Ambiguous)];
    // A gateway that cools down, or is broken, says nothing of the request.
    check("happy-conversation", "status 503", ReleaseKind::Gateway, &unseen);
    check("happy-conversation", "status 500", ReleaseKind::Gateway, &unseen);
    check("happy-unicode", "status 400", ReleaseKind::Gateway, &unseen);
    check("happy-conversation", "status 400", ReleaseKind::Application, &unseen);
}

#[test]
fn calls_of_tools_have_to_come_whole() {
    for (calls, severity) in [
        (CallsRelation::Whole, None),
        (CallsRelation::OtherIds, Some(Warn)),
        (CallsRelation::EndsAsAnswer, Some(Fail)),
        (CallsRelation::None, Some(Fail)),
        (CallsRelation::OtherNumber, Some(Fail)),
        (CallsRelation::OtherArguments, Some(Fail)),
        (CallsRelation::OtherName, Some(Fail)),
        (CallsRelation::WithoutId, Some(Fail)),
    ] {
        let call = vec![conversation(&[])];
        let mut scene = of_gateway(scene("happy-tool-calls", call, answered(), A::Empty));
        scene.calls = calls;
        let expected: Vec<_> =
            severity.map(|severity| ("tool-call-lost", severity)).into_iter().collect();
        scene.check(&expected);
    }
    let call = vec![conversation(&[])];
    of_gateway(scene("happy-tool-calls", call, refused(), A::None))
        .check(&[("happy-path-refused", Fail)]);
}

#[test]
fn an_error_that_clients_do_not_see_is_a_success_to_them() {
    let check = |call: Exchange, unsaid: bool, kind, expected: &[(&str, Severity)]| {
        let outcome = Outcome::Refused { elapsed_ms: 80, how: "an error in the reply".to_owned() };
        let mut scene = scene("shape-error-body", vec![call], outcome, A::None);
        scene.unsaid = unsaid;
        scene.policy.kind = kind;
        scene.check(expected);
    };
    let fails = [("error-sent-as-success", Fail)];
    let cut = |end| Exchange { release_end: end, ..call(1, 0, 200) };
    let unanswered = || Exchange { response: None, ..call(1, 0, 200) };
    for (call, is_failure) in [
        (call(1, 0, 401), true),
        (call(1, 0, 301), true),
        (unanswered(), true),
        (cut(End::Injected), true),
        (cut(End::PeerLeft), true),
        // What the provider sent in the same way.
        (call(1, 0, 200), false),
    ] {
        let expected = if is_failure { &fails[..] } else { &[] };
        check(call.clone(), true, ReleaseKind::Gateway, expected);
        check(call.clone(), false, ReleaseKind::Gateway, &[]);
        check(call, true, ReleaseKind::Application, &[]);
    }
    let mut event = streamed(call(1, 0, 200));
    let response = event.response.as_mut().unwrap();
    response.judgement.completion = Completion::Error;
    let document = event.clone();
    event.response.as_mut().unwrap().content_type = Some("text/event-stream".to_owned());
    let outcome = Outcome::Refused { elapsed_ms: 80, how: "stream ended".to_owned() };
    let mut scene = of_gateway(scene("shape-error-body", vec![event], outcome, A::Partial));
    scene.probe = probe("stream-error-mid", Mode::Stream);
    scene.unsaid = true;
    scene.check(&fails);
    // What stands in place of a stream is passed on as it came.
    scene.exchanges = vec![document];
    scene.check(&[]);
}

/// Whoever asks a gateway gets its provider's comments too; a silence nobody gets.
#[test]
fn gateway_that_passes_on_comments_for_ever_is_a_warning() {
    let hung = Outcome::TimedOut { elapsed_ms: 30_000 };
    let check = |id: &'static str, kind, severity| {
        let mode = if id.starts_with("stream") { Mode::Stream } else { Mode::Unary };
        let mut scene = scene("happy-live", vec![call(1, 0, 200)], hung.clone(), A::None);
        scene.probe = probe(id, mode);
        for call in &mut scene.exchanges {
            call.request.stream = mode == Mode::Stream;
        }
        scene.policy.kind = kind;
        scene.check(&[("hung", severity)]);
    };
    for id in ["network-endless-blanks", "stream-silence-comments", "stream-comments-only"] {
        check(id, ReleaseKind::Gateway, Warn);
        check(id, ReleaseKind::Application, Fail);
    }
    check("stream-silence", ReleaseKind::Gateway, Fail);
}

#[test]
fn gateway_that_ends_a_broken_stream_with_done_hides_the_error() {
    let done = Outcome::Refused { elapsed_ms: 80, how: crate::DONE_WITHOUT_FINISH.to_owned() };
    let scene = |id: &'static str, kind| {
        let mut scene = scene("happy-live", vec![call(1, 0, 200)], done.clone(), A::Partial);
        scene.probe = probe(id, Mode::Stream);
        for call in &mut scene.exchanges {
            call.request.stream = true;
        }
        scene.policy.kind = kind;
        scene
    };
    let code = "incomplete-reply-accepted";
    for id in ["stream-error-mid", "stream-cut-mid-event", "network-reset-mid-body"] {
        scene(id, ReleaseKind::Gateway).check(&[(code, Fail)]);
    }
    scene("stream-no-finish-reason", ReleaseKind::Gateway).check(&[(code, Warn)]);
    // The provider said so itself.
    scene("stream-done-after-cut", ReleaseKind::Gateway).check(&[]);
}
