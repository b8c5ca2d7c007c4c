//! Makes an [`Asked`] of what came.

use std::time::Duration;

use drill::ports::Asked;
use evidence::Sensitive;
use judge::{Called, CrashKind, Outcome};

use crate::process::Ended;

/// What a reply amounts to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer.
    Answered(String),
    /// Calls of tools, with the text beside them.
    Called(Called, String),
    /// An error, with what had been answered before it and the text that was shown.
    Refused { how: String, partial: Option<String>, shown: Option<String>, unsaid: bool },
}

impl Reply {
    pub(crate) fn refused(how: impl Into<String>) -> Self {
        Self::Refused { how: how.into(), partial: None, shown: None, unsaid: false }
    }

    /// A refusal that the clients of a gateway do not see as an error.
    pub(crate) fn unsaid(how: impl Into<String>) -> Self {
        Self::Refused { how: how.into(), partial: None, shown: None, unsaid: true }
    }

    pub(crate) fn showing(self, text: Option<String>) -> Self {
        match self {
            Self::Answered(_) | Self::Called(..) => self,
            Self::Refused { how, partial, unsaid, .. } => {
                Self::Refused { how, partial, shown: text, unsaid }
            }
        }
    }

    pub(crate) fn after(self, answered_before: Option<String>) -> Self {
        match self {
            Self::Answered(_) | Self::Called(..) => self,
            Self::Refused { how, shown, unsaid, .. } => {
                Self::Refused { how, partial: answered_before, shown, unsaid }
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
            Self::Called(called, text) => {
                let asked = Self::Answered(text).into_asked(elapsed);
                Asked { called: Some(called), ..asked }
            }
            Self::Refused { how, partial, shown, unsaid } => {
                let asked = asked(Outcome::Refused { elapsed_ms, how }, partial, shown);
                Asked { unsaid, ..asked }
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
        called: None,
        unsaid: false,
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
