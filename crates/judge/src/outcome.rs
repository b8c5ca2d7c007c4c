//! What a release made of an ask.

use serde::{Deserialize, Serialize};

/// How a gateway's stream ended that says it is done (`[DONE]`), and has no finish reason: to those who ask, half an answer that looks whole,
/// as no official SDK looks at the reason.
pub const DONE_WITHOUT_FINISH: &str = "[DONE] without finish_reason";

/// What a release made of an ask. Answers are not in it: they stay in memory, see `release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It gave an answer.
    Answered {
        /// How long it took.
        elapsed_ms: u64,
        /// The size of the answer; zero is possible.
        answer_bytes: u64,
    },
    /// It reported an error.
    Refused {
        /// How long it took.
        elapsed_ms: u64,
        /// How it said so: `exit status 1`, `status 502`, `no answer at /answer`, `event error`.
        how: String,
    },
    /// No outcome by the deadline.
    TimedOut {
        /// The deadline.
        elapsed_ms: u64,
    },
    /// It died.
    Crashed {
        /// How long it took.
        elapsed_ms: u64,
        /// How it died.
        how: CrashKind,
    },
    /// Its asker left before there was one.
    Left {
        /// After how long.
        elapsed_ms: u64,
    },
}

/// How a release died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "crash", rename_all = "snake_case")]
pub enum CrashKind {
    /// A signal ended the process.
    Signal {
        /// The signal's number.
        number: i32,
    },
    /// A service's process ended while it was asked.
    Exited {
        /// Its exit status.
        status: i32,
    },
    /// The connection to a service broke before its reply was whole.
    ConnectionLost,
}

/// The outcomes without their details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// It gave an answer.
    Answered,
    /// It reported an error.
    Refused,
    /// No outcome by the deadline.
    TimedOut,
    /// It died.
    Crashed,
    /// Its asker left before there was one.
    Left,
}

impl Outcome {
    /// Returns which of them it is.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Answered { .. } => OutcomeKind::Answered,
            Self::Refused { .. } => OutcomeKind::Refused,
            Self::TimedOut { .. } => OutcomeKind::TimedOut,
            Self::Crashed { .. } => OutcomeKind::Crashed,
            Self::Left { .. } => OutcomeKind::Left,
        }
    }

    /// Returns how long it took, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        match self {
            Self::Answered { elapsed_ms, .. }
            | Self::Refused { elapsed_ms, .. }
            | Self::TimedOut { elapsed_ms }
            | Self::Crashed { elapsed_ms, .. }
            | Self::Left { elapsed_ms } => *elapsed_ms,
        }
    }
}

impl OutcomeKind {
    /// Returns the word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Crashed => "crashed",
            Self::Left => "left",
        }
    }
}
