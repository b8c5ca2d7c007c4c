//! What a case is: what is broken, and what surestep must say of it.

use judge::gates::Gate;
use judge::{Role, Verdict};

use super::evidence::Look;
use super::provider::Trouble;
use super::switch::Fault;
use crate::built_in::Defect;

/// One thing that is broken on purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The finding that must be given; or, in words, what only the gates see.
    pub(crate) expect: &'static str,
    /// What is broken, in words.
    pub(crate) broken: &'static str,
    /// The gate that must show it.
    pub(crate) gate: Gate,
    /// Its verdict: a finding that is only noted leaves it green.
    pub(crate) verdict: Verdict,
    /// How the gate's reason begins; the finding's code, where nothing else is said.
    pub(crate) reason: Option<&'static str>,
    /// Whether all six gates must have this verdict.
    pub(crate) everywhere: bool,
    /// What is run.
    pub(crate) scene: Scene,
}

/// What is run: two healthy releases, but for what is named here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    /// What is wrong with one of the releases.
    pub(crate) defect: Defect,
    /// Which one.
    pub(crate) broken: Role,
    /// How both releases run.
    pub(crate) how: How,
    /// The probes of both, beside the live happy path.
    pub(crate) probes: &'static [&'static str],
    /// Further configuration: JSON pointer and JSON; `null` takes away. It belongs to what is broken.
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// Whether warnings block.
    pub(crate) strict: bool,
    /// What is wrong with the provider.
    pub(crate) provider: Option<Trouble>,
    /// What is made of it.
    pub(crate) run: Run,
    /// What is wrong with the evidence when the gates look at it.
    pub(crate) look: Look,
    /// Whether the other release is struck as well: then it is the undamaged pair alone that shows green.
    pub(crate) strikes_both: bool,
}

/// What is made of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Smoke probes of both.
    Check,
    /// The eight steps, through this switch.
    Drill(Fault),
    /// The same, after another drill was left unfinished.
    DrillAfterCrash,
    /// A drill of the healthy pair first, then, on the same ledger, smoke probes of what is broken.
    CheckAfterDrill,
}

/// The probes without which a drill moves no traffic, beside the live happy path.
const DRILLED: &[&str] = &["auth-invalid-credential"];

/// How a release runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A process for each ask.
    Command,
    /// The same, in stream mode.
    Stream,
    /// A long-running process.
    Service,
    /// The same, asked as an OpenAI-compatible gateway.
    Gateway,
}

impl Scene {
    /// Two healthy releases.
    pub(crate) const HEALTHY: Self = Self {
        defect: Defect::None,
        broken: Role::New,
        how: How::Command,
        probes: &[],
        keys: &[],
        strict: false,
        provider: None,
        run: Run::Check,
        look: Look::AsItIs,
        strikes_both: false,
    };
}

impl Case {
    /// A defect of `new` that its smoke must find.
    pub(super) const fn new(expect: &'static str, defect: Defect, broken: &'static str) -> Self {
        Self {
            expect,
            broken,
            gate: Gate::NewReleaseSmoke,
            verdict: Verdict::Fail,
            reason: None,
            everywhere: false,
            scene: Scene { defect, ..Scene::HEALTHY },
        }
    }

    /// The defect is the rollback release's: the way back is broken.
    pub(super) const fn of_rollback(self) -> Self {
        let scene = Scene { broken: Role::Rollback, ..self.scene };
        Self { gate: Gate::RollbackReleaseSmoke, scene, ..self }
    }

    pub(super) const fn at(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    pub(super) const fn ambiguous(self) -> Self {
        Self { verdict: Verdict::Ambiguous, ..self }
    }

    /// A finding that is noted and blocks nothing.
    pub(super) const fn noted(self) -> Self {
        Self { verdict: Verdict::Pass, ..self }
    }

    /// A warning: it blocks where warnings do.
    pub(super) const fn warned(self) -> Self {
        Self { scene: Scene { strict: true, ..self.scene }, ..self }
    }

    pub(super) const fn run_as(self, how: How) -> Self {
        Self { scene: Scene { how, ..self.scene }, ..self }
    }

    pub(super) const fn asked(self, probes: &'static [&'static str]) -> Self {
        Self { scene: Scene { probes, ..self.scene }, ..self }
    }

    pub(super) const fn with(self, keys: &'static [(&'static str, &'static str)]) -> Self {
        Self { scene: Scene { keys, ..self.scene }, ..self }
    }

    pub(super) const fn provider(self, trouble: Trouble) -> Self {
        Self { scene: Scene { provider: Some(trouble), strikes_both: true, ..self.scene }, ..self }
    }

    /// A drill of two services through a switch with this fault.
    pub(super) const fn drilled(self, fault: Fault) -> Self {
        let run = Run::Drill(fault);
        let scene = Scene { how: How::Service, run, probes: DRILLED, ..self.scene };
        Self { gate: Gate::RollbackSwitchDrill, scene, ..self }
    }

    pub(super) const fn made(self, run: Run) -> Self {
        Self { scene: Scene { how: How::Service, run, probes: DRILLED, ..self.scene }, ..self }
    }

    /// A sound drill, whose evidence must prove nothing when it is looked at in this way.
    pub(super) const fn looked_at(self, look: Look) -> Self {
        let run = Run::Drill(Fault::None);
        let scene = Scene { how: How::Service, run, look, probes: DRILLED, ..self.scene };
        Self { scene, ..self }
    }

    pub(super) const fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub(super) const fn everywhere(self) -> Self {
        Self { everywhere: true, ..self }
    }

    /// Whether it is named by a finding's code.
    pub(crate) fn is_code(&self) -> bool {
        !self.expect.contains(' ')
    }

    pub(super) const fn strikes_both(self) -> Self {
        Self { scene: Scene { strikes_both: true, ..self.scene }, ..self }
    }
}
