//! The helpers for end-to-end tests, with a shell in surestep's place.

use std::path::Path;
use std::time::Duration;

use testkit::{Finished, Form, Pair, Project, SdkRelease, Stack};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn exit_code_and_json_are_handed_over() {
    let (_project, finished) =
        run(r#"echo '{"decision":"hold"}'; echo working >&2; exit 10"#, LONG);
    assert_eq!(finished.exit_code, Some(10));
    assert_eq!(finished.json()["decision"], "hold");
    assert_eq!(finished.stderr, b"working\n");
}

#[test]
fn blocking_findings_are_found_wherever_they_stand() {
    let (_project, finished) = run(
        r#"echo '{"findings":[{"code":"hung","severity":"fail","release":"new","probe":"stall","mode":"stream"},
                  {"code":"hung","severity":"fail","release":"new","probe":"stall","mode":"unary"},
                  {"code":"quota-retried","severity":"warn","release":"new"}],
             "gates":[{"reasons":[{"code":"stale","severity":"ambiguous","release":null}]}]}'"#,
        LONG,
    );
    let texts = |code: &str, release: &str, probe: &str| {
        (code.to_owned(), release.to_owned(), probe.to_owned())
    };
    assert_eq!(
        finished.blocking_findings(),
        [texts("hung", "new", "stall"), texts("stale", "", "")]
    );
}

#[test]
fn run_that_does_not_end_is_ended_with_all_its_children() {
    let (project, finished) = run("sleep 60 & sleep 60", Duration::from_millis(300));
    assert!(!finished.in_time);
    assert_eq!(finished.exit_code, None);
    assert_eq!(project.orphans(), []);
}

#[test]
fn child_left_behind_is_found() {
    let (project, finished) = run("setsid sleep 60 >/dev/null 2>&1 & echo $!", LONG);
    let orphans = project.orphans();
    assert_eq!(orphans.len(), 1, "{orphans:?} {finished}");
    let pid = i32::try_from(orphans[0].pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(project.orphans(), []);
}

#[test]
fn credential_in_output_or_file_is_a_leak() {
    let (project, finished) = run("exit 0", LONG);
    assert_eq!(project.leaks(&finished, &[]), []);
    let key = std::fs::read(project.secrets().join("provider-key")).unwrap();
    std::fs::write(project.folder().join("ledger.db"), [b"\x00\x01".as_slice(), &key].concat())
        .unwrap();
    let wrote = Finished { stdout: key, ..finished };
    let places: Vec<String> =
        project.leaks(&wrote, &[]).into_iter().map(|leak| leak.place).collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].ends_with("ledger.db") && places[1] == "standard output", "{places:?}");
}

fn run(script: &str, limit: Duration) -> (Project, Finished) {
    let naive = SdkRelease::new(Stack::PythonNaive, Form::Command);
    let project =
        Pair::new(naive.clone(), naive).write().expect("the naive client needs no environment");
    let finished = project.run(Path::new("/bin/sh"), &["-c", script], limit);
    (project, finished)
}
