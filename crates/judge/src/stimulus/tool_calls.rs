//! A reply that calls a tool which nobody has offered, in place of an answer.

use contract::reply::{self, ReplyContext, StreamEvent};
use contract::{Mode, Surface};
use serde_json::{Value, json};

use super::body::set;
use super::simulate::{context, documented, events_answer, json_headers, whole};
use super::{Act, AnswerEnd, RequestContext};

/// No release has a tool of this name, so none runs it.
const TOOL: &str = "surestep_tool_that_is_not_there";
const CALL_ID: &str = "call_surestep0000000000000001";
const ITEM_ID: &str = "fc_surestep00000000000000000000000000000001";

/// The call first; whoever asks again, as one that works with tools does, gets the answer.
pub(super) fn act(request: &RequestContext) -> Act {
    if request.attempt > 1 {
        return documented(request);
    }
    let context = context(request, "");
    match request.mode {
        Mode::Unary => whole(200, json_headers(request), unary(&context).to_string().into_bytes()),
        Mode::Stream => {
            let events = match request.surface {
                Surface::Chat => chat_stream(&context),
                Surface::Responses => responses_stream(&context),
            };
            Act::Answer(events_answer(request, &events, AnswerEnd::Complete))
        }
    }
}

fn unary(context: &ReplyContext<'_>) -> Value {
    let mut document = reply::unary(context);
    match context.surface {
        Surface::Chat => {
            let call = json!({ "id": CALL_ID, "type": "function", "function": { "name": TOOL, "arguments": "{}" } });
            set(&mut document, "/choices/0/message/content", Some(Value::Null));
            set(&mut document, "/choices/0/message/tool_calls", Some(json!([call])));
            set(&mut document, "/choices/0/finish_reason", Some(json!("tool_calls")));
        }
        Surface::Responses => {
            set(&mut document, "/output", Some(json!([item("completed", "{}")])));
        }
    }
    document
}

/// The role with the call's name, its arguments, the end.
fn chat_stream(context: &ReplyContext<'_>) -> Vec<StreamEvent> {
    let mut events = Vec::new();
    for event in reply::stream(context) {
        let Some(mut chunk) = event.json() else {
            events.push(event);
            continue;
        };
        let mut with = |delta: Value, finish: Option<&str>| {
            set(&mut chunk, "/choices/0/delta", Some(delta));
            set(&mut chunk, "/choices/0/finish_reason", Some(json!(finish)));
            events.push(StreamEvent::unnamed(chunk.to_string()));
        };
        match event.json().as_ref().and_then(|chunk| chunk.pointer("/choices/0")) {
            Some(choice) if choice.pointer("/delta/role").is_some() => with(
                json!({ "role": "assistant", "content": null, "tool_calls": [{
                    "index": 0, "id": CALL_ID, "type": "function", "function": { "name": TOOL, "arguments": "" } }] }),
                None,
            ),
            Some(choice) if choice.get("finish_reason").is_some_and(Value::is_string) => {
                with(
                    json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] }),
                    None,
                );
                with(json!({}), Some("tool_calls"));
            }
            // Pieces of a text that is not there.
            Some(_) => {}
            None => events.push(event),
        }
    }
    events
}

fn responses_stream(context: &ReplyContext<'_>) -> Vec<StreamEvent> {
    let place = json!({ "item_id": ITEM_ID, "output_index": 0 });
    let of_call = |field: &str| {
        let mut payload = place.clone();
        set(&mut payload, &format!("/{field}"), Some(json!("{}")));
        payload
    };
    let mut events = Vec::new();
    for event in reply::stream(context) {
        let (Some(name), Some(mut data)) = (event.event.clone(), event.json()) else { continue };
        match name.as_str() {
            "response.created" | "response.in_progress" => events.push((name, data)),
            "response.completed" => {
                let delta = of_call("delta");
                let mut done = of_call("arguments");
                set(&mut done, "/name", Some(json!(TOOL)));
                set(&mut data, "/response/output", Some(json!([item("completed", "{}")])));
                let added = json!({ "output_index": 0, "item": item("in_progress", "") });
                let whole = json!({ "output_index": 0, "item": item("completed", "{}") });
                for (name, payload) in [
                    ("response.output_item.added", added),
                    ("response.function_call_arguments.delta", delta),
                    ("response.function_call_arguments.done", done),
                    ("response.output_item.done", whole),
                ] {
                    events.push((name.to_owned(), payload));
                }
                events.push((name, data));
            }
            _ => {}
        }
    }
    let numbered = events.into_iter().enumerate().map(|(number, (name, mut data))| {
        set(&mut data, "/type", Some(json!(name)));
        set(&mut data, "/sequence_number", Some(json!(number)));
        StreamEvent::named(name, data.to_string())
    });
    numbered.collect()
}

fn item(status: &str, arguments: &str) -> Value {
    json!({
        "id": ITEM_ID, "type": "function_call", "status": status,
        "call_id": CALL_ID, "name": TOOL, "arguments": arguments,
    })
}
