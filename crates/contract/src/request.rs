//! What a request asks for, read from its body.

use crate::{Shape, Surface};

/// The facts of a request that the tap and the simulated provider act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The `model` field.
    pub model: Option<String>,
    /// Whether `stream` is `true`.
    pub stream: bool,
    /// Whether `stream_options.include_usage` is `true`.
    pub include_usage: bool,
    /// The label that the smoke prompt asks for, see [`crate::smoke`].
    pub label: Option<String>,
    /// The structure of the body.
    pub shape: Shape,
    /// What a provider that follows the documentation would refuse about it.
    pub fault: Option<RequestFault>,
}

/// Why a documented provider refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// The body is not a JSON object.
    NotJson,
    /// A required field is not there, for example `messages`.
    Missing(&'static str),
    /// A field has the wrong type.
    WrongType(&'static str),
}

impl RequestFacts {
    /// Reads the body of a request to `surface`.
    pub fn read(surface: Surface, body: &[u8]) -> Self {
        let _: (Surface, &[u8]) = (surface, body);
        Self::default()
    }
}
