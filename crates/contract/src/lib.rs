//! What must hold on the wire: shapes, surfaces, stream grammar, error classes, profiles.
//!
//! Pure: bytes and headers in, judgements out. No I/O, no clock, no chance.
//! Start at [`ResponseJudge`]: it is fed a response as it arrives and says at the end what it was.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod change;
mod chat;
mod clients;
pub mod conversation;
mod diff;
mod document;
mod dump;
mod error;
mod fingerprint;
mod json;
mod judgement;
mod outline;
mod presence;
mod profile;
pub mod reply;
mod report;
mod request;
mod response;
mod responses;
mod rule;
mod scene;
mod shape;
pub mod smoke;
mod sse;
mod surface;
mod tool_call;
mod usage;

pub use clients::{BrokenClient, broken_clients, broken_clients_line};
pub use diff::{ShapeChange, ShapeChangeLevel, folded, shape_diff};
pub use document::{
    ContractDocument, ErrorClassDocument, ErrorDocument, EventDocument, Field, FieldPresence,
    FinishReason, OrderRule, ProfileDocument, RequestDocument, Source, StreamDocument, Types,
};
pub use dump::{Dump, judge_dump};
pub use judgement::{
    BodyKind, Completion, ContractFinding, ContractVerdict, ErrorClass, ErrorFacts, Judgement,
};
pub use outline::{OpenApi, OpenApiProblem, Outline};
pub use presence::{Presence, carries_the_answer, presence, presence_of_event, required_field};
pub use profile::{
    BaseProfile, Code, CustomProfile, Envelope, FinishMeaning, Profile, ProfileFault, Requirement,
};
pub use request::{MessageRole, RequestFacts, RequestFault, token_limits};
pub use response::{BodyEnd, DeliveredText, ResponseJudge};
pub use rule::{Rule, rules};
pub use shape::{FieldState, Kind, Shape, UnknownKind, places_of};
#[doc(hidden)]
pub use sse::read_events;
pub use surface::{Mode, Surface};
