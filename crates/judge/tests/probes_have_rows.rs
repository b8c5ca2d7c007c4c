//! The table of docs/probes.md says of each probe what the catalogue says: a reader who plans by the page must not be misled.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use contract::{Mode, Surface};
use judge::catalogue::{Depth, plan};
use judge::judging::ReleaseKind;
use judge::{Attempts, Expect, PlanContext, Probe};

/// What a row says, in the words of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    group: String,
    modes: String,
    outcome: String,
    attempts: String,
}

fn plan_of(
    depth: Depth,
    mode: Mode,
    surface: Surface,
    own_port: bool,
    unary_as_well: bool,
) -> Vec<Probe> {
    let of = |kind| {
        let widest = PlanContext::widest(surface);
        plan(depth, mode, &PlanContext { own_port, unary_as_well, kind, ..widest })
    };
    let mut all = of(ReleaseKind::Application);
    for probe in of(ReleaseKind::Gateway) {
        if !all.iter().any(|known| known.id == probe.id) {
            all.push(probe);
        }
    }
    all
}

/// Returns whether some plan of a kind has a probe.
fn has(id: &str, depth: Depth, mode: Mode, unary_as_well: bool) -> bool {
    [Surface::Chat, Surface::Responses].iter().any(|surface| {
        [true, false].iter().any(|own_port| {
            plan_of(depth, mode, *surface, *own_port, unary_as_well)
                .iter()
                .any(|probe| probe.id == id)
        })
    })
}

fn modes(id: &str) -> String {
    let usual = |mode| has(id, Depth::Default, mode, true);
    let thorough = |mode| has(id, Depth::Thorough, mode, true);
    let alone = has(id, Depth::Default, Mode::Stream, false);
    let letters = |unary, stream| match (unary, stream) {
        (true, true) => "us",
        (true, false) => "u",
        (false, true) => "s",
        (false, false) => "",
    };
    match (usual(Mode::Unary), usual(Mode::Stream)) {
        (true, false) if alone => "u(s)".to_owned(),
        (false, false) => {
            format!("{} *thorough*", letters(thorough(Mode::Unary), thorough(Mode::Stream)))
        }
        (false, true) if thorough(Mode::Unary) => "s, u *thorough*".to_owned(),
        (unary, stream) => letters(unary, stream).to_owned(),
    }
}

fn row(probe: &Probe) -> Row {
    let outcome = match probe.expect {
        Expect::Answer => "answer",
        Expect::AnswerOrWarn => "answer (warn)",
        Expect::Refusal => "refusal",
        Expect::RefusalOrWarn => "refusal (warn)",
        Expect::AnyOutcome => "any",
        Expect::Nobody => "nobody",
    };
    let attempts = match probe.attempts {
        Attempts::One => "one",
        Attempts::OneOrWarn => "one (warn)",
        Attempts::Policy => "policy",
        Attempts::PolicyAfterFloor => "policy, floor",
        Attempts::PolicyAfterFloorOrWarn => "policy, floor (warn)",
        Attempts::Recovers => "at least two",
    };
    let lane = if probe.stimulus.is_live() { " *live*" } else { "" };
    Row {
        group: probe.group.to_owned(),
        modes: format!("{}{lane}", modes(probe.id)),
        outcome: outcome.to_owned(),
        attempts: attempts.to_owned(),
    }
}

/// The page names in brackets what else a row depends on (a surface, a provider, a kind of release); a plan shows that only by leaving
/// it out.
fn without_brackets(mode: &str) -> String {
    let mut text = mode.to_owned();
    while let Some(at) = text.find(" (")
        && let Some(length) = text.get(at..).and_then(|rest| rest.find(')'))
    {
        text.replace_range(at..=at + length, "");
    }
    text
}

#[test]
fn every_probe_has_its_row_and_every_row_its_probe() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/probes.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut listed = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, group, modes, _stimulus, outcome, attempts, why] = cells.as_slice() else {
            panic!("{line} has not seven cells");
        };
        assert!(!why.is_empty(), "{id} has no reason");
        let row = Row {
            group: (*group).to_owned(),
            modes: without_brackets(modes),
            outcome: (*outcome).to_owned(),
            attempts: (*attempts).to_owned(),
        };
        let earlier = listed.insert(id.trim_matches('`').to_owned(), row);
        assert!(earlier.is_none(), "{id} stands twice");
    }
    let mut planned = BTreeMap::new();
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            for own_port in [true, false] {
                for probe in plan_of(Depth::Thorough, mode, surface, own_port, true) {
                    planned.insert(probe.id.to_owned(), row(&probe));
                }
            }
        }
    }
    compare(&listed, &planned);
}

/// Names the first difference: two long maps side by side help nobody.
#[track_caller]
fn compare(listed: &BTreeMap<String, Row>, planned: &BTreeMap<String, Row>) {
    for (id, row) in planned {
        assert_eq!(listed.get(id), Some(row), "the row of {id}");
    }
    for id in listed.keys() {
        assert!(planned.contains_key(id), "{id} is in no plan");
    }
}
