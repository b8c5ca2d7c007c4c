//! What must hold on the wire: shapes, surfaces, stream grammar, error classes, profiles.
//!
//! Pure: bytes and headers in, judgements out. No I/O, no clock, no chance.
//! Start at [`ResponseJudge`]: it is fed a response as it arrives and says at the end what it was.
#![warn(clippy::wildcard_enum_match_arm)]

mod judgement;
pub mod reply;
mod request;
mod response;
mod shape;
pub mod smoke;
mod surface;

pub use judgement::{
    BodyKind, Completion, ContractFinding, ContractVerdict, ErrorClass, ErrorFacts, Judgement,
};
pub use request::{RequestFacts, RequestFault};
pub use response::{BodyEnd, DeliveredText, ResponseJudge};
pub use shape::{Kind, Shape};
pub use surface::{Mode, Profile, Surface};
