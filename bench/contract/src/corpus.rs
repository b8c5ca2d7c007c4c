//! Bodies to read: streams of small chunks and single documents, made here and the same in every run.

use contract::{Mode, Surface};
use serde_json::{Value, json};

/// Bodies of one kind: a stream, or single documents of which no two are the same.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) surface: Surface,
    pub(crate) mode: Mode,
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl Corpus {
    /// Returns the documents in it, as a client without any checks would split them off.
    pub(crate) fn documents(&self) -> Vec<&[u8]> {
        if self.mode == Mode::Unary {
            return self.bodies.iter().map(Vec::as_slice).collect();
        }
        let blank = memchr::memmem::Finder::new(b"\n\n");
        let mut rest = &self.bodies[0][..];
        let mut documents = Vec::new();
        while let Some(end) = blank.find(rest) {
            let event = &rest[..end];
            rest = &rest[end + 2..];
            let data = event.strip_prefix(b"data: ").or_else(|| {
                let line = memchr::memchr(b'\n', event)?;
                event[line + 1..].strip_prefix(b"data: ")
            });
            documents.extend(data.filter(|data| *data != b"[DONE]"));
        }
        documents
    }
}

/// A generator without chance.
struct Steps(u64);

impl Steps {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Prose with some code and other scripts: an escape every fifty bytes or so.
const WORDS: &[&str] = &[
    " the",
    " release",
    " answers",
    ",",
    " with",
    " a",
    " stream",
    " of",
    " tokens",
    ".",
    " It",
    " is",
    " safe",
    " to",
    " wait",
    " for",
    " evidence",
    "\n",
    " \"quoted\"",
    " 世界",
    " é",
    " –",
    " 😀",
    " `code`",
    "1",
    "2",
    " per",
    " cent",
    " and",
    " every",
    " service",
    " that",
    " calls",
    " it",
    ";",
    " there",
    " must",
    " be",
    " proof",
    " that",
    " nothing",
    " was",
    " lost",
    " on",
    " its",
    " way",
];

fn words(steps: &mut Steps, n_bytes: usize) -> String {
    let mut text = "The".to_owned();
    while text.len() < n_bytes {
        text.push_str(WORDS[usize::try_from(steps.next(WORDS.len() as u64)).unwrap()]);
    }
    text
}

fn padding(steps: &mut Steps) -> String {
    let n = 1 + steps.next(15);
    (0..n).map(|_| char::from(b'a' + u8::try_from(steps.next(26)).unwrap())).collect()
}

fn chunk(index: u64, delta: Value, finish: Value) -> Value {
    json!({"id": "chatcmpl-D1x8aVq0m3", "object": "chat.completion.chunk", "created": 1_780_000_000, "model": "gpt-5.4-mini-2026-03-17",
        "choices": [{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]})
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn end(body: &mut String) {
    let usage = json!({"id": "chatcmpl-D1x8aVq0m3", "object": "chat.completion.chunk", "created": 1_780_000_000,
        "model": "gpt-5.4-mini-2026-03-17", "choices": [],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}});
    body.push_str(&event(&usage));
    body.push_str("data: [DONE]\n\n");
}

fn chat_stream(n_choices: u64, n_bytes: usize) -> Vec<u8> {
    let mut steps = Steps(1);
    let mut body = String::new();
    for index in 0..n_choices {
        body.push_str(&event(&chunk(
            index,
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )));
    }
    let mut number = 0;
    while body.len() < n_bytes {
        let word = WORDS[usize::try_from(steps.next(WORDS.len() as u64)).unwrap()];
        body.push_str(&event(&chunk(number % n_choices, json!({"content": word}), Value::Null)));
        number += 1;
    }
    for index in 0..n_choices {
        body.push_str(&event(&chunk(index, json!({}), json!("stop"))));
    }
    end(&mut body);
    body.into_bytes()
}

/// Tool calls of some sixty fragments each, as a model writes them: keys, quotes and escapes cut anywhere.
fn tool_stream(n_bytes: usize) -> Vec<u8> {
    let mut steps = Steps(2);
    let mut body = event(&chunk(0, json!({"role": "assistant", "content": null}), Value::Null));
    let mut number = 0;
    while body.len() < n_bytes && number < 250 {
        let first = json!({"tool_calls": [{"index": number, "id": format!("call_{number}"), "type": "function",
            "function": {"name": "search", "arguments": ""}}]});
        body.push_str(&event(&chunk(0, first, Value::Null)));
        let arguments =
            json!({"query": words(&mut steps, 700), "limit": 10, "tags": ["a", "b"]}).to_string();
        let letters: Vec<char> = arguments.chars().collect();
        for piece in letters.chunks(5) {
            let piece: String = piece.iter().collect();
            let delta =
                json!({"tool_calls": [{"index": number, "function": {"arguments": piece}}]});
            body.push_str(&event(&chunk(0, delta, Value::Null)));
        }
        number += 1;
    }
    body.push_str(&event(&chunk(0, json!({}), json!("tool_calls"))));
    end(&mut body);
    body.into_bytes()
}

fn responses_stream(n_bytes: usize) -> Vec<u8> {
    let mut steps = Steps(3);
    let mut body = String::new();
    let mut number = 0;
    let mut add = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(number);
        number += 1;
        body.push_str(&format!("event: {kind}\ndata: {data}\n\n"));
        body.len()
    };
    let response = |status: &str, output: Value, usage: Value| {
        json!({"response": {"id": "resp_6a5f", "object": "response", "created_at": 1_780_000_000, "status": status, "error": null,
            "incomplete_details": null, "model": "gpt-5.4-mini", "output": output, "parallel_tool_calls": true,
            "tool_choice": "auto", "tools": [], "usage": usage}})
    };
    add("response.created", response("in_progress", json!([]), Value::Null));
    let item = |status: &str, content: Value| json!({"id": "msg_6a5f0011", "type": "message", "role": "assistant", "status": status, "content": content});
    add(
        "response.output_item.added",
        json!({"output_index": 0, "item": item("in_progress", json!([]))}),
    );
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let place = json!({"item_id": "msg_6a5f0011", "output_index": 0, "content_index": 0});
    let with = |key: &str, value: Value| {
        let mut data = place.clone();
        data[key] = value;
        data
    };
    add("response.content_part.added", with("part", part("")));
    let mut text = String::new();
    loop {
        let word = WORDS[usize::try_from(steps.next(WORDS.len() as u64)).unwrap()];
        text.push_str(word);
        let mut data = with("delta", json!(word));
        data["logprobs"] = json!([]);
        data["obfuscation"] = json!(padding(&mut steps));
        if add("response.output_text.delta", data) > n_bytes {
            break;
        }
    }
    add("response.output_text.done", with("text", json!(text)));
    add("response.content_part.done", with("part", part(&text)));
    let done = item("completed", json!([part(&text)]));
    add("response.output_item.done", json!({"output_index": 0, "item": done}));
    let usage = json!({"input_tokens": 5, "output_tokens": 9, "total_tokens": 14});
    add("response.completed", response("completed", json!([done]), usage));
    body.into_bytes()
}

/// In which way the documents of a corpus differ.
#[derive(Clone, Copy)]
enum Differ {
    /// Ids, texts, times and counts.
    Values,
    /// These, and one of them has a field that none of the others has: nothing can be known of it from them.
    Structure,
}

impl Differ {
    fn write(self, mut document: Value, number: u64) -> Vec<u8> {
        match self {
            Self::Values => {}
            Self::Structure => document[format!("field_{number}")] = json!({"own": number}),
        }
        document.to_string().into_bytes()
    }
}

fn log_probabilities(steps: &mut Steps, n: usize) -> Value {
    if n == 0 {
        return Value::Null;
    }
    let mut content = Vec::new();
    for _ in 0..n {
        let token = padding(steps);
        let logprob = -0.001 * steps.next(9000) as f64;
        content.push(json!({"token": token, "logprob": logprob, "bytes": token.as_bytes(), "top_logprobs": []}));
    }
    json!({"content": content, "refusal": null})
}

fn chat(number: u64, n_text: usize, n_logprobs: usize, differ: Differ) -> Vec<u8> {
    let mut steps = Steps(1000 + number);
    let text = words(&mut steps, n_text);
    let (prompt, completion) = (10 + steps.next(90), 10 + steps.next(90));
    let document = json!({"id": format!("chatcmpl-D1x8{:08x}", steps.next(1 << 32)), "object": "chat.completion",
        "created": 1_780_000_000 + steps.next(1_000_000), "model": "gpt-5.4-mini-2026-03-17",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": log_probabilities(&mut steps, n_logprobs), "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": steps.next(9), "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
        "service_tier": "default", "system_fingerprint": format!("fp_{:010x}", steps.next(1 << 40))});
    differ.write(document, number)
}

fn response(number: u64, n_text: usize, differ: Differ) -> Vec<u8> {
    let mut steps = Steps(5000 + number);
    let text = words(&mut steps, n_text);
    let id = format!("{:08x}{:08x}", steps.next(1 << 32), steps.next(1 << 32));
    let (input, output) = (10 + steps.next(90), 10 + steps.next(90));
    let document = json!({"id": format!("resp_{id}"), "object": "response", "created_at": 1_780_000_000 + steps.next(1_000_000),
        "status": "completed", "background": false, "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": "gpt-5.4-mini-2026-03-17",
        "output": [{"id": format!("rs_{id}"), "type": "reasoning", "summary": []},
            {"id": format!("msg_{id}"), "type": "message", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}],
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": "low", "summary": null}, "service_tier": "default",
        "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "top_p": 0.98, "truncation": "disabled",
        "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": steps.next(9)}, "total_tokens": input + output}, "user": null, "metadata": {}});
    differ.write(document, number)
}

/// Returns the corpora whose name holds the wanted word, or all.
pub(crate) fn corpora(wanted: Option<&str>) -> Vec<Corpus> {
    const STREAM_BYTES: usize = 4 * 1024 * 1024;
    // More than whatever remembers earlier documents could hold.
    const MANY: u64 = 512;
    type Make = fn(u64) -> Vec<u8>;
    let stream: [(_, _, u64, Make); 4] = [
        ("chat stream, text", Surface::Chat, 1, |_| chat_stream(1, STREAM_BYTES)),
        ("chat stream, two choices in turns", Surface::Chat, 1, |_| chat_stream(2, STREAM_BYTES)),
        ("chat stream, tool-call deltas", Surface::Chat, 1, |_| tool_stream(STREAM_BYTES)),
        ("responses stream", Surface::Responses, 1, |_| responses_stream(STREAM_BYTES)),
    ];
    let unary: [(_, _, u64, Make); 9] = [
        ("chat, short answer", Surface::Chat, MANY, |n| chat(n, 250, 0, Differ::Values)),
        ("chat, short answer, first of its structure", Surface::Chat, MANY, |n| {
            chat(n, 250, 0, Differ::Structure)
        }),
        ("chat, some answer", Surface::Chat, MANY, |n| chat(n, 1000, 0, Differ::Values)),
        ("chat, some answer, first of its structure", Surface::Chat, MANY, |n| {
            chat(n, 1000, 0, Differ::Structure)
        }),
        ("responses, some answer", Surface::Responses, MANY, |n| response(n, 700, Differ::Values)),
        ("responses, some answer, first of its structure", Surface::Responses, MANY, |n| {
            response(n, 700, Differ::Structure)
        }),
        ("chat, long answer", Surface::Chat, 8, |n| chat(n, 56_000, 0, Differ::Values)),
        ("chat, long answer, larger than a cache", Surface::Chat, 3, |n| {
            chat(n, 2_000_000, 0, Differ::Values)
        }),
        ("chat, log probabilities (mostly numbers)", Surface::Chat, 8, |n| {
            chat(n, 4000, 1200, Differ::Values)
        }),
    ];
    let all = stream
        .map(|corpus| (corpus, Mode::Stream))
        .into_iter()
        .chain(unary.map(|corpus| (corpus, Mode::Unary)));
    all.filter(|((name, ..), _)| wanted.is_none_or(|wanted| name.contains(wanted)))
        .map(|((name, surface, n_bodies, make), mode)| {
            let bodies = (0..n_bodies).map(make).collect();
            Corpus { name, surface, mode, bodies }
        })
        .collect()
}
