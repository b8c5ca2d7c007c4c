//! The value-free structure of a JSON document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The type of a JSON value, as a set: a path may hold several types over several documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(pub u8);

/// A set of (path, types); array indexes are folded into `[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape {
    /// From path (`/choices/[]/message/content`) to the types seen there.
    pub paths: BTreeMap<String, Kind>,
}
