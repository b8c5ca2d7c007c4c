//! What is stored of a run, and all that gates and the decision may look at.

use contract::Mode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::drift::PairSettings;
use crate::gates::Decision;
use crate::reviews::{Review, Sighting};
use crate::{Finding, Fingerprint, Lane, OutcomeKind, RequestType, Role, Verdict};

/// A stored fact with what it is about: the input of the gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The run that made it.
    pub run: String,
    /// When it was made.
    pub at: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// What was found.
    pub fact: Fact,
}

/// What evidence is about: it counts only for the very same subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The new release.
    pub new: ReleaseIdentity,
    /// The rollback release.
    pub rollback: ReleaseIdentity,
    /// Fingerprint of the provider, probes, policies and gates as configured.
    pub configuration: Fingerprint,
    /// Fingerprint of the contract: the built-in one's version, required fields, reviews.
    pub contract: Fingerprint,
}

/// What makes a release the same release.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReleaseIdentity {
    /// Its version.
    pub version: String,
    /// Its image.
    pub image: Option<String>,
    /// Fingerprint of how it is run: command, directory, environment, sources.
    pub run: Fingerprint,
    /// Fingerprint of the credential its secrets resolve to; `None` when they resolve to none.
    pub credential: Option<Fingerprint>,
}

/// One stored fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A run began, and these probes are required of it: what is planned and not probed is missing.
    Planned {
        /// Each required probe.
        probes: Vec<Planned>,
    },
    /// A probe was judged.
    Probed(Probed),
    /// What both releases do on the wire was compared.
    Compared {
        /// The verdict.
        verdict: Verdict,
        /// Why.
        findings: Vec<Finding>,
    },
    /// The contract's reviews, and the settings since the accepted pair, were looked at.
    Reviewed {
        /// The verdict.
        verdict: Verdict,
        /// Why.
        findings: Vec<Finding>,
        /// When the oldest reading of a source was made that this rests on; `None` where it rests on none.
        since: Option<Timestamp>,
    },
    /// A source of the contract was read.
    SourceRead {
        /// Which.
        source: String,
        /// What it was.
        sighting: Sighting,
    },
    /// Somebody reviewed a source and accepts its content.
    SourceAccepted(Review),
    /// A drill ended, and its gates were judged: what later pairs are compared with.
    Decided {
        /// What traffic may do.
        decision: Decision,
        /// The settings of the pair.
        settings: PairSettings,
    },
    /// A step of the drill ended.
    Stepped {
        /// Its number, 0 to 8.
        step: u8,
        /// Its name.
        name: String,
        /// The verdict.
        verdict: Verdict,
        /// Why.
        findings: Vec<Finding>,
        /// Percent of user traffic on `new` when it ended, as read from the switch.
        percent_new: Option<u8>,
    },
    /// A record that was withheld because a secret was found in it: it proves nothing, and a run that has one holds.
    Withheld {
        /// Which record it was, in words that can hold no secret.
        what: String,
    },
}

/// A probe that a run has to make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// Of which release.
    pub role: Role,
    /// The probe's id.
    pub probe: String,
    /// In which mode.
    pub mode: Mode,
    /// Which part of the drill asks for it: the smoke, or the second smoke of `rollback` after `new` has run.
    pub phase: Phase,
}

/// When in a drill a probe is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before any traffic moves.
    Smoke,
    /// After traffic was moved to `new` and back.
    AfterSwitch,
}

/// A judged probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Which probe of which release.
    #[serde(flatten)]
    pub planned: Planned,
    /// The group it belongs to: `happy`, `auth`, `request`, `overload`, `network`, `shape`, `stream`, …
    pub group: String,
    /// What kind of request it makes.
    pub request_type: RequestType,
    /// Who answered.
    pub lane: Lane,
    /// The verdict.
    pub verdict: Verdict,
    /// What the release made of it; `None` when it was never asked.
    pub outcome: Option<OutcomeKind>,
    /// How many attempts the tap saw.
    pub attempts: u32,
    /// Why.
    pub findings: Vec<Finding>,
    /// What its logs lacked or showed too much of: judged by the observability gate and not by the smoke gates.
    pub log_findings: Vec<Finding>,
    /// Whether its logs were read at all.
    pub logs_judged: bool,
    /// Where it was asked more than once: each ask, in order. The verdict above is what they amount to together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<Repeat>,
}

/// One of several asks of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The verdict of this ask alone.
    pub verdict: Verdict,
    /// What the release made of it.
    pub outcome: Option<OutcomeKind>,
    /// How many attempts the tap saw.
    pub attempts: u32,
    /// Why.
    pub findings: Vec<Finding>,
}
