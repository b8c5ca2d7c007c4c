//! Makes an [`Asked`] of what came.

use std::time::Duration;

use drill::ports::Asked;
use evidence::Sensitive;
use judge::{CrashKind, Outcome};

use crate::process::Ended;

/// What a reply amounts to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer.
    Answered(String),
    /// An error, with what had been answered before it and the text that was shown.
    Refused { how: String, partial: Option<String>, shown: Option<String> },
}

impl Reply {
    pub(crate) fn refused(how: impl Into<String>) -> Self {
        Self::Refused { how: how.into(), partial: None, shown: None }
    }

    pub(crate) fn showing(self, text: Option<String>) -> Self {
        match self {
            Self::Answered(_) => self,
            Self::Refused { how, partial, .. } => Self::Refused { how, partial, shown: text },
        }
    }

    pub(crate) fn after(self, answered_before: Option<String>) -> Self {
        match self {
            Self::Answered(_) => self,
            Self::Refused { how, shown, .. } => {
                Self::Refused { how, partial: answered_before, shown }
            }
        }
    }

    pub(crate) fn into_asked(self, elapsed: Duration) -> Asked {
        let elapsed_ms = milliseconds(elapsed);
        match self {
            Self::Answered(answer) => {
                let answer_bytes = u64::try_from(answer.len()).unwrap_or(u64::MAX);
                asked(Outcome::Answered { elapsed_ms, answer_bytes }, Some(answer), None)
            }
            Self::Refused { how, partial, shown } => {
                asked(Outcome::Refused { elapsed_ms, how }, partial, shown)
            }
        }
    }
}

/// No outcome in time.
pub(crate) fn timed_out(elapsed: Duration, partial: Option<String>) -> Asked {
    asked(Outcome::TimedOut { elapsed_ms: milliseconds(elapsed) }, partial, None)
}

/// It died.
pub(crate) fn crashed(elapsed: Duration, how: CrashKind, partial: Option<String>) -> Asked {
    asked(Outcome::Crashed { elapsed_ms: milliseconds(elapsed), how }, partial, None)
}

/// Says as what kind of crash the end of a process counts.
pub(crate) fn crash_kind(ended: Ended) -> CrashKind {
    match ended {
        Ended::Exited(status) => CrashKind::Exited { status },
        Ended::Signalled(number) => CrashKind::Signal { number },
    }
}

pub(crate) fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn asked(outcome: Outcome, answer: Option<String>, shown: Option<String>) -> Asked {
    Asked {
        outcome,
        answer: answer.map(Sensitive::new),
        shown: shown.map(Sensitive::new),
        reply: None,
        media_type: None,
        first_words: None,
        logs: None,
        beside: None,
        cut: false,
        cpu_wait: None,
    }
}
