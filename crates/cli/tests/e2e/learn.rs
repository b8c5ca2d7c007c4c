//! `contract learn`: what was planted is found, exactly, and without a single call to a provider.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testkit::{Finished, Form, Pair, Project, ProviderAt, SdkRelease, Stack};

use crate::support::{Plan, Release};

const SURESTEP: &str = env!("CARGO_BIN_EXE_surestep");
const LIMIT: Duration = Duration::from_secs(400);

/// Nobody listens there: whatever would reach the provider fails.
fn nowhere() -> ProviderAt {
    ProviderAt::Url("http://127.0.0.1:9/v1".to_owned())
}

/// Nothing hangs here; a busy machine must not look as if it did.
fn patient(release: SdkRelease) -> SdkRelease {
    release
        .env("LLM_TIMEOUT", "20")
        .env("LLM_IDLE", "20")
        .env("LLM_DEADLINE", "30")
        .setting("deadline", "60s")
}

fn learn(project: &Project, further: &[&str]) -> Finished {
    let arguments = [&["contract", "learn", "--format", "json"], further].concat();
    let done = project.run(Path::new(SURESTEP), &arguments, LIMIT);
    assert_eq!(project.orphans(), [], "{done}");
    assert_eq!(project.leaks(&done, &[]), [], "{done}");
    done
}

/// What a release needs always, or together with what is round it, in one mode.
fn needs(json: &Value, role: &str, mode: &str) -> BTreeSet<String> {
    let modes = json["releases"][role]["modes"].as_array().expect("modes");
    let of_mode = modes.iter().find(|one| one["mode"] == mode).expect("the mode");
    let fields = of_mode["needs"].as_array().expect("needs").iter();
    fields
        .filter(|field| field["need"] != "never")
        .map(|field| field["field"].as_str().expect("a name").to_owned())
        .collect()
}

fn set(fields: &[&str]) -> BTreeSet<String> {
    fields.iter().map(|field| (*field).to_owned()).collect()
}

#[test]
fn needs_of_services_on_the_newest_sdks_are_found_exactly() {
    let service = |stack| patient(SdkRelease::new(stack, Form::Service));
    let new = service(Stack::PythonOpenai3)
        .env("NEEDS", "/usage/total_tokens /system_fingerprint /choices/0/logprobs");
    let rollback = service(Stack::NodeOpenai7).env("NEEDS", "/usage /id|/service_tier");
    let project = Pair::new(new, rollback).provider(nowhere()).write().expect("installed");
    let done = learn(&project, &[]);
    assert_eq!(done.exit_code, Some(0), "{done}");
    let json = done.json();
    let planted = ["/usage/total_tokens", "/system_fingerprint", "/choices/0/logprobs"];
    let unary = ["/choices/0/message/content", "/choices/0/finish_reason"];
    let stream = ["/choices/0/delta/content", "/choices/0/finish_reason"];
    assert_eq!(needs(&json, "new", "unary"), set(&[&planted[..], &unary].concat()), "{done}");
    assert_eq!(needs(&json, "new", "stream"), set(&[&planted[..], &stream].concat()), "{done}");
    assert_eq!(needs(&json, "rollback", "unary"), set(&[&["/usage"][..], &unary].concat()));
    assert_eq!(needs(&json, "rollback", "stream"), set(&[&["/usage"][..], &stream].concat()));
    for mode in json["releases"]["rollback"]["modes"].as_array().expect("modes") {
        let fields = mode["one_of"][0]["fields"].as_array().expect("one of two is needed");
        let fields = fields.iter().filter_map(|field| field.as_str().map(str::to_owned));
        assert_eq!(fields.collect::<BTreeSet<_>>(), set(&["/id", "/service_tier"]), "{done}");
    }
    let lines = json["required_fields"].as_array().expect("lines");
    let lines = lines.iter().filter_map(|line| line.as_str().map(str::to_owned));
    let expected = [&planted[..], &unary, &["/usage"]].concat();
    assert_eq!(lines.collect::<BTreeSet<_>>(), set(&expected), "{done}");
    let only_new = |field: &str| {
        let all = json["differences"].as_array().expect("differences");
        all.iter()
            .any(|one| one["field"] == field && one["only"] == "new" && one["mode"] == "unary")
    };
    assert!(planted.iter().all(|field| only_new(field)), "{done}");
}

#[test]
fn needs_of_a_command_are_found_with_few_asks() {
    let command = patient(SdkRelease::new(Stack::NodeOpenai7, Form::Command))
        .env("NEEDS", "/system_fingerprint");
    let pair = Pair::new(command, SdkRelease::new(Stack::PythonNaive, Form::Command));
    let project = pair.provider(nowhere()).modes(&["unary"]).write().expect("installed");
    let done = learn(&project, &["--check"]);
    // The configuration requires the content only.
    assert_eq!(done.exit_code, Some(10), "{done}");
    let json = done.json();
    let planted = "/system_fingerprint";
    let (content, finish) = ("/choices/0/message/content", "/choices/0/finish_reason");
    assert_eq!(needs(&json, "new", "unary"), set(&[planted, content, finish]), "{done}");
    assert_eq!(needs(&json, "rollback", "unary"), set(&[content]), "{done}");
    assert_eq!(json["configuration"]["lacks"], serde_json::json!([finish, planted]), "{done}");
    for role in ["new", "rollback"] {
        let release = &json["releases"][role];
        assert_eq!(release["asked"], "together", "{done}");
        let changes = release["modes"][0]["changes"].as_u64().expect("a number");
        assert!(release["asks"].as_u64().expect("a number") < changes * 3 / 4, "{done}");
    }
}

#[test]
fn a_service_that_dies_of_a_reply_is_started_again_and_blames_no_other_field() {
    let new = Release::script("2.4.0", "faulty.py").env("FAULT", "dies-without-usage");
    let project = Plan::with_new(new).provider_at("http://127.0.0.1:9/v1").write();
    let done = project.run(&["contract", "learn", "--release", "new", "--format", "json"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(project.orphans(), vec![], "{done}");
    let json = done.json();
    let expected = set(&["/choices/0/message/content", "/choices/0/finish_reason", "/usage"]);
    assert_eq!(needs(&json, "new", "unary"), expected, "{done}");
    let needs = json["releases"]["new"]["modes"][0]["needs"].as_array().expect("needs");
    for need in needs {
        let effect = if need["field"] == "/usage" { "crashed" } else { "refused" };
        assert_eq!(need["changes"]["delete"], effect, "{done}");
    }
}

#[test]
fn what_could_not_be_asked_is_not_claimed() {
    let project = Plan::healthy().provider_at("http://127.0.0.1:9/v1").write();
    let done = project.run(&[
        "contract",
        "learn",
        "--release",
        "new",
        "--max-asks",
        "9",
        "--format",
        "json",
    ]);
    assert_eq!(done.code, Some(11), "{done}");
    let json = done.json();
    assert_eq!(json["releases"]["new"]["asks"], 9, "{done}");
    assert_eq!(json["required_fields"], serde_json::json!([]), "{done}");
    let unclear = &json["releases"]["new"]["modes"][0]["unclear"];
    assert!(unclear.as_array().is_some_and(|all| all.len() > 100), "{done}");
    // A release that does not take the documented reply: nothing is claimed either.
    let wrong = Release::plain("2.4.0").env("COMETAPI_BASE_URL", "{tap}/nowhere");
    let project = Plan::with_new(wrong).provider_at("http://127.0.0.1:9/v1").write();
    let done = project.run(&["contract", "learn", "--release", "new", "--format", "json"]);
    assert_eq!(done.code, Some(11), "{done}");
    let mode = &done.json()["releases"]["new"]["modes"][0];
    assert!(
        mode["trouble"]["advice"].is_string() && mode["needs"] == serde_json::json!([]),
        "{done}"
    );
}
