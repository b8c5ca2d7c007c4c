//! `POST /v1/chat/completions`: the completion, and the chunks of its stream.

use serde_json::{Map, Value, json};

use super::pieces::pieces;
use super::{DONE, PROMPT_TOKENS, ReplyContext, StreamEvent, output_tokens};

/// The backend configuration that replies name.
const FINGERPRINT: &str = "fp_50cad350e4";

/// Returns the `chat.completion` object.
pub(super) fn completion(ctx: &ReplyContext<'_>) -> Value {
    json!({
        "id": ctx.id,
        "object": "chat.completion",
        "created": ctx.created,
        "model": ctx.model,
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant",
                "content": ctx.text,
                "refusal": null,
                "annotations": [],
            },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(ctx),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    })
}

/// Returns the chunks: role, content, finish, usage if it was asked for, and the end.
pub(super) fn stream(ctx: &ReplyContext<'_>) -> Vec<StreamEvent> {
    let mut events =
        vec![choice(ctx, &json!({ "role": "assistant", "content": "", "refusal": null }), None)];
    events.extend(
        pieces(ctx.text).into_iter().map(|piece| choice(ctx, &json!({ "content": piece }), None)),
    );
    events.push(choice(ctx, &json!({}), Some("stop")));
    if ctx.include_usage {
        events.push(usage_chunk(ctx));
    }
    events.push(StreamEvent::unnamed(DONE));
    events
}

/// Returns the chunk that tells the usage.
pub(super) fn usage_chunk(ctx: &ReplyContext<'_>) -> StreamEvent {
    chunk(ctx, json!([]), usage(ctx))
}

pub(super) fn choice(
    ctx: &ReplyContext<'_>,
    delta: &Value,
    finish_reason: Option<&str>,
) -> StreamEvent {
    let choices =
        json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
    chunk(ctx, choices, Value::Null)
}

/// Returns one chunk. With `include_usage` each one has the field, and all but the last have it null.
fn chunk(ctx: &ReplyContext<'_>, choices: Value, usage: Value) -> StreamEvent {
    let mut chunk = Map::new();
    chunk.insert("id".to_owned(), ctx.id.into());
    chunk.insert("object".to_owned(), "chat.completion.chunk".into());
    chunk.insert("created".to_owned(), ctx.created.into());
    chunk.insert("model".to_owned(), ctx.model.into());
    chunk.insert("service_tier".to_owned(), "default".into());
    chunk.insert("system_fingerprint".to_owned(), FINGERPRINT.into());
    chunk.insert("choices".to_owned(), choices);
    if ctx.include_usage {
        chunk.insert("usage".to_owned(), usage);
    }
    StreamEvent::unnamed(Value::Object(chunk).to_string())
}

fn usage(ctx: &ReplyContext<'_>) -> Value {
    let completion_tokens = output_tokens(ctx.text);
    json!({
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
