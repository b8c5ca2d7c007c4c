//! Builds good replies, to be changed in one thing.

use contract::{BodyEnd, ContractVerdict, Mode, Surface};
use serde_json::{Value, json};

/// A response as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) surface: Surface,
    pub(crate) mode: Mode,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: BodyEnd,
}

/// One row of the catalogue.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: u16,
    pub(crate) gate: ContractVerdict,
    /// A finding that must be there; empty where none is expected.
    pub(crate) code: &'static str,
    pub(crate) reply: Reply,
}

pub(crate) const H: ContractVerdict = ContractVerdict::Hold;
pub(crate) const W: ContractVerdict = ContractVerdict::Warn;
pub(crate) const P: ContractVerdict = ContractVerdict::Pass;

pub(crate) fn row(number: u16, gate: ContractVerdict, code: &'static str, reply: Reply) -> Row {
    Row { number, gate, code, reply }
}

impl Reply {
    pub(crate) fn new(surface: Surface, mode: Mode, body: impl Into<Vec<u8>>) -> Self {
        let content_type = match mode {
            Mode::Unary => "application/json",
            Mode::Stream => "text/event-stream",
        };
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { surface, mode, status: 200, headers, body: body.into(), end: BodyEnd::Complete }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn cut(mut self) -> Self {
        self.end = BodyEnd::Cut;
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Replaces text in the body, which must be there.
    pub(crate) fn swap(mut self, from: &str, to: &str) -> Self {
        let text = self.text();
        assert!(text.contains(from), "{from} in {text}");
        self.body = text.replacen(from, to, 1).into_bytes();
        self
    }

    pub(crate) fn bytes(mut self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        self.body = change(self.body);
        self
    }
}

/// Sets the value at a pointer; `remove` takes it away.
pub(crate) fn set(value: &mut Value, pointer: &str, to: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(fields) => {
            fields.insert(key.to_owned(), to);
        }
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = to,
        _ => panic!("{pointer}"),
    }
}

pub(crate) fn remove(value: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(key).unwrap();
}

/// A raw body in place of a chat reply.
pub(crate) fn raw(mode: Mode, body: impl Into<Vec<u8>>) -> Reply {
    Reply::new(Surface::Chat, mode, body)
}

pub(crate) fn unary(body: impl Into<Vec<u8>>) -> Reply {
    raw(Mode::Unary, body)
}

pub(crate) fn chat_value() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000, "model": "gpt-5.4-mini-2026-03-17",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop", "logprobs": null}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, "service_tier": "default"
    })
}

pub(crate) fn chat(change: impl FnOnce(&mut Value)) -> Reply {
    let mut value = chat_value();
    change(&mut value);
    unary(value.to_string())
}

pub(crate) fn chat_set(pointer: &str, to: Value) -> Reply {
    chat(|value| set(value, pointer, to))
}

pub(crate) fn chat_without(pointer: &str) -> Reply {
    chat(|value| remove(value, pointer))
}

pub(crate) fn chat_tools(change: impl FnOnce(&mut Value)) -> Reply {
    chat(|value| {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
        set(
            value,
            "/choices/0/message",
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
        );
        set(value, "/choices/0/finish_reason", json!("tool_calls"));
        change(value);
    })
}

pub(crate) fn chunk(delta: Value, finish: Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_780_000_000, "model": "gpt-5.4-mini",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}], "usage": null
    })
}

pub(crate) fn chunks() -> Vec<Value> {
    vec![
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "Hello"}), Value::Null),
        chunk(json!({"content": " there"}), Value::Null),
        chunk(json!({}), json!("stop")),
    ]
}

pub(crate) fn usage_chunk() -> Value {
    let mut value = chunk(json!({}), Value::Null);
    set(&mut value, "/choices", json!([]));
    set(
        &mut value,
        "/usage",
        json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
    );
    value
}

pub(crate) fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

pub(crate) fn stream_of(chunks: &[Value]) -> Reply {
    raw(Mode::Stream, sse(chunks))
}

/// A chat stream whose four chunks (role, two texts, finish) can be changed.
pub(crate) fn stream(change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    let mut chunks = chunks();
    change(&mut chunks);
    stream_of(&chunks)
}

pub(crate) fn stream_set(chunk: usize, pointer: &str, to: Value) -> Reply {
    stream(|chunks| set(&mut chunks[chunk], pointer, to))
}

pub(crate) fn tool_delta(delta: Value) -> Value {
    chunk(json!({"tool_calls": [delta]}), Value::Null)
}

/// A chat stream with a tool call: role, head of the call, two fragments of arguments, finish.
pub(crate) fn stream_tools(change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    let mut chunks = vec![
        chunk(json!({"role": "assistant", "content": null}), Value::Null),
        tool_delta(
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}),
        ),
        tool_delta(json!({"index": 0, "function": {"arguments": "{\"a\":"}})),
        tool_delta(json!({"index": 0, "function": {"arguments": "1}"}})),
        chunk(json!({}), json!("tool_calls")),
    ];
    change(&mut chunks);
    stream_of(&chunks)
}

pub(crate) fn item() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Hello there", "annotations": []}]})
}

pub(crate) fn response_value() -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_780_000_000, "status": "completed", "error": null,
        "incomplete_details": null, "model": "gpt-5.4-mini", "output": [item()], "parallel_tool_calls": true, "tool_choice": "auto",
        "tools": [], "usage": {
            "input_tokens": 5, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7
        }
    })
}

pub(crate) fn responses(change: impl FnOnce(&mut Value)) -> Reply {
    let mut value = response_value();
    change(&mut value);
    Reply::new(Surface::Responses, Mode::Unary, value.to_string())
}

pub(crate) fn response_events() -> Vec<Value> {
    let mut begun = response_value();
    set(&mut begun, "/status", json!("in_progress"));
    set(&mut begun, "/output", json!([]));
    set(&mut begun, "/usage", Value::Null);
    let mut open = item();
    set(&mut open, "/status", json!("in_progress"));
    set(&mut open, "/content", json!([]));
    let at = |mut event: Value| {
        set(&mut event, "/item_id", json!("msg_1"));
        set(&mut event, "/output_index", json!(0));
        set(&mut event, "/content_index", json!(0));
        event
    };
    let part = json!({"type": "output_text", "text": "Hello there", "annotations": []});
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": open}),
        at(
            json!({"type": "response.content_part.added", "part": {"type": "output_text", "text": "", "annotations": []}}),
        ),
        at(json!({"type": "response.output_text.delta", "delta": "Hello"})),
        at(json!({"type": "response.output_text.delta", "delta": " there"})),
        at(json!({"type": "response.output_text.done", "text": "Hello there"})),
        at(json!({"type": "response.content_part.done", "part": part})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item()}),
        json!({"type": "response.completed", "response": response_value()}),
    ];
    number(&mut events);
    events
}

/// Numbers the events anew.
pub(crate) fn number(events: &mut [Value]) {
    for (number, event) in events.iter_mut().enumerate() {
        set(event, "/sequence_number", json!(number));
    }
}

pub(crate) fn named(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        })
        .collect()
}

/// A responses stream whose ten events can be changed.
pub(crate) fn responses_stream(change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    let mut events = response_events();
    change(&mut events);
    Reply::new(Surface::Responses, Mode::Stream, named(&events))
}

pub(crate) fn error_body() -> Value {
    json!({"error": {"message": "The server had an error", "type": "server_error", "param": null, "code": "server_error"}})
}
