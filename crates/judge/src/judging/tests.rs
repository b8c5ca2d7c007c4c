//! Judging as a table: what was seen and what the release made of it in, finding codes out.

use contract::smoke::QuestionSeen;
use contract::{
    BodyKind, Completion, ContractVerdict, ErrorClass, ErrorFacts, Judgement, Mode, Shape, Surface,
};

use super::*;
use crate::logs::LogReading;
use crate::{End, Exposure, PlanContext, RequestSeen, ResponseSeen, catalogue};

mod attempts;
mod deviations;
mod gateway;
mod logs;
mod proxy;
mod question;
mod telemetry;
mod trouble;

fn plan(mode: Mode, own_port: bool) -> Vec<Probe> {
    let of = |kind| {
        let context = PlanContext { own_port, kind, ..PlanContext::widest(Surface::Chat) };
        catalogue::default_plan(mode, &context)
    };
    let mut all = of(ReleaseKind::Application);
    let of_gateways = of(ReleaseKind::Gateway);
    all.extend(of_gateways.into_iter().filter(|probe| probe.id.starts_with("happy-")));
    all
}

fn probe(id: &str, mode: Mode) -> Probe {
    plan(mode, true)
        .into_iter()
        .chain(plan(mode, false))
        .find(|probe| probe.id == id)
        .unwrap_or_else(|| panic!("no probe {id} in {mode} mode"))
}

fn policy() -> Policy {
    Policy {
        surface: Surface::Chat,
        model: "m-1".to_owned(),
        models: Vec::new(),
        fallback_models: Vec::new(),
        max_attempts: 3,
        max_elapsed_ms: 20_000,
        retry_is_declared: false,
        deadline_ms: 30_000,
        calls_per_ask: 1,
        required_fields: Vec::new(),
        streams_only: false,
        is_proxied: false,
        kind: ReleaseKind::Application,
    }
}

/// A call at `at` ms that was answered with `status` after 10 ms.
fn call(attempt: u32, at: u64, status: u16) -> Exchange {
    let good = status == 200;
    Exchange {
        attempt,
        started_ms: at,
        ended_ms: at + 10,
        request: RequestSeen {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            exposure: Exposure::None,
            resource: "/chat/completions".to_owned(),
            host: "api.example".to_owned(),
            header_names: Vec::new(),
            auth: AuthScheme::Bearer,
            credential: None,
            shape: Shape::default(),
            roles: Vec::new(),
            model: Some("m-1".to_owned()),
            stream: false,
            fault: None,
            client: None,
            retry_count: None,
            carries_marker: true,
            question: QuestionSeen::Whole,
            lost: None,
            other_asks: 0,
            body_bytes: 100,
        },
        response: Some(ResponseSeen {
            status,
            content_type: Some("application/json".to_owned()),
            request_ids: vec![format!("req_{attempt}")],
            retry_after_ms: None,
            head_ms: at + 5,
            judgement: Judgement {
                verdict: if good { ContractVerdict::Pass } else { ContractVerdict::Hold },
                completion: if good { Completion::Complete } else { Completion::Error },
                findings: Vec::new(),
                error: (!good).then_some(ErrorFacts {
                    class: match status {
                        401 | 403 => ErrorClass::Auth,
                        404 => ErrorClass::NotFound,
                        400 => ErrorClass::InvalidRequest,
                        429 => ErrorClass::RateLimit,
                        _ => ErrorClass::Server,
                    },
                    retry_safe: status >= 429,
                    code: None,
                    request_id: None,
                }),
                body: BodyKind::Json,
                shape: Shape::default(),
                events: 0,
                response_id: None,
                model: None,
            },
            body_bytes: 10,
        }),
        answered_by: AnsweredBy::Tap,
        release_end: End::Complete,
        provider_end: None,
    }
}

/// The same, from the provider.
fn live(status: u16) -> Exchange {
    Exchange { answered_by: AnsweredBy::Provider, ..call(1, 0, status) }
}

fn streamed(exchange: Exchange) -> Exchange {
    Exchange { request: RequestSeen { stream: true, ..exchange.request.clone() }, ..exchange }
}

fn answered() -> Outcome {
    Outcome::Answered { elapsed_ms: 50, answer_bytes: 10 }
}

fn refused() -> Outcome {
    Outcome::Refused { elapsed_ms: 50, how: "exit status 1".to_owned() }
}

/// What is judged, with defaults for all that a test does not care about.
struct Scene {
    probe: Probe,
    policy: Policy,
    exchanges: Vec<Exchange>,
    outcome: Outcome,
    answer: AnswerRelation,
    calls: CallsRelation,
    unsaid: bool,
    control: Option<Control>,
    logs: LogEvidence,
    afterwards: Option<OutcomeKind>,
    machine: Machine,
}

fn scene(id: &str, exchanges: Vec<Exchange>, outcome: Outcome, answer: AnswerRelation) -> Scene {
    Scene {
        probe: probe(id, Mode::Unary),
        policy: policy(),
        exchanges,
        outcome,
        answer,
        calls: CallsRelation::None,
        unsaid: false,
        control: Some(Control::Good),
        logs: LogEvidence::default(),
        afterwards: None,
        machine: Machine::default(),
    }
}

impl Scene {
    fn judged(&self) -> Judged {
        let observation =
            Observation { exchanges: self.exchanges.clone(), ..Observation::default() };
        judge(&Case {
            role: Role::New,
            probe: &self.probe,
            policy: &self.policy,
            observation: &observation,
            outcome: &self.outcome,
            answer: self.answer,
            calls: self.calls,
            unsaid: self.unsaid,
            control: self.control.as_ref(),
            logs: &self.logs,
            afterwards: self.afterwards,
            machine: self.machine,
        })
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, Severity)]) {
        assert_codes(&self.judged().findings, expected);
    }
}

#[track_caller]
fn assert_codes(findings: &[Finding], expected: &[(&str, Severity)]) {
    let found: Vec<(&str, Severity)> =
        findings.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect();
    assert_eq!(found, expected, "{findings:#?}");
}

use AnswerRelation as A;
use Severity::{Ambiguous, Fail, Warn};

#[test]
fn blank_that_the_provider_delivered_is_a_warning_where_it_is_passed_on() {
    let scene = |id: &'static str, kind| {
        let mode = if id.starts_with("stream") { Mode::Stream } else { Mode::Unary };
        let mut scene = scene("shape-content-null", vec![call(1, 0, 200)], answered(), A::Empty);
        scene.probe = probe(id, mode);
        for call in &mut scene.exchanges {
            call.request.stream = mode == Mode::Stream;
        }
        scene.policy.kind = kind;
        scene
    };
    let code = "error-became-empty-answer";
    for kind in [ReleaseKind::Application, ReleaseKind::Gateway] {
        scene("shape-content-empty", kind).check(&[(code, Warn)]);
        // Here the provider has failed.
        scene("shape-content-null", kind).check(&[(code, Fail)]);
    }
    for id in ["stream-no-content", "stream-refusal"] {
        scene(id, ReleaseKind::Gateway).check(&[(code, Warn)]);
        scene(id, ReleaseKind::Application).check(&[(code, Fail)]);
    }
}

#[test]
fn a_stream_that_was_asked_for_again_is_whole_or_refused() {
    let streamed = |attempt, at, completion| {
        let mut call = call(attempt, at, 200);
        call.request.stream = true;
        if let Some(response) = &mut call.response {
            response.judgement.completion = completion;
        }
        call
    };
    let cut = || streamed(1, 0, Completion::Truncated);
    let check = |calls: Vec<Exchange>, outcome, answer, expected: &[(&str, Severity)]| {
        let mut scene = scene("happy-live", calls, outcome, answer);
        scene.probe = probe("stream-cut-once", Mode::Stream);
        scene.check(expected);
    };
    let twice = || vec![cut(), streamed(2, 600, Completion::Complete)];
    check(vec![cut()], refused(), A::Partial, &[]);
    check(twice(), answered(), A::Whole, &[]);
    check(twice(), answered(), A::Littered, &[("answer-damaged", Fail)]);
    check(vec![cut()], answered(), A::Whole, &[("incomplete-reply-accepted", Fail)]);
}

/// Who has all bytes of a slow reply leaves before the tap is done with it: that is no cut.
#[test]
fn a_slow_reply_is_judged_by_what_was_taken_of_it() {
    let mut slow = call(1, 0, 200);
    if let Some(response) = &mut slow.response {
        response.judgement.completion = Completion::Truncated;
    }
    for (answer, expected) in [(A::Whole, &[][..]), (A::Labelled, &[("answer-damaged", Fail)])] {
        scene("network-slow-drip", vec![slow.clone()], answered(), answer).check(expected);
    }
    // A stream shows by itself when it is whole: all that was delivered of it may still be half.
    slow.request.stream = true;
    let mut streamed = scene("network-slow-drip", vec![slow], answered(), A::Whole);
    streamed.probe = probe("network-slow-drip", Mode::Stream);
    streamed.check(&[("incomplete-reply-accepted", Fail)]);
    if let Some(response) = &mut streamed.exchanges[0].response {
        response.judgement.completion = Completion::Complete;
    }
    streamed.check(&[]);
}

#[test]
fn a_question_that_comes_back_in_place_of_an_error_is_no_part_of_a_reply() {
    scene("request-400", vec![call(1, 0, 400)], answered(), A::Labelled)
        .check(&[("error-became-answer", Fail)]);
}

/// Whatever came of the provider: another user's text is never an answer.
#[test]
fn text_of_another_ask_is_named_as_such_after_an_error_too() {
    scene("overload-503", vec![call(1, 0, 503)], answered(), A::OfAnother)
        .check(&[("answer-not-from-provider", Fail)]);
}

#[test]
fn whole_answer_to_a_good_reply_passes() {
    scene("happy-live", vec![live(200)], answered(), A::Whole).check(&[]);
    scene("happy-unicode", vec![call(1, 0, 200)], answered(), A::Whole).check(&[]);
}

#[test]
fn damaged_incomplete_empty_or_foreign_answers_fail() {
    for (answer, code) in [
        (A::Labelled, "answer-damaged"),
        (A::Partial, "answer-incomplete"),
        (A::Repeated, "answer-repeated"),
        (A::Thought, "answer-damaged"),
        (A::Littered, "answer-damaged"),
        (A::Respaced, "answer-damaged"),
        (A::OfAnother, "answer-not-from-provider"),
        (A::Empty, "empty-answer"),
        (A::Unrelated, "answer-not-from-provider"),
    ] {
        scene("happy-unicode", vec![call(1, 0, 200)], answered(), answer).check(&[(code, Fail)]);
    }
}

#[test]
fn a_live_provider_may_say_more_than_the_label() {
    scene("happy-live", vec![live(200)], answered(), A::Labelled).check(&[]);
    scene("happy-live", vec![live(200)], answered(), A::Respaced).check(&[]);
    scene("happy-live", vec![live(200)], answered(), A::UnrelatedToOffTopic)
        .check(&[("answer-differs", Warn)]);
}

#[test]
fn who_leaves_a_live_reply_early_has_no_whole_answer() {
    let left = |completion, verdict| {
        let mut call = live(200);
        call.release_end = End::PeerLeft;
        call.provider_end = Some(End::Injected);
        if let Some(response) = &mut call.response {
            (response.judgement.completion, response.judgement.verdict) = (completion, verdict);
        }
        scene("happy-live", vec![call], answered(), A::Whole)
    };
    // At the finish reason everything was there.
    left(Completion::Complete, ContractVerdict::Pass).check(&[]);
    left(Completion::Truncated, ContractVerdict::Hold)
        .check(&[("incomplete-reply-accepted", Fail)]);
}

#[test]
fn what_is_sent_is_held_against_the_documentation() {
    let sent = |change: fn(&mut RequestSeen)| {
        let mut call = live(200);
        change(&mut call.request);
        scene("happy-live", vec![call], answered(), A::Whole)
    };
    sent(|request| request.exposure = Exposure::Url).check(&[("credential-in-url", Fail)]);
    sent(|request| request.exposure = Exposure::Body).check(&[("credential-in-body", Fail)]);
    sent(|request| request.fault = Some("wrong type of temperature".to_owned()))
        .check(&[("request-off-contract", Warn)]);
}

#[test]
fn answer_without_a_call_is_a_mock_or_a_cache() {
    scene("happy-live", vec![], answered(), A::Unrelated)
        .check(&[("answer-without-provider", Fail)]);
    scene("overload-503", vec![], answered(), A::Unrelated)
        .check(&[("answer-without-provider", Fail)]);
}

#[test]
fn nothing_observed_is_never_a_pass() {
    for outcome in [refused(), Outcome::TimedOut { elapsed_ms: 30_000 }] {
        scene("happy-live", vec![], outcome.clone(), A::None).check(&[("not-observed", Ambiguous)]);
        scene("request-400", vec![], outcome, A::None).check(&[("not-observed", Ambiguous)]);
    }
}

#[test]
fn refused_connection_needs_no_call() {
    scene("network-refused", vec![], refused(), A::None).check(&[]);
    scene("network-refused", vec![], Outcome::TimedOut { elapsed_ms: 1 }, A::None)
        .check(&[("hung", Fail)]);
    scene("network-refused", vec![], answered(), A::Unrelated)
        .check(&[("error-became-answer", Fail)]);
}

#[test]
fn an_error_must_not_become_an_answer() {
    for (answer, code) in [
        (A::Whole, "incomplete-reply-accepted"),
        (A::Partial, "incomplete-reply-accepted"),
        (A::Empty, "error-became-empty-answer"),
        (A::Unrelated, "error-became-answer"),
    ] {
        scene("request-400", vec![call(1, 0, 400)], answered(), answer).check(&[(code, Fail)]);
    }
    scene("request-400", vec![call(1, 0, 400)], refused(), A::None).check(&[]);
}

#[test]
fn what_stock_sdks_let_through_with_its_text_is_a_warning() {
    let bad_form =
        |answer| scene("shape-content-wrong-type", vec![call(1, 0, 200)], answered(), answer);
    let hold = |mut scene: Scene| {
        if let Some(response) = &mut scene.exchanges[0].response {
            response.judgement.verdict = ContractVerdict::Hold;
        }
        scene
    };
    hold(bad_form(A::Whole)).check(&[]);
    hold(bad_form(A::Labelled)).check(&[("incomplete-reply-accepted", Warn)]);
    hold(bad_form(A::TypeName)).check(&[("error-became-answer", Warn)]);
    hold(bad_form(A::Unrelated)).check(&[("error-became-answer", Fail)]);
}

#[test]
fn hanging_and_crashing_fail_everywhere() {
    let hung = Outcome::TimedOut { elapsed_ms: 30_000 };
    let crashed = Outcome::Crashed { elapsed_ms: 1, how: crate::CrashKind::Signal { number: 6 } };
    for id in ["happy-unicode", "overload-503", "network-slow-drip", "shape-html"] {
        scene(id, vec![call(1, 0, 200)], hung.clone(), A::None).check(&[("hung", Fail)]);
        scene(id, vec![call(1, 0, 200)], crashed.clone(), A::None).check(&[("crashed", Fail)]);
    }
}

#[test]
fn a_refused_variation_fails_where_every_client_must_take_it() {
    scene("tolerated-extra-fields", vec![call(1, 0, 200)], refused(), A::None)
        .check(&[("tolerated-variation-refused", Fail)]);
    scene("happy-unicode", vec![call(1, 0, 200)], refused(), A::None)
        .check(&[("happy-path-refused", Fail)]);
}

#[test]
fn rejected_credential_is_the_releases_only_when_the_control_is_well() {
    let mut scene = scene("happy-live", vec![live(401)], refused(), A::None);
    scene.check(&[("credential-rejected", Fail)]);
    scene.control = Some(Control::Refused { status: 401, class: ErrorClass::Auth });
    scene.check(&[("provider-trouble", Ambiguous)]);
    scene.control = Some(Control::Unreachable);
    scene.check(&[("provider-trouble", Ambiguous)]);
    scene.control = None;
    scene.check(&[("provider-trouble", Ambiguous)]);
}

#[test]
fn provider_trouble_is_never_the_releases() {
    for status in [429, 500, 503] {
        scene("happy-live", vec![live(status)], refused(), A::None)
            .check(&[("provider-trouble", Ambiguous)]);
        scene("auth-invalid-credential", vec![live(status)], refused(), A::None)
            .check(&[("provider-trouble", Ambiguous)]);
    }
    let unreachable = Exchange { answered_by: AnsweredBy::ProviderUnreachable, ..call(1, 0, 502) };
    scene("happy-live", vec![unreachable], refused(), A::None)
        .check(&[("provider-unreachable", Ambiguous)]);
}

#[test]
fn invalid_credential_must_be_refused_by_the_provider_to_prove_anything() {
    scene("auth-invalid-credential", vec![live(401)], refused(), A::None).check(&[]);
    scene("auth-invalid-credential", vec![live(200)], answered(), A::Whole)
        .check(&[("stimulus-not-applied", Ambiguous)]);
    let twice =
        vec![live(401), Exchange { attempt: 2, started_ms: 600, ended_ms: 610, ..live(401) }];
    scene("auth-invalid-credential", twice, refused(), A::None)
        .check(&[("non-retryable-retried", Fail)]);
    scene("auth-invalid-credential", vec![live(401)], answered(), A::Unrelated)
        .check(&[("error-became-answer", Fail)]);
}

#[test]
fn reply_off_contract_is_ambiguous_whatever_the_release_made_of_it() {
    let mut off = live(200);
    if let Some(response) = &mut off.response {
        response.judgement.verdict = ContractVerdict::Hold;
        response.judgement.completion = Completion::Nothing;
    }
    for (outcome, answer) in [(refused(), A::None), (answered(), A::Empty)] {
        scene("happy-live", vec![off.clone()], outcome, answer)
            .check(&[("provider-reply-off-contract", Ambiguous)]);
    }
}

#[test]
fn wrong_model_on_the_happy_path_and_silent_fallback_after_trouble() {
    let other = |mut exchange: Exchange| {
        exchange.request.model = Some("m-2".to_owned());
        exchange
    };
    scene("happy-live", vec![other(live(200))], answered(), A::Whole)
        .check(&[("wrong-model", Fail)]);
    let fell_back = vec![call(1, 0, 503), other(call(2, 500, 503))];
    let mut scene = scene("overload-503", fell_back, refused(), A::None);
    scene.check(&[("silent-fallback", Fail)]);
    scene.policy.fallback_models = vec!["m-2".to_owned()];
    scene.check(&[("declared-fallback", Severity::Info)]);
}

#[test]
fn odd_paths_and_blank_credentials_are_seen_on_a_call_that_went_well() {
    for (path, code, severity) in [
        ("/v1/v1/chat/completions", "path-has-doubled-version", Fail),
        ("/chat/completions", "path-lacks-version", Fail),
        ("/v1//chat/completions", "path-has-double-slash", Warn),
        ("/v1/completions", "path-is-not-the-surface", Fail),
    ] {
        let mut exchange = live(200);
        exchange.request.path = path.to_owned();
        scene("happy-live", vec![exchange], answered(), A::Whole).check(&[(code, severity)]);
    }
    for auth in [AuthScheme::None, AuthScheme::BearerBlank] {
        let mut exchange = live(200);
        exchange.request.auth = auth;
        scene("happy-live", vec![exchange], answered(), A::Whole)
            .check(&[("credential-blank", Fail)]);
    }
}

#[test]
fn more_good_calls_than_an_ask_makes_fail() {
    let twice =
        vec![live(200), Exchange { attempt: 2, started_ms: 100, ended_ms: 110, ..live(200) }];
    scene("happy-live", twice, answered(), A::Whole).check(&[("extra-calls", Fail)]);
}

#[test]
fn stream_that_does_not_stream_is_not_exercised() {
    let mut scene = scene("happy-live", vec![live(200)], answered(), A::Whole);
    scene.probe = probe("happy-live", Mode::Stream);
    scene.check(&[("mode-not-exercised", Ambiguous)]);
    scene.exchanges = vec![streamed(live(200))];
    scene.check(&[]);
}

#[test]
fn lost_observation_makes_everything_ambiguous() {
    let scene = scene("happy-live", vec![live(200)], answered(), A::Whole);
    let observation =
        Observation { exchanges: scene.exchanges.clone(), lost: 1, ..Observation::default() };
    let judged = judge(&Case {
        role: Role::New,
        probe: &scene.probe,
        policy: &scene.policy,
        observation: &observation,
        outcome: &scene.outcome,
        answer: scene.answer,
        calls: scene.calls,
        unsaid: scene.unsaid,
        control: None,
        logs: &scene.logs,
        afterwards: None,
        machine: Machine::default(),
    });
    assert_eq!(judged.findings[0].code, "observation-lost");
    assert_eq!(judged.findings[0].severity, Ambiguous);
}

#[test]
fn answer_that_ended_early_is_no_good_reply() {
    let ended = |completion| {
        let mut exchange = call(1, 0, 200);
        if let Some(response) = &mut exchange.response {
            response.judgement.verdict = ContractVerdict::Warn;
            response.judgement.completion = completion;
        }
        exchange
    };
    for completion in [Completion::LengthLimit, Completion::Filtered, Completion::Truncated] {
        let exchange = ended(completion);
        scene("shape-finish-length", vec![exchange.clone()], answered(), A::Whole)
            .check(&[("incomplete-reply-accepted", Fail)]);
        // The provider's own limit on the live happy path is nobody's fault here.
        let live = Exchange { answered_by: AnsweredBy::Provider, ..exchange };
        let mut limited = scene("happy-live", vec![live.clone()], refused(), A::None);
        limited.control = None;
        limited.check(&[("provider-reply-off-contract", Ambiguous)]);
        // Where surestep's own call, without a limit, was answered whole, a limit that the release sets is too small; where it sets none,
        // the model's own one has ended the answer.
        for (request, own) in [(r#"{"max_tokens":1}"#, true), (r#"{"max_tokens":null}"#, false)] {
            let mut live = live.clone();
            live.request.shape = Shape::of(request.as_bytes()).unwrap();
            let mut limited = scene("happy-live", vec![live], refused(), A::None);
            limited.control = Some(Control::Good);
            limited.check(&[if own && completion == Completion::LengthLimit {
                ("token-limit-too-small", Fail)
            } else {
                ("provider-reply-off-contract", Ambiguous)
            }]);
        }
    }
}
