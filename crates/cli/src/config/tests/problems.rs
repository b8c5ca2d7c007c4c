//! What is said of configurations with problems.

use super::*;

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
fn control_characters_do_not_reach_the_terminal() {
    let source = format!("{SMALL}\"\\e[31mred\": 1\n");
    check(
        &source,
        "20:1: unknown key `\u{fffd}[31mred` at the top level \
         (known here: service, environment, provider, model, contract, releases, route, gates, ledger)",
    );
    check(
        &spoilt("app.py", "\"a\\0b\""),
        "11:26: `releases.new.run.command` has a NUL character in it (no program takes one: remove it)",
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
        "5:15: `provider.live_calls` must be a whole number from 0 to 100000, not the text `6` (write the number without quotes)",
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
        "15:12: `releases.rollback.logs` must be a list of `stderr`, `stdout`, `otlp` and `file:PATH`, not `stderror` (did you mean `stderr`?)",
    );
    check(
        &in_rollback("logs: { sources: [stderr, sdtout] }"),
        "15:31: `releases.rollback.logs.sources` must be a list of `stderr`, `stdout`, `otlp` and `file:PATH`, not `sdtout` (did you mean `stdout`?)",
    );
    check(
        &in_rollback("logs: { fields: { version: /app/release } }"),
        "15:32: `releases.rollback.logs.fields.version`: `/app/release` is no name of a field (write the names that lead to it with dots between: `app.release`)",
    );
    check(
        &in_rollback("logs: { fields: { versoin: a } }"),
        "15:23: unknown key `versoin` in `releases.rollback.logs.fields` (did you mean `version`?)",
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
    let errors = load_with_warnings(Path::new("/nowhere/surestep.yaml"), &environment())
        .expect_err("no file");
    assert_eq!(
        errors.to_string(),
        "error: there is no such file\n--> /nowhere/surestep.yaml\n = help: `surestep init` writes a commented one; `--config FILE` names another\n\n\
         /nowhere/surestep.yaml: 1 problem; nothing was done\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"service: caf\xe9").expect("a file");
    let errors = load_with_warnings(&path, &environment()).expect_err("no text");
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
fn runs_that_cannot_work_are_problems() {
    let new_run = |run: &str| spoilt("command: [python3, app.py, \"{prompt}\"]", run);
    check(
        &new_run("command: [python3, app.py]"),
        "11:7: `releases.new.run.command` does not hand over the prompt (add \"{prompt}\" as an argument or to `env`, or write `prompt: stdin`)",
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
        "16:7: nothing tells `releases.rollback.run.service` on which port to listen (add `env_port: PORT` (the variable that takes it), or \"{port}\" to the command or to `env`)",
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
        &spoilt("{ BASE_URL: \"{tap}\" }", "{ BASE_URL: \"{tap}\", M: \"{{model}}\" }"),
        "12:34: of `{{model}}` one pair of braces stays (write `{model}`)",
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

#[test]
fn what_leads_past_the_proxy_or_clashes_with_it_is_said() {
    let forward =
        |more: &str| spoilt("version: 2.9", &format!("version: 2.9\n    tap: forward\n    {more}"));
    check(&forward("inherit: []"), "no problem");
    check(
        &forward("inherit: [HTTPS_PROXY]"),
        "16:5: `releases.rollback.inherit`: `tap: forward` sets `HTTPS_PROXY` itself (an egress proxy is `provider.proxy`: surestep goes through it; else write `tap: reverse`)",
    );
    check(
        &forward("inherit: [SSL_CERT_FILE]"),
        "16:5: `releases.rollback.inherit`: `tap: forward` sets `SSL_CERT_FILE` itself (hand it more trust by `tap: { forward: { ca: FILE } }`; the system's own is in any case)",
    );
    check(
        &forward("inherit: []")
            .replace(
                "name: simulated",
                "name: x\n  key: env:KEY\n  base_url: https://api.example.com/v1",
            )
            .replace(
                "answer: /a }\n    env: {",
                "answer: /a }\n    env: { NO_PROXY: \"internal, .example.com\",",
            ),
        "23:5: `releases.rollback.env`: `NO_PROXY` covers api.example.com, so calls to https://api.example.com/v1 would go past the tap (take api.example.com out of `NO_PROXY`, or write `tap: reverse`)",
    );
    check(
        &spoilt(
            "version: 2.9",
            "version: 2.9\n    tap: { forward: { hosts: [\"https://x.example/a\"] } }",
        ),
        "15:30: `releases.rollback.tap.forward.hosts`: `https://x.example/a` is not the name of a host (write names without scheme, port and path; `*.example.com` for all below one)",
    );
    check(
        &forward("inherit: []").replace(
            "name: simulated",
            "name: x\n  key: env:KEY\n  base_url: http://127.0.0.1:9/v1",
        ),
        "17:5: `releases.rollback.tap: forward`, and the provider is on loopback, where clients use no proxy (write `tap: reverse`, or give the provider a name and say by `connect_to` where it is reached)",
    );
}

/// Damage at random places: whatever comes of it, it is said, with a place inside the file, and nothing panics.
#[test]
fn damaged_files_are_reported_not_feared() {
    const SPLINTERS: [&str; 14] =
        ["\t", "\"", "'", "{", "}", "[", "]", ": ", "\n", "ü", "${", "&a ", "*a", "\u{0}"];
    // A linear congruential generator is chance enough, and the same in each run.
    let mut state: u64 = 1;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits fit") % below
    };
    for _ in 0..500 {
        let mut source = EXAMPLE.to_owned();
        for _ in 0..=next(3) {
            let at = source.floor_char_boundary(next(source.len()));
            let end = source.floor_char_boundary((at + next(6)).min(source.len()));
            source.replace_range(at..end.max(at), SPLINTERS[next(SPLINTERS.len())]);
        }
        if let Err(errors) = load_text(&source) {
            assert!(!errors.problems().is_empty());
            let shown = errors.render(true);
            assert!(
                shown.contains("surestep.yaml") && !shown.contains("a bug"),
                "{source}\n{shown}"
            );
        }
    }
}
