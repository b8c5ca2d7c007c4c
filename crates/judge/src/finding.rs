//! One judged fact.

use contract::{BrokenClient, Mode, Surface, broken_clients};
use serde::{Deserialize, Serialize};

use crate::Role;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Noted.
    Info,
    /// Bounded, but wasteful or fragile. Blocks only under `gates: { strict: true }`.
    Warn,
    /// It could not be told: holds as something missing.
    Ambiguous,
    /// Users or operators would be harmed.
    Fail,
}

/// One judged fact: a stable code with what was expected, what was seen and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable kebab-case code in field terms; each has a page in `docs/findings/`.
    pub code: String,
    /// How much it weighs.
    pub severity: Severity,
    /// Which release it is about; `None` when about both, the provider or the environment.
    pub release: Option<Role>,
    /// The probe that showed it.
    pub probe: Option<String>,
    /// The mode of that probe.
    pub mode: Option<Mode>,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// What to do.
    pub advice: String,
    /// How the reply that it is about deviated from the contract. Which known clients that breaks is looked up for a report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
}

/// How a reply deviated from the contract: a finding of the contract, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// The contract's code.
    pub code: String,
    /// The surface that was asked.
    pub surface: Surface,
    /// The mode in which it was asked.
    pub mode: Mode,
    /// What was there: types and classes, never values.
    pub seen: String,
}

impl Finding {
    /// Makes a finding that is not yet about any release or probe.
    pub fn new(
        severity: Severity,
        code: &str,
        expected: impl Into<String>,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            severity,
            release: None,
            probe: None,
            mode: None,
            expected: expected.into(),
            seen: seen.into(),
            advice: advice.into(),
            deviations: Vec::new(),
        }
    }

    /// Looks up the known clients that break on the reply that this is about.
    pub fn breaks(&self) -> Vec<BrokenClient> {
        let mut broken: Vec<BrokenClient> = Vec::new();
        for deviation in &self.deviations {
            let place = (deviation.surface, deviation.mode);
            for one in broken_clients(&deviation.code, Some(place), Some(&deviation.seen)) {
                if !broken.contains(&one) {
                    broken.push(one);
                }
            }
        }
        broken
    }

    /// Says which release it is about.
    #[must_use]
    pub fn of_release(self, role: Role) -> Self {
        Self { release: Some(role), ..self }
    }

    /// Says which probe showed it.
    #[must_use]
    pub fn at_probe(self, probe: &str, mode: Mode) -> Self {
        Self { probe: Some(probe.to_owned()), mode: Some(mode), ..self }
    }
}

impl Severity {
    /// Returns the word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Ambiguous => "ambiguous",
            Self::Fail => "fail",
        }
    }
}
