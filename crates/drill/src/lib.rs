//! Decisions over time: what to probe, the eight steps, their journal, and the way back.
//!
//! [`check`] smokes releases; [`drill`] rehearses the switch and the way back as well. Both leave their evidence in the ledger,
//! and what it amounts to is for `judge::gates` to say. The ports are in [`ports`]; adapters in `tap`, `release` and `route`
//! implement them.
#![warn(clippy::wildcard_enum_match_arm)]

mod asking;
mod bench;
mod files;
mod late_logs;
pub mod learning;
mod pair;
mod path;
pub mod plan;
pub mod ports;
mod progress;
mod records;
mod rehearsal;
mod review;
mod run;
mod said;
pub mod settings;
mod smoke;

pub use bench::{
    Bench, ControlPort, LiveCalls, ReleaseSecrets, RunNames, Secrets, Starting, Upstreams,
};
pub use late_logs::LateLogs;
pub use progress::{Event, Progress};
pub use rehearsal::{Rehearsal, drill};
pub use review::{Acceptance, Desk, ReviewReport, SourceReport, review_sources};
pub use run::{RunError, RunReport, StepReport, check};
