//! A reply that is still on its way when the asker leaves, and would be for ever.

use std::time::Duration;

use contract::{Mode, reply};

use super::simulate::{context, events_answer};
use super::{Act, AnswerEnd, Piece, RequestContext};

/// How often a further piece of text comes: ten tokens a second, a slow model.
const TOKEN_EVERY: Duration = Duration::from_millis(100);

/// A model that thinks for ever (unary), or talks for ever (stream).
pub(super) fn act(request: &RequestContext) -> Act {
    if request.mode == Mode::Unary {
        return Act::Hold;
    }
    let text = request.documented_text();
    let events = reply::stream(&context(request, &text));
    // Half of the events are deltas in both surfaces, the last one of that half among them.
    let half = events.get(..events.len() / 2).unwrap_or_default();
    let mut answer = events_answer(request, half, AnswerEnd::Hold);
    if let Some(delta) = half.last() {
        answer.pieces.push(Piece::Repeat { bytes: delta.to_bytes(), every: TOKEN_EVERY });
    }
    Act::Answer(answer)
}
