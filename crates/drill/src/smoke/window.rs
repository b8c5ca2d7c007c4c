//! Asks a service as much at once as it takes, and finds out how much that is meanwhile: each ask that arrives opens the window by one.
//!
//! Services have worker pools of two or four, shed load, or queue what they cannot take. An ask that waits in such a queue says
//! nothing about the release: it is made again, when there is room.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use judge::Probe;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Alive, CONCURRENT_WITHIN, Context};
use crate::asking::{Company, Probing};
use crate::bench::ControlPort;
use crate::ports::{Releases, Tap, TapPort as _};
use crate::progress::Event;

/// Asks at once to a service that can take them: most of them only wait, and small thread pools (FastAPI's has 40) are not exceeded.
const SERVICE_ASKS: usize = 24;

/// Asks at once to begin with.
const BEGINNING: usize = 1;

/// The asks that a service is put at once.
#[derive(Debug)]
struct Window {
    places: Semaphore,
    size: AtomicUsize,
    under_way: AtomicUsize,
    is_exceeded: AtomicBool,
}

/// A place among the asks under way.
#[derive(Debug)]
struct Place<'w> {
    window: &'w Window,
    _permit: SemaphorePermit<'w>,
    /// Whether others were under way when it was taken.
    has_company: bool,
}

impl Window {
    fn new() -> Self {
        Self {
            places: Semaphore::new(BEGINNING),
            size: AtomicUsize::new(BEGINNING),
            under_way: AtomicUsize::new(0),
            is_exceeded: AtomicBool::new(false),
        }
    }

    /// Waits for a place. `None` once the service was asked more than it takes.
    async fn place(&self) -> Option<Place<'_>> {
        let permit = self.places.acquire().await.expect("the semaphore is never closed");
        if self.is_exceeded.load(Ordering::Relaxed) {
            return None;
        }
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        Some(Place { window: self, _permit: permit, has_company: others > 0 })
    }

    /// Notes that an ask has arrived: there may be one more.
    fn arrived(&self) {
        if self.size.load(Ordering::Relaxed) < SERVICE_ASKS && !self.is_exceeded() {
            self.size.fetch_add(1, Ordering::Relaxed);
            self.places.add_permits(1);
        }
    }

    /// Notes that an ask had to wait, or was turned away.
    fn exceeded(&self) {
        self.is_exceeded.store(true, Ordering::Relaxed);
    }

    fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.window.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// As many at once as the service takes. Returns those that it did not take as well: they are to be made otherwise.
    pub(super) async fn together(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> (Vec<Probing>, Vec<Probe>) {
        let window = Window::new();
        let asks: FuturesUnordered<_> =
            probes.iter().map(|probe| self.in_window(alive, probe, &window)).collect();
        let made: Vec<Option<Probing>> = asks.collect().await;
        let made: Vec<Probing> = made.into_iter().flatten().collect();
        let is_left = |probe: &Probe| !made.iter().any(|probing| probing.probe == *probe);
        let left = probes.into_iter().filter(is_left).collect();
        (made, left)
    }

    /// Makes one probe beside others. `None` when the service had no room for it.
    async fn in_window(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probe: &Probe,
        window: &Window,
    ) -> Option<Probing> {
        let place = window.place().await?;
        if self.watched {
            let (role, mode) = (self.role, probe.mode);
            self.bench.progress.event(Event::ProbeBegan { role, probe: probe.id, mode });
        }
        let names = self.bench.names.ask();
        let unwatched = self.unwatched();
        let asking = unwatched.named(&alive.running, &alive.port, probe, Company::Shared, &names);
        tokio::pin!(asking);
        let (has_waited, probing) = tokio::select! {
            // The ask first: it arms the tap, and before that nothing can arrive.
            biased;
            probing = &mut asking => (false, probing),
            arrived = alive.port.arrived(names.id, CONCURRENT_WITHIN) => {
                if arrived {
                    window.arrived();
                } else if place.has_company {
                    self.reach.note_wait();
                    window.exceeded();
                }
                (!arrived, asking.await)
            }
        };
        if place.has_company && probing.lacked_room(has_waited) {
            self.reach.note_wait();
            self.reach.note_turned_away(&probing);
            window.exceeded();
            return None;
        }
        if place.has_company && !has_waited && !probing.observation.exchanges.is_empty() {
            self.reach.note_company();
        }
        if self.watched {
            self.report(&probing);
        }
        Some(probing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn window_opens_with_each_arrival_up_to_its_limit() {
        let window = Window::new();
        let mut places = Vec::new();
        for n in 0..SERVICE_ASKS {
            let place = window.place().await.unwrap();
            assert_eq!(place.has_company, n > 0);
            places.push(place);
            window.arrived();
        }
        assert_eq!(window.places.available_permits(), 0);
        places.clear();
        assert!(!window.place().await.unwrap().has_company);
    }

    #[tokio::test]
    async fn nobody_gets_a_place_in_a_full_house() {
        let window = Window::new();
        let place = window.place().await.unwrap();
        window.arrived();
        window.exceeded();
        assert!(window.place().await.is_none());
        window.arrived();
        assert_eq!(window.places.available_permits(), BEGINNING, "it opens no further");
        drop(place);
    }
}
