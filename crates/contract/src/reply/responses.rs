//! `POST /v1/responses`: the response object, and the events of its stream.

use serde_json::{Map, Value, json};

use super::pieces::pieces;
use super::{PROMPT_TOKENS, ReplyContext, StreamEvent, output_tokens};
use crate::Profile;

/// Returns the completed `response` object.
pub(super) fn completed(ctx: &ReplyContext<'_>) -> Value {
    completed_in(ctx, &[ctx.text])
}

/// Returns the completed `response` object, its message in these output texts.
pub(super) fn completed_in(ctx: &ReplyContext<'_>, texts: &[&str]) -> Value {
    response(ctx, Stage::Completed, &[item(ctx, Stage::Completed, texts)])
}

/// Returns the events in their documented order. There is no `[DONE]` on this surface.
pub(super) fn stream(ctx: &ReplyContext<'_>) -> Vec<StreamEvent> {
    stream_in(ctx, &[ctx.text])
}

/// Returns the events of a response whose message is in these output texts.
pub(super) fn stream_in(ctx: &ReplyContext<'_>, texts: &[&str]) -> Vec<StreamEvent> {
    let done = item(ctx, Stage::Completed, texts);
    stream_of(ctx, std::slice::from_ref(&done), |events| {
        events.push(
            "response.output_item.added",
            json!({ "output_index": 0, "item": item(ctx, Stage::InProgress, texts) }),
        );
        for (index, text) in texts.iter().enumerate() {
            push_part(events, &item_id(ctx), index, text);
        }
        events
            .push("response.output_item.done", json!({ "output_index": 0, "item": done.clone() }));
    })
}

/// Returns the events of a response with this output, those of its items being what `push_items` adds.
pub(super) fn stream_of(
    ctx: &ReplyContext<'_>,
    output: &[Value],
    push_items: impl FnOnce(&mut Events),
) -> Vec<StreamEvent> {
    let mut events = Events::default();
    let begun = response(ctx, Stage::InProgress, &[]);
    events.push("response.created", json!({ "response": begun }));
    events.push("response.in_progress", json!({ "response": begun }));
    push_items(&mut events);
    let completed = response(ctx, Stage::Completed, output);
    events.push("response.completed", json!({ "response": completed }));
    events.0
}

/// Adds the events of one output text.
fn push_part(events: &mut Events, item_id: &str, content_index: usize, text: &str) {
    let part = json!({ "item_id": item_id, "output_index": 0, "content_index": content_index, "part": text_part("") });
    events.push("response.content_part.added", part);
    for piece in pieces(text) {
        events.push(
            "response.output_text.delta",
            json!({ "item_id": item_id, "output_index": 0, "content_index": content_index, "delta": piece, "logprobs": [] }),
        );
    }
    events.push(
        "response.output_text.done",
        json!({ "item_id": item_id, "output_index": 0, "content_index": content_index, "text": text, "logprobs": [] }),
    );
    let part = json!({ "item_id": item_id, "output_index": 0, "content_index": content_index, "part": text_part(text) });
    events.push("response.content_part.done", part);
}

/// How far the response is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    InProgress,
    Completed,
}

impl Stage {
    fn status(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }

    /// Returns the value once it is known, else null.
    fn once_completed(self, value: Value) -> Value {
        match self {
            Self::InProgress => Value::Null,
            Self::Completed => value,
        }
    }
}

/// The events so far; each gets its `type` and the next `sequence_number`, from 0.
#[derive(Default)]
pub(super) struct Events(Vec<StreamEvent>);

impl Events {
    pub(super) fn push(&mut self, kind: &str, payload: Value) {
        let mut data = Map::new();
        data.insert("type".to_owned(), kind.into());
        data.insert("sequence_number".to_owned(), self.0.len().into());
        if let Value::Object(payload) = payload {
            data.extend(payload);
        }
        self.0.push(StreamEvent::named(kind, Value::Object(data).to_string()));
    }
}

fn response(ctx: &ReplyContext<'_>, stage: Stage, output: &[Value]) -> Value {
    json!({
        "id": ctx.id,
        "object": "response",
        "created_at": ctx.created,
        "status": stage.status(),
        "background": false,
        "completed_at": stage.once_completed(ctx.created.into()),
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": ctx.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": { "effort": null, "summary": null },
        "safety_identifier": null,
        "service_tier": match stage { Stage::InProgress => "auto", Stage::Completed => "default" },
        "store": true,
        "temperature": 1.0,
        "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": stage.once_completed(usage(ctx)),
        "user": null,
        "metadata": {},
    })
}

fn item(ctx: &ReplyContext<'_>, stage: Stage, texts: &[&str]) -> Value {
    let content: Value = match stage {
        Stage::InProgress => json!([]),
        Stage::Completed => texts.iter().map(|text| text_part(text)).collect(),
    };
    json!({
        "id": item_id(ctx),
        "type": "message",
        "status": stage.status(),
        "content": content,
        "role": "assistant",
    })
}

fn item_id(ctx: &ReplyContext<'_>) -> String {
    format!("msg_{}", ctx.id.strip_prefix("resp_").unwrap_or(ctx.id))
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

/// Returns the usage. CometAPI's documented example has no `cache_write_tokens`, which newer types of OpenAI require.
fn usage(ctx: &ReplyContext<'_>) -> Value {
    let output_tokens = output_tokens(ctx.text);
    let input_details = if ctx.profile.base() == Profile::Cometapi {
        json!({ "cached_tokens": 0 })
    } else {
        json!({ "cached_tokens": 0, "cache_write_tokens": 0 })
    };
    json!({
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": input_details,
        "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": PROMPT_TOKENS + output_tokens,
    })
}
