//! Probes, expectations, findings, verdicts, gates and the decision.
//!
//! Pure: an observation, an outcome and a log reading in; findings and a verdict out. No I/O, no clock, no chance.
#![warn(clippy::wildcard_enum_match_arm)]

mod fact;
mod finding;
mod identity;
mod observation;
mod outcome;
mod stimulus;
mod verdict;

pub use fact::{Fact, Item, Phase, Planned, Probed, ReleaseIdentity, Subject};
pub use finding::{Finding, Severity};
pub use identity::{AskId, Fingerprint, Lane, Marker, RequestType, Role};
pub use observation::{
    AnsweredBy, AuthScheme, End, Exchange, Observation, RequestSeen, ResponseSeen,
};
pub use outcome::{CrashKind, Outcome, OutcomeKind};
pub use stimulus::{Act, Answer, AnswerEnd, Piece, RequestContext, Stimulus};
pub use verdict::Verdict;
