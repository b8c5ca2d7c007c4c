//! Counts what was asked of the simulated provider.

use std::sync::{Mutex, PoisonError};

use contract::{Mode, Surface};

/// How many calls of each kind have been answered so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Chat completions at once.
    pub chat_unary: u64,
    /// Chat completions event by event.
    pub chat_stream: u64,
    /// Responses at once.
    pub responses_unary: u64,
    /// Responses event by event.
    pub responses_stream: u64,
    /// Questions for the models.
    pub models: u64,
    /// Moderations and embeddings.
    pub beside: u64,
    /// Refused for their credential (401).
    pub unauthorized: u64,
    /// Refused for anything else.
    pub refused: u64,
    /// Streams that the caller left before their end; these are counted as streams as well.
    pub streams_abandoned: u64,
}

impl Calls {
    /// Returns how many calls there were in all.
    pub fn total(&self) -> u64 {
        self.chat_unary
            + self.chat_stream
            + self.responses_unary
            + self.responses_stream
            + self.models
            + self.beside
            + self.unauthorized
            + self.refused
    }
}

/// The counters, shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Calls>);

impl Counters {
    pub(crate) fn snapshot(&self) -> Calls {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn completion(&self, surface: Surface, mode: Mode) {
        self.count(|calls| match (surface, mode) {
            (Surface::Chat, Mode::Unary) => &mut calls.chat_unary,
            (Surface::Chat, Mode::Stream) => &mut calls.chat_stream,
            (Surface::Responses, Mode::Unary) => &mut calls.responses_unary,
            (Surface::Responses, Mode::Stream) => &mut calls.responses_stream,
        });
    }

    pub(crate) fn models(&self) {
        self.count(|calls| &mut calls.models);
    }

    pub(crate) fn beside(&self) {
        self.count(|calls| &mut calls.beside);
    }

    pub(crate) fn refusal(&self, status: u16) {
        self.count(
            |calls| if status == 401 { &mut calls.unauthorized } else { &mut calls.refused },
        );
    }

    pub(crate) fn stream_abandoned(&self) {
        self.count(|calls| &mut calls.streams_abandoned);
    }

    fn count(&self, which: impl FnOnce(&mut Calls) -> &mut u64) {
        *which(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }
}
