//! Finds out whether the asks of a service wait for each other: whether none of several gets to its call before a slow one is over.
//!
//! That an ask was late tells little: the machine may be slow. So it is made an experiment. One ask is answered slowly; once its call has
//! arrived, others are put beside it. Where they arrive only as the slow one ends, one after the other of such rounds, they have waited for it.

use std::time::Duration;

use contract::Mode;
use futures_util::future::{join, join_all};
use judge::{NetworkFault, Observation, Stimulus};
use tokio::time::Instant;

use super::{Alive, CONCURRENT_WITHIN, Context};
use crate::asking::{Company, Put, put};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap, TapPort as _};

/// Asks beside the slow one. Several, since where workers share a port, the kernel may well give one ask to the worker that is busy.
const BESIDE: usize = 3;

/// Rounds that have to say the same, and rounds that are made at most: one that says nothing is made again.
const ROUNDS_ALIKE: u32 = 2;
const ROUNDS_MAX: u32 = 4;

/// What one round says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// All others came when the slow ask was over.
    Waited,
    /// One came long before that.
    CameBeside,
    /// Nobody can tell.
    Unclear,
}

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Tells whether asks of this mode wait for each other; `None` where nobody can tell.
    pub(super) async fn wait_for_each_other(
        &self,
        alive: &Alive<R::Running, T::Port>,
        mode: Mode,
    ) -> Option<bool> {
        let mut n_waited = 0;
        for _ in 0..ROUNDS_MAX {
            match self.round(alive, mode).await {
                Round::CameBeside => return Some(false),
                Round::Waited => n_waited += 1,
                Round::Unclear => {}
            }
            if n_waited == ROUNDS_ALIKE {
                return Some(true);
            }
        }
        None
    }

    async fn round(&self, alive: &Alive<R::Running, T::Port>, mode: Mode) -> Round {
        let slow = Stimulus::Network(NetworkFault::SlowDrip);
        let slow_names = self.bench.names.ask();
        let slow_ask = self.timed(alive, &slow_names, mode, &slow);
        let others = async {
            if !alive.port.arrived(slow_names.id, CONCURRENT_WITHIN).await {
                return Vec::new();
            }
            let names: Vec<_> = (0..BESIDE).map(|_| self.bench.names.ask()).collect();
            let asks =
                names.iter().map(|names| self.timed(alive, names, mode, &Stimulus::Documented));
            join_all(asks).await
        };
        // The slow one first: it arms the tap, and before that nothing can arrive.
        let (slow, others) = join(slow_ask, others).await;
        judge_round(slow, &others)
    }

    /// Puts an ask, and says what times it had.
    async fn timed(
        &self,
        alive: &Alive<R::Running, T::Port>,
        names: &crate::bench::AskNames,
        mode: Mode,
        stimulus: &Stimulus,
    ) -> Times {
        let asked_at = Instant::now();
        let subject = self.subject(&alive.running, &alive.port);
        let Put { asked, observation, .. } =
            put(self.bench, subject, names, mode, stimulus, Company::Shared).await;
        Times::of(asked_at, &observation, asked.cpu_wait.unwrap_or_default())
    }
}

/// When an ask was put, and when its call was made and over.
#[derive(Clone, Copy, Debug)]
struct Times {
    asked: Instant,
    /// `None` where it made no call.
    called: Option<(Instant, Instant)>,
    cpu_wait: Duration,
}

impl Times {
    fn of(asked: Instant, observation: &Observation, cpu_wait: Duration) -> Self {
        let call = observation.exchanges.iter().find(|exchange| exchange.is_call());
        let at = |ms: u64| asked + Duration::from_millis(ms);
        let called = call.map(|call| (at(call.started_ms), at(call.ended_ms)));
        Self { asked, called, cpu_wait }
    }
}

/// Says what a round shows.
fn judge_round(slow: Times, others: &[Times]) -> Round {
    let Some((began, ended)) = slow.called else { return Round::Unclear };
    let length = ended - began;
    // An ask that nothing was in the way of was slow itself: then so is everything here.
    let is_slow_machine = (began - slow.asked) * 3 > length
        || others.iter().chain([&slow]).any(|times| times.cpu_wait * 3 > length);
    let called: Vec<(Instant, Instant)> =
        others.iter().filter_map(|other| Some((other.asked, other.called?.0))).collect();
    // A release may have all that it needs some time before the reply is over.
    let nearly_over = began + length * 2 / 3;
    let came_beside = |(_, at): &(Instant, Instant)| *at < began + length / 3;
    let waited =
        |(asked, at): &(Instant, Instant)| *at >= nearly_over && (*at - *asked) * 3 > length;
    let soon_after = called.iter().any(|(_, at)| *at < ended + length / 2);
    // Who was turned away has not waited.
    let have_all_come = !others.is_empty() && called.len() == others.len();
    if called.iter().any(came_beside) {
        Round::CameBeside
    } else if !is_slow_machine && have_all_come && called.iter().all(waited) && soon_after {
        Round::Waited
    } else {
        Round::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slow ask is put at 0, calls at 50 ms and is over at 3,050 ms; the others are put at 100 ms.
    #[track_caller]
    fn check(others: &[Option<u64>], expected: Round) {
        let (slow, others) = scene(50, others);
        assert_eq!(judge_round(slow, &others), expected);
    }

    fn scene(began: u64, others: &[Option<u64>]) -> (Times, Vec<Times>) {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let times = |asked, called: Option<(u64, u64)>| Times {
            asked: at(asked),
            called: called.map(|(from, to)| (at(from), at(to))),
            cpu_wait: Duration::ZERO,
        };
        let slow = times(0, Some((began, began + 3_000)));
        let others = others
            .iter()
            .map(|called| times(began + 50, called.map(|called| (called, called + 10))))
            .collect();
        (slow, others)
    }

    #[tokio::test]
    async fn asks_that_come_when_the_slow_one_is_over_have_waited() {
        check(&[Some(3_060), Some(3_080), Some(3_100)], Round::Waited);
        check(&[Some(2_400), Some(2_450), Some(2_500)], Round::Waited);
    }

    #[tokio::test]
    async fn one_that_comes_beside_it_shows_that_there_is_room() {
        check(&[Some(120), Some(130), Some(140)], Round::CameBeside);
        check(&[Some(3_060), Some(120), Some(3_080)], Round::CameBeside);
        check(&[None, Some(120), None], Round::CameBeside);
    }

    #[tokio::test]
    async fn what_is_merely_late_shows_nothing() {
        check(&[Some(1_500), Some(3_060), Some(3_080)], Round::Unclear);
        // Nothing moves when the slow one is over.
        check(&[Some(5_000), Some(5_100), Some(5_200)], Round::Unclear);
        check(&[Some(3_060), None, Some(3_080)], Round::Unclear);
        check(&[], Round::Unclear);
    }

    #[tokio::test]
    async fn a_slow_machine_shows_nothing() {
        let late = [Some(4_600), Some(4_610), Some(4_620)];
        let (slow, others) = scene(1_500, &late);
        assert_eq!(judge_round(slow, &others), Round::Unclear, "the slow ask was late as well");
        let (slow, mut others) = scene(50, &[Some(3_060), Some(3_080), Some(3_100)]);
        others[1].cpu_wait = Duration::from_millis(1_100);
        assert_eq!(judge_round(slow, &others), Round::Unclear, "it had no processor");
        let (slow, others) = scene(50, &[Some(3_060)]);
        assert_eq!(judge_round(Times { called: None, ..slow }, &others), Round::Unclear);
    }
}
