//! Replies in which the model calls tools in place of an answer.

use serde_json::{Value, json};

use super::pieces::pieces;
use super::{DONE, ReplyContext, StreamEvent, chat, responses};
use crate::Surface;
use crate::conversation::TOOL;

/// A call of a tool. No `Debug` of what it holds: its arguments are a model's text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The id by which the tool's result will name it: `id` (chat), `call_id` (responses).
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments, a JSON document.
    pub arguments: String,
}

impl std::fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolCall").finish_non_exhaustive()
    }
}

/// Returns the calls that a reply with this text makes: it stands in their arguments. Two at once, so that whoever mixes up or drops one of
/// them shows.
pub fn tool_calls(text: &str) -> Vec<ToolCall> {
    let call = |n: usize, arguments: &Value| ToolCall {
        id: format!("call_surestep0000000000000{n}"),
        name: TOOL.to_owned(),
        arguments: arguments.to_string(),
    };
    let (first, second) = (json!({ "parcel": text }), json!({ "parcel": format!("{text} (2)") }));
    vec![call(1, &first), call(2, &second)]
}

/// Returns the document of a unary reply that makes these calls; see [`super::unary`].
pub fn unary_with_tool_calls(ctx: &ReplyContext<'_>, calls: &[ToolCall]) -> Value {
    let mut document = super::unary(ctx);
    match ctx.surface {
        Surface::Chat => {
            let calls: Vec<Value> = calls.iter().map(chat_call).collect();
            put(&mut document, "/choices/0/message/content", Value::Null);
            put(&mut document, "/choices/0/message/tool_calls", calls.into());
            put(&mut document, "/choices/0/finish_reason", json!("tool_calls"));
        }
        Surface::Responses => {
            let items = calls.iter().map(|call| item(call, "completed", &call.arguments));
            put(&mut document, "/output", items.collect());
        }
    }
    document
}

/// Returns the events of a streamed reply that makes these calls; see [`super::stream`].
pub fn stream_with_tool_calls(ctx: &ReplyContext<'_>, calls: &[ToolCall]) -> Vec<StreamEvent> {
    match ctx.surface {
        Surface::Chat => {
            let role = json!({ "role": "assistant", "content": null, "refusal": null });
            let mut events = vec![chat::choice(ctx, &role, None)];
            let delta = |call: Value| chat::choice(ctx, &json!({ "tool_calls": [call] }), None);
            for (index, call) in calls.iter().enumerate() {
                let mut begun = chat_call(&ToolCall { arguments: String::new(), ..call.clone() });
                put(&mut begun, "/index", json!(index));
                events.push(delta(begun));
                events.extend(pieces(&call.arguments).into_iter().map(|piece| {
                    delta(json!({ "index": index, "function": { "arguments": piece } }))
                }));
            }
            events.push(chat::choice(ctx, &json!({}), Some("tool_calls")));
            events.extend(ctx.include_usage.then(|| chat::usage_chunk(ctx)));
            events.push(StreamEvent::unnamed(DONE));
            events
        }
        Surface::Responses => {
            let items: Vec<Value> =
                calls.iter().map(|call| item(call, "completed", &call.arguments)).collect();
            responses::stream_of(ctx, &items, |events| {
                for (index, (call, done)) in calls.iter().zip(&items).enumerate() {
                    push_call(events, index, call, done);
                }
            })
        }
    }
}

/// Adds the events of one call.
fn push_call(events: &mut responses::Events, index: usize, call: &ToolCall, done: &Value) {
    let id = item_id(call);
    let begun = item(call, "in_progress", "");
    events.push("response.output_item.added", json!({ "output_index": index, "item": begun }));
    for piece in pieces(&call.arguments) {
        events.push(
            "response.function_call_arguments.delta",
            json!({ "item_id": id, "output_index": index, "delta": piece }),
        );
    }
    events.push(
        "response.function_call_arguments.done",
        json!({ "item_id": id, "output_index": index, "name": call.name, "arguments": call.arguments }),
    );
    events.push("response.output_item.done", json!({ "output_index": index, "item": done }));
}

fn chat_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

fn item(call: &ToolCall, status: &str, arguments: &str) -> Value {
    json!({
        "id": item_id(call),
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call.id,
        "name": call.name,
    })
}

fn item_id(call: &ToolCall) -> String {
    call.id.replace("call_", "fc_")
}

/// Sets a field whose parent is there.
fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some((parent, key)) = pointer.rsplit_once('/')
        && let Some(Value::Object(fields)) = document.pointer_mut(parent)
    {
        fields.insert(key.to_owned(), value);
    }
}
