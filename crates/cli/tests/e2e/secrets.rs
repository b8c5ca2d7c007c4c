//! No secret, prompt or completion is written down, wherever a release or a provider puts it.

use std::fs;
use std::path::Path;

use crate::support::{BadProvider, Done, Plan, Project, Release, plain_folder, quoted};

/// Runs in every format; the last one is JSON.
fn check_in_all_formats(project: &Project) -> [Done; 3] {
    ["human", "github", "json"]
        .map(|format| project.run(&["check", "--release", "new", "--format", format]))
}

#[track_caller]
fn assert_clean(project: &Project, outputs: &[&Done]) {
    assert_eq!(project.leaks(outputs, &[]), vec![], "{}", outputs.last().expect("an output"));
    // Markers and labels of asks are parts of prompts and completions.
    for (place, bytes) in everything(project, outputs) {
        let text = String::from_utf8_lossy(&bytes);
        for beginning in ["ssm-", "SSL-"] {
            let found = text.match_indices(beginning).any(|(at, _)| {
                let rest = text.get(at + 4..).unwrap_or_default();
                rest.chars().take(12).filter(char::is_ascii_hexdigit).count() == 12
            });
            assert!(!found, "{beginning}… stands in {place}");
        }
    }
}

fn everything(project: &Project, outputs: &[&Done]) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = outputs
        .iter()
        .flat_map(|done| {
            [("stdout".to_owned(), done.stdout.clone()), ("stderr".to_owned(), done.stderr.clone())]
        })
        .collect();
    for entry in fs::read_dir(project.folder().join(".surestep"))
        .expect("the state folder is there")
        .flatten()
    {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            all.push((
                entry.path().display().to_string(),
                fs::read(entry.path()).expect("a file of the state can be read"),
            ));
        }
    }
    assert!(
        all.iter().any(|(place, bytes)| place.ends_with("ledger.db") && !bytes.is_empty()),
        "no ledger was looked at"
    );
    all
}

fn leaky(leak: &str) -> Release {
    Release::script("2.4.0", "leaky.py").env("LEAK", leak)
}

/// Checks a release with a leak; returns the codes that block it.
#[track_caller]
fn check(project: &Project, code: i32) -> Vec<String> {
    let done = project.run(&["check", "--release", "new", "--format", "json"]);
    assert_eq!(done.code, Some(code), "{done}");
    let evidence = project.run(&["evidence", "show", done.json()["run"].as_str().expect("a run")]);
    let listed = project.run(&["evidence", "list"]);
    let asked = project.run(&["can", "promote"]);
    assert!(matches!(asked.code, Some(10 | 11)), "{asked}");
    assert_clean(project, &[&evidence, &listed, &asked, &done]);
    project.assert_intact();
    done.codes(Some("new"))
}

#[test]
fn leaks_into_logs_are_found_and_not_repeated() {
    std::thread::scope(|scope| {
        for (leak, logs) in [
            ("stderr", "[stderr]"),
            ("stdout", "[stderr, stdout]"),
            ("stdout", "[stderr]"),
            ("file", "[stderr, \"file:LOG_FILE\"]"),
            ("traceback", "[stderr]"),
            ("base64", "[stderr]"),
            ("encoded", "[stderr]"),
        ] {
            scope.spawn(move || {
                let log = tempfile::tempdir().expect("a temporary folder");
                let file = log.path().join("app.log").display().to_string();
                let release = leaky(leak)
                    .key("logs", &logs.replace("LOG_FILE", &file))
                    .env("LOG_FILE", &file);
                let codes = check(&Plan::with_new(release).write(), 10);
                // A prompt carries the label that its completion consists of: the prompt alone explains both.
                for code in ["log-leaks-credential", "log-leaks-prompt"] {
                    assert!(codes.contains(&code.to_owned()), "{leak}: {codes:?}");
                }
            });
        }
    });
}

/// A leaky service in a folder of its own.
fn leaky_in(folder: &Path, leak: &str, file: &str) -> Release {
    let script = plain_folder().join("leaky.py").display().to_string();
    Release::service("2.4.0", &["python3", &script])
        .env("LEAK", leak)
        .env("LOG_FILE", file)
        .key("directory", &quoted(&folder.display().to_string()))
}

#[test]
fn leaks_into_files_that_nobody_named_are_found_and_not_repeated() {
    let log = &["log-leaks-credential", "log-leaks-prompt"][..];
    std::thread::scope(|scope| {
        for (leak, file, expected) in [
            ("file", "debug.log", log),
            ("file", "cache.json", &["file-holds-credential"]),
            ("sqlite", "", &["file-holds-credential"]),
        ] {
            scope.spawn(move || {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let release = leaky_in(folder.path(), leak, file);
                let codes = check(&Plan::with_new(release).write(), 10);
                assert_eq!(codes, expected, "{leak} {file}");
            });
        }
    });
}

#[test]
fn old_leak_in_a_log_that_is_added_to_is_a_warning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let release = leaky_in(folder.path(), "file-clean", "debug.log");
    let project = Plan::with_new(release).write();
    let old = format!("using key {}\n", project.plan.key);
    fs::write(folder.path().join("debug.log"), old).expect("a log is written");
    let done = project.run(&["check", "--release", "new", "--format", "json"]);
    let found = done.json();
    let seen: Vec<_> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["code"] == "log-leaks-credential")
        .map(|finding| (finding["severity"].clone(), finding["seen"].clone()))
        .collect();
    let expected = "debug.log has secret COMETAPI_API_KEY of new (plain, from before this run)";
    assert_eq!(seen, [("warn".into(), expected.into())], "{done}");
    assert_clean(&project, &[&done]);
}

#[test]
fn leak_at_the_end_of_a_service_is_found() {
    let project = Plan::with_new(leaky("end")).write();
    let drilled = project.drill(20);
    assert_eq!(drilled.codes(Some("new")), ["log-leaks-credential"], "{drilled}");
    assert_clean(&project, &[&drilled]);
}

#[test]
fn completion_alone_is_found_in_logs() {
    let codes = check(&Plan::with_new(leaky("completion")).write(), 10);
    assert_eq!(codes, ["log-leaks-completion"]);
}

#[test]
fn leaks_into_errors_shown_to_users_are_found_and_not_repeated() {
    std::thread::scope(|scope| {
        // What stands beside an answer, and over it, its user's side sees too.
        let beside = ["answer-beside", "reply-header"];
        for leak in
            ["error-body", "error-body-base64", "error-body-encoded"].into_iter().chain(beside)
        {
            scope.spawn(move || {
                let codes = check(&Plan::with_new(leaky(leak)).write(), 10);
                assert!(codes.contains(&"log-leaks-credential".to_owned()), "{leak}: {codes:?}");
            });
        }
    });
}

#[test]
fn leaks_onto_the_wire_are_not_kept() {
    std::thread::scope(|scope| {
        for leak in [
            "url",
            "header-value",
            "header-name",
            "user-agent",
            "user-agent-cut",
            "model",
            "model-cut",
            "field-name",
        ] {
            scope.spawn(move || {
                let project = Plan::with_new(leaky(leak)).write();
                let done = project.run(&["check", "--release", "new", "--format", "json"]);
                let evidence =
                    project.run(&["evidence", "show", done.json()["run"].as_str().expect("a run")]);
                assert_eq!(project.leaks(&[&evidence, &done], &[]), vec![], "{leak}: {done}");
                assert_clean(&project, &[&evidence, &done]);
                // The others are not looked at, and not kept.
                if ["url", "user-agent", "user-agent-cut", "model", "model-cut"].contains(&leak) {
                    assert_ne!(done.code, Some(0), "{leak}: {done}");
                }
            });
        }
    });
}

#[test]
fn what_a_provider_echoes_is_not_kept() {
    std::thread::scope(|scope| {
        for how in ["echo", "error-echo"] {
            scope.spawn(move || {
                let provider = BadProvider::start(how);
                let project = Plan::healthy().provider_at(&provider.base_url()).write();
                let outputs = check_in_all_formats(&project);
                let [human, github, json] = &outputs;
                let run = json.json()["run"].as_str().expect("a run").to_owned();
                let evidence = project.run(&["evidence", "show", &run, "--format", "json"]);
                // One document, however many records there are.
                let n_records = evidence.json()["records"].as_array().map(Vec::len);
                assert!(n_records > Some(1), "{evidence}");
                assert_clean(&project, &[human, github, &evidence, json]);
                assert_eq!(human.code, json.code, "{json}");
                assert_eq!(github.code, json.code, "{json}");
                assert_ne!(json.code, Some(0), "{json}");
            });
        }
    });
}

#[test]
fn release_that_prints_its_key_and_fails_to_start() {
    let project = Plan::with_new(leaky("start")).write();
    let outputs = check_in_all_formats(&project);
    let [human, github, json] = &outputs;
    assert_clean(&project, &[human, github, json]);
    assert_eq!([human.code, github.code, json.code], [Some(10); 3], "{json}");
    assert_eq!(json.codes(Some("new")), ["release-exited"], "{json}");
    let drilled = project.run(&["drill", "--yes", "--format", "json"]);
    assert_clean(&project, &[&drilled]);
}

#[test]
fn literal_secret_in_the_configuration_is_not_shown() {
    let project = Plan::healthy().write();
    let source = serde_json::Value::from(project.key_source()).to_string();
    let secret = "qJ8vTz3LmN5xWc7RbY2k";
    for literal in [secret.to_owned(), format!("sk-{secret}"), format!("env:sk-{secret}")] {
        project.configure();
        project.edit(&source, &literal);
        for format in ["human", "github", "json"] {
            for command in [
                &["drill", "--yes"][..],
                &["check"],
                &["doctor"],
                &["can", "promote"],
                &["route", "show"],
            ] {
                let done = project.run(&[command, &["--format", format]].concat());
                let shown = done.out() + &done.err();
                assert!(!shown.contains(secret), "{literal}: {done}");
            }
        }
    }
    project.configure();
    project.edit(
        "SUPPORT_MODEL: ",
        &format!("API_KEY: sk-{secret}, SUPPORT_MODLE: ${{NOT_SET}}, SUPPORT_MODEL: "),
    );
    for format in ["human", "github", "json"] {
        let done = project.run(&["check", "--format", format]);
        assert_eq!(done.code, Some(2), "{done}");
        assert!(!(done.out() + &done.err()).contains(secret), "{done}");
    }
}

#[test]
fn healthy_drill_keeps_no_prompt_and_no_answer() {
    let project = Plan::healthy().write();
    let drilled = project.drill(0);
    let evidence =
        project.run(&["evidence", "show", drilled.json()["run"].as_str().expect("a run")]);
    assert_clean(&project, &[&drilled, &evidence]);
}
