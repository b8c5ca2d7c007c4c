//! How the built-in release streams to its user: each piece goes on as it comes, and the end is said only when the reply was whole.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::client::Bot;
use super::defect::Defect;

/// Answers a question in events.
pub(super) async fn answer(bot: &Bot, question: &str) -> Response {
    let Some(reply) = bot.open_stream(question).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let reading = Reading { reply, rest: Vec::new(), is_finished: false };
    let events = stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        let (events, is_over) = reading.next_events().await;
        Some((events, (!is_over).then_some(reading)))
    });
    let body = if bot.defect == Defect::HoldsStreamBack {
        Body::from(events.collect::<Vec<String>>().await.concat())
    } else {
        Body::from_stream(events.map(Ok::<_, Infallible>))
    };
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// The provider's reply, as far as it was read.
struct Reading {
    reply: reqwest::Response,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// Whether the model has said that this was all.
    is_finished: bool,
}

impl Reading {
    /// Returns what the next read has for the user, and whether it was the last one.
    async fn next_events(&mut self) -> (String, bool) {
        match self.reply.chunk().await {
            Ok(Some(chunk)) => {
                self.rest.extend_from_slice(&chunk);
                (self.take_lines(), false)
            }
            Ok(None) if self.is_finished => ("event: done\ndata: {}\n\n".to_owned(), true),
            Ok(None) | Err(_) => ("event: error\ndata: {}\n\n".to_owned(), true),
        }
    }

    fn take_lines(&mut self) -> String {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return String::new();
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        let mut events = String::new();
        for line in String::from_utf8_lossy(&lines).lines() {
            let data = line.strip_prefix("data:").unwrap_or_default();
            let Ok(chunk) = serde_json::from_str::<Value>(data) else { continue };
            let finish = chunk.pointer("/choices/0/finish_reason").and_then(Value::as_str);
            self.is_finished |= finish == Some("stop");
            if let Some(text) = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str) {
                events.push_str(&format!("data: {}\n\n", json!({ "delta": text })));
            }
        }
        events
    }
}
