//! What becomes of a release's asks: whether anything of them reaches the tap, and whether one has ended the service that the others go to.
//!
//! A release of which nothing arrives is given up: a hundred more asks would each wait out their time, and say the same.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use contract::Mode;
use judge::{Finding, Severity, Stimulus};

use super::again::has_crashed;
use crate::asking::Probing;

/// Asks without a call, from the first one on, after which no further one is made.
const ASKS_IN_VAIN: u32 = 4;

/// Whether anything of a release has reached the tap so far.
#[derive(Debug, Default)]
pub(super) struct Reach {
    has_reached: AtomicBool,
    in_vain: AtomicU32,
    /// What was found of the first ask of which nothing came.
    first_in_vain: OnceLock<Finding>,
    crashes: AtomicU32,
    /// Whose result nobody was told yet.
    untold: Mutex<Vec<(&'static str, Mode)>>,
    came_beside: AtomicBool,
    has_waited: AtomicBool,
    /// In which modes asks were turned away, and it counted for nothing.
    turned_away: Modes,
    /// In which modes it did not recover.
    lost: Modes,
}

/// A set of modes.
#[derive(Debug, Default)]
struct Modes {
    unary: AtomicBool,
    stream: AtomicBool,
}

impl Modes {
    fn of(&self, mode: Mode) -> &AtomicBool {
        match mode {
            Mode::Unary => &self.unary,
            Mode::Stream => &self.stream,
        }
    }

    fn note(&self, mode: Mode) {
        self.of(mode).store(true, Ordering::Relaxed);
    }

    fn has(&self, mode: Mode) -> bool {
        self.of(mode).load(Ordering::Relaxed)
    }
}

impl Reach {
    /// Notes what was seen of an ask.
    pub(super) fn note(&self, probing: &Probing) {
        let seen = &probing.observation;
        if has_crashed(probing) {
            self.crashes.fetch_add(1, Ordering::Relaxed);
        }
        let is_silent = seen.exchanges.is_empty()
            && seen.lost == 0
            && seen.unattributed == 0
            && seen.stray_connections == 0;
        if !is_silent {
            self.has_reached.store(true, Ordering::Relaxed);
        } else if !probing.probe.needs_own_port() && probing.probe.stimulus != Stimulus::UnknownCa {
            self.in_vain.fetch_add(1, Ordering::Relaxed);
            let why = probing.judged.findings.iter().max_by_key(|finding| finding.severity);
            if let Some(why) = why {
                self.first_in_vain.get_or_init(|| why.clone());
            }
        }
    }

    /// Whether an ask found the service gone, as another one had ended it. It is asked again, so that nobody is told of it before
    /// [`Self::takes_untold`].
    pub(super) fn holds_back(&self, probing: &Probing) -> bool {
        let is_bystander = has_crashed(probing)
            && probing.observation.exchanges.is_empty()
            && self.crashes.load(Ordering::Relaxed) > 1;
        if is_bystander {
            self.untold().push((probing.probe.id, probing.probe.mode));
        }
        is_bystander
    }

    /// Whether it was held back what became of a probe. It is not any more.
    pub(super) fn takes_untold(&self, probing: &Probing) -> bool {
        let mut untold = self.untold();
        let held = (probing.probe.id, probing.probe.mode);
        let found = untold.iter().position(|probe| *probe == held);
        found.map(|at| untold.swap_remove(at)).is_some()
    }

    fn untold(&self) -> MutexGuard<'_, Vec<(&'static str, Mode)>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an ask arrived while another one was under way.
    pub(super) fn note_company(&self) {
        self.came_beside.store(true, Ordering::Relaxed);
    }

    /// Notes that an ask had to wait for another one, or was turned away beside it.
    pub(super) fn note_wait(&self) {
        self.has_waited.store(true, Ordering::Relaxed);
    }

    /// Notes that it counts for nothing that an ask was turned away, where it was.
    pub(super) fn note_turned_away(&self, probing: &Probing) {
        if probing.was_turned_away() {
            self.turned_away.note(probing.probe.mode);
        }
    }

    /// Whether an ask of this mode was turned away, and it counted for nothing.
    pub(super) fn has_turned_away(&self, mode: Mode) -> bool {
        self.turned_away.has(mode)
    }

    /// Notes that the release did not recover in a mode.
    pub(super) fn note_lost(&self, mode: Mode) {
        self.lost.note(mode);
    }

    /// Whether the release did not recover in a mode.
    pub(super) fn is_lost(&self, mode: Mode) -> bool {
        self.lost.has(mode)
    }

    /// Tells whether asks had room beside each other: `None` where that was not seen.
    pub(super) fn has_room(&self) -> Option<bool> {
        let (waited, came) =
            (self.has_waited.load(Ordering::Relaxed), self.came_beside.load(Ordering::Relaxed));
        if waited { Some(false) } else { came.then_some(true) }
    }

    /// Whether anything came.
    pub(super) fn has_reached(&self) -> bool {
        self.has_reached.load(Ordering::Relaxed)
    }

    /// Returns what is said of an ask that was not made: with what became of the first that was, since that is what there is to mend.
    pub(super) fn given_up(&self) -> Finding {
        let not_asked =
            format!("not asked: nothing had reached the tap in the {ASKS_IN_VAIN} asks before it");
        let (seen, advice) = match self.first_in_vain.get() {
            Some(first) => (format!("{not_asked} ({})", first.seen), first.advice.as_str()),
            None => (
                not_asked,
                "See the asks that were made: what kept them from calling would keep this one.",
            ),
        };
        Finding::new(Severity::Ambiguous, "not-observed", "a call at the tap", seen, advice)
    }

    /// Whether nothing came of enough asks.
    pub(super) fn is_given_up(&self) -> bool {
        !self.has_reached() && self.in_vain.load(Ordering::Relaxed) >= ASKS_IN_VAIN
    }
}

#[cfg(test)]
mod tests {
    use contract::Surface;
    use judge::catalogue::default_plan;
    use judge::judging::Judged;
    use judge::{CrashKind, Observation, Outcome, PlanContext};

    use super::*;

    fn probing(lost: u32) -> Probing {
        let context = PlanContext::widest(Surface::Chat);
        let probe = default_plan(Mode::Unary, &context).remove(0);
        let observation = Observation { lost, ..Observation::default() };
        Probing { observation, ..Probing::unmade(probe) }
    }

    #[test]
    fn a_release_is_given_up_only_when_nothing_ever_came() {
        let reach = Reach::default();
        for _ in 0..ASKS_IN_VAIN {
            assert!(!reach.is_given_up());
            reach.note(&probing(0));
        }
        assert!(reach.is_given_up());
        assert!(
            reach.given_up().seen.ends_with("the 4 asks before it"),
            "nothing is known of them"
        );
        reach.note(&probing(1));
        assert!(!reach.is_given_up(), "something came, late");
    }

    #[test]
    fn what_was_not_asked_says_what_became_of_the_first_ask() {
        let reach = Reach::default();
        for seen in ["it said: ModuleNotFoundError", "another"] {
            let why = Finding::new(Severity::Ambiguous, "not-observed", "", seen, "install it");
            let findings = vec![why];
            let judged = Judged { findings, ..Judged::default() };
            reach.note(&Probing { judged, ..probing(0) });
        }
        let told = reach.given_up();
        assert!(told.seen.ends_with("before it (it said: ModuleNotFoundError)"), "{told:?}");
        assert_eq!(told.advice, "install it");
    }

    #[test]
    fn a_crash_without_a_call_is_told_at_once_or_in_the_end_and_once() {
        let reach = Reach::default();
        let how = CrashKind::Signal { number: 11 };
        let outcome = Some(Outcome::Crashed { elapsed_ms: 1, how });
        let crashed = Probing { outcome, ..probing(0) };
        for is_held_back in [false, true] {
            reach.note(&crashed);
            assert_eq!(reach.holds_back(&crashed), is_held_back);
            assert_eq!(reach.takes_untold(&crashed), is_held_back);
            assert!(!reach.takes_untold(&crashed));
        }
    }
}
