//! 7B: fields of the chat object.

use serde_json::{Value, json};

use crate::build::*;

fn finish(reason: Value) -> Reply {
    chat_set("/choices/0/finish_reason", reason)
}

fn content(content: Value) -> Reply {
    chat_set("/choices/0/message/content", content)
}

pub(crate) fn rows() -> Vec<Row> {
    let choice = || chat_value()["choices"][0].clone();
    let mut rows = vec![
        row(31, H, "choices-missing", chat_without("/choices")),
        row(31, H, "choices-missing", chat_set("/choices", Value::Null)),
        row(32, H, "choices-empty", chat_set("/choices", json!([]))),
        row(33, H, "choices-wrong-type", chat_set("/choices", json!({"0": choice()}))),
        row(34, H, "choices-wrong-type", chat_set("/choices", json!(["Hello"]))),
        row(35, H, "message-missing", chat_without("/choices/0/message")),
        row(35, H, "message-missing", chat_set("/choices/0/message", Value::Null)),
        row(
            36,
            H,
            "delta-on-unary",
            chat(|value| {
                remove(value, "/choices/0/message");
                set(value, "/choices/0/delta", json!({"role": "assistant", "content": "Hello"}));
            }),
        ),
        row(37, H, "no-usable-content", content(Value::Null)),
        row(38, H, "no-usable-content", content(json!(""))),
        row(38, H, "no-usable-content", content(json!(" \n"))),
        // Without tool calls nothing is left to use, so the missing key alone is no warning but row 37.
        row(39, H, "content-key-missing", chat_without("/choices/0/message/content")),
        row(
            39,
            W,
            "content-key-missing",
            chat_tools(|value| remove(value, "/choices/0/message/content")),
        ),
        row(40, H, "content-wrong-type", content(json!([{"type": "text", "text": "Hello"}]))),
        row(41, H, "content-wrong-type", content(json!(42))),
        row(
            42,
            W,
            "finish-stop-with-tool-calls",
            chat_tools(|value| set(value, "/choices/0/finish_reason", json!("stop"))),
        ),
        row(43, H, "finish-reason-missing", finish(Value::Null)),
        row(43, H, "finish-reason-missing", chat_without("/choices/0/finish_reason")),
        row(44, H, "finish-reason-missing", finish(json!(""))),
        row(44, W, "finish-reason-empty", stream_set(1, "/choices/0/finish_reason", json!(""))),
        row(44, H, "finish-reason-missing", stream_set(3, "/choices/0/finish_reason", json!(""))),
        row(48, W, "finish-length", finish(json!("length"))),
        row(
            49,
            H,
            "finish-content-filter",
            chat(|value| {
                set(value, "/choices/0/finish_reason", json!("content_filter"));
                set(value, "/choices/0/message/content", Value::Null);
            }),
        ),
        row(
            50,
            H,
            "refusal",
            chat(|value| {
                set(value, "/choices/0/message/refusal", json!("I cannot help with that"));
                set(value, "/choices/0/message/content", Value::Null);
            }),
        ),
        row(51, W, "usage-missing", chat_without("/usage")),
        row(51, W, "usage-missing", chat_set("/usage", Value::Null)),
        row(52, W, "usage-empty", chat_set("/usage", json!({}))),
        row(
            53,
            W,
            "usage-alias",
            chat_set("/usage", json!({"input_tokens": 5, "output_tokens": 2})),
        ),
        row(54, W, "usage-odd", chat_set("/usage/prompt_tokens", json!("5"))),
        row(55, W, "usage-odd", chat_set("/usage/prompt_tokens", json!(5.0))),
        row(56, W, "usage-odd", chat_set("/usage/prompt_tokens", json!(-5))),
        row(56, W, "usage-odd", chat_set("/usage/total_tokens", json!(99))),
        row(57, P, "", chat_set("/usage/latency_checkpoint", json!({"engine_ttft_ms": 20}))),
        row(57, P, "", chat_set("/usage/claude_cache_creation_5_m_tokens", json!(0))),
        row(
            59,
            W,
            "usage-exceeds-text",
            chat_set(
                "/usage",
                json!({"prompt_tokens": 5, "completion_tokens": 859, "total_tokens": 864}),
            ),
        ),
        row(60, W, "created-odd", chat_set("/created", json!(1_780_000_000.25))),
        row(63, W, "object-odd", chat_set("/object", json!("chat.completion.chunk"))),
        row(63, W, "object-odd", chat_without("/object")),
        row(64, W, "model-odd", chat_without("/model")),
        // Another name than the one asked for is legal: providers answer with the snapshot's.
        row(64, P, "", chat_set("/model", json!("another-model"))),
        row(65, W, "index-odd", chat_without("/choices/0/index")),
        row(65, W, "index-odd", chat_set("/choices/0/index", json!("0"))),
        row(66, W, "role-odd", chat_without("/choices/0/message/role")),
        row(66, W, "role-odd", chat_set("/choices/0/message/role", json!("model"))),
        row(67, P, "", chat_set("/service_tier", json!("on_demand"))),
        row(
            68,
            P,
            "",
            chat(|value| {
                set(value, "/choices/0/message/reasoning_content", json!("Let me see"));
                set(value, "/choices/0/native_finish_reason", json!("STOP"));
                set(value, "/prompt_filter_results", json!([{"prompt_index": 0}]));
                set(value, "/x_groq", json!({"id": "req_1"}));
            }),
        ),
        row(69, P, "", chat_set("/usage/prompt_tokens_details", Value::Null)),
        row(
            70,
            W,
            "choices-extra",
            chat(|value| {
                let mut second = choice();
                set(&mut second, "/index", json!(1));
                set(value, "/choices", json!([choice(), second]));
            }),
        ),
    ];
    for reason in ["end_turn", "max_tokens", "stop_sequence"] {
        rows.push(row(45, W, "finish-reason-alias", finish(json!(reason))));
    }
    rows.push(row(
        45,
        W,
        "finish-reason-alias",
        chat_tools(|value| set(value, "/choices/0/finish_reason", json!("tool_use"))),
    ));
    rows.push(row(45, H, "finish-reason-unknown", finish(json!("because"))));
    for reason in ["STOP", "MAX_TOKENS", "Stop"] {
        rows.push(row(46, W, "finish-reason-alias", finish(json!(reason))));
    }
    rows.push(row(47, W, "finish-reason-alias", finish(json!("eos"))));
    rows.push(row(47, H, "finish-content-filter", finish(json!("sensitive"))));
    for reason in ["abort", "network_error", "error"] {
        rows.push(row(47, H, "finish-error", finish(json!(reason))));
    }
    for created in [json!("1780000000"), json!(1_780_000_000_000_i64), json!(0)] {
        rows.push(row(61, W, "created-odd", chat_set("/created", created)));
    }
    rows.push(row(61, W, "created-odd", chat_without("/created")));
    for id in [Value::Null, json!(""), json!(7)] {
        rows.push(row(62, W, "id-odd", chat_set("/id", id)));
    }
    rows.push(row(62, W, "id-odd", chat_without("/id")));
    rows
}
