//! Faults of the machine, the ledger and the provider: a reason that can be acted on, and never a promotion.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use crate::support::{BadProvider, LONG, Plan, Project, Release, port};

#[test]
fn taken_route_address_is_named() {
    let project = Plan::healthy().write();
    let taken =
        TcpListener::bind((Ipv4Addr::LOCALHOST, project.route_port)).expect("the port is free");
    let drilled = project.run(&["drill", "--yes", "--format", "json"]);
    assert_eq!(drilled.code, Some(11), "{drilled}");
    assert_eq!(drilled.json()["decision"], "hold", "{drilled}");
    assert!(
        drilled.json()["error"]["advice"]
            .as_str()
            .is_some_and(|advice| advice.contains("ss -ltnp")),
        "{drilled}"
    );
    assert!(drilled.err().contains(&format!("127.0.0.1:{}", project.route_port)), "{drilled}");
    assert_eq!(project.orphans(), vec![], "{drilled}");
    project.assert_route_is_back();
    drop(taken);
}

#[test]
fn ledger_that_cannot_be_written_holds_before_anything_is_done() {
    for ledger in ["contract.md/ledger.db", "folder"] {
        let project = Plan::healthy().write();
        fs::create_dir(project.folder().join("folder")).expect("a folder");
        project.edit("sqlite:.surestep/ledger.db", &format!("sqlite:{ledger}"));
        for command in [&["drill", "--yes"][..], &["check"]] {
            let done = project.run(&[command, &["--format", "json"]].concat());
            assert_eq!(done.code, Some(70), "{ledger}: {done}");
            assert_eq!(done.json()["decision"], "hold", "{done}");
            assert!(done.json()["error"]["advice"].is_string(), "{done}");
            assert_eq!(project.orphans(), vec![], "{done}");
        }
        let asked = project.run(&["can", "promote"]);
        assert!(matches!(asked.code, Some(11 | 70)), "{asked}");
    }
}

/// Takes the triggers off that keep a ledger append-only, changes it, and puts them back: what a determined hand would do.
const SQLITE: &str = "
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
triggers = c.execute(\"SELECT name, sql FROM sqlite_master WHERE type = 'trigger'\").fetchall()
for name, _ in triggers:
    c.execute('DROP TRIGGER ' + name)
print(c.execute(sys.argv[2]).rowcount)
for _, sql in triggers:
    c.execute(sql)
c.commit()
";

/// Does something to the ledger behind surestep's back.
fn sqlite(project: &Project, statement: &str) {
    let done = Command::new("python3")
        .args(["-c", SQLITE])
        .arg(project.ledger())
        .arg(statement)
        .output()
        .expect("python3 runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_ne!(done.stdout, b"0\n", "{statement} changed nothing");
}

#[test]
fn changed_ledger_is_found_and_not_built_on() {
    let project = Plan::healthy().write();
    let checked = project.run(&["check", "--release", "new"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    project.assert_intact();
    let whole = fs::read(project.ledger()).expect("the ledger is there");
    for damage in [
        "UPDATE records SET body = replace(body, '\"pass\"', '\"fail\"') WHERE seq = 2",
        "DELETE FROM records WHERE seq = 3",
        "DELETE FROM records WHERE seq = (SELECT max(seq) FROM records)",
    ] {
        fs::write(project.ledger(), &whole).expect("the ledger is put back");
        sqlite(&project, damage);
        let verified = project.run(&["evidence", "verify", "--format", "json"]);
        assert_eq!(verified.code, Some(10), "{damage}: {verified}");
        assert_eq!(verified.json()["intact"], false, "{damage}: {verified}");
        let asked = project.run(&["can", "promote"]);
        assert_ne!(asked.code, Some(0), "{damage}: {asked}");
        let drilled = project.run(&["drill", "--yes"]);
        assert_eq!(drilled.code, Some(70), "{damage}: {drilled}");
        assert_eq!(project.orphans(), vec![]);
        project.assert_route_is_back();
    }
}

#[test]
fn truncated_ledger_is_found_and_not_built_on() {
    let project = Plan::healthy().write();
    let checked = project.run(&["check", "--release", "new"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    let whole = fs::read(project.ledger()).expect("the ledger is there");
    for bytes in [whole.len() / 2, 5000, 100, 1] {
        for beside in ["ledger.db-wal", "ledger.db-shm"] {
            fs::remove_file(project.folder().join(".surestep").join(beside)).ok();
        }
        fs::write(project.ledger(), &whole[..bytes]).expect("the ledger is cut");
        let verified = project.run(&["evidence", "verify"]);
        assert!(matches!(verified.code, Some(10 | 70)), "{bytes} bytes: {verified}");
        let asked = project.run(&["can", "promote"]);
        assert!(matches!(asked.code, Some(10 | 11 | 70)), "{bytes} bytes: {asked}");
        let drilled = project.run(&["drill", "--yes"]);
        assert_eq!(drilled.code, Some(70), "{bytes} bytes: {drilled}");
        assert_eq!(project.orphans(), vec![]);
        project.assert_route_is_back();
    }
}

/// The file stays open and can be written; but nobody will ever find what is in it.
#[test]
fn ledger_that_is_deleted_in_the_middle_of_a_drill_lets_nothing_pass() {
    std::thread::scope(|scope| {
        for moment in ["step 0", "step 4", "step 7"] {
            scope.spawn(move || {
                let project = Plan::healthy().write();
                let mut drill = project.start(&["drill", "--yes"]);
                assert!(drill.says(moment), "{}", drill.said());
                fs::remove_file(project.ledger()).expect("the ledger is there");
                assert!(drill.ends_within(LONG), "{}", drill.said());
                let done = drill.done();
                assert_eq!(done.code, Some(70), "after {moment}: {done}");
                assert!(done.err().contains("was deleted, moved or replaced"), "{done}");
                assert_eq!(project.orphans(), vec![], "{done}");
                project.assert_route_is_back();
            });
        }
    });
}

#[test]
fn ledger_that_another_process_locks_is_named() {
    let project = Plan::healthy().write();
    let checked = project.run(&["check", "--release", "new"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    let mut locker = Command::new("python3")
        .args(["-c", "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()"])
        .arg(project.ledger())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut line = String::new();
    let stdout = locker.stdout.take().expect("standard output is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it says that it locked");
    assert_eq!(line, "locked\n");
    let drilled = project.run(&["drill", "--yes", "--format", "json"]);
    assert_eq!(drilled.code, Some(70), "{drilled}");
    assert!(drilled.err().contains("lock"), "{drilled}");
    assert_eq!(project.orphans(), vec![], "{drilled}");
    project.assert_route_is_back();
    locker.kill().expect("it can be ended");
    locker.wait().expect("it ends");
    // Nothing of it stays.
    let checked = project.run(&["check", "--release", "new"]);
    assert_eq!(checked.code, Some(0), "{checked}");
}

/// Drills a healthy pair against a provider; the exit code is 11, with this finding about both releases.
#[track_caller]
fn not_the_release(base_url: &str, finding: &str) {
    let project = Plan::healthy().provider_at(base_url).write();
    let drilled = project.drill(11);
    for release in ["new", "rollback"] {
        let codes = drilled.codes(Some(release));
        assert!(codes.contains(&finding.to_owned()), "no {finding} in {codes:?}: {drilled}");
    }
    let json = drilled.json();
    let failed = json["findings"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["severity"] == "fail"));
    assert!(!failed, "a provider's trouble is laid at a release's door: {drilled}");
}

#[test]
fn provider_that_is_down() {
    not_the_release(&format!("http://127.0.0.1:{}/v1", port()), "provider-unreachable");
}

#[test]
fn provider_that_is_none() {
    std::thread::scope(|scope| {
        for (how, finding) in [
            ("html", "provider-reply-off-contract"),
            ("garbage", "provider-reply-off-contract"),
            ("responses", "provider-reply-off-contract"),
        ] {
            scope.spawn(move || {
                let provider = BadProvider::start(how);
                not_the_release(&provider.base_url(), finding);
            });
        }
    });
}

#[test]
fn provider_that_takes_any_key() {
    let provider = BadProvider::start("any-key");
    not_the_release(&provider.base_url(), "stimulus-not-applied");
}

#[test]
fn provider_of_ours_that_is_good() {
    // Shows that the others fail for the reason they are meant to fail for.
    let provider = BadProvider::start("good");
    Plan::healthy().provider_at(&provider.base_url()).write().drill(0);
}

#[test]
fn provider_that_goes_down_while_traffic_is_moved() {
    let provider = BadProvider::start("good");
    let mut plan = Plan::healthy().provider_at(&provider.base_url());
    // `new` serves one ask of a hundred: there is time for the provider to end.
    plan.step = 1;
    let project = plan.write();
    let mut drill = project.start(&["drill", "--yes", "--format", "json"]);
    assert!(drill.says("step 4"), "{}", drill.said());
    drop(provider);
    assert!(drill.ends_within(LONG), "{}", drill.said());
    let done = drill.done();
    let json = done.json();
    assert_ne!(json["decision"], "promote_small_step", "{done}");
    let of = |severity: &str| -> Vec<&str> {
        let all = json["findings"].as_array().into_iter().flatten();
        all.filter(|one| one["severity"] == severity)
            .filter_map(|one| one["code"].as_str())
            .collect()
    };
    assert!(of("ambiguous").contains(&"provider-unreachable"), "{done}");
    assert_eq!(
        of("fail"),
        Vec::<&str>::new(),
        "a provider's trouble is laid at a release's door: {done}"
    );
    project.assert_route_is_back();
}

#[test]
fn missing_key_of_the_control_is_a_matter_of_configuration() {
    let mut plan = Plan::healthy();
    plan.provider_key = "env:E2E_NO_SUCH_KEY".to_owned();
    let project = plan.write();
    for command in [&["drill", "--yes"][..], &["check"]] {
        let done = project.run(command);
        assert_eq!(done.code, Some(2), "{done}");
        assert!(done.err().contains("E2E_NO_SUCH_KEY"), "{done}");
    }
    let done = project.run_with(&["check", "--release", "new"], &[("E2E_NO_SUCH_KEY", "  ")]);
    assert_eq!(done.code, Some(2), "{done}");
}

#[test]
fn missing_secret_of_a_release_is_its_failure() {
    let project = Plan::with_new(Release::plain("2.4.0").secret("env:E2E_NO_SUCH_SECRET")).write();
    let checked = project.run(&["check", "--release", "new", "--format", "json"]);
    assert_eq!(checked.code, Some(10), "{checked}");
    assert_eq!(checked.codes(Some("new")), ["credential-missing"], "{checked}");
}

#[test]
fn rejected_secret_of_a_release_is_its_failure() {
    let project = Plan::with_new(Release::plain("2.4.0").secret("env:E2E_ROTATED")).write();
    let drilled = project.run_with(
        &["drill", "--yes", "--format", "json"],
        &[("E2E_ROTATED", "rotated-away-0123456789")],
    );
    assert_eq!(drilled.code, Some(10), "{drilled}");
    assert!(drilled.codes(Some("new")).contains(&"credential-rejected".to_owned()), "{drilled}");
}

#[test]
fn an_answer_that_cannot_be_written_is_named() {
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let done = Command::new(env!("CARGO_BIN_EXE_surestep"))
        .arg("schema")
        .stdout(full)
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(error.contains("the answer could not be written"), "{error}");
}
