//! What surestep answers: exit codes, JSON, annotations, and why stored evidence does not count any more.

use std::fs;

use serde_json::Value;

use crate::support::{Done, LONG, Plan, Project, Release, plain_folder, wait_until};

/// Asks whether the pair may be promoted; the exit code is 11, and a reason says so.
#[track_caller]
fn not_any_more(project: &Project, reason: &str) {
    let asked = project.run(&["can", "promote", "--format", "json"]);
    assert_eq!(asked.code, Some(11), "{asked}");
    assert_eq!(asked.json()["decision"], "hold", "{asked}");
    assert!(asked.json()["gates"].to_string().contains(reason), "no {reason:?}: {asked}");
}

#[test]
fn evidence_counts_only_for_what_it_is_about() {
    let scripts = tempfile::tempdir().expect("a temporary folder");
    let script = scripts.path().join("service.py");
    let source =
        fs::read_to_string(plain_folder().join("service.py")).expect("the plain service is there");
    fs::write(&script, &source).expect("the script is written");
    let new =
        Release::plain("2.4.0").key("directory", &format!("\"{}\"", scripts.path().display()));
    let project = Plan::with_new(new).write();

    not_any_more(&project, "no evidence");
    let drilled = project.drill(0);
    let may_promote = || {
        let asked = project.run(&["can", "promote", "--format", "json"]);
        assert_eq!(asked.code, Some(0), "{asked}");
        asked
    };
    assert_is_result(&may_promote(), "promote_small_step");
    assert_is_result(&drilled, "promote_small_step");
    let asked = project.run(&["can", "roll-back", "--format", "json"]);
    assert_eq!(asked.code, Some(0), "{asked}");
    assert_is_result(&asked, "promote_small_step");
    let shown = project.run(&["can", "roll-back"]).out();
    assert!(shown.starts_with("\nyes  the way back is proven; "), "{shown}");

    for (from, to, reason) in [
        ("version: \"2.4.0\"", "version: \"2.4.1\"", "another version of `new`"),
        ("version: \"2.3.1\"", "version: \"2.3.2\"", "another version of `rollback`"),
        ("env_port: PORT", "env_port: PORTAL", "another way to run it, or build, of `new`"),
        ("model: test-model", "model: other-model", "another configuration"),
        ("step: 50", "step: 51", "another configuration"),
        ("/choices/0/message/content", "/choices/0/finish_reason", "another contract"),
        ("environment: test", "environment: production", "no evidence"),
    ] {
        project.edit(from, to);
        not_any_more(&project, reason);
        project.configure();
    }
    may_promote();

    fs::write(&script, source + "\n# A build that nobody has smoked.\n")
        .expect("the script is written");
    not_any_more(&project, "of `new`");
    fs::write(&script, fs::read(plain_folder().join("service.py")).expect("it is there"))
        .expect("the script is written");
    may_promote();

    // What the script imports, and what it is to be run with, belong to the build as well; what it writes does not.
    for (file, counts) in
        [("lib/prompts.py", true), ("requirements.txt", true), ("state.json", false)]
    {
        let file = scripts.path().join(file);
        fs::create_dir_all(file.parent().expect("it has a folder")).expect("the folder is made");
        fs::write(&file, "{}").expect("the file is written");
        if counts {
            not_any_more(&project, "another way to run it, or build, of `new`");
        } else {
            may_promote();
        }
        fs::remove_file(&file).expect("the file is removed");
    }

    fs::write(project.beside().join("key"), "another-key-0123456789abcdef")
        .expect("the key is written");
    not_any_more(&project, "another credential of `new`");
    fs::write(project.beside().join("key"), &project.plan.key).expect("the key is written");
    may_promote();

    project.edit("ledger:", "gates: { max_age: 1s }\nledger:");
    assert!(wait_until(LONG, || project.run(&["can", "promote"]).code == Some(11)));
    not_any_more(&project, "stale");
    let asked = project.run(&["can", "roll-back"]);
    assert_eq!(asked.code, Some(11), "{asked}");
    assert!(asked.out().starts_with("\nno  the way back is not proven: "), "{asked}");
}

/// A result has every field that programs may count on.
#[track_caller]
fn assert_is_result(done: &Done, decision: &str) {
    let json = done.json();
    let at =
        |pointer: &str| json.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {done}"));
    assert_eq!(at("/schema_version"), 1);
    assert_eq!(at("/decision"), decision, "{done}");
    assert_eq!(at("/exit_code").as_i64(), done.code.map(i64::from), "{done}");
    let gates = at("/gates").as_array().expect("gates is a list");
    let names: Vec<&str> = gates.iter().filter_map(|gate| gate["gate"].as_str()).collect();
    assert_eq!(
        names,
        [
            "contract_reviewed",
            "new_release_smoke",
            "rollback_release_smoke",
            "negative_auth",
            "observability",
            "rollback_switch_drill",
        ]
    );
    for gate in gates {
        assert!(is_verdict(&gate["verdict"]) && gate["reasons"].is_array(), "{gate}");
    }
    for (role, version) in [("new", "2.4.0"), ("rollback", "2.3.1")] {
        let release = at(&format!("/releases/{role}"));
        assert_eq!(release["version"], version);
        assert!(is_verdict(&release["verdict"]), "{release}");
        for probe in release["probes"].as_array().expect("probes is a list") {
            for field in ["id", "mode", "request_type", "lane", "outcome"] {
                assert!(probe[field].is_string(), "no {field} in {probe}");
            }
            assert!(
                is_verdict(&probe["verdict"])
                    && probe["attempts"].is_u64()
                    && probe["findings"].is_array(),
                "{probe}"
            );
        }
    }
    for finding in at("/findings").as_array().expect("findings is a list") {
        for field in ["code", "severity", "expected", "seen", "advice"] {
            assert!(finding[field].is_string(), "no {field} in {finding}");
        }
        for field in ["release", "probe", "mode"] {
            assert!(finding.get(field).is_some(), "no {field} in {finding}");
        }
    }
    assert!(at("/steps").is_array());
    assert!(
        at("/not_asserted").as_array().is_some_and(|all| all.contains(&Value::from("latency"))),
        "{done}"
    );
    if json["command"] != "check" {
        assert_eq!(at("/route/share"), &serde_json::json!({ "new": 0, "rollback": 100 }), "{done}");
    }
    if json["command"] == "drill" {
        let steps: Vec<u64> = at("/steps")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|step| step["step"].as_u64())
            .collect();
        assert_eq!(steps, [0, 1, 2, 3, 4, 5, 6, 7], "{done}");
    }
}

fn is_verdict(value: &Value) -> bool {
    matches!(value.as_str(), Some("pass" | "fail" | "ambiguous"))
}

#[test]
fn check_of_one_release() {
    let project = Plan::healthy().write();
    let checked = project.run(&["check", "--release", "new", "--format", "json"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    assert_is_result(&checked, "hold");
    let json = checked.json();
    assert_eq!(json["releases"]["rollback"]["probes"], serde_json::json!([]));
    let probes = json["releases"]["new"]["probes"].as_array().cloned().unwrap_or_default();
    assert!(probes.len() > 30, "{} probes", probes.len());
    let asked = project.run(&["can", "promote"]);
    assert_eq!(asked.code, Some(11), "{asked}");
    assert_eq!(project.run(&["can", "roll-back"]).code, Some(11));
}

#[test]
fn annotations_are_workflow_commands() {
    let project =
        Plan::with_new(Release::script("2.4.0", "leaky.py").env("LEAK", "stderr")).write();
    let done = project.run(&["check", "--release", "new", "--format", "github"]);
    assert_eq!(done.code, Some(10), "{done}");
    let out = done.out();
    for line in out.lines() {
        let is_command = ["::error title=", "::warning title=", "::notice title="]
            .iter()
            .any(|lead| line.starts_with(lead));
        assert!(is_command, "{line}");
    }
    assert!(out.contains("::error title=log-leaks-credential::new, "), "{done}");
    assert!(
        out.lines().last().is_some_and(|line| line.starts_with("::error title=surestep hold::")),
        "{done}"
    );
}

#[test]
fn misspelt_key_is_shown_with_its_line() {
    let project = Plan::healthy().write();
    project.edit("    deadline: 30s", "    deadlin: 30s");
    let text = fs::read_to_string(project.config()).expect("the configuration is there");
    let line = text.lines().position(|line| line.contains("deadlin:")).expect("it is there") + 1;
    for command in [
        &["drill", "--yes"][..],
        &["check"],
        &["can", "promote"],
        &["route", "show"],
        &["evidence", "verify"],
        &["doctor"],
    ] {
        let done = project.run(command);
        assert_eq!(done.code, Some(2), "{done}");
        let shown = done.out() + &done.err();
        assert!(shown.contains("deadlin") && shown.contains("deadline"), "{done}");
        assert!(shown.contains(&line.to_string()), "line {line} is not named: {done}");
    }
    assert!(
        !project.folder().join(".surestep").exists(),
        "a broken configuration left something behind"
    );
}

#[test]
fn traffic_is_not_moved_without_consent() {
    let project = Plan::healthy().write();
    for command in [&["drill"][..], &["route", "set", "new=5"]] {
        let done = project.run(command);
        assert_eq!(done.code, Some(2), "{done}");
        assert!(done.err().contains("--yes"), "{done}");
    }
    project.assert_route_is_back();
    // The panic button is never asked about.
    let done = project.run(&["route", "set", "rollback"]);
    assert_eq!(done.code, Some(0), "{done}");
}

#[test]
fn drill_refuses_while_traffic_is_on_new() {
    let project = Plan::healthy().write();
    let set = project.run(&["route", "set", "new=5", "--yes", "--format", "json"]);
    assert_eq!(set.code, Some(0), "{set}");
    let drilled = project.run(&["drill", "--yes", "--format", "json"]);
    assert_ne!(drilled.code, Some(0), "{drilled}");
    assert!(drilled.out().contains("route-not-on-rollback"), "{drilled}");
    assert_eq!(project.orphans(), vec![], "{drilled}");
}

#[test]
fn panic_button_works_with_a_broken_configuration() {
    let project = Plan::healthy().write();
    project.run(&["route", "set", "new=5", "--yes"]);
    let config = project.folder().join("surestep.yaml");
    let broken =
        std::fs::read_to_string(&config).expect("the configuration") + "\nservce: misspelt\n";
    std::fs::write(&config, broken).expect("the configuration");
    let moved = project.run(&["route", "set", "rollback", "--format", "json"]);
    assert_eq!(moved.code, Some(0), "{moved}");
    assert_eq!(moved.json()["share"]["rollback"], 100, "{moved}");
    let forward = project.run(&["route", "set", "new=5", "--yes"]);
    assert_eq!(forward.code, Some(2), "{forward}");
}
