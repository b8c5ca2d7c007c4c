//! Finds out what a body is by its first bytes, and reads it as that.

use super::BodyEnd;
use super::events::Events;
use super::head::Head;
use crate::error::ErrorParts;
use crate::json::{JsonFault, Tape};
use crate::rule::Rule;
use crate::scene::Scene;
use crate::{BodyKind, Completion, Mode, Surface, chat, responses, rule};

/// Longest body in one document. Answers are far below; what is above would be an image.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a whole body came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) completion: Completion,
    pub(super) body: BodyKind,
    pub(super) n_events: u64,
    /// A part of an answer was shown before it ended.
    pub(super) has_delivered: bool,
}

/// A body in the reading.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set where it is met")]
pub(super) struct Body {
    surface: Surface,
    mode: Mode,
    /// The type says that events come.
    announces_events: bool,
    is_error: bool,
    had_bom: bool,
    /// Whether the first bytes were looked at for a byte order mark: later ones are none.
    is_begun: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Nothing but white space so far, or too little to tell.
    Start(Vec<u8>),
    Document {
        bytes: Vec<u8>,
        is_too_large: bool,
    },
    Events(Box<Events>),
    Html,
    Compressed,
}

enum Class {
    Document,
    Events,
    Html,
    Compressed,
}

impl Body {
    pub(super) fn new(surface: Surface, mode: Mode, announces_events: bool) -> Self {
        Self {
            surface,
            mode,
            announces_events,
            is_error: false,
            had_bom: false,
            is_begun: false,
            content: Content::Start(Vec::new()),
        }
    }

    /// The status says that no answer comes.
    pub(super) fn expect_error(&mut self) {
        self.is_error = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8], scene: &mut Scene) {
        match &mut self.content {
            // The usual beginning: it need not be held back, and its copy is its only one.
            Content::Start(held)
                if held.is_empty()
                    && bytes.first() == Some(&b'{')
                    && bytes.len() <= DOCUMENT_BYTES_MAX =>
            {
                self.is_begun = true;
                self.content = Content::Document { bytes: bytes.to_vec(), is_too_large: false };
            }
            Content::Start(held) => {
                held.extend_from_slice(bytes);
                self.decide(false, scene);
            }
            Content::Document { bytes: document, is_too_large } => {
                if document.len() + bytes.len() > DOCUMENT_BYTES_MAX {
                    *is_too_large = true;
                    // Free it: it will not be judged.
                    *document = Vec::new();
                }
                if !*is_too_large {
                    document.extend_from_slice(bytes);
                }
            }
            Content::Events(events) => events.push(bytes, scene),
            Content::Html | Content::Compressed => {}
        }
    }

    fn decide(&mut self, at_end: bool, scene: &mut Scene) {
        let Content::Start(held) = &mut self.content else { return };
        if !self.is_begun {
            if held.len() < BOM.len() && BOM.starts_with(held) && !at_end {
                return;
            }
            self.is_begun = true;
            if held.starts_with(BOM) {
                self.had_bom = true;
                held.drain(..BOM.len());
            }
        }
        // White space before the body keeps connections alive; it is not kept. JSON has no other than this (RFC 8259, section 2).
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let n_space = held.iter().take_while(is_space).count();
        held.drain(..n_space);
        let expects_events = self.mode == Mode::Stream && !self.is_error;
        let Some(class) = classify(held, expects_events, self.announces_events, at_end) else {
            return;
        };
        let held = std::mem::take(held);
        self.content = match class {
            Class::Document => Content::Document { bytes: Vec::new(), is_too_large: false },
            Class::Events => Content::Events(Box::new(Events::new(
                self.surface,
                expects_events,
                self.is_error,
                self.had_bom,
            ))),
            Class::Html => Content::Html,
            Class::Compressed => Content::Compressed,
        };
        self.push(&held, scene);
    }

    pub(super) fn finish(mut self, end: BodyEnd, head: &Head, scene: &mut Scene) -> Outcome {
        if matches!(self.content, Content::Start(_)) {
            self.decide(true, scene);
        }
        let (mode, surface, is_error, had_bom) =
            (self.mode, self.surface, self.is_error, self.had_bom);
        let outcome =
            |completion, body| Outcome { completion, body, n_events: 0, has_delivered: false };
        match self.content {
            Content::Start(_) => {
                let rule = if is_error { &rule::ERROR_NO_BODY } else { &rule::BODY_EMPTY };
                if is_unread(scene) {
                    return outcome(Completion::Nothing, BodyKind::Other);
                }
                // A cut before the first byte leaves nothing too; that is the better name for it.
                if end != BodyEnd::Complete {
                    cut(scene);
                } else if !is_redirect(head) {
                    scene.report.add(rule, format_args!("body"), format_args!("nothing"));
                }
                outcome(Completion::Nothing, BodyKind::Empty)
            }
            Content::Html => {
                let rule = if is_error { &rule::ERROR_HTML } else { &rule::BODY_HTML };
                if !is_redirect(head) {
                    scene.report.add(rule, format_args!("body"), format_args!("a web page"));
                }
                outcome(Completion::Nothing, BodyKind::Html)
            }
            Content::Compressed => {
                let rule =
                    if is_error { &rule::ERROR_UNREADABLE } else { &rule::ENCODING_UNDECLARED };
                scene.report.add(rule, format_args!("body"), format_args!("gzip bytes"));
                outcome(Completion::Nothing, BodyKind::Other)
            }
            Content::Events(events) => events.finish(end, scene),
            Content::Document { bytes, is_too_large } => {
                if is_too_large {
                    scene.report.add(
                        &rule::BODY_TOO_LARGE,
                        format_args!("body"),
                        format_args!("more"),
                    );
                    return outcome(Completion::Nothing, BodyKind::Other);
                }
                if had_bom {
                    scene.report.add(
                        &rule::JSON_BOM,
                        format_args!("body"),
                        format_args!("a byte order mark"),
                    );
                }
                let (completion, body) = if is_error {
                    read_error(&bytes, scene)
                } else {
                    let document = Document { bytes: &bytes, surface, mode };
                    document.judge(end, scene)
                };
                outcome(completion, body)
            }
        }
    }
}

fn is_redirect(head: &Head) -> bool {
    (300..400).contains(&head.status)
}

/// Whether there was a body that could not be decoded.
fn is_unread(scene: &Scene) -> bool {
    scene.report.has(&rule::ENCODING_UNREAD) || scene.report.has(&rule::ENCODING_BROKEN)
}

/// Notes a body that did not arrive as a whole.
pub(super) fn cut(scene: &mut Scene) {
    scene.report.add(&rule::BODY_CUT, format_args!("body"), format_args!("an early end"));
}

/// Tells what begins like `start`, or nothing while more bytes could change it.
fn classify(
    start: &[u8],
    expects_events: bool,
    announces_events: bool,
    at_end: bool,
) -> Option<Class> {
    let first = *start.first()?;
    match first {
        0x1f => match start.get(1) {
            Some(0x8b) => Some(Class::Compressed),
            None if !at_end => None,
            Some(_) | None => Some(Class::Document),
        },
        b'<' => Some(Class::Html),
        b':' => Some(Class::Events),
        // `[DONE]` alone on a line, or an array.
        b'[' if expects_events => match start.get(1) {
            Some(b'D' | b'd') => Some(Class::Events),
            None if !at_end => None,
            Some(_) | None => Some(Class::Document),
        },
        b'{' | b'[' => Some(Class::Document),
        _ => {
            for field in [&b"data"[..], b"event", b"id", b"retry"] {
                if start.len() <= field.len() && field.starts_with(start) && !at_end {
                    return None;
                }
                if start.starts_with(field)
                    && matches!(start.get(field.len()), Some(b':' | b'\n' | b'\r'))
                {
                    return Some(Class::Events);
                }
            }
            // Whatever the server calls events is read as such, so that the fault is named where it is.
            Some(if expects_events && announces_events && first.is_ascii_alphabetic() {
                Class::Events
            } else {
                Class::Document
            })
        }
    }
}

/// Reads the body of an error status.
fn read_error(bytes: &[u8], scene: &mut Scene) -> (Completion, BodyKind) {
    let mut tape = Tape::default();
    match scene.read_sole(bytes, &mut tape) {
        Ok(body) => {
            let parts = ErrorParts::read(body, &mut scene.report);
            scene.error = Some(parts);
            (Completion::Error, BodyKind::Json)
        }
        Err(_) => {
            let text = String::from_utf8_lossy(bytes.get(..8192).unwrap_or(bytes));
            scene.error = Some(ErrorParts::of_text(&text));
            scene.report.add(
                &rule::ERROR_UNREADABLE,
                format_args!("body"),
                format_args!("no JSON document"),
            );
            (Completion::Error, BodyKind::Other)
        }
    }
}

struct Document<'d> {
    bytes: &'d [u8],
    surface: Surface,
    mode: Mode,
}

impl Document<'_> {
    fn judge(&self, end: BodyEnd, scene: &mut Scene) -> (Completion, BodyKind) {
        let mut tape = Tape::default();
        let body = match scene.read_sole(self.bytes, &mut tape) {
            Ok(body) => body,
            Err(fault) => return self.fault(fault, end, scene),
        };
        if end != BodyEnd::Complete {
            cut(scene);
        }
        if self.mode == Mode::Stream {
            let is_error = body.is_object() && scene.is_error_body(body);
            scene.report.add(
                &rule::MODE_DOCUMENT_ON_STREAM,
                format_args!("body"),
                format_args!("one JSON document"),
            );
            if is_error {
                scene.take_error(&rule::ERROR_IN_SUCCESS, body, format_args!("/error"));
            }
            let completion = if is_error { Completion::Error } else { Completion::Nothing };
            return (completion, BodyKind::Json);
        }
        let completion = match self.surface {
            Surface::Chat => chat::judge_document(body, scene),
            Surface::Responses => responses::judge_document(body, scene),
        };
        // The document is whole, but no client gets it: the transport fails.
        let completion = if end != BodyEnd::Complete && completion.is_finished() {
            Completion::Truncated
        } else {
            completion
        };
        (completion, BodyKind::Json)
    }

    fn fault(&self, fault: JsonFault, end: BodyEnd, scene: &mut Scene) -> (Completion, BodyKind) {
        let looks_like_json = matches!(self.bytes.first(), Some(b'{' | b'[' | b'"'));
        if self.mode == Mode::Stream && looks_like_json && self.first_line_is_object() {
            scene.report.add(
                &rule::MODE_NDJSON,
                format_args!("body"),
                format_args!("a document a line"),
            );
            return (Completion::Nothing, BodyKind::Other);
        }
        if end != BodyEnd::Complete {
            cut(scene);
        }
        let (rule, what): (&Rule, _) = match fault {
            JsonFault::Truncated if end != BodyEnd::Complete => (&rule::BODY_CUT, "an early end"),
            JsonFault::Truncated if looks_like_json => {
                (&rule::JSON_TRUNCATED, "a document that stops early")
            }
            JsonFault::SecondDocument => (&rule::JSON_TWO, "two documents"),
            JsonFault::Trailing => (&rule::JSON_TRAILING, "bytes after the document"),
            JsonFault::NotANumber => (&rule::JSON_NAN, "NaN or Infinity"),
            JsonFault::Utf8 => (&rule::JSON_UTF8, "bytes that are not UTF-8"),
            JsonFault::TooDeep | JsonFault::TooManyValues => (&rule::JSON_TOO_DEEP, "more"),
            JsonFault::Malformed if looks_like_json => (&rule::JSON_MALFORMED, "broken JSON"),
            JsonFault::Malformed | JsonFault::Truncated | JsonFault::Empty => {
                (&rule::BODY_TEXT, "text")
            }
        };
        scene.report.add(rule, format_args!("body"), format_args!("{what}"));
        let completion = if fault == JsonFault::Truncated && looks_like_json {
            Completion::Truncated
        } else {
            Completion::Nothing
        };
        (completion, if looks_like_json { BodyKind::Json } else { BodyKind::Other })
    }

    fn first_line_is_object(&self) -> bool {
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.len() < self.bytes.len()
            && Tape::default().read(line).is_ok_and(|value| value.is_object())
    }
}
