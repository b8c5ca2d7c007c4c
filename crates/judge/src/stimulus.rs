//! What the tap does to the exchanges of an ask: the stimulus of a probe, and the acts it turns into on the wire.

use std::time::Duration;

use contract::change::Change;
use contract::reply::{self, AnswerFormat, ErrorKind, ToolCall};
use contract::{Mode, Profile, Surface};

use crate::fault::{Edits, Script};

mod body;
mod changed;
mod fallback;
mod leaving;
mod odd_error;
mod redirect;
mod simulate;
mod variation;

pub use body::{ShapeFault, StreamFault};
pub use fallback::{Primary, PrimaryFault};
pub use odd_error::{Comes, ErrorForm, OddError};
pub use redirect::Redirect;
pub use simulate::documented_text;
pub(crate) use variation::THOUGHT;
pub use variation::Variation;

/// What the tap does to the exchanges of an ask, named by what the release meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stimulus {
    /// Live: relays to the provider, untouched.
    Relay,
    /// Live: relays to the provider with the credential swapped for an invalid one.
    InvalidCredential,
    /// Simulated: the documented reply, with text that has Unicode and characters which JSON escapes.
    Documented,
    /// Simulated: the documented reply that calls tools in place of an answer.
    ToolCalls,
    /// Simulated: the documented reply in another legal form.
    Tolerated(Variation),
    /// Simulated: an error status with the provider's wording.
    Error(ErrorKind),
    /// Simulated: 429 with a `retry-after`.
    RateLimited(RetryAfter),
    /// Simulated: 503 with a `retry-after`.
    OverloadedFor(RetryAfter),
    /// Simulated: an error status whose body has another form than the provider's own.
    OddError(OddError),
    /// Simulated: a redirect to a web page.
    Redirect(Redirect),
    /// Simulated: this error once, the documented reply from the second attempt on.
    RecoversOnSecond(ErrorKind),
    /// Simulated: a reply that is cut in its middle, the documented one from the second attempt on.
    CutOnce,
    /// Simulated: a call of a tool that nobody has offered, the documented reply from the second attempt on.
    UnaskedToolCall,
    /// Simulated: the primary model fails, and every other one answers as documented.
    PrimaryFails(Box<Primary>),
    /// Simulated: the reply never ends, for whoever leaves in its middle.
    AskerLeaves,
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
    /// What a user has written down for each attempt.
    Script(Script),
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

/// How late a late reply comes: later than a time-out that was meant in seconds and set in milliseconds, and sooner than any model that is
/// asked for more than a word.
const LATE: Duration = Duration::from_secs(1);

/// How a 429 or a 503 says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds.
    Seconds(u32),
    /// At an HTTP date so many seconds ahead.
    Date(u32),
    /// In so many milliseconds, in OpenAI's own header `retry-after-ms`.
    Milliseconds(u32),
    /// In words that name no time.
    Text(&'static str),
    /// Not at all.
    Absent,
}

/// How the network breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// RST before any byte of the reply.
    ResetBeforeHeaders,
    /// FIN before any byte of the reply.
    CloseBeforeHeaders,
    /// RST in the middle of the body.
    ResetMidBody,
    /// FIN in the middle of the body.
    CloseMidBody,
    /// No byte of the reply ever comes.
    StallBeforeHeaders,
    /// Silence in the middle of the body.
    StallMidBody,
    /// Status 200, then a blank now and then, and never more: the keep-alive of slow unary replies.
    EndlessBlanks,
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
    /// Whether the request says that its sender reads gzip.
    pub accepts_gzip: bool,
    /// The host and port that the request names, as its `host` header has them.
    pub authority: String,
    /// Counts the calls of the surface, from 1 within the ask.
    pub attempt: u32,
    /// Calls of the ask so far to other paths, such as a moderation before the answer.
    pub beside: u32,
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
    /// Relays to the provider, and edits the reply on its way back.
    RelayEdited(Edits),
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

/// The calls of tools that an ask of this label has offered: the text that others get as an answer stands in their arguments.
fn offered_tool_calls(label: &str) -> Vec<ToolCall> {
    reply::tool_calls(&documented_text(label))
}

impl Stimulus {
    /// Returns what to do with one exchange.
    pub fn act(&self, request: &RequestContext) -> Act {
        match self {
            Self::Relay => Act::Relay,
            Self::InvalidCredential => Act::RelayInvalidCredential,
            Self::Documented | Self::UnknownCa => simulate::documented(request),
            Self::ToolCalls => {
                simulate::calling_tools(request, &offered_tool_calls(&request.label))
            }
            Self::Tolerated(variation) => variation::tolerated(*variation, request),
            Self::Error(kind) => simulate::error(*kind, request),
            Self::RateLimited(retry_after) => simulate::rate_limited(*retry_after, request),
            Self::OverloadedFor(retry_after) => {
                simulate::back_later(ErrorKind::Overloaded, *retry_after, request)
            }
            Self::OddError(error) => error.act(request),
            Self::UnaskedToolCall => simulate::calling_unasked_tool(request),
            Self::Redirect(redirect) => redirect.act(request),
            Self::RecoversOnSecond(kind) => match (request.attempt, kind) {
                (1, ErrorKind::RateLimited) => {
                    simulate::rate_limited(RetryAfter::Seconds(1), request)
                }
                (1, kind) => simulate::error(*kind, request),
                _ => simulate::documented(request),
            },
            Self::CutOnce if request.attempt > 1 => simulate::documented(request),
            Self::CutOnce => match request.mode {
                Mode::Unary => simulate::network(NetworkFault::CloseMidBody, request),
                Mode::Stream => body::stream(StreamFault::CutMidEvent, request),
            },
            Self::PrimaryFails(primary) => primary.act(request),
            Self::AskerLeaves => leaving::act(request),
            // The listener is closed for this one; should a call come through all the same, it breaks as early as possible.
            Self::Refused => Act::Reset,
            Self::Network(fault) => simulate::network(*fault, request),
            Self::Shape(fault) => body::shape(*fault, request),
            Self::Stream(fault) => body::stream(*fault, request),
            Self::Changed(changes) => changed::changed(changes, request),
            Self::Guarded(guarded) => guarded.act(request),
            Self::Script(script) => script.fault(request.attempt).act(request),
            Self::Acts(acts) => {
                let index =
                    usize::try_from(request.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                acts.get(index).or_else(|| acts.last()).cloned().unwrap_or(Act::Close)
            }
        }
    }

    /// Returns the tools that the reply to an ask of this label calls, if it does.
    pub fn tool_calls(&self, label: &str) -> Option<Vec<ToolCall>> {
        let then = if let Self::Guarded(guarded) = self { &guarded.then } else { self };
        let is_calling = *then == Self::ToolCalls;
        is_calling.then(|| offered_tool_calls(label))
    }

    /// Returns how long the reply to an attempt is kept back, head and all.
    pub fn head_after(&self, attempt: u32) -> Duration {
        if let Self::Script(script) = self {
            return script.fault(attempt).edits.head_after;
        }
        if let Self::Guarded(guarded) = self {
            return guarded.then.head_after(attempt);
        }
        if *self == Self::Tolerated(Variation::Late) { LATE } else { Duration::ZERO }
    }

    /// Returns whether the provider answers, and not the tap.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Relay | Self::InvalidCredential => true,
            Self::Guarded(guarded) => guarded.then.is_live(),
            Self::Script(script) => script.is_live(),
            Self::Documented
            | Self::ToolCalls
            | Self::UnknownCa
            | Self::Tolerated(_)
            | Self::Error(_)
            | Self::RateLimited(_)
            | Self::OverloadedFor(_)
            | Self::OddError(_)
            | Self::UnaskedToolCall
            | Self::Redirect(_)
            | Self::RecoversOnSecond(_)
            | Self::CutOnce
            | Self::PrimaryFails(_)
            | Self::AskerLeaves
            | Self::Changed(_)
            | Self::Refused
            | Self::Network(_)
            | Self::Shape(_)
            | Self::Stream(_)
            | Self::Acts(_) => false,
        }
    }

    /// Returns whether the reply is a call of a tool that nobody has offered, which takes a second request to be answered.
    pub(crate) fn calls_unasked_tool(&self) -> bool {
        matches!(self, Self::UnaskedToolCall)
            || matches!(self, Self::Guarded(guarded) if guarded.then.calls_unasked_tool())
    }

    /// Returns whether an error comes in another form than the provider's own.
    pub(crate) fn is_odd_error(&self) -> bool {
        matches!(self, Self::OddError(_))
            || matches!(self, Self::Guarded(guarded) if guarded.then.is_odd_error())
    }

    /// Returns whether the release has to wait out a silence of its provider.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Network(
                NetworkFault::StallBeforeHeaders
                | NetworkFault::StallMidBody
                | NetworkFault::EndlessBlanks
                | NetworkFault::SlowDrip,
            )
            | Self::Stream(
                StreamFault::Silence | StreamFault::SilenceWithComments | StreamFault::CommentsOnly,
            ) => true,
            Self::PrimaryFails(primary) => primary.fault == PrimaryFault::Silent,
            Self::Guarded(guarded) => guarded.then.is_silence(),
            Self::Script(_) => false,
            Self::Relay
            | Self::InvalidCredential
            | Self::Documented
            | Self::ToolCalls
            | Self::Tolerated(_)
            | Self::Error(_)
            | Self::RateLimited(_)
            | Self::OverloadedFor(_)
            | Self::OddError(_)
            | Self::UnaskedToolCall
            | Self::Redirect(_)
            | Self::RecoversOnSecond(_)
            | Self::CutOnce
            | Self::AskerLeaves
            | Self::UnknownCa
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
            // A guard call to another path has been made already.
            let lead_first = self.lead_first.saturating_sub(request.beside);
            if request.attempt <= lead_first {
                return self.lead.act(request);
            }
            let attempt = request.attempt - lead_first;
            return self.then.act(&RequestContext { attempt, ..request.clone() });
        }
        let leads = self.lead_models.contains(&request.model);
        if leads { self.lead.act(request) } else { self.then.act(request) }
    }
}
