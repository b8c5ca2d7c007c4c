//! The one place that reads the clock.

use std::time::{Duration, Instant};

/// A limit on waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    start: Instant,
    length: Duration,
}

impl Limit {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "tests wait in real time for real processes")]
    pub(crate) fn starting_now(length: Duration) -> Self {
        Self { start: Instant::now(), length }
    }

    /// Returns how long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.elapsed() >= self.length
    }
}

/// Waits until the condition holds; `false` when the limit was over first.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let limit = Limit::starting_now(limit);
    loop {
        if condition() {
            return true;
        }
        if limit.is_over() {
            return false;
        }
        // Nothing can wake us: other processes are waited for.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
