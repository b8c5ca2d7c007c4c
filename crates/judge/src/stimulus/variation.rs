//! Legal variations of the documented reply.

use contract::reply::{self, StreamEvent};
use contract::{Mode, Surface};
use serde_json::{Value, json};

use super::body::set;
use super::simulate::{context, json_headers, pieces_answer, whole};
use super::{Act, Answer, AnswerEnd, Piece, RequestContext};

/// A legal variation of the documented reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variation {
    /// Fields that nobody documented.
    ExtraFields,
    /// Another `model` than was asked for: the snapshot that an alias stands for.
    ModelSnapshot,
    /// Event types that nobody documented (responses streams).
    ExtraEvents,
    /// The model thought before it answered: a reasoning item before the message (responses), chunks with reasoning and without content before
    /// the first word (chat streams).
    Reasoning,
    /// SSE comments between the events.
    Comments,
    /// CRLF in place of LF.
    Crlf,
    /// No space behind `data:`.
    NoSpace,
    /// Reads that end inside a UTF-8 character.
    SplitUtf8,
    /// All events in one read.
    OneRead,
    /// A read for each byte.
    ByteByByte,
    /// `id:` and `retry:` fields beside the data.
    EventFields,
    /// Data on several lines, which the SSE rules join.
    DataLines,
    /// A byte order mark before everything.
    Bom,
    /// A first chunk without choices, as Azure sends for its filter (chat streams).
    FilterChunk,
    /// A usage chunk with empty choices (chat streams).
    UsageChunk,
    /// `usage: null`.
    UsageNull,
    /// No `usage`.
    UsageAbsent,
    /// Blank lines before the JSON document.
    LeadingSpace,
}

pub(super) fn tolerated(variation: Variation, request: &RequestContext) -> Act {
    match request.mode {
        Mode::Unary => unary(variation, request),
        Mode::Stream => stream(variation, request),
    }
}

fn unary(variation: Variation, request: &RequestContext) -> Act {
    let text = request.documented_text();
    let mut document = reply::unary(&context(request, &text));
    let mut lead = "";
    match variation {
        Variation::ExtraFields => add_fields(&mut document),
        Variation::ModelSnapshot => name_snapshot(&mut document),
        Variation::Reasoning => add_reasoning(&mut document),
        Variation::UsageNull => set(&mut document, "/usage", Some(Value::Null)),
        Variation::UsageAbsent => set(&mut document, "/usage", None),
        Variation::LeadingSpace => lead = "\n\n   \n",
        Variation::Bom => lead = "\u{feff}",
        Variation::SplitUtf8 => {
            let mut chunks = Vec::new();
            split_inside_character(document.to_string().as_bytes(), &mut chunks);
            let answer = pieces_answer(request, chunks, AnswerEnd::Complete);
            return Act::Answer(Answer { headers: json_headers(request), ..answer });
        }
        // These vary the framing of a stream; a unary reply has none.
        Variation::ExtraEvents
        | Variation::Comments
        | Variation::Crlf
        | Variation::NoSpace
        | Variation::OneRead
        | Variation::ByteByByte
        | Variation::EventFields
        | Variation::DataLines
        | Variation::FilterChunk
        | Variation::UsageChunk => {}
    }
    whole(200, json_headers(request), format!("{lead}{document}").into_bytes())
}

fn stream(variation: Variation, request: &RequestContext) -> Act {
    let text = request.documented_text();
    let include_usage = request.include_usage || variation == Variation::UsageChunk;
    let mut events =
        reply::stream(&reply::ReplyContext { include_usage, ..context(request, &text) });
    match variation {
        Variation::ExtraFields => edit_each(&mut events, add_fields),
        Variation::ModelSnapshot => edit_each(&mut events, name_snapshot),
        Variation::UsageNull => edit_each(&mut events, |v| {
            if v.pointer("/usage").is_none() && v.pointer("/choices").is_some() {
                set(v, "/usage", Some(Value::Null));
            }
            if v.pointer("/response/usage").is_some() {
                set(v, "/response/usage", Some(Value::Null));
            }
        }),
        Variation::Reasoning => think_first(&mut events, request.surface),
        Variation::ExtraEvents => events.insert(
            events.len() / 2,
            StreamEvent::named(
                "response.surestep.note",
                json!({"type": "response.surestep.note", "sequence_number": 0}).to_string(),
            ),
        ),
        Variation::FilterChunk => events.insert(
            0,
            StreamEvent::unnamed(
                json!({"id": "", "object": "", "created": 0, "model": "", "choices": [],
                    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]})
                .to_string(),
            ),
        ),
        Variation::Comments
        | Variation::Crlf
        | Variation::NoSpace
        | Variation::SplitUtf8
        | Variation::OneRead
        | Variation::ByteByByte
        | Variation::EventFields
        | Variation::DataLines
        | Variation::Bom
        | Variation::UsageChunk
        | Variation::UsageAbsent
        | Variation::LeadingSpace => {}
    }
    let mut answer = pieces_answer(request, frame(variation, &events), AnswerEnd::Complete);
    if variation == Variation::ByteByByte {
        // A wait behind each byte would make a slow reply of it, which is another probe.
        answer.pieces.retain(|piece| matches!(piece, Piece::Bytes(_)));
    }
    Act::Answer(answer)
}

/// Frames events in the variation's way.
fn frame(variation: Variation, events: &[StreamEvent]) -> Vec<Vec<u8>> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let text = String::from_utf8_lossy(&event.to_bytes()).into_owned();
        match variation {
            Variation::Comments => {
                chunks.push(b": keep-alive\n\n".to_vec());
                chunks.push(text.into_bytes());
            }
            Variation::Crlf => chunks.push(text.replace('\n', "\r\n").into_bytes()),
            Variation::NoSpace => chunks.push(
                text.replace("\ndata: ", "\ndata:").replacen("data: ", "data:", 1).into_bytes(),
            ),
            Variation::SplitUtf8 => split_inside_character(text.as_bytes(), &mut chunks),
            Variation::OneRead => match chunks.first_mut() {
                Some(all) => all.extend(text.into_bytes()),
                None => chunks.push(text.into_bytes()),
            },
            Variation::ByteByByte => chunks.extend(text.bytes().map(|byte| vec![byte])),
            Variation::EventFields => {
                chunks.push(format!("id: {n}\nretry: 3000\n{text}").into_bytes());
            }
            // JSON may have a line end behind each comma outside of a string; the first one of an object is one.
            Variation::DataLines => {
                chunks.push(text.replacen("{\"", "{\ndata: \"", 1).into_bytes());
            }
            Variation::Bom if n == 0 => chunks.push(format!("\u{feff}{text}").into_bytes()),
            Variation::Bom
            | Variation::ExtraFields
            | Variation::ModelSnapshot
            | Variation::ExtraEvents
            | Variation::Reasoning
            | Variation::FilterChunk
            | Variation::UsageChunk
            | Variation::UsageNull
            | Variation::UsageAbsent
            | Variation::LeadingSpace => chunks.push(text.into_bytes()),
        }
    }
    chunks
}

/// What the simulated model thought, as far as it is told.
pub(crate) const THOUGHT: &str = "The question is short, and the answer is known.";

/// A reasoning item without a summary, as they come unless one is asked for (contracts.md section 2.2).
fn reasoning_item() -> Value {
    json!({"id": "rs_0123456789abcdef", "type": "reasoning", "summary": []})
}

/// Puts a reasoning item before the message of a response, or reasoning beside the text of a completion.
fn add_reasoning(document: &mut Value) {
    for path in ["/output", "/response/output"] {
        if let Some(Value::Array(items)) = document.pointer_mut(path)
            && !items.is_empty()
        {
            items.insert(0, reasoning_item());
        }
    }
    if document.pointer("/choices/0/message").is_some() {
        set(document, "/choices/0/message/reasoning_content", Some(json!(THOUGHT)));
    }
}

/// Lets the model think before the first word of a stream.
fn think_first(events: &mut Vec<StreamEvent>, surface: Surface) {
    match surface {
        Surface::Chat => {
            let thoughts: Vec<StreamEvent> = events
                .first()
                .and_then(|role| serde_json::from_str::<Value>(&role.data).ok())
                .into_iter()
                .flat_map(|role| {
                    THOUGHT.split_inclusive(", ").map(move |part| (role.clone(), part))
                })
                .map(|(mut chunk, part)| {
                    let delta = json!({"content": null, "reasoning_content": part});
                    set(&mut chunk, "/choices/0/delta", Some(delta));
                    StreamEvent::unnamed(chunk.to_string())
                })
                .collect();
            events.splice(1..1, thoughts);
        }
        Surface::Responses => {
            edit_each(events, |event| {
                add_reasoning(event);
                if event.pointer("/output_index").is_some() {
                    set(event, "/output_index", Some(json!(1)));
                }
            });
            // Behind `response.created` and `response.in_progress`.
            let of_item = |kind: &str| {
                let event = json!({"type": kind, "sequence_number": 0, "output_index": 0, "item": reasoning_item()});
                StreamEvent::named(kind, event.to_string())
            };
            let thought = ["response.output_item.added", "response.output_item.done"].map(of_item);
            events.splice(2..2, thought);
            for (n, event) in events.iter_mut().enumerate() {
                edit_each(std::slice::from_mut(event), |event| {
                    set(event, "/sequence_number", Some(json!(n)));
                });
            }
        }
    }
}

/// Names a dated snapshot in place of the alias that was asked for.
fn name_snapshot(document: &mut Value) {
    for path in ["/model", "/response/model"] {
        if let Some(Value::String(model)) = document.pointer_mut(path) {
            model.push_str("-2026-03-17");
        }
    }
}

/// Cuts bytes behind the first byte of each multi-byte character.
fn split_inside_character(bytes: &[u8], chunks: &mut Vec<Vec<u8>>) {
    let mut chunk = Vec::new();
    for &byte in bytes {
        chunk.push(byte);
        if byte >= 0xc0 {
            chunks.push(std::mem::take(&mut chunk));
        }
    }
    chunks.push(chunk);
}

fn add_fields(document: &mut Value) {
    if let Value::Object(fields) = document {
        fields.insert("x_gateway_note".to_owned(), json!({"region": "eu", "hops": [1, 2]}));
        fields.insert("native_finish_reason".to_owned(), Value::Null);
    }
    for path in ["/choices/0", "/choices/0/message", "/choices/0/delta", "/output/0", "/usage"] {
        if let Some(Value::Object(fields)) = document.pointer_mut(path) {
            fields.insert("x_unknown".to_owned(), json!(["unknown", 7, null]));
        }
    }
}

fn edit_each(events: &mut [StreamEvent], edit: impl Fn(&mut Value)) {
    for event in events {
        if let Ok(mut value) = serde_json::from_str::<Value>(&event.data) {
            edit(&mut value);
            event.data = value.to_string();
        }
    }
}
