//! The types of the eleven fields that open every record.

use std::fmt;

use contract::Surface;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Names a check by its minute: `response-shape-smoke-YYYYMMDD-HHMM`, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckId(String);

impl CheckId {
    const PREFIX: &'static str = "response-shape-smoke-";
    const MINUTE: &'static str = "%Y%m%d-%H%M";

    /// Returns the id of a check made at this time.
    pub fn at(time: Timestamp) -> Self {
        let minute = time.to_zoned(TimeZone::UTC).strftime(Self::MINUTE).to_string();
        Self(format!("{}{minute}", Self::PREFIX))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CheckId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix(Self::PREFIX).map(|rest| DateTime::strptime(Self::MINUTE, rest)) {
            Some(Ok(_)) => Ok(Self(text)),
            Some(Err(_)) | None => {
                Err("a check id has to be response-shape-smoke-YYYYMMDD-HHMM".to_owned())
            }
        }
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> Self {
        id.0
    }
}

/// Provider and surface: `<provider>-text-<surface>`, for example `cometapi-text-chat`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServicePath(String);

impl ServicePath {
    /// Returns the path of a provider's surface.
    pub fn new(provider: &str, surface: Surface) -> Self {
        Self(format!("{provider}-text-{surface}"))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the same path without the provider's name, for stubs.
    pub(super) fn anonymous(&self) -> Self {
        let surface = self.0.rsplit_once('-').map_or("chat", |(_, surface)| surface);
        Self(format!("withheld-text-{surface}"))
    }
}

impl TryFrom<String> for ServicePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let surfaces = [Surface::Chat, Surface::Responses];
        if surfaces.iter().any(|surface| text.ends_with(&format!("-text-{surface}"))) {
            Ok(Self(text))
        } else {
            Err("a service path has to be <provider>-text-<surface>".to_owned())
        }
    }
}

impl From<ServicePath> for String {
    fn from(path: ServicePath) -> Self {
        path.0
    }
}

/// The class of the status that the release met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HttpStatusClass {
    /// 200 to 299.
    #[serde(rename = "2xx")]
    Success,
    /// 300 to 399.
    #[serde(rename = "3xx")]
    Redirect,
    /// 400 to 499.
    #[serde(rename = "4xx")]
    ClientError,
    /// 500 to 599.
    #[serde(rename = "5xx")]
    ServerError,
    /// No status came, or none that HTTP knows.
    #[serde(rename = "network_error")]
    NetworkError,
}

impl HttpStatusClass {
    /// Returns the class of a status; `None` is that none came.
    pub fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Success,
            Some(300..=399) => Self::Redirect,
            Some(400..=499) => Self::ClientError,
            Some(500..=599) => Self::ServerError,
            Some(_) | None => Self::NetworkError,
        }
    }
}

/// What the release's parser made of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParserResult {
    /// It took it.
    Parsed,
    /// It refused it.
    Rejected,
    /// It met something that it could not tell, or it was not told.
    UnexpectedShape,
}

/// Whether the fields were there that the application requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredFields {
    /// All of them.
    True,
    /// At least one was not.
    False,
    /// Nobody looked.
    NotChecked,
}

/// What the release did about another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryDecision {
    /// It made no other attempt.
    NoRetry,
    /// It made others within its policy.
    RetryWithBudget,
    /// It was stopped, or would have had to be.
    Blocked,
}

/// What traffic may do on the strength of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackDecision {
    /// Stay where it is.
    #[default]
    Hold,
    /// Take the small step.
    PromoteSmallStep,
    /// Go back.
    Rollback,
}

/// Whether a record is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedactionStatus {
    /// It is, and no secret is in it.
    SecretsRemoved,
    /// A secret was found in it, and its free text was thrown away.
    Withheld,
}

/// One line for people, of limited length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct OperatorNote(String);

impl OperatorNote {
    /// Two lines of a terminal: enough for a reason and a ticket, too little for a log.
    pub const CHARS_MAX: usize = 200;

    /// Makes one line of a text: control characters become spaces, and what is too long is cut.
    pub fn new(text: &str) -> Self {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = line.trim();
        if line.chars().count() <= Self::CHARS_MAX {
            return Self(line.to_owned());
        }
        Self(line.chars().take(Self::CHARS_MAX - 1).chain(['…']).collect())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for OperatorNote {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<OperatorNote> for String {
    fn from(note: OperatorNote) -> Self {
        note.0
    }
}
