//! Learns which fields of a reply a release needs: asks it with replies in which one thing is changed, and sees whether it still
//! answers. The tap answers every call; none reaches a provider. What to ask is for `judge::learning` to say.

mod fleet;

use std::sync::atomic::{AtomicU32, Ordering};

use contract::change::{Change, Place};
use contract::{Mode, Surface, reply};
use fleet::{Fleet, Wire};
use futures_util::future::join_all;
use judge::learning::{
    Answers, Cell, Effect, Found, Grouping, Needs, Next, Told, Untold, asks_expected, cells,
    listing, next,
};
use judge::{Finding, Role, Stimulus};
use tokio::sync::Semaphore;

use crate::bench::{Bench, ControlPort};
use crate::plan;
use crate::ports::{Releases, Tap};
use crate::progress::Event;
use crate::settings::{Release, Run, Settings};
use crate::smoke::{mode_not_mapped, not_started};

/// Asks of a mode beside its experiments: the reply as it is, before and after, and the search for the fullest one.
const ASKS_BESIDE: usize = 6;

/// What is to be learnt.
#[derive(Clone, Debug)]
pub struct LearnOptions {
    /// Of which releases.
    pub roles: Vec<Role>,
    /// Asks of all releases at most.
    pub max_asks: u32,
    /// Ask each change by itself, also of releases for which every ask is a process.
    pub each: bool,
}

/// What was learnt of a release.
#[derive(Clone, Debug)]
pub struct ReleaseLearnt {
    /// Which.
    pub role: Role,
    /// How it was asked.
    pub grouping: Grouping,
    /// Mode by mode.
    pub modes: Vec<ModeLearnt>,
    /// Why it could not be asked at all, or not in a mode.
    pub problems: Vec<Finding>,
    /// Asks in all.
    pub asks: u32,
}

/// What was learnt of a release in one mode.
#[derive(Clone, Debug)]
pub struct ModeLearnt {
    /// How the release was asked.
    pub mode: Mode,
    /// What it called.
    pub surface: Surface,
    /// Whether it streams from the provider.
    pub wire: Mode,
    /// How many fields and events of the reply were changed.
    pub places: usize,
    /// How many changes there are.
    pub changes: usize,
    /// Optional documented fields that the reply had to do without, and what the release made of each.
    pub left_out: Vec<(Place, Option<Effect>)>,
    /// What it needs.
    pub needs: Needs,
    /// Why nothing can be said for certain.
    pub trouble: Option<Trouble>,
}

/// Why nothing can be said of a mode for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The release does not take the documented reply as it is.
    Baseline(Effect),
    /// It took the documented reply once and did not take it another time.
    Flaky(Effect),
    /// It took the documented reply at first, and did not at the end.
    NoLonger(Effect),
    /// The limit of asks was reached before anything could be asked.
    NotAsked,
}

/// Returns how a release is asked: each ask of a command costs a process, a gateway cools down after whatever broke it.
pub fn grouping(release: &Release, each: bool) -> Grouping {
    let is_dear = matches!(release.run, Run::Command(_)) || plan::is_gateway(release);
    if is_dear && !each { Grouping::Together } else { Grouping::Each }
}

/// Returns about how many asks a release will take, if it needs the answer and little else.
pub fn expected(settings: &Settings, role: Role, each: bool) -> usize {
    let provider = settings.provider_of(role);
    let release = settings.release(role);
    let of_mode = |mode: Mode| {
        let wire = (provider.surface, mode);
        let listed = listing(wire, provider.profile, mode == Mode::Unary, &[]);
        ASKS_BESIDE + asks_expected(&listed, wire.0, wire.1, grouping(release, each))
    };
    provider.modes.iter().filter(|mode| plan::is_mapped(release, **mode)).map(|m| of_mode(*m)).sum()
}

/// Learns what releases need, side by side.
pub async fn learn<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    options: &LearnOptions,
) -> Vec<ReleaseLearnt> {
    let slots = Semaphore::new(bench.jobs.max(1));
    let left = AtomicU32::new(options.max_asks);
    let each = options.roles.iter().map(|role| of_release(bench, &slots, &left, *role, options));
    join_all(each).await
}

async fn of_release<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    slots: &Semaphore,
    left: &AtomicU32,
    role: Role,
    options: &LearnOptions,
) -> ReleaseLearnt {
    let release = bench.settings.release(role);
    let mut learnt = ReleaseLearnt {
        role,
        grouping: grouping(release, options.each),
        modes: Vec::new(),
        problems: bench.secrets.of(role).problems.clone(),
        asks: 0,
    };
    if !learnt.problems.is_empty() {
        return learnt;
    }
    let about = u32::try_from(expected(&bench.settings, role, options.each)).unwrap_or(u32::MAX);
    let mut fleet = match Fleet::start(bench, slots, left, role, about).await {
        Ok(fleet) => fleet,
        Err(error) => {
            learnt.problems.push(not_started(bench, role, &error));
            return learnt;
        }
    };
    for &mode in &bench.settings.provider_of(role).modes {
        if plan::is_mapped(release, mode) {
            let of_mode = Experiment { fleet: &mut fleet, mode, grouping: learnt.grouping };
            learnt.modes.push(of_mode.run().await);
        } else {
            learnt.problems.push(mode_not_mapped(role, mode));
        }
    }
    learnt.asks = fleet.asked();
    fleet.stop().await;
    learnt
}

/// The experiments with a release in one mode.
struct Experiment<'f, 'b, T: Tap, R: Releases, C: ControlPort> {
    fleet: &'f mut Fleet<'b, T, R, C>,
    mode: Mode,
    grouping: Grouping,
}

impl<T: Tap, R: Releases, C: ControlPort> Experiment<'_, '_, T, R, C> {
    async fn run(mut self) -> ModeLearnt {
        self.fleet.base = Vec::new();
        let mut wire = self.fleet.first_ask(self.mode).await;
        let mut learnt = ModeLearnt {
            mode: self.mode,
            surface: wire.surface,
            wire: wire.mode,
            places: 0,
            changes: 0,
            left_out: Vec::new(),
            needs: Needs::default(),
            trouble: self.baseline(wire.effect).await,
        };
        if let Some(Trouble::Baseline(effect)) = learnt.trouble {
            // Some applications mind an optional field that most replies do not carry.
            self.fleet.base = reply::without(wire.surface, wire.mode);
            wire = self.fleet.first_ask(self.mode).await;
            learnt.trouble = match self.baseline(wire.effect).await {
                Some(Trouble::Baseline(_)) => Some(Trouble::Baseline(effect)),
                other => other,
            };
            if learnt.trouble.is_none() {
                self.fullest_reply(&wire, &mut learnt).await;
            }
        }
        if learnt.trouble.is_some() {
            return learnt;
        }
        let base = self.fleet.base.clone();
        let bench = self.fleet.bench;
        let profile = bench.settings.provider_of(self.fleet.role).profile;
        let changes = listing((wire.surface, wire.mode), profile, wire.has_usage, &base);
        learnt.changes = changes.len();
        let mut places: Vec<&Place> = changes.iter().map(|change| &change.place).collect();
        places.dedup();
        learnt.places = places.len();
        let cells = cells(&changes, wire.surface, wire.mode, self.grouping);
        self.fleet.note(&format!(
            "{}: {} changes of the {} reply, {}",
            self.mode,
            changes.len(),
            wire.surface,
            match self.grouping {
                Grouping::Each => "each by itself",
                Grouping::Together => "together where that tells as much",
            }
        ));
        let found = self
            .search(&cells, |set| {
                let picked = set.iter().filter_map(|index| changes.get(*index));
                base.iter().chain(picked).cloned().collect()
            })
            .await;
        learnt.needs = Needs::of(&changes, &found, wire.surface, wire.mode);
        // A release that has lost its way meanwhile would have failed at anything.
        learnt.trouble = match self.fleet.ask_unchanged(self.mode).await {
            Some(Effect::Same) | None => None,
            Some(effect) => match self.fleet.ask_unchanged(self.mode).await {
                Some(Effect::Same) | None => None,
                Some(_) => Some(Trouble::NoLonger(effect)),
            },
        };
        learnt
    }

    /// Whether the release takes the reply as it is: twice, or twice out of three times.
    async fn baseline(&mut self, first: Option<Effect>) -> Option<Trouble> {
        let mut taken = 0;
        let mut broken = Vec::new();
        let mut effect = first;
        loop {
            match effect {
                None => return Some(Trouble::NotAsked),
                Some(Effect::Same) => taken += 1,
                Some(effect) => broken.push(effect),
            }
            match (taken, broken.as_slice()) {
                (2, _) => return None,
                (0, [effect, _, ..]) => return Some(Trouble::Baseline(*effect)),
                (1, [effect, _, ..]) => return Some(Trouble::Flaky(*effect)),
                _ => effect = self.fleet.ask_unchanged(self.mode).await,
            }
        }
    }

    /// Finds the documented reply with the most optional fields that the release takes: only of what is there it can be learnt
    /// whether it is needed.
    async fn fullest_reply(&mut self, wire: &Wire, learnt: &mut ModeLearnt) {
        let without = reply::without(wire.surface, wire.mode);
        let cell = Cell { firsts: vec![(0..without.len()).collect()], all_together: true };
        if without.is_empty() {
            return;
        }
        let found = self
            .search(&[cell], |set| {
                let absent = without.iter().enumerate().filter(|(index, _)| !set.contains(index));
                absent.map(|(_, change)| change.clone()).collect()
            })
            .await;
        let mut dropped: Vec<(usize, Option<Effect>)> = Vec::new();
        for (index, told) in &found.told {
            match told {
                Told::Taken => {}
                Told::Breaks(effect) => dropped.push((*index, Some(*effect))),
                Told::Untold(_) => dropped.push((*index, None)),
            }
        }
        for (set, effect) in &found.together {
            dropped.extend(set.first().map(|index| (*index, Some(*effect))));
        }
        for (set, _) in &found.together_untold {
            dropped.extend(set.iter().map(|index| (*index, None)));
        }
        dropped.sort_by_key(|(index, _)| *index);
        dropped.dedup_by_key(|(index, _)| *index);
        let of = |index: &usize| without.get(*index);
        learnt.left_out = dropped
            .iter()
            .filter_map(|(index, effect)| Some((of(index)?.place.clone(), *effect)))
            .collect();
        self.fleet.base = dropped.iter().filter_map(|(index, _)| of(index)).cloned().collect();
    }

    /// Asks until everything is told or no more may be asked.
    async fn search(&mut self, cells: &[Cell], changes: impl Fn(&[usize]) -> Vec<Change>) -> Found {
        let mut answers = Answers::default();
        loop {
            let questions = match next(cells, &answers) {
                Next::Done(found) => return found,
                Next::Ask(questions) => questions,
            };
            let stimuli: Vec<Stimulus> =
                questions.iter().map(|set| Stimulus::Changed(changes(set))).collect();
            let effects = self.fleet.ask_all(self.mode, &stimuli).await;
            for (question, effect) in questions.into_iter().zip(effects) {
                match effect {
                    Some(effect) => answers.take(question, effect),
                    None => answers.close(),
                }
            }
        }
    }
}

/// Takes one ask from what is left.
fn take(left: &AtomicU32) -> bool {
    let less = |left: u32| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
}

impl ReleaseLearnt {
    /// Returns whether all that was to be learnt is certain.
    pub fn is_certain(&self) -> bool {
        let is_certain = |mode: &ModeLearnt| {
            mode.trouble.is_none()
                && mode.needs.untold.is_empty()
                && mode.left_out.iter().all(|(_, effect)| effect.is_some())
        };
        self.problems.is_empty() && !self.modes.is_empty() && self.modes.iter().all(is_certain)
    }

    /// Returns whether the limit of asks was in the way.
    pub fn ran_out(&self) -> bool {
        self.modes.iter().any(|mode| {
            mode.trouble == Some(Trouble::NotAsked)
                || mode.needs.untold.iter().any(|(_, why)| *why == Untold::NotAsked)
        })
    }
}

fn learning(role: Role, asked: u32, about: u32) -> Event {
    Event::Learning { role, asked, about: about.max(asked) }
}
