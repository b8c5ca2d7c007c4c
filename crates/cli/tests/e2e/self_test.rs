//! The self-test finds what is broken on purpose, and says so when it does not.

use crate::support::{Done, Plan};

#[track_caller]
fn self_test(arguments: &[&str], code: i32) -> Done {
    let project = Plan::healthy().write();
    let arguments = [&["self-test", "--format", "json"], arguments].concat();
    let done = project.run(&arguments);
    assert_eq!(done.code, Some(code), "{done}");
    assert_eq!(done.json()["schema_version"], 1, "{done}");
    assert_eq!(done.json()["passed"], code == 0, "{done}");
    done
}

#[test]
fn whole_self_test_finds_all_that_it_breaks() {
    let done = self_test(&[], 0);
    let n = done.json()["cases"].as_array().map_or(0, Vec::len);
    assert!(n > 90, "{n} cases: {done}");
}

/// With nothing broken there is nothing to be found: a self-test that passed here could not fail.
#[test]
fn self_test_fails_when_nothing_is_broken() {
    for code in ["answer-not-from-provider", "switch-not-effective", "contract-review-stale"] {
        let done = self_test(&["--only", code, "--spare", code], 70);
        for case in done.json()["cases"].as_array().expect("cases") {
            assert_eq!(case["problem"], format!("no finding {code}"), "{done}");
        }
    }
}

/// A surestep that does not find what it broke itself may promote nothing, until a self-test has passed again.
#[test]
fn failed_self_test_holds_every_run_until_it_passes() {
    let project = Plan::healthy().write();
    let self_test =
        |spare: &[&str]| project.run(&[&["self-test", "--only", "crashed"], spare].concat());
    assert_eq!(self_test(&["--spare", "crashed"]).code, Some(70));
    let held = project.drill(10);
    assert_eq!(held.json()["decision"], "hold", "{held}");
    let codes = |done: &Done| {
        let findings = done.json()["findings"].as_array().cloned().unwrap_or_default();
        findings
            .iter()
            .map(|finding| finding["code"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(codes(&held).contains(&"self-test-failed".to_owned()), "{held}");
    let checked = project.run(&["check", "--format", "json"]);
    assert_eq!(checked.code, Some(10), "{checked}");
    assert!(codes(&checked).contains(&"self-test-failed".to_owned()), "{checked}");
    let doctor = project.run(&["doctor"]);
    assert!(doctor.out().contains("not found: crashed"), "{doctor}");
    assert_eq!(self_test(&[]).code, Some(0));
    project.drill(0);
}
