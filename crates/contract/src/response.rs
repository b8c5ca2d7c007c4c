//! Judges one response while it arrives.

use std::fmt;

use crate::{BodyKind, Completion, ContractVerdict, Judgement, Mode, Profile, Shape, Surface};

/// How the body of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// As its framing said: the last chunk, or all of its length.
    Complete,
    /// Before that.
    Cut,
}

/// The text that the model delivered: it stays in memory, and `Debug` shows its length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DeliveredText(String);

impl DeliveredText {
    /// Returns the text, for comparing in memory.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeliveredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveredText({} bytes)", self.0.len())
    }
}

/// Judges one response, fed as it arrives.
#[derive(Debug)]
pub struct ResponseJudge {
    surface: Surface,
    mode: Mode,
    profile: Profile,
}

impl ResponseJudge {
    /// Starts on a response to a request of this surface and mode.
    pub fn new(surface: Surface, mode: Mode, profile: Profile) -> Self {
        Self { surface, mode, profile }
    }

    /// Takes the status and the headers.
    pub fn head<'h>(&mut self, status: u16, headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) {
        let _: (u16, usize) = (status, headers.into_iter().count());
    }

    /// Takes bytes of the body, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let _: &[u8] = bytes;
    }

    /// Ends the body and judges. The text is what the model delivered, up to a limit.
    pub fn finish(self, end: BodyEnd) -> (Judgement, DeliveredText) {
        let _: BodyEnd = end;
        let judgement = Judgement {
            verdict: ContractVerdict::Hold,
            completion: Completion::Nothing,
            findings: Vec::new(),
            error: None,
            body: BodyKind::Empty,
            shape: Shape::default(),
            events: 0,
            response_id: None,
            model: None,
        };
        (judgement, DeliveredText::default())
    }
}
