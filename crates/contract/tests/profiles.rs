//! Custom profiles: what they forgive, and what none can.
#![allow(dead_code, reason = "builders of the other test")]
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

#[path = "violations/build.rs"]
mod build;

use std::collections::{BTreeMap, BTreeSet};

use build::Reply;
use contract::{
    BodyEnd, Code, Completion, ContractDocument, ContractVerdict, CustomProfile, Envelope,
    ErrorClass, FinishMeaning, Judgement, Mode, OpenApi, Profile, ProfileFault, Requirement,
    ResponseJudge, Surface,
};
use serde_json::{Value, json};

fn judge(reply: &Reply, profile: Profile) -> Judgement {
    let mut judge = ResponseJudge::new(reply.surface, reply.mode, profile);
    judge.head(
        reply.status,
        reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    judge.push(&reply.body);
    judge.finish(reply.end).0
}

fn set_of(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Forgives whatever a profile can forgive.
fn lenient() -> CustomProfile {
    let fields = |surface| CustomProfile::fields_that_may_be_missing(surface);
    let all: BTreeSet<_> =
        fields(Surface::Chat).into_iter().chain(fields(Surface::Responses)).collect();
    CustomProfile {
        name: "lenient".to_owned(),
        extends: Profile::GeminiCompat.into(),
        finish_reasons: BTreeMap::from([("eos_reached".to_owned(), FinishMeaning::Stop)]),
        events: set_of(&["ping", "keepalive"]),
        missing: all.clone(),
        null: all,
        envelope: Some(Envelope {
            code: Some("/fault/id".to_owned()),
            message: Some("/fault/text".to_owned()),
            request_id: Some("/fault/trace".to_owned()),
            ..Envelope::default()
        }),
        codes: BTreeMap::from([
            ("E42".to_owned(), Code { class: ErrorClass::RateLimit, retry_safe: true }),
            ("E77".to_owned(), Code { class: ErrorClass::Quota, retry_safe: false }),
        ]),
        request_id_header: Some("x-acme-trace".to_owned()),
        ..CustomProfile::default()
    }
}

#[test]
fn declared_deviations_are_no_findings() {
    let profile = lenient().publish();
    let replies = [
        build::chat_without("/usage"),
        build::chat_set("/created", Value::Null),
        build::chat_without("/id"),
        build::chat_set("/choices/0/finish_reason", json!("eos_reached")),
        build::stream_set(1, "/id", Value::Null),
        build::stream_set(3, "/choices/0/finish_reason", json!("eos_reached")),
        build::stream(|_| {}).swap("data: {", "event: ping\ndata: {\"t\":1}\n\ndata: {"),
        build::responses(|value| build::remove(value, "/model")),
    ];
    for reply in replies {
        assert_ne!(judge(&reply, Profile::Openai).verdict, ContractVerdict::Pass);
        let judgement = judge(&reply, profile);
        assert_eq!(judgement.verdict, ContractVerdict::Pass, "{:?}", judgement.findings);
        assert_eq!(judgement.completion, Completion::Complete);
    }
}

#[test]
fn what_is_not_declared_stays_a_finding() {
    let profile = lenient().publish();
    for (reply, code) in [
        (build::chat_set("/created", json!("yesterday")), "created-odd"),
        (build::chat_set("/choices/0/finish_reason", json!("who knows")), "finish-reason-unknown"),
        (
            build::stream(|_| {}).swap("data: {", "event: odd\ndata: {\"t\":1}\n\ndata: {"),
            "event-unknown",
        ),
    ] {
        let judgement = judge(&reply, profile);
        assert!(judgement.findings.iter().any(|f| f.code == code), "{:?}", judgement.findings);
    }
}

#[test]
fn no_profile_makes_an_answer_of_what_is_none() {
    let profile = lenient().publish();
    let html = "<!doctype html><html><body>502 Bad Gateway</body></html>";
    let mut garbage = Vec::new();
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            for body in [
                "",
                " \n",
                html,
                "null",
                "{}",
                "[]",
                "\"x\"",
                "{\"choices\":null}",
                "{\"output\":[]}",
                "data: [DONE]\n\n",
                ": ping\n\n",
                "event: ping\ndata: {}\n\n",
                "{\"fault\":{\"id\":\"E42\"}}",
            ] {
                garbage.push(Reply::new(surface, mode, body));
            }
        }
    }
    garbage.extend([
        build::chat_without("/choices"),
        build::chat_set("/choices", json!([])),
        build::chat_set("/choices/0/message/content", json!("")),
        build::chat_without("/choices/0/finish_reason"),
        build::chat(|_| {}).bytes(|body| body[..body.len() / 2].to_vec()),
        build::chat(|_| {}).cut(),
        build::stream(|chunks| chunks.truncate(3)),
        build::stream(|_| {}).bytes(|body| body[..body.len() / 2].to_vec()),
        build::responses(|value| build::remove(value, "/output")),
        build::responses_stream(|events| events.truncate(6)),
        build::chat_set("/choices/0/finish_reason", json!("error")),
    ]);
    for reply in garbage {
        let judgement = judge(&reply, profile);
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(judgement.verdict, ContractVerdict::Hold, "{body}");
        assert!(!judgement.completion.is_finished(), "{body}");
    }
}

#[test]
fn what_would_turn_garbage_into_a_pass_cannot_be_declared() {
    use FinishMeaning::{Length, Stop, ToolCalls};
    let field = CustomProfile::check_field;
    for needed in ["/choices", "/choices/0/finish_reason", "/choices/[]/message"] {
        let fault = field(Surface::Chat, needed).unwrap_err();
        assert!(matches!(fault, ProfileFault::NeededField(_)), "{needed}");
    }
    assert!(matches!(field(Surface::Chat, "/chioces"), Err(ProfileFault::UnknownField(_))));
    assert!(matches!(
        field(Surface::Responses, "/output/0/type"),
        Err(ProfileFault::NeededField(_))
    ));
    assert_eq!(field(Surface::Chat, "/choices/0/index").as_deref(), Ok("/choices/[]/index"));
    let finish = CustomProfile::check_finish_reason;
    for (word, meaning) in [
        ("error", Stop),
        ("content_filter", Stop),
        ("refusal", Stop),
        ("length", Stop),
        ("SAFETY", ToolCalls),
    ] {
        assert!(finish(word, meaning).is_err(), "{word}");
    }
    assert_eq!(finish("max_tokens", Length), Ok(()));
    assert_eq!(finish("eos_reached", Stop), Ok(()));
    assert!(CustomProfile::check_event(Surface::Chat, "error").is_err());
    assert!(CustomProfile::check_event(Surface::Responses, "response.failed").is_err());
    assert_eq!(CustomProfile::check_event(Surface::Responses, "acme.trace"), Ok(()));
}

#[test]
fn errors_are_read_where_the_profile_says() {
    let profile = lenient().publish();
    let error = |status: u16, body: Value| {
        let reply = Reply::new(Surface::Chat, Mode::Unary, body.to_string()).status(status);
        judge(&reply.header("X-Acme-Trace", "h-9"), profile)
    };
    let own = error(400, json!({"fault": {"id": "E42", "text": "slow", "trace": "t-1"}}));
    let facts = own.error.unwrap();
    assert_eq!((facts.class, facts.retry_safe), (ErrorClass::RateLimit, true));
    assert_eq!((facts.code.as_deref(), facts.request_id.as_deref()), (Some("E42"), Some("t-1")));
    assert!(own.findings.iter().all(|finding| finding.code != "error-body-unreadable"));
    let facts = error(429, json!({"fault": {"id": "E77"}})).error.unwrap();
    assert_eq!((facts.class, facts.retry_safe), (ErrorClass::Quota, false));
    assert_eq!(facts.request_id.as_deref(), Some("h-9"));
    // A code in the common envelope counts as well, and an unknown one leaves the class to the status.
    let facts = error(500, json!({"error": {"code": "E77", "message": "x"}})).error.unwrap();
    assert_eq!(facts.class, ErrorClass::Quota);
    let facts = error(401, json!({"fault": {"id": "E1"}})).error.unwrap();
    assert_eq!((facts.class, facts.retry_safe), (ErrorClass::Auth, false));
    // The same error with a success status is one, too.
    let inside = error(200, json!({"fault": {"id": "E42", "text": "slow"}}));
    assert_eq!((inside.verdict, inside.completion), (ContractVerdict::Hold, Completion::Error));
    assert_eq!(inside.error.unwrap().class, ErrorClass::RateLimit);
}

fn document(reply: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": {"/v1/chat/completions": {"post": {"responses": {"200": {"content": {"application/json": {"schema": reply}}}}}}}
    })
}

fn required_by(reply: &Value) -> Profile {
    let read = OpenApi::read(&document(reply), Surface::Chat).unwrap();
    let requirement =
        Requirement { surface: Surface::Chat, unary: read.unary, stream: read.stream };
    CustomProfile { requirement: Some(requirement), ..CustomProfile::default() }.publish()
}

#[test]
fn a_reply_that_violates_the_declared_document_gets_findings() {
    let profile = required_by(&json!({
        "type": "object",
        "required": ["id", "trace", "choices"],
        "properties": {
            "id": {"type": "string"},
            "trace": {"type": "object", "required": ["span"], "properties": {"span": {"type": "integer"}}},
            "choices": {"type": "array", "items": {"type": "object", "additionalProperties": false,
                "properties": {"index": {}, "message": {}, "finish_reason": {}, "logprobs": {"type": "object", "nullable": true}}}}
        }
    }));
    let told = |reply: &Reply| -> Vec<String> {
        let findings = judge(reply, profile).findings;
        findings.iter().map(|f| format!("{:?} {} {} {}", f.verdict, f.code, f.at, f.seen)).collect()
    };
    let with = |trace: Value| build::chat(|value| value["trace"] = trace);
    assert_eq!(told(&with(json!({"span": 1}))), Vec::<String>::new());
    assert_eq!(told(&build::chat(|_| {})), ["Hold openapi-field-missing /trace absent"]);
    assert_eq!(told(&with(json!({}))), ["Hold openapi-field-missing /trace/span absent"]);
    assert_eq!(told(&with(json!({"span": "1"}))), ["Hold openapi-wrong-type /trace/span string"]);
    assert_eq!(told(&with(Value::Null)), ["Hold openapi-wrong-type /trace null"]);
    let extra = build::chat(|value| {
        value["trace"] = json!({"span": 1});
        value["choices"][0]["x"] = json!(1);
    });
    assert_eq!(told(&extra), ["Warn openapi-field-unknown /choices/[]/x integer"]);
    // What came from an error status is not held against the document of a success.
    let error = Reply::new(Surface::Chat, Mode::Unary, "{}").status(500);
    assert!(told(&error).iter().all(|finding| !finding.contains("openapi")));
    assert_eq!(build::chat(|_| {}).end, BodyEnd::Complete);
}

#[test]
fn the_healthy_reply_is_as_the_built_in_contract_outlines_it() {
    for surface in [Surface::Chat, Surface::Responses] {
        let document = ContractDocument::of(surface);
        let requirement = Requirement {
            surface,
            unary: Some(document.reply_outline()),
            stream: Some(document.stream_outline()),
        };
        let profile =
            CustomProfile { requirement: Some(requirement), ..CustomProfile::default() }.publish();
        for reply in [
            build::chat(|_| {}),
            build::chat_tools(|_| {}),
            build::stream(|_| {}),
            build::stream_tools(|_| {}),
            build::responses(|_| {}),
            build::responses_stream(|_| {}),
        ] {
            assert_eq!(judge(&reply, profile).findings, [], "{surface}");
        }
    }
}
