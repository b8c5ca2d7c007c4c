//! What a configuration declares about a provider, beside a built-in profile.
//!
//! A profile may forgive what is odd, and no more: nothing in here lowers a hold. What is no usable answer stays none, whatever is declared.

use std::collections::{BTreeMap, BTreeSet};

use super::Profile;
use crate::json::Value;
use crate::outline::Violation;
use crate::report::Report;
use crate::rule::{self, Rule};
use crate::{ContractDocument, ErrorClass, Kind, Mode, Outline, Shape, Surface};

/// A built-in profile with what is declared beside it. All of it was checked when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomProfile {
    /// Its name, for reports.
    pub name: String,
    /// The built-in profile that it extends.
    pub extends: BaseProfile,
    /// What was read, and when.
    pub sources: Vec<(String, String)>,
    /// What the provider's words for the end of an answer mean.
    pub finish_reasons: BTreeMap<String, FinishMeaning>,
    /// Events beside the documented ones.
    pub events: BTreeSet<String>,
    /// Fields beside the documented ones, as paths (`/choices/[]/message/reasoning`).
    pub fields: BTreeSet<String>,
    /// Documented fields that this provider leaves out.
    pub missing: BTreeSet<String>,
    /// Documented fields that are null with this provider.
    pub null: BTreeSet<String>,
    /// Where its errors stand.
    pub envelope: Option<Envelope>,
    /// What its error codes mean.
    pub codes: BTreeMap<String, Code>,
    /// The header that carries its request id, in lower case.
    pub request_id_header: Option<String>,
    /// What its own OpenAPI document requires.
    pub requirement: Option<Requirement>,
}

/// A built-in profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseProfile(Profile);

impl Default for BaseProfile {
    fn default() -> Self {
        Self(Profile::Openai)
    }
}

impl BaseProfile {
    pub(super) fn base(self) -> Profile {
        self.0
    }

    pub(super) fn tolerates(self, code: &str) -> bool {
        self.0.tolerates(code)
    }
}

impl From<Profile> for BaseProfile {
    fn from(profile: Profile) -> Self {
        Self(profile.base())
    }
}

/// What a provider's word for the end of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishMeaning {
    /// The model ended by itself.
    Stop,
    /// The token limit cut the answer.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// A filter took the answer away.
    ContentFilter,
    /// The call failed.
    Error,
}

impl FinishMeaning {
    /// The words by which configurations name them.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("stop", Self::Stop),
        ("length", Self::Length),
        ("tool_calls", Self::ToolCalls),
        ("content_filter", Self::ContentFilter),
        ("error", Self::Error),
    ];

    /// Returns the word by which configurations name it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS
            .into_iter()
            .find(|(_, meaning)| *meaning == self)
            .map_or("error", |(word, _)| word)
    }
}

/// Where an error reply has its parts: JSON pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The code.
    pub code: Option<String>,
    /// The type.
    pub kind: Option<String>,
    /// The message.
    pub message: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
}

/// What an error code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its class.
    pub class: ErrorClass,
    /// Whether sending the same request again may help.
    pub retry_safe: bool,
}

/// What a provider's own OpenAPI document says of the replies of a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The surface.
    pub surface: Surface,
    /// The unary reply.
    pub unary: Option<Outline>,
    /// The events of the streamed reply.
    pub stream: Option<Outline>,
}

/// Why something that was declared cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFault {
    /// The contract has no such field.
    #[error("the contract has no field `{0}`")]
    UnknownField(String),
    /// Without the field there is no usable answer.
    #[error("a reply without `{0}` is not usable: no profile can allow that")]
    NeededField(String),
    /// The contract knows the word, and it means something else.
    #[error("the contract knows `{0}` already, with another meaning")]
    KnownFinishReason(String),
    /// An event of this name is an error, or is documented already.
    #[error("`{0}` is an event of the contract already")]
    KnownEvent(String),
}

impl CustomProfile {
    /// Makes it usable for as long as the process runs. It is made once for each configuration that is loaded, and never freed.
    pub fn publish(self) -> Profile {
        Profile::Custom(Box::leak(Box::new(self)))
    }

    /// Checks a documented field that is declared as missing or null. Returns its path as shapes have it.
    pub fn check_field(surface: Surface, pointer: &str) -> Result<String, ProfileFault> {
        let path = crate::folded(pointer);
        let document = ContractDocument::of(surface);
        let events = document.stream.events.iter().map(|event| document.event_fields(event));
        let fields: Vec<_> = events.flatten().chain(document.reply.iter().cloned()).collect();
        let mut found = fields.iter().filter(|field| field.shape_path() == path).peekable();
        if found.peek().is_none() {
            return Err(ProfileFault::UnknownField(path));
        }
        let is_needed = found.any(|field| {
            let rule = field.finding.as_deref().and_then(rule_of);
            rule.is_some_and(|rule| rule.verdict == crate::ContractVerdict::Hold)
        });
        if is_needed { Err(ProfileFault::NeededField(path)) } else { Ok(path) }
    }

    /// Checks a word for the end of an answer.
    pub fn check_finish_reason(word: &str, meaning: FinishMeaning) -> Result<(), ProfileFault> {
        if crate::chat::may_mean(word, meaning) {
            Ok(())
        } else {
            Err(ProfileFault::KnownFinishReason(word.to_owned()))
        }
    }

    /// Checks the name of an event.
    pub fn check_event(surface: Surface, name: &str) -> Result<(), ProfileFault> {
        let events = &ContractDocument::of(surface).stream.events;
        let is_known = name == "error"
            || name == "message"
            || surface == Surface::Responses && events.iter().any(|event| event.name == name);
        if is_known { Err(ProfileFault::KnownEvent(name.to_owned())) } else { Ok(()) }
    }

    /// Returns the paths of the contract's fields that may be declared as missing.
    pub fn fields_that_may_be_missing(surface: Surface) -> Vec<String> {
        let paths = Self::documented_fields(surface).into_iter();
        paths.filter(|path| Self::check_field(surface, path).is_ok()).collect()
    }

    /// Returns the paths of all fields of replies and events, for suggestions.
    pub fn documented_fields(surface: Surface) -> Vec<String> {
        let document = ContractDocument::of(surface);
        let events = document.stream.events.iter().map(|event| document.event_fields(event));
        let fields = events.flatten().chain(document.reply.iter().cloned());
        let paths: BTreeSet<_> = fields.map(|field| field.shape_path()).collect();
        paths.into_iter().collect()
    }

    /// Whether a deviation at a place is declared. Only asked for what is odd, never for what holds.
    pub(crate) fn declares(&self, at: &str, seen: &str) -> bool {
        let declared = match seen {
            "absent" => &self.missing,
            "null" => &self.null,
            _ => return false,
        };
        let path = match at.strip_prefix("event ") {
            Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start(),
            None => at,
        };
        declared.contains(&crate::folded(path))
    }

    /// Whether a body is an error in the provider's own envelope: it has one of its parts, and no answer.
    pub(crate) fn is_error(&self, body: Value<'_>) -> bool {
        let Some(envelope) = &self.envelope else { return false };
        let has_answer = ["choices", "output"].iter().any(|key| body.get_some(key).is_some());
        let parts = [&envelope.code, &envelope.message, &envelope.kind];
        !has_answer
            && parts.into_iter().flatten().any(|pointer| {
                at(body, pointer)
                    .is_some_and(|part| !part.is_null() && part.kind() != Kind::EMPTY_STRING)
            })
    }
}

impl Requirement {
    /// Compares a reply with what the document says, and notes what differs. Fields that the profile declares are known.
    pub(crate) fn check(&self, surface: Surface, mode: Mode, body: &Shape, report: &mut Report) {
        let outline = match mode {
            Mode::Unary => self.unary.as_ref(),
            Mode::Stream => self.stream.as_ref(),
        };
        let Some(outline) = outline.filter(|_| surface == self.surface) else { return };
        let declared = report.profile().custom().map(|custom| &custom.fields);
        for (path, violation, seen) in outline.violations(body) {
            if violation == Violation::Unknown
                && declared.is_some_and(|known| known.contains(&path))
            {
                continue;
            }
            let rule = match violation {
                Violation::Missing => &rule::OPENAPI_MISSING,
                Violation::Type => &rule::OPENAPI_TYPE,
                Violation::Unknown => &rule::OPENAPI_UNKNOWN,
            };
            report.add_each(rule, format_args!("{path}"), format_args!("{seen}"));
        }
    }
}

/// Returns the value at a JSON pointer.
pub(crate) fn at<'v>(body: Value<'v>, pointer: &str) -> Option<Value<'v>> {
    let mut value = body;
    for segment in pointer.split('/').skip(1) {
        let key = segment.replace("~1", "/").replace("~0", "~");
        value = if value.is_array() {
            value.items().nth(key.parse().ok()?)?
        } else {
            value.get_some(&key)?
        };
    }
    Some(value)
}

fn rule_of(code: &str) -> Option<&'static Rule> {
    rule::rules().iter().find(|rule| rule.code == code)
}
