//! The documented reply with the optional fields that the short one leaves out or has as null, as far as they go with a text.

use serde_json::{Value, json};

use super::{ReplyContext, stream, unary};
use crate::change::{Change, ChangeKind, WholeReply};
use crate::{Mode, Surface};

/// An optional field that the short documented reply does not carry, or carries as null.
struct Further {
    parent: &'static str,
    key: &'static str,
    value: fn() -> Value,
    /// Whether the short reply has it as null.
    is_null_before: bool,
    /// In streams: only where this pointer has a text; else in every event that has the parent.
    beside: Option<&'static str>,
}

const fn absent(parent: &'static str, key: &'static str, value: fn() -> Value) -> Further {
    Further { parent, key, value, is_null_before: false, beside: None }
}

const CHAT_UNARY: &[Further] = &[
    Further {
        parent: "/choices/0",
        key: "logprobs",
        value: choice_logprobs,
        is_null_before: true,
        beside: None,
    },
    absent("/choices/0/message", "tool_calls", || json!([])),
    absent("/choices/0/message", "function_call", || Value::Null),
    absent("/choices/0/message", "audio", || Value::Null),
    absent("", "metadata", || json!({})),
];

const CHAT_STREAM: &[Further] = &[Further {
    parent: "/choices/0",
    key: "logprobs",
    value: choice_logprobs,
    is_null_before: true,
    beside: Some("/choices/0/delta/content"),
}];

fn choice_logprobs() -> Value {
    json!({ "content": [token_logprob()], "refusal": null })
}

fn token_logprob() -> Value {
    json!({ "token": "S", "logprob": -0.01, "bytes": [83], "top_logprobs": [] })
}

fn furthers(surface: Surface, mode: Mode) -> &'static [Further] {
    match (surface, mode) {
        (Surface::Chat, Mode::Unary) => CHAT_UNARY,
        (Surface::Chat, Mode::Stream) => CHAT_STREAM,
        // Its documented example carries every field of a text reply.
        (Surface::Responses, Mode::Unary | Mode::Stream) => &[],
    }
}

/// Returns the documented reply with every optional field that goes with a text.
pub fn full(ctx: &ReplyContext<'_>, mode: Mode) -> WholeReply {
    let furthers = furthers(ctx.surface, mode);
    match mode {
        Mode::Unary => {
            let mut document = unary(ctx);
            furthers.iter().for_each(|further| add(&mut document, further));
            WholeReply::Unary(document)
        }
        Mode::Stream => {
            let mut events = stream(ctx);
            for event in &mut events {
                if let Some(mut data) = event.json() {
                    furthers.iter().for_each(|further| add(&mut data, further));
                    event.data = data.to_string();
                }
            }
            WholeReply::Stream(events)
        }
    }
}

/// Returns for each of those optional fields the change that makes the full reply the short one again.
pub fn without(surface: Surface, mode: Mode) -> Vec<Change> {
    furthers(surface, mode)
        .iter()
        .map(|further| {
            let kind = if further.is_null_before { ChangeKind::Null } else { ChangeKind::Delete };
            Change::of_field(kind, &format!("{}/{}", further.parent, further.key))
        })
        .collect()
}

fn add(document: &mut Value, further: &Further) {
    let is_here = further.beside.is_none_or(|beside| {
        document.pointer(beside).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    });
    if is_here && let Some(Value::Object(fields)) = document.pointer_mut(further.parent) {
        fields.insert(further.key.to_owned(), (further.value)());
    }
}
