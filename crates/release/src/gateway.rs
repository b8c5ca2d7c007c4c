//! Asks a release that is itself an OpenAI-compatible gateway, and reads its replies as a careful user's client does: an answer
//! counts only when the reply says that it is complete.

use std::ops::ControlFlow;

use contract::{Mode, Surface};
use serde_json::{Value, json};

use crate::http::ReplyReader;
use crate::mapped::text_at;
use crate::outcome::Reply;
use crate::sse::{Event, EventParser};

/// Returns the request body for a prompt.
pub(crate) fn request_body(surface: Surface, mode: Mode, model: &str, prompt: &str) -> Value {
    let stream = mode == Mode::Stream;
    match surface {
        Surface::Chat => json!({
            "model": model,
            "messages": [{ "role": "user", "content": prompt }],
            "stream": stream,
        }),
        Surface::Responses => json!({ "model": model, "input": prompt, "stream": stream }),
    }
}

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
            Err(_) => Reply::refused("a reply that is not JSON"),
            Ok(document) if has_error(&document) => Reply::refused("an error in the reply"),
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
    let Some(reply) = text_at(document, "/choices/0/message/content") else {
        return Reply::refused("no answer at /choices/0/message/content");
    };
    match document.pointer("/choices/0/finish_reason").and_then(Value::as_str) {
        None => Reply::refused("no finish_reason").after(Some(reply)),
        Some(reason) => match incomplete(reason) {
            Some(how) => Reply::refused(how).after(Some(reply)),
            None => Reply::Answered(reply),
        },
    }
}

fn responses_document(document: &Value) -> Reply {
    let answer = output_text(document);
    match document.get("status").and_then(Value::as_str) {
        Some("completed") => {
            answer.map_or_else(|| Reply::refused("no output_text"), Reply::Answered)
        }
        Some(status) => Reply::refused(format!("status {}", short(status))).after(answer),
        None => Reply::refused("no status").after(answer),
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
    /// Says how the stream stands when it ends by itself.
    fn at_end(&self) -> Result<(), String>;
    /// Says how the stream stands when it says that it is done.
    fn when_done(&self) -> Result<(), String> {
        self.at_end()
    }
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
    ended: Option<Result<(), (String, String)>>,
}

impl<G: Grammar> StreamReader<G> {
    fn see(&mut self, event: Event) -> ControlFlow<()> {
        if event.data.trim() == "[DONE]" {
            self.ended = Some(self.grammar.when_done().map_err(|how| (how, event.data)));
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
        self.ended = Some(Err((how, event.data)));
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
        match self
            .ended
            .take()
            .unwrap_or_else(|| self.grammar.at_end().map_err(|how| (how, String::new())))
        {
            Ok(()) => Reply::Answered(self.answer.take().unwrap_or_default()),
            Err((how, shown)) => Reply::refused(how)
                .after(self.partial())
                .showing((!shown.is_empty()).then_some(shown)),
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
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish_reason = Some(reason.to_owned());
            }
        }
        // The usage chunk comes behind the finish reason, so the stream goes on to its end.
        Seen::More
    }

    fn at_end(&self) -> Result<(), String> {
        match &self.finish_reason {
            None => Err("stream ended without finish_reason".to_owned()),
            Some(reason) => incomplete(reason).map_or(Ok(()), Err),
        }
    }

    fn when_done(&self) -> Result<(), String> {
        if self.finish_reason.is_none() {
            return Err(judge::DONE_WITHOUT_FINISH.to_owned());
        }
        self.at_end()
    }
}

/// Events of a response.
#[derive(Default)]
struct Responses {}

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
            "response.completed" => {
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

    fn at_end(&self) -> Result<(), String> {
        Err("stream ended without response.completed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(surface: Surface, mode: Mode, body: &str, expected: Result<&str, &str>) {
        let mut reader = reader(surface, mode);
        for byte in body.as_bytes().chunks(1) {
            if reader.take(byte).is_break() {
                break;
            }
        }
        match (reader.finish(), expected) {
            (Reply::Answered(answer), Ok(expected)) => assert_eq!(answer, expected),
            (Reply::Refused { how, .. }, Err(expected)) => assert_eq!(how, expected),
            (Reply::Answered(answer), Err(expected)) => panic!("{answer:?} is not {expected:?}"),
            (Reply::Refused { how, .. }, Ok(expected)) => panic!("{how:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_chat_document_counts_when_it_is_complete() {
        let check = |body: Value, expected| {
            check(Surface::Chat, Mode::Unary, &body.to_string(), expected);
        };
        let choice = |content: Value, reason: Value| json!({"choices": [{"message": {"content": content}, "finish_reason": reason}]});
        check(choice(json!("hi"), json!("stop")), Ok("hi"));
        check(choice(json!("hi"), json!("length")), Err("finish_reason length"));
        check(choice(json!("hi"), json!("content_filter")), Err("finish_reason content_filter"));
        check(choice(json!("hi"), Value::Null), Err("no finish_reason"));
        check(choice(Value::Null, json!("stop")), Err("no answer at /choices/0/message/content"));
        check(json!({"choices": []}), Err("no answer at /choices/0/message/content"));
        check(json!({"error": {"message": "x"}}), Err("an error in the reply"));
        check(
            json!({"error": null, "choices": []}),
            Err("no answer at /choices/0/message/content"),
        );
    }

    #[test]
    fn a_chat_stream_counts_when_its_finish_reason_was_seen() {
        let check = |body: &str, expected| check(Surface::Chat, Mode::Stream, body, expected);
        let delta = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let stop =
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let usage = "data: {\"choices\":[],\"usage\":{}}\n\n";
        check(&format!("{delta}{delta}{stop}{usage}data: [DONE]\n\n"), Ok("hihi"));
        check(&format!("{delta}{stop}"), Ok("hi"));
        check(&format!("{delta}data: [DONE]\n\n"), Err("[DONE] without finish_reason"));
        check(delta, Err("stream ended without finish_reason"));
        check("", Err("stream ended without finish_reason"));
        check(&format!("{delta}data: {{\"error\":{{}}}}\n\n{stop}"), Err("an error in the stream"));
        check(&format!("{delta}data: {{\"cho\n\n"), Err("an event that is not JSON"));
        check(&format!("{delta}event: error\ndata: {{}}\n\n"), Err("event error"));
        check("<html></html>", Err("stream ended without finish_reason"));
    }

    #[test]
    fn a_response_counts_when_it_is_completed() {
        let check = |body: Value, expected| {
            check(Surface::Responses, Mode::Unary, &body.to_string(), expected);
        };
        let output = json!([
            {"type": "reasoning"},
            {"type": "message", "content": [
                {"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
        ]);
        check(json!({"status": "completed", "output": output, "error": null}), Ok("ab"));
        check(json!({"status": "incomplete", "output": output}), Err("status incomplete"));
        check(json!({"output": output}), Err("no status"));
        check(json!({"status": "completed", "output": []}), Err("no output_text"));
    }

    #[test]
    fn a_response_stream_counts_when_it_is_completed() {
        let check = |body: &str, expected| check(Surface::Responses, Mode::Stream, body, expected);
        let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n";
        let completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n";
        check(&format!("{delta}{delta}{completed}"), Ok("hihi"));
        check(delta, Err("stream ended without response.completed"));
        check(
            &format!("{delta}data: {{\"type\":\"response.failed\"}}\n\n"),
            Err("event response.failed"),
        );
    }
}
