//! Asks a release that is itself an OpenAI-compatible gateway, and reads its replies as a careful user's client does: an answer
//! counts only when the reply says that it is complete. A refusal is unsaid where no client of that API would raise an error.

use std::ops::ControlFlow;

use contract::reply::ToolCall;
use contract::{Mode, Surface};
use judge::Called;
use serde_json::Value;

use crate::http::ReplyReader;
use crate::mapped::text_at;
use crate::outcome::Reply;
use crate::sse::{Event, EventParser};

/// Calls of tools that are kept of a reply: more than surestep's own replies make.
const CALLS_MAX: usize = 8;

/// Returns the reader for a surface and mode.
pub(crate) fn reader(surface: Surface, mode: Mode) -> Box<dyn ReplyReader> {
    match (mode, surface) {
        (Mode::Unary, _) => Box::new(DocumentReader { surface, body: Vec::new() }),
        (Mode::Stream, Surface::Chat) => Box::new(StreamReader::<Chat>::default()),
        (Mode::Stream, Surface::Responses) => Box::new(StreamReader::<Responses>::default()),
    }
}

/// One document.
#[derive(Debug)]
struct DocumentReader {
    surface: Surface,
    body: Vec<u8>,
}

impl ReplyReader for DocumentReader {
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.body.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> Reply {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let reply = match serde_json::from_str::<Value>(&text) {
            // Clients go by the status, and this reply has a good one.
            Err(_) => Reply::unsaid("a reply that is not JSON"),
            Ok(document) if has_error(&document) => Reply::unsaid("an error in the reply"),
            Ok(document) => match self.surface {
                Surface::Chat => chat_document(&document),
                Surface::Responses => responses_document(&document),
            },
        };
        reply.showing((!text.is_empty()).then_some(text))
    }

    fn partial(&self) -> Option<String> {
        None
    }

    fn broke_off(&self) -> &'static str {
        "reply broke off"
    }
}

fn chat_document(document: &Value) -> Reply {
    let mut calls = Calls::default();
    calls.take(document.pointer("/choices/0/message/tool_calls"));
    let text = text_at(document, "/choices/0/message/content");
    if text.is_none() && calls.0.is_empty() {
        return Reply::unsaid("no answer at /choices/0/message/content");
    }
    let Some(reason) = document.pointer("/choices/0/finish_reason").and_then(Value::as_str) else {
        return Reply::unsaid("no finish_reason").after(text);
    };
    match incomplete(reason) {
        Some(how) => Reply::refused(how).after(text),
        None => replied(text, calls.called(reason)),
    }
}

fn replied(text: Option<String>, called: Option<Called>) -> Reply {
    let text = text.unwrap_or_default();
    match called {
        Some(called) => Reply::Called(called, text),
        None => Reply::Answered(text),
    }
}

/// The calls of a chat's reply, each at its index; in a stream it comes in pieces.
#[derive(Default)]
struct Calls(Vec<ToolCall>);

impl Calls {
    fn take(&mut self, calls: Option<&Value>) {
        for (place, piece) in calls.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let index = piece.get("index").and_then(Value::as_u64);
            let index = index.map_or(place, |index| usize::try_from(index).unwrap_or(usize::MAX));
            if index >= CALLS_MAX {
                continue;
            }
            if self.0.len() <= index {
                self.0.resize_with(index + 1, ToolCall::default);
            }
            let Some(call) = self.0.get_mut(index) else { continue };
            // SDKs take a further id or name for a new one, and join arguments.
            if let Some(id) = text_at(piece, "/id").filter(|id| !id.is_empty()) {
                call.id = id;
            }
            if let Some(name) = text_at(piece, "/function/name").filter(|name| !name.is_empty()) {
                call.name = name;
            }
            if let Some(arguments) = text_at(piece, "/function/arguments") {
                call.arguments.push_str(&arguments);
            }
        }
    }

    fn called(self, finish_reason: &str) -> Option<Called> {
        let called = Called { calls: self.0, is_said: finish_reason == "tool_calls" };
        (!called.calls.is_empty()).then_some(called)
    }
}

/// Returns the call that an item of a response's output is, if it is one.
fn item_call(item: &Value) -> Option<ToolCall> {
    let text = |pointer| text_at(item, pointer).unwrap_or_default();
    (text("/type") == "function_call").then(|| ToolCall {
        id: text("/call_id"),
        name: text("/name"),
        arguments: text("/arguments"),
    })
}

/// Returns the calls in a response's output, as far as they are kept.
fn output_calls(document: &Value) -> Option<Called> {
    let output = document.get("output")?.as_array()?;
    let calls: Vec<ToolCall> = output.iter().filter_map(item_call).take(CALLS_MAX).collect();
    (!calls.is_empty()).then_some(Called { calls, is_said: true })
}

fn responses_document(document: &Value) -> Reply {
    let answer = output_text(document);
    match document.get("status").and_then(Value::as_str) {
        Some("completed") => match (output_calls(document), answer) {
            (None, None) => Reply::unsaid("no output_text"),
            (called, answer) => replied(answer, called),
        },
        Some(status) => Reply::unsaid(format!("status {}", short(status))).after(answer),
        None => Reply::unsaid("no status").after(answer),
    }
}

/// Joins the text parts of all output messages.
fn output_text(document: &Value) -> Option<String> {
    let texts: Vec<&str> = document
        .get("output")?
        .as_array()?
        .iter()
        .filter_map(|item| item.get("content")?.as_array())
        .flatten()
        .filter(|part| part.get("type").and_then(Value::as_str) == Some("output_text"))
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

fn has_error(document: &Value) -> bool {
    document.get("error").is_some_and(|error| !error.is_null())
}

/// Says how an answer that ended for this reason falls short. `tool_calls` and unknown reasons do not; the last three are those of providers whose
/// engine gave up (contracts.md row 47).
fn incomplete(finish_reason: &str) -> Option<String> {
    matches!(finish_reason, "length" | "content_filter" | "abort" | "error" | "network_error")
        .then(|| format!("finish_reason {finish_reason}"))
}

/// What goes into an outcome is kept: no more of a foreign word than is needed to tell it.
fn short(word: &str) -> String {
    word.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'))
        .take(40)
        .collect()
}

/// How a surface's events are read.
trait Grammar: Default + Send {
    /// Takes an event's document: `Break` with how it ended, `Ok` for well.
    fn see(&mut self, document: &Value, answer: &mut Option<String>) -> Seen;
    /// Says how the stream stands when it ends by itself. Clients take a clean end for the end of an answer.
    fn at_end(&self) -> Result<(), Reply>;
    /// Says how the stream stands when it says that it is done.
    fn when_done(&self) -> Result<(), Reply>;
    /// Returns the tools that it has called.
    fn called(&mut self) -> Option<Called>;
}

enum Seen {
    More,
    Complete,
    Refused(String),
}

/// An event stream of either surface.
#[derive(Default)]
struct StreamReader<G> {
    grammar: G,
    parser: EventParser,
    answer: Option<String>,
    ended: Option<Result<(), Reply>>,
}

impl<G: Grammar> StreamReader<G> {
    fn see(&mut self, event: Event) -> ControlFlow<()> {
        if event.data.trim() == "[DONE]" {
            self.ended =
                Some(self.grammar.when_done().map_err(|how| how.showing(Some(event.data))));
            return ControlFlow::Break(());
        }
        if event.data.is_empty() && event.name != "error" {
            return ControlFlow::Continue(());
        }
        let how = match serde_json::from_str::<Value>(&event.data) {
            _ if event.name == "error" => "event error".to_owned(),
            Ok(document) if has_error(&document) => "an error in the stream".to_owned(),
            Err(_) => "an event that is not JSON".to_owned(),
            Ok(document) => match self.grammar.see(&document, &mut self.answer) {
                Seen::More => return ControlFlow::Continue(()),
                Seen::Complete => {
                    self.ended = Some(Ok(()));
                    return ControlFlow::Break(());
                }
                Seen::Refused(how) => how,
            },
        };
        let shown = (!event.data.is_empty()).then_some(event.data);
        self.ended = Some(Err(Reply::refused(how).showing(shown)));
        ControlFlow::Break(())
    }
}

impl<G: Grammar> ReplyReader for StreamReader<G> {
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for event in self.parser.take(bytes) {
            self.see(event)?;
        }
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> Reply {
        if self.ended.is_none()
            && let Some(event) = self.parser.finish()
            && self.see(event).is_break()
        {
            // Seen to the end either way.
        }
        let ended = match self.ended.take() {
            Some(ended) => ended,
            None => self.grammar.at_end(),
        };
        match ended {
            Ok(()) => replied(self.answer.take(), self.grammar.called()),
            Err(refused) => refused.after(self.partial()),
        }
    }

    fn partial(&self) -> Option<String> {
        self.answer.clone()
    }

    fn broke_off(&self) -> &'static str {
        "stream broke off"
    }
}

/// Chunks of a chat completion.
#[derive(Default)]
struct Chat {
    finish_reason: Option<String>,
    calls: Calls,
}

impl Grammar for Chat {
    fn see(&mut self, document: &Value, answer: &mut Option<String>) -> Seen {
        let first =
            document.get("choices").and_then(Value::as_array).into_iter().flatten().find(
                |choice| choice.get("index").and_then(Value::as_u64).unwrap_or_default() == 0,
            );
        if let Some(choice) = first {
            if let Some(piece) = text_at(choice, "/delta/content") {
                answer.get_or_insert_default().push_str(&piece);
            }
            self.calls.take(choice.pointer("/delta/tool_calls"));
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish_reason = Some(reason.to_owned());
            }
        }
        // The usage chunk comes behind the finish reason, so the stream goes on to its end.
        Seen::More
    }

    fn at_end(&self) -> Result<(), Reply> {
        match &self.finish_reason {
            None => Err(Reply::unsaid("stream ended without finish_reason")),
            Some(reason) => incomplete(reason).map_or(Ok(()), |how| Err(Reply::refused(how))),
        }
    }

    fn when_done(&self) -> Result<(), Reply> {
        if self.finish_reason.is_none() {
            return Err(Reply::refused(judge::DONE_WITHOUT_FINISH));
        }
        self.at_end()
    }

    fn called(&mut self) -> Option<Called> {
        let reason = self.finish_reason.as_deref().unwrap_or_default();
        std::mem::take(&mut self.calls).called(reason)
    }
}

/// Events of a response.
#[derive(Default)]
struct Responses {
    /// Those of the items that were done.
    calls: Vec<ToolCall>,
    /// Those of the response that was completed.
    completed: Option<Called>,
}

impl Grammar for Responses {
    fn see(&mut self, document: &Value, answer: &mut Option<String>) -> Seen {
        let kind = document.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "response.output_text.delta" => {
                if let Some(piece) = text_at(document, "/delta") {
                    answer.get_or_insert_default().push_str(&piece);
                }
                Seen::More
            }
            "response.output_item.done" => {
                let call = document.get("item").and_then(item_call);
                self.calls.extend(call.filter(|_| self.calls.len() < CALLS_MAX));
                Seen::More
            }
            "response.completed" => {
                self.completed = document.get("response").and_then(output_calls);
                match document.pointer("/response/status").and_then(Value::as_str) {
                    None | Some("completed") => Seen::Complete,
                    Some(status) => Seen::Refused(format!("status {}", short(status))),
                }
            }
            "response.failed" | "response.incomplete" | "error" => {
                Seen::Refused(format!("event {kind}"))
            }
            "response.refusal.done" => Seen::Refused("a refusal".to_owned()),
            _ => Seen::More,
        }
    }

    fn at_end(&self) -> Result<(), Reply> {
        Err(Reply::unsaid("stream ended without response.completed"))
    }

    /// The mark is of the other surface: whose end it is cannot be told.
    fn when_done(&self) -> Result<(), Reply> {
        Err(Reply::refused("[DONE] without response.completed"))
    }

    /// Some read the items, others the whole response: where both are there, what both have counts.
    fn called(&mut self) -> Option<Called> {
        let calls = std::mem::take(&mut self.calls);
        let of_items = (!calls.is_empty()).then_some(Called { calls, is_said: true });
        match (of_items, self.completed.take()) {
            (Some(of_items), Some(completed)) if of_items != completed => Some(Called::default()),
            (of_items, completed) => of_items.or(completed),
        }
    }
}

#[cfg(test)]
mod tests;
