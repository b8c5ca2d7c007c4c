//! Reads the replies of a service's own endpoints, as the configuration maps them.

use std::ops::ControlFlow;

use drill::settings::{AnswerAt, AskMapping, EventMark, RefusedBy};
use serde_json::Value;

use crate::http::ReplyReader;
use crate::outcome::Reply;
use crate::sse::{Event, EventParser};

/// Returns the text at a JSON pointer: a string as it is, anything else but null as JSON.
pub(crate) fn text_at(document: &Value, pointer: &str) -> Option<String> {
    match document.pointer(pointer)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Returns the reader for a mapping.
pub(crate) fn reader(mapping: &AskMapping) -> Box<dyn ReplyReader> {
    match &mapping.answer {
        AnswerAt::Pointer(_) | AnswerAt::Text => {
            Box::new(DocumentReader { mapping: mapping.clone(), body: Vec::new() })
        }
        AnswerAt::EventPointer(_) | AnswerAt::EventData => Box::new(EventReader {
            mapping: mapping.clone(),
            parser: EventParser::default(),
            answer: None,
            n_events: 0,
            is_done: false,
            refused: None,
        }),
    }
}

/// One document, or one text.
#[derive(Debug)]
struct DocumentReader {
    mapping: AskMapping,
    body: Vec<u8>,
}

impl DocumentReader {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl ReplyReader for DocumentReader {
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.body.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> Reply {
        let text = self.text();
        let document = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).ok();
        if let Some(RefusedBy::Value { pointer, equals }) = &self.mapping.refused
            && document.as_ref().and_then(|document| document.pointer(pointer)) == Some(equals)
        {
            return Reply::refused(format!("{equals} at {pointer}")).showing(Some(text));
        }
        let AnswerAt::Pointer(pointer) = &self.mapping.answer else {
            return Reply::Answered(text);
        };
        match document.and_then(|document| text_at(&document, pointer)) {
            Some(answer) => Reply::Answered(answer),
            None => Reply::refused(format!("no answer at {pointer}"))
                .showing((!text.is_empty()).then_some(text)),
        }
    }

    fn partial(&self) -> Option<String> {
        let is_text = matches!(self.mapping.answer, AnswerAt::Text);
        (is_text && !self.body.is_empty()).then(|| self.text())
    }

    fn broke_off(&self) -> &'static str {
        match self.mapping.answer {
            AnswerAt::Text => "stream broke off",
            AnswerAt::Pointer(_) | AnswerAt::EventPointer(_) | AnswerAt::EventData => {
                "reply broke off"
            }
        }
    }
}

/// An event stream.
#[derive(Debug)]
struct EventReader {
    mapping: AskMapping,
    parser: EventParser,
    /// `None` until an event had something at the pointer.
    answer: Option<String>,
    n_events: u64,
    is_done: bool,
    /// How, and what was shown.
    refused: Option<(String, String)>,
}

impl EventReader {
    fn see(&mut self, event: Event) -> ControlFlow<()> {
        self.n_events += 1;
        let document = serde_json::from_str::<Value>(&event.data).ok();
        if let Some(refused) = &self.mapping.refused
            && let Some(how) = refusal(refused, &event, document.as_ref())
        {
            self.refused = Some((how, event.data));
            return ControlFlow::Break(());
        }
        // The last piece may come with the mark.
        let is_done = self
            .mapping
            .done
            .as_ref()
            .is_some_and(|mark| matches_mark(mark, &event, document.as_ref()));
        let piece = match &self.mapping.answer {
            AnswerAt::EventPointer(pointer) => {
                document.as_ref().and_then(|document| text_at(document, pointer))
            }
            AnswerAt::EventData => (!is_done).then_some(event.data),
            AnswerAt::Pointer(_) | AnswerAt::Text => None,
        };
        if let Some(piece) = piece {
            self.answer.get_or_insert_default().push_str(&piece);
        }
        self.is_done |= is_done;
        if self.is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl ReplyReader for EventReader {
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for event in self.parser.take(bytes) {
            self.see(event)?;
        }
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> Reply {
        if self.refused.is_none()
            && !self.is_done
            && let Some(event) = self.parser.finish()
            && self.see(event).is_break()
        {
            // Seen to the end either way.
        }
        if let Some((how, shown)) = self.refused.take() {
            return Reply::refused(how).after(self.partial()).showing(Some(shown));
        }
        if self.parser.has_overflowed() {
            return Reply::refused("an event that is too long").after(self.partial());
        }
        if self.mapping.done.is_some() && !self.is_done {
            return Reply::refused("stream ended without its done mark").after(self.partial());
        }
        match (&self.mapping.answer, self.answer.take()) {
            (_, Some(answer)) => Reply::Answered(answer),
            // Events came, an answer did not, and nothing said that this was all.
            (AnswerAt::EventPointer(pointer), None) if self.n_events > 0 && !self.is_done => {
                Reply::refused(format!("no answer at {pointer} in any event"))
            }
            // A clean end with nothing in it: to its user an empty answer.
            (_, None) => Reply::Answered(String::new()),
        }
    }

    fn partial(&self) -> Option<String> {
        self.answer.clone()
    }

    fn broke_off(&self) -> &'static str {
        "stream broke off"
    }
}

fn refusal(refused: &RefusedBy, event: &Event, document: Option<&Value>) -> Option<String> {
    match refused {
        RefusedBy::Value { pointer, equals } => {
            (document?.pointer(pointer)? == equals).then(|| format!("{equals} at {pointer}"))
        }
        RefusedBy::Event(mark) => matches_mark(mark, event, document).then(|| match mark {
            EventMark::Name(name) => format!("event {name}"),
            EventMark::Pointer(pointer) => format!("event with {pointer}"),
            EventMark::Data(data) => format!("event data {data}"),
        }),
    }
}

fn matches_mark(mark: &EventMark, event: &Event, document: Option<&Value>) -> bool {
    match mark {
        EventMark::Name(name) => event.name == *name,
        EventMark::Data(data) => event.data.trim() == data,
        EventMark::Pointer(pointer) => document
            .and_then(|document| document.pointer(pointer))
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(answer: AnswerAt) -> AskMapping {
        AskMapping {
            path: "/ask".to_owned(),
            json: json!({}),
            headers: std::collections::BTreeMap::new(),
            answer,
            done: None,
            refused: None,
        }
    }

    fn delta() -> AskMapping {
        mapping(AnswerAt::EventPointer("/delta".to_owned()))
    }

    #[track_caller]
    fn check(mapping: &AskMapping, body: &str, expected: Result<&str, &str>) {
        crate::http::tests::check(&mut *reader(mapping), body, expected);
    }

    #[test]
    fn a_document_answers_at_its_pointer() {
        let mapping = mapping(AnswerAt::Pointer("/a".to_owned()));
        check(&mapping, r#"{"a":"ü"}"#, Ok("ü"));
        check(&mapping, r#"{"a":""}"#, Ok(""));
        check(&mapping, r#"{"a":[1]}"#, Ok("[1]"));
        check(&mapping, r#"{"a":null}"#, Err("no answer at /a"));
        check(&mapping, r#"{"error":"x"}"#, Err("no answer at /a"));
        check(&mapping, "<html>", Err("no answer at /a"));
        check(&mapping, "", Err("no answer at /a"));
    }

    #[test]
    fn a_declared_value_refuses() {
        let mut mapping = mapping(AnswerAt::Pointer("/a".to_owned()));
        mapping.refused =
            Some(RefusedBy::Value { pointer: "/ok".to_owned(), equals: json!(false) });
        check(&mapping, r#"{"ok":false,"a":"sorry"}"#, Err("false at /ok"));
        check(&mapping, r#"{"ok":true,"a":"yes"}"#, Ok("yes"));
        check(&mapping, r#"{"a":"yes"}"#, Ok("yes"));
    }

    #[test]
    fn text_is_taken_whole() {
        check(&mapping(AnswerAt::Text), "a\nb\n", Ok("a\nb\n"));
        check(&mapping(AnswerAt::Text), "", Ok(""));
    }

    #[test]
    fn pieces_are_joined_and_events_without_one_skipped() {
        let stream = "data: {\"delta\":\"a\"}\n\ndata: [DONE]\n\n: c\n\ndata: {\"delta\":null}\n\ndata: {\"delta\":\"b\"}\n\n";
        check(&delta(), stream, Ok("ab"));
        check(&delta(), "data: {\"error\":1}\n\n", Err("no answer at /delta in any event"));
        check(&delta(), "", Ok(""));
        check(&mapping(AnswerAt::EventData), "data: a\n\ndata:  b\n\n", Ok("a b"));
    }

    #[test]
    fn a_declared_mark_must_come_and_ends_the_stream() {
        let mut mapping = delta();
        for (mark, event) in [
            (EventMark::Pointer("/done".to_owned()), "data: {\"done\":true}\n\n"),
            (EventMark::Name("done".to_owned()), "event: done\ndata: {}\n\n"),
            (EventMark::Data("[DONE]".to_owned()), "data: [DONE]\n\n"),
        ] {
            mapping.done = Some(mark);
            let begun = "data: {\"delta\":\"a\",\"done\":false}\n\n";
            check(&mapping, &format!("{begun}{event}data: {{\"delta\":\"z\"}}\n\n"), Ok("a"));
            check(&mapping, begun, Err("stream ended without its done mark"));
            check(&mapping, event, Ok(""));
        }
    }

    #[test]
    fn a_done_mark_is_no_answer() {
        let mut mapping = mapping(AnswerAt::EventData);
        mapping.done = Some(EventMark::Data("[DONE]".to_owned()));
        check(&mapping, "data: a\n\ndata: [DONE]\n\n", Ok("a"));
    }

    #[test]
    fn a_declared_event_refuses_even_late() {
        let mut mapping = delta();
        mapping.refused = Some(RefusedBy::Event(EventMark::Name("error".to_owned())));
        let mut reader = reader(&mapping);
        let stream = "data: {\"delta\":\"a\"}\n\nevent: error\ndata: sorry\n\n";
        assert!(reader.take(stream.as_bytes()).is_break());
        assert!(
            reader.finish()
                == Reply::Refused {
                    how: "event error".to_owned(),
                    partial: Some("a".to_owned()),
                    shown: Some("sorry".to_owned()),
                    unsaid: false,
                }
        );
    }
}
