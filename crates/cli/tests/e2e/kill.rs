//! A drill that is killed or interrupted: the route is back, nothing of it runs on, its evidence is whole, and the next drill
//! puts right what is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Done, LONG, Plan, Project, wait_until};

/// How soon after the end of a drill users get answers from `rollback` alone: the router notices at once, this machine may not.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// More records than a drill that takes over another one writes.
const RECORDS_MAX: u64 = 60;

/// Chains of killed drills side by side: a drill mostly waits.
const CHAINS: u64 = 4;

#[test]
fn after_kill_at_any_journal_record_the_next_drill_takes_over() {
    std::thread::scope(|scope| {
        for chain in 1..=CHAINS {
            scope.spawn(move || kill_again_and_again(chain));
        }
    });
}

/// Drills, killed after record n, n + 4, n + 8, … until one is through before it is killed. Each takes over the one before.
fn kill_again_and_again(first: u64) {
    let project = Plan::healthy().write();
    let mut was_proven = false;
    let mut to_take_over = false;
    let mut n = first;
    loop {
        assert!(n < RECORDS_MAX, "a drill of {n} records is still killed");
        let number = n.to_string();
        let drilled =
            project.run(&["drill", "--yes", "--format", "json", "--kill-after-record", &number]);
        let context = format!("killed after record {n}: {drilled}");
        assert_eq!(project.orphans(), vec![], "{context}");
        project.assert_route_is_back();
        project.assert_intact();
        if to_take_over {
            assert!(drilled.err().contains("took over the lease"), "{context}");
        }
        if drilled.code.is_some() {
            assert_eq!(drilled.code, Some(0), "{context}");
            assert!(n > 15, "a drill writes more records than {n}: {context}");
            return;
        }
        assert_eq!(drilled.signal, Some(9), "{context}");
        was_proven = was_proven || drilled.err().contains("step 7");
        let asked = project.run(&["can", "promote", "--format", "json"]);
        // What a killed drill has not proven is not proven.
        assert!(was_proven || asked.code == Some(11), "{context}\n{asked}");
        to_take_over = true;
        n += CHAINS;
    }
}

#[test]
fn unfinished_drill_is_named_by_the_one_that_takes_it_over() {
    let project = Plan::healthy().write();
    // The record of the shift: traffic was about to be moved.
    let killed = project.run(&["drill", "--yes", "--kill-after-record", "5"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    let drilled = project.drill(0);
    let json = drilled.json();
    let findings = json["findings"].as_array().cloned().unwrap_or_default();
    assert!(findings.iter().any(|finding| finding["code"] == "drill-taken-over"), "{drilled}");
}

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
fn drill_beside_a_serving_router_costs_users_no_answer() {
    let project = Plan::healthy().write();
    let served =
        with_users(&project, || project.start(&["drill", "--yes", "--format", "json"]).finish());
    assert_eq!(served.failures, Vec::<String>::new(), "beside {} answers", served.answers.len());
    assert_eq!(served.drill.code, Some(0), "{}", served.drill);
    assert!(
        served.answers.contains(&"2.4.0".to_owned()),
        "no user ever met `new`: {:?}",
        served.answers
    );
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

#[test]
fn interrupted_drill_beside_a_serving_router_costs_users_no_answer() {
    let project = Plan::healthy().write();
    let served = with_users(&project, || {
        let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
        assert!(drill.says("step 4"), "{}", drill.said());
        drill.signal(Signal::INT);
        drill.finish()
    });
    assert_eq!(served.failures, Vec::<String>::new(), "beside {} answers", served.answers.len());
    assert_ne!(served.drill.code, Some(0), "{}", served.drill);
}

#[test]
fn panic_button_takes_the_route_from_a_drill() {
    let mut plan = Plan::healthy();
    // `new` serves one ask of a hundred: there is time to press the button.
    plan.step = 1;
    let project = plan.write();
    let served = with_users(&project, || {
        let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
        assert!(drill.says("step 4"), "{}", drill.said());
        let pressed = project.run(&["route", "set", "rollback"]);
        assert_eq!(pressed.code, Some(0), "{pressed}");
        project.assert_route_is_back();
        drill.finish()
    });
    assert_ne!(served.drill.code, Some(0), "{}", served.drill);
    project.assert_intact();
}

#[test]
fn second_drill_at_the_same_time_is_refused() {
    let project = Plan::healthy().write();
    let mut first = project.start(&["drill", "--yes", "--format", "json"]);
    assert!(first.says("step 0"), "{}", first.said());
    let second = project.run(&["drill", "--yes", "--format", "json"]);
    assert_eq!(second.code, Some(11), "{second}");
    assert!(second.err().contains("another drill"), "{second}");
    assert!(second.err().contains("is running: process "), "{second}");
    assert!(second.err().contains(", since 20"), "{second}");
    assert!(second.err().contains("end it with `kill "), "{second}");
    let first = first.finish();
    assert_eq!(first.code, Some(0), "{first}");
    assert_eq!(project.orphans(), vec![]);
    project.assert_route_is_back();
}

#[test]
fn check_beside_a_drill_takes_no_evidence_from_it() {
    let project = Plan::healthy().write();
    let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
    assert!(drill.says("step 1"), "{}", drill.said());
    // It plans, and is not done before the drill is.
    let mut check = project.start(&["check", "--jobs", "1"]);
    assert!(check.says("step 1"), "{}", check.said());
    let drill = drill.finish();
    assert_eq!(drill.code, Some(0), "{drill}");
    let check = check.finish();
    assert_eq!(check.code, Some(0), "{check}");
    project.assert_route_is_back();
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
