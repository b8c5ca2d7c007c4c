//! What a release made of a changed reply.

use serde::Serialize;

use crate::{AnswerRelation, Observation, Outcome};

/// What a release made of a changed reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It answered with the delivered text, as before.
    Same,
    /// It reported an error.
    Refused,
    /// It answered, but not with the whole delivered text.
    AnsweredOtherwise,
    /// It gave no outcome by the deadline.
    Hung,
    /// It died.
    Crashed,
    /// It cannot be said.
    Unclear(Unclear),
}

/// Why an ask says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unclear {
    /// No call arrived at the tap.
    NotObserved,
    /// An observation was lost.
    ObservationLost,
    /// The release could not be started, or not again.
    NotStarted,
}

/// Reads one ask. An answer that carries the whole delivered text is proof, whatever else went wrong.
pub fn effect(outcome: &Outcome, answer: AnswerRelation, observation: &Observation) -> Effect {
    let is_observed = !observation.exchanges.is_empty();
    let answered = matches!(outcome, Outcome::Answered { .. });
    if is_observed && answered && answer == AnswerRelation::Whole {
        return Effect::Same;
    }
    if observation.lost > 0 {
        return Effect::Unclear(Unclear::ObservationLost);
    }
    // What nobody asked the provider for says nothing about its reply.
    if !is_observed {
        return Effect::Unclear(Unclear::NotObserved);
    }
    match outcome {
        Outcome::Answered { .. } => Effect::AnsweredOtherwise,
        Outcome::Refused { .. } => Effect::Refused,
        Outcome::TimedOut { .. } => Effect::Hung,
        Outcome::Crashed { .. } => Effect::Crashed,
        // Whoever learns waits for the outcome.
        Outcome::Left { .. } => Effect::Unclear(Unclear::NotObserved),
    }
}
