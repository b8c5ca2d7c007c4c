//! Work that could not be done: what, whose doing, what to do, and the exit code.

use drill::RunError;
use drill::ports::PortError;
use evidence::{LedgerError, Scanner};
use serde_json::{Value, json};

use crate::exit_code;

/// Work that could not be done. Nothing was promoted.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// What could not be done, with its causes; may be shown.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
    /// Each problem of a configuration file by itself, for programs.
    pub(crate) problems: Option<Box<Value>>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            code: exit_code::USAGE,
            message: message.into(),
            advice: Some(advice.into()),
            problems: None,
        }
    }

    pub(crate) fn internal(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            code: exit_code::INTERNAL,
            message: message.into(),
            advice: Some(advice.into()),
            problems: None,
        }
    }

    /// Something of this machine kept surestep from beginning: nothing is known to be wrong, nothing was done, and nothing was found out.
    pub(crate) fn not_begun(error: PortError) -> Self {
        Self { code: exit_code::HOLD_MISSING, ..Self::from(error) }
    }

    /// Takes out everything that must not be shown.
    pub(crate) fn redacted(self, scanner: &Scanner) -> Self {
        let clean = |text: &str| scanner.redact(text).into_string();
        Self { message: clean(&self.message), advice: self.advice.as_deref().map(clean), ..self }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "decision": "hold",
            "exit_code": self.code,
            "error": { "message": self.message, "advice": self.advice, "problems": self.problems },
        })
    }
}

/// Joins an error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::internal(chain(&error), error.advice())
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let advice = match &error {
            PortError::Environment { advice, .. } | PortError::Release { advice, .. } => {
                advice.clone()
            }
        };
        Self::internal(chain(&error), advice)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Ledger(error) => Self::from(error),
            RunError::Route(error) => {
                let failure = Self::from(error);
                Self {
                    message: format!("the route could not be read or moved: {}", failure.message),
                    ..failure
                }
            }
            RunError::Busy { what, advice } => Self {
                code: exit_code::HOLD_MISSING,
                message: what,
                advice: Some(advice),
                problems: None,
            },
        }
    }
}
