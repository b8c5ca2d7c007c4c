//! How many asks a service takes at a time, found out while it is asked: each that arrives opens the window by one.
//!
//! Services have worker pools of two or four, shed load, or queue what they cannot take. An ask that waits in such a queue says
//! nothing about the release: it is made again, when there is room.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Asks at once to a service that can take them: most of them only wait, and small thread pools (FastAPI's has 40) are not exceeded.
pub(super) const SERVICE_ASKS: usize = 24;

/// Asks at once to begin with: two are known to be taken.
const BEGINNING: usize = 2;

/// The asks that a service is put at once.
#[derive(Debug)]
pub(super) struct Window {
    places: Semaphore,
    size: AtomicUsize,
    under_way: AtomicUsize,
    is_exceeded: AtomicBool,
}

/// A place among the asks under way.
#[derive(Debug)]
pub(super) struct Place<'w> {
    window: &'w Window,
    _permit: SemaphorePermit<'w>,
    /// Whether others were under way when it was taken.
    pub(super) has_company: bool,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            places: Semaphore::new(BEGINNING),
            size: AtomicUsize::new(BEGINNING),
            under_way: AtomicUsize::new(0),
            is_exceeded: AtomicBool::new(false),
        }
    }

    /// Waits for a place. `None` once the service was asked more than it takes.
    pub(super) async fn place(&self) -> Option<Place<'_>> {
        let permit = self.places.acquire().await.expect("the semaphore is never closed");
        if self.is_exceeded.load(Ordering::Relaxed) {
            return None;
        }
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        Some(Place { window: self, _permit: permit, has_company: others > 0 })
    }

    /// Notes that an ask has arrived: there may be one more.
    pub(super) fn arrived(&self) {
        if self.size.load(Ordering::Relaxed) < SERVICE_ASKS && !self.is_exceeded() {
            self.size.fetch_add(1, Ordering::Relaxed);
            self.places.add_permits(1);
        }
    }

    /// Notes that an ask had to wait, or was turned away.
    pub(super) fn exceeded(&self) {
        self.is_exceeded.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.window.under_way.fetch_sub(1, Ordering::Relaxed);
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
        window.exceeded();
        assert!(window.place().await.is_none());
        window.arrived();
        assert_eq!(window.places.available_permits(), BEGINNING - 1);
        drop(place);
    }
}
