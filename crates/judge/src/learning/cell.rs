//! Sorts changes into cells: what may be changed together without one change hiding another.

use std::collections::BTreeMap;

use contract::change::{Change, ChangeKind, Place, changes};
use contract::reply::{ReplyContext, full};
use contract::{Mode, Presence, Profile, Surface, carries_the_answer, presence};

use crate::documented_text;

/// How changes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Each by itself: exact for any release that does the same for the same reply.
    Each,
    /// Those that are likely to be minded by themselves, the rest together, halved as long as it breaks the release.
    Together,
}

/// Changes of one kind, none of which lies inside another: whoever leaves out `/usage` and `/usage/total_tokens` at once learns
/// nothing about the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The first questions: a partition of the cell's changes, by index.
    pub firsts: Vec<Vec<usize>>,
    /// Whether what is taken alone is also made all together. It tells the same of each kind of change, so one kind is enough.
    pub all_together: bool,
}

/// Returns every change that can be made to the full documented reply, as the tap sends it once `base` is changed in it.
pub fn listing(
    (surface, mode): (Surface, Mode),
    profile: Profile,
    include_usage: bool,
    base: &[Change],
) -> Vec<Change> {
    // The names of fields do not depend on the values.
    let text = documented_text("SSL-000000000000");
    let ctx = ReplyContext {
        surface,
        profile,
        model: "model",
        text: &text,
        id: "id",
        request_id: "request",
        created: 1,
        include_usage,
    };
    let mut reply = full(&ctx, mode);
    reply.apply(base);
    changes(surface, &reply)
}

/// Sorts changes into cells. Indexes are those of `changes`.
pub fn cells(changes: &[Change], surface: Surface, mode: Mode, grouping: Grouping) -> Vec<Cell> {
    let pointers: Vec<&str> = changes.iter().filter_map(|change| pointer(change)).collect();
    let mut sorted: BTreeMap<(ChangeKind, Option<usize>), Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        // Two fields of the same height cannot lie inside each other. Added fields hide nothing, events are a cell of their own.
        let height = match (&change.place, change.kind) {
            (Place::Field(_), ChangeKind::Add) => Some(0),
            (Place::Field(pointer), _) => Some(height(pointer, &pointers)),
            (Place::Event(_), _) => None,
        };
        sorted.entry((change.kind, height)).or_default().push(index);
    }
    let first_questions = |indexes: Vec<usize>| {
        let mut alone = Vec::new();
        let mut together: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for index in indexes {
            match changes.get(index).map(|change| (change.kind, &change.place)) {
                Some((ChangeKind::Add, _)) if grouping == Grouping::Together => {
                    together[0].push(index);
                }
                Some((_, Place::Field(pointer))) if grouping == Grouping::Together => {
                    if carries_the_answer(surface, mode, pointer) {
                        alone.push(vec![index]);
                    } else if presence(surface, mode, pointer) == Presence::Promised {
                        // Typed clients mind these, and only these.
                        together[0].push(index);
                    } else {
                        together[1].push(index);
                    }
                }
                Some(_) | None => alone.push(vec![index]),
            }
        }
        alone.extend(together.into_iter().filter(|group| !group.is_empty()));
        alone
    };
    sorted
        .into_iter()
        .map(|((kind, _), indexes)| Cell {
            firsts: first_questions(indexes),
            all_together: kind == ChangeKind::Delete,
        })
        .collect()
}

/// Returns about how many asks a search takes of a release that needs the answer and nothing else: each first question, a second
/// look at what breaks it, and one ask for each cell with all that is left.
pub fn asks_expected(
    changes: &[Change],
    surface: Surface,
    mode: Mode,
    grouping: Grouping,
) -> usize {
    let cells = cells(changes, surface, mode, grouping);
    let likely = changes
        .iter()
        .filter_map(pointer)
        .filter(|pointer| carries_the_answer(surface, mode, pointer))
        .count();
    let rests = cells.iter().filter(|cell| cell.all_together && cell.firsts.len() > 1).count();
    cells.iter().map(|cell| cell.firsts.len()).sum::<usize>() + rests + likely
}

fn pointer(change: &Change) -> Option<&str> {
    match &change.place {
        Place::Field(pointer) if change.kind != ChangeKind::Add => Some(pointer),
        Place::Field(_) | Place::Event(_) => None,
    }
}

/// Returns whether `inner` lies inside `outer`.
pub(super) fn is_inside(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns how many levels of fields lie inside a field.
fn height(pointer: &str, pointers: &[&str]) -> usize {
    let depth = |pointer: &str| pointer.matches('/').count();
    pointers
        .iter()
        .filter(|inner| is_inside(inner, pointer))
        .map(|inner| depth(inner) - depth(pointer))
        .max()
        .unwrap_or(0)
}
