//! A release that turns asks away by itself after faults of its provider, as gateways do: asked one question at a time, and given time to
//! recover. What a gateway has to wait out in silence is asked together, once it is known to turn nobody away.

use std::time::Duration;

use contract::Mode;
use judge::catalogue::HAPPY_LIVE;
use judge::{NetworkFault, Outcome, OutcomeKind, Probe, Stimulus};

use super::{Alive, Context};
use crate::asking::{Company, Probing, probe as make_probe};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap};

/// How long a release may take to recover, and how often it is asked meanwhile. Circuit breakers stay open for half a minute or a whole one unless
/// they are told otherwise.
pub(super) const RECOVER_WITHIN: Duration = Duration::from_secs(65);
pub(super) const RECOVER_POLL: Duration = Duration::from_millis(400);

/// How a release was found after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The next ask was answered.
    AtOnce,
    /// A later one was.
    Later,
    /// None was in time.
    NotInTime,
}

impl Recovery {
    pub(super) fn has_come(self) -> bool {
        match self {
            Self::AtOnce | Self::Later => true,
            Self::NotInTime => false,
        }
    }
}

/// Whether a release has to wait until a provider that says nothing is given up. Most of the time of a smoke that is made one ask at a time is spent so.
fn is_silent(probe: &Probe) -> bool {
    // How a slow stream is passed on is measured, and wants nobody beside it.
    probe.stimulus.is_silence() && probe.stimulus != Stimulus::Network(NetworkFault::SlowDrip)
}

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Asks a gateway: one at a time, as long as it may cool down after faults. Those that wait out a silence come last, and together where none of
    /// the faults before them made it turn an ask away; what it turns away or has no room for all the same is asked one at a time as well.
    pub(super) async fn gateway(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> Vec<Probing> {
        let (silent, rest): (Vec<Probe>, Vec<Probe>) = probes.into_iter().partition(is_silent);
        let has_faults = rest.iter().any(is_fault);
        let (mut probings, turns_away) = self.recovering(alive, rest).await;
        // Without a marker on the wire, calls of several asks cannot be told apart.
        let carries_marker = probings
            .iter()
            .flat_map(|probing| &probing.observation.exchanges)
            .all(|exchange| exchange.request.carries_marker);
        let (made, left) = if has_faults && !turns_away && carries_marker {
            self.together(alive, silent).await
        } else {
            (Vec::new(), silent)
        };
        probings.extend(made);
        probings.extend(self.recovering(alive, left).await.0);
        probings
    }

    /// Asks a service once more what it turned away without a call, where it has a circuit breaker: where it calls again after some
    /// time. Tells whether that is so.
    pub(super) async fn ask_the_turned_away(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probings: &mut Vec<Probing>,
    ) -> bool {
        let mut turns_away = false;
        for mode in [Mode::Unary, Mode::Stream] {
            let is_of = |probing: &&Probing| probing.probe.mode == mode;
            let calls_when_well = probings.iter().filter(is_of).any(|probing| {
                probing.probe.id == HAPPY_LIVE
                    && probing.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Answered)
            });
            let has_some = probings.iter().filter(is_of).any(Probing::was_turned_away);
            if !calls_when_well || !has_some || !self.recover(alive, mode).await.has_come() {
                continue;
            }
            turns_away = true;
            probings.iter().filter(is_of).for_each(|probing| self.reach.note_turned_away(probing));
            let probes: Vec<Probe> = probings
                .extract_if(.., |probing| {
                    probing.probe.mode == mode
                        && (probing.was_turned_away() || probing.is_broken_by_leaver())
                })
                .map(|probing| probing.probe)
                .collect();
            probings.extend(self.recovering(alive, probes).await.0);
        }
        turns_away
    }

    /// One at a time, with time to recover. Tells also whether that time was ever needed.
    pub(super) async fn recovering(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> (Vec<Probing>, bool) {
        let mut probings = Vec::new();
        let mut turns_away = false;
        for probe in &probes {
            let mut probing = self.one(&alive.running, &alive.port, probe, Company::Alone).await;
            let cooling = probing.observation.exchanges.is_empty();
            self.reach.note_turned_away(&probing);
            // What nothing has reached yet has nothing to cool down from.
            turns_away |= cooling && !probe.is_before_the_call();
            if cooling
                && self.reach.has_reached()
                && self.recover(alive, probe.mode).await.has_come()
            {
                probing = self.one(&alive.running, &alive.port, probe, Company::Alone).await;
            }
            probings.push(probing);
            if is_fault(probe) && self.reach.has_reached() {
                turns_away |= self.recover(alive, probe.mode).await != Recovery::AtOnce;
            }
        }
        (probings, turns_away)
    }

    /// Asks until a call arrives and is answered.
    pub(super) async fn recover(&self, alive: &Alive<R::Running, T::Port>, mode: Mode) -> Recovery {
        if self.reach.is_lost(mode) {
            return Recovery::NotInTime;
        }
        let until = tokio::time::Instant::now() + RECOVER_WITHIN;
        let probe = documented(mode);
        let subject = self.subject(&alive.running, &alive.port);
        let mut recovery = Recovery::AtOnce;
        while tokio::time::Instant::now() < until {
            let names = self.bench.names.ask();
            let probing =
                make_probe(self.bench, subject, &names, &probe, Company::Alone, None).await;
            let answered = probing
                .outcome
                .is_some_and(|outcome| outcome.kind() == judge::OutcomeKind::Answered);
            if answered && !probing.observation.exchanges.is_empty() {
                return recovery;
            }
            recovery = Recovery::Later;
            tokio::time::sleep(RECOVER_POLL).await;
        }
        // Waiting for it once more would take as long, and find the same.
        self.reach.note_lost(mode);
        Recovery::NotInTime
    }
}

fn is_fault(probe: &Probe) -> bool {
    probe.group != "happy" && probe.group != "tolerated"
}

/// An ask that gets the documented reply, and of which nobody is told.
pub(super) fn documented(mode: Mode) -> Probe {
    Probe {
        id: "recovery",
        group: "happy",
        mode,
        stimulus: Stimulus::Documented,
        expect: judge::Expect::Answer,
        attempts: judge::Attempts::Policy,
        asks: 1,
    }
}
