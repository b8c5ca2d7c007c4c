//! The plans: every probe with its reason. `docs/probes.md` is its page for people; a test compares the two.

use contract::Mode;

use crate::probe::{Attempts, Expect, PlanContext, Probe};
use crate::stimulus::Stimulus;

mod broken;
mod good;
mod trouble;

/// The probes that `negative_auth` looks at.
pub const AUTH_GROUP: &str = "auth";

/// The one live probe of the happy path: the release as it is against the provider as it is.
pub const HAPPY_LIVE: &str = "happy-live";

/// The probes in which the primary model fails and any other one answers.
pub const FALLBACK_GROUP: &str = "fallback";

/// The probes in which the asker leaves.
pub const CLIENT_GROUP: &str = "client";

/// How often a thorough plan makes each probe: twice shows what differs from one time to the next.
const THOROUGH_ASKS: u32 = 2;

/// How much of the catalogue is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// What a release must pass.
    #[default]
    Default,
    /// Every stimulus in every mode, each made again: its evidence counts wherever that of the default plan does.
    Thorough,
}

/// Returns the probes of one release in one mode, in the order in which they are worth reading.
pub fn plan(depth: Depth, mode: Mode, context: &PlanContext<'_>) -> Vec<Probe> {
    let mut plan = Plan { depth, mode, context, probes: Vec::new() };
    good::add(&mut plan);
    trouble::add(&mut plan);
    broken::add(&mut plan);
    let mut probes = plan.probes;
    if depth == Depth::Default && mode == Mode::Stream && context.unary_as_well {
        probes.retain(|probe| !ONCE.contains(&probe.id));
    }
    probes
}

/// Returns the default plan.
pub fn default_plan(mode: Mode, context: &PlanContext<'_>) -> Vec<Probe> {
    plan(Depth::Default, mode, context)
}

/// Error replies that are told apart by status and code alone, before any stream begins: a release that is probed with them in unary
/// mode learns nothing new from them in stream mode. One of each kind of reaction stays. A thorough plan leaves none out.
const ONCE: &[&str] = &[
    "auth-unknown-ca",
    "auth-forbidden",
    "request-404-model",
    "request-413",
    "request-422",
    "request-400-flat",
    "request-503-model",
    "request-redirect-elsewhere",
    "overload-429-date",
    "overload-429-garbage",
    "overload-429-long",
    "overload-429-ms",
    "overload-429-quota",
    "overload-502",
    "overload-503-retry-after",
    "overload-529",
    "overload-recovers-429",
    "overload-recovers-502",
    "overload-recovers-text",
    "overload-recovers-page",
    "fallback-timeout",
    "shape-tool-calls",
];

/// A plan in the making.
struct Plan<'c> {
    depth: Depth,
    mode: Mode,
    context: &'c PlanContext<'c>,
    probes: Vec<Probe>,
}

impl Plan<'_> {
    fn is_thorough(&self) -> bool {
        self.depth == Depth::Thorough
    }

    fn add(
        &mut self,
        id: &'static str,
        group: &'static str,
        stimulus: Stimulus,
        expect: Expect,
        attempts: Attempts,
    ) {
        // What reaches the provider costs money: it is made once.
        let asks = if self.is_thorough() && !stimulus.is_live() { THOROUGH_ASKS } else { 1 };
        self.probes.push(Probe { id, group, mode: self.mode, stimulus, expect, attempts, asks });
    }
}

#[cfg(test)]
mod tests;
