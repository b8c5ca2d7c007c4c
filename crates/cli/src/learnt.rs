//! What `contract learn` has found out: one structure for every format, and what follows for the configuration.

mod human;
mod json;
mod schema;

use contract::change::{ChangeKind, Place};
use contract::{Mode, required_field};
use drill::learning::{ModeLearnt, ReleaseLearnt, Trouble};
use drill::settings::Settings;
use judge::Role;
use judge::learning::{Effect, FieldNeed, Need, Untold};
pub(crate) use schema::learn_schema;

use crate::exit_code;

/// What was found out, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Learnt {
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) provider: String,
    pub(crate) releases: Vec<(String, ReleaseLearnt)>,
    pub(crate) max_asks: u32,
    /// The lines for `contract.required_fields`.
    pub(crate) required_fields: Vec<String>,
    /// Those of them that the configuration lacks.
    pub(crate) lacking: Vec<String>,
    /// What the configuration requires and no release that was asked needs; told only when everything is certain.
    pub(crate) unneeded: Vec<String>,
    /// What one release needs and the other does not.
    pub(crate) differences: Vec<Difference>,
    /// Whether a needed field that the configuration lacks is a failure.
    is_check: bool,
}

/// What one release needs and the other does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) mode: Mode,
    pub(crate) field: String,
    pub(crate) only: Role,
}

impl Learnt {
    pub(crate) fn new(
        settings: &Settings,
        releases: Vec<ReleaseLearnt>,
        max_asks: u32,
        is_check: bool,
    ) -> Self {
        let configured = &settings.contract.required_fields;
        let names = (settings.service.as_str(), settings.environment.as_str());
        let provider = settings.provider.name.as_str();
        let learnt = Self::of(names.0, names.1, provider, configured, releases, max_asks, is_check);
        let version = |release: &ReleaseLearnt| settings.release(release.role).version.clone();
        let releases =
            learnt.releases.into_iter().map(|(_, release)| (version(&release), release)).collect();
        Self { releases, ..learnt }
    }

    fn of(
        service: &str,
        environment: &str,
        provider: &str,
        configured: &[String],
        releases: Vec<ReleaseLearnt>,
        max_asks: u32,
        is_check: bool,
    ) -> Self {
        let mut required_fields: Vec<String> = Vec::new();
        for field in
            releases.iter().flat_map(sound_modes).flat_map(|mode| mode.needs.required_fields())
        {
            if !required_fields.iter().any(|known| known == field) {
                required_fields.push(field.to_owned());
            }
        }
        let is_certain = releases.iter().all(ReleaseLearnt::is_certain);
        let lacking = lacking(configured, &required_fields);
        let unneeded =
            if is_certain { needless(configured, &somehow_needed(&releases)) } else { Vec::new() };
        let differences = differences(&releases);
        Self {
            service: service.to_owned(),
            environment: environment.to_owned(),
            provider: provider.to_owned(),
            releases: releases.into_iter().map(|release| (String::new(), release)).collect(),
            max_asks,
            required_fields,
            lacking,
            unneeded,
            differences,
            is_check,
        }
    }

    /// Returns whether everything that was to be learnt is certain.
    pub(crate) fn is_complete(&self) -> bool {
        !self.releases.is_empty() && self.releases.iter().all(|(_, release)| release.is_certain())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_check && !self.lacking.is_empty() {
            exit_code::HOLD_FAILED
        } else if self.is_complete() {
            exit_code::PASS
        } else {
            exit_code::HOLD_MISSING
        }
    }
}

/// Returns what was learnt and is not configured. Whoever requires a field requires what it stands in.
fn lacking(configured: &[String], learnt: &[String]) -> Vec<String> {
    let is_configured =
        |field: &&String| configured.iter().any(|configured| is_or_is_inside(configured, field));
    learnt.iter().filter(|field| !is_configured(field)).cloned().collect()
}

/// Returns all that some release needs, be it only beside something else, as the configuration names it.
fn somehow_needed(releases: &[ReleaseLearnt]) -> Vec<String> {
    let mut found = Vec::new();
    for mode in releases.iter().flat_map(sound_modes) {
        let one_of = mode.needs.together.iter().flat_map(|(places, _)| places);
        for place in needed(mode).map(|field| &field.place).chain(one_of) {
            if let Place::Field(pointer) = place {
                found.extend(required_field(mode.surface, mode.wire, pointer));
            }
        }
    }
    found
}

/// Returns what is configured and was not learnt, nor anything inside it.
fn needless(configured: &[String], learnt: &[String]) -> Vec<String> {
    let is_learnt = |field: &&String| learnt.iter().any(|learnt| is_or_is_inside(learnt, field));
    configured.iter().filter(|field| !is_learnt(field)).cloned().collect()
}

fn is_or_is_inside(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the modes of a release in which what was found out can be relied on.
fn sound_modes(release: &ReleaseLearnt) -> impl Iterator<Item = &ModeLearnt> {
    release.modes.iter().filter(|mode| mode.trouble.is_none())
}

fn needed(mode: &ModeLearnt) -> impl Iterator<Item = &FieldNeed> {
    mode.needs.fields.iter().filter(|field| field.need != Need::Never)
}

fn differences(releases: &[ReleaseLearnt]) -> Vec<Difference> {
    let [first, second] = releases else { return Vec::new() };
    let mut found = Vec::new();
    for (release, other) in [(first, second), (second, first)] {
        for mode in sound_modes(release) {
            let Some(same) = sound_modes(other).find(|same| same.mode == mode.mode) else {
                continue;
            };
            let is_untold = |field: &FieldNeed| {
                let id = format!("{} {}", ChangeKind::Delete.as_str(), field.place);
                same.needs.untold.iter().any(|(untold, _)| *untold == id)
            };
            found.extend(
                needed(mode)
                    .filter(|field| !needed(same).any(|other| other.place == field.place))
                    .filter(|field| !is_untold(field))
                    .map(|field| Difference {
                        mode: mode.mode,
                        field: field.place.to_string(),
                        only: release.role,
                    }),
            );
        }
    }
    found
}

/// Returns the word for what a release made of a change.
pub(crate) fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Same => "same",
        Effect::Refused => "refused",
        Effect::AnsweredOtherwise => "answered_otherwise",
        Effect::Hung => "hung",
        Effect::Crashed => "crashed",
        Effect::Unclear(_) => "unclear",
    }
}

/// Returns what is in the way of learning, and what to do about it.
pub(crate) fn trouble_text(trouble: Trouble) -> (String, &'static str) {
    match trouble {
        Trouble::Baseline(Effect::Unclear(_)) => (
            "no call of the release arrived at the tap".to_owned(),
            "Run `surestep check`: it names the likely cause.",
        ),
        Trouble::Baseline(effect) => (
            format!(
                "the release does not take the documented reply as it is ({})",
                effect_phrase(effect)
            ),
            "Run `surestep check` first: as long as its happy probes fail, nothing can be learnt.",
        ),
        Trouble::Flaky(effect) => (
            format!(
                "the release took the documented reply once, and once it did not ({})",
                effect_phrase(effect)
            ),
            "Find out why it does not always do the same; what is learnt of such a release is chance.",
        ),
        Trouble::NoLonger(effect) => (
            format!(
                "the release took the documented reply at first, and no longer at the end ({})",
                effect_phrase(effect)
            ),
            "Something in it remembers failures: a circuit breaker, a cooldown, a pool that ran dry. Switch it off for this run.",
        ),
        Trouble::NotAsked => (
            "the limit of asks was reached before".to_owned(),
            "Pass a larger `--max-asks`, or `--release` for one release at a time.",
        ),
    }
}

/// Returns why a change could not be told, in words.
pub(crate) fn untold_phrase(untold: Untold) -> &'static str {
    match untold {
        Untold::Flaky => "taken once and not taken another time",
        Untold::NotObserved => "no call arrived at the tap",
        Untold::ObservationLost => "an observation was lost",
        Untold::NotStarted => "the release could not be started again",
        Untold::NotAsked => "not asked: the limit of asks was reached (--max-asks)",
    }
}

/// Returns what a release did, in words.
pub(crate) fn effect_phrase(effect: Effect) -> &'static str {
    match effect {
        Effect::Same => "answered as before",
        Effect::Refused => "refused",
        Effect::AnsweredOtherwise => "answered something else",
        Effect::Hung => "hung",
        Effect::Crashed => "crashed",
        Effect::Unclear(_) => "could not be told",
    }
}

/// What to do about a field that the application needs and that providers may leave out.
pub(crate) const OPTIONAL_ADVICE: &str = "Providers and gateways leave optional fields out. Let the application do without them, or keep them in `contract.required_fields`, so that a provider without them holds.";

#[cfg(test)]
mod tests;
