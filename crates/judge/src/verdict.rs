//! The result of judging.

use serde::{Deserialize, Serialize};

use crate::{Finding, Severity};

/// The result of judging a probe, a step or a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[must_use]
pub enum Verdict {
    /// Every expectation was observed to hold.
    Pass,
    /// At least one expectation was observed not to hold.
    Fail,
    /// Too little was observed to say.
    Ambiguous,
}

impl Verdict {
    /// Returns whether traffic may move on the strength of this verdict.
    pub fn permits_release(self) -> bool {
        match self {
            Self::Pass => true,
            Self::Fail | Self::Ambiguous => false,
        }
    }

    /// Returns the worse of two: a failure outweighs a gap, a gap outweighs a pass.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (Self::Ambiguous, _) | (_, Self::Ambiguous) => Self::Ambiguous,
            (Self::Pass, Self::Pass) => Self::Pass,
        }
    }

    /// Returns what findings amount to; `strict` makes warnings block.
    pub fn of(findings: &[Finding], strict: bool) -> Self {
        findings.iter().fold(Self::Pass, |verdict, finding| {
            verdict.and(match finding.severity {
                Severity::Fail => Self::Fail,
                Severity::Ambiguous => Self::Ambiguous,
                Severity::Warn if strict => Self::Fail,
                Severity::Warn | Severity::Info => Self::Pass,
            })
        })
    }

    /// Returns the word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Ambiguous => "ambiguous",
        }
    }
}
