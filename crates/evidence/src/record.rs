//! The evidence record: what is kept of a probe or a step.
//!
//! Its first eleven fields are those of the design, in their order and with their values. Behind them stands what else may be
//! known, and last the subject and the fact that gates read. Only [`Record::seal`] makes the [`Sealed`] that a ledger takes;
//! it scans every byte, and a record in which a needle is found becomes a stub.

mod opening;
mod seal;

use contract::{ErrorClass, Mode};
use jiff::Timestamp;
use judge::{Fact, Finding, Fingerprint, Item, Lane, ReleaseIdentity, RequestType, Role, Subject};
use serde::{Deserialize, Serialize};

pub use self::opening::{
    CheckId, FallbackDecision, HttpStatusClass, OperatorNote, ParserResult, RedactionStatus,
    RequiredFields, RetryDecision, ServicePath,
};
pub use self::seal::{Sealed, Withheld};

/// The version of the record's format.
///
/// - 1: the first.
pub const RECORD_FORMAT: u32 = 1;

/// What is kept of a probe or a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Names the check by its minute.
    pub check_id: CheckId,
    /// Provider and surface.
    pub service_path: ServicePath,
    /// The environment, as configured.
    pub environment: String,
    /// What kind of request was made.
    pub request_type: RequestType,
    /// The class of the status that the release met.
    pub http_status_class: HttpStatusClass,
    /// What the release's parser made of the reply.
    pub parser_result: ParserResult,
    /// Whether the fields were there that the application requires.
    pub required_fields_present: RequiredFields,
    /// What the release did about another attempt.
    pub retry_decision: RetryDecision,
    /// What traffic may do on the strength of this.
    pub fallback_decision: FallbackDecision,
    /// Whether the record is whole.
    pub redaction_status: RedactionStatus,
    /// One line for people.
    pub operator_note: OperatorNote,

    /// The version of this format, see [`RECORD_FORMAT`].
    pub format: u32,
    /// The record's own id, unique in its ledger.
    pub record_id: String,
    /// The run that made it.
    pub run_id: String,
    /// When it was made. For people: order comes from the ledger's sequence number.
    pub time: Timestamp,
    /// The service.
    pub service: String,
    /// The part of the release; `None` when it is about both or neither.
    pub release: Option<Role>,
    /// The release's version.
    pub version: Option<String>,
    /// What makes the release the same release.
    pub identity: Option<ReleaseIdentity>,
    /// Where its configuration came from.
    pub sources: Sources,
    /// The client library, as the tap saw it.
    pub client: Option<String>,
    /// The probe.
    pub probe: Option<String>,
    /// Its mode.
    pub mode: Option<Mode>,
    /// Who answered.
    pub lane: Option<Lane>,
    /// The path that was called.
    pub endpoint_path: Option<String>,
    /// The model setting on the wire.
    pub model: Option<String>,
    /// The status that the release met last.
    pub status: Option<u16>,
    /// The class of the error that it met last.
    pub error_class: Option<ErrorClass>,
    /// How many attempts the tap saw.
    pub attempts: u32,
    /// The waits between them, in milliseconds.
    pub gaps_ms: Vec<u64>,
    /// The provider's request ids, in order.
    pub request_ids: Vec<String>,
    /// Other hosts that the release called through the tap as its proxy; their content passes unseen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_hosts: Vec<judge::Tunnel>,
    /// Required fields that were there, as JSON pointers.
    pub required_fields_found: Vec<String>,
    /// What was judged.
    pub findings: Vec<Finding>,
    /// Keyed fingerprints of what it counts for.
    pub fingerprints: Fingerprints,
    /// Calls that reached the provider.
    pub live_calls: u32,
    /// What it is about, for the gates.
    pub subject: Subject,
    /// What was found, for the gates.
    pub fact: Fact,
}

/// The *names* of the sources of a release's configuration; never their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Of its base URL, for example `env:COMETAPI_BASE_URL`.
    pub base_url: Option<String>,
    /// Of its model, for example `env:SUPPORT_MODEL`.
    pub model: Option<String>,
    /// Of its credential, for example `file:/run/secrets/comet`.
    pub secret: Option<String>,
}

/// Keyed fingerprints of what a record counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// Of the configuration.
    pub configuration: Fingerprint,
    /// Of the contract.
    pub contract: Fingerprint,
    /// Of the credential; `None` where there was none.
    pub credential: Option<Fingerprint>,
    /// Of the environment.
    pub environment: Fingerprint,
    /// Of how the release is run.
    pub run: Option<Fingerprint>,
}

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A later surestep wrote it.
    #[error(
        "the record has format {format}, which is newer than this surestep (it reads up to {RECORD_FORMAT})"
    )]
    Newer {
        /// Its format.
        format: u32,
    },
    /// Not what surestep writes.
    #[error("the record cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// What comes first when a record is read: nothing else of an unknown format means what it seems to mean.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Record {
    /// Returns what gates look at.
    ///
    /// For a stub that is [`Fact::Withheld`], whatever fact it was built with, so that the gates hold.
    pub fn item(&self) -> Item {
        let fact = match self.redaction_status {
            RedactionStatus::SecretsRemoved => self.fact.clone(),
            RedactionStatus::Withheld => self.withheld_fact(),
        };
        Item { run: self.run_id.clone(), at: self.time, subject: self.subject.clone(), fact }
    }

    /// Reads a record from its JSON.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let FormatOnly { format } =
            serde_json::from_slice(json).map_err(RecordError::Unreadable)?;
        if format > RECORD_FORMAT {
            return Err(RecordError::Newer { format });
        }
        serde_json::from_slice(json).map_err(RecordError::Unreadable)
    }

    /// Returns the record's JSON, as it is stored, hashed and exported.
    #[expect(clippy::missing_panics_doc, reason = "a record always serialises")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only and no foreign Serialize")
    }

    fn withheld_fact(&self) -> Fact {
        match &self.fact {
            Fact::Withheld { .. } => self.fact.clone(),
            Fact::Planned { .. }
            | Fact::Probed(_)
            | Fact::Compared { .. }
            | Fact::Reviewed { .. }
            | Fact::SourceRead { .. }
            | Fact::SourceAccepted(_)
            | Fact::Decided { .. }
            | Fact::Stepped { .. } => Fact::Withheld { what: seal::kind_of(&self.fact).to_owned() },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
