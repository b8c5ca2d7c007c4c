//! Makes ids in the providers' layouts, and reads the clock for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contract::{Profile, Surface};

/// Gives out ids that do not repeat within a process, and across processes only by bad luck.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    given: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        let since_epoch = since_epoch();
        Self {
            seed: since_epoch.as_secs() ^ (u64::from(since_epoch.subsec_nanos()) << 32),
            given: AtomicU64::new(0),
        }
    }

    /// Returns a request id: OpenAI's `req_…`; CometAPI's 23 digits of time and eight letters.
    pub(crate) fn request(&self, profile: Profile) -> String {
        if profile == Profile::Cometapi {
            format!("{}{}", time_digits(since_epoch()), self.draw(LETTERS_AND_DIGITS, 8))
        } else {
            format!("req_{}", self.draw(HEX, 32))
        }
    }

    /// Returns the id of a completion.
    pub(crate) fn completion(&self, surface: Surface) -> String {
        match surface {
            Surface::Chat => format!("chatcmpl-{}", self.draw(LETTERS_AND_DIGITS, 29)),
            Surface::Responses => format!("resp_{}", self.draw(HEX, 50)),
        }
    }

    fn draw(&self, alphabet: &[u8], length: usize) -> String {
        let mut state =
            self.seed.wrapping_add(scramble(self.given.fetch_add(1, Ordering::Relaxed)));
        std::iter::repeat_with(|| {
            state = scramble(state);
            // The remainder is smaller than the alphabet, so it fits and is found.
            let at = usize::try_from(state % alphabet.len() as u64).unwrap_or(0);
            char::from(alphabet.get(at).copied().unwrap_or(b'0'))
        })
        .take(length)
        .collect()
    }
}

/// Returns the seconds since the epoch.
pub(crate) fn seconds_since_epoch() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

const HEX: &[u8] = b"0123456789abcdef";
const LETTERS_AND_DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[expect(
    clippy::disallowed_methods,
    reason = "replies carry the time at which they were made; nothing is decided by it"
)]
fn since_epoch() -> Duration {
    // A clock before 1970 gives 1970: ids then differ by their counter alone.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Mixes the bits of a number (SplitMix64): neighbours become unlike each other.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Returns `YYYYMMDDhhmmss` and nine digits of nanoseconds, UTC.
fn time_digits(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{:09}",
        since_epoch.subsec_nanos()
    )
}

/// Returns year, month and day of a day counted from 1970-01-01, in years that begin in March so that the leap day is last.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_have_the_layout_of_their_provider_and_do_not_repeat() {
        let ids = Ids::new();
        let comet = ids.request(Profile::Cometapi);
        assert_eq!(comet.len(), 31);
        assert!(comet.bytes().take(23).all(|byte| byte.is_ascii_digit()), "{comet}");
        assert_eq!(ids.request(Profile::Openai).len(), "req_".len() + 32);
        let drawn: BTreeSet<String> = (0..1000).map(|_| ids.completion(Surface::Chat)).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[test]
    fn time_is_written_in_23_digits() {
        let check =
            |seconds, expected| assert_eq!(time_digits(Duration::new(seconds, 42)), expected);
        check(0, "19700101000000000000042");
        check(951_782_400, "20000229000000000000042");
        check(1_795_332_645, "20261122073045000000042");
    }
}
