//! The documented replies, read back.

mod judge;

use serde_json::json;

use super::*;
use crate::dump::{Dump, judge_dump};
use crate::{Completion, Mode, RequestFault};

const TEXT: &str = "SSL-22 Grüße, \"世界\" 🌍\n\\ end";

fn ctx(surface: Surface, profile: Profile) -> ReplyContext<'static> {
    ReplyContext {
        surface,
        profile,
        model: "gpt-5.4-mini",
        text: TEXT,
        id: match surface {
            Surface::Chat => "chatcmpl-22",
            Surface::Responses => "resp_22",
        },
        request_id: "20261122073000000000000abcdEFGH",
        created: 1_795_000_000,
        include_usage: false,
    }
}

fn documents(events: &[StreamEvent]) -> Vec<Value> {
    events.iter().filter_map(StreamEvent::json).collect()
}

#[track_caller]
fn at<'v>(document: &'v Value, pointer: &str) -> &'v Value {
    document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {document}"))
}

#[test]
fn chat_completion_has_the_documented_fields() {
    let completion = unary(&ctx(Surface::Chat, Profile::Cometapi));
    assert_eq!(at(&completion, "/object"), "chat.completion");
    assert_eq!(at(&completion, "/id"), "chatcmpl-22");
    assert_eq!(at(&completion, "/created"), 1_795_000_000);
    assert_eq!(at(&completion, "/model"), "gpt-5.4-mini");
    assert_eq!(at(&completion, "/choices/0/index"), 0);
    assert_eq!(at(&completion, "/choices/0/message/role"), "assistant");
    assert_eq!(at(&completion, "/choices/0/message/content"), TEXT);
    assert_eq!(at(&completion, "/choices/0/message/refusal"), &Value::Null);
    assert_eq!(at(&completion, "/choices/0/message/annotations"), &json!([]));
    assert_eq!(at(&completion, "/choices/0/logprobs"), &Value::Null);
    assert_eq!(at(&completion, "/choices/0/finish_reason"), "stop");
    assert_eq!(at(&completion, "/service_tier"), "default");
    assert!(at(&completion, "/system_fingerprint").is_string());
    assert_eq!(at(&completion, "/usage/completion_tokens_details/reasoning_tokens"), 0);
    assert_eq!(at(&completion, "/usage/prompt_tokens_details/cached_tokens"), 0);
    let count = |field: &str| at(&completion, &format!("/usage/{field}")).as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
}

#[test]
fn chat_stream_delivers_the_text_and_ends_as_documented() {
    let events = stream(&ctx(Surface::Chat, Profile::Openai));
    assert_eq!(events.last(), Some(&StreamEvent::unnamed(DONE)));
    assert!(events.iter().all(|event| event.event.is_none()));
    let chunks = documents(&events);
    assert_eq!(chunks.len(), events.len() - 1);
    let deltas: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/content")?.as_str())
        .collect();
    assert!(
        (6..=11).contains(&deltas.len()) && deltas.contains(&" ") && deltas.contains(&"\n"),
        "the role's empty content, three to six pieces, and a blank and a line break out of them: {deltas:?}"
    );
    assert_eq!(deltas.concat(), TEXT);
    assert_eq!(at(&chunks[0], "/choices/0/delta/role"), "assistant");
    let (finish, before) = chunks.split_last().unwrap();
    assert_eq!(at(finish, "/choices/0/finish_reason"), "stop");
    assert_eq!(at(finish, "/choices/0/delta"), &json!({}));
    for chunk in before {
        assert_eq!(at(chunk, "/choices/0/finish_reason"), &Value::Null);
    }
    for chunk in &chunks {
        assert_eq!(at(chunk, "/object"), "chat.completion.chunk");
        assert_eq!(chunk.get("usage"), None, "usage was not asked for");
    }
}

#[test]
fn usage_chunk_comes_only_when_asked_for() {
    let events =
        stream(&ReplyContext { include_usage: true, ..ctx(Surface::Chat, Profile::Openai) });
    let chunks = documents(&events);
    let (usage, before) = chunks.split_last().unwrap();
    assert_eq!(at(usage, "/choices"), &json!([]));
    assert!(at(usage, "/usage/total_tokens").is_u64());
    assert_eq!(at(before.last().unwrap(), "/choices/0/finish_reason"), "stop");
    for chunk in before {
        assert_eq!(at(chunk, "/usage"), &Value::Null);
    }
}

#[test]
fn response_has_the_documented_fields() {
    let response = unary(&ctx(Surface::Responses, Profile::Openai));
    assert_eq!(at(&response, "/object"), "response");
    assert_eq!(at(&response, "/status"), "completed");
    assert_eq!(at(&response, "/output/0/content/0/type"), "output_text");
    assert_eq!(at(&response, "/output/0/content/0/text"), TEXT);
    assert_eq!(at(&response, "/output/0/content/0/annotations"), &json!([]));
    for pointer in [
        "/parallel_tool_calls",
        "/tool_choice",
        "/tools",
        "/error",
        "/incomplete_details",
        "/metadata",
    ] {
        at(&response, pointer);
    }
    assert_eq!(at(&response, "/usage/input_tokens_details/cache_write_tokens"), 0);
    let comet = unary(&ctx(Surface::Responses, Profile::Cometapi));
    assert_eq!(
        comet.pointer("/usage/input_tokens_details/cache_write_tokens"),
        None,
        "not in CometAPI's documentation"
    );
}

#[test]
fn responses_stream_has_the_documented_order() {
    let events = stream(&ctx(Surface::Responses, Profile::Cometapi));
    let documents = documents(&events);
    assert_eq!(documents.len(), events.len(), "no [DONE] on this surface");
    for (event_index, (event, document)) in events.iter().zip(&documents).enumerate() {
        assert_eq!(event.event.as_deref(), at(document, "/type").as_str());
        assert_eq!(at(document, "/sequence_number"), event_index);
    }
    let mut kinds: Vec<&str> =
        documents.iter().map(|document| at(document, "/type").as_str().unwrap()).collect();
    kinds.dedup();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    let delivered: String = documents
        .iter()
        .filter_map(|document| document.get("delta").and_then(Value::as_str))
        .collect();
    assert_eq!(delivered, TEXT);
    let first = &documents[0];
    assert_eq!(at(first, "/response/usage"), &Value::Null);
    let last = documents.last().unwrap();
    assert_eq!(at(last, "/response/status"), "completed");
    assert!(at(last, "/response/usage/total_tokens").is_u64());
    assert_eq!(at(first, "/response/id"), at(last, "/response/id"));
    assert_eq!(at(&documents[2], "/item/id"), at(last, "/response/output/0/id"));
}

#[test]
fn events_are_framed_with_an_empty_line() {
    let events = [StreamEvent::named("a", "{}"), StreamEvent::unnamed(DONE)];
    assert_eq!(encode(&events), b"event: a\ndata: {}\n\ndata: [DONE]\n\n");
    assert_eq!(StreamEvent::unnamed("1\n2").to_bytes(), b"data: 1\ndata: 2\n\n");
}

#[track_caller]
fn check_error(profile: Profile, kind: ErrorKind, status: u16, expected: &Value) {
    let reply = error(kind, &ctx(Surface::Chat, profile));
    assert_eq!(reply.status, status);
    assert_eq!(at(&reply.body, "/error"), expected);
    assert!(reply.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    assert!(reply.headers.iter().any(|(name, _)| name == "x-request-id"));
}

#[test]
fn openai_errors_have_its_words() {
    check_error(
        Profile::Openai,
        ErrorKind::InvalidKey,
        401,
        &json!({
            "message": "Incorrect API key provided: sk-********. You can find your API key at \
                        https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error",
            "param": null,
            "code": "invalid_api_key",
        }),
    );
    check_error(
        Profile::Openai,
        ErrorKind::ModelNotFound,
        404,
        &json!({
            "message": "The model `gpt-5.4-mini` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": null,
            "code": "model_not_found",
        }),
    );
    check_error(
        Profile::Openai,
        ErrorKind::Fault(RequestFault::Missing("messages")),
        400,
        &json!({
            "message": "Missing required parameter: 'messages'.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "missing_required_parameter",
        }),
    );
}

#[test]
fn cometapi_errors_have_its_statuses_and_request_id() {
    check_error(
        Profile::Cometapi,
        ErrorKind::InvalidRequestAs500,
        500,
        &json!({
            "message": "field messages is required (request id: 20261122073000000000000abcdEFGH)",
            "type": "comet_api_error",
            "param": "",
            "code": "invalid_request",
        }),
    );
    check_error(
        Profile::Cometapi,
        ErrorKind::ModelNotFoundAs503,
        503,
        &json!({
            "code": "model_not_found",
            "message": "no available channel for group default and model gpt-5.4-mini (distributor) \
                        (request id: 20261122073000000000000abcdEFGH)",
            "type": "comet_api_error",
        }),
    );
    check_error(
        Profile::Cometapi,
        ErrorKind::Fault(RequestFault::Missing("model")),
        400,
        &json!({
            "code": "",
            "message": "model name not specified, model name cannot be empty (request id: 20261122073000000000000abcdEFGH)",
            "type": "comet_api_error",
        }),
    );
}

#[test]
fn rate_limit_and_quota_share_a_status_but_not_a_code() {
    for profile in [Profile::Openai, Profile::Cometapi] {
        let rate = error(ErrorKind::RateLimited, &ctx(Surface::Chat, profile));
        let quota = error(ErrorKind::InsufficientQuota, &ctx(Surface::Chat, profile));
        assert_eq!((rate.status, quota.status), (429, 429));
        assert_eq!(at(&rate.body, "/error/code"), "rate_limit_exceeded");
        assert_eq!(at(&quota.body, "/error/code"), "insufficient_quota");
    }
}

#[test]
fn a_reply_that_ended_early_is_judged_as_one_and_has_no_other_fault() {
    let ends = [
        (EarlyEnd::TokenLimit, Completion::LengthLimit),
        (EarlyEnd::ContentFilter, Completion::Filtered),
    ];
    for (surface, (end, completion)) in
        [Surface::Chat, Surface::Responses].into_iter().flat_map(|s| ends.map(|e| (s, e)))
    {
        let ctx = ReplyContext { include_usage: true, ..ctx(surface, Profile::Openai) };
        let unary = (Mode::Unary, unary_ended_early(&ctx, end).to_string().into_bytes());
        let stream = (Mode::Stream, encode(&stream_ended_early(&ctx, end)));
        for (mode, body) in [unary, stream] {
            let judgement = judge_dump(surface, mode, Profile::Openai, &Dump::parse(&body));
            let codes: Vec<_> = judgement.findings.iter().map(|finding| finding.code).collect();
            assert_eq!(judgement.completion, completion, "{surface} {mode} {end:?} {codes:?}");
            assert_eq!(codes.len(), 1, "{surface} {mode} {end:?} {codes:?}");
        }
    }
}
