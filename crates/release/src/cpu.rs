//! How long the threads of a release have waited for a processor: what tells a machine without time from a release that hangs.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Time that threads have spent ready to run, and not running: by process and thread.
#[derive(Debug, Default)]
pub(crate) struct CpuWaits(BTreeMap<(i32, i32), Duration>);

impl CpuWaits {
    /// Reads those of some processes; a process that has gone meanwhile has none.
    pub(crate) fn of(processes: impl IntoIterator<Item = i32>) -> Self {
        let mut waits = BTreeMap::new();
        for pid in processes {
            let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for thread in threads.flatten() {
                let wait = fs::read_to_string(thread.path().join("schedstat"));
                let id = thread.file_name().to_str().and_then(|name| name.parse().ok());
                if let (Some(id), Some(wait)) = (id, wait.ok().as_deref().and_then(parse)) {
                    waits.insert((pid, id), wait);
                }
            }
        }
        Self(waits)
    }

    /// Returns the longest that one thread has waited since then; `None` where nothing is known. One thread, and not all together: many
    /// that wait a little have all run.
    pub(crate) fn longest_since(&self, earlier: &Self) -> Option<Duration> {
        self.0
            .iter()
            .map(|(thread, wait)| {
                wait.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
            })
            .max()
    }
}

/// Reads `time on a processor, time waiting for one (both in nanoseconds), number of turns`.
fn parse(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_wait() {
        assert_eq!(parse("7 1500000 3\n"), Some(Duration::from_micros(1_500)));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn one_threads_wait_counts_and_a_new_thread_has_waited_from_nothing() {
        let waits = |known: &[(i32, u64)]| {
            CpuWaits(known.iter().map(|(id, s)| ((1, *id), Duration::from_secs(*s))).collect())
        };
        let (before, after) = (waits(&[(1, 5), (2, 1)]), waits(&[(1, 6), (2, 4), (3, 2)]));
        assert_eq!(after.longest_since(&before), Some(Duration::from_secs(3)));
        assert_eq!(CpuWaits::default().longest_since(&before), None);
    }

    #[test]
    fn this_process_has_threads() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(CpuWaits::of([pid]).longest_since(&CpuWaits::default()).is_some());
    }
}
