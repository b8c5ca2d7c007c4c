//! Replies that ended before the answer did, as the providers document them: by the token limit, or by the content filter.
//!
//! They are documented replies whose text is what had been written by then, with another end (facts/contracts.md, sections 1 and 2: `finish_reason`,
//! `incomplete_details`, `response.incomplete`).

use serde_json::{Value, json};

use super::{DONE, ReplyContext, StreamEvent, stream, unary};
use crate::Surface;

/// What ended an answer early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyEnd {
    /// The token limit: the request's own, or the model's.
    TokenLimit,
    /// The content filter.
    ContentFilter,
    /// The provider's engine, in the middle of it: `finish_reason: "abort"` as vLLM says (contracts.md row 47), or a response that `failed`.
    Abort,
}

impl EarlyEnd {
    fn finish_reason(self) -> &'static str {
        match self {
            Self::TokenLimit => "length",
            Self::ContentFilter => "content_filter",
            Self::Abort => "abort",
        }
    }

    /// The terminal event of a response.
    fn event(self) -> &'static str {
        match self {
            Self::TokenLimit | Self::ContentFilter => "response.incomplete",
            Self::Abort => "response.failed",
        }
    }
}

/// Returns the document of a unary reply that ended early; the context's text is what there is of the answer.
pub fn unary_ended_early(ctx: &ReplyContext<'_>, end: EarlyEnd) -> Value {
    let mut document = unary(ctx);
    match ctx.surface {
        Surface::Chat => finish(&mut document, end),
        Surface::Responses => end_response(&mut document, end),
    }
    document
}

/// Returns the events of a streamed reply that ended early; the context's text is what there is of the answer.
pub fn stream_ended_early(ctx: &ReplyContext<'_>, end: EarlyEnd) -> Vec<StreamEvent> {
    stream(ctx).into_iter().map(|event| ended_early(event, end)).collect()
}

fn ended_early(event: StreamEvent, end: EarlyEnd) -> StreamEvent {
    if event.data == DONE {
        return event;
    }
    let Some(mut data) = event.json() else { return event };
    let mut name = event.event;
    match name.as_deref() {
        None => finish(&mut data, end),
        Some("response.output_item.done") => put(&mut data, "/item/status", "incomplete".into()),
        Some("response.completed") => {
            name = Some(end.event().to_owned());
            put(&mut data, "/type", end.event().into());
            if let Some(response) = data.get_mut("response") {
                end_response(response, end);
            }
        }
        Some(_) => {}
    }
    StreamEvent { event: name, data: data.to_string() }
}

fn finish(document: &mut Value, end: EarlyEnd) {
    if document.pointer("/choices/0/finish_reason").is_some_and(Value::is_string) {
        put(document, "/choices/0/finish_reason", end.finish_reason().into());
    }
}

fn end_response(response: &mut Value, end: EarlyEnd) {
    let (status, field, why) = match end {
        EarlyEnd::TokenLimit => {
            ("incomplete", "/incomplete_details", json!({ "reason": "max_output_tokens" }))
        }
        EarlyEnd::ContentFilter => {
            ("incomplete", "/incomplete_details", json!({ "reason": "content_filter" }))
        }
        EarlyEnd::Abort => {
            let message = "The server had an error processing your request.";
            ("failed", "/error", json!({ "code": "server_error", "message": message }))
        }
    };
    put(response, "/status", status.into());
    put(response, "/completed_at", Value::Null);
    put(response, field, why);
    put(response, "/output/0/status", "incomplete".into());
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}
