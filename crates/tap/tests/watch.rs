//! The tap alone: each exchange gets what the script says, and is told; edited replies of the provider do on the wire what the script
//! says.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::sync::Arc;

use judge::fault::Script;
use judge::{AnsweredBy, End};
use support::{Provider, Raw, chat_request, dead_address, post, spec, tap, upstream};
use tap::{ListeningPort, Watch, Watched};
use tokio::sync::mpsc::Receiver;

const EVENTS: [&str; 3] =
    ["data: {\"a\":1}\n\n", "data: {\"b\":\"caf\u{e9}\"}\n\n", "data: [DONE]\n\n"];

async fn watch(
    address: std::net::SocketAddr,
    script: &str,
) -> (ListeningPort, Arc<Watch>, Receiver<Watched>) {
    let script = Script::parse(script).unwrap();
    tap().watch(spec(upstream(address)), script).await.unwrap()
}

/// Sends one request through a tap with this script to a provider that streams [`EVENTS`]. Returns what a client reads until the end of
/// its connection, and whether that was a reset.
async fn streamed(script: &str) -> (String, bool, Watched) {
    let provider = Provider::start().await;
    let (port, _watch, mut told) = watch(provider.address, script).await;
    let mut client = Raw::connect(support::address(&port)).await;
    let request = chat_request(1).replace("Host: tap\r\n", "Host: tap\r\nConnection: close\r\n");
    client.send(&request).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    let mut reply =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_owned();
    for event in EVENTS {
        reply.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
    }
    upstream.send(&(reply + "0\r\n\r\n")).await;
    let (read, error) = client.read_to_end().await;
    let watched = told.recv().await.unwrap();
    (read, error.is_some(), watched)
}

/// Takes the chunked framing off.
fn body(read: &str) -> String {
    let (_, chunks) = read.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    let mut rest = chunks;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = after.get(..size) else { break };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

#[tokio::test]
async fn relayed_calls_pass_unchanged_and_are_told() {
    let (read, reset, watched) = streamed("live").await;
    assert_eq!((body(&read), reset), (EVENTS.concat(), false));
    assert_eq!((watched.call, watched.exchange.attempt), (1, 1));
    assert_eq!(watched.exchange.answered_by, AnsweredBy::Provider);
}

#[tokio::test]
async fn edits_of_a_live_reply_are_seen_on_the_wire() {
    let cases = [
        ("live+reset-at=2e", EVENTS[..2].concat(), true),
        ("live+fin-at=1e", EVENTS[0].to_owned(), false),
        ("live+truncate-event=1", EVENTS[0].to_owned(), false),
        ("live+no-done", EVENTS[..2].concat(), false),
        ("live+dribble=3", EVENTS.concat(), false),
        ("live+drop=/b", format!("{}data: {{}}\n\n{}", EVENTS[0], EVENTS[2]), false),
    ];
    for (script, expected, is_reset) in cases {
        let (read, reset, watched) = streamed(script).await;
        assert_eq!((body(&read), reset), (expected, is_reset), "{script}");
        // A cut leaves the framing without its end; what was truncated in good order has it.
        assert_eq!(read.ends_with("0\r\n\r\n"), !script.contains("-at="), "{script}: {read}");
        assert_eq!(watched.exchange.answered_by, AnsweredBy::Tap, "{script}");
    }
}

#[tokio::test]
async fn a_stopped_reply_closes_the_call_to_the_provider() {
    let provider = Provider::start().await;
    let (port, _watch, mut told) = watch(provider.address, "live+fin-at=1e").await;
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    let event = EVENTS[0];
    upstream
        .send(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
            event.len()
        ))
        .await;
    client.read_to_end().await;
    upstream.read_to_end().await;
    let watched = told.recv().await.unwrap();
    assert_eq!(watched.exchange.provider_end, Some(End::Injected));
}

#[tokio::test]
async fn attempts_of_a_call_follow_the_script_and_a_new_one_begins_after_success() {
    let (port, watch, mut told) = watch(dead_address().await, "503,good").await;
    let mut client = Raw::connect(support::address(&port)).await;
    let mut seen = Vec::new();
    let other = post(
        "/v1/chat/completions",
        r#"{"model":"m","messages":[{"role":"user","content":"other"}]}"#,
    );
    for request in [chat_request(1), chat_request(1), chat_request(1), other] {
        client.send(&request).await;
        client.message().await;
        let watched = told.recv().await.unwrap();
        let status = watched.exchange.response.unwrap().status;
        seen.push((watched.call, watched.exchange.attempt, status));
    }
    assert_eq!(seen, [(1, 1, 503), (1, 2, 200), (2, 1, 503), (3, 1, 503)]);
    // From the next call on.
    watch.set_script(Script::parse("418").unwrap());
    client.send(&post("/v1/chat/completions", "{}")).await;
    client.message().await;
    assert_eq!(told.recv().await.unwrap().exchange.response.unwrap().status, 418);
    assert_eq!(watch.lost(), 0);
}
