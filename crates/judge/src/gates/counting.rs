//! Which of the stored evidence counts for a question: about the very same subject, fresh, and of one run.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Bench, GateContext};
use crate::{Fact, Item, Phase, ReleaseIdentity, Role, Subject};

/// Returns why an item does not count for the context, if it does not.
pub(super) fn discounted(item: &Item, context: &GateContext) -> Option<String> {
    if item.subject != context.subject {
        return Some(format!("evidence is about {}", difference(&item.subject, &context.subject)));
    }
    let age = context.now.duration_since(item.at);
    if age >= context.max_age {
        return Some(format!("evidence is stale: {} old", in_words(age)));
    }
    if age < SignedDuration::from_secs(-300) {
        return Some("evidence is from the future: the clocks disagree".to_owned());
    }
    None
}

/// Returns the evidence as it is for a run that has just been made: by its own, and not by that of a run of the same pair which began after it.
///
/// A check beside a drill has planned what it has not made yet, and would hold the drill for it. What it found of probes that this run did not make stands
/// all the same, and so does a later review of the contract. Whoever asks for no run's result gets the newest of all.
pub fn as_of_run(items: Vec<Item>, run: &str) -> Vec<Item> {
    let is_plan = |item: &Item| matches!(item.fact, Fact::Planned { .. });
    let Some(own) = items.iter().position(|item| item.run == run && is_plan(item)) else {
        return items;
    };
    let began_later: BTreeSet<String> = items
        .iter()
        .skip(own)
        .filter(|item| is_plan(item) && item.run != run)
        .map(|item| item.run.clone())
        // One that had planned before and plans more now began before.
        .filter(|run| !items.iter().take(own).any(|item| is_plan(item) && item.run == *run))
        .collect();
    let speaks_for_its_run = |fact: &Fact| match fact {
        Fact::Planned { .. }
        | Fact::Compared { .. }
        | Fact::Stepped { .. }
        | Fact::Withheld { .. } => true,
        Fact::Probed(_)
        | Fact::Reviewed { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. } => false,
    };
    let mut items = items;
    items.retain(|item| !(began_later.contains(&item.run) && speaks_for_its_run(&item.fact)));
    items
}

fn in_words(age: SignedDuration) -> String {
    let minutes = age.as_mins();
    if minutes >= 120 { format!("{} hours", minutes / 60) } else { format!("{minutes} minutes") }
}

/// Names the first thing in which two subjects differ.
fn difference(seen: &Subject, wanted: &Subject) -> String {
    if seen.service != wanted.service {
        return "another service".to_owned();
    }
    if seen.environment != wanted.environment {
        return "another environment".to_owned();
    }
    for (role, seen, wanted) in
        [(Role::New, &seen.new, &wanted.new), (Role::Rollback, &seen.rollback, &wanted.rollback)]
    {
        if let Some(what) = release_difference(seen, wanted) {
            return format!("another {what} of `{role}`");
        }
    }
    if seen.configuration == wanted.configuration {
        "another contract or other reviews".to_owned()
    } else {
        "another configuration".to_owned()
    }
}

fn release_difference(seen: &ReleaseIdentity, wanted: &ReleaseIdentity) -> Option<&'static str> {
    if seen.version != wanted.version {
        Some("version")
    } else if seen.image != wanted.image {
        Some("image")
    } else if seen.credential != wanted.credential {
        Some("credential")
    } else if seen.run != wanted.run {
        Some("way to run it, or build,")
    } else {
        None
    }
}

/// Returns the items of the newest run that has what is wanted and counts; else says why there is none.
pub(super) fn newest_run<'i>(
    items: &'i [Item],
    context: &GateContext,
    wanted: impl Fn(&Fact) -> bool,
) -> Result<Vec<&'i Item>, String> {
    let mut candidates: Vec<&Item> = items.iter().filter(|item| wanted(&item.fact)).collect();
    candidates.sort_by_key(|item| item.at);
    let mut why = None;
    for candidate in candidates.iter().rev() {
        match discounted(candidate, context) {
            None => {
                return Ok(items
                    .iter()
                    .filter(|item| item.run == candidate.run && item.subject == context.subject)
                    .collect());
            }
            Some(reason) => why = why.or(Some(reason)),
        }
    }
    Err(why.unwrap_or_else(|| "no evidence".to_owned()))
}

pub(super) fn plans(fact: &Fact, role: Role, phase: Phase) -> bool {
    match fact {
        Fact::Planned { probes } => {
            probes.iter().any(|planned| planned.role == role && planned.phase == phase)
        }
        Fact::Probed(_)
        | Fact::Compared { .. }
        | Fact::Reviewed { .. }
        | Fact::Stepped { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. }
        | Fact::Withheld { .. } => false,
    }
}

pub(super) fn discounted_age(at: Timestamp, context: &GateContext) -> Option<String> {
    let age = context.now.duration_since(at);
    (age >= context.max_age).then(|| format!("evidence is stale: {} old", in_words(age)))
}

pub(super) fn withheld(run: &[&Item], bench: &mut Bench) {
    for item in run {
        if let Fact::Withheld { what } = &item.fact {
            bench.missing(format!(
                "a record was withheld, because a secret was found in it: {what}"
            ));
        }
    }
}
