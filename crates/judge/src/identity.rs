//! The names of things: roles, lanes, asks, markers and fingerprints.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The part a release plays in the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The release about to get traffic.
    New,
    /// The release to return to.
    Rollback,
}

impl Role {
    /// Both roles, `new` first.
    pub const BOTH: [Self; 2] = [Self::New, Self::Rollback];

    /// Returns the word used in configuration and evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Rollback => "rollback",
        }
    }

    /// Returns the other role.
    pub fn other(self) -> Self {
        match self {
            Self::New => Self::Rollback,
            Self::Rollback => Self::New,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who answers the exchanges of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The provider.
    Live,
    /// The tap.
    Simulated,
}

impl Lane {
    /// Returns the word used in evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Simulated => "simulated",
        }
    }
}

/// What kind of request a probe makes of the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestType {
    /// A reply that the release must take.
    HappyPath,
    /// A reply that the release must refuse.
    ErrorPath,
}

/// Names one ask within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// The unique text in an ask's prompt by which its exchanges are found: `ssm-` and twelve hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marker(String);

impl Marker {
    /// What each marker begins with; the tap looks for it in request bodies.
    pub const PREFIX: &'static str = "ssm-";
    /// The length of a whole marker, in bytes.
    pub const LEN: usize = 16;

    /// Makes a marker from 48 bits of chance.
    pub fn new(bits: u64) -> Self {
        Self(format!("{}{:012x}", Self::PREFIX, bits & 0xffff_ffff_ffff))
    }

    /// Bits of a marker that count the asks of a run; those above them are the run's.
    pub const ASK_BITS: u32 = 24;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a text is the marker of another ask of the same run. One of another run names nobody who is asked here.
    pub fn is_of_another_ask(&self, marker: &[u8]) -> bool {
        const RUN_LEN: usize = Marker::LEN - Marker::ASK_BITS as usize / 4;
        let own = self.0.as_bytes();
        marker.len() == Self::LEN && marker != own && marker.get(..RUN_LEN) == own.get(..RUN_LEN)
    }

    /// Where the redirect of a probe leads: a path that names the ask without holding its marker. HTTP clients log such addresses,
    /// and the marker in a log means a prompt in a log.
    const MOVED: &'static str = "/moved/";

    /// The same for a redirect to another host.
    const MOVED_AWAY: &'static str = "/moved-away/";

    /// Returns the path of a redirect for the ask of a marker; `away` says whether it leads to another host.
    pub fn moved_path(marker: &str, away: bool) -> String {
        let place = if away { Self::MOVED_AWAY } else { Self::MOVED };
        format!("{place}{}", marker.trim_start_matches(Self::PREFIX))
    }

    /// Returns the marker of the ask whose redirect led to this path.
    pub fn of_moved_path(path: &str) -> Option<Self> {
        let digits =
            path.strip_prefix(Self::MOVED).or_else(|| path.strip_prefix(Self::MOVED_AWAY))?;
        let is_ours = digits.len() == Self::LEN - Self::PREFIX.len()
            && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_ours.then(|| Self(format!("{}{digits}", Self::PREFIX)))
    }

    /// Returns whether a redirect to another host led to this path.
    pub fn is_moved_away(path: &str) -> bool {
        path.starts_with(Self::MOVED_AWAY) && Self::of_moved_path(path).is_some()
    }
}

/// A keyed, one-way fingerprint: equal inputs under one key are equal, and nothing else can be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Takes the first 16 hexadecimal digits of a keyed digest.
    pub fn from_digest(digest: &[u8]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(16);
        for byte in digest.iter().take(8) {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(text)
    }

    /// Returns the hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
