//! 7F: the responses surface.

use contract::{Mode, Surface};
use serde_json::{Value, json};

use crate::build::*;

fn events(change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    responses_stream(|events| {
        change(events);
        number(events);
    })
}

fn last(pointer: &str, to: Value) -> Reply {
    responses_stream(|events| set(&mut events[9], pointer, to))
}

pub(crate) fn rows() -> Vec<Row> {
    let bare = |surface, mode, body: String| Reply::new(surface, mode, body);
    vec![
        row(
            129,
            H,
            "terminal-missing",
            events(|events| {
                events.pop();
            }),
        ),
        row(
            130,
            W,
            "sequence-odd",
            responses_stream(|events| {
                events.iter_mut().for_each(|event| remove(event, "/sequence_number"));
            }),
        ),
        row(
            130,
            W,
            "sequence-odd",
            responses_stream(|events| {
                events.iter_mut().for_each(|event| set(event, "/sequence_number", json!(0)));
            }),
        ),
        row(
            131,
            H,
            "response-wrapper-missing",
            bare(
                Surface::Responses,
                Mode::Stream,
                format!("event: response.completed\ndata: {}\n\n", response_value()),
            ),
        ),
        row(
            131,
            H,
            "response-wrapper-missing",
            responses_stream(|_| {}).bytes(|body| {
                let text = String::from_utf8(body).unwrap();
                let (before, _) = text.rsplit_once("event: response.completed").unwrap();
                format!("{before}event: response.completed\ndata: {}\n\n", response_value())
                    .into_bytes()
            }),
        ),
        row(
            132,
            W,
            "event-type-missing",
            responses_stream(|_| {}).bytes(|body| {
                String::from_utf8(body)
                    .unwrap()
                    .replace("data: {\"type\":\"response.output_text.delta\",", "data: {")
                    .into_bytes()
            }),
        ),
        row(
            133,
            W,
            "terminal-output-missing",
            responses_stream(|events| {
                remove(&mut events[9], "/response/output");
                remove(&mut events[9], "/response/usage");
            }),
        ),
        row(
            134,
            W,
            "item-not-added",
            events(|events| {
                events.drain(2..4);
            }),
        ),
        row(
            135,
            W,
            "created-not-first",
            responses_stream(|_| {}).bytes(|body| {
                [b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n".to_vec(), body].concat()
            }),
        ),
        row(
            136,
            P,
            "",
            events(|events| {
                events.insert(8, json!({"type": "response.brand_new.thing", "output_index": 0}));
            }),
        ),
        row(
            136,
            P,
            "",
            responses(|value| {
                set(value, "/output", json!([{"type": "brand_new", "id": "x"}, item()]));
            }),
        ),
        row(137, H, "terminal-status-disagrees", last("/response/status", json!("failed"))),
        row(138, H, "response-id-changed", last("/response/id", json!("resp_2"))),
        row(
            139,
            H,
            "status-failed",
            responses(|value| {
                set(value, "/status", json!("failed"));
                set(value, "/error", json!({"code": "server_error", "message": "x"}));
            }),
        ),
        row(
            139,
            H,
            "status-incomplete",
            responses(|value| {
                set(value, "/status", json!("incomplete"));
                set(value, "/incomplete_details", json!({"reason": "max_output_tokens"}));
            }),
        ),
        row(139, H, "status-running", responses(|value| set(value, "/status", json!("queued")))),
        row(140, H, "output-missing", responses(|value| remove(value, "/output"))),
        row(140, H, "output-missing", responses(|value| set(value, "/output", Value::Null))),
        row(141, W, "status-missing", responses(|value| remove(value, "/status"))),
        row(
            141,
            W,
            "status-missing",
            responses_stream(|events| remove(&mut events[9], "/response/status")),
        ),
        // Neither a status nor a completed item: nothing proves that the answer is whole.
        row(
            141,
            H,
            "status-unproven",
            responses(|value| {
                remove(value, "/status");
                remove(value, "/output/0/status");
            }),
        ),
        row(
            142,
            P,
            "",
            responses(|value| {
                remove(value, "/tools");
                remove(value, "/tool_choice");
                remove(value, "/parallel_tool_calls");
                remove(value, "/output/0/content/0/annotations");
            }),
        ),
        row(
            142,
            P,
            "",
            responses(|value| {
                remove(value, "/usage/input_tokens_details");
                remove(value, "/usage/output_tokens_details");
            }),
        ),
        row(142, P, "", responses(|value| set(value, "/created_at", json!(1_780_000_000.5)))),
        row(
            143,
            H,
            "wrong-surface",
            bare(Surface::Responses, Mode::Unary, chat_value().to_string()),
        ),
        row(143, H, "wrong-surface", bare(Surface::Responses, Mode::Stream, sse(&chunks()))),
        row(
            143,
            H,
            "wrong-surface",
            bare(Surface::Chat, Mode::Unary, response_value().to_string()),
        ),
        row(143, H, "wrong-surface", bare(Surface::Chat, Mode::Stream, named(&response_events()))),
        // The nesting is a warning; that the answer failed is the hold.
        row(
            144,
            H,
            "error-event-nested",
            events(|events| {
                events.truncate(5);
                events.push(
                    json!({"type": "error", "error": {"message": "x", "code": "server_error"}}),
                );
            }),
        ),
        row(
            144,
            H,
            "stream-error",
            events(|events| {
                events.truncate(5);
                events.push(json!({"type": "error", "message": "x", "code": "server_error"}));
            }),
        ),
        // Not in the catalogue by themselves.
        row(88, W, "cut-after-done", responses_stream(|_| {}).cut()),
        row(88, H, "body-cut", events(|events| events.truncate(6)).cut()),
        row(37, H, "no-usable-content", responses(|value| set(value, "/output", json!([])))),
        row(
            50,
            H,
            "refusal",
            responses(|value| {
                set(
                    value,
                    "/output/0/content",
                    json!([{"type": "refusal", "refusal": "I cannot"}]),
                );
            }),
        ),
        row(
            73,
            H,
            "arguments-broken",
            responses(|value| {
                set(
                    value,
                    "/output",
                    json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{", "status": "completed"}]),
                );
            }),
        ),
        row(
            124,
            W,
            "event-after-terminal",
            events(|events| {
                events.push(
                    json!({"type": "response.output_text.delta", "delta": "!", "output_index": 0}),
                );
            }),
        ),
        row(
            124,
            H,
            "done-differs-from-deltas",
            events(|events| set(&mut events[6], "/text", json!("Hello"))),
        ),
        row(
            124,
            H,
            "terminal-differs-from-deltas",
            last("/response/output/0/content/0/text", json!("Hello")),
        ),
        row(
            139,
            H,
            "status-incomplete",
            responses_stream(|events| {
                set(&mut events[9], "/type", json!("response.incomplete"));
                set(&mut events[9], "/response/status", json!("incomplete"));
            }),
        ),
    ]
}
