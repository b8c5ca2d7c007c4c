//! The slice of the detection benchmark that every test run makes: each defect is held for its own reason, each healthy release is
//! promoted, and ten random changes of a healthy program, none of which has a name anywhere, are held as well.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use testkit::detection::{Manifest, Row, State, drill_rows};

const SURESTEP: &str = env!("CARGO_BIN_EXE_surestep");

fn manifest(name: &str) -> Manifest {
    let path = testkit::workspace_root().join("bench/detection").join(name);
    Manifest::read(&path).expect("the manifest is part of the workspace")
}

/// Drills the slice of a manifest, and returns the rows of it that did not end as they must.
fn wrong(name: &str) -> Vec<String> {
    let manifest = manifest(name);
    let rows: Vec<Row> = manifest.rows.iter().filter(|row| row.ci).cloned().collect();
    assert!(!rows.is_empty());
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(&folder.path().join("state"), true).expect("a state file");
    let wrong = Mutex::new(Vec::new());
    // Drills wait more than they work.
    drill_rows(Path::new(SURESTEP), &manifest, rows, &state, 4, |row, done| {
        let is_right = !row.is_defective() || done.for_the_right_reason(row);
        if !done.as_expected(row) || !is_right || !done.blamed(row).is_empty() {
            let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(format!("{}: {done:?}", row.name));
        }
    })
    .expect("each result is kept");
    wrong.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn slice_is_decided_as_it_must_be() {
    assert_eq!(wrong("manifest.json"), Vec::<String>::new());
}

#[test]
fn random_changes_of_a_healthy_program_are_held() {
    assert_eq!(wrong("mutants.json"), Vec::<String>::new());
}

#[test]
fn benchmark_is_as_large_as_it_says() {
    let rows = manifest("manifest.json").rows;
    let (defective, healthy): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_defective());
    assert!(healthy.len() >= 25 && defective.len() >= 100, "{} {}", healthy.len(), defective.len());
    let on_rollback = defective.iter().filter(|row| row.side.word() == "rollback").count();
    assert!(on_rollback * 5 > defective.len() * 2, "{on_rollback} of {}", defective.len());
}

#[test]
fn right_reasons_are_findings_that_exist() {
    let pages = testkit::workspace_root().join("docs/findings");
    let unknown: Vec<String> = (manifest("manifest.json").rows.iter())
        .flat_map(|row| row.codes().map(|code| format!("{code}.md")).collect::<Vec<_>>())
        .filter(|page| !pages.join(page).is_file())
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

/// Each publicly reported defect is drilled by rows that exist, or the table says why it is not.
#[test]
fn every_public_report_has_its_rows_or_a_reason() {
    let path = testkit::workspace_root().join("bench/detection/reports.tsv");
    let text = std::fs::read_to_string(path).expect("the table is part of the workspace");
    let manifest = manifest("manifest.json");
    let changes = manifest.changes();
    let families: BTreeSet<&str> =
        changes.iter().filter_map(|change| change.split(':').next()).collect();
    let mut wrong = Vec::new();
    for (number, line) in text.lines().skip(1).enumerate() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, _class, _thread, _defect, seen_by] = columns[..] else {
            panic!("five columns: {line}");
        };
        assert_eq!(id, format!("W{:03}", number + 1));
        let is_drilled = seen_by.split(':').next().is_some_and(|word| families.contains(word));
        let unknown = |name: &&str| is_drilled && !changes.contains(*name);
        wrong.extend(seen_by.split(", ").filter(unknown).map(|name| format!("{id}: {name}")));
        if seen_by.is_empty() {
            wrong.push(format!("{id}: neither rows nor a reason"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(text.lines().count(), 151);
}
