//! Changes of one thing in a documented reply: the experiments by which it is found out which fields an application needs.
//!
//! A change has a stable name, such as `delete /usage/total_tokens`. In a stream it is made in every event that carries the
//! field. A pointer leads to the first element of an array (`/choices/0/message/content`).

mod apply;
mod listing;

use std::fmt;

pub use listing::changes;
use serde::Serialize;
use serde_json::Value;

use crate::reply::StreamEvent;

/// What happens to a field or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is left out.
    Delete,
    /// It is null.
    Null,
    /// It has another JSON type.
    Retype,
    /// It has another name.
    Rename,
    /// It is there, although nobody documented it.
    Add,
}

impl ChangeKind {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 5] = [Self::Delete, Self::Null, Self::Retype, Self::Rename, Self::Add];

    /// Returns the word that names of changes begin with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Null => "null",
            Self::Retype => "retype",
            Self::Rename => "rename",
            Self::Add => "add",
        }
    }
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The field at this JSON pointer, as the wire has it: streams of chat have `/choices/0/delta/content`.
    Field(String),
    /// The events of this name; of chat streams, `[DONE]`.
    Event(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(pointer) => f.write_str(pointer),
            Self::Event(name) => write!(f, "event {name}"),
        }
    }
}

/// One thing that is different from the documented reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// What happens.
    pub kind: ChangeKind,
    /// To what.
    pub place: Place,
}

impl Change {
    /// Returns the change of a field.
    pub fn of_field(kind: ChangeKind, pointer: &str) -> Self {
        Self { kind, place: Place::Field(pointer.to_owned()) }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.place)
    }
}

/// A whole documented reply, ready to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WholeReply {
    /// One JSON document.
    Unary(Value),
    /// The events of a stream, the end included.
    Stream(Vec<StreamEvent>),
}

impl WholeReply {
    /// Makes the changes, in order. A field that is not there stays so.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            apply::apply(self, change);
        }
    }
}

#[cfg(test)]
mod tests;
