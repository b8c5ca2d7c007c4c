//! Releases on the official SDKs, old majors and new ones: healthy pairs are promoted, and each common defect is held for its own
//! reason, on the side that has it.

use std::path::Path;
use std::time::Duration;

use testkit::{Form, Pair, Project, SdkRelease, Stack};

const SURESTEP: &str = env!("CARGO_BIN_EXE_surestep");

/// A drill of two services takes a quarter of a minute on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(400);

fn service(stack: Stack) -> SdkRelease {
    SdkRelease::new(stack, Form::Service)
}

fn write(new: SdkRelease, rollback: SdkRelease) -> Project {
    Pair::new(new, rollback).write().expect("the environments are installed by `cargo xtask test`")
}

/// Drills a healthy pair: promoted, and nothing left behind.
#[track_caller]
fn promoted(new: SdkRelease, rollback: SdkRelease) {
    let project = write(new, rollback);
    let done = project.run(Path::new(SURESTEP), &["drill", "--yes", "--format", "json"], LIMIT);
    assert_eq!(done.exit_code, Some(0), "{done}");
    assert_eq!(done.json()["decision"], "promote_small_step", "{done}");
    assert_eq!(done.json()["route"]["share"]["rollback"], 100, "{done}");
    assert_eq!(project.orphans(), []);
    assert_eq!(project.leaks(&done, &[]), []);
}

/// Checks a pair of which one release is broken: held, with this finding about that release, and with none that blames the other.
#[track_caller]
fn held(new: SdkRelease, rollback: SdkRelease, code: i32, finding: &str, release: &str) {
    let project = write(new, rollback);
    let done = project.run(Path::new(SURESTEP), &["check", "--format", "json"], LIMIT);
    assert_eq!(done.exit_code, Some(code), "{done}");
    let blocking = done.blocking_findings();
    let is_wanted = |(code, of, _): &(String, String, String)| code == finding && of == release;
    assert!(blocking.iter().any(is_wanted), "no {finding} of {release}: {blocking:#?}\n{done}");
    let other = if release == "new" { "rollback" } else { "new" };
    let blamed: Vec<_> = blocking.iter().filter(|(_, of, _)| of == other).collect();
    assert!(blamed.is_empty(), "{blamed:#?}");
    assert_eq!(project.orphans(), []);
    assert_eq!(project.leaks(&done, &[]), []);
}

/// The defect in `new`, on the newest Python SDK.
#[track_caller]
fn held_new(defect: &str, code: i32, finding: &str) {
    let new = service(Stack::PythonOpenai3).defect(defect);
    held(new, service(Stack::NodeOpenai7), code, finding, "new");
}

/// The defect in `rollback`, on the old Node SDK.
#[track_caller]
fn held_rollback(defect: &str, code: i32, finding: &str) {
    let rollback = service(Stack::NodeOpenai4).defect(defect);
    held(service(Stack::PythonOpenai3), rollback, code, finding, "rollback");
}

#[test]
fn healthy_services_on_the_newest_sdks_are_promoted() {
    promoted(service(Stack::PythonOpenai3), service(Stack::NodeOpenai7));
}

#[test]
fn healthy_services_on_old_majors_are_promoted() {
    promoted(service(Stack::NodeOpenai4), service(Stack::PythonOpenai1));
}

#[test]
fn healthy_services_that_leave_retries_to_the_sdk_are_promoted() {
    promoted(
        service(Stack::PythonOpenai3).defect("stock"),
        service(Stack::NodeOpenai7).defect("stock"),
    );
}

#[test]
fn healthy_command_beside_a_service_is_promoted() {
    promoted(SdkRelease::new(Stack::NodeOpenai7, Form::Command), service(Stack::PythonOpenai3));
}

#[test]
fn new_is_right_but_rollback_has_a_rotated_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = folder.path().join("old-key");
    std::fs::write(&old, "sk-rotated-away-0123456789abcdef").expect("a file");
    let secrets = format!("{{ COMETAPI_API_KEY: \"file:{}\" }}", old.display());
    let rollback = service(Stack::PythonOpenai1).setting("secrets", &secrets);
    held(service(Stack::PythonOpenai3), rollback, 10, "credential-rejected", "rollback");
}

#[test]
fn new_is_right_but_the_secret_of_rollback_is_gone() {
    let secrets = "{ COMETAPI_API_KEY: \"env:SURESTEP_TEST_NO_SUCH_VARIABLE\" }";
    let rollback = service(Stack::PythonOpenai1).setting("secrets", secrets);
    held(service(Stack::PythonOpenai3), rollback, 10, "credential-missing", "rollback");
}

#[test]
fn hardcoded_model_on_either_side() {
    held_new("hardcoded-model", 10, "wrong-model");
    held_rollback("hardcoded-model", 10, "wrong-model");
}

#[test]
fn rollback_parser_that_fails_after_an_upgrade() {
    held_rollback("parser-needs-optional-field", 10, "tolerated-variation-refused");
}

#[test]
fn retries_of_what_cannot_help() {
    held_new("retries-400", 10, "non-retryable-retried");
    held_rollback("retry-storm", 10, "retry-budget-exceeded");
}

#[test]
fn logs_that_an_incident_review_cannot_use() {
    held_new("logs-without-version", 10, "log-version-missing");
    held_rollback("logs-without-route", 10, "log-route-missing");
}

#[test]
fn logs_that_show_too_much() {
    held_new("logs-secret-base64", 10, "log-leaks-credential");
    held_rollback("logs-prompt", 10, "log-leaks-prompt");
}

#[test]
fn stream_that_is_broken_while_unary_works() {
    held_new("accepts-truncated-stream", 10, "incomplete-reply-accepted");
    held_rollback("stream-broken", 11, "not-observed");
}

#[test]
fn errors_that_become_answers() {
    held_new("swallows-error", 10, "error-became-answer");
    held_rollback("accepts-length", 10, "incomplete-reply-accepted");
}

#[test]
fn release_that_hangs() {
    held_new("no-deadline", 10, "hung");
}
