//! 7A: HTTP and the body as a whole.

use std::io::Write as _;

use contract::Mode;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::build::*;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn rows() -> Vec<Row> {
    let html = "<!DOCTYPE html><html><body>Welcome</body></html>";
    let good = || chat(|_| {});
    let error = |value: Value| unary(value.to_string());
    vec![
        row(1, H, "body-html", unary(html).header("content-type", "text/html")),
        row(2, H, "body-html", unary(html)),
        row(3, H, "redirect", unary(html).status(301).header("location", "https://example.org/")),
        row(4, H, "redirect", unary("").status(307).header("location", "https://example.org/v1")),
        row(5, H, "error-in-success", error(error_body())),
        row(
            6,
            H,
            "error-in-success",
            error(json!({"choices": null, "error": {"message": "x", "code": 502}})),
        ),
        row(
            7,
            H,
            "choice-error",
            chat(|value| {
                set(value, "/choices/0/finish_reason", json!("error"));
                set(value, "/choices/0/error", json!({"code": 502, "message": "upstream"}));
            }),
        ),
        row(
            8,
            H,
            "error-in-success",
            error(json!({"success": false, "message": "no", "code": 1001})),
        ),
        row(9, H, "envelope-foreign", error(json!({"success": true, "data": chat_value()}))),
        row(10, H, "not-finished", error(json!({"id": "task-1", "status": "queued"}))),
        row(10, H, "not-finished", error(json!({"id": "task-1", "status": "queued"})).status(202)),
        row(11, H, "body-empty", unary("")),
        row(11, H, "body-empty", unary("").status(204)),
        row(12, H, "body-empty", unary("null")),
        row(13, H, "json-not-object", error(json!([chat_value()]))),
        row(13, H, "error-in-success", error(json!([error_body()]))),
        row(14, H, "json-double-encoded", error(json!(chat_value().to_string()))),
        row(
            15,
            H,
            "json-truncated",
            good().bytes(|mut body| {
                body.truncate(100);
                body
            }),
        ),
        row(16, H, "body-cut", good().cut()),
        row(
            16,
            H,
            "body-cut",
            good().cut().bytes(|mut body| {
                body.truncate(100);
                body
            }),
        ),
        row(
            17,
            H,
            "json-trailing-bytes",
            good().bytes(|body| [body, b"<!-- cache -->".to_vec()].concat()),
        ),
        row(18, H, "json-second-document", good().bytes(|body| body.repeat(2))),
        row(
            19,
            W,
            "json-byte-order-mark",
            good().bytes(|body| [b"\xef\xbb\xbf".to_vec(), body].concat()),
        ),
        row(20, P, "", good().bytes(|body| [b"\n\n   \r\n".to_vec(), body].concat())),
        row(21, H, "json-not-a-number", good().swap("null", "NaN")),
        row(21, H, "json-not-a-number", good().swap("null", "-Infinity")),
        row(22, W, "json-duplicate-key", good().swap("\"index\":0", "\"index\":0,\"index\":0")),
        row(
            23,
            H,
            "json-invalid-utf8",
            good()
                .swap("Hello", "H@llo")
                .bytes(|body| body.iter().map(|b| if *b == b'@' { 0xe9 } else { *b }).collect()),
        ),
        row(24, W, "json-lone-surrogate", good().swap("Hello", "H\\ud83dllo")),
        row(25, W, "content-type-odd", good().header("content-type", "text/plain")),
        row(25, W, "content-type-odd", good().header("content-type", "")),
        row(26, H, "encoding-false", good().header("content-encoding", "gzip")),
        row(27, H, "encoding-undeclared", good().bytes(|body| gzip(&body))),
        row(
            28,
            W,
            "content-encoded",
            good().bytes(|body| gzip(&body)).header("content-encoding", "gzip"),
        ),
        row(
            29,
            H,
            "mode-events-on-unary",
            raw(Mode::Unary, stream(|_| {}).body).header("content-type", "text/event-stream"),
        ),
        row(29, H, "mode-events-on-unary", raw(Mode::Unary, stream(|_| {}).body)),
        row(
            30,
            H,
            "legacy-text-choice",
            chat(|value| {
                remove(value, "/choices/0/message");
                set(value, "/choices/0/text", json!("Hello there"));
                set(value, "/object", json!("text_completion"));
            }),
        ),
    ]
}
