//! A finding or a gate that nothing is broken for would go on being believed, whatever became of it.

use std::collections::BTreeSet;
use std::path::Path;

use judge::Verdict;
use judge::gates::Gate;

use super::*;

/// Pages that are about no single code.
const OTHER_PAGES: &[&str] = &["README", "contract"];

fn pages() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
    std::fs::read_dir(folder)
        .expect("docs/findings is there")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !OTHER_PAGES.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_code_is_made_or_said_not_to_be() {
    let made: BTreeSet<String> =
        cases().filter(|case| case.is_code()).map(|case| case.expect.to_owned()).collect();
    let not_made: BTreeSet<String> = NOT_MADE.iter().map(|(code, _)| (*code).to_owned()).collect();
    let both: Vec<_> = made.intersection(&not_made).collect();
    assert!(both.is_empty(), "made, and said not to be: {both:?}");
    let all: BTreeSet<String> = made.union(&not_made).cloned().collect();
    let forgotten: Vec<_> = pages().difference(&all).cloned().collect();
    assert!(forgotten.is_empty(), "no case, and not in NOT_MADE: {forgotten:?}");
    let unknown: Vec<_> = all.difference(&pages()).cloned().collect();
    assert!(unknown.is_empty(), "codes without a page in docs/findings: {unknown:?}");
}

#[test]
fn every_gate_is_turned_red_ambiguous_and_green() {
    for gate in Gate::ALL {
        for verdict in [Verdict::Fail, Verdict::Ambiguous, Verdict::Pass] {
            let turns =
                |case: &&Case| (case.gate == gate || case.everywhere) && case.verdict == verdict;
            assert!(cases().any(|case| turns(&case)), "nothing turns {gate:?} {verdict:?}");
        }
    }
}
