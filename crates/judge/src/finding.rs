//! One judged fact.

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
    pub mode: Option<contract::Mode>,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// What to do.
    pub advice: String,
}
