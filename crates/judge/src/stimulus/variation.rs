//! Legal variations of the documented reply.

use std::io;
use std::time::Duration;

use contract::reply::{self, StreamEvent};
use contract::{Mode, Surface};
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};
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
    /// `usage: {}` in each chunk, as MiniMax sends it (chat streams).
    UsageEmpty,
    /// `finish_reason: ""` until there is one (chat streams).
    FinishEmpty,
    /// A last chunk that says what the call cost and has no id, object, time or model (chat streams).
    CostChunk,
    /// Everything, its end included, and then a connection that stays open.
    HeldOpen,
    /// `usage: null`.
    UsageNull,
    /// No `usage`.
    UsageAbsent,
    /// Blank lines before the JSON document.
    LeadingSpace,
    /// Only what the documentation requires: no fingerprint, tier, log probabilities, refusal, annotations or details of usage, and in chat streams no
    /// role; with an id of another form, and blanks in its JSON.
    Minimal,
    /// Line separators in the text that JSON does not escape and that end no line of an event stream (streams).
    LineSeparators,
    /// The finish reason beside the last words (chat streams).
    FinishWithWords,
    /// The role beside the first words (chat streams).
    RoleWithWords,
    /// An answer of many pages.
    Long,
    /// The message in two output texts (responses).
    Parts,
    /// After a silence before its first byte, as models take their time.
    Late,
    /// Compressed, for whoever says that it reads that (unary replies).
    Gzip,
}

/// How often the line of a long answer is said: as much as a model writes that is asked for a chapter, and more than what is commonly set aside for
/// "a line" or "a reply" (64 KiB).
const LONG_LINES: usize = 2_800;

/// A text with U+2028, U+2029 and U+0085. RFC 8259 section 7 lets them stand as they are, and they end no line of an event stream (WHATWG HTML, section
/// 9.2.6), but those of Unicode: `str.splitlines`, httpx's `iter_lines`, Node's `readline`.
const SEPARATED: &str = " one\u{2028}two\u{2029}three\u{85}four";

/// Where a chunk says why a choice ended.
const FINISH_REASON: &str = "/choices/0/finish_reason";

/// Fields that no reply needs to have (contracts.md sections 1.3, 1.4 and 2.2), and that compatible providers leave out.
const OPTIONAL: [&str; 26] = [
    "/service_tier",
    "/system_fingerprint",
    "/choices/0/logprobs",
    "/choices/0/message/refusal",
    "/choices/0/message/annotations",
    "/choices/0/delta/refusal",
    "/choices/0/delta/role",
    "/usage/prompt_tokens_details",
    "/usage/completion_tokens_details",
    "/background",
    "/completed_at",
    "/instructions",
    "/max_output_tokens",
    "/max_tool_calls",
    "/metadata",
    "/previous_response_id",
    "/prompt_cache_key",
    "/reasoning",
    "/safety_identifier",
    "/store",
    "/temperature",
    "/text",
    "/top_logprobs",
    "/top_p",
    "/truncation",
    "/user",
];

impl Variation {
    /// Returns whether a field that an application declares as required, by its JSON Pointer, is one that [`Self::Minimal`] leaves out.
    pub(crate) fn minimal_lacks(field: &str) -> bool {
        let is_within = |path: &str| {
            field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        OPTIONAL.into_iter().any(is_within)
    }
}

pub(super) fn tolerated(variation: Variation, request: &RequestContext) -> Act {
    match request.mode {
        Mode::Unary => unary(variation, request),
        Mode::Stream => stream(variation, request),
    }
}

/// Returns the text that a variation delivers.
fn text_of(variation: Variation, request: &RequestContext) -> String {
    let text = super::documented_text(&request.label);
    let said = if variation == Variation::Long {
        long(&text)
    } else if variation == Variation::LineSeparators {
        format!("{text}{SEPARATED}")
    } else {
        text
    };
    request.format.write(&said)
}

/// Puts many lines behind a text, each of its own: one that is lost or said twice is missed.
fn long(text: &str) -> String {
    let mut long = text.to_owned();
    for n in 1..=LONG_LINES {
        long.push_str(&format!("\n{n}. And there is more to it."));
    }
    long
}

fn unary(variation: Variation, request: &RequestContext) -> Act {
    let text = text_of(variation, request);
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
        Variation::Minimal => {
            make_minimal(&mut document);
            let body = spaced(&document).into_bytes();
            return whole(200, json_headers(request), body);
        }
        Variation::Parts => document = reply::unary_in_parts(&context(request, &text)),
        Variation::Gzip if request.accepts_gzip => {
            let mut headers = json_headers(request);
            headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
            return whole(200, headers, reply::gzip(document.to_string().as_bytes()));
        }
        // It is in the text, or in when it comes.
        Variation::LineSeparators | Variation::Long | Variation::Late => {}
        // Who does not ask for it gets none.
        Variation::Gzip => {}
        Variation::SplitUtf8 => {
            let mut chunks = Vec::new();
            split_inside_character(document.to_string().as_bytes(), &mut chunks);
            let mut answer = pieces_answer(request, chunks, AnswerEnd::Complete);
            wait_inside_characters(&mut answer);
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
        | Variation::FinishWithWords
        | Variation::RoleWithWords
        | Variation::UsageChunk
        | Variation::UsageEmpty
        | Variation::FinishEmpty
        | Variation::CostChunk
        | Variation::HeldOpen => {}
    }
    whole(200, json_headers(request), format!("{lead}{document}").into_bytes())
}

fn stream(variation: Variation, request: &RequestContext) -> Act {
    let text = text_of(variation, request);
    let include_usage = request.include_usage || variation == Variation::UsageChunk;
    let context = reply::ReplyContext { include_usage, ..context(request, &text) };
    let mut events = reply::stream(&context);
    match variation {
        Variation::Minimal => {
            edit_each(&mut events, make_minimal);
            for event in &mut events {
                if let Some(document) = event.json() {
                    event.data = spaced(&document);
                }
            }
        }
        Variation::Parts => events = reply::stream_in_parts(&context),
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
        Variation::FinishWithWords => finish_with_the_last_words(&mut events),
        Variation::RoleWithWords => say_the_role_with_the_first_words(&mut events),
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
        Variation::UsageEmpty => edit_each(&mut events, |chunk| {
            if chunk.get("usage").is_none_or(Value::is_null) {
                set(chunk, "/usage", Some(json!({})));
            }
        }),
        Variation::FinishEmpty => edit_each(&mut events, empty_the_reason),
        Variation::CostChunk => say_what_it_cost(&mut events),
        Variation::Comments
        | Variation::Crlf
        | Variation::NoSpace
        | Variation::SplitUtf8
        | Variation::OneRead
        | Variation::ByteByByte
        | Variation::EventFields
        | Variation::DataLines
        | Variation::Bom
        | Variation::HeldOpen
        | Variation::UsageChunk
        | Variation::UsageAbsent
        | Variation::LeadingSpace
        | Variation::LineSeparators
        | Variation::Long
        | Variation::Late
        | Variation::Gzip => {}
    }
    let end = if variation == Variation::HeldOpen { AnswerEnd::Hold } else { AnswerEnd::Complete };
    let mut answer = pieces_answer(request, frame(variation, &events), end);
    if variation == Variation::SplitUtf8 {
        wait_inside_characters(&mut answer);
    }
    if variation == Variation::ByteByByte {
        // A wait behind each byte would make a slow reply of it, which is another probe.
        answer.pieces.retain(|piece| matches!(piece, Piece::Bytes(_)));
    }
    Act::Answer(answer)
}

/// Lets the last chunk with text say why it is the last one, as Gemini's compatible endpoint and others do; OpenAI itself sends that apart.
fn finish_with_the_last_words(events: &mut Vec<StreamEvent>) {
    let has = |event: &StreamEvent, pointer| {
        event.json().is_some_and(|chunk| chunk.pointer(pointer).is_some_and(Value::is_string))
    };
    let last_words = events.iter().rposition(|event| has(event, "/choices/0/delta/content"));
    let finish = events.iter().rposition(|event| has(event, FINISH_REASON));
    if let (Some(last_words), Some(finish)) = (last_words, finish)
        && last_words < finish
        && let Some(reason) =
            events.remove(finish).json().and_then(|c| c.pointer(FINISH_REASON).cloned())
        && let Some(event) = events.get_mut(last_words)
    {
        edit_each(std::slice::from_mut(event), |chunk| {
            set(chunk, FINISH_REASON, Some(reason.clone()));
        });
    }
}

fn empty_the_reason(chunk: &mut Value) {
    if chunk.pointer(FINISH_REASON).is_some_and(Value::is_null) {
        set(chunk, FINISH_REASON, Some(json!("")));
    }
}

/// Puts a chunk with the cost of the call before `[DONE]`.
fn say_what_it_cost(events: &mut Vec<StreamEvent>) {
    let cost = json!({"choices": [], "cost": "0.00001"}).to_string();
    events.insert(events.len().saturating_sub(1), StreamEvent::unnamed(cost));
}

/// Lets the first chunk have the first words too, as compatible providers do; OpenAI itself names the role apart.
fn say_the_role_with_the_first_words(events: &mut Vec<StreamEvent>) {
    const CONTENT: &str = "/choices/0/delta/content";
    let words_of = |event: &StreamEvent| {
        let chunk = event.json()?;
        chunk
            .pointer(CONTENT)
            .filter(|words| words.as_str().is_some_and(|w| !w.is_empty()))
            .cloned()
    };
    if let Some(at) = events.iter().position(|event| words_of(event).is_some())
        && at > 0
        && let Some(words) = words_of(&events.remove(at))
        && let Some(first) = events.first_mut()
    {
        edit_each(std::slice::from_mut(first), |chunk| set(chunk, CONTENT, Some(words.clone())));
    }
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
            | Variation::FinishWithWords
            | Variation::RoleWithWords
            | Variation::UsageChunk
            | Variation::UsageEmpty
            | Variation::FinishEmpty
            | Variation::CostChunk
            | Variation::HeldOpen
            | Variation::UsageNull
            | Variation::UsageAbsent
            | Variation::LeadingSpace
            | Variation::Minimal
            | Variation::LineSeparators
            | Variation::Long
            | Variation::Late
            | Variation::Parts
            | Variation::Gzip => chunks.push(text.into_bytes()),
        }
    }
    chunks
}

/// What the simulated model thought, as far as it is told.
pub(crate) const THOUGHT: &str = "The question is short, and the answer is known.";

/// The id of the reasoning item.
const REASONING: &str = "rs_0123456789abcdef";

/// A reasoning item with what is told of the thought (contracts.md section 2.2), or still without it.
fn reasoning_item(summary: &[Value]) -> Value {
    json!({"id": REASONING, "type": "reasoning", "summary": summary})
}

fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// The events of a reasoning item whose summary is told (contracts.md section 2.3); whoever takes every `delta` for text takes this one too.
fn reasoning_events() -> Vec<StreamEvent> {
    let of_item = |kind: &str, item: Value| {
        let event = json!({"type": kind, "sequence_number": 0, "output_index": 0, "item": item});
        StreamEvent::named(kind, event.to_string())
    };
    let of_summary = |kind: &str, field: &str, value: Value| {
        let event = json!({"type": kind, "sequence_number": 0, "item_id": REASONING, "output_index": 0, "summary_index": 0, field: value});
        StreamEvent::named(kind, event.to_string())
    };
    let mut events = vec![
        of_item("response.output_item.added", reasoning_item(&[])),
        of_summary("response.reasoning_summary_part.added", "part", summary_part("")),
    ];
    events.extend(
        THOUGHT.split_inclusive(", ").map(|piece| {
            of_summary("response.reasoning_summary_text.delta", "delta", json!(piece))
        }),
    );
    events.extend([
        of_summary("response.reasoning_summary_text.done", "text", json!(THOUGHT)),
        of_summary("response.reasoning_summary_part.done", "part", summary_part(THOUGHT)),
        of_item("response.output_item.done", reasoning_item(&[summary_part(THOUGHT)])),
    ]);
    events
}

/// Puts a reasoning item before the message of a response, or reasoning beside the text of a completion.
fn add_reasoning(document: &mut Value) {
    for path in ["/output", "/response/output"] {
        if let Some(Value::Array(items)) = document.pointer_mut(path)
            && !items.is_empty()
        {
            items.insert(0, reasoning_item(&[summary_part(THOUGHT)]));
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
            events.splice(2..2, reasoning_events());
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

/// How long the rest of a character lets its reader wait: one that is busy meanwhile would read both parts at once.
const REST_AFTER: Duration = Duration::from_millis(30);

/// Waits longer behind pieces that end inside a character.
fn wait_inside_characters(answer: &mut Answer) {
    let mut is_inside = false;
    for piece in &mut answer.pieces {
        match piece {
            Piece::Bytes(bytes) => is_inside = bytes.last().is_some_and(|byte| *byte >= 0xc0),
            Piece::Pause(pause) if is_inside => *pause = REST_AFTER,
            Piece::Pause(_) | Piece::Repeat { .. } => {}
        }
    }
}

/// Leaves them out of a completion, a chunk or a response, and names a completion as other providers do; other events of a response have nothing
/// of theirs.
fn make_minimal(document: &mut Value) {
    let reply = match document.get("object") {
        Some(_) => Some(document),
        None => document.get_mut("response"),
    };
    let Some(reply) = reply else { return };
    for path in OPTIONAL {
        set(reply, path, None);
    }
    if reply.get("choices").is_some() {
        set(reply, "/id", Some(json!("gen-1790000000-surestep")));
    }
}

/// Writes JSON with a blank behind each colon and comma, as servers in Python do.
fn spaced(document: &Value) -> String {
    struct Spaced;

    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }

        fn begin_object_key<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }

        fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b": ")
        }
    }

    let mut bytes = Vec::new();
    let mut writer = Serializer::with_formatter(&mut bytes, Spaced);
    document.serialize(&mut writer).expect("a vector takes every byte");
    String::from_utf8_lossy(&bytes).into_owned()
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
