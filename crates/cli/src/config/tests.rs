//! The configuration as a whole: DESIGN's example, and what is said of configurations with problems.

use std::time::Duration;

use contract::{Mode, Surface};
use drill::settings::{
    AnswerAt, EventMark, HttpAsk, LogSource, ProviderEndpoint, RefusedBy, Run, SecretSource,
};

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
    assert_eq!((settings.provider.live_calls, settings.provider.surface), (60, Surface::Chat));
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
fn a_problem_is_shown_with_its_line() {
    let errors = load_text(&spoilt("service: bot", "servce: bot")).expect_err("a problem");
    assert_eq!(
        errors.render(false),
        "\
error: unknown key `servce` at the top level
 --> surestep.yaml:1:1
  |
1 | servce: bot
  | ^^^^^^
  |
  = help: did you mean `service`?

surestep.yaml: 1 problem; nothing was done
"
    );
    assert_eq!(
        errors.to_json(),
        serde_json::json!([{
            "file": "surestep.yaml", "line": 1, "column": 1,
            "message": "unknown key `servce` at the top level", "help": "did you mean `service`?",
        }])
    );
}

#[test]
fn misspelt_keys_find_their_meaning() {
    let with_secrets = "version: 2.9\n    secerts: { A: env:B }";
    check(
        &spoilt("version: 2.9", with_secrets),
        "15:5: unknown key `secerts` in `releases.rollback` (did you mean `secrets`?)",
    );
    check(
        &spoilt("name: simulated", "name: simulated\n  listen: x"),
        "5:3: unknown key `listen` in `provider` (`listen` belongs into `route`)",
    );
    check(
        &spoilt("version: 2.9", "version: 2.9\n    retry: { tries: 3 }"),
        "15:14: unknown key `tries` in `releases.rollback.retry` (known here: max_attempts, max_elapsed)",
    );
    check(
        &spoilt("service: bot", "service: bot\ngate: {}"),
        "2:1: unknown key `gate` at the top level (did you mean `gates`?)",
    );
}

#[test]
fn wrong_types_are_named() {
    check(
        &spoilt("modes: [unary]", "modes: unary"),
        "5:10: `provider.modes` must be a list, not `unary` (write it as a list: `modes: [unary]`)",
    );
    check(
        &spoilt("modes: [unary]", "modes:"),
        "5:3: `provider.modes` has no value (give it a value, for example `[unary, stream]`)",
    );
    check(&spoilt("model: some-model", "model: [a]"), "6:8: `model` must be text, not a list");
    check(
        &spoilt("model: some-model", "model: {tap}"),
        "6:8: `model` must be text, not a mapping (put quotes round it: \"{tap}\")",
    );
    check(
        &spoilt("name: simulated", "name: simulated\n  live_calls: \"6\""),
        "5:15: `provider.live_calls` must be a whole number from 1 to 100000, not the text `6` (write the number without quotes)",
    );
    check(
        &spoilt("service: bot", "service: bot\nroute: { step: 0 }"),
        "2:16: `route.step` must be a whole number from 1 to 100, not `0`",
    );
    check(
        &spoilt("service: bot", "service: bot\ngates: { strict: yes }"),
        "2:18: `gates.strict` must be `true` or `false`, not `yes`",
    );
    check(
        &spoilt(", \"{prompt}\"]", ", {prompt}]"),
        "11:34: `releases.new.run.command` must be text, not a mapping (put quotes round it: \"{prompt}\")",
    );
    check("- a\n- b", "1:1: the file must be a mapping, not a list");
}

#[test]
fn variables_that_give_no_text_are_named() {
    check(
        &spoilt("model: some-model", "model: x-${SUPPORT_MODLE}"),
        "6:10: the environment variable SUPPORT_MODLE is not set \
         (did you mean ${SUPPORT_MODEL}? Or set SUPPORT_MODLE in the environment or write the value here)",
    );
    check(
        &spoilt("model: some-model", "model: ${BLANK}"),
        "6:8: the environment variable BLANK is set but blank (set BLANK in the environment or write the value here)",
    );
}

#[test]
fn values_of_variables_are_not_quoted() {
    let problems =
        problems_of(&spoilt("service: bot", "service: bot\nroute: { listen: \"${HOME}\" }"));
    assert!(problems.contains("`${HOME}` is not an IP address"), "{problems}");
    assert!(!problems.contains("someone"), "{problems}");
}

#[test]
fn words_are_checked() {
    let in_rollback = |line: &str| spoilt("version: 2.9", &format!("version: 2.9\n    {line}"));
    check(
        &in_rollback("deadline: 30"),
        "15:15: `releases.rollback.deadline`: `30` is not a duration: it has no unit (write 500ms, 30s, 2m, 24h or 1m30s)",
    );
    check(
        &in_rollback("deadline: 0s"),
        "15:15: `releases.rollback.deadline`: `0s` is no time at all (write more than 0)",
    );
    check(
        &in_rollback("directory: nowhere"),
        "15:16: `releases.rollback.directory`: /nowhere does not exist (relative paths start at the configuration's folder)",
    );
    check(
        &in_rollback("logs: [stderror]"),
        "15:12: `releases.rollback.logs` must be a list of `stderr`, `stdout` and `file:PATH`, not `stderror` (did you mean `stderr`?)",
    );
    check(
        &spoilt("service: bot", "service: bot\ncontract: { required_fields: [choices.0] }"),
        "2:31: `contract.required_fields`: `choices.0` is not a JSON pointer: it does not begin with `/` (did you mean `/choices/0`?)",
    );
    check(
        &spoilt("service: bot", "service: bot\ngates: { require: [observabilty] }"),
        "2:20: `gates.require` must be `contract_reviewed` or `new_release_smoke` or `rollback_release_smoke` or `negative_auth` or `observability` or `rollback_switch_drill`, not `observabilty` (did you mean `observability`?)",
    );
}

#[test]
fn what_is_not_there_yet_says_so() {
    check(
        &spoilt("service: bot", "service: bot\nroute: { switch: envoy }"),
        "2:18: `route.switch: envoy` is not available in this version (write `switch: embedded`, surestep's own router)",
    );
    check(
        &spoilt("version: 2.9", "version: 2.9\n    tap: forward"),
        "15:10: `releases.rollback.tap: forward` is not available in this version (write `tap: reverse` and hand the release its base URL as {tap})",
    );
    check(
        &spoilt("service: bot", "service: bot\nledger: postgres://h/db"),
        "2:9: `ledger`: PostgreSQL is not in this build (write sqlite:PATH)",
    );
}

#[test]
fn what_is_not_yaml_says_where() {
    check(
        &spoilt("environment: test", "environment test"),
        "2:1: not YAML: simple key expected ':' (a key needs a colon and a blank behind it: `key: value`)",
    );
    check(
        &spoilt("    version: 2.9", "\tversion: 2.9"),
        "14:1: not YAML: a tab in the indentation (indent with spaces)",
    );
    check(
        &spoilt("env: { BASE_URL: \"{tap}\" }", "env: { M: ${SUPPORT_MODEL} }"),
        "12:16: not YAML: while parsing a flow mapping, did not find expected ',' or '}' (inside `[…]` and `{…}`, put quotes round it: \"${NAME}\")",
    );
    check(
        "---\na: 1\n---\nb: 2\n",
        "3:1: a second document begins here (a configuration is one YAML document: remove `---` and what follows)",
    );
    check("a: &x [*x]", "1:8: an alias inside the very value that it stands for");
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    check(&format!("a: {deep}"), "1:44: nested more than 40 levels deep");
    let bomb = (1..8).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let last = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [last.as_str(); 10].join(","))
    });
    assert!(problems_of(&bomb).contains("more than 20000 values"));
}

#[test]
fn empty_files_and_missing_ones() {
    check("", "the file is empty (`surestep init --force` writes a template)");
    check("\n# nothing\n", "the file is empty (`surestep init --force` writes a template)");
    let errors = load(Path::new("/nowhere/surestep.yaml"), &environment()).expect_err("no file");
    assert_eq!(
        errors.to_string(),
        "error: there is no such file\n--> /nowhere/surestep.yaml\n = help: `surestep init` writes a commented one; `--config FILE` names another\n\n\
         /nowhere/surestep.yaml: 1 problem; nothing was done\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"service: caf\xe9").expect("a file");
    let errors = load(&path, &environment()).expect_err("no text");
    assert!(errors.to_string().contains("not UTF-8 text (byte 12)"), "{errors}");
}

#[test]
fn all_problems_come_at_once() {
    let source = spoilt("service: bot", "servce: bot");
    let source = source
        .replace("version: 2.10", "version: 2.10\n    deadline: soon")
        .replace("some-model", "${UNSET}");
    let source =
        source.replace("post: /ask", "post: ask").replace("modes: [unary]", "modes: [unary, both]");
    let source = format!("{source}service: again\nservice: twice\n");
    check(
        &source,
        "1:1: unknown key `servce` at the top level (did you mean `service`?)\n\
         5:18: `provider.modes` must be `unary` or `stream`, not `both`\n\
         6:8: the environment variable UNSET is not set (set UNSET in the environment or write the value here)\n\
         10:15: `releases.new.deadline`: `soon` is not a duration (write 500ms, 30s, 2m, 24h or 1m30s)\n\
         19:20: `releases.rollback.run.ask.post`: `ask` is not a path: it does not begin with `/` (write `/ask`)\n\
         22:1: `service` appears a second time (it is set on line 21 already: remove one of the two)",
    );
    check(
        &spoilt("service: bot\nenvironment: test\n", ""),
        "`service` is missing (add it, for example `service: support-bot`)\n`environment` is missing (add it, for example `environment: staging`)",
    );
}

#[test]
fn secrets_are_refused_and_never_shown() {
    let key = |value: &str| spoilt("name: simulated", &format!("name: simulated\n  key: {value}"));
    let env = |value: &str| {
        spoilt(
            "env: { BASE_URL: \"{tap}\" }",
            &format!("env: {{ BASE_URL: \"{{tap}}\", {value} }}"),
        )
    };
    for (source, secret, expected) in [
        (
            key("hunter2-something"),
            "hunter2",
            "5:8: `provider.key` must be a reference to a secret, never the secret",
        ),
        (
            key("\"${LEAKED}\""),
            "sk-leaked",
            "5:8: `provider.key` must be a reference to a secret, never the secret (write env:LEAKED)",
        ),
        (
            key("env:sk-abcdefghijkl1234"),
            "abcdefghijkl",
            "5:8: `provider.key`: what follows `env:` is no variable name",
        ),
        (
            key("[sk-abcdefghijkl1234]"),
            "abcdefghijkl",
            "5:8: `provider.key` must be a reference to a secret, not a list",
        ),
        (
            key("{ value: sk-abcdefghijkl1234 }"),
            "abcdefghijkl",
            "5:8: `provider.key` must be a reference to a secret, not a mapping",
        ),
        (spoilt("model: some-model", "model: [sk-abcdefghijkl1234"), "abcdefghijkl", "not YAML"),
        (
            spoilt("name: simulated", "name: simulated\n  api_key: plain-secret"),
            "plain-secret",
            "5:3: unknown key `api_key` in `provider` (did you mean `key`?)",
        ),
        (
            env("X: \"${LEAKED}\""),
            "sk-leaked",
            "12:34: `releases.new.env.X` holds what looks like a credential",
        ),
        (
            env("OPENAI_API_KEY: 0123456789abcdef"),
            "0123456789",
            "12:47: `releases.new.env.OPENAI_API_KEY` holds what its name calls a credential",
        ),
        (
            spoilt("app.py,", "app.py, --key=sk-abcdefghijkl1234,"),
            "abcdefghijkl",
            "`releases.new.run.command` holds what looks like a credential",
        ),
        (
            spoilt(
                "answer: /a",
                "answer: /a, headers: { Authorization: \"Bearer abcdefghijklmnopq\" }",
            ),
            "abcdefgh",
            "`releases.rollback.run.ask.headers.Authorization` holds what looks like a credential",
        ),
        (
            spoilt("service: bot", "service: bot\nledger: postgres://u:hunter2@h/db"),
            "hunter2",
            "PostgreSQL is not in this build",
        ),
        (
            spoilt(
                "name: simulated",
                "name: acme\n  key: env:A\n  base_url: https://u:hunter2@h/v1",
            ),
            "hunter2",
            "it carries credentials",
        ),
    ] {
        let errors = load_text(&source).expect_err("a problem");
        let everything = format!("{errors}\n{}\n{}", errors.to_json(), lines_of(&errors.0));
        assert!(everything.contains(expected), "{expected}\n{everything}");
        assert!(!everything.contains(secret), "{everything}");
    }
}

#[test]
fn references_to_secrets_have_four_forms() {
    for (value, expected) in [
        ("env:A_1", SecretSource::Env("A_1".to_owned())),
        ("\"file:secrets/comet\"", SecretSource::File("/secrets/comet".into())),
        ("file:${HOME}/comet", SecretSource::File("/home/someone/comet".into())),
        (
            "command:[vault, read, \"a b\"]",
            SecretSource::Command(["vault", "read", "a b"].map(str::to_owned).to_vec()),
        ),
        (
            "{ command: [vault, read] }",
            SecretSource::Command(["vault", "read"].map(str::to_owned).to_vec()),
        ),
        ("\"{key}\"", SecretSource::Control),
    ] {
        let source =
            spoilt("version: 2.9", &format!("version: 2.9\n    secrets:\n      A_KEY: {value}"));
        assert_eq!(settings_of(&source).rollback.secrets["A_KEY"], expected, "{value}");
    }
    check(
        &spoilt("name: simulated", "name: simulated\n  key: \"{key}\""),
        "5:8: `provider.key` is the control's credential itself: `{key}` cannot stand here (write env:NAME, file:PATH or command:[program, argument])",
    );
}

#[test]
fn runs_that_cannot_work_are_problems() {
    let new_run = |run: &str| spoilt("command: [python3, app.py, \"{prompt}\"]", run);
    check(
        &new_run("command: [python3, app.py]"),
        "11:7: `releases.new.run.command` does not hand over the prompt (add \"{prompt}\" as an argument, or write `prompt: stdin`)",
    );
    check(
        &new_run("command: python3 app.py"),
        "11:16: `releases.new.run.command` must be a list, not `python3 app.py` (write it as a list: `command: [python3, app.py]`)",
    );
    check(
        &new_run("command: [a, \"{prompt}\"]\n      ready: /x"),
        "12:7: `releases.new.run.ready` does not go with `command` (with `command` there are: command, prompt, answer, stream)",
    );
    check(
        &new_run("command: [a, \"{prompt}\"]\n      url: http://x"),
        "12:7: `releases.new.run.command` and `releases.new.run.url` exclude each other (keep one of the two)",
    );
    check(
        &new_run("prompt: arg"),
        "10:5: `releases.new.run` says nothing of how the release runs (add `command` (a process for each ask), `service` (started by surestep) or `url` (runs already))",
    );
    let problems = problems_of(&new_run("url: https://x"));
    assert!(problems.contains("`releases.new.run` does not say how to ask"), "{problems}");
    assert!(
        problems.contains("nothing leads the calls of a running instance to the tap"),
        "{problems}"
    );
    check(
        &spoilt("env_port: PORT\n      ", ""),
        "16:7: nothing tells `releases.rollback.run.service` on which port to listen (add `env_port: PORT` (the variable that takes it), or \"{port}\" to the command)",
    );
    check(
        &spoilt("{ q: \"{prompt}\" }", "{ q: hello }"),
        "18:26: `releases.rollback.run.ask.json` does not hand over the prompt (put {prompt} into one of its strings: { question: \"{prompt}\" })",
    );
    check(
        &spoilt("answer: /a", "answer: sse:/a"),
        "18:59: `releases.rollback.run.ask.answer`: `sse:/a` is a place in events, and a unary response has none (write a JSON pointer such as /answer, or text)",
    );
    check(
        &spoilt("answer: /a", "answer: /a, refused: event:error"),
        "18:72: `releases.rollback.run.ask.refused` must be a mapping, not `event:error` (write { pointer: /ok, equals: false }: a unary response has no events)",
    );
}

#[test]
fn odd_things_are_warnings() {
    check_warnings(
        &spoilt("version: 2.9", "version: \"2.10\""),
        "7:1: `new` and `rollback` are both version 2.10 (a drill tells them apart by role; their logs will not)",
    );
    check_warnings(
        &spoilt("env: { BASE_URL: \"{tap}\" }", "env: { BASE_URL: \"{tap}\", M: \"{modle}\" }"),
        "12:34: `{modle}` is no placeholder and is handed over as it stands (did you mean `{model}`?)",
    );
    check_warnings(
        &spoilt("modes: [unary]", "modes: [unary, unary]"),
        "5:18: `unary` stands twice in `provider.modes`",
    );
    check_warnings(
        &spoilt(
            "service: bot",
            "service: bot\ngates: { require: [contract_reviewed, new_release_smoke, rollback_release_smoke, negative_auth, observability] }",
        ),
        "2:10: `gates.require` leaves out rollback_switch_drill (every report will show it)",
    );
}

#[test]
fn addresses_are_not_shared() {
    let source = spoilt("version: 2.9", "version: 2.9\n    tap: { reverse: 127.0.0.1:8080 }");
    check(
        &source,
        "7:1: the tap of `rollback` and `route.listen` share one address (give each a port of its own)",
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
    let mut gateway = example.clone();
    gateway["releases"]["rollback"]["run"] =
        json!({"url": "http://a", "ask": {"openai": "/v1", "key": "env:A", "model": "m"}});
    for (example, pointer, path, section) in [
        (&example, "", "", &ROOT),
        (&example, "/provider", "provider", &keys::PROVIDER),
        (&example, "/contract", "contract", &keys::CONTRACT),
        (&example, "/contract/reviewed/0", "contract.reviewed", &keys::REVIEW),
        (&example, "/releases", "releases", &keys::RELEASES),
        (&example, "/releases/new", "releases.new", &keys::RELEASE),
        (&example, "/releases/new/provider", "releases.new.provider", &keys::RELEASE_PROVIDER),
        (&example, "/releases/new/retry", "releases.new.retry", &keys::RETRY),
        (&example, "/releases/new/tap", "releases.new.tap", &keys::TAP),
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
        (&example, "/route", "route", &keys::ROUTE),
        (&example, "/gates", "gates", &keys::GATES_SECTION),
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
