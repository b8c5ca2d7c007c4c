//! Peers that flood by HTTP/2: they are ended, hold little, and harm nobody beside them. Frames are written by hand here, as no library makes
//! such.

mod support;

use drill::ports::TapPort as _;
use judge::{End, Stimulus};
use support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEAD, HEADERS, PREFACE,
    PROTOCOL_ERROR, RST_STREAM, beside_a_neighbour, frame, hostile, literal, until,
};
use support::streams::{Streams, chat};
use support::{Raw, collect, only, open_alone, shared_ask};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn rapid_resets_end_their_connection() {
    beside_a_neighbour(async |port| {
        let mut raw = hostile(port).await;
        let mut burst = Vec::new();
        for n in 0..50 {
            let stream = 2 * n + 1;
            burst.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, HEAD));
            burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        raw.send_bytes(&burst).await;
        let (_, goaway) = until(&mut raw, &[GOAWAY]).await;
        assert_eq!(goaway[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
    })
    .await;
}

#[tokio::test]
async fn head_without_end_ends_its_connection() {
    beside_a_neighbour(async |port| {
        let mut raw = hostile(port).await;
        raw.send_bytes(&frame(HEADERS, END_STREAM, 1, HEAD)).await;
        let field = literal("x-bomb", &"b".repeat(100));
        let some = field.repeat(16_000 / field.len());
        let mut n_sent = 0_usize;
        // As much as a machine has, if nobody ended it.
        while n_sent < 64 << 20
            && raw.stream.write_all(&frame(CONTINUATION, 0, 1, &some)).await.is_ok()
        {
            n_sent += some.len();
        }
        assert!(n_sent < 16 << 20, "{n_sent} bytes of a head were taken");
    })
    .await;
}

#[tokio::test]
async fn head_beyond_the_limits_is_refused_and_its_connection_stays() {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Documented));
    let mut streams = Streams::connect(support::address(&port)).await;
    // Too long, and too many.
    for (n_fields, length) in [(50, 2000), (150, 1)] {
        let mut request = chat(1);
        for _ in 0..n_fields {
            request.headers_mut().append("x-long", "b".repeat(length).parse().unwrap());
        }
        assert_eq!(streams.call(request).await.status(), 431);
    }
    assert_eq!(streams.call(chat(1)).await.status(), 200);
    assert_eq!(only(&collect(&port, 1).await).attempt, 1);
}

#[tokio::test]
async fn fields_of_another_protocol_break_their_stream_off() {
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        ("keep-alive", "timeout=5"),
    ] {
        let port = open_alone().await;
        port.arm(shared_ask(1, Stimulus::Documented));
        let mut raw = hostile(&port).await;
        let head = [HEAD, &literal(name, value)].concat();
        raw.send_bytes(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await;
        let (_, reason) = until(&mut raw, &[RST_STREAM, GOAWAY]).await;
        assert_eq!(reason[..4], PROTOCOL_ERROR.to_be_bytes(), "{name}");
        assert_eq!(collect(&port, 1).await.exchanges, []);
    }
}

#[tokio::test]
async fn length_that_is_no_length_breaks_its_stream_off() {
    let port = open_alone().await;
    let mut raw = hostile(&port).await;
    let head = [HEAD, &literal("content-length", "5")].concat();
    raw.send_bytes(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    raw.send_bytes(&frame(DATA, END_STREAM, 1, b"abc")).await;
    let (kind, reason) = until(&mut raw, &[RST_STREAM, HEADERS, GOAWAY]).await;
    assert_eq!((kind, &reason[..4]), (RST_STREAM, &PROTOCOL_ERROR.to_be_bytes()[..]));
}

#[tokio::test]
async fn preface_that_goes_on_otherwise_is_no_request() {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Documented));
    for (bytes, expected) in [
        ("PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "HTTP/1.1 505 "),
        ("GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "),
    ] {
        let mut raw = Raw::connect(support::address(&port)).await;
        raw.send(bytes).await;
        let (reply, _) = raw.read_to_end().await;
        assert!(reply.starts_with(expected), "{bytes:?}: {reply}");
    }
    // Nor is one that comes after a request.
    let mut raw = Raw::connect(support::address(&port)).await;
    raw.send(&support::chat_request(1)).await;
    raw.message().await;
    raw.send_bytes(PREFACE).await;
    assert!(raw.read_to_end().await.0.starts_with("HTTP/1.1 505 "));
    let seen = collect(&port, 1).await;
    assert_eq!((only(&seen).release_end, seen.stray_connections), (End::Complete, 2));
}
