//! Secrets in configurations: references are read, secrets are refused and not shown.

use super::*;

#[test]
fn values_of_variables_are_not_quoted() {
    let problems =
        problems_of(&spoilt("service: bot", "service: bot\nroute: { listen: \"${HOME}\" }"));
    assert!(problems.contains("`${HOME}` is not an IP address"), "{problems}");
    assert!(!problems.contains("someone"), "{problems}");
}

#[test]
fn secrets_that_asks_carry_are_the_releases() {
    let asked_with = |name: &str| {
        let headers = format!("answer: /a, headers: {{ X-Token: \"Bearer {{secret:{name}}}\" }}");
        spoilt("answer: /a", &headers)
    };
    let problems = problems_of(&asked_with("CALLER"));
    assert!(
        problems.contains("`{secret:CALLER}` is none of `releases.rollback.secrets`"),
        "{problems}"
    );
    assert!(problems.contains("add `secrets: { CALLER: \"env:CALLER\" }`"), "{problems}");
    let known = format!("{}    secrets: {{ CALLER: env:CALLER }}\n", asked_with("CALLER"));
    assert_eq!(problems_of(&known), "no problem");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
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
        (
            spoilt("model: some-model", "model: some-model\nsecretz: { K: 9fKq2Lw8-plain-pass }"),
            "9fKq2Lw8",
            "unknown key `secretz` at the top level",
        ),
        (
            spoilt("model: some-model", "model: some-model\nheder:\n  - { a: Basic 9fKq2Lw8 }"),
            "9fKq2Lw8",
            "unknown key `heder` at the top level",
        ),
        (
            env("DB_PASSWORD: one, DB_PASSWORD: 9fKq2Lw8"),
            "9fKq2Lw8",
            "`DB_PASSWORD` appears a second time",
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
        (
            spoilt(
                "name: simulated",
                "name: acme\n  key: env:A\n  base_url: https://h/v1\n  proxy: http://u:hunter2@egress:3128",
            ),
            "hunter2",
            "name a proxy that asks for none",
        ),
        (
            spoilt(
                "service: bot",
                "service: bot\ncontract: { reviewed: [{ source: \"https://u:hunter2@wiki/x\", on: 2026-11-20, by: us }] }",
            ),
            "hunter2",
            "evidence would show them",
        ),
    ] {
        let errors = load_text(&source).expect_err("a problem");
        let everything = format!("{errors}\n{}", lines_of(&errors.0));
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
