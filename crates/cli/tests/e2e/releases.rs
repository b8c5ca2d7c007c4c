//! Releases that misbehave as processes: a named finding, the route on `rollback`, nothing left running.

use std::time::Duration;

use crate::support::{Done, LONG, Plan, Project, Release, wait_until};

fn faulty(fault: &str) -> Release {
    Release::script("2.4.0", "faulty.py").env("FAULT", fault)
}

/// How its command is started when there is nothing to be ready for.
const READY_SOON: &str =
    r#"ready_within: 5s, ask: { post: /ask, json: { question: "{prompt}" }, answer: /answer }"#;

fn service(command: &str) -> String {
    format!("{{ service: {command}, env_port: PORT, ready: /healthz, {READY_SOON} }}")
}

/// Drills a pair whose `new` is this one, and asserts that it is held, and by which finding.
#[track_caller]
fn held(new: Release, finding: &str) -> Done {
    let project = Plan::with_new(new).write();
    let drilled = project.run(&["drill", "--yes", "--format", "json"]);
    let processes = project.orphans();
    assert_eq!(processes, vec![], "{drilled}");
    project.assert_route_is_back();
    project.assert_intact();
    let codes = drilled.codes(Some("new"));
    assert!(codes.contains(&finding.to_owned()), "no {finding} in {codes:?}: {drilled}");
    assert_eq!(drilled.json()["decision"], "hold", "{drilled}");
    assert!(matches!(drilled.code, Some(10 | 11)), "{codes:?}: {drilled}");
    drilled
}

#[test]
fn release_that_cannot_be_started() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            held(
                Release::plain("2.4.0").key("run", &service("[no-such-program-anywhere]")),
                "release-did-not-start",
            );
        });
        scope.spawn(|| {
            // A file that is there and is no program.
            let run = service("[\"./service.py\"]");
            held(Release::plain("2.4.0").key("run", &run), "release-did-not-start");
        });
        scope.spawn(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let gone = folder.path().join("gone").display().to_string();
            let project =
                Plan::with_new(Release::plain("2.4.0").key("directory", &format!("\"{gone}\"")))
                    .write();
            let drilled = project.run(&["drill", "--yes"]);
            assert_eq!(drilled.code, Some(2), "{drilled}");
            assert!(drilled.err().contains("`releases.new.directory`"), "{drilled}");
            assert_eq!(project.orphans(), vec![], "{drilled}");
        });
    });
}

#[test]
fn release_that_does_not_get_ready() {
    std::thread::scope(|scope| {
        for (fault, finding) in [
            ("exits-at-once", "release-exited"),
            ("exits-with-children", "release-exited"),
            ("never-ready", "release-not-ready"),
            ("never-answers-ready", "release-not-ready"),
        ] {
            scope.spawn(move || {
                let release = faulty(fault).key("run", &service("[python3, faulty.py]"));
                let drilled = held(release, finding);
                if fault == "exits-at-once" {
                    // What it said last helps whoever has to mend it.
                    assert!(drilled.out().contains("the database is not there"), "{drilled}");
                }
            });
        }
    });
}

#[test]
fn release_that_dies_when_it_is_asked() {
    let drilled = held(faulty("dies-when-asked"), "crashed");
    assert!(
        drilled.json()["releases"]["new"]["probes"]
            .as_array()
            .is_some_and(|probes| !probes.is_empty())
    );
}

/// One ask ends the service; what the others would have made of it is found out on a fresh start, and said of none of them.
#[test]
fn only_the_ask_that_ended_the_service_is_blamed() {
    let drilled = held(faulty("dies-of-a-refused-key"), "crashed");
    let findings = drilled.json()["findings"].as_array().cloned().unwrap_or_default();
    let blocking: Vec<_> = findings
        .iter()
        .filter(|finding| finding["severity"] == "fail" || finding["severity"] == "ambiguous")
        .map(|finding| (&finding["code"], &finding["probe"]))
        .collect();
    assert_eq!(blocking, [(&"crashed".into(), &"auth-invalid-credential".into())], "{drilled}");
}

#[test]
fn release_that_is_ready_no_more_when_it_met_an_error() {
    let drilled = held(faulty("red"), "release-not-ready");
    assert!(drilled.out().contains("/healthz answered 500"), "{drilled}");
}

/// One instance of it at a time: the one that runs has to end before another starts.
#[test]
fn release_that_can_run_once_only_is_started_afresh() {
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().join("state").display().to_string();
    let rollback = Release::script("2.3.1", "faulty.py");
    let rollback = rollback.env("FAULT", "runs-once").env("STATE", &state);
    Plan { rollback, ..Plan::healthy() }.write().drill(0);
}

/// What `new` leaves behind as it ends is what `rollback` finds when it starts.
#[test]
fn state_that_is_written_at_the_end_of_new_is_found() {
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().join("state").display().to_string();
    let release = |version, fault| {
        Release::script(version, "faulty.py").env("FAULT", fault).env("STATE", &state)
    };
    let new = release("2.4.0", "writes-state-at-its-end");
    let plan = Plan { rollback: release("2.3.1", "reads-state"), ..Plan::with_new(new) };
    let project = plan.write();
    let drilled = project.drill(20);
    let codes = drilled.codes(Some("rollback"));
    assert_eq!(codes, ["release-exited", "rollback-broken-by-new"], "{drilled}");
}

#[test]
fn release_that_ignores_the_request_to_end_is_ended() {
    let project = Plan::with_new(faulty("ignores-sigterm")).write();
    project.drill(0);
}

#[test]
fn children_that_live_on_are_ended() {
    std::thread::scope(|scope| {
        scope.spawn(|| Plan::with_new(faulty("forks")).write().drill(0));
        scope.spawn(|| {
            let run = "{ command: [sh, -c, \"sleep 600 & setsid sleep 600 & exit 1\", \"{prompt}\"], prompt: arg, answer: stdout }";
            let project = Plan::with_new(Release::plain("2.4.0").key("run", run)).write();
            let drilled = project.run(&["drill", "--yes", "--format", "json"]);
            assert!(matches!(drilled.code, Some(10 | 11)), "{drilled}");
            assert_eq!(project.orphans(), vec![], "{drilled}");
            project.assert_route_is_back();
        });
    });
}

#[test]
fn release_that_floods_its_log_costs_no_memory() {
    let project = Plan::with_new(faulty("loud")).write();
    let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
    let mut peak_kb = 0;
    assert!(wait_until(LONG, || {
        peak_kb = drill.peak_kb().unwrap_or(0).max(peak_kb);
        drill.ends_within(Duration::ZERO)
    }));
    let drilled = drill.done();
    // What it wrote is more than is kept: whether its log is good cannot be told.
    assert!(matches!(drilled.code, Some(0 | 11)), "{drilled}");
    assert!((1..200_000).contains(&peak_kb), "{peak_kb} kB for a log of 100 MB");
    assert_eq!(project.orphans(), vec![], "{drilled}");
    project.assert_route_is_back();
}

#[test]
fn both_releases_are_named_when_both_fail() {
    let broken = faulty("exits-at-once").key("run", &service("[python3, faulty.py]"));
    let mut plan = Plan::with_new(broken.clone());
    plan.rollback = broken.key("version", "\"2.3.1\"");
    let project: Project = plan.write();
    let checked = project.run(&["check", "--format", "json"]);
    assert_eq!(checked.code, Some(10), "{checked}");
    for release in ["new", "rollback"] {
        assert!(checked.codes(Some(release)).contains(&"release-exited".to_owned()), "{checked}");
    }
}

#[test]
fn release_that_cannot_be_asked_is_a_failure_for_the_drill_as_for_the_check() {
    std::thread::scope(|scope| {
        let broken = Release::plain("2.4.0").key("run", &service("[no-such-program-anywhere]"));
        let keyless = Release::plain("2.4.0").secret("env:E2E_NO_SUCH_SECRET");
        for (new, finding) in [(broken, "release-did-not-start"), (keyless, "credential-missing")] {
            scope.spawn(move || {
                let project = Plan::with_new(new).write();
                let checked = project.run(&["check", "--release", "new", "--format", "json"]);
                assert_eq!(checked.code, Some(10), "{checked}");
                assert_eq!(checked.codes(Some("new")), [finding], "{checked}");
                let drilled = project.drill(10);
                // The gate tells what to mend, not only that probes are missing.
                assert!(drilled.gate("new_release_smoke").1.contains(finding), "{drilled}");
            });
        }
    });
}

/// Each is fine by itself: only beside the other release does it show.
#[test]
fn release_that_treats_its_callers_otherwise_than_the_other_is_held() {
    std::thread::scope(|scope| {
        for (fault, finding) in [
            ("page", "pair-reply-type-differs"),
            ("escapes", "pair-answer-escaped"),
            ("one-by-one", "asks-wait-for-each-other"),
            ("looks-well", "pair-refusal-looks-well"),
        ] {
            scope.spawn(move || {
                let drilled = held(faulty(fault), finding);
                assert_eq!(drilled.codes(Some("new")), [finding], "{drilled}");
            });
        }
    });
}

/// What it turns away beside other asks counts for nothing, and what it turns away alone does not pass for that.
#[test]
fn service_that_fails_each_tenth_user_by_itself_is_held() {
    held(faulty("tenth"), "refused-unprovoked");
}

#[test]
fn fallback_that_is_declared_and_never_called_is_held() {
    let new = Release::plain("2.4.0").key("fallback_models", "[another-model]");
    held(new, "fallback-not-used");
}

const ASKED_WITH_A_TOKEN: &str = r#"{ service: [python3, limited.py], env_port: PORT, ready: /healthz, ready_within: 90s, ask: { post: /ask, json: { question: "{prompt}" }, headers: { Authorization: "Bearer {secret:COMETAPI_API_KEY}" }, answer: /answer } }"#;

/// A stalled ask keeps its worker for the two seconds of the plain service's deadline: an ask behind it has to wait, or is turned away. A breaker
/// turns away whoever comes behind three faults. A log with a buffer is written every three seconds. Callers need a token. Users
/// who come through the route too fast are told so.
#[test]
fn service_with_a_limit_of_its_own_is_promoted() {
    std::thread::scope(|scope| {
        for limit in ["workers", "shedding", "breaker", "late-log", "callers", "rate"] {
            scope.spawn(move || {
                let mut new = Release::script("2.4.0", "limited.py").env("LIMIT", limit);
                if limit == "callers" {
                    new = new.key("run", ASKED_WITH_A_TOKEN);
                }
                let project = Plan::with_new(new).write();
                let drilled = project.drill(0);
                assert_eq!(drilled.codes(Some("new")), Vec::<String>::new(), "{limit}: {drilled}");
            });
        }
    });
}
