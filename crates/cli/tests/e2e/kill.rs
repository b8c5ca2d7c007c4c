//! A drill that is killed or interrupted: the route is back, nothing of it runs on, its evidence is whole, and the next drill
//! puts right what is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Done, LONG, Plan, Project, wait_until};

/// How soon after the end of a drill users get answers from `rollback` alone: the router notices at once, this machine may not.
const BACK_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn killed_from_outside_at_any_moment() {
    let moments = ["", "step 0", "step 3", "step 4", "step 5", "step 6"];
    std::thread::scope(|scope| {
        for moment in moments {
            scope.spawn(move || {
                let project = Plan::healthy().write();
                let mut drill = project.start(&["drill", "--yes"]);
                drill.says(moment);
                drill.signal(Signal::KILL);
                let killed = drill.done();
                assert_eq!(project.orphans(), vec![], "killed after {moment:?}: {killed}");
                project.assert_route_is_back();
                if project.ledger().exists() {
                    project.assert_intact();
                }
            });
        }
    });
}

#[test]
fn interrupted_before_traffic_moved_is_a_hold_and_after_that_a_rollback() {
    std::thread::scope(|scope| {
        scope.spawn(|| interrupt(Signal::INT, "step 0", 11));
        scope.spawn(|| interrupt(Signal::TERM, "step 0", 11));
        scope.spawn(|| interrupt(Signal::INT, "step 4", 20));
    });
}

fn interrupt(signal: Signal, moment: &str, code: i32) {
    let project = Plan::healthy().write();
    let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
    assert!(drill.says(moment), "{}", drill.said());
    drill.signal(signal);
    assert!(drill.ends_within(LONG), "{}", drill.said());
    let done = drill.done();
    assert_eq!(done.code, Some(code), "interrupted after {moment:?}: {done}");
    let decision = if code == 20 { "rollback" } else { "hold" };
    assert_eq!(done.json()["decision"], decision, "{done}");
    assert!(done.out().contains("\"interrupted\""), "{done}");
    assert_eq!(project.orphans(), vec![], "{done}");
    project.assert_route_is_back();
    project.assert_intact();
    let asked = project.run(&["can", "promote"]);
    assert_ne!(asked.code, Some(0), "{asked}");
}

#[test]
fn killed_drill_beside_a_serving_router_leaves_users_on_rollback() {
    std::thread::scope(|scope| {
        for moment in ["step 3", "step 4", "step 5"] {
            scope.spawn(move || {
                let project = Plan::healthy().write();
                with_users(&project, || {
                    let mut drill = project.start(&["drill", "--yes"]);
                    assert!(drill.says(moment), "{}", drill.said());
                    drill.signal(Signal::KILL);
                    drill.done()
                });
            });
        }
    });
}

/// What users saw while something happened.
struct Served {
    drill: Done,
    /// The versions that answered, in order.
    answers: Vec<String>,
    failures: Vec<String>,
}

/// Runs a router of its own, with users on it all the time; afterwards they are all on `rollback`.
fn with_users(project: &Project, drill: impl FnOnce() -> Done) -> Served {
    let mut router = project.start(&["route", "serve"]);
    assert!(router.says("router on"), "{}", router.said());
    assert!(wait_until(LONG, || version(project).as_deref() == Ok("2.3.1")), "{}", router.said());
    let over = AtomicBool::new(false);
    let (drill, seen) = std::thread::scope(|scope| {
        let users = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::SeqCst) {
                seen.push(version(project));
            }
            seen
        });
        let drill = drill();
        project.assert_route_is_back();
        over.store(true, Ordering::SeqCst);
        (drill, users.join().expect("users do not panic"))
    });
    let mut in_a_row = 0;
    let is_back = wait_until(BACK_WITHIN, || {
        in_a_row = if version(project).as_deref() == Ok("2.3.1") { in_a_row + 1 } else { 0 };
        in_a_row == 10
    });
    assert!(is_back, "users are not on `rollback` after: {drill}");
    router.signal(Signal::INT);
    assert!(router.ends_within(LONG), "{}", router.said());
    assert_eq!(project.orphans(), vec![]);
    let (answers, failures): (Vec<_>, Vec<_>) = seen.into_iter().partition(Result::is_ok);
    Served {
        drill,
        answers: answers.into_iter().filter_map(Result::ok).collect(),
        failures: failures.into_iter().filter_map(Result::err).collect(),
    }
}

/// Asks as a user and returns the version that answered.
fn version(project: &Project) -> Result<String, String> {
    let reply = project.ask_as_user()?;
    if reply["answer"].is_string() {
        Ok(reply["version"].as_str().unwrap_or_default().to_owned())
    } else {
        Err(reply.to_string())
    }
}
