//! The configuration as a whole: DESIGN's example, and what is said of configurations with problems.

mod problems;
mod profiles;
mod secrets;

use std::time::Duration;

use contract::{Mode, Surface};
use drill::settings::{
    AnswerAt, EventMark, HttpAsk, LogSource, ProviderEndpoint, RefusedBy, Run, SecretSource,
};
use judge::logs::LogFields;

use super::*;

/// The example of the documentation.
const EXAMPLE: &str = include_str!("tests/example.yaml");

/// A small configuration without problems or warnings, to be spoilt in one place by each test.
const SMALL: &str = r#"service: bot
environment: test
provider:
  name: simulated
  modes: [unary]
model: some-model
releases:
  new:
    version: 2.10
    run:
      command: [python3, app.py, "{prompt}"]
    env: { BASE_URL: "{tap}" }
  rollback:
    version: 2.9
    run:
      service: [node, server.js]
      env_port: PORT
      ask: { post: /ask, json: { q: "{prompt}" }, answer: /a }
    env: { BASE_URL: "{tap}" }
"#;

fn environment() -> Environment {
    Environment::from_iter([
        ("SUPPORT_MODEL", "gpt-5.4-mini"),
        ("HOME", "/home/someone"),
        ("BLANK", ""),
        ("LEAKED", "sk-leakedleakedleaked1234"),
    ])
}

fn example_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("releases/2.4.0")).expect("a folder in it");
    folder
}

/// Plain words become what YAML's core schema makes of them, as in any editor.
pub(crate) fn example_as_json() -> serde_json::Value {
    fn json(node: &tree::Node) -> serde_json::Value {
        match &node.value {
            tree::Value::Scalar { text, plain: true } => serde_json::from_str(text)
                .unwrap_or_else(|_| serde_json::Value::String(text.clone())),
            tree::Value::Scalar { text, .. } => serde_json::Value::String(text.clone()),
            tree::Value::List(items) => items.iter().map(json).collect(),
            tree::Value::Map { entries, .. } => {
                entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
            }
        }
    }
    let root = tree::parse(EXAMPLE, &mut Vec::new()).expect("YAML").expect("content");
    json(&root)
}

fn load_text(source: &str) -> Result<Loaded, ConfigErrors> {
    parse("surestep.yaml", source, Path::new("/"), &environment())
}

#[track_caller]
fn settings_of(source: &str) -> Settings {
    load_text(source).unwrap_or_else(|errors| panic!("{errors}")).settings
}

#[track_caller]
fn spoilt(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// Shows `line:column: message (help)` of each problem.
#[track_caller]
fn problems_of(source: &str) -> String {
    match load_text(source) {
        Ok(_) => "no problem".to_owned(),
        Err(errors) => lines_of(&errors.0),
    }
}

fn lines_of(report: &Report) -> String {
    let lines = report.problems().iter().map(|problem| {
        let place = report.position(problem).map(|(line, column)| format!("{line}:{column}: "));
        let help = problem.help.as_ref().map(|help| format!(" ({help})"));
        format!("{}{}{}", place.unwrap_or_default(), problem.message, help.unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(problems_of(source), expected);
}

#[track_caller]
fn check_warnings(source: &str, expected: &str) {
    let loaded = load_text(source).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(lines_of(&loaded.warnings), expected);
}

#[test]
fn the_example_loads() {
    let folder = example_folder();
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, EXAMPLE).expect("a file");
    let loaded =
        load_with_warnings(&path, &environment()).unwrap_or_else(|errors| panic!("{errors}"));
    let settings = loaded.settings;
    assert_eq!(
        (settings.service.as_str(), settings.environment.as_str()),
        ("support-bot", "staging")
    );
    assert_eq!(settings.model, "gpt-5.4-mini");
    assert_eq!(
        settings.provider.endpoint,
        ProviderEndpoint::Url("https://api.cometapi.com/v1".to_owned())
    );
    assert_eq!(settings.provider.surface, Surface::Chat);
    assert_eq!(settings.provider.modes, [Mode::Unary, Mode::Stream]);
    assert_eq!(settings.provider.key, SecretSource::Env("COMETAPI_API_KEY".to_owned()));
    assert_eq!(settings.contract.reviewed[0].on, jiff::civil::date(2026, 11, 20));
    assert_eq!(settings.contract.required_fields, ["/choices/0/message/content"]);
    assert_eq!(settings.new.directory, folder.path().join("releases/2.4.0"));
    assert_eq!(
        settings.new.secrets["COMETAPI_API_KEY"],
        SecretSource::File("/run/secrets/comet".into())
    );
    assert_eq!(settings.new.retry.max_elapsed, Duration::from_secs(20));
    let Run::Command(command) = &settings.new.run else { panic!("a command") };
    let stream = command.stream.as_ref().expect("a stream");
    assert_eq!(stream.command, ["python3", "app.py", "--stream", "{prompt}"]);
    let Run::Service(service) = &settings.rollback.run else { panic!("a service") };
    assert_eq!(service.ready.as_deref(), Some("/healthz"));
    let HttpAsk::Mapped { stream: Some(stream), .. } = &service.ask else { panic!("a mapping") };
    assert_eq!(stream.answer, AnswerAt::EventPointer("/delta".to_owned()));
    assert_eq!(stream.done, Some(EventMark::Pointer("/done".to_owned())));
    assert_eq!(stream.refused, Some(RefusedBy::Event(EventMark::Name("error".to_owned()))));
    assert_eq!(settings.gates.require, GATES);
    assert_eq!(settings.ledger, LedgerUrl::Sqlite(folder.path().join(".surestep/ledger.db")));
    assert_eq!(
        lines_of(&loaded.warnings),
        "43:3: nothing hands {tap} to `releases.rollback`: its calls would not be seen \
         (set the variable from which the release takes its base URL, for example `env: { OPENAI_BASE_URL: \"{tap}\" }`)"
    );
}

#[test]
fn defaults_fill_a_small_configuration() {
    let settings = settings_of(SMALL);
    assert_eq!(settings.provider.endpoint, ProviderEndpoint::Simulated);
    assert_eq!(settings.provider.key, SecretSource::Control);
    // They cost nothing.
    assert_eq!((settings.provider.live_calls, settings.provider.surface), (100_000, Surface::Chat));
    assert_eq!(
        (settings.new.version.as_str(), settings.rollback.version.as_str()),
        ("2.10", "2.9")
    );
    assert_eq!(settings.new.deadline, Duration::from_secs(30));
    assert_eq!((settings.new.retry.max_attempts, settings.new.calls_per_ask), (3, 1));
    assert_eq!(settings.new.logs, [LogSource::Stderr]);
    assert_eq!(settings.route.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((settings.route.step, settings.gates.max_age), (5, Duration::from_secs(86_400)));
    assert_eq!(settings.ledger, LedgerUrl::Sqlite("/.surestep/ledger.db".into()));
    check_warnings(SMALL, "");
}

#[test]
fn a_release_may_have_a_provider_of_its_own() {
    let own = "version: 2.9\n    model: other\n    provider: { name: openai, key: \"command:[cat, /run/k]\" }";
    let settings = settings_of(&spoilt("version: 2.9", own));
    let provider = settings.provider_of(judge::Role::Rollback);
    assert_eq!(provider.endpoint, ProviderEndpoint::Url("https://api.openai.com/v1".to_owned()));
    assert_eq!(provider.key, SecretSource::Command(vec!["cat".to_owned(), "/run/k".to_owned()]));
    assert_eq!(provider.modes, [Mode::Unary]);
    assert_eq!(settings.model_of(judge::Role::Rollback), "other");
    assert_eq!(settings.model_of(judge::Role::New), "some-model");
}

#[test]
fn a_gateway_that_runs_already_is_asked_in_the_providers_way() {
    let gateway = "url: https://canary.internal/\n      ask: { openai: /v1, key: env:GATEWAY_KEY, model: chat-primary }\n    tap: { reverse: 127.0.0.1:9001 }\n    #";
    let settings =
        settings_of(&spoilt("command: [python3, app.py, \"{prompt}\"]\n    env", gateway));
    let Run::Url { url, ask: HttpAsk::Openai { path, key, model } } = &settings.new.run else {
        panic!("a gateway")
    };
    assert_eq!(
        (url.as_str(), path.as_str(), model.as_str()),
        ("https://canary.internal", "/v1", "chat-primary")
    );
    assert_eq!(*key, Some(SecretSource::Env("GATEWAY_KEY".to_owned())));
    assert_eq!(settings.new.logs, []);
}

#[test]
fn aliases_and_merges_are_followed() {
    let source = spoilt("  new:\n", "  new: &new\n");
    let source = format!(
        "{}  rollback: {{ <<: *new, version: \"2.9\" }}\n",
        source.split("  rollback").next().unwrap_or("")
    );
    let settings = settings_of(&source);
    assert_eq!(settings.rollback.version, "2.9");
    assert_eq!(settings.rollback.env, settings.new.env);
}

#[test]
fn prompt_and_port_may_come_by_env() {
    let source =
        spoilt("app.py, \"{prompt}\"]\n    env: {", "app.py]\n    env: { ASK: \"{prompt}\",");
    let source = source.replace("env_port: PORT\n      ", "").replace(
        "answer: /a }\n    env: {",
        "answer: /a }\n    env: { LISTEN: \"127.0.0.1:{port}\",",
    );
    let settings = settings_of(&source);
    assert_eq!(settings.new.env["ASK"], "{prompt}");
    assert_eq!(settings.rollback.env["LISTEN"], "127.0.0.1:{port}");
}

#[test]
fn bodies_keep_their_types() {
    let source = spoilt(
        "json: { q: \"{prompt}\" }",
        "json: { q: \"{prompt}\", n: 3, t: true, s: \"3\", z: null, m: \"${SUPPORT_MODEL}\", l: [1.5, x] }",
    );
    let Run::Service(service) = settings_of(&source).rollback.run else { panic!("a service") };
    let HttpAsk::Mapped { unary: Some(ask), .. } = service.ask else { panic!("a mapping") };
    let expected = serde_json::json!({"q": "{prompt}", "n": 3, "t": true, "s": "3", "z": null, "m": "gpt-5.4-mini", "l": [1.5, "x"]});
    assert_eq!(ask.json, expected);
}

#[test]
fn byte_order_marks_and_carriage_returns_change_nothing() {
    let windows = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(format!("{:?}", settings_of(&windows)), format!("{:?}", settings_of(SMALL)));
    let spoilt = format!(
        "\u{feff}{}",
        spoilt("version: 2.9", "version: 2.9\n    lgos: []").replace('\n', "\r\n")
    );
    check(&spoilt, "15:5: unknown key `lgos` in `releases.rollback` (did you mean `logs`?)");
}

#[test]
fn the_demonstration_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/surestep.yaml");
    let loaded =
        load_with_warnings(&path, &environment()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(lines_of(&loaded.warnings), "");
}

#[test]
fn logs_are_a_list_or_a_mapping() {
    let logs = |logs: &str| {
        let text = spoilt("version: 2.9", &format!("version: 2.9\n    logs: {logs}"));
        let release = settings_of(&text).rollback;
        (release.logs, release.log_fields)
    };
    let none = LogFields::default();
    let file = || LogSource::File("/logs/*.log".into());
    assert_eq!(logs("[stdout]"), (vec![LogSource::Stdout], none.clone()));
    assert_eq!(logs("{ sources: [\"file:logs/*.log\"] }"), (vec![file()], none));
    let fields = LogFields {
        version: Some("app.release".to_owned()),
        request_id: Some("upstream.request_id".to_owned()),
        ..LogFields::default()
    };
    assert_eq!(
        logs("{ fields: { version: app.release, request_id: upstream.request_id } }"),
        (vec![LogSource::Stderr], fields)
    );
}

/// A key that the table has and no reader reads would be accepted and do nothing.
#[test]
fn every_key_of_the_table_is_read() {
    use serde_json::json;
    let mut example = example_as_json();
    example["releases"]["new"]["provider"] = json!({"name": "openai", "key": "env:A"});
    example["releases"]["new"]["tap"] = json!({"reverse": "127.0.0.1:9001"});
    example["releases"]["rollback"]["run"]["ask"]["refused"] =
        json!({"pointer": "/a", "equals": 1});
    let mut forward = example.clone();
    forward["releases"]["new"]["tap"] = json!({"forward": {}});
    example["releases"]["new"]["logs"] =
        json!({"sources": ["stderr"], "fields": {"version": "app.release"}});
    let mut gateway = example.clone();
    gateway["releases"]["rollback"]["run"] =
        json!({"url": "http://a", "ask": {"openai": "/v1", "key": "env:A", "model": "m"}});
    for (example, pointer, path, section) in [
        (&example, "", "", &ROOT),
        (&example, "/provider", "provider", &keys::provider::PROVIDER),
        (&example, "/contract", "contract", &keys::top::CONTRACT),
        (&example, "/contract/reviewed/0", "contract.reviewed", &keys::REVIEW),
        (&example, "/releases", "releases", &keys::release::RELEASES),
        (&example, "/releases/new", "releases.new", &keys::release::RELEASE),
        (
            &example,
            "/releases/new/provider",
            "releases.new.provider",
            &keys::provider::RELEASE_PROVIDER,
        ),
        (&example, "/releases/new/retry", "releases.new.retry", &keys::release::RETRY),
        (&example, "/releases/new/tap", "releases.new.tap", &keys::TAP),
        (
            &forward,
            "/releases/new/tap/forward",
            "releases.new.tap.forward",
            &keys::release::FORWARD,
        ),
        (&example, "/releases/new/logs", "releases.new.logs", &keys::LOGS),
        (
            &example,
            "/releases/new/logs/fields",
            "releases.new.logs.fields",
            &keys::release::LOG_FIELDS,
        ),
        (&example, "/releases/new/run", "releases.new.run", &keys::RUN),
        (&example, "/releases/new/run/stream", "releases.new.run.stream", &keys::COMMAND_STREAM),
        (&example, "/releases/rollback/run", "releases.rollback.run", &keys::RUN),
        (&example, "/releases/rollback/run/ask", "releases.rollback.run.ask", &keys::ASK),
        (
            &example,
            "/releases/rollback/run/ask/refused",
            "releases.rollback.run.ask.refused",
            &keys::REFUSED,
        ),
        (&example, "/releases/rollback/run/stream", "releases.rollback.run.stream", &keys::STREAM),
        (&gateway, "/releases/rollback/run", "releases.rollback.run", &keys::RUN),
        (&gateway, "/releases/rollback/run/ask", "releases.rollback.run.ask", &keys::GATEWAY),
        (&example, "/route", "route", &keys::top::ROUTE),
        (&example, "/gates", "gates", &keys::top::GATES_SECTION),
    ] {
        for key in section.keys.iter().filter(|key| key.name != "equals") {
            let mut spoilt = example.clone();
            // Nothing is a list of lists of numbers.
            spoilt.pointer_mut(pointer).expect("the section")[key.name] = json!([[1]]);
            let name =
                if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let problems = problems_of(&spoilt.to_string());
            assert!(problems.contains(&format!("`{name}`")), "{name}: {problems}");
        }
    }
}
