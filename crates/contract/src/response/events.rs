//! Reads a body of server-sent events and hands each to the grammar of its surface.

use super::BodyEnd;
use super::body::{Outcome, cut};
use crate::chat::ChatStream;
use crate::error::ErrorParts;
use crate::json::{JsonFault, Tape};
use crate::responses::ResponsesStream;
use crate::rule::Rule;
use crate::scene::Scene;
use crate::sse::{SseItem, SseReader, Tail};
use crate::{BodyKind, Completion, Surface, rule};

/// Most events judged: eight times as many as the longest answers have tokens.
const EVENTS_MAX: u64 = 1_000_000;

/// The events of one body.
#[derive(Debug)]
pub(super) struct Events {
    reader: SseReader,
    grammar: Grammar,
}

#[derive(Debug)]
struct Grammar {
    n_events: u64,
    is_done: bool,
    failed: bool,
    stream: Stream,
    tape: Tape,
}

#[derive(Debug)]
enum Stream {
    Chat(ChatStream),
    Responses(ResponsesStream),
    /// Nobody asked for events: they are only counted, and searched for an error.
    Unasked {
        /// The status is that of an error.
        in_error: bool,
    },
}

impl Events {
    /// Starts on the events of a surface, or on unasked ones.
    pub(super) fn new(surface: Surface, is_asked: bool, in_error: bool, had_bom: bool) -> Self {
        let stream = match surface {
            _ if !is_asked => Stream::Unasked { in_error },
            Surface::Chat => Stream::Chat(ChatStream::default()),
            Surface::Responses => Stream::Responses(ResponsesStream::default()),
        };
        let mut reader = SseReader::default();
        if had_bom {
            // The body took it off to look behind it.
            reader.push(b"\xef\xbb\xbf", &mut |_| {});
        }
        Self {
            reader,
            grammar: Grammar {
                n_events: 0,
                is_done: false,
                failed: false,
                stream,
                tape: Tape::default(),
            },
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], scene: &mut Scene) {
        let Self { reader, grammar } = self;
        reader.push(bytes, &mut |item| grammar.item(item, scene));
    }

    pub(super) fn finish(self, end: BodyEnd, scene: &mut Scene) -> Outcome {
        let Self { reader, mut grammar } = self;
        if reader.had_bom() {
            scene.report.add(
                &rule::SSE_BOM,
                format_args!("body"),
                format_args!("a byte order mark"),
            );
        }
        let tail = reader.finish(&mut |item| grammar.item(item, scene));
        grammar.tail(tail, end, scene);
        grammar.finish(end, scene)
    }
}

impl Grammar {
    fn item(&mut self, item: SseItem<'_>, scene: &mut Scene) {
        let number = self.n_events;
        match item {
            SseItem::Event { name, data, n_lines } => self.event(name, data, n_lines, scene),
            SseItem::EmptyDispatch => {
                scene.report.add(
                    &rule::SSE_EMPTY_DISPATCH,
                    format_args!("after event {number}"),
                    format_args!("a blank line without data"),
                );
            }
            SseItem::RetryOnly => {
                scene.report.add(
                    &rule::SSE_RETRY,
                    format_args!("after event {number}"),
                    format_args!("retry without data"),
                );
            }
            SseItem::Stray(line) if is_done_mark(line) => {
                scene.report.add(
                    &rule::DONE_ODD,
                    format_args!("after event {number}"),
                    format_args!("a line without a field name"),
                );
                self.done(scene);
            }
            SseItem::Stray(line) => {
                let (rule, what) = match Stray::of(line) {
                    Stray::Page => (&rule::BODY_HTML, "a web page inside of the stream"),
                    Stray::Document => (&rule::SSE_LOST, "a document on a line that is no field"),
                    Stray::Text => (&rule::SSE_STRAY, "a line that is no field"),
                };
                scene.report.add(
                    rule,
                    format_args!("after event {number}"),
                    format_args!("{what}"),
                );
            }
            SseItem::TooLong => {
                self.n_events += 1;
                scene.report.add(
                    &rule::EVENT_TOO_LONG,
                    format_args!("event {}", self.n_events),
                    format_args!("more"),
                );
            }
        }
    }

    fn event(&mut self, name: &str, data: &[u8], n_lines: usize, scene: &mut Scene) {
        if self.n_events == EVENTS_MAX {
            return scene.report.add(
                &rule::EVENTS_TOO_MANY,
                format_args!("event {EVENTS_MAX}"),
                format_args!("more"),
            );
        }
        self.n_events += 1;
        let number = self.n_events;
        if self.is_repeat(name, data, scene) {
            return;
        }
        let trimmed = data.trim_ascii();
        if is_done_mark(trimmed) {
            if data != b"[DONE]" {
                scene.report.add(
                    &rule::DONE_ODD,
                    format_args!("event {number}"),
                    format_args!("a variant of it"),
                );
            }
            return self.done(scene);
        }
        if self.is_done {
            return scene.report.add(
                &rule::DATA_AFTER_DONE,
                format_args!("event {number}"),
                format_args!("more data"),
            );
        }
        if trimmed.is_empty() {
            return self.without_data(name, scene);
        }
        let Self { stream, tape, failed, .. } = self;
        tape.takes_shortcuts = scene.takes_shortcuts;
        let fault = match tape.read(data) {
            Ok(value) if value.is_object() => {
                scene.absorb(value, format_args!("event {number}"));
                return match stream {
                    Stream::Chat(chat) => chat.chunk(number, name, data, value, scene),
                    Stream::Responses(responses) => {
                        responses.event(number, name, data, value, scene);
                    }
                    Stream::Unasked { .. } => {
                        if scene.error.is_none() && (name == "error" || scene.is_error_body(value))
                        {
                            scene.error = Some(ErrorParts::read(value, &mut scene.report));
                        }
                    }
                };
            }
            Ok(value) => {
                *failed = true;
                return scene.report.add(
                    &rule::EVENT_NOT_OBJECT,
                    format_args!("event {number}"),
                    format_args!("{}", value.kind()),
                );
            }
            Err(fault) => fault,
        };
        if n_lines > 1 && self.lines_stand_alone(data) {
            scene.report.add(
                &rule::EVENTS_UNSEPARATED,
                format_args!("event {number}"),
                format_args!("{n_lines} documents"),
            );
            for line in data.split(|byte| *byte == b'\n') {
                self.event(name, line, 1, scene);
            }
            return;
        }
        self.failed = true;
        self.not_json(number, name, data, fault, scene);
    }

    /// Notes an event without data; its name alone may say that the stream failed.
    fn without_data(&mut self, name: &str, scene: &mut Scene) {
        let at = format_args!("event {}", self.n_events);
        if name == "error" {
            self.failed = true;
            scene.error.get_or_insert_default();
            scene.report.add(&rule::STREAM_ERROR, at, format_args!("an error without a text"));
        } else {
            scene.report.add(&rule::EVENT_EMPTY, at, format_args!("no data"));
        }
    }

    /// Takes an event that repeats an earlier one but for its text, without reading it in full. Returns whether it did.
    fn is_repeat(&mut self, name: &str, data: &[u8], scene: &mut Scene) -> bool {
        let number = self.n_events;
        !self.is_done
            && scene.takes_shortcuts
            && match &mut self.stream {
                Stream::Chat(chat) => chat.take_repeat(number, name, data, scene),
                Stream::Responses(responses) => responses.take_repeat(number, name, data, scene),
                Stream::Unasked { .. } => false,
            }
    }

    /// Whether the first line of several is a document by itself.
    fn lines_stand_alone(&mut self, data: &[u8]) -> bool {
        let first = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
        self.tape.read(first).is_ok_and(|value| value.is_object())
    }

    fn not_json(&self, number: u64, name: &str, data: &[u8], fault: JsonFault, scene: &mut Scene) {
        let (rule, what): (&Rule, _) = match fault {
            _ if name == "error" => (&rule::STREAM_ERROR, "an error as text"),
            _ if data.trim_ascii_start().starts_with(b":") => {
                (&rule::COMMENT_AS_DATA, "a comment inside of data")
            }
            JsonFault::SecondDocument => (&rule::EVENT_TWO, "two documents"),
            JsonFault::Utf8 => (&rule::JSON_UTF8, "bytes that are not UTF-8"),
            JsonFault::NotANumber => (&rule::JSON_NAN, "NaN or Infinity"),
            JsonFault::TooDeep | JsonFault::TooManyValues => (&rule::JSON_TOO_DEEP, "more"),
            JsonFault::Truncated => (&rule::EVENT_NOT_JSON, "a document that stops early"),
            JsonFault::Trailing => (&rule::EVENT_NOT_JSON, "bytes after the document"),
            JsonFault::Malformed | JsonFault::Empty => (&rule::EVENT_NOT_JSON, "text"),
        };
        scene.report.add(rule, format_args!("event {number}"), format_args!("{what}"));
        if scene.error.is_none() && matches!(fault, JsonFault::Malformed) {
            let text = String::from_utf8_lossy(data.get(..8192).unwrap_or(data));
            scene.error = Some(ErrorParts::of_text(&text));
        }
    }

    fn done(&mut self, scene: &mut Scene) {
        let at = format_args!("event {}", self.n_events);
        if std::mem::replace(&mut self.is_done, true) {
            return scene.report.add(&rule::DATA_AFTER_DONE, at, format_args!("[DONE] again"));
        }
        if let Stream::Chat(chat) = &self.stream
            && !chat.is_finished()
        {
            scene.report.add(&rule::DONE_EARLY, at, format_args!("no finish reason yet"));
        }
    }

    fn tail(&mut self, tail: Tail, end: BodyEnd, scene: &mut Scene) {
        match tail {
            Tail::Clean => {}
            // The reader left within it.
            Tail::Event { .. } | Tail::Line if end == BodyEnd::ReaderLeft => {}
            Tail::Event { name, data, n_lines } => {
                let is_whole = is_done_mark(data.trim_ascii())
                    || self.tape.read(&data).is_ok()
                    || n_lines > 1 && self.lines_stand_alone(&data);
                if is_whole && end == BodyEnd::Complete {
                    scene.report.add(
                        &rule::TAIL_UNDISPATCHED,
                        format_args!("event {}", self.n_events + 1),
                        format_args!("no blank line"),
                    );
                    self.event(&name, &data, n_lines, scene);
                } else if !self.is_done {
                    scene.report.add(
                        &rule::TAIL_CUT,
                        format_args!("event {}", self.n_events + 1),
                        format_args!("a part of an event"),
                    );
                }
            }
            Tail::Line if self.is_done => {}
            Tail::Line => scene.report.add(
                &rule::TAIL_CUT,
                format_args!("event {}", self.n_events + 1),
                format_args!("a part of a line"),
            ),
        }
    }

    fn finish(self, end: BodyEnd, scene: &mut Scene) -> Outcome {
        let Self { n_events, is_done, failed, stream, .. } = self;
        let (is_finished, has_delivered) = match &stream {
            Stream::Chat(chat) => (chat.is_finished(), chat.has_delivered()),
            Stream::Responses(responses) => (responses.is_finished(), responses.has_delivered()),
            Stream::Unasked { .. } => (false, false),
        };
        // [DONE] after the finish of a chat stream, or the terminal event of a responses stream: clients stop there.
        let is_ended = is_finished && (is_done || matches!(stream, Stream::Responses(_)));
        // Many clients leave at the finish reason: nothing that they waited for was missing.
        let left_at_end = end == BodyEnd::ReaderLeft && is_finished;
        if end != BodyEnd::Complete && !left_at_end {
            if is_ended {
                scene.report.add(
                    &rule::CUT_AFTER_DONE,
                    format_args!("body"),
                    format_args!("an early end after the last event"),
                );
            } else {
                cut(scene);
            }
        } else if end == BodyEnd::Complete
            && is_finished
            && !is_done
            && scene.error.is_none()
            && matches!(stream, Stream::Chat(_))
        {
            scene.report.add(
                &rule::DONE_MISSING,
                format_args!("stream"),
                format_args!("the end without it"),
            );
        }
        let completion = match stream {
            Stream::Chat(chat) => chat.finish(scene),
            Stream::Responses(responses) => responses.finish(n_events, scene),
            Stream::Unasked { in_error } => {
                let rule =
                    if in_error { &rule::ERROR_UNREADABLE } else { &rule::MODE_STREAM_ON_UNARY };
                scene.report.add(rule, format_args!("body"), format_args!("server-sent events"));
                if scene.error.is_some() { Completion::Error } else { Completion::Nothing }
            }
        };
        if failed && scene.error.is_some() {
            // Text in place of an event is how some gateways report their errors.
            return Outcome {
                completion: Completion::Error,
                body: BodyKind::Sse,
                n_events,
                has_delivered,
            };
        }
        let is_cut = end != BodyEnd::Complete && !is_ended && !left_at_end;
        let completion = if (is_cut || failed) && completion.is_finished() {
            Completion::Truncated
        } else {
            completion
        };
        Outcome { completion, body: BodyKind::Sse, n_events, has_delivered }
    }
}

/// What a line is that parsers ignore, by its first bytes.
enum Stray {
    Page,
    /// JSON without its field name, or behind one that is misspelt.
    Document,
    Text,
}

impl Stray {
    fn of(line: &[u8]) -> Self {
        let line = line.trim_ascii_start().to_ascii_lowercase();
        let value = line.strip_prefix(b"data").map(<[u8]>::trim_ascii_start);
        let value = value.and_then(|rest| rest.strip_prefix(b":")).unwrap_or(&line);
        match value.trim_ascii_start() {
            [b'<', b'!' | b'h', ..] => Self::Page,
            [b'{', ..] => Self::Document,
            _ => Self::Text,
        }
    }
}

/// Whether this is `[DONE]` in any of its writings.
fn is_done_mark(data: &[u8]) -> bool {
    let inner = data.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(data);
    inner.trim_ascii().eq_ignore_ascii_case(b"[done]")
}
