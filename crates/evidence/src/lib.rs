//! What may be written down: redaction, records and the ledger.
//!
//! Nothing unredacted leaves memory: the ledger takes only what went through the [`Scanner`].
#![warn(clippy::wildcard_enum_match_arm)]

mod fingerprint;
mod record;
mod scan;
mod sensitive;

pub use fingerprint::Fingerprinter;
pub use record::{
    CheckId, FallbackDecision, Fingerprints, HttpStatusClass, OperatorNote, ParserResult,
    RECORD_FORMAT, Record, RecordError, RedactionStatus, RequiredFields, RetryDecision, Sealed,
    ServicePath, Sources, Withheld,
};
pub use scan::{Form, Hit, Needle, NeedleKind, Redacted, Scanner, SharedScanner};
pub use sensitive::Sensitive;
