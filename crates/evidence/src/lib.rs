//! What may be written down: redaction, records and the ledger.
//!
//! Nothing unredacted leaves memory: the ledger takes only what went through the [`Scanner`].
#![warn(clippy::wildcard_enum_match_arm)]

mod sensitive;

pub use sensitive::Sensitive;
