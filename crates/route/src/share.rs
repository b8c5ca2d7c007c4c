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
    /// Index 0 goes to `new` as soon as the share is above 0, so that a drill sees its canary at once; the rest is spread
    /// evenly, and every 100 requests in a row hold exactly the share.
    pub fn role(self, index: u64) -> Role {
        let percent = u64::from(self.0);
        if (index % 100) * percent % 100 < percent { Role::New } else { Role::Rollback }
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
        assert_eq!(new, [0, 20, 40, 60, 80]);
    }

    #[test]
    fn more_than_all_is_refused() {
        assert_eq!(Percent::try_from(101), Err(NotAShare(101)));
        assert!(serde_json::from_str::<Percent>("101").is_err());
    }
}
