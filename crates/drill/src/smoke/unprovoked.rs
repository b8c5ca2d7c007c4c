//! Whether a release that turned asks away does so without any reason: asked one question at a time, while its provider is well.
//!
//! What is turned away beside others, or after faults of the provider, is taken for a full house or a circuit breaker, and counts for
//! nothing. A service that fails every tenth of its users by itself must not hide behind that.

use contract::Mode;
use judge::catalogue::HAPPY_LIVE;
use judge::{Finding, Outcome, OutcomeKind, Severity};

use super::recovering::{RECOVER_POLL, RECOVER_WITHIN};
use super::{Alive, Context};
use crate::asking::{ASKED_TOO_OFTEN, Company, Probing, probe as make_probe};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap};

/// Asks in a row: one in ten that fails is seen in nine of ten runs even where it is a matter of chance.
const ASKS_IN_A_ROW: usize = 20;

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Looks at the modes in which asks were turned away.
    pub(super) async fn look_for_unprovoked(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probings: &mut [Probing],
    ) {
        for mode in [Mode::Unary, Mode::Stream] {
            let of_mode = |one: &&mut Probing| one.probe.id == HAPPY_LIVE && one.probe.mode == mode;
            let Some(happy) = probings.iter_mut().find(of_mode) else { continue };
            let was_well = happy.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Answered);
            if was_well
                && self.reach.has_turned_away(mode)
                && let Some(finding) = self.turns_away_unprovoked(alive, mode).await
            {
                let finding = finding.of_release(self.role).at_probe(HAPPY_LIVE, mode);
                happy.judged.findings.push(finding);
            }
        }
    }

    /// Asks a release that is well, again and again.
    async fn turns_away_unprovoked(
        &self,
        alive: &Alive<R::Running, T::Port>,
        mode: Mode,
    ) -> Option<Finding> {
        if !self.recover(alive, mode).await.has_come() {
            return Some(Finding::new(
                Severity::Fail,
                "refused-unprovoked",
                format!(
                    "an answered call within {} s, once the provider is well",
                    RECOVER_WITHIN.as_secs()
                ),
                "none: it answered at first, turned asks away, and did not come back",
                "Trouble of the provider puts this release out of service until somebody restarts it. Look for what is used up on the way of an error and not given back (a connection, a slot of a semaphore, a worker), and for a breaker that never closes.",
            ));
        }
        let subject = self.subject(&alive.running, &alive.port);
        let probe = super::recovering::documented(mode);
        let mut turned_away = Vec::new();
        for _ in 0..ASKS_IN_A_ROW {
            let names = self.bench.names.ask();
            let probing =
                make_probe(self.bench, subject, &names, &probe, Company::Alone, None).await;
            match &probing.outcome {
                Some(Outcome::Refused { how, .. }) if how == ASKED_TOO_OFTEN => {
                    tokio::time::sleep(RECOVER_POLL).await;
                }
                Some(Outcome::Refused { how, .. }) if probing.was_turned_away() => {
                    turned_away.push(how.clone());
                }
                _ => {}
            }
        }
        let how = turned_away.first()?;
        Some(Finding::new(
            Severity::Fail,
            "refused-unprovoked",
            format!(
                "answers to {ASKS_IN_A_ROW} asks, one after the other, while the provider was well"
            ),
            format!("{} of them refused without a call ({how})", turned_away.len()),
            "Nobody else was asking, and nothing was wrong with the provider: the release fails some of its users by itself. See its log for these asks: a connection or a worker that is used up, a limit that counts wrong, a cache that is sometimes empty.",
        ))
    }
}
