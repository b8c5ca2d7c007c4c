//! 7D: framing of streams.

use contract::Mode;
use serde_json::json;

use crate::body::gzip;
use crate::build::*;

pub(crate) fn rows() -> Vec<Row> {
    let good = || stream(|_| {});
    let text = |body: &str| raw(Mode::Stream, body);
    let events: Vec<_> = chunks().iter().map(|chunk| format!("data: {chunk}")).collect();
    let done = "data: [DONE]\n\n";
    let with_done = |mark: &str| good().swap(done, mark);
    vec![
        row(84, W, "done-missing", good().swap(done, "")),
        row(85, H, "finish-reason-missing", text(&(events[..3].join("\n\n") + "\n\n"))),
        row(
            86,
            H,
            "done-before-finish",
            stream(|chunks| {
                chunks.pop();
            }),
        ),
        row(88, H, "body-cut", text(&(events[..2].join("\n\n") + "\n\n")).cut()),
        row(88, H, "body-cut", good().swap(done, "").cut()),
        // Clients stop reading at [DONE]; that the framing lacks its end then breaks none of them.
        row(88, W, "cut-after-done", good().cut()),
        // A reply that announces its connection's end: some clients then take any end for the right one.
        row(88, H, "body-cut", good().swap(done, "").cut().header("connection", "close")),
        row(89, P, "", text(&good().text().replace("data: ", "data:"))),
        row(90, P, "", text(&good().text().replace('\n', "\r\n"))),
        row(90, P, "", text(&good().text().replace('\n', "\r"))),
        row(91, P, "", text(&format!(": OPENROUTER PROCESSING\n\n: PING\n\n{}", good().text()))),
        row(
            92,
            W,
            "sse-empty-dispatch",
            text(&format!("id: 1\n{}", good().text().replacen("\n\n", "\n\n: c\n\n", 1))),
        ),
        row(93, W, "sse-retry-block", text(&format!("retry: 3000\n\n{}", good().text()))),
        row(94, H, "comment-as-data", text(&format!("data: : PING\n\n{}", good().text()))),
        row(95, W, "sse-byte-order-mark", text(&format!("\u{feff}{}", good().text()))),
        row(
            95,
            W,
            "sse-byte-order-mark",
            stream_set(0, "/choices/0/delta/content", json!("Well: "))
                .bytes(|body| [b"\xef\xbb\xbf".to_vec(), body].concat()),
        ),
        // Each row is judged byte by byte too, so each boundary inside a character is among them.
        row(96, P, "", good().swap("Hello", "世界 😀")),
        row(97, P, "", text(&good().text().replace(",\"choices\"", ",\ndata: \"choices\""))),
        row(98, H, "events-not-separated", text(&(events.join("\n") + "\n" + done))),
        row(99, W, "last-event-unterminated", text(&events.join("\n\n"))),
        row(99, W, "last-event-unterminated", text(&(events.join("\n\n") + "\n"))),
        row(
            100,
            H,
            "event-second-document",
            text(&format!(
                "{}{}\n\n{done}",
                events[..3].join("\n\n") + "\n\n" + &events[3],
                chunks()[3]
            )),
        ),
        row(101, W, "done-variant", with_done("data: [done]\n\n")),
        row(101, W, "done-variant", with_done("data: \"[DONE]\"\n\n")),
        row(101, W, "done-variant", with_done("data: [DONE] \n\n")),
        row(101, W, "done-variant", with_done("[DONE]\n\n")),
        row(102, W, "data-after-done", with_done("data: [DONE]\n\ndata: [DONE]\n\n")),
        row(102, W, "data-after-done", with_done(&format!("{done}{}\n\n", events[1]))),
        row(103, W, "event-empty", text(&format!("data:\n\n{}", good().text()))),
        row(103, H, "event-not-object", text(&format!("data: null\n\n{}", good().text()))),
        row(103, H, "event-not-object", text(&format!("data: 7\n\n{}", good().text()))),
        row(103, H, "event-not-object", text(&format!("data: []\n\n{}", good().text()))),
        row(
            104,
            H,
            "mode-document-on-stream",
            text(&chat_value().to_string()).header("content-type", "application/json"),
        ),
        row(104, H, "mode-document-on-stream", text(&chat_value().to_string())),
        row(
            104,
            H,
            "error-in-success",
            text(&error_body().to_string()).header("content-type", "application/json"),
        ),
        row(105, H, "body-html", text("<html>Sign in</html>").header("content-type", "text/html")),
        row(105, H, "body-empty", text("")),
        row(105, H, "done-before-finish", text(done)),
        row(
            106,
            H,
            "mode-ndjson-on-stream",
            text(&chunks().iter().map(|chunk| format!("{chunk}\n")).collect::<String>()),
        ),
        row(107, W, "content-type-odd", good().header("content-type", "application/json")),
        row(107, W, "content-type-odd", good().header("content-type", "text/plain")),
        row(107, W, "content-type-odd", good().header("content-type", "")),
        row(
            108,
            W,
            "content-encoded",
            good().bytes(|body| gzip(&body)).header("content-encoding", "gzip"),
        ),
        row(109, H, "encoding-undeclared", good().bytes(|body| gzip(&body))),
        row(
            109,
            H,
            "encoding-false",
            good()
                .bytes(|body| String::from_utf8_lossy(&gzip(&body)).into_owned().into_bytes())
                .header("content-encoding", "gzip"),
        ),
        row(
            109,
            H,
            "",
            good().bytes(|body| String::from_utf8_lossy(&gzip(&body)).into_owned().into_bytes()),
        ),
        row(
            111,
            W,
            "event-unknown",
            text(&format!("event: ping\ndata: {}\n\n{}", json!({"type": "ping"}), good().text())),
        ),
        row(
            111,
            W,
            "event-unknown",
            text(&format!("event: keepalive\ndata: {{}}\n\n{}", good().text())),
        ),
        row(112, P, "", good().swap("Hello", "a\u{2028}b\u{85}c\\u0000")),
    ]
}
