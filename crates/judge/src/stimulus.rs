//! What the tap does to the exchanges of an ask: the stimulus of a probe, and the acts it turns into on the wire.

use std::time::Duration;

use contract::change::Change;
use contract::reply::{AnswerFormat, ErrorKind};
use contract::{Mode, Profile, Surface};

mod body;
mod changed;
mod simulate;

pub use body::{ShapeFault, StreamFault, Variation};
pub use simulate::documented_text;

/// What the tap does to the exchanges of an ask, named by what the release meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stimulus {
    /// Live: relays to the provider, untouched.
    Relay,
    /// Live: relays to the provider with the credential swapped for an invalid one.
    InvalidCredential,
    /// Simulated: the documented reply, with text that has Unicode and characters which JSON escapes.
    Documented,
    /// Simulated: the documented reply in another legal form.
    Tolerated(Variation),
    /// Simulated: an error status with the provider's wording.
    Error(ErrorKind),
    /// Simulated: 429 with a `retry-after`.
    RateLimited(RetryAfter),
    /// Simulated: a 301 to a web page.
    Redirect,
    /// Simulated: 503 once, the documented reply from the second attempt on.
    RecoversOnSecond,
    /// In forward mode: the tap, as the release's proxy, shows a certificate from a CA that nobody trusts. A call that comes
    /// all the same gets the documented reply.
    UnknownCa,
    /// The connection is refused. The tap's listener is closed, so there is no exchange.
    Refused,
    /// Simulated: the network breaks.
    Network(NetworkFault),
    /// Simulated: status 200 with a body that is no usable completion.
    Shape(ShapeFault),
    /// Simulated: status 200 with an event stream that is none, or breaks.
    Stream(StreamFault),
    /// Simulated: the full documented reply with these changes in it; `contract learn` asks with them.
    Changed(Vec<Change>),
    /// Leaves the calls that lead up to the answer alone: see [`Guarded`].
    Guarded(Box<Guarded>),
    /// These acts, in order of attempts; the last one goes on.
    Acts(Vec<Act>),
}

/// A stimulus for a release that makes several upstream calls for one ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Calls for these models lead up to the answer.
    pub lead_models: Vec<String>,
    /// Without such models: that many calls come first.
    pub lead_first: u32,
    /// What they get: they are relayed, or answered as documented where nothing may reach the provider.
    pub lead: Stimulus,
    /// What the others get.
    pub then: Stimulus,
}

/// How a 429 says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds.
    Seconds(u32),
    /// At an HTTP date so many seconds ahead.
    Date(u32),
}

/// How the network breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// RST before any byte of the reply.
    ResetBeforeHeaders,
    /// RST in the middle of the body.
    ResetMidBody,
    /// No byte of the reply ever comes.
    StallBeforeHeaders,
    /// Silence in the middle of the body.
    StallMidBody,
    /// The whole body comes, slowly.
    SlowDrip,
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
    /// The marker of the ask; where a reply makes the release call again without a body (a redirect), it is in the path.
    pub marker: String,
    /// The label that the prompt asks for.
    pub label: String,
    /// The form that the answer is to have.
    pub format: AnswerFormat,
    /// Whether the request asks for a usage chunk.
    pub include_usage: bool,
    /// Counts from 1 within the ask.
    pub attempt: u32,
    /// A request id unique to this exchange, to be sent as `x-request-id` and, by CometAPI's profile, in error messages.
    pub request_id: String,
    /// Seconds since the epoch, for `created` and HTTP dates.
    pub created: i64,
}

impl RequestContext {
    /// Returns the text that the simulated lane delivers for this request.
    fn documented_text(&self) -> String {
        self.format.write(&documented_text(&self.label))
    }
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
            Self::Relay => Act::Relay,
            Self::InvalidCredential => Act::RelayInvalidCredential,
            Self::Documented | Self::UnknownCa => simulate::documented(request),
            Self::Tolerated(variation) => body::tolerated(*variation, request),
            Self::Error(kind) => simulate::error(*kind, request),
            Self::RateLimited(retry_after) => simulate::rate_limited(*retry_after, request),
            Self::Redirect => simulate::redirect(request),
            Self::RecoversOnSecond => {
                if request.attempt == 1 {
                    simulate::error(ErrorKind::Overloaded, request)
                } else {
                    simulate::documented(request)
                }
            }
            // The listener is closed for this one; should a call come through all the same, it breaks as early as possible.
            Self::Refused => Act::Reset,
            Self::Network(fault) => simulate::network(*fault, request),
            Self::Shape(fault) => body::shape(*fault, request),
            Self::Stream(fault) => body::stream(*fault, request),
            Self::Changed(changes) => changed::changed(changes, request),
            Self::Guarded(guarded) => guarded.act(request),
            Self::Acts(acts) => {
                let index =
                    usize::try_from(request.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                acts.get(index).or_else(|| acts.last()).cloned().unwrap_or(Act::Close)
            }
        }
    }

    /// Returns whether the provider answers, and not the tap.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Relay | Self::InvalidCredential => true,
            Self::Guarded(guarded) => guarded.then.is_live(),
            Self::Documented
            | Self::UnknownCa
            | Self::Tolerated(_)
            | Self::Error(_)
            | Self::RateLimited(_)
            | Self::Redirect
            | Self::RecoversOnSecond
            | Self::Refused
            | Self::Network(_)
            | Self::Shape(_)
            | Self::Stream(_)
            | Self::Changed(_)
            | Self::Acts(_) => false,
        }
    }
}

impl Guarded {
    fn act(&self, request: &RequestContext) -> Act {
        if self.lead_models.is_empty() {
            if request.attempt <= self.lead_first {
                return self.lead.act(request);
            }
            let attempt = request.attempt - self.lead_first;
            return self.then.act(&RequestContext { attempt, ..request.clone() });
        }
        let leads = self.lead_models.contains(&request.model);
        if leads { self.lead.act(request) } else { self.then.act(request) }
    }
}
