//! The two clocks that the tap reads: the edge where time enters.

use std::time::SystemTime;

use tokio::time::Instant;

/// Returns the monotonic time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time of day.
#[expect(clippy::disallowed_methods, reason = "the edge where the time of day enters the tap")]
pub(crate) fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// Returns the seconds since the epoch.
pub(crate) fn epoch_seconds() -> i64 {
    time_of_day()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Returns the whole milliseconds from `since` to `until`.
pub(crate) fn millis_between(since: Instant, until: Instant) -> u64 {
    u64::try_from(until.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}
