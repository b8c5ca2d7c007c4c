//! What a run tells whoever watches it.

use contract::Mode;
use judge::{Role, Verdict};

/// Something that happened in a run, for people who watch; nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    StepBegan {
        /// Its number.
        step: u8,
        /// Its name.
        name: &'static str,
    },
    /// A step ended.
    StepEnded {
        /// Its number.
        step: u8,
        /// Its name.
        name: &'static str,
        /// Its verdict.
        verdict: Verdict,
        /// The most important thing about it.
        headline: Option<String>,
    },
    /// So many probes of a release are planned.
    Planned {
        /// Which release.
        role: Role,
        /// How many.
        probes: usize,
    },
    /// A probe begins.
    ProbeBegan {
        /// Which release.
        role: Role,
        /// The probe.
        probe: &'static str,
        /// Its mode.
        mode: Mode,
    },
    /// A probe was judged.
    ProbeEnded {
        /// Which release.
        role: Role,
        /// The probe.
        probe: &'static str,
        /// Its mode.
        mode: Mode,
        /// Its verdict.
        verdict: Verdict,
        /// The code of its worst finding.
        headline: Option<String>,
    },
    /// Another ask of an experiment was answered.
    Learning {
        /// Which release.
        role: Role,
        /// Asks so far.
        asked: u32,
        /// About how many there will be.
        about: u32,
    },
    /// Something worth knowing.
    Note(String),
}

/// Takes events. Must not block.
pub trait Progress: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}
