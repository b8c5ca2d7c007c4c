//! Probes, expectations, findings, verdicts, gates and the decision.
//!
//! Pure: an observation, an outcome and a log reading in; findings and a verdict out. No I/O, no clock, no chance.
#![warn(clippy::wildcard_enum_match_arm)]

mod answer;
mod attempts;
mod called;
pub mod catalogue;
pub mod compare;
pub mod drift;
mod fact;
pub mod fault;
mod finding;
pub mod gates;
mod identity;
pub mod judging;
pub mod learning;
pub mod logs;
mod observation;
mod outcome;
pub mod overall;
mod probe;
pub mod reviews;
mod stimulus;
pub mod telemetry;
mod verdict;
pub mod watching;

pub use answer::{AnswerForm, AnswerRelation, form_of, relate};
pub use attempts::gap;
pub use called::{Called, CallsRelation, relate_calls};
pub use fact::{Fact, Item, Phase, Planned, Probed, ReleaseIdentity, Repeat, Subject};
pub use finding::{Deviation, Finding, Severity};
pub use identity::{AskId, Fingerprint, Lane, Marker, RequestType, Role};
pub use observation::{
    AnsweredBy, AuthScheme, BESIDE, End, Exchange, Exposure, Observation, RequestSeen,
    ResponseSeen, Tunnel, TunnelEnd,
};
pub use outcome::{CrashKind, DONE_WITHOUT_FINISH, Outcome, OutcomeKind};
pub use probe::{Attempts, Expect, PlanContext, Probe};
pub use stimulus::{
    Act, Answer, AnswerEnd, Comes, ErrorForm, Guarded, NetworkFault, OddError, Piece, Primary,
    PrimaryFault, Redirect, RequestContext, RetryAfter, ShapeFault, Stimulus, StreamFault,
    Variation, documented_text,
};
pub use verdict::Verdict;
