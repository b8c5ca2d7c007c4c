//! What to ask next. The whole search is one function of the answers so far: it is replayed from the start each time, and what it
//! cannot look up is what is asked next, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Cell, Effect, Unclear};

/// An ask that says nothing is made again, up to so many in all.
const UNCLEAR_MAX: usize = 3;

/// What a release made of sets of changes, by index, sorted.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    effects: BTreeMap<Vec<usize>, Vec<Effect>>,
    is_closed: bool,
}

impl Answers {
    /// Takes an answer.
    pub fn take(&mut self, question: Vec<usize>, effect: Effect) {
        self.effects.entry(question).or_default().push(effect);
    }

    /// No more will be asked: what is not known by now stays so.
    pub fn close(&mut self) {
        self.is_closed = true;
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These sets of changes are to be made, each in an ask of its own.
    Ask(Vec<Vec<usize>>),
    /// Everything is told.
    Done(Found),
}

/// What a search amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is known of each change.
    pub told: BTreeMap<usize, Told>,
    /// Smallest sets that break the release together while each of them is taken alone, and how.
    pub together: Vec<(Vec<usize>, Effect)>,
    /// Sets of which it could not be told whether they are taken together.
    pub together_untold: Vec<(Vec<usize>, Untold)>,
}

/// What is known of a change by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The release takes it.
    Taken,
    /// It breaks the release, like this.
    Breaks(Effect),
    /// It could not be told.
    Untold(Untold),
}

/// Why something could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Untold {
    /// The same reply was taken once and not taken another time.
    Flaky,
    /// No call of the release arrived at the tap.
    NotObserved,
    /// An observation was lost.
    ObservationLost,
    /// The release could not be started, or not again.
    NotStarted,
    /// The limit of asks was reached before.
    NotAsked,
}

impl From<Unclear> for Untold {
    fn from(unclear: Unclear) -> Self {
        match unclear {
            Unclear::NotObserved => Self::NotObserved,
            Unclear::ObservationLost => Self::ObservationLost,
            Unclear::NotStarted => Self::NotStarted,
        }
    }
}

/// Returns what is to be asked next, or what it all amounts to.
pub fn next(cells: &[Cell], answers: &Answers) -> Next {
    let mut asks = BTreeSet::new();
    let mut found = Found::default();
    for cell in cells {
        let mut search = Search { answers, asks: &mut asks };
        search.cell(cell, &mut found);
    }
    if asks.is_empty() { Next::Done(found) } else { Next::Ask(asks.into_iter().collect()) }
}

/// How a set of changes went.
#[derive(Clone, Copy)]
enum State {
    Taken,
    Breaks(Effect),
    Untold(Untold),
    /// It is being asked.
    Open,
}

/// How sure one has to be that a set breaks the release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// One look: its parts are looked at next.
    Once,
    /// Two looks: it is reported.
    Twice,
}

struct Search<'a> {
    answers: &'a Answers,
    asks: &'a mut BTreeSet<Vec<usize>>,
}

impl Search<'_> {
    fn cell(&mut self, cell: &Cell, found: &mut Found) {
        let mut open = cell.firsts.clone();
        let mut taken = Vec::new();
        let mut is_complete = true;
        while let Some(set) = open.pop() {
            let proof = if set.len() == 1 { Proof::Twice } else { Proof::Once };
            let state = self.state(&set, proof);
            match (state, set.as_slice()) {
                (State::Open, _) => is_complete = false,
                (State::Taken, _) => {
                    taken.extend(&set);
                    found.told.extend(set.iter().map(|index| (*index, Told::Taken)));
                }
                (State::Breaks(effect), [index]) => {
                    found.told.insert(*index, Told::Breaks(effect));
                }
                (State::Untold(why), [index]) => {
                    found.told.insert(*index, Told::Untold(why));
                }
                (State::Untold(Untold::NotAsked), _) => {
                    let untold = Told::Untold(Untold::NotAsked);
                    found.told.extend(set.iter().map(|index| (*index, untold)));
                }
                (State::Breaks(_) | State::Untold(_), _) => {
                    let (left, right) = set.split_at(set.len() / 2);
                    open.extend([left.to_vec(), right.to_vec()]);
                }
            }
        }
        if is_complete && cell.all_together {
            taken.sort_unstable();
            self.together(taken, found);
        }
    }

    /// Changes all together what is taken alone. As long as that breaks the release, finds a smallest set that does, and goes on
    /// without one of it.
    fn together(&mut self, mut rest: Vec<usize>, found: &mut Found) {
        while rest.len() > 1 && !self.is_known_to_be_taken(&rest) {
            match self.state(&rest, Proof::Twice) {
                State::Taken | State::Open => return,
                State::Untold(why) => {
                    found.together_untold.push((rest, why));
                    return;
                }
                State::Breaks(_) => {}
            }
            let Some(mut smallest) = self.smallest(&[], &rest, false) else { return };
            smallest.sort_unstable();
            match (self.state(&smallest, Proof::Twice), smallest.first().copied()) {
                (State::Open, _) | (_, None) => return,
                (State::Breaks(effect), Some(first)) => {
                    rest.retain(|index| *index != first);
                    found.together.push((smallest, effect));
                }
                (State::Taken, Some(_)) => {
                    found.together_untold.push((rest, Untold::Flaky));
                    return;
                }
                (State::Untold(why), Some(_)) => {
                    found.together_untold.push((rest, why));
                    return;
                }
            }
        }
    }

    /// Returns a smallest part of `candidates` that breaks the release together with `others` (QuickXplain, Junker 2004). `None`
    /// while something has to be asked first.
    fn smallest(
        &mut self,
        others: &[usize],
        candidates: &[usize],
        others_grew: bool,
    ) -> Option<Vec<usize>> {
        if others_grew && self.breaks(others)? {
            return Some(Vec::new());
        }
        if candidates.len() <= 1 {
            return Some(candidates.to_vec());
        }
        let (left, right) = candidates.split_at(candidates.len() / 2);
        let with = |more: &[usize]| [others, more].concat();
        let of_right = self.smallest(&with(left), right, true)?;
        let of_left = self.smallest(&with(&of_right), left, !of_right.is_empty())?;
        Some([of_left, of_right].concat())
    }

    /// Returns whether a set breaks the release; `None` while that is being asked. What cannot be told is taken for a break here:
    /// the set that comes of it is looked at twice before it is reported.
    fn breaks(&mut self, set: &[usize]) -> Option<bool> {
        let mut set = set.to_vec();
        set.sort_unstable();
        if set.len() <= 1 || self.is_known_to_be_taken(&set) {
            return Some(false);
        }
        match self.state(&set, Proof::Once) {
            State::Open => None,
            State::Taken => Some(false),
            State::Breaks(_) | State::Untold(_) => Some(true),
        }
    }

    fn is_known_to_be_taken(&self, set: &[usize]) -> bool {
        self.answers.effects.iter().any(|(known, effects)| {
            effects.contains(&Effect::Same) && set.iter().all(|index| known.contains(index))
        })
    }

    /// Looks a set up, and asks for it when too little is known.
    fn state(&mut self, set: &[usize], proof: Proof) -> State {
        let empty = Vec::new();
        let effects = self.answers.effects.get(set).unwrap_or(&empty);
        let n_same = effects.iter().filter(|effect| **effect == Effect::Same).count();
        let mut broken = effects.iter().copied().filter(|effect| match effect {
            Effect::Same | Effect::Unclear(_) => false,
            Effect::Refused | Effect::AnsweredOtherwise | Effect::Hung | Effect::Crashed => true,
        });
        let first_break = broken.next();
        let n_broken = usize::from(first_break.is_some()) + broken.count();
        let unclear = effects.iter().rev().find_map(|effect| match effect {
            Effect::Unclear(why) => Some(*why),
            Effect::Same
            | Effect::Refused
            | Effect::AnsweredOtherwise
            | Effect::Hung
            | Effect::Crashed => None,
        });
        let n_unclear = effects.len() - n_same - n_broken;
        match (n_same, n_broken, first_break) {
            (1.., 0, _) | (2.., 1, _) => return State::Taken,
            (0, _, Some(effect)) if proof == Proof::Once || n_broken > 1 => {
                return State::Breaks(effect);
            }
            (1.., 2.., _) => return State::Untold(Untold::Flaky),
            (_, _, _) => {}
        }
        match unclear {
            Some(why) if n_unclear >= UNCLEAR_MAX => State::Untold(why.into()),
            _ if self.answers.is_closed => State::Untold(Untold::NotAsked),
            _ => {
                self.asks.insert(set.to_vec());
                State::Open
            }
        }
    }
}
