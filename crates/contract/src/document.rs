//! The contract as a document: what each surface's documentation says, as versioned data with its sources.
//!
//! The data lies in `data/`, a file for each surface. The judge has the same knowledge as code, where it is fast and can weigh; the tests
//! of this crate hold both against each other. What an application requires is not in here: see [`crate::shape_diff`].

mod field;
mod schema;

use std::sync::LazyLock;

pub use field::{Field, FieldPresence, Types};
use serde::{Deserialize, Serialize};

use crate::{ErrorClass, Outline, Profile, Surface};

/// What the documentation says of one surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDocument {
    /// The surface.
    pub surface: Surface,
    /// The day of its last change; evidence counts for one version only.
    pub version: String,
    /// The day on which the sources were last read.
    pub reviewed: String,
    /// What was read.
    pub sources: Vec<Source>,
    /// The request.
    pub request: RequestDocument,
    /// The fields of the unary reply.
    pub reply: Vec<Field>,
    /// The events of the streamed reply.
    pub stream: StreamDocument,
    /// The words by which answers end: `finish_reason` of chat, `status` of responses.
    pub finish_reasons: Vec<FinishReason>,
    /// Error replies.
    pub errors: ErrorDocument,
}

/// A page that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// How a request is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestDocument {
    /// The method.
    pub method: String,
    /// The path, from the root of the host.
    pub path: String,
    /// The fields of the body.
    pub fields: Vec<Field>,
}

/// The grammar of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamDocument {
    /// Fields that several events share.
    groups: std::collections::BTreeMap<String, Vec<Field>>,
    /// Each event.
    pub events: Vec<EventDocument>,
    /// What must hold across events.
    pub order: Vec<OrderRule>,
}

/// One kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventDocument {
    /// Its `type`; a name of our own where the surface has none.
    pub name: String,
    #[serde(default)]
    groups: Vec<GroupUse>,
    #[serde(default)]
    fields: Vec<Field>,
    /// What else is to be said.
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupUse {
    group: String,
    /// Where the group's fields lie in the event.
    #[serde(default)]
    at: String,
}

/// A rule across events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRule {
    /// The rule.
    pub rule: String,
    /// The findings that a stream gets which breaks it.
    pub findings: Vec<String>,
}

/// A word by which an answer ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishReason {
    /// The word.
    pub word: String,
    /// What it means.
    pub means: String,
    /// Whether there is an answer that may be used.
    pub usable: bool,
    /// The finding that it gives.
    #[serde(default)]
    pub finding: Option<String>,
}

/// How errors look and what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorDocument {
    /// The envelope.
    pub fields: Vec<Field>,
    /// The classes.
    pub classes: Vec<ErrorClassDocument>,
    /// What statuses and codes alone do not say.
    pub notes: Vec<String>,
}

/// One class of error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorClassDocument {
    /// The class.
    pub class: ErrorClass,
    /// Whether sending the same request again may help.
    pub retry_safe: bool,
    /// The statuses that mean it when no code says otherwise.
    pub statuses: Vec<u16>,
    /// The documented codes that mean it, whatever the status.
    pub codes: Vec<String>,
}

/// What a provider's documentation says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileDocument {
    /// The profile.
    pub profile: Profile,
    /// What it is.
    pub about: String,
    /// What was read.
    pub sources: Vec<Source>,
    /// The findings that are none with this provider.
    pub tolerated: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

impl ContractDocument {
    /// Returns the document of a surface.
    pub fn of(surface: Surface) -> &'static Self {
        static CHAT: LazyLock<ContractDocument> =
            LazyLock::new(|| embedded(include_str!("../data/chat.json")));
        static RESPONSES: LazyLock<ContractDocument> =
            LazyLock::new(|| embedded(include_str!("../data/responses.json")));
        match surface {
            Surface::Chat => &CHAT,
            Surface::Responses => &RESPONSES,
        }
    }

    /// Returns the fields of an event, those of its groups included.
    pub fn event_fields(&self, event: &EventDocument) -> Vec<Field> {
        let mut fields = Vec::new();
        for used in &event.groups {
            for field in self.stream.groups.get(&used.group).into_iter().flatten() {
                let path = format!("{}{}", used.at, field.path);
                fields.push(Field { path, ..field.clone() });
            }
        }
        fields.extend(event.fields.iter().cloned());
        fields
    }

    /// Returns the outline of the unary reply.
    pub fn reply_outline(&self) -> Outline {
        Outline::of_fields(&self.reply)
    }

    /// Returns the outline of all events together, as the shape of a stream has them.
    pub fn stream_outline(&self) -> Outline {
        let mut outlines =
            self.stream.events.iter().map(|event| Outline::of_fields(&self.event_fields(event)));
        let first = outlines.next().unwrap_or_default();
        outlines.fold(first, |mut all, outline| {
            all.merge(&outline);
            all
        })
    }
}

impl ProfileDocument {
    /// Returns what is said of the built-in profiles.
    pub fn all() -> &'static [Self] {
        static PROFILES: LazyLock<Vec<ProfileDocument>> =
            LazyLock::new(|| embedded(include_str!("../data/profiles.json")));
        &PROFILES
    }

    /// Returns what is said of one profile; of a custom one, of what it extends.
    pub fn of(profile: Profile) -> Option<&'static Self> {
        Self::all().iter().find(|document| document.profile == profile.base())
    }
}

fn embedded<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text)
        .expect("the data is embedded in the program, and a test reads all of it")
}
