//! Compares what the two releases make of a provider in trouble, as far as it is their callers who notice.

use contract::Mode;

use super::callers::Side;
use crate::{Finding, Severity};

/// An error as its caller gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalSeen {
    /// The probe that it was given to.
    pub probe: &'static str,
    /// In which mode.
    pub mode: Mode,
    /// Whether its status is that of a success, and only its body tells.
    pub looks_well: bool,
}

/// What a release with a declared fallback made of a primary that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackSeen {
    /// The probe in which the primary fails.
    pub probe: &'static str,
    /// In which mode.
    pub mode: Mode,
    /// Whether the fallback was called.
    pub is_used: bool,
}

/// Errors that have to look well before it is no matter of chance.
const LOOK_WELL_MIN: usize = 2;

/// This release gives errors a status of success that have one of an error at the other. Streams are left out: their status is sent before
/// anything can go wrong.
pub(super) fn looks_well(side: &Side<'_>) -> Option<Finding> {
    let (Mode::Unary, Some(_)) = (side.mode, side.alike) else { return None };
    let is_honest = |refusal: &RefusalSeen| {
        let same =
            |other: &&RefusalSeen| other.probe == refusal.probe && other.mode == refusal.mode;
        side.other.refusals.iter().find(same).is_some_and(|other| !other.looks_well)
    };
    let own = side.own.refusals.iter();
    let hidden: Vec<&RefusalSeen> = own
        .filter(|refusal| refusal.mode == side.mode && refusal.looks_well && is_honest(refusal))
        .collect();
    if hidden.len() < LOOK_WELL_MIN {
        return None;
    }
    let finding = side.finding(
        side.severity_of_new(Severity::Fail),
        "pair-refusal-looks-well",
        "errors with the status of an error, as the other release gives them",
        format!("{} of them with a status of success and no answer", hidden.len()),
        "Callers tell an error by its status: with 200 they do not ask again, show an empty answer, and no alert counts it. Give errors a status of 500 and up, or of 400 and up where the caller can mend them.",
    );
    Some(Finding { probe: hidden.first().map(|refusal| refusal.probe.to_owned()), ..finding })
}

/// This release does not call its fallback where the other one does.
pub(super) fn lacks_fallback(side: &Side<'_>) -> Option<Finding> {
    let is_used_by_other = |seen: &&FallbackSeen| {
        side.other
            .fallbacks
            .iter()
            .any(|other| other.probe == seen.probe && other.mode == seen.mode && other.is_used)
    };
    let mut own = side.own.fallbacks.iter();
    let lost =
        own.find(|seen| seen.mode == side.mode && !seen.is_used && is_used_by_other(seen))?;
    let finding = side.finding(
        side.severity_of_new(Severity::Fail),
        "fallback-not-used",
        "a call to the declared fallback, as the other release makes",
        "none, in the same trouble of the primary",
        "The primary's trouble is now the users'. See on which errors the code goes over to the fallback, and what changed there between the releases.",
    );
    Some(Finding { probe: Some(lost.probe.to_owned()), ..finding })
}
