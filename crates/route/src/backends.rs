//! Where the two releases are, and how often each served.

use std::net::SocketAddr;

use judge::Role;
use serde::{Deserialize, Serialize};

/// The addresses of the two releases; `None` where no such backend is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backends {
    /// The release about to get traffic.
    pub new: Option<SocketAddr>,
    /// The release to return to.
    pub rollback: Option<SocketAddr>,
}

impl Backends {
    /// Returns the backend of a role.
    pub fn of(self, role: Role) -> Option<SocketAddr> {
        match role {
            Role::New => self.new,
            Role::Rollback => self.rollback,
        }
    }

    /// Returns these backends, with gaps filled from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { new: self.new.or(other.new), rollback: self.rollback.or(other.rollback) }
    }
}

/// How many requests each backend answered since the last shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// By `new`.
    pub new: u64,
    /// By `rollback`.
    pub rollback: u64,
}
