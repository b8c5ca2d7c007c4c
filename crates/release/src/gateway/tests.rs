//! Replies of gateways: which are answers, which call tools, and which refusals their clients do not see.

use contract::Profile;
use contract::reply::{
    ReplyContext, encode, stream_with_tool_calls, tool_calls, unary_with_tool_calls,
};
use judge::{CallsRelation, relate_calls};
use serde_json::json;

use super::*;

#[track_caller]
fn check(surface: Surface, mode: Mode, body: &str, expected: Result<&str, &str>) {
    crate::http::tests::check(&mut *reader(surface, mode), body, expected);
}

#[test]
fn a_chat_document_counts_when_it_is_complete() {
    let check = |body: Value, expected| {
        check(Surface::Chat, Mode::Unary, &body.to_string(), expected);
    };
    let choice = |content: Value, reason: Value| json!({"choices": [{"message": {"content": content}, "finish_reason": reason}]});
    check(choice(json!("hi"), json!("stop")), Ok("hi"));
    check(choice(json!("hi"), json!("length")), Err("finish_reason length"));
    check(choice(json!("hi"), json!("content_filter")), Err("finish_reason content_filter"));
    check(choice(json!("hi"), Value::Null), Err("no finish_reason"));
    check(choice(Value::Null, json!("stop")), Err("no answer at /choices/0/message/content"));
    check(json!({"choices": []}), Err("no answer at /choices/0/message/content"));
    check(json!({"error": {"message": "x"}}), Err("an error in the reply"));
    check(json!({"error": null, "choices": []}), Err("no answer at /choices/0/message/content"));
}

#[test]
fn a_chat_stream_counts_when_its_finish_reason_was_seen() {
    let check = |body: &str, expected| check(Surface::Chat, Mode::Stream, body, expected);
    let delta = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{}}\n\n";
    check(&format!("{delta}{delta}{stop}{usage}data: [DONE]\n\n"), Ok("hihi"));
    check(&format!("{delta}{stop}"), Ok("hi"));
    check(&format!("{delta}data: [DONE]\n\n"), Err("[DONE] without finish_reason"));
    check(delta, Err("stream ended without finish_reason"));
    check("", Err("stream ended without finish_reason"));
    check(&format!("{delta}data: {{\"error\":{{}}}}\n\n{stop}"), Err("an error in the stream"));
    check(&format!("{delta}data: {{\"cho\n\n"), Err("an event that is not JSON"));
    check(&format!("{delta}event: error\ndata: {{}}\n\n"), Err("event error"));
    check("<html></html>", Err("stream ended without finish_reason"));
}

#[test]
fn a_response_counts_when_it_is_completed() {
    let check = |body: Value, expected| {
        check(Surface::Responses, Mode::Unary, &body.to_string(), expected);
    };
    let output = json!([
        {"type": "reasoning"},
        {"type": "message", "content": [
            {"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
    ]);
    check(json!({"status": "completed", "output": output, "error": null}), Ok("ab"));
    check(json!({"status": "incomplete", "output": output}), Err("status incomplete"));
    check(json!({"output": output}), Err("no status"));
    check(json!({"status": "completed", "output": []}), Err("no output_text"));
}

#[test]
fn a_response_stream_counts_when_it_is_completed() {
    let check = |body: &str, expected| check(Surface::Responses, Mode::Stream, body, expected);
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n";
    let completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n";
    check(&format!("{delta}{delta}{completed}"), Ok("hihi"));
    check(delta, Err("stream ended without response.completed"));
    check(
        &format!("{delta}data: {{\"type\":\"response.failed\"}}\n\n"),
        Err("event response.failed"),
    );
}

fn read(surface: Surface, mode: Mode, body: &[u8]) -> Reply {
    crate::http::tests::read(&mut *reader(surface, mode), body)
}

fn calling(surface: Surface, mode: Mode) -> String {
    let ctx = ReplyContext {
        surface,
        profile: Profile::Openai,
        model: "m",
        text: "SSL-1 \"é\"",
        id: "id-1",
        request_id: "req-1",
        created: 1,
        include_usage: true,
    };
    let calls = tool_calls(ctx.text);
    match mode {
        Mode::Unary => unary_with_tool_calls(&ctx, &calls).to_string(),
        Mode::Stream => String::from_utf8(encode(&stream_with_tool_calls(&ctx, &calls))).unwrap(),
    }
}

#[track_caller]
fn check_calls(surface: Surface, mode: Mode, body: &str, expected: CallsRelation) {
    let relation = match read(surface, mode, body.as_bytes()) {
        Reply::Called(called, _) => relate_calls(Some(&called), &tool_calls("SSL-1 \"é\"")),
        Reply::Answered(_) => CallsRelation::None,
        Reply::Refused { how, .. } => panic!("refused: {how}"),
    };
    assert_eq!(relation, expected, "{surface} {mode} {body}");
}

#[test]
fn calls_of_tools_are_read_as_they_were_made() {
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            check_calls(surface, mode, &calling(surface, mode), CallsRelation::Whole);
        }
    }
}

#[test]
fn calls_of_tools_that_are_damaged_are_seen() {
    use CallsRelation::{EndsAsAnswer, OtherArguments, OtherIds, OtherName, WithoutId};
    let id = "call_surestep00000000000001";
    for (from, to, expected) in [
        (r#""finish_reason":"tool_calls""#, r#""finish_reason":"stop""#, EndsAsAnswer),
        (id, "call_x", OtherIds),
        (id, "", WithoutId),
        ("look_up_parcel", "", OtherName),
        ("SSL-1", "SSL", OtherArguments),
    ] {
        for surface in [Surface::Chat, Surface::Responses] {
            for mode in [Mode::Unary, Mode::Stream] {
                let body = calling(surface, mode);
                let changed = body.replace(from, to);
                let is_of_chat = expected == EndsAsAnswer && surface == Surface::Responses;
                // The text comes in pieces there.
                let is_in_pieces = expected == OtherArguments && surface == Surface::Chat;
                if is_of_chat || (is_in_pieces && mode == Mode::Stream) {
                    continue;
                }
                assert_ne!(body, changed, "{surface} {mode} {from}");
                check_calls(surface, mode, &changed, expected);
            }
        }
    }
    // One of the pieces is dropped.
    let body = calling(Surface::Chat, Mode::Stream);
    let events: Vec<&str> = body.split_inclusive("\n\n").collect();
    let first = events.iter().position(|event| event.contains("look_up_parcel")).unwrap();
    let dropped = [&events[..=first], &events[first + 2..]].concat().concat();
    check_calls(Surface::Chat, Mode::Stream, &dropped, OtherArguments);
    // What the items say and what the whole response says differs.
    let body = calling(Surface::Responses, Mode::Stream);
    let at = body.find("event: response.completed").unwrap();
    let differing = format!("{}{}", &body[..at], body[at..].replace("look_up_parcel", "look_up"));
    check_calls(Surface::Responses, Mode::Stream, &differing, CallsRelation::None);
}

#[test]
fn a_refusal_that_clients_do_not_see_is_unsaid() {
    let delta = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"x\"}}\n\n";
    let length =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    for (surface, mode, body, expected) in [
        (Surface::Chat, Mode::Unary, r#"{"error":{"message":"x"}}"#, true),
        (Surface::Chat, Mode::Unary, r#"{"choices":[]}"#, true),
        (Surface::Chat, Mode::Unary, "", true),
        (Surface::Responses, Mode::Unary, r#"{"status":"failed","output":[]}"#, true),
        (Surface::Chat, Mode::Stream, "", true),
        (Surface::Chat, Mode::Stream, delta, true),
        (Surface::Chat, Mode::Stream, error, false),
        (Surface::Chat, Mode::Stream, "event: error\ndata: {}\n\n", false),
        (Surface::Chat, Mode::Stream, &format!("{delta}{length}data: [DONE]\n\n"), false),
        (Surface::Responses, Mode::Stream, "", true),
        (Surface::Responses, Mode::Stream, "data: {\"type\":\"response.failed\"}\n\n", false),
    ] {
        match read(surface, mode, body.as_bytes()) {
            Reply::Refused { unsaid, how, .. } => assert_eq!(unsaid, expected, "{how}: {body}"),
            Reply::Answered(_) | Reply::Called(..) => panic!("{body} is no answer"),
        }
    }
}
