//! Builds replies as the providers document them: what the simulated provider, and the tap in its simulated lane, say.
//!
//! Pure: the same context gives the same bytes. Whoever wants a deviation from the contract starts from these documents
//! and changes them, so that a fault differs from a good reply in that one thing only.

mod beside;
mod chat;
mod early;
mod error;
mod format;
mod full;
mod pieces;
mod responses;
mod tool_calls;
mod wording;

use std::io::Write as _;

pub use beside::{embeddings, moderation};
pub use early::{EarlyEnd, stream_ended_early, unary_ended_early};
pub use error::{ErrorKind, ErrorReply, error};
use flate2::Compression;
use flate2::write::GzEncoder;
pub use format::AnswerFormat;
pub use full::{full, without};
use serde_json::Value;
pub use tool_calls::{ToolCall, stream_with_tool_calls, tool_calls, unary_with_tool_calls};

use crate::{Profile, Surface};

/// The data of the event that ends a chat stream, by convention of OpenAI.
pub const DONE: &str = "[DONE]";

/// What `usage` counts for the prompt: the smoke prompt is about this long. Nobody may rely on it.
const PROMPT_TOKENS: usize = 27;

/// What a reply depends on.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext<'a> {
    /// The surface that was called.
    pub surface: Surface,
    /// The provider whose spelling and wording is copied.
    pub profile: Profile,
    /// The model that the request names; replies name it back.
    pub model: &'a str,
    /// The content to deliver.
    pub text: &'a str,
    /// The id of the completion, for example `chatcmpl-…` or `resp_…`.
    pub id: &'a str,
    /// The id of the request: the `x-request-id` header, and by CometAPI's profile a part of error messages.
    pub request_id: &'a str,
    /// Seconds since the epoch, for `created`.
    pub created: i64,
    /// Whether a chat stream was asked for its usage chunk. Responses always carry usage on their last event.
    pub include_usage: bool,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// The name, where the surface names its events.
    pub event: Option<String>,
    /// The data: one JSON document, or [`DONE`].
    pub data: String,
}

impl StreamEvent {
    /// Returns an event without a name.
    pub fn unnamed(data: impl Into<String>) -> Self {
        Self { event: None, data: data.into() }
    }

    /// Returns an event whose name repeats the `type` of its data.
    pub fn named(event: impl Into<String>, data: impl Into<String>) -> Self {
        Self { event: Some(event.into()), data: data.into() }
    }

    /// Returns the data as JSON; `None` for [`DONE`] and for anything else that is not JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.data).ok()
    }

    /// Returns the event as it goes over the wire, with the empty line that ends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = String::with_capacity(self.data.len() + 64);
        if let Some(event) = &self.event {
            bytes.push_str("event: ");
            bytes.push_str(event);
            bytes.push('\n');
        }
        for line in self.data.split('\n') {
            bytes.push_str("data: ");
            bytes.push_str(line);
            bytes.push('\n');
        }
        bytes.push('\n');
        bytes.into_bytes()
    }
}

/// Returns the bytes of a whole stream.
pub fn encode(events: &[StreamEvent]) -> Vec<u8> {
    events.iter().flat_map(StreamEvent::to_bytes).collect()
}

/// Returns the complete document of a unary reply: a `chat.completion` or a `response` object.
pub fn unary(ctx: &ReplyContext<'_>) -> Value {
    match ctx.surface {
        Surface::Chat => chat::completion(ctx),
        Surface::Responses => responses::completed(ctx),
    }
}

/// Returns the events of a streamed reply, the end included: `[DONE]` for chat, `response.completed` for responses.
pub fn stream(ctx: &ReplyContext<'_>) -> Vec<StreamEvent> {
    match ctx.surface {
        Surface::Chat => chat::stream(ctx),
        Surface::Responses => responses::stream(ctx),
    }
}

/// Returns the same as [`unary`] with the text cut in two output texts of one message, as the responses surface may send it; a chat message has
/// one text only.
pub fn unary_in_parts(ctx: &ReplyContext<'_>) -> Value {
    match ctx.surface {
        Surface::Chat => chat::completion(ctx),
        Surface::Responses => responses::completed_in(ctx, &pieces::halves(ctx.text)),
    }
}

/// Returns the same as [`stream`] with the text in two output texts of one message; see [`unary_in_parts`].
pub fn stream_in_parts(ctx: &ReplyContext<'_>) -> Vec<StreamEvent> {
    match ctx.surface {
        Surface::Chat => chat::stream(ctx),
        Surface::Responses => responses::stream_in(ctx, &pieces::halves(ctx.text)),
    }
}

/// Returns a body as `content-encoding: gzip` has it (RFC 1952).
#[expect(clippy::missing_panics_doc, reason = "a vector takes every byte")]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("a vector takes every byte")
}

/// Returns the headers of a unary reply, framing apart.
pub fn unary_headers(ctx: &ReplyContext<'_>) -> Vec<(String, String)> {
    with_common(ctx, &[("content-type", "application/json")])
}

/// Returns the headers of a streamed reply, framing apart.
pub fn stream_headers(ctx: &ReplyContext<'_>) -> Vec<(String, String)> {
    with_common(
        ctx,
        &[("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")],
    )
}

/// Adds what each reply carries. Rate limits are documented by OpenAI only.
fn with_common(ctx: &ReplyContext<'_>, first: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> =
        first.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("x-request-id".to_owned(), ctx.request_id.to_owned()));
    if ctx.profile == Profile::Openai {
        for (name, value) in [
            ("openai-version", "2020-10-01"),
            ("openai-processing-ms", "187"),
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-limit-tokens", "800000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-remaining-tokens", "799955"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-reset-tokens", "3ms"),
        ] {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    headers
}

/// Returns what `usage` counts for the text: four characters a token, as a rule of thumb.
fn output_tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4).max(1)
}

#[cfg(test)]
mod tests;
