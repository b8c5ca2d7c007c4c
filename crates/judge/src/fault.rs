//! Faults as a user writes them: what happens to each attempt of a call, on a reply of the provider or on one made here.
//!
//! A [`Script`] is one [`Fault`] for each attempt; the last one goes on. A fault is a base (relay to the provider, answer as
//! documented, answer a status, break) and edits of the reply's head, fields, events, pace and end. The same script does the same each
//! time: there is no chance in it.

mod editor;
mod parse;

use std::time::Duration;

use contract::change::Change;
pub use editor::{Editor, edit_answer};
pub use parse::{FaultProblem, words};

use crate::{Act, Answer, AnswerEnd, Piece, RequestContext, Stimulus};

/// What happens to the attempts of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    faults: Vec<Fault>,
}

impl Script {
    /// Everything is relayed as it is.
    pub fn relay() -> Self {
        Self { faults: vec![Fault { base: Base::Live, edits: Edits::default() }] }
    }

    /// Reads a script: faults for attempt 1, 2, … with commas between, each `base+edit+edit`.
    ///
    /// # Errors
    ///
    /// Says which word of which fault is not known, or what is wrong with its value.
    pub fn parse(text: &str) -> Result<Self, FaultProblem> {
        parse::script(text).map(|faults| Self { faults })
    }

    /// Returns what happens to an attempt, counted from 1.
    pub fn fault(&self, attempt: u32) -> &Fault {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        // `parse` refuses an empty script.
        self.faults.get(index).unwrap_or(&self.faults[self.faults.len() - 1])
    }

    /// Returns whether any attempt reaches the provider.
    pub fn is_live(&self) -> bool {
        self.faults.iter().any(|fault| fault.base == Base::Live)
    }
}

/// What happens to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the reply comes from.
    pub base: Base,
    /// What becomes of it.
    pub edits: Edits,
}

/// Where a reply comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The provider.
    Live,
    /// The tap, as a probe's stimulus has it.
    Simulated(Box<Stimulus>),
    /// The tap: this status with this body.
    Status {
        /// The status code.
        status: u16,
        /// The body; `None`: the documented error of this status, or nothing where there is none.
        body: Option<String>,
    },
}

/// What becomes of a reply on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Wait before the head.
    pub head_after: Duration,
    /// Headers that are set, in place of what was there.
    pub headers: Vec<(String, String)>,
    /// Changes of fields and events.
    pub changes: Vec<Change>,
    /// An error event takes the place of this event, counted from 1; the stream ends behind it.
    pub error_event: Option<u32>,
    /// Wait before each event, or each read of a body that has none.
    pub event_after: Duration,
    /// Most bytes of one write.
    pub dribble: Option<usize>,
    /// Bytes in a second.
    pub bandwidth: Option<u32>,
    /// Where it stops, and how.
    pub stop: Option<Stop>,
}

impl Edits {
    /// Returns whether nothing is edited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the length that was declared for the body still stands. A cut body breaks its promise; one that ends
    /// early and well-framed must not make it.
    pub fn keeps_length(&self) -> bool {
        self.changes.is_empty()
            && self.error_event.is_none()
            && !matches!(self.stop, Some(Stop { how: How::Clean, .. }))
    }
}

/// Where a reply stops, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Where.
    pub at: At,
    /// How.
    pub how: How,
}

/// A place in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After so many bytes.
    Byte(u64),
    /// After so many events.
    Event(u32),
    /// Inside of the first character of several bytes.
    Character,
}

/// How a reply stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As if it were whole: the framing ends well.
    Clean,
    /// The connection is closed (FIN).
    Fin,
    /// The connection is reset (RST).
    Reset,
    /// Silence.
    Stall,
    /// Silence with keep-alive comments.
    Comments,
}

/// Time between keep-alive comments that hide a silence.
const COMMENT_EVERY: Duration = Duration::from_millis(500);

impl Fault {
    /// Returns what the tap does. The wait before the head is the tap's to make, see [`Edits::head_after`].
    pub fn act(&self, request: &RequestContext) -> Act {
        let act = match &self.base {
            Base::Live if self.edits.is_none() => return Act::Relay,
            Base::Live => return Act::RelayEdited(self.edits.clone()),
            Base::Simulated(stimulus) => stimulus.act(request),
            Base::Status { status, body } => status_act(*status, body.as_deref(), request),
        };
        if let Act::Answer(answer) = act {
            return Act::Answer(edit_answer(answer, &self.edits));
        }
        act
    }
}

/// Answers a status as it is documented, or with the body that was asked for.
fn status_act(status: u16, body: Option<&str>, request: &RequestContext) -> Act {
    use contract::reply::ErrorKind;
    let documented = match status {
        400 => Some(ErrorKind::BadRequest),
        401 => Some(ErrorKind::InvalidKey),
        403 => Some(ErrorKind::Forbidden),
        404 => Some(ErrorKind::ModelNotFound),
        413 => Some(ErrorKind::TooLarge),
        422 => Some(ErrorKind::Unprocessable),
        429 => Some(ErrorKind::RateLimited),
        500 => Some(ErrorKind::Server),
        502 => Some(ErrorKind::BadGateway),
        503 => Some(ErrorKind::Overloaded),
        529 => Some(ErrorKind::Overloaded529),
        _ => None,
    };
    match (documented, body) {
        (Some(kind), None) => Stimulus::Error(kind).act(request),
        (_, body) => {
            let bytes = body.unwrap_or_default().as_bytes().to_vec();
            let is_json = matches!(bytes.first(), Some(b'{' | b'['));
            let content_type = if is_json { "application/json" } else { "text/plain" };
            Act::Answer(Answer {
                status,
                headers: vec![("content-type".to_owned(), content_type.to_owned())],
                declared_length: Some(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
                pieces: vec![Piece::Bytes(bytes)],
                end: AnswerEnd::Complete,
            })
        }
    }
}

#[cfg(test)]
mod tests;
