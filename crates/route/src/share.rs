//! How much of the traffic goes to `new`, and which request that is.

use judge::Role;
use serde::{Deserialize, Serialize};

/// A share of the traffic in percent, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

/// A number that is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is 0 to 100 percent, not {0}")]
pub struct NotAShare(u8);

impl Percent {
    /// All traffic on the rollback release.
    pub const ROLLBACK: Self = Self(0);

    /// Returns the number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns who serves the request with this index, counted from 0 since the last shift.
    ///
    /// Index 0 goes to `new` as soon as the share is above 0, so that a drill sees its canary at once; the rest is spread, and every 100
    /// requests in a row hold exactly the share. It is no steady beat: whoever asks every second time meets both.
    pub fn role(self, index: u64) -> Role {
        // Prime to 100, so that 100 steps of it meet each place once; and far from its simple fractions.
        const STEP: u64 = 37;
        if (index % 100) * STEP % 100 < u64::from(self.0) { Role::New } else { Role::Rollback }
    }
}

impl TryFrom<u8> for Percent {
    type Error = NotAShare;

    fn try_from(number: u8) -> Result<Self, NotAShare> {
        if number <= 100 { Ok(Self(number)) } else { Err(NotAShare(number)) }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_of_100_has_exactly_the_share_and_the_first_is_new() {
        for number in 0..=100 {
            let percent = Percent::try_from(number).unwrap();
            assert_eq!(
                percent.role(0) == Role::New,
                number > 0,
                "first request at {number} percent"
            );
            for start in 0..250 {
                let new = (start..start + 100).filter(|i| percent.role(*i) == Role::New).count();
                assert_eq!(new, usize::from(number), "window from {start}");
            }
        }
    }

    #[test]
    fn new_requests_are_spread_evenly() {
        let five = Percent::try_from(5).unwrap();
        let new: Vec<u64> = (0..100).filter(|i| five.role(*i) == Role::New).collect();
        assert_eq!(new, [0, 19, 46, 73, 92]);
    }

    /// A drill asks among users, who may come in its own beat: one, two or three between two of its asks; at a half any number.
    #[test]
    fn whoever_asks_every_so_often_meets_both() {
        for (number, beats) in [(5, 1..5), (10, 1..5), (25, 1..5), (50, 1..100)] {
            let percent = Percent::try_from(number).unwrap();
            for (beat, first) in beats.flat_map(|beat| (0..100).map(move |first| (beat, first))) {
                let mut asks = (0..100).map(|n| percent.role(first + n * beat));
                assert!(asks.any(|role| role == Role::New), "{number} {beat} {first}");
            }
        }
    }

    #[test]
    fn more_than_all_is_refused() {
        assert_eq!(Percent::try_from(101), Err(NotAShare(101)));
        assert!(serde_json::from_str::<Percent>("101").is_err());
    }
}
