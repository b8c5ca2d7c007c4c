//! What a run works with: settings, ports, ledger, clock and chance. One per run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use contract::Mode;
use evidence::{Fingerprinter, Needle, NeedleKind, Scanner, Sensitive};
use jiff::Timestamp;
use judge::catalogue::Depth;
use judge::judging::Control;
use judge::{AnsweredBy, AskId, Finding, Marker, Observation, Role, Subject};

use crate::late_logs::LateLogs;
use crate::ports::{Releases, SourceReader, Tap, Upstream};
use crate::progress::Progress;
use crate::settings::Settings;

/// What a run works with.
pub struct Bench<T: Tap, R: Releases, C: ControlPort> {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The proxy.
    pub tap: T,
    /// What runs releases.
    pub releases: R,
    /// surestep's own call to the provider.
    pub control: C,
    /// Reads the contract's sources.
    pub sources: Arc<dyn SourceReader>,
    /// Where each release's live lane leads.
    pub upstreams: Upstreams,
    /// Resolved secrets.
    pub secrets: Secrets,
    /// What the evidence of this run is about.
    pub subject: Subject,
    /// Makes fingerprints.
    pub fingerprinter: Fingerprinter,
    /// Searches for what must not be written down.
    pub scanner: Scanner,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// Names of this run.
    pub names: RunNames,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// How much of the catalogue is made.
    pub depth: Depth,
    /// Only these probes, for evidence that nobody promotes by: the self-test's. `None`: all that the depth asks for.
    pub only: Option<Vec<&'static str>>,
    /// Processes at work at once.
    pub jobs: usize,
    /// What is left of the ceiling on calls that reach the provider.
    pub live_calls: LiveCalls,
    /// How long commands take to start here.
    pub starting: Starting,
    /// Which releases write their logs late.
    pub late_logs: LateLogs,
    /// What was wrong with surestep itself before the run began: with any of it nothing is promoted.
    pub preconditions: Vec<Finding>,
}

/// How long commands take from their start to their first call: the slowest seen in this run.
#[derive(Debug)]
pub struct Starting(AtomicU64);

impl Default for Starting {
    /// Before anything was seen: an interpreter with a large SDK on a busy machine.
    fn default() -> Self {
        Self(AtomicU64::new(5_000))
    }
}

impl Starting {
    /// Returns how much longer than its deadline a command may live: twice the slowest start, at most a minute.
    pub(crate) fn allowance(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).saturating_mul(2).min(60_000))
    }

    pub(crate) fn learn(&self, start: Duration) {
        let millis = u64::try_from(start.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_max(millis, Ordering::Relaxed);
    }
}

/// The ceiling on calls that reach the provider in one run.
#[derive(Debug)]
pub struct LiveCalls {
    left: AtomicU32,
    unrecorded: AtomicU32,
}

impl LiveCalls {
    /// Starts with the whole budget.
    pub fn new(budget: u32) -> Self {
        Self { left: AtomicU32::new(budget), unrecorded: AtomicU32::new(0) }
    }

    /// Returns how many calls an ask may make that wants so many at most.
    pub(crate) fn allow(&self, at_most: u32) -> u32 {
        self.left.load(Ordering::Relaxed).min(at_most)
    }

    /// Takes the calls off that an observation shows, and which the record of its probe tells.
    pub(crate) fn spend(&self, observation: &Observation) {
        self.take_off(count_live(observation));
    }

    /// Takes so many calls off that belong to no probe: the record of the step tells them.
    pub(crate) fn spend_beside_probes(&self, n: u32) {
        self.unrecorded.fetch_add(n, Ordering::Relaxed);
        self.take_off(n);
    }

    /// Returns how many calls were made beside probes since this was asked last.
    pub(crate) fn take_unrecorded(&self) -> u32 {
        self.unrecorded.swap(0, Ordering::Relaxed)
    }

    fn take_off(&self, n: u32) {
        let less = |left: u32| Some(left.saturating_sub(n));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            // The closure never refuses; what was there before is of no interest.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Counts the exchanges that reached for the provider.
pub(crate) fn count_live(observation: &Observation) -> u32 {
    let live = observation.exchanges.iter().filter(|exchange| match exchange.answered_by {
        AnsweredBy::Provider | AnsweredBy::ProviderUnreachable => true,
        AnsweredBy::Tap | AnsweredBy::Guard => false,
    });
    u32::try_from(live.count()).unwrap_or(u32::MAX)
}

impl<T: Tap, R: Releases, C: ControlPort> std::fmt::Debug for Bench<T, R, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench")
            .field("names", &self.names)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// surestep's own direct call to the provider.
pub trait ControlPort: Send + Sync + 'static {
    /// Makes a minimal documented call to the provider of a release, in one mode.
    fn call(&self, role: Role, mode: Mode) -> impl Future<Output = Control> + Send;
}

/// Where each release's live lane leads.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// Of `new`.
    pub new: Upstream,
    /// Of `rollback`.
    pub rollback: Upstream,
}

impl Upstreams {
    /// Returns the one of a role.
    pub fn of(&self, role: Role) -> &Upstream {
        match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        }
    }
}

/// Resolved secrets of a run.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Of `new`.
    pub new: ReleaseSecrets,
    /// Of `rollback`.
    pub rollback: ReleaseSecrets,
}

impl Secrets {
    /// Returns those of a role.
    pub fn of(&self, role: Role) -> &ReleaseSecrets {
        match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        }
    }
}

/// Resolved secrets of one release.
#[derive(Clone, Debug, Default)]
pub struct ReleaseSecrets {
    /// The control's credential for this release's provider.
    pub control: Option<Sensitive>,
    /// Variable and value.
    pub values: Vec<(String, Sensitive)>,
    /// The credential that a gateway asks of its users.
    pub gateway_key: Option<Sensitive>,
    /// What could not be resolved: the release is not asked, and these say why.
    pub problems: Vec<Finding>,
}

/// The names of a run: its id, and markers and labels that share a part unique to the run.
#[derive(Debug)]
pub struct RunNames {
    /// The run's id.
    pub run: String,
    nonce: u64,
    next: AtomicU64,
}

/// The names of one ask.
#[derive(Clone, Debug)]
pub(crate) struct AskNames {
    pub(crate) id: AskId,
    pub(crate) marker: Marker,
    pub(crate) label: String,
}

impl RunNames {
    /// Makes the names of a run from its time and chance. Ids sort by time.
    pub fn new(now: Timestamp, chance: u64) -> Self {
        let nonce = chance & 0xff_ffff;
        let run = format!("run-{}-{nonce:06x}", now.strftime("%Y%m%dT%H%M%SZ"));
        Self { run, nonce, next: AtomicU64::new(1) }
    }

    pub(crate) fn ask(&self) -> AskNames {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let bits = (self.nonce << Marker::ASK_BITS) | (n & ((1 << Marker::ASK_BITS) - 1));
        AskNames { id: AskId(n), marker: Marker::new(bits), label: format!("SSL-{bits:012x}") }
    }

    /// Returns what to search logs and evidence for: what all prompts and completions of this run share.
    pub fn needles(&self) -> Vec<Needle> {
        let needle =
            |kind, name: &str, value: String| Needle::new(kind, name, Sensitive::new(value));
        vec![
            needle(NeedleKind::Prompt, "the prompt", format!("ssm-{:06x}", self.nonce)),
            needle(NeedleKind::Prompt, "the prompt", contract::smoke::prompt("", "")),
            needle(NeedleKind::Completion, "the completion", format!("SSL-{:06x}", self.nonce)),
            needle(NeedleKind::Completion, "the completion", judge::documented_text("")),
        ]
    }
}

/// How long the tap waits for exchanges that are still open when the release has given its outcome.
pub(crate) const COLLECT_GRACE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_and_labels_share_the_runs_part_only() {
        let names = RunNames::new(Timestamp::UNIX_EPOCH, 0xabc_def0_1234);
        let (first, second) = (names.ask(), names.ask());
        assert_ne!(first.marker, second.marker);
        assert!(first.marker.as_str().starts_with("ssm-f01234"), "{:?}", first.marker);
        assert!(second.label.starts_with("SSL-f01234"), "{}", second.label);
        assert_eq!(first.marker.as_str().len(), Marker::LEN);
    }
}
