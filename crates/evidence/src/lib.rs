//! What may be written down: redaction, records and the ledger.
//!
//! Nothing unredacted leaves memory: the ledger takes only what went through the [`Scanner`].
#![warn(clippy::wildcard_enum_match_arm)]

mod fingerprint;
mod journal;
mod lease;
mod ledger;
mod record;
mod scan;
mod sensitive;

pub use fingerprint::Fingerprinter;
pub use journal::{Durable, Intent, Journal, RecordedIntent, UnfinishedRun, unfinished};
pub use lease::{Acquire, Holder, Lease};
pub use ledger::{
    Break, BreakKind, Head, LEDGER_FORMAT, Ledger, LedgerError, LedgerFault, Receipt, RecordFilter,
    StoredRecord, VerifyReport,
};
pub use record::{
    CheckId, FallbackDecision, Fingerprints, HttpStatusClass, OperatorNote, ParserResult,
    RECORD_FORMAT, Record, RecordError, RedactionStatus, RequiredFields, RetryDecision, Sealed,
    ServicePath, Sources, Withheld,
};
pub use scan::{Form, Hit, Needle, NeedleKind, Redacted, Scanner, SharedScanner};
pub use sensitive::Sensitive;
