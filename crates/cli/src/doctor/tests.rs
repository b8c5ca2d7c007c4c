//! The doctor as a whole, on configurations whose surroundings are made for the test.

use std::path::Path;

use super::*;
use crate::config;

struct Place {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("app.py"), "").expect("a script");
        let path = std::env::var_os("PATH").expect("a PATH");
        let mut environment = vec![
            ("KEY".into(), "a-key-of-the-release".into()),
            ("NEWLINE".into(), "a-key\n".into()),
        ];
        environment.push((std::ffi::OsString::from("PATH"), path));
        Self { folder, environment: Environment::from_iter(environment) }
    }

    async fn look(&self, provider: &str, new: &str) -> Vec<Checkup> {
        let port = free_port();
        let text = format!(
            "service: bot\nenvironment: test\nprovider: {{ modes: [unary], {provider} }}\nmodel: m\n\
             route: {{ listen: \"127.0.0.1:{port}\" }}\nreleases:\n  new: {{ version: \"2\", {new} }}\n  \
             rollback: {{ version: \"1\", run: {{ command: [sh, app.py, \"{{prompt}}\"] }}, env: {{ U: \"{{tap}}\" }} }}\n"
        );
        let loaded = config::parse("surestep.yaml", &text, self.folder.path(), &self.environment)
            .unwrap_or_else(|errors| panic!("{errors}"));
        let now = jiff::civil::date(2026, 11, 22)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .expect("a day")
            .timestamp();
        doctor(&loaded.settings, &loaded.warnings, &self.environment, now).await
    }
}

/// Nobody else takes it in the moment between: ports are given out in turn.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

const NEW: &str = r#"run: { command: [sh, app.py, "{prompt}"] }, env: { U: "{tap}" }"#;

#[track_caller]
fn check(found: &[Checkup], state: State, what: &str) {
    let is_there =
        found.iter().any(|checkup| checkup.state == state && checkup.what.contains(what));
    assert!(is_there, "{what}\n{}", render(found, false));
}

#[tokio::test]
async fn a_configuration_that_works_is_fine() {
    let found = Place::new().look("name: simulated", NEW).await;
    assert_eq!(worst(&found), State::Fine, "{}", render(&found, false));
    check(&found, State::Fine, "the simulated provider needs no key");
    check(&found, State::Fine, "`releases.new.run.command`: sh is /");
    assert!(render(&found, false).contains("\nthis configuration can work here ("));
    assert_eq!(to_json(&found)["state"], "fine");
}

#[tokio::test]
async fn secrets_that_are_not_there_are_broken() {
    let new = format!(
        "{NEW}, secrets: {{ A: env:NEWLINE, B: file:nowhere, C: \"{{key}}\", D: env:KEY }}"
    );
    let found = Place::new().look("name: simulated, key: env:UNSET", &new).await;
    check(&found, State::Broken, "`provider.key`: the secret env:UNSET is not set");
    check(
        &found,
        State::Odd,
        "`releases.new.secrets.A`: the secret env:NEWLINE has blanks or line breaks",
    );
    check(&found, State::Broken, "/nowhere cannot be opened");
    check(&found, State::Broken, "the secret control is not known");
    check(&found, State::Fine, "`releases.new.secrets.D`: env:KEY gives a secret");
    assert!(!render(&found, false).contains("a-key"));
}

#[tokio::test]
async fn programs_and_scripts_must_be_there() {
    let place = Place::new();
    let run = |program: &str| {
        format!("run: {{ command: [{program}, \"{{prompt}}\"] }}, env: {{ U: \"{{tap}}\" }}")
    };
    let found = place.look("name: simulated", &run("no-such-program")).await;
    check(&found, State::Broken, "there is no program no-such-program in PATH");
    let found = place.look("name: simulated", &run("./app.py")).await;
    check(&found, State::Broken, "may not be executed");
    let found = place.look("name: simulated", &run("sh, gone.py")).await;
    check(&found, State::Broken, "there is no ");
}

#[tokio::test]
async fn providers_must_accept_connections() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let provider = |port: u16| {
        format!("name: acme, base_url: \"http://127.0.0.1:{port}/v1\", key: env:KEY, ca: app.py")
    };
    let found = place.look(&provider(port), NEW).await;
    check(&found, State::Fine, "accepts connections");
    check(&found, State::Broken, "holds no certificate in PEM form");
    drop(listener);
    let found = place.look(&provider(port), NEW).await;
    check(&found, State::Broken, "cannot be reached");
}

#[tokio::test]
async fn odd_surroundings_are_told() {
    let new = format!("{NEW}, inherit: [HTTPS_PROXY], logs: [\"file:logs/app.log\"]");
    let found = Place::new().look("name: simulated", &new).await;
    check(&found, State::Odd, "inherits HTTPS_PROXY, which is not set");
    check(&found, State::Odd, "gets HTTPS_PROXY: its calls may go round the tap");
    check(&found, State::Odd, "logs/app.log does not exist");
    assert_eq!(worst(&found), State::Odd);
}

#[test]
fn taken_addresses_and_wrong_clocks_are_found() {
    let text = "service: a\nenvironment: b\nprovider: { name: simulated, modes: [unary] }\nmodel: m\nledger: sqlite:/dev/null/x.db\n\
        contract: { reviewed: [{ source: s, on: 2026-12-24, by: me }] }\nreleases:\n  new: &n { version: \"2\", run: { command: [sh, \"{prompt}\"] } }\n  rollback: { <<: *n, version: \"1\" }\n";
    let loaded =
        config::parse("f", text, Path::new("/"), &Environment::default()).expect("a configuration");
    let mut settings = loaded.settings;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    settings.route.listen = listener.local_addr().expect("an address");
    check(&machine::addresses(&settings), State::Odd, "something listens at");
    settings.route.listen = "192.0.2.1:8080".parse().expect("an address");
    check(&machine::addresses(&settings), State::Broken, "this machine has no address 192.0.2.1");
    check(&machine::ledger(&settings), State::Broken, "lies below /dev/null, which is no folder");
    check(
        &machine::clock(&settings, jiff::Timestamp::UNIX_EPOCH),
        State::Broken,
        "clock says 1970-01-01",
    );
    let now = jiff::civil::date(2026, 11, 22)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .expect("a day")
        .timestamp();
    check(&machine::clock(&settings, now), State::Broken, "the review of s is dated 2026-12-24");
}

#[test]
fn problems_of_the_file_are_findings_too() {
    let errors = config::parse("f", "servce: x", Path::new("/"), &Environment::default())
        .expect_err("problems");
    let found = of_errors(&errors);
    check(&found, State::Broken, "line 1, column 1: unknown key `servce` at the top level");
    assert_eq!(to_json(&found)["state"], "broken");
    assert!(render(&found, true).contains("\u{1b}[31mBROKEN"));
}
