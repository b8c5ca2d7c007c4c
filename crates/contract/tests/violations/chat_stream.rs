//! 7E: content of chat streams.

use contract::Mode;
use serde_json::{Value, json};

use crate::build::*;

pub(crate) fn rows() -> Vec<Row> {
    let choice = "/choices/0";
    let usage = || json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
    let with = |place: usize, chunk: Value| stream(|chunks| chunks.insert(place, chunk));
    vec![
        row(
            113,
            P,
            "",
            with(
                0,
                json!({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0}]}),
            ),
        ),
        row(114, P, "", with(4, usage_chunk())),
        row(115, W, "usage-misplaced", stream_set(3, "/usage", usage())),
        row(
            115,
            W,
            "usage-misplaced",
            stream(|chunks| chunks.iter_mut().for_each(|chunk| set(chunk, "/usage", usage()))),
        ),
        row(115, W, "usage-misplaced", with(3, usage_chunk())),
        row(
            116,
            W,
            "chunk-choices-missing",
            with(1, json!({"id": "chatcmpl-1", "object": "chat.completion.chunk"})),
        ),
        row(116, W, "chunk-choices-missing", with(1, json!({"id": "chatcmpl-1", "choices": null}))),
        row(117, W, "delta-missing", stream_set(3, "/choices/0/delta", Value::Null)),
        row(117, W, "delta-missing", stream(|chunks| remove(&mut chunks[3], "/choices/0/delta"))),
        row(
            118,
            P,
            "",
            stream(|chunks| {
                chunks.iter_mut().for_each(|chunk| {
                    set(chunk, "/choices/0/delta/role", json!("assistant"));
                });
            }),
        ),
        row(119, W, "role-odd", stream_set(0, "/choices/0/delta/role", json!(""))),
        row(119, W, "role-odd", stream_set(1, "/choices/0/delta/role", Value::Null)),
        row(
            120,
            W,
            "role-missing",
            stream(|chunks| remove(&mut chunks[0], "/choices/0/delta/role")),
        ),
        row(121, H, "stream-error", with(2, error_body())),
        row(121, H, "stream-error", with(2, json!({"error": "overloaded"}))),
        row(121, H, "stream-error", with(2, json!({"error": {}}))),
        row(
            121,
            H,
            "stream-error",
            with(
                2,
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
            ),
        ),
        row(121, H, "stream-error", with(2, json!({"message": "x", "code": "server_error"}))),
        row(
            121,
            H,
            "stream-error",
            stream(|chunks| {
                set(&mut chunks[3], "/choices/0/finish_reason", json!("error"));
                set(&mut chunks[3], "/error", json!({"code": 502, "message": "x"}));
            }),
        ),
        row(
            121,
            H,
            "stream-error",
            stream(|_| {}).swap(
                "data: [DONE]",
                "event: error\ndata: {\"message\":\"x\",\"code\":\"e\"}\n\ndata: [DONE]",
            ),
        ),
        row(
            122,
            H,
            "stream-error",
            stream(|_| {}).swap("data: [DONE]", "event: error\ndata: upstream failed"),
        ),
        row(122, H, "event-not-json", stream(|_| {}).swap("data: [DONE]", "data: upstream failed")),
        row(123, W, "finish-reason-twice", with(4, chunk(json!({}), json!("stop")))),
        row(123, H, "finish-reason-conflict", with(4, chunk(json!({}), json!("length")))),
        row(124, W, "content-after-finish", with(4, chunk(json!({"content": "!"}), Value::Null))),
        row(
            125,
            H,
            "message-in-stream",
            raw(Mode::Stream, format!("data: {}\n\ndata: [DONE]\n\n", chat_value())),
        ),
        row(126, W, "chunk-bookkeeping", with(4, json!({"choices": [], "cost": "0"}))),
        row(127, W, "id-changed", stream_set(2, "/id", json!("chatcmpl-2"))),
        row(127, W, "model-changed", stream_set(2, "/model", json!("another-model"))),
        row(128, W, "usage-empty", stream_set(0, "/usage", json!({}))),
        // Not in the catalogue by themselves: the same faults as in a unary reply.
        row(
            37,
            H,
            "no-usable-content",
            stream(|chunks| {
                chunks.drain(1..3);
            }),
        ),
        row(
            40,
            H,
            "content-wrong-type",
            stream_set(1, "/choices/0/delta/content", json!([{"type": "text", "text": "Hello"}])),
        ),
        row(
            48,
            W,
            "finish-length",
            stream_set(3, &format!("{choice}/finish_reason"), json!("length")),
        ),
        row(50, H, "refusal", stream_set(1, "/choices/0/delta", json!({"refusal": "I cannot"}))),
    ]
}
