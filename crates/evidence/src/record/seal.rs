//! Scans a record before it is stored, and makes a stub of one in which a secret was found.

use judge::{Fact, ReleaseIdentity, Subject};

use super::{FallbackDecision, OperatorNote, Record, RedactionStatus, Sources};
use crate::Scanner;

/// A record that was scanned: the only thing that a ledger appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    record: Record,
    json: String,
    withheld: Option<Withheld>,
}

/// Why a record became a stub: what was found in it, by name and form, never by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// For each needle found: its name and the form, for example `secret KEY of new (base64)`.
    pub found: Vec<String>,
}

impl Sealed {
    /// Returns the record as it will be stored.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the JSON as it will be stored.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns why it is a stub, if it is one.
    pub fn withheld(&self) -> Option<&Withheld> {
        self.withheld.as_ref()
    }
}

impl Record {
    /// Scans the record as it would be stored. Where a needle or anything that looks like a token is found, all free text is
    /// thrown away and the record is marked `withheld`: with it, gates hold.
    pub fn seal(self, scanner: &Scanner) -> Sealed {
        let json = self.to_json();
        let found = found(scanner, &json);
        if found.is_empty() {
            return Sealed { record: self, json, withheld: None };
        }
        let withheld = Some(Withheld { found: found.clone() });
        let stub = self.into_stub(&found);
        for stub in [stub.clone(), stub.without_note()] {
            let json = stub.to_json();
            if self::found(scanner, &json).is_empty() {
                return Sealed { record: stub, json, withheld };
            }
        }
        // What still matches after this is a word of the format itself: a credential named `simulated`, say.
        let record = stub.into_anonymous_stub();
        Sealed { json: record.to_json(), record, withheld }
    }

    /// Keeps only what is an enumeration, a number, a time, a fingerprint or a name that gates match by.
    fn into_stub(self, found: &[String]) -> Self {
        let what = kind_of(&self.fact).to_owned();
        Self {
            operator_note: OperatorNote::new(&format!("withheld: {}", found.join(", "))),
            redaction_status: RedactionStatus::Withheld,
            fallback_decision: FallbackDecision::Hold,
            version: None,
            identity: None,
            sources: Sources::default(),
            client: None,
            probe: None,
            endpoint_path: None,
            model: None,
            request_ids: Vec::new(),
            required_fields_found: Vec::new(),
            findings: Vec::new(),
            fact: Fact::Withheld { what },
            ..self
        }
    }

    /// Empties the note, too: the *name* of a needle can hold what another needle forbids.
    fn without_note(&self) -> Self {
        Self { operator_note: OperatorNote::new("withheld"), ..self.clone() }
    }

    /// Empties also the names that gates match by: the secret stands in one of them. No gate can use such a record, and what
    /// it would have proven is missing. The ids of record and run are ours and stay.
    fn into_anonymous_stub(self) -> Self {
        let anonymous = |identity: ReleaseIdentity| ReleaseIdentity {
            version: String::new(),
            image: None,
            ..identity
        };
        Self {
            operator_note: OperatorNote::new("withheld"),
            service_path: self.service_path.anonymous(),
            environment: String::new(),
            service: String::new(),
            subject: Subject {
                service: String::new(),
                environment: String::new(),
                new: anonymous(self.subject.new),
                rollback: anonymous(self.subject.rollback),
                ..self.subject
            },
            ..self
        }
    }
}

/// Returns the words for a fact, which can hold no secret.
pub(super) fn kind_of(fact: &Fact) -> &'static str {
    match fact {
        Fact::Planned { .. } => "the plan of a run",
        Fact::Probed(_) => "a judged probe",
        Fact::Compared { .. } => "the comparison of both releases",
        Fact::Reviewed { .. } => judge::gates::REVIEW_WORDS,
        Fact::SourceRead { .. } => "the reading of a source",
        Fact::SourceAccepted(_) => "an accepted review",
        Fact::Decided { .. } => "the decision of a drill",
        Fact::Stepped { .. } => "a step of a drill",
        Fact::Withheld { .. } => "a withheld record",
    }
}

fn found(scanner: &Scanner, json: &str) -> Vec<String> {
    let mut found = Vec::new();
    for hit in scanner.scan(json.as_bytes()).into_iter().chain(scanner.tokens(json.as_bytes())) {
        let name = format!("{} ({})", hit.name, hit.form.as_str());
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
