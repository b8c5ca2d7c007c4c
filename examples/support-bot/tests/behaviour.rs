//! Both releases as processes, in front of a provider that plays a script.

#![expect(
    clippy::unwrap_used,
    reason = "clippy's own exception reaches test functions, not what they call"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const KEY: &str = "sk-not-a-real-key-4711";
const QUESTION: &str = "Where is my parcel 0815?";
const DONE: &str = "data: [DONE]\n\n";

/// A running release and the provider behind it.
struct Bot {
    process: Child,
    port: u16,
    calls: Arc<AtomicUsize>,
}

impl Bot {
    /// Starts a release; each call to its provider gets the next of `replies`, and the last one from then on.
    fn start(release: &str, replies: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read_request(&mut stream);
                let call = counter.fetch_add(1, Ordering::SeqCst);
                let reply = replies.get(call).or(replies.last()).unwrap();
                // A release that has given up is one of the cases.
                stream.write_all(reply.as_bytes()).ok();
                if reply.ends_with(": still here\n\n") {
                    // Held open until the release gives up, never longer than a test may take.
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    stream.read_to_end(&mut Vec::new()).ok();
                }
            }
        });
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = match release {
            "2.4.0" => env!("CARGO_BIN_EXE_support-bot-new"),
            _ => env!("CARGO_BIN_EXE_support-bot-rollback"),
        };
        let process = Command::new(program)
            .env_clear()
            .envs([("OPENAI_BASE_URL", base_url.as_str()), ("OPENAI_API_KEY", KEY)])
            .envs([("SUPPORT_MODEL", "demo-1"), ("PORT", &port.to_string())])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut bot = Self { process, port, calls };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(bot.process.try_wait().unwrap().is_none(), "the release ended at once");
            std::thread::yield_now();
        }
        bot
    }

    /// Asks, and returns the whole response as text.
    fn ask(&self, path: &str) -> String {
        let body = format!("{{\"question\":\"{QUESTION}\"}}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = "host: bot\r\nconnection: close\r\ncontent-type: application/json";
        let length = body.len();
        write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut response = String::new();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_to_string(&mut response).unwrap();
        assert!(!response.contains("provider's words"), "{response}");
        response
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Ends the release and returns what it logged.
    fn logs(mut self) -> String {
        self.process.kill().unwrap();
        let mut logs = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut logs).unwrap();
        logs
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn read_request(stream: &mut TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

fn reply(status: u16, content_type: &str, body: &str) -> String {
    let head =
        format!("content-type: {content_type}\r\nx-request-id: req-{status}\r\nconnection: close");
    format!("HTTP/1.1 {status} X\r\n{head}\r\n\r\n{body}")
}

fn completion(content: &str, finish_reason: &str) -> String {
    let choice = format!(
        r#"{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":{finish_reason}}}"#
    );
    reply(
        200,
        "application/json",
        &format!(r#"{{"id":"c-1","model":"demo-1","choices":[{choice}]}}"#),
    )
}

fn failure(status: u16, code: &str) -> String {
    let body =
        format!(r#"{{"error":{{"message":"the provider's words","type":"e","code":"{code}"}}}}"#);
    reply(status, "application/json", &body)
}

fn chunk(content: &str, finish_reason: &str) -> String {
    let choice =
        format!(r#"{{"index":0,"delta":{{"content":{content}}},"finish_reason":{finish_reason}}}"#);
    format!("data: {{\"id\":\"c-1\",\"choices\":[{choice}]}}\n\n")
}

fn stream(events: &[&str]) -> String {
    reply(200, "text/event-stream; charset=utf-8", &events.concat())
}

#[track_caller]
fn check(replies: Vec<String>, path: &str, expected: &str, calls: usize) -> String {
    let bot = Bot::start("2.4.0", replies);
    let response = bot.ask(path);
    assert!(response.contains(expected), "{expected} is not in {response}");
    assert_eq!(bot.calls(), calls, "calls to the provider");
    bot.logs()
}

#[test]
fn a_whole_reply_is_the_answer_of_both_releases() {
    for release in ["2.4.0", "2.3.1"] {
        let bot = Bot::start(release, vec![completion(r#""On its way.""#, r#""stop""#)]);
        let response = bot.ask("/ask");
        assert!(response.ends_with(r#"{"answer":"On its way."}"#), "{response}");
        let logs = bot.logs();
        for expected in
            [release, "/v1/chat/completions", r#""status":200"#, "req-200", r#""time":"2"#]
        {
            assert!(logs.contains(expected), "{expected} is not in {logs}");
        }
        for forbidden in [KEY, "On its way", "parcel"] {
            assert!(!logs.contains(forbidden), "{forbidden} is in {logs}");
        }
    }
}

#[test]
fn what_may_pass_is_retried_and_what_repeats_itself_is_not() {
    let good = completion(r#""Yes.""#, r#""stop""#);
    check(vec![failure(503, ""), good], "/ask", "200 OK", 2);
    let logs = check(vec![failure(503, "")], "/ask", "provider_failed", 3);
    assert!(!logs.contains("words"), "{logs}");
    check(vec![failure(503, "model_not_found")], "/ask", "model_not_found", 1);
    check(vec![failure(500, "invalid_request")], "/ask", "request_refused", 1);
    check(vec![failure(429, "insufficient_quota")], "/ask", "quota_used_up", 1);
    check(vec![failure(401, "")], "/ask/stream", "event: error", 1);
    let moved = "HTTP/1.1 301 X\r\nlocation: /v1/x\r\nconnection: close\r\n\r\n".to_owned();
    check(vec![moved], "/ask", "redirected", 1);
    let busy = "HTTP/1.1 429 X\r\nretry-after: 130\r\nconnection: close\r\n\r\n".to_owned();
    check(vec![busy], "/ask", "rate_limited", 1);
}

#[test]
fn only_a_finished_answer_with_text_is_shown() {
    check(vec![completion(r#""Half""#, r#""length""#)], "/ask", "answer_cut_by_limit", 1);
    check(vec![completion(r#""Half""#, "null")], "/ask", "answer_not_finished", 1);
    check(vec![completion("\" \"", r#""stop""#)], "/ask", "empty_answer", 1);
    check(vec![completion("null", r#""stop""#)], "/ask", "empty_answer", 1);
    check(vec![completion("[1]", r#""stop""#)], "/ask", "reply_not_understood", 1);
    check(vec![reply(200, "text/html", "<html>")], "/ask", "wrong_content_type", 1);
    check(vec![failure(200, "x")], "/ask", "provider_error", 1);
}

#[test]
fn a_stream_is_passed_on_and_its_end_is_proven() {
    let (one, two) = (chunk(r#""On ""#, "null"), chunk(r#""its way.""#, "null"));
    let end = chunk("null", r#""stop""#);
    let strange = "event: ping\ndata: {\"type\":\"ping\"}\n\n: comment\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n";
    let whole = [one.as_str(), strange, &two, &end, usage, DONE];
    for events in [&whole[..], &whole[..4]] {
        let bot = Bot::start("2.4.0", vec![stream(events)]);
        let response = bot.ask("/ask/stream");
        for expected in [r#"{"delta":"On "}"#, r#"{"delta":"its way."}"#, r#"{"done":true}"#] {
            assert!(response.contains(expected), "{expected} is not in {response}");
        }
    }
    check(vec![stream(&[&one, DONE])], "/ask/stream", "answer_not_finished", 1);
    check(vec![stream(&[&end, DONE])], "/ask/stream", "empty_answer", 1);
    let broken = "data: {\"error\":{\"message\":\"the provider's words\"}}\n\n";
    check(vec![stream(&[&one, broken])], "/ask/stream", "provider_error", 1);
    check(vec![stream(&[&one, "data: {\"choi\n\n"])], "/ask/stream", "reply_not_understood", 1);
    check(vec![completion(r#""x""#, r#""stop""#)], "/ask/stream", "wrong_content_type", 1);
    // Silence, with and without comments that keep the connection alive.
    check(vec![stream(&[&one, ": still here\n\n"])], "/ask/stream", "too_slow", 1);
}

#[test]
fn a_blank_setting_ends_it_at_once_and_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_support-bot-new"))
        .env_clear()
        .env("OPENAI_BASE_URL", " ")
        .output()
        .unwrap();
    let logs = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(logs.contains("OPENAI_BASE_URL is blank"), "{logs}");
}
