//! 7C: tool calls.

use serde_json::{Value, json};

use crate::build::*;

const CALL: &str = "/choices/0/message/tool_calls/0";

fn call(field: &str, to: Value) -> Reply {
    chat_tools(|value| set(value, &format!("{CALL}{field}"), to))
}

fn delta_field(chunk: usize, field: &str, to: Value) -> Reply {
    stream_tools(|chunks| {
        set(&mut chunks[chunk], &format!("/choices/0/delta/tool_calls/0{field}"), to);
    })
}

pub(crate) fn rows() -> Vec<Row> {
    let arguments = |text: &str| call("/function/arguments", json!(text));
    let second = |index: u64| {
        vec![
            tool_delta(
                json!({"index": index, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}),
            ),
            tool_delta(json!({"index": index, "function": {"arguments": "{\"b\":2}"}})),
        ]
    };
    vec![
        row(71, W, "arguments-object", call("/function/arguments", json!({"a": 1}))),
        row(71, W, "arguments-object", delta_field(1, "/function/arguments", json!({"a": 1}))),
        row(72, W, "arguments-empty", arguments("")),
        row(
            72,
            W,
            "arguments-empty",
            stream_tools(|chunks| {
                chunks.drain(2..4);
            }),
        ),
        row(73, H, "arguments-broken", arguments("{\"a\":")),
        row(
            73,
            H,
            "arguments-broken",
            chat_tools(|value| {
                set(value, &format!("{CALL}/function/arguments"), json!("{\"a\":"));
                set(value, "/choices/0/finish_reason", json!("length"));
            }),
        ),
        row(
            73,
            H,
            "arguments-broken",
            stream_tools(|chunks| {
                chunks.remove(3);
            }),
        ),
        row(74, H, "arguments-not-object", arguments("[1]")),
        row(74, H, "arguments-not-object", arguments("null")),
        row(75, W, "tool-call-id-missing", call("/id", Value::Null)),
        row(
            75,
            W,
            "tool-call-id-missing",
            chat_tools(|value| remove(value, &format!("{CALL}/id"))),
        ),
        row(75, W, "tool-call-id-missing", delta_field(1, "/id", Value::Null)),
        row(
            76,
            W,
            "tool-call-type-missing",
            chat_tools(|value| remove(value, &format!("{CALL}/type"))),
        ),
        row(
            77,
            W,
            "tool-call-index-missing",
            stream_tools(|chunks| {
                for chunk in chunks.iter_mut().skip(1).take(3) {
                    remove(chunk, "/choices/0/delta/tool_calls/0/index");
                }
            }),
        ),
        row(
            78,
            H,
            "tool-call-index-shared",
            stream_tools(|chunks| {
                chunks.splice(4..4, second(0));
            }),
        ),
        row(
            79,
            W,
            "tool-call-index-gap",
            stream_tools(|chunks| {
                for chunk in chunks.iter_mut().skip(1).take(3) {
                    set(chunk, "/choices/0/delta/tool_calls/0/index", json!(1));
                }
            }),
        ),
        row(
            79,
            W,
            "tool-call-index-gap",
            stream_tools(|chunks| {
                chunks.splice(4..4, second(5));
            }),
        ),
        row(80, P, "", delta_field(2, "/id", Value::Null)),
        row(80, P, "", delta_field(2, "/function/name", Value::Null)),
        // Legal, and the catalogue passes it; but it breaks the stream helper of a pinned official SDK.
        row(
            81,
            W,
            "tool-call-head-repeated",
            stream_tools(|chunks| {
                for chunk in chunks.iter_mut().skip(1).take(3) {
                    set(chunk, "/choices/0/delta/tool_calls/0/id", json!("call_1"));
                    set(chunk, "/choices/0/delta/tool_calls/0/function/name", json!("f"));
                }
            }),
        ),
        row(82, P, "", chat_set("/choices/0/message/tool_calls", Value::Null)),
        row(82, P, "", chat_set("/choices/0/message/tool_calls", json!([]))),
        row(82, P, "", stream_set(1, "/choices/0/delta/tool_calls", json!([]))),
        row(83, H, "tool-calls-missing", chat_set("/choices/0/finish_reason", json!("tool_calls"))),
        row(
            83,
            H,
            "tool-calls-missing",
            stream_set(3, "/choices/0/finish_reason", json!("tool_calls")),
        ),
    ]
}
