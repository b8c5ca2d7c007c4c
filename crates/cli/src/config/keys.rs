//! The one table of keys: what the reader accepts, what the JSON Schema says and what docs/configuration.md explains.

#[cfg(test)]
mod document;
pub(super) mod profile;
pub(super) mod provider;
pub(super) mod release;
mod run;
pub(super) mod top;

pub(crate) use profile::{CODE, PROFILE, SOURCE};
pub(crate) use release::{LOGS, TAP};
pub(crate) use run::{ASK, COMMAND_STREAM, GATEWAY, REFUSED, RUN, STREAM};
pub(crate) use top::{CHANGE, REVIEW, ROOT};

/// The names of the gates, in the order of the reports.
pub(crate) const GATES: [&str; 6] = [
    "contract_reviewed",
    "new_release_smoke",
    "rollback_release_smoke",
    "negative_auth",
    "observability",
    "rollback_switch_drill",
];

/// The settings that must not change without anybody saying so, as `judge::drift::Setting` names them.
pub(crate) const SETTINGS: [&str; 7] =
    ["model", "endpoint", "retry", "deadline", "calls_per_ask", "models", "fallback_models"];

/// The switches of the grammar. All but the first belong to later versions.
pub(crate) const SWITCHES: [&str; 6] =
    ["embedded", "envoy", "haproxy", "nginx", "gateway-api", "command"];

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its heading in the documentation.
    pub(crate) title: &'static str,
    /// What it is about, one or two sentences.
    pub(crate) about: &'static str,
    /// Its keys, in the order of the documentation.
    pub(crate) keys: &'static [Key],
}

impl Section {
    /// Returns the key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its value is.
    pub(crate) kind: Kind,
    /// What holds when it is absent.
    pub(crate) absent: Absent,
    /// What it means.
    pub(crate) means: &'static str,
    /// A value as one writes it.
    pub(crate) example: &'static str,
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It must not be.
    Required,
    /// This value, as one would write it.
    Value(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Any text; a number written without quotes is text too.
    Text,
    /// A whole number.
    Integer {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// `true` or `false`.
    Boolean,
    /// `500ms`, `30s`, `2m`, `24h`.
    Duration,
    /// `2026-11-20`.
    Date,
    /// A JSON pointer: `/choices/0/message/content`.
    Pointer,
    /// `127.0.0.1:8080`.
    Address,
    /// A reference to a secret.
    Secret,
    /// Any value; it becomes JSON.
    Json,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A mapping with known keys.
    Section(&'static Section),
    /// A list.
    List(&'static Self),
    /// A mapping with names of the user's choice.
    Map(&'static Self),
    /// Any of these.
    Either(&'static [Self]),
}

impl Kind {
    /// Names it in a message or a table.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Integer { min, max } if *max == u32::MAX => {
                format!("a whole number from {min} on")
            }
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Duration => "a duration such as `30s`".to_owned(),
            Self::Date => "a date such as `2026-11-20`".to_owned(),
            Self::Pointer => "a JSON pointer".to_owned(),
            Self::Address => "an address such as `127.0.0.1:8080`".to_owned(),
            Self::Secret => "a reference to a secret".to_owned(),
            Self::Json => "any value".to_owned(),
            Self::Word(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                quoted.join(" or ")
            }
            Self::Section(section) => format!("a mapping ({})", section.title),
            Self::List(item) => format!("a list, each {}", item.describe()),
            Self::Map(value) => format!("a mapping from names to {}", value.describe()),
            Self::Either(kinds) => {
                kinds.iter().map(Self::describe).collect::<Vec<_>>().join("; or ")
            }
        }
    }

    /// Returns the sections that lie directly below.
    pub(crate) fn sections(&self) -> Vec<&'static Section> {
        match self {
            Self::Section(section) => vec![section],
            Self::List(inner) | Self::Map(inner) => inner.sections(),
            Self::Either(kinds) => kinds.iter().flat_map(Self::sections).collect(),
            Self::Text
            | Self::Integer { .. }
            | Self::Boolean
            | Self::Duration
            | Self::Date
            | Self::Pointer
            | Self::Address
            | Self::Secret
            | Self::Json
            | Self::Word(_) => Vec::new(),
        }
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    absent: Absent,
    means: &'static str,
    example: &'static str,
) -> Key {
    Key { name, kind, absent, means, example }
}
