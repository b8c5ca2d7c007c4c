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
}

impl EarlyEnd {
    fn finish_reason(self) -> &'static str {
        match self {
            Self::TokenLimit => "length",
            Self::ContentFilter => "content_filter",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::TokenLimit => "max_output_tokens",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Returns the document of a unary reply that ended early; the context's text is what there is of the answer.
pub fn unary_ended_early(ctx: &ReplyContext<'_>, end: EarlyEnd) -> Value {
    let mut document = unary(ctx);
    match ctx.surface {
        Surface::Chat => finish(&mut document, end),
        Surface::Responses => incomplete(&mut document, end),
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
            name = Some("response.incomplete".to_owned());
            put(&mut data, "/type", "response.incomplete".into());
            if let Some(response) = data.get_mut("response") {
                incomplete(response, end);
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

fn incomplete(response: &mut Value, end: EarlyEnd) {
    put(response, "/status", "incomplete".into());
    put(response, "/completed_at", Value::Null);
    put(response, "/incomplete_details", json!({ "reason": end.reason() }));
    put(response, "/output/0/status", "incomplete".into());
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}
