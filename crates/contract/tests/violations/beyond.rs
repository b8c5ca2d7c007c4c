//! Beyond the catalogue: a case for each further finding that clients differ in.

use contract::Mode;
use serde_json::{Value, json};

use crate::build::*;

fn events(change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    responses_stream(|events| {
        change(events);
        number(events);
    })
}

fn response(pointer: &str, to: Value) -> Reply {
    responses(|value| set(value, pointer, to))
}

/// A chat stream with something behind its first event.
fn in_stream(more: &str) -> Reply {
    let text = stream(|_| {}).text();
    raw(Mode::Stream, text.replacen("\n\n", &format!("\n\n{more}"), 1))
}

pub(crate) fn rows() -> Vec<Row> {
    let good = || chat(|_| {});
    let text = |body: String| raw(Mode::Stream, body);
    let arguments = "/choices/0/message/tool_calls/0/function/arguments";
    vec![
        row(157, H, "json-malformed", good().swap("\"index\":0", "index:0")),
        row(158, H, "finish-reason-wrong-type", chat_set("/choices/0/finish_reason", json!(7))),
        row(159, H, "arguments-wrong-type", chat_tools(|value| set(value, arguments, json!(7)))),
        row(
            160,
            H,
            "index-ambiguous",
            chat(|value| {
                remove(value, "/choices/0/index");
                let choice = value["choices"][0].clone();
                set(value, "/choices", json!([choice, choice]));
            }),
        ),
        row(161, H, "stream-empty", stream_of(&[usage_chunk()])),
        row(162, W, "sse-stray-line", text(format!("hello\n\n{}", stream(|_| {}).text()))),
        row(163, H, "item-not-completed", response("/output/0/status", json!("incomplete"))),
        row(164, W, "status-alias", response("/status", json!("COMPLETED"))),
        row(165, H, "status-unknown", response("/status", json!("done"))),
        row(
            166,
            H,
            "incomplete-details-disagree",
            response("/incomplete_details", json!({"reason": "max_output_tokens"})),
        ),
        row(167, W, "item-added-twice", events(|events| events.insert(3, events[2].clone()))),
        row(
            168,
            W,
            "item-not-done",
            events(|events| {
                events.drain(6..9);
            }),
        ),
        row(
            169,
            W,
            "part-not-added",
            events(|events| {
                events.remove(3);
            }),
        ),
        row(
            170,
            W,
            "item-id-changed",
            events(|events| set(&mut events[5], "/item_id", json!("msg_2"))),
        ),
        row(
            171,
            W,
            "deltas-missing",
            events(|events| {
                events.drain(4..6);
            }),
        ),
        row(
            172,
            H,
            "error-body-unreadable",
            unary("upstream connect error").status(503).header("content-type", "text/plain"),
        ),
        row(173, H, "sse-data-lost", in_stream(" data: {\"choices\":[]}\n\n")),
        row(173, H, "sse-data-lost", in_stream("{\"error\":{\"message\":\"x\",\"code\":500}}\n\n")),
        row(174, H, "body-html", in_stream("<html>\n<title>502 Bad Gateway</title>\n</html>\n\n")),
        row(175, H, "stream-error", in_stream("event: error\ndata:\n\n")),
    ]
}
