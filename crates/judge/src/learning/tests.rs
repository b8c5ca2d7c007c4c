//! The search against releases whose needs are known.

use std::collections::BTreeSet;

use contract::change::{Change, Place, changes};
use contract::reply::{ReplyContext, full};
use contract::{Mode, Profile, Surface};
use proptest::prelude::*;

use super::*;

/// A release that needs some fields by themselves, and one of each of some sets.
#[derive(Clone, Debug, Default)]
struct Oracle {
    needs: BTreeSet<usize>,
    one_of: Vec<BTreeSet<usize>>,
}

impl Oracle {
    fn minds(&self, set: &[usize]) -> bool {
        set.iter().any(|index| self.needs.contains(index))
            || self.one_of.iter().any(|one_of| one_of.iter().all(|index| set.contains(index)))
    }

    fn effect(&self, set: &[usize]) -> Effect {
        if self.minds(set) { Effect::Refused } else { Effect::Same }
    }
}

/// Asks until all is told.
fn search(cells: &[Cell], mut ask: impl FnMut(&[usize]) -> Effect) -> (Found, usize) {
    let mut answers = Answers::default();
    let mut n_asks = 0;
    loop {
        match next(cells, &answers) {
            Next::Done(found) => return (found, n_asks),
            Next::Ask(questions) => {
                for question in questions {
                    n_asks += 1;
                    assert!(n_asks < 100_000, "the search does not end");
                    let effect = ask(&question);
                    answers.take(question, effect);
                }
            }
        }
    }
}

fn breaking(found: &Found) -> BTreeSet<usize> {
    let breaks = |told: &Told| matches!(told, Told::Breaks(_));
    found.told.iter().filter(|(_, told)| breaks(told)).map(|(index, _)| *index).collect()
}

fn listed(surface: Surface, mode: Mode) -> Vec<Change> {
    let ctx = ReplyContext {
        surface,
        profile: Profile::Openai,
        model: "m",
        text: "a text of some length",
        id: "id",
        request_id: "r",
        created: 1,
        include_usage: true,
    };
    changes(surface, &full(&ctx, mode))
}

/// One cell of so many changes, asked each by itself or all at once first.
fn cell(n: usize, grouping: Grouping) -> Vec<Cell> {
    let firsts = match grouping {
        Grouping::Each => (0..n).map(|index| vec![index]).collect(),
        Grouping::Together => vec![(0..n).collect()],
    };
    vec![Cell { firsts, all_together: true }]
}

fn oracles() -> impl Strategy<Value = (usize, Oracle)> {
    (2..40_usize).prop_flat_map(|n| {
        let needs = prop::collection::btree_set(0..n, 0..6);
        let one_of = prop::collection::vec(prop::collection::btree_set(0..n, 2..4), 0..3);
        (Just(n), needs, one_of).prop_map(|(n, needs, mut one_of)| {
            one_of.retain(|set| set.len() > 1);
            (n, Oracle { needs, one_of })
        })
    })
}

proptest! {
    /// Exactly what is needed by itself is found; each reported set is true and smallest; without one of each set, and
    /// without what is needed, everything else is taken together.
    #[test]
    fn every_need_is_found_and_nothing_else((n, oracle) in oracles(), each in any::<bool>()) {
        let grouping = if each { Grouping::Each } else { Grouping::Together };
        let (found, _) = search(&cell(n, grouping), |set| oracle.effect(set));
        prop_assert_eq!(breaking(&found), oracle.needs.clone());
        prop_assert_eq!(found.told.len(), n);
        for (set, _) in &found.together {
            prop_assert!(oracle.minds(set));
            for left_out in set {
                let rest: Vec<usize> = set.iter().copied().filter(|i| i != left_out).collect();
                prop_assert!(!oracle.minds(&rest), "{set:?} is not smallest");
            }
        }
        let dropped: BTreeSet<usize> = found.together.iter().map(|(set, _)| set[0]).collect();
        let rest: Vec<usize> =
            (0..n).filter(|i| !oracle.needs.contains(i) && !dropped.contains(i)).collect();
        prop_assert!(!oracle.minds(&rest));
        let is_hidden = |set: &BTreeSet<usize>| set.iter().any(|i| oracle.needs.contains(i));
        prop_assert_eq!(found.together.is_empty(), oracle.one_of.iter().all(is_hidden));
        prop_assert!(found.together_untold.is_empty());
    }

    /// A few needs among many fields take far fewer asks together than each by itself.
    #[test]
    fn asking_together_takes_few_asks(needs in prop::collection::btree_set(0..128_usize, 0..4)) {
        let oracle = Oracle { needs: needs.clone(), one_of: Vec::new() };
        let (found, asks) = search(&cell(128, Grouping::Together), |set| oracle.effect(set));
        prop_assert_eq!(breaking(&found), needs.clone());
        // Two halves at each of seven levels, and one more look at what is found; the root and the rest together.
        prop_assert!(asks <= 2 + needs.len() * 15, "{asks} asks for {needs:?}");
    }

    /// A release that does not always do the same is told from one that does: nothing is claimed that was seen once only.
    #[test]
    fn nothing_flaky_is_claimed((n, oracle) in oracles(), trouble in prop::collection::btree_set(0..60_usize, 0..8)) {
        let mut asked = 0;
        let (found, _) = search(&cell(n, Grouping::Each), |set| {
            asked += 1;
            if trouble.contains(&asked) { Effect::Hung } else { oracle.effect(set) }
        });
        for (index, told) in &found.told {
            match told {
                Told::Breaks(_) => prop_assert!(oracle.needs.contains(index) || trouble.len() > 1),
                Told::Taken => prop_assert!(!oracle.needs.contains(index)),
                Told::Untold(why) => prop_assert_eq!(*why, Untold::Flaky),
            }
        }
    }

    /// However early the asks run out: what is claimed is true, and the rest is said not to be known.
    #[test]
    fn nothing_is_claimed_without_an_ask((n, oracle) in oracles(), limit in 0..30_usize) {
        let cells = cell(n, Grouping::Together);
        let mut answers = Answers::default();
        let mut asks = 0;
        let found = loop {
            match next(&cells, &answers) {
                Next::Done(found) => break found,
                Next::Ask(questions) => for question in questions {
                    if asks == limit { answers.close(); break; }
                    asks += 1;
                    let effect = oracle.effect(&question);
                    answers.take(question, effect);
                }
            }
        };
        prop_assert_eq!(found.told.len(), n);
        for (index, told) in &found.told {
            match told {
                Told::Breaks(_) => prop_assert!(oracle.needs.contains(index)),
                Told::Taken => prop_assert!(!oracle.needs.contains(index)),
                Told::Untold(why) => prop_assert_eq!(*why, Untold::NotAsked),
            }
        }
    }
}

#[test]
fn no_two_changes_of_a_cell_lie_inside_each_other() {
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            for grouping in [Grouping::Each, Grouping::Together] {
                let changes = listed(surface, mode);
                let cells = cells(&changes, surface, mode, grouping);
                let mut all: Vec<usize> = Vec::new();
                for cell in &cells {
                    let inside: Vec<usize> = cell.firsts.concat();
                    for (a, b) in inside.iter().flat_map(|a| inside.iter().map(move |b| (a, b))) {
                        let (a, b) = (&changes[*a], &changes[*b]);
                        assert_eq!(a.kind, b.kind);
                        if let (Place::Field(a), Place::Field(b)) = (&a.place, &b.place) {
                            let hides = !b.contains("x_unknown") && super::cell::is_inside(a, b);
                            assert!(!hides, "{a} in {b}");
                        }
                    }
                    all.extend(inside);
                }
                all.sort_unstable();
                assert_eq!(all, (0..changes.len()).collect::<Vec<_>>());
            }
        }
    }
}

/// A release as code would have it: whether it answers, given the reply that the changes leave.
fn needs_of(
    mode: Mode,
    grouping: Grouping,
    answers: impl Fn(&serde_json::Value) -> bool,
) -> (Needs, usize) {
    let changes = listed(Surface::Chat, mode);
    let ctx = ReplyContext {
        surface: Surface::Chat,
        profile: Profile::Openai,
        model: "m",
        text: "a text of some length",
        id: "id",
        request_id: "r",
        created: 1,
        include_usage: true,
    };
    let (found, n_asks) = search(&cells(&changes, Surface::Chat, mode, grouping), |set| {
        let picked: Vec<Change> = set.iter().map(|index| changes[*index].clone()).collect();
        let mut reply = full(&ctx, mode);
        reply.apply(&picked);
        let contract::change::WholeReply::Unary(document) = reply else { panic!("unary") };
        if answers(&document) { Effect::Same } else { Effect::Refused }
    });
    (Needs::of(&changes, &found, Surface::Chat, mode), n_asks)
}

fn lines(needs: &Needs) -> Vec<String> {
    let need = |field: &FieldNeed| {
        let minds: Vec<&str> = field
            .reactions
            .iter()
            .filter(|reaction| reaction.effect != Effect::Same)
            .map(|reaction| reaction.kind.as_str())
            .collect();
        match &field.need {
            Need::Always => format!("{}: {}", field.place, minds.join(" ")),
            Need::Inside(outer) => format!("{} inside {outer}: {}", field.place, minds.join(" ")),
            Need::Never => format!("({}): {}", field.place, minds.join(" ")),
        }
    };
    needs.fields.iter().map(need).collect()
}

fn content(reply: &serde_json::Value) -> bool {
    reply.pointer("/choices/0/message/content").is_some_and(serde_json::Value::is_string)
}

#[test]
fn needs_are_read_field_by_field() {
    for grouping in [Grouping::Each, Grouping::Together] {
        let (needs, _) = needs_of(Mode::Unary, grouping, |reply| {
            let usage = reply.get("usage");
            content(reply)
                // Reads a field of usage where there is usage, as many do.
                && usage.is_none_or(|usage| usage.is_null() || usage.get("total_tokens").is_some_and(serde_json::Value::is_u64))
                // Minds null and not absence.
                && reply.get("system_fingerprint").is_none_or(|value| !value.is_null())
        });
        assert_eq!(
            lines(&needs),
            [
                "/choices/0/message/content: delete null retype rename",
                "(/usage): retype",
                "/usage/total_tokens inside /usage: delete null retype rename",
                "(/system_fingerprint): null",
            ]
        );
        assert_eq!(
            needs.required_fields().collect::<Vec<_>>(),
            ["/choices/0/message/content"],
            "what may be missing with its object is not required"
        );
        assert_eq!((needs.together, needs.untold, needs.additions), (vec![], vec![], vec![]));
    }
}

#[test]
fn an_object_that_is_needed_by_itself_shows() {
    let (needs, _) = needs_of(Mode::Unary, Grouping::Together, |reply| {
        content(reply) && reply.get("usage").is_some_and(serde_json::Value::is_object)
    });
    assert_eq!(
        needs.required_fields().collect::<Vec<_>>(),
        ["/choices/0/message/content", "/usage"]
    );
}

#[test]
fn one_of_two_fields_is_found_with_both_ways_of_asking() {
    for grouping in [Grouping::Each, Grouping::Together] {
        let (needs, _) = needs_of(Mode::Unary, grouping, |reply| {
            content(reply)
                && (reply.get("id").is_some() || reply.get("system_fingerprint").is_some())
        });
        let place = |pointer: &str| Place::Field(pointer.to_owned());
        let expected = vec![place("/id"), place("/system_fingerprint")];
        assert_eq!(needs.together, [(expected, Effect::Refused)]);
        assert_eq!(needs.required_fields().collect::<Vec<_>>(), ["/choices/0/message/content"]);
    }
}

#[test]
fn a_strict_reader_minds_what_is_unknown() {
    let (needs, _) = needs_of(Mode::Unary, Grouping::Together, |reply| {
        content(reply) && reply.get("x_unknown").is_none()
    });
    assert_eq!(needs.additions, [(Place::Field("/x_unknown".to_owned()), Effect::Refused)]);
}

/// The estimate that is shown before a run is about right for an ordinary release.
#[test]
fn an_ordinary_release_takes_about_the_expected_asks() {
    for (grouping, most) in [(Grouping::Each, 260), (Grouping::Together, 90)] {
        let changes = listed(Surface::Chat, Mode::Unary);
        let (_, n_asks) = needs_of(Mode::Unary, grouping, |reply| {
            content(reply) && reply.pointer("/choices/0/finish_reason").is_some_and(|r| r == "stop")
        });
        let expected = asks_expected(&changes, Surface::Chat, Mode::Unary, grouping);
        assert!(n_asks.abs_diff(expected) <= expected / 4, "{n_asks}, expected {expected}");
        assert!(n_asks < most, "{n_asks} asks");
    }
}
