//! A release that turns asks away by itself after faults of its provider, as gateways do: asked one question at a time, and given time to
//! recover.

use std::time::Duration;

use contract::Mode;
use judge::catalogue::HAPPY_LIVE;
use judge::{Outcome, OutcomeKind, Probe, Stimulus};

use super::{Alive, Context};
use crate::asking::{Company, Probing, probe as make_probe};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap};

/// How long a release may take to recover, and how often it is asked meanwhile.
const RECOVER_WITHIN: Duration = Duration::from_secs(20);
pub(super) const RECOVER_POLL: Duration = Duration::from_millis(400);

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
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
            if !calls_when_well || !has_some || !self.recover(alive, mode).await {
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
            probings.extend(self.recovering(alive, probes).await);
        }
        turns_away
    }

    /// One at a time, with time to recover.
    pub(super) async fn recovering(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> Vec<Probing> {
        let mut probings = Vec::new();
        for probe in &probes {
            let mut probing = self.one(&alive.running, &alive.port, probe, Company::Alone).await;
            let cooling = probing.observation.exchanges.is_empty();
            self.reach.note_turned_away(&probing);
            // What nothing has reached yet has nothing to cool down from.
            if cooling && self.reach.has_reached() && self.recover(alive, probe.mode).await {
                probing = self.one(&alive.running, &alive.port, probe, Company::Alone).await;
            }
            probings.push(probing);
            let is_fault = probe.group != "happy" && probe.group != "tolerated";
            if is_fault && self.reach.has_reached() {
                self.recover(alive, probe.mode).await;
            }
        }
        probings
    }

    /// Asks until a call arrives and is answered. Tells whether that came.
    pub(super) async fn recover(&self, alive: &Alive<R::Running, T::Port>, mode: Mode) -> bool {
        let until = tokio::time::Instant::now() + RECOVER_WITHIN;
        let probe = documented(mode);
        let subject = self.subject(&alive.running, &alive.port);
        while tokio::time::Instant::now() < until {
            let names = self.bench.names.ask();
            let probing =
                make_probe(self.bench, subject, &names, &probe, Company::Alone, None).await;
            let answered = probing
                .outcome
                .is_some_and(|outcome| outcome.kind() == judge::OutcomeKind::Answered);
            if answered && !probing.observation.exchanges.is_empty() {
                return true;
            }
            tokio::time::sleep(RECOVER_POLL).await;
        }
        false
    }
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
