//! Many streams at a time, one of which nobody reads: all others get everything, before and while it waits. (Ten thousand: `cargo bench -p tap -- many`.)
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use h2::RecvStream;
use support::streams::{Came, Streams, post, read};
use support::{Provider, Raw, open, soon};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// As many as a connection of HTTP/2 takes.
const STREAMS: usize = 100;

/// Events of each stream.
const EVENTS: usize = 50;

/// Far more than what sockets and the tap hold of one stream.
const FLOOD: usize = 64 << 20;

fn event(stream: &str, index: usize) -> String {
    format!("data: {{\"stream\":\"{stream}\",\"event\":{index}}}\n\n")
}

/// Answers one call: by events, in step with all others, or by a flood.
async fn answer(mut upstream: Raw) {
    let head = upstream.until("\r\n\r\n").await;
    let (_, rest) = head.split_once("/v1/").unwrap();
    let (name, _) = rest.split_once(' ').unwrap();
    let name = name.to_owned();
    upstream.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n").await;
    if name == "flood" {
        upstream.send(&format!("content-length: {FLOOD}\r\n\r\n")).await;
        // Not within a time: whoever reads it comes when all others are done.
        upstream.stream.write_all(&vec![b'x'; FLOOD]).await.unwrap();
        return;
    }
    upstream.send("transfer-encoding: chunked\r\n\r\n").await;
    for index in 0..EVENTS {
        let event = event(&name, index);
        upstream.send(&format!("{:x}\r\n{event}\r\n", event.len())).await;
        tokio::task::yield_now().await;
    }
    upstream.send("0\r\n\r\n").await;
}

fn expected(name: &str) -> String {
    (0..EVENTS).map(|index| event(name, index)).collect()
}

async fn length(mut body: RecvStream) -> usize {
    let mut n = 0;
    while let Some(data) = soon("more of a body", body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        assert!(data.iter().all(|byte| *byte == b'x'));
        n += data.len();
    }
    n
}

#[tokio::test]
async fn stream_that_nobody_reads_slows_none_of_those_beside_it() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    tokio::spawn(async move {
        loop {
            tokio::spawn(answer(provider.accept().await));
        }
    });
    let mut streams = Streams::connect(support::address(&port)).await;
    let slow = streams.call(post("/v1/flood", "{}")).await.into_body();
    let mut replies = JoinSet::new();
    for n in 1..STREAMS {
        let name = format!("s{n}");
        let reply = streams.send(post(&format!("/v1/{name}"), "{}")).await;
        replies.spawn(async move {
            let came: Came = read(reply.await.unwrap().into_body()).await;
            assert_eq!((came.text(), came.reason), (expected(&name), None));
        });
    }
    while let Some(reply) = soon("the others", replies.join_next()).await {
        reply.unwrap();
    }
    assert_eq!(length(slow).await, FLOOD);
}
