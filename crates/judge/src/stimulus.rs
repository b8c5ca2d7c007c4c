//! What the tap does to the exchanges of an ask: the stimulus of a probe, and the acts it turns into on the wire.

use std::time::Duration;

use contract::{Mode, Profile, Surface};
use serde::{Deserialize, Serialize};

/// What the tap does to the exchanges of an ask, named by what the release meets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stimulus {
    /// Live: relays to the provider, untouched.
    Relay,
    /// Live: relays to the provider with the credential swapped for an invalid one.
    InvalidCredential,
    /// Simulated: the documented reply.
    Documented,
}

/// What an act may depend on: the request, as the tap read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The surface that was called.
    pub surface: Surface,
    /// The mode that the request asks for.
    pub mode: Mode,
    /// The provider whose wording is copied.
    pub profile: Profile,
    /// The model that the request names.
    pub model: String,
    /// The label that the prompt asks for.
    pub label: String,
    /// Whether the request asks for a usage chunk.
    pub include_usage: bool,
    /// Counts from 1 within the ask.
    pub attempt: u32,
    /// A request id unique to this exchange, to be sent as `x-request-id` and, by CometAPI's profile, in error messages.
    pub request_id: String,
    /// Seconds since the epoch, for `created`.
    pub created: i64,
}

/// What the tap does with one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Relays to the provider, untouched.
    Relay,
    /// Relays to the provider with the credential swapped for an invalid one.
    RelayInvalidCredential,
    /// Answers at the tap.
    Answer(Answer),
    /// Resets the connection (RST) without a byte.
    Reset,
    /// Closes the connection (FIN) without a byte.
    Close,
    /// Says nothing until the release leaves, the ask is over, or the tap's own limit.
    Hold,
}

/// A reply made by the tap: head, pieces of body, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in order. Framing headers are the tap's business: see `declared_length`.
    pub headers: Vec<(String, String)>,
    /// `Some(n)`: sends `content-length: n`, whatever the pieces add up to. `None`: chunked, a chunk for each piece.
    pub declared_length: Option<u64>,
    /// The body in order.
    pub pieces: Vec<Piece>,
    /// How it ends after the last piece.
    pub end: AnswerEnd,
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes, flushed at once.
    Bytes(Vec<u8>),
    /// A wait.
    Pause(Duration),
    /// These bytes again and again with a wait after each, until the release leaves, the ask is over, or the tap's own limit
    /// (keep-alive comments over silence; a slow drip without end).
    Repeat {
        /// The bytes of one round.
        bytes: Vec<u8>,
        /// The wait after each.
        every: Duration,
    },
}

/// How a reply made by the tap ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerEnd {
    /// As its framing says; the connection stays usable.
    Complete,
    /// The connection is closed (FIN) where the pieces end.
    Fin,
    /// The connection is reset (RST) where the pieces end, after these were flushed.
    Reset,
    /// Silence where the pieces end, until the release leaves, the ask is over, or the tap's own limit.
    Hold,
}

impl Stimulus {
    /// Returns what to do with one exchange.
    pub fn act(&self, request: &RequestContext) -> Act {
        match self {
            Self::Relay | Self::Documented => {
                let _: &RequestContext = request;
                Act::Relay
            }
            Self::InvalidCredential => Act::RelayInvalidCredential,
        }
    }
}
