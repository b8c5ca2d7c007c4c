//! `surestep tap`: in front of a client of another make (curl), without any configuration.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SURESTEP: &str = env!("CARGO_BIN_EXE_surestep");
pub(crate) const KEY: &str = "sk-tap-4f7Qw81LmZx93KpT77aa";
pub(crate) const PROMPT: &str = "a prompt that nobody may keep";

/// Starts a tap at a free port; returns it with the base URL that it tells.
pub(crate) fn start(arguments: &[&str]) -> (Child, String) {
    start_with(Command::new(SURESTEP), arguments)
}

/// Starts a tap by a command of its own.
fn start_with(mut command: Command, arguments: &[&str]) -> (Child, String) {
    let mut tap = command
        .args(["tap", "--format", "json", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let greeting = BufReader::new(tap.stderr.as_mut().unwrap()).lines().next().unwrap().unwrap();
    let (_, base_url) = greeting.split_once("is ").unwrap_or_else(|| panic!("{greeting}"));
    (tap, base_url.to_owned())
}

/// Starts a tap that is a proxy for `api.example.test`; returns it with the variables that it tells.
pub(crate) fn start_proxy(arguments: &[&str]) -> (Child, Vec<(String, String)>) {
    let mut tap = Command::new(SURESTEP)
        .args(["tap", "--format", "json", "--forward"])
        .args(["--upstream", "https://api.example.test/v1"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let greeting = BufReader::new(tap.stderr.as_mut().unwrap()).lines();
    let variables = greeting
        .map(Result::unwrap)
        .take_while(|line| line != "ends with Ctrl-C")
        .filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    (tap, variables)
}

/// Asks as a shell script would; returns the status.
fn curl(base_url: &str) -> String {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#);
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", &body])
        .args(["-H", &format!("authorization: Bearer {KEY}")])
        .arg(format!("{base_url}/chat/completions"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Ends it as Ctrl-C does; returns the lines that it wrote, and its exit code.
pub(crate) fn end(tap: Child) -> (Vec<Value>, Option<i32>, String) {
    kill_process(Pid::from_child(&tap), Signal::INT).unwrap();
    let output = tap.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code(), text)
}

#[test]
fn a_client_is_watched_and_its_hasty_retry_is_found() {
    let (tap, base_url) = start(&["--fault", "429+header=retry-after:9,good"]);
    assert_eq!([curl(&base_url), curl(&base_url)], ["429", "200"]);
    let (lines, code, text) = end(tap);
    let seen: Vec<_> =
        lines.iter().filter_map(|line| line["response"]["status"].as_u64()).collect();
    assert_eq!((seen, code), (vec![429, 200], Some(10)), "{text}");
    let codes: Vec<_> = lines.last().unwrap()["summary"]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect();
    assert!(codes.contains(&"retry-after-ignored".to_owned()), "{codes:?}");
    assert!(!text.contains(KEY) && !text.contains(PROMPT), "{text}");
}

#[test]
fn a_call_that_is_open_at_the_end_is_told_as_open() {
    let (tap, base_url) = start(&["--fault", "stream-silence"]);
    let body = format!(
        r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#
    );
    let mut asker = Command::new("curl")
        .args(["-sN", "-d", &body, &format!("{base_url}/chat/completions")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(asker.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("data: "), "{first}");
    let (lines, _, text) = end(tap);
    assert!(!asker.wait().unwrap().success(), "its stream was cut");
    assert_eq!(lines[0]["client_end"], "still_open", "{text}");
    assert_eq!(lines[0]["response"]["status"], 200, "{text}");
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!((&summary["exchanges"], &summary["lost"]), (&1.into(), &0.into()), "{text}");
}

/// A pipe takes 64 KiB, and each of the lines is a half of one.
#[test]
fn a_reader_that_stops_holds_up_no_client_and_no_end() {
    let (mut tap, base_url) = start(&[]);
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code} ", "-d", body])
        .args(["-H", &format!("authorization: Bearer {KEY}")])
        .arg(format!("{base_url}/chat/completions?n=[1-300]"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "200 ".repeat(300));
    kill_process(Pid::from_child(&tap), Signal::INT).unwrap();
    assert_eq!(tap.wait().unwrap().code(), Some(0));
    let said = std::io::read_to_string(tap.stderr.take().unwrap()).unwrap();
    assert!(said.contains("the last lines and the summary were not written"), "{said}");
}

#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let script = "ulimit -Sn 64; exec \"$@\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, "sh", SURESTEP]);
    let (tap, _) = start_with(limited, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", tap.id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[0], words[1], "the soft limit is the hard one");
    end(tap);
}

#[test]
fn a_script_that_cannot_be_read_says_where() {
    let output =
        Command::new(SURESTEP).args(["tap", "--fault", "good,strem-silence"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("fault 2: `strem-silence`") && error.contains("`stream-silence`"),
        "{error}"
    );
}

#[test]
fn what_was_typed_wrong_is_usage_and_named() {
    let cases: [(&[&str], &str); 5] = [
        (&["--profile", "opnai"], "did you mean `openai`?"),
        (&["--upstream", "nonsense"], "--upstream"),
        (&["--upstream", "https://u:hunter2@x.invalid/v1"], "it carries credentials"),
        (&["--upstream", "https://x.invalid/v1", "--ca", "none.pem"], "none.pem"),
        (&["--control", "/nowhere/to/be/found/x.sock"], "x.sock"),
    ];
    for (arguments, named) in cases {
        let output = Command::new(SURESTEP)
            .args(["tap", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(named) && !error.contains("the tap listens"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Asks by curl through the proxy; returns the version of HTTP, the status, and curl's exit code.
fn curl_by(variables: &[(String, String)]) -> (String, Option<i32>) {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#);
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "-d", &body])
        .args(["-H", &format!("authorization: Bearer {KEY}")])
        .arg("https://api.example.test/v1/chat/completions")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// What curl says of a stream that was not closed cleanly.
const BROKEN_STREAM: i32 = 92;

#[test]
fn a_client_of_another_make_chooses_http2_where_it_is_offered() {
    for (fault, options, came, code) in [
        ("good", &[][..], "1.1 200", 0),
        ("good", &["--http2"], "2 200", 0),
        ("reset", &["--http2"], "0 000", BROKEN_STREAM),
        ("good+reset-at=9", &["--http2"], "2 200", BROKEN_STREAM),
        ("good+fin-at=9", &["--http2"], "2 200", BROKEN_STREAM),
    ] {
        let (tap, variables) = start_proxy(&[&["--fault", fault], options].concat());
        assert_eq!(curl_by(&variables), (came.to_owned(), Some(code)), "{fault} {options:?}");
        let (lines, ..) = end(tap);
        assert_eq!(lines[0]["request"]["path"], "/v1/chat/completions", "{lines:?}");
    }
}
