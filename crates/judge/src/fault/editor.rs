//! Edits a reply as it passes: bytes in, pieces out. What is not edited passes byte for byte.

use std::time::Duration;

use contract::change::WholeReply;
use contract::reply::StreamEvent;
use serde_json::{Value, json};

use super::{At, COMMENT_EVERY, Edits, How, Stop};
use crate::{Answer, AnswerEnd, Piece};

/// Largest body, or event, that is held back to be changed. What is larger passes unchanged.
const HELD_MAX: usize = 16 * 1024 * 1024;

/// Edits one reply.
#[derive(Debug)]
pub struct Editor {
    edits: Edits,
    is_stream: bool,
    held: Vec<u8>,
    sent: u64,
    events: u32,
    ended: Option<AnswerEnd>,
    pieces: Vec<Piece>,
}

/// Edits a reply that is known as a whole.
pub fn edit_answer(answer: Answer, edits: &Edits) -> Answer {
    if edits.is_none() {
        return answer;
    }
    let Answer { status, headers, declared_length, pieces, end } = answer;
    let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let mut editor = Editor::new(edits.clone(), content_type.map(|(_, value)| value.as_bytes()));
    let mut edited = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => editor.push(&bytes),
            other if editor.ended.is_none() => editor.pieces.push(other),
            Piece::Pause(_) | Piece::Repeat { .. } => {}
        }
        edited.append(&mut editor.pieces);
    }
    let edited_end = editor.finish();
    edited.append(&mut editor.pieces);
    let declared_length = declared_length.filter(|_| edits.keeps_length());
    Answer {
        status,
        headers: edited_headers(headers, &edits.headers),
        declared_length,
        pieces: edited,
        end: if edited_end == AnswerEnd::Complete { end } else { edited_end },
    }
}

/// Returns the headers with those that are set in place of those that were there.
fn edited_headers(
    mut headers: Vec<(String, String)>,
    set: &[(String, String)],
) -> Vec<(String, String)> {
    for (name, _) in set {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
    headers.extend(set.iter().cloned());
    headers
}

impl Editor {
    /// Starts on a reply with this content type.
    pub fn new(edits: Edits, content_type: Option<&[u8]>) -> Self {
        let is_stream = content_type.is_some_and(|value| {
            value.to_ascii_lowercase().trim_ascii().starts_with(b"text/event-stream")
        });
        Self {
            edits,
            is_stream,
            held: Vec::new(),
            sent: 0,
            events: 0,
            ended: None,
            pieces: Vec::new(),
        }
    }

    /// Takes bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.ended.is_some() {
            return;
        }
        if self.is_stream {
            self.held.extend_from_slice(bytes);
            while let Some(end) = end_of_event(&self.held) {
                let event: Vec<u8> = self.held.drain(..end).collect();
                self.event(event);
                if self.ended.is_some() {
                    return;
                }
            }
            if self.held.len() > HELD_MAX {
                let held = std::mem::take(&mut self.held);
                self.send(&held);
            }
        } else if self.edits.changes.is_empty() || self.held.len() > HELD_MAX {
            self.send(bytes);
        } else {
            self.held.extend_from_slice(bytes);
            if self.held.len() > HELD_MAX {
                let held = std::mem::take(&mut self.held);
                self.send(&held);
                // What comes now passes as well.
                self.edits.changes.clear();
            }
        }
    }

    /// Takes the pieces that are ready.
    pub fn take(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// Returns how the reply ended before its time, if it did.
    pub fn ended(&self) -> Option<AnswerEnd> {
        self.ended
    }

    /// Takes the end of the body: what was held back leaves now. Returns how the reply ends.
    pub fn finish(&mut self) -> AnswerEnd {
        let held = std::mem::take(&mut self.held);
        if self.ended.is_none() && !held.is_empty() {
            match serde_json::from_slice::<Value>(&held) {
                Ok(document) if !self.is_stream && !self.edits.changes.is_empty() => {
                    let mut reply = WholeReply::Unary(document);
                    reply.apply(&self.edits.changes);
                    let WholeReply::Unary(document) = reply else { return AnswerEnd::Complete };
                    self.send(document.to_string().as_bytes());
                }
                _ => self.send(&held),
            }
        }
        self.ended.unwrap_or(AnswerEnd::Complete)
    }

    /// Edits one event, its blank line included.
    fn event(&mut self, raw: Vec<u8>) {
        let Some(event) = parse_event(&raw) else {
            // A comment or a blank line: no event.
            return self.send(&raw);
        };
        self.events = self.events.saturating_add(1);
        if self.edits.error_event == Some(self.events) {
            self.send(&error_event(&event));
            self.end(How::Clean);
            return;
        }
        if !self.edits.event_after.is_zero() {
            self.pieces.push(Piece::Pause(self.edits.event_after));
        }
        if self.edits.changes.is_empty() {
            self.send(&raw);
        } else {
            let mut reply = WholeReply::Stream(vec![event.clone()]);
            reply.apply(&self.edits.changes);
            match reply {
                WholeReply::Stream(events) if events.first() == Some(&event) => self.send(&raw),
                WholeReply::Stream(events) => {
                    for event in events {
                        self.send(&event.to_bytes());
                    }
                }
                WholeReply::Unary(_) => {}
            }
        }
        if let Some(Stop { at: At::Event(n), how }) = self.edits.stop
            && self.events >= n
        {
            self.end(how);
        }
    }

    /// Sends bytes: as many as come before the stop, at the pace that is asked for.
    fn send(&mut self, bytes: &[u8]) {
        if self.ended.is_some() {
            return;
        }
        let (bytes, stop) = match self.edits.stop {
            Some(Stop { at: At::Byte(limit), how }) => {
                let room = usize::try_from(limit.saturating_sub(self.sent)).unwrap_or(usize::MAX);
                (bytes.get(..room).unwrap_or(bytes), (bytes.len() >= room).then_some(how))
            }
            Some(Stop { at: At::Event(0), how }) => (&bytes[..0], Some(how)),
            Some(Stop { at: At::Character, how }) => match first_long_character(bytes) {
                Some(at) => (bytes.get(..=at).unwrap_or(bytes), Some(how)),
                None => (bytes, None),
            },
            Some(Stop { at: At::Event(_), .. }) | None => (bytes, None),
        };
        let most = self.edits.dribble.unwrap_or(usize::MAX).min(self.most_at_once());
        for part in bytes.chunks(most.max(1)) {
            self.sent += part.len() as u64;
            self.pieces.push(Piece::Bytes(part.to_vec()));
            if let Some(bandwidth) = self.edits.bandwidth {
                let micros = (part.len() as u64).saturating_mul(1_000_000) / u64::from(bandwidth);
                self.pieces.push(Piece::Pause(Duration::from_micros(micros)));
            }
        }
        if let Some(how) = stop {
            self.end(how);
        }
    }

    /// Returns how much leaves between two waits of a narrow line: a twentieth of a second's worth.
    fn most_at_once(&self) -> usize {
        let share = self.edits.bandwidth.map(|bandwidth| (bandwidth / 20).max(1));
        share.and_then(|share| usize::try_from(share).ok()).unwrap_or(usize::MAX)
    }

    fn end(&mut self, how: How) {
        self.ended = Some(match how {
            How::Clean => AnswerEnd::Complete,
            How::Fin => AnswerEnd::Fin,
            How::Reset => AnswerEnd::Reset,
            How::Stall => AnswerEnd::Hold,
            How::Comments => {
                self.pieces.push(Piece::Repeat {
                    bytes: b": keep-alive\n\n".to_vec(),
                    every: COMMENT_EVERY,
                });
                AnswerEnd::Hold
            }
        });
    }
}

/// Returns where the first event ends, its blank line included (HTML standard, 9.2.6: lines end in CR, LF or CRLF).
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut line = 0;
    while let Some(offset) = bytes.get(at..)?.iter().position(|byte| matches!(byte, b'\r' | b'\n'))
    {
        let end = at + offset;
        let next = match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => end + 2,
            // Whether a line feed follows is not known yet.
            (Some(b'\r'), None) => return None,
            _ => end + 1,
        };
        if end == line {
            return Some(next);
        }
        (at, line) = (next, next);
    }
    None
}

/// Reads an event; `None` for one without data.
fn parse_event(raw: &[u8]) -> Option<StreamEvent> {
    let text = String::from_utf8_lossy(raw);
    let mut name = None;
    let mut data: Vec<String> = Vec::new();
    for line in text.split(['\r', '\n']) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push(value.to_owned()),
            "event" => name = Some(value.to_owned()),
            _ => {}
        }
    }
    (!data.is_empty()).then(|| StreamEvent { event: name, data: data.join("\n") })
}

/// Writes an error event in the manner of the stream that it breaks into.
fn error_event(replaced: &StreamEvent) -> Vec<u8> {
    let message = "The server had an error processing your request.";
    let event = if replaced.event.is_some() {
        let data = json!({"type": "error", "sequence_number": 1, "code": "server_error", "message": message, "param": null});
        StreamEvent::named("error", data.to_string())
    } else {
        let data = json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}});
        StreamEvent::unnamed(data.to_string())
    };
    event.to_bytes()
}

/// Returns where the first character of several bytes begins.
fn first_long_character(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !byte.is_ascii())
}
