//! What a judged response turned out to be: types that can hold no payload.

use serde::{Deserialize, Serialize};

use crate::clients::broken_clients;
use crate::{BrokenClient, Mode, Shape, Surface};

/// Whether a response may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContractVerdict {
    /// As documented, or a variation that every client must take.
    Pass,
    /// Usable, but outside the contract, or known to break a named client.
    Warn,
    /// Not a usable completion.
    Hold,
}

/// One deviation found in a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractFinding {
    /// Stable kebab-case code, for example `choices-missing`.
    pub code: &'static str,
    /// How far this alone lowers the verdict.
    pub verdict: ContractVerdict,
    /// The JSON pointer or event that is meant, for example `/choices/0/finish_reason` or `event 3`.
    pub at: String,
    /// What the contract asks for.
    pub expected: String,
    /// What was there: types and classes, never values.
    pub seen: String,
}

impl ContractFinding {
    /// Returns what to do about it.
    pub fn advice(&self) -> &'static str {
        let rule = crate::rules().iter().find(|rule| rule.code == self.code);
        rule.map_or("", |rule| rule.advice)
    }

    /// Looks up the known clients that it breaks; `place` is where the response was asked for.
    pub fn breaks(&self, place: (Surface, Mode)) -> Vec<BrokenClient> {
        broken_clients(self.code, Some(place), Some(&self.seen))
    }
}

/// How far the answer of the model came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// Finished as documented, with usable content (or a tool call).
    Complete,
    /// Ended by the token limit.
    LengthLimit,
    /// Ended by the content filter.
    Filtered,
    /// The model refused.
    Refused,
    /// Content came, but no proof that it is whole.
    Truncated,
    /// An error stands in place of, or after a part of, the answer.
    Error,
    /// Nothing that could be used.
    Nothing,
}

impl Completion {
    /// Whether the answer ended by itself or by the token limit.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Complete | Self::LengthLimit => true,
            Self::Filtered | Self::Refused | Self::Truncated | Self::Error | Self::Nothing => false,
        }
    }
}

/// What the body of a response is, by its bytes and not by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// No byte, or white space only.
    Empty,
    /// One JSON document.
    Json,
    /// Server-sent events.
    Sse,
    /// A web page.
    Html,
    /// Anything else.
    Other,
}

/// What kind of trouble an error reply reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The credential is missing, malformed or invalid.
    Auth,
    /// The credential is known but not allowed to do this.
    Permission,
    /// The request is wrong and will stay wrong.
    InvalidRequest,
    /// The model, or the path, does not exist.
    NotFound,
    /// Too many requests for now.
    RateLimit,
    /// The account has nothing left to spend.
    Quota,
    /// The provider has no capacity for now.
    Overloaded,
    /// The provider failed.
    Server,
    /// The provider, or an edge before it, gave up waiting.
    Timeout,
    /// None of these could be told.
    Unknown,
}

impl ErrorClass {
    /// Returns the word for it, as in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::InvalidRequest => "invalid_request",
            Self::NotFound => "not_found",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }

    /// Whether sending the same request again may help, as far as the class alone tells.
    pub fn is_retry_safe(self) -> bool {
        match self {
            Self::RateLimit | Self::Overloaded | Self::Timeout | Self::Server => true,
            Self::Auth
            | Self::Permission
            | Self::InvalidRequest
            | Self::NotFound
            | Self::Quota
            | Self::Unknown => false,
        }
    }
}

/// What an error reply says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFacts {
    /// The class, from status, code, type and message pattern.
    pub class: ErrorClass,
    /// Whether sending the same request again may help.
    pub retry_safe: bool,
    /// The provider's own code, where it had a short identifier-like one.
    pub code: Option<String>,
    /// The request id that CometAPI writes into its error messages.
    pub request_id: Option<String>,
}

/// The judgement of one response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The worst of the findings; `Hold` when nothing could be judged.
    pub verdict: ContractVerdict,
    /// How far the answer came.
    pub completion: Completion,
    /// Each deviation, in the order in which it was met.
    pub findings: Vec<ContractFinding>,
    /// For error replies (by status or in the body): what they say.
    pub error: Option<ErrorFacts>,
    /// What the body is.
    pub body: BodyKind,
    /// The union of the shapes of all JSON documents in the body.
    pub shape: Shape,
    /// How many events a stream had.
    pub events: u64,
    /// The `id` of the completion, for example `chatcmpl-…`.
    pub response_id: Option<String>,
    /// The `model` that the reply names.
    pub model: Option<String>,
}

impl Judgement {
    /// Whether the status itself said that no answer comes.
    pub fn is_error_reply(&self) -> bool {
        self.error.is_some()
            && self.findings.iter().any(|finding| finding.code == crate::rule::ERROR_STATUS.code)
    }

    /// Returns the public form, whose fields are stable: for an error reply its class, else verdict and completion, and both
    /// for an error inside of a success. Each finding names the known clients that it breaks.
    pub fn to_json(&self, place: (Surface, Mode)) -> serde_json::Value {
        let mut form = serde_json::Map::new();
        let mut put = |key: &str, value: serde_json::Value| {
            form.insert(key.to_owned(), value);
        };
        put("verdict", as_json(&self.verdict));
        if !self.is_error_reply() {
            put("completion", as_json(&self.completion));
        }
        if let Some(error) = &self.error {
            put("error_class", as_json(&error.class));
            put("retry_safe", error.retry_safe.into());
            put("code", error.code.clone().into());
            put("request_id", error.request_id.clone().into());
        } else if self.findings.iter().any(|finding| finding.code == crate::rule::REDIRECT.code) {
            // No answer either; where it leads is not known, but sending it there again helps nobody.
            put("error_class", as_json(&ErrorClass::Unknown));
            put("retry_safe", false.into());
        }
        let finding = |finding: &ContractFinding| {
            let mut form = as_json(finding);
            if let Some(fields) = form.as_object_mut() {
                fields.insert("advice".to_owned(), finding.advice().into());
                fields.insert("breaks".to_owned(), as_json(&finding.breaks(place)));
            }
            form
        };
        put("findings", self.findings.iter().map(finding).collect());
        if !self.is_error_reply() {
            put("body", as_json(&self.body));
            put("events", self.events.into());
        }
        serde_json::Value::Object(form)
    }
}

fn as_json(value: &impl Serialize) -> serde_json::Value {
    // Our own enums and structs of strings: they have no key that is no string, so this cannot fail.
    serde_json::to_value(value).unwrap_or_default()
}
