//! Replies under status 200 that are no usable completion: unusable bodies, broken streams.

use contract::reply::{self, EarlyEnd, ErrorKind, ReplyContext, StreamEvent};
use contract::{Mode, Surface};
use serde_json::{Value, json};

use super::simulate::{
    HTML, KEEP_ALIVE_EVERY, context, documented, events_answer, json_headers, pieces_answer,
    sse_headers, whole,
};
use super::{Act, Answer, AnswerEnd, Piece, RequestContext};

/// A body under status 200 that is no usable completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeFault {
    /// The error envelope.
    ErrorBody,
    /// A web page.
    Html,
    /// Nothing.
    EmptyBody,
    /// The first half of the document, whole by its length.
    TruncatedJson,
    /// The document of the other surface: a response on chat, a completion on responses.
    WrongSurface,
    /// No `choices` (no `output`).
    ChoicesMissing,
    /// `choices: null`.
    ChoicesNull,
    /// `choices: []`.
    ChoicesEmpty,
    /// `content: null` beside finish reason `stop`.
    ContentNull,
    /// No `content`.
    ContentMissing,
    /// `content: ""` beside finish reason `stop`.
    ContentEmpty,
    /// `content` is a list of parts.
    ContentWrongType,
    /// `finish_reason: null` (status `in_progress`).
    FinishNull,
    /// Ended by the token limit.
    FinishLength,
    /// Ended by the content filter.
    FinishContentFilter,
    /// Ended by the provider's engine.
    FinishAbort,
    /// The model's refusal in place of content.
    Refusal,
}

/// An event stream under status 200 that is none, or breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// The error envelope as JSON.
    JsonError,
    /// A web page.
    Html,
    /// A plain completion as JSON.
    PlainCompletion,
    /// The events of the other surface.
    WrongSurface,
    /// Half the text, then a clean end.
    NoFinishReason,
    /// The whole text and the ends of its parts, and no terminal event (responses).
    NoTerminal,
    /// Half the text, then `[DONE]`.
    DoneAfterCut,
    /// Everything but `[DONE]`.
    NoDone,
    /// The connection ends inside an event.
    CutMidEvent,
    /// The connection is reset inside an event.
    ResetMidEvent,
    /// One event's JSON is broken; the rest follows.
    MalformedChunk,
    /// An error event in place of the first chunk.
    ErrorFirst,
    /// An error event after half the text.
    ErrorMid,
    /// `event: error` with a flat object after half the text.
    ErrorFlat,
    /// `event: error` with the envelope after half the text.
    ErrorNested,
    /// Half the text, then silence.
    Silence,
    /// Half the text, then keep-alive comments only.
    SilenceWithComments,
    /// Keep-alive comments from the first byte on, and nothing else.
    CommentsOnly,
    /// Ended by the token limit.
    FinishLength,
    /// Ended by the content filter.
    FinishContentFilter,
    /// Ended by the provider's engine (chat).
    FinishAbort,
    /// No text at all, ended as documented.
    NoContent,
    /// `response.failed` as the terminal event (responses).
    Failed,
    /// The model's refusal in place of content, streamed as the content would be.
    Refusal,
}

/// What the simulated model says when it refuses.
const REFUSAL: &str = "I can't help with that.";

/// Sets or removes what stands at a pointer; does nothing where its parent is not there.
pub(super) fn set(document: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(fields)) = document.pointer_mut(parent) {
        match value {
            Some(value) => {
                fields.insert(key.to_owned(), value);
            }
            None => {
                fields.remove(key);
            }
        }
    }
}

pub(super) fn shape(fault: ShapeFault, request: &RequestContext) -> Act {
    if request.mode == Mode::Stream {
        return stream(as_stream(fault), request);
    }
    let text = request.documented_text();
    let context = context(request, &text);
    let half = ReplyContext { text: &half_of(&text), ..context };
    let mut document = reply::unary(&context);
    let chat = request.surface == Surface::Chat;
    let choices = if chat { "/choices" } else { "/output" };
    let content = if chat { "/choices/0/message/content" } else { "/output/0/content/0/text" };
    match fault {
        ShapeFault::ErrorBody => document = reply::error(ErrorKind::Server, &context).body,
        ShapeFault::Html => {
            let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
            return whole(200, headers, HTML.into());
        }
        ShapeFault::EmptyBody => return whole(200, json_headers(request), Vec::new()),
        ShapeFault::TruncatedJson => {
            let mut bytes = document.to_string().into_bytes();
            bytes.truncate(bytes.len() / 2);
            return whole(200, json_headers(request), bytes);
        }
        ShapeFault::WrongSurface => {
            document = reply::unary(&ReplyContext { surface: other(request.surface), ..context });
        }
        ShapeFault::ChoicesMissing => set(&mut document, choices, None),
        ShapeFault::ChoicesNull => set(&mut document, choices, Some(Value::Null)),
        ShapeFault::ChoicesEmpty => set(&mut document, choices, Some(json!([]))),
        ShapeFault::ContentNull => set(&mut document, content, Some(Value::Null)),
        ShapeFault::ContentMissing => set(&mut document, content, None),
        ShapeFault::ContentEmpty if chat => set(&mut document, content, Some(json!(""))),
        ShapeFault::ContentEmpty => {
            set(&mut document, "/output/0/content/0/text", Some(json!("")));
        }
        ShapeFault::ContentWrongType => {
            set(&mut document, content, Some(json!([{"type": "text", "text": text}])));
        }
        ShapeFault::FinishNull if chat => {
            set(&mut document, "/choices/0/finish_reason", Some(Value::Null));
        }
        ShapeFault::FinishNull => set(&mut document, "/status", Some(json!("in_progress"))),
        ShapeFault::FinishLength => {
            document = reply::unary_ended_early(&half, EarlyEnd::TokenLimit);
        }
        ShapeFault::FinishContentFilter => {
            document = reply::unary_ended_early(&half, EarlyEnd::ContentFilter);
        }
        ShapeFault::FinishAbort => document = reply::unary_ended_early(&half, EarlyEnd::Abort),
        ShapeFault::Refusal if chat => {
            set(&mut document, content, Some(Value::Null));
            set(&mut document, "/choices/0/message/refusal", Some(json!(REFUSAL)));
        }
        ShapeFault::Refusal => set(
            &mut document,
            "/output/0/content",
            Some(json!([{"type": "refusal", "refusal": REFUSAL}])),
        ),
    }
    whole(200, json_headers(request), document.to_string().into_bytes())
}

/// The first half of a text, by characters.
fn half_of(text: &str) -> String {
    text.chars().take(text.chars().count() / 2).collect()
}

fn other(surface: Surface) -> Surface {
    match surface {
        Surface::Chat => Surface::Responses,
        Surface::Responses => Surface::Chat,
    }
}

/// What comes nearest to a broken document for a release that streams although its user does not.
fn as_stream(fault: ShapeFault) -> StreamFault {
    match fault {
        ShapeFault::ErrorBody => StreamFault::JsonError,
        ShapeFault::Html => StreamFault::Html,
        ShapeFault::TruncatedJson => StreamFault::CutMidEvent,
        ShapeFault::WrongSurface => StreamFault::WrongSurface,
        ShapeFault::FinishNull => StreamFault::NoFinishReason,
        ShapeFault::FinishLength => StreamFault::FinishLength,
        ShapeFault::FinishContentFilter => StreamFault::FinishContentFilter,
        ShapeFault::FinishAbort => StreamFault::FinishAbort,
        ShapeFault::EmptyBody
        | ShapeFault::ChoicesMissing
        | ShapeFault::ChoicesNull
        | ShapeFault::ChoicesEmpty
        | ShapeFault::ContentNull
        | ShapeFault::ContentMissing
        | ShapeFault::ContentEmpty
        | ShapeFault::ContentWrongType => StreamFault::NoContent,
        ShapeFault::Refusal => StreamFault::Refusal,
    }
}

pub(super) fn stream(fault: StreamFault, request: &RequestContext) -> Act {
    if request.mode == Mode::Unary {
        // The release does not stream at all; that is judged as such, see `mode-not-exercised`.
        return documented(request);
    }
    let text = request.documented_text();
    let context = context(request, &text);
    let error = reply::error(ErrorKind::Server, &context).body;
    let events = reply::stream(&context);
    // Half the deltas; in both surfaces the opening events come first and the closing ones last.
    let half: Vec<StreamEvent> = events.iter().take(events.len() / 2).cloned().collect();
    let ended = |mut events: Vec<StreamEvent>, last: Option<StreamEvent>| {
        events.extend(last);
        Act::Answer(events_answer(request, &events, AnswerEnd::Complete))
    };
    let event =
        |name: Option<&str>, data: String| StreamEvent { event: name.map(str::to_owned), data };
    match fault {
        StreamFault::JsonError => whole(200, json_headers(request), error.to_string().into_bytes()),
        StreamFault::Html => {
            let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
            whole(200, headers, HTML.into())
        }
        StreamFault::PlainCompletion => {
            whole(200, json_headers(request), reply::unary(&context).to_string().into_bytes())
        }
        StreamFault::WrongSurface => {
            let context = reply::ReplyContext { surface: other(request.surface), ..context };
            ended(reply::stream(&context), None)
        }
        StreamFault::NoFinishReason => ended(half, None),
        StreamFault::DoneAfterCut => ended(half, Some(event(None, "[DONE]".to_owned()))),
        StreamFault::NoTerminal => {
            ended(events.into_iter().filter(|event| !is_terminal(event)).collect(), None)
        }
        StreamFault::NoDone => {
            let events = events.into_iter().filter(|event| event.data != "[DONE]").collect();
            ended(events, None)
        }
        StreamFault::CutMidEvent => cut_mid_event(request, &half, AnswerEnd::Fin),
        StreamFault::ResetMidEvent => cut_mid_event(request, &half, AnswerEnd::Reset),
        StreamFault::MalformedChunk => {
            let mut events = events;
            let middle = events.len() / 2;
            if let Some(event) = events.get_mut(middle) {
                event.data = half_of(&event.data);
            }
            ended(events, None)
        }
        StreamFault::ErrorFirst => ended(Vec::new(), Some(error_event(request, error))),
        StreamFault::ErrorMid => ended(half, Some(error_event(request, error))),
        StreamFault::ErrorFlat => {
            let mut flat = error.get("error").cloned().unwrap_or(Value::Null);
            if request.surface == Surface::Responses {
                set(&mut flat, "/type", Some(json!("error")));
            }
            ended(half, Some(event(Some("error"), flat.to_string())))
        }
        StreamFault::ErrorNested => ended(half, Some(event(Some("error"), error.to_string()))),
        StreamFault::Silence => Act::Answer(events_answer(request, &half, AnswerEnd::Hold)),
        StreamFault::SilenceWithComments => comments_for_ever(request, &half),
        StreamFault::CommentsOnly => comments_for_ever(request, &[]),
        StreamFault::FinishLength => ended(ended_early(request, EarlyEnd::TokenLimit), None),
        StreamFault::FinishContentFilter => {
            ended(ended_early(request, EarlyEnd::ContentFilter), None)
        }
        StreamFault::FinishAbort => ended(ended_early(request, EarlyEnd::Abort), None),
        StreamFault::NoContent => no_content(request),
        StreamFault::Refusal => refusal(request),
        StreamFault::Failed => {
            let mut events = half;
            events.push(terminal(request, "response.failed", "failed", json!({"error": {
                "code": "server_error", "message": "The server had an error processing your request."}})));
            ended(events, None)
        }
    }
}

fn is_terminal(event: &StreamEvent) -> bool {
    event.event.as_deref() == Some("response.completed")
}

/// Some events, then keep-alive comments, and never more.
fn comments_for_ever(request: &RequestContext, events: &[StreamEvent]) -> Act {
    let mut answer = events_answer(request, events, AnswerEnd::Hold);
    let bytes = b": keep-alive\n\n".to_vec();
    answer.pieces.push(Piece::Repeat { bytes, every: KEEP_ALIVE_EVERY });
    Act::Answer(answer)
}

/// Half the events, the last of them cut in its middle.
fn cut_mid_event(request: &RequestContext, half: &[StreamEvent], end: AnswerEnd) -> Act {
    let mut pieces: Vec<Vec<u8>> = half.iter().map(StreamEvent::to_bytes).collect();
    if let Some(last) = pieces.last_mut() {
        last.truncate(last.len() / 2);
    }
    Act::Answer(pieces_answer(request, pieces, end))
}

/// An error as the surface's own documentation has it in a stream.
fn error_event(request: &RequestContext, error: Value) -> StreamEvent {
    match request.surface {
        Surface::Chat => StreamEvent { event: None, data: error.to_string() },
        Surface::Responses => StreamEvent {
            event: Some("error".to_owned()),
            data: json!({"type": "error", "sequence_number": 4, "code": "server_error",
                "message": "The server had an error processing your request.", "param": null})
            .to_string(),
        },
    }
}

/// Half the text, then the documented end with another reason.
fn ended_early(request: &RequestContext, end: EarlyEnd) -> Vec<StreamEvent> {
    let half = half_of(&request.documented_text());
    reply::stream_ended_early(&context(request, &half), end)
}

/// A terminal event of the responses surface with this status and these fields in its response.
fn terminal(request: &RequestContext, name: &str, status: &str, fields: Value) -> StreamEvent {
    let text = half_of(&request.documented_text());
    let mut response = reply::unary(&context(request, &text));
    set(&mut response, "/status", Some(json!(status)));
    if let Value::Object(fields) = fields {
        for (key, value) in fields {
            set(&mut response, &format!("/{key}"), Some(value));
        }
    }
    StreamEvent {
        event: Some(name.to_owned()),
        data: json!({"type": name, "sequence_number": 9, "response": response}).to_string(),
    }
}

/// A stream without any text that ends as documented.
fn no_content(request: &RequestContext) -> Act {
    let events: Vec<StreamEvent> = reply::stream(&context(request, ""))
        .into_iter()
        .filter(|event| {
            serde_json::from_str::<Value>(&event.data).map_or(true, |value| {
                let silent =
                    value.pointer("/choices/0/delta/content").is_none_or(|text| text == "");
                silent && value.get("type").is_none_or(|kind| kind != "response.output_text.delta")
            })
        })
        .collect();
    let chunks = events.iter().map(StreamEvent::to_bytes).collect();
    let answer: Answer = pieces_answer(request, chunks, AnswerEnd::Complete);
    Act::Answer(Answer { headers: sse_headers(request), ..answer })
}

/// A stream in which the model refuses: every text becomes one of a refusal (contracts.md sections 1.4 and 2.3).
fn refusal(request: &RequestContext) -> Act {
    let mut events = reply::stream(&context(request, REFUSAL));
    for event in &mut events {
        let Some(mut value) = event.json() else { continue };
        if let Some(Value::Object(delta)) = value.pointer_mut("/choices/0/delta")
            && let Some(text) = delta.get("content").filter(|text| **text != "").cloned()
        {
            *delta = serde_json::Map::from_iter([("refusal".to_owned(), text)]);
        }
        for path in ["/part", "/item/content/0", "/response/output/0/content/0"] {
            if let Some(part) = value.pointer_mut(path)
                && let Some(text) = part.get("text").cloned()
            {
                *part = json!({ "type": "refusal", "refusal": text });
            }
        }
        match event.event.as_deref() {
            Some("response.output_text.delta") => {
                let delta = value.get("delta").cloned();
                rename(event, &mut value, "response.refusal.delta", "/delta", delta);
            }
            Some("response.output_text.done") => {
                let text = value.get("text").cloned();
                set(&mut value, "/text", None);
                rename(event, &mut value, "response.refusal.done", "/refusal", text);
            }
            _ => {}
        }
        event.data = value.to_string();
    }
    Act::Answer(events_answer(request, &events, AnswerEnd::Complete))
}

/// Makes an event of a text one of a refusal.
fn rename(event: &mut StreamEvent, value: &mut Value, kind: &str, path: &str, text: Option<Value>) {
    event.event = Some(kind.to_owned());
    set(value, "/type", Some(json!(kind)));
    set(value, "/logprobs", None);
    set(value, path, text);
}
