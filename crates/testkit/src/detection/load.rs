//! Keeps the processors busy while drills run: a decision must not depend on how busy a machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Threads that do nothing but use their processor's time; they end when this is dropped.
///
/// Threads compete for processors as processes do, but cannot outlive a benchmark that was killed.
#[derive(Debug)]
pub struct Load {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts as many threads as this.
    pub fn start(threads: usize) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let spin = |_number: usize| {
            let ends = Arc::clone(&ends);
            std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    // Not `spin_loop` alone: some processors give their time away at that hint.
                    std::hint::black_box((0..10_000u64).fold(0, u64::wrapping_add));
                }
            })
        };
        let threads = (0..threads).map(spin).collect();
        Self { ends, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to say, and cannot panic.
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_ends_with_its_owner() {
        let load = Load::start(2);
        let ends = Arc::clone(&load.ends);
        assert_eq!(Arc::strong_count(&ends), 4);
        drop(load);
        assert_eq!(Arc::strong_count(&ends), 1);
    }
}
