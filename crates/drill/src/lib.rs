//! Decisions over time: what to probe, the eight steps, their journal, and the way back.
//!
//! The ports are in [`ports`]; adapters in `tap`, `release` and `route` implement them.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod ports;
pub mod settings;
