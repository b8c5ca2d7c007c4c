//! Providers that mean harm by TLS and HTTP/2: they are given up, their calls end, and calls to other providers go on.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use drill::ports::Tap as _;
use support::frames::{
    CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, PING, PUSH_PROMISE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, literal,
};
use support::secured::Secured;
use support::streams::{Streams, post, read};
use support::{Provider, Raw, memory_kib, soon, spec, upstream};
use tap::TapServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a flood may add to the memory of the test, with the test's own.
const GROWTH_MAX_KIB: u64 = 16 * 1024;

/// What a flood sends, if it is let.
const FLOOD: usize = 2 << 20;

/// `:status: 200`, by the static table.
const HEAD: &[u8] = b"\x88";
/// `:status: 103`.
const INTERIM: &[u8] = b"\x08\x03103";

/// Calls another provider through the same tap.
async fn neighbour(tap: &TapServer) {
    let provider = Provider::start().await;
    let port = tap.open(spec(upstream(provider.address))).await.unwrap();
    let mut streams = Streams::connect(support::address(&port)).await;
    let (reply, ()) = tokio::join!(streams.call(post("/v1/x", "{}")), async {
        let mut upstream = provider.accept().await;
        upstream.until("\r\n\r\n").await;
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    });
    assert_eq!(read(reply.into_body()).await.text(), "{}");
}

/// Takes a call, and pours a piece behind an opening. Returns how the call ended: its status, and whether its body broke off.
async fn poured(opening: &[u8], piece: &[u8]) -> (u16, bool) {
    let tap = support::tap();
    let provider = Secured::start(&["h2"]).await;
    let port = tap.open(spec(provider.upstream())).await.unwrap();
    let mut streams = Streams::connect(support::address(&port)).await;
    let reply = streams.send(post("/v1/x", "{}")).await;
    let mut raw = Raw::of(provider.accept().await);
    // The preface, and the call's own frames.
    raw.send_bytes(&frame(SETTINGS, 0, 0, &[])).await;
    let mut some = [0; 64];
    soon("a call", raw.stream.read_exact(&mut some)).await.unwrap();
    raw.send_bytes(opening).await;
    let before = memory_kib();
    let pouring = tokio::spawn(pour(raw, piece.to_vec()));
    neighbour(&tap).await;
    let reading = async {
        let response = reply.await.unwrap();
        (response.status().as_u16(), read(response.into_body()).await.reason.is_some())
    };
    let came = soon("a reply", reading).await;
    soon("the flood to be ended", pouring).await.unwrap();
    let growth = memory_kib().saturating_sub(before);
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB");
    // The next call is made over another connection.
    let again = streams.send(post("/v1/x", "{}")).await;
    let mut connection = provider.accept_http2().await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    respond.send_response(http::Response::new(()), true).unwrap();
    let reply = support::secured::driving(&mut connection, again).await.unwrap();
    assert_eq!(reply.status(), 200);
    came
}

/// Pours until all is sent or the tap has ended it, and takes what is said meanwhile. Leaves at its end.
async fn pour(raw: Raw<TlsStream<TcpStream>>, piece: Vec<u8>) {
    let (mut reading, mut writing) = tokio::io::split(raw.stream);
    let pouring = async {
        if !piece.is_empty() {
            let block = piece.repeat(16_384_usize.div_ceil(piece.len()));
            let mut n_sent = 0;
            while n_sent < FLOOD && writing.write_all(&block).await.is_ok() {
                n_sent += block.len();
            }
        }
        drop(writing.shutdown().await);
    };
    let taking = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(1..) = reading.read(&mut buffer).await {}
    };
    tokio::join!(pouring, taking);
}

#[tokio::test]
async fn provider_that_pours_a_head_by_http2_is_given_up() {
    let some = literal("x-bomb", &"b".repeat(100)).repeat(150);
    let begun = frame(HEADERS, 0, 1, HEAD);
    assert_eq!(poured(&begun, &frame(CONTINUATION, 0, 1, &some)).await, (502, false));
    // Nothing in them, which takes no room.
    assert_eq!(poured(&begun, &frame(CONTINUATION, 0, 1, &[])).await, (502, false));
}

#[tokio::test]
async fn provider_that_pours_interim_responses_by_http2_is_given_up() {
    assert_eq!(poured(&[], &frame(HEADERS, END_HEADERS, 1, INTERIM)).await, (502, false));
}

#[tokio::test]
async fn provider_that_breaks_a_rule_of_http2_is_given_up() {
    for piece in [
        // Data without a head, of no stream, of a stream that nobody opened.
        frame(DATA, 0, 1, b"x"),
        frame(DATA, 0, 0, b"x"),
        frame(DATA, 0, 99, b"x"),
        // A window that is too large.
        frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        // What it was told not to do.
        frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82"),
        // Lengths that are none.
        frame(PING, 0, 0, b"short"),
        frame(SETTINGS, 0, 0, b"short"),
        // Compressed by no rule.
        frame(HEADERS, END_HEADERS, 1, &[0xff; 100]),
        // Another protocol.
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
    ] {
        assert_eq!(poured(&piece, &[]).await, (502, false), "{piece:?}");
    }
}

#[tokio::test]
async fn provider_that_sends_more_than_there_is_room_for_is_given_up() {
    let head = frame(HEADERS, END_HEADERS, 1, HEAD);
    let (status, breaks_off) = poured(&head, &frame(DATA, 0, 1, &[0; 16_384])).await;
    // What the release takes makes room for more: it is a long body like any other, until the provider leaves.
    assert_eq!((status, breaks_off), (200, true));
}

#[tokio::test]
async fn provider_that_floods_by_http2_holds_up_its_own_calls_only() {
    let head = frame(HEADERS, END_HEADERS, 1, HEAD);
    for piece in [
        frame(SETTINGS, 0, 0, &[]),
        frame(PING, 0, 0, b"flooding"),
        frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()),
        frame(DATA, 0, 1, &[]),
        frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
    ] {
        let (status, breaks_off) = poured(&head, &piece).await;
        assert_eq!((status, breaks_off), (200, true), "{:?}", &piece[..4]);
    }
}

#[tokio::test]
async fn provider_without_tls_where_it_belongs_is_given_up() {
    for said in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[0xff; 4096], b"\x16\x03\x03\xff\xff\x02", b""] {
        let tap = support::tap();
        let provider = Secured::start(&["h2"]).await;
        let port = tap.open(spec(provider.upstream())).await.unwrap();
        let mut client = Raw::connect(support::address(&port)).await;
        let mut streams = Streams::connect(support::address(&port)).await;
        for by_http2 in [false, true] {
            let bad = async {
                let mut raw = Raw::of(provider.tcp().await);
                raw.send_bytes(said).await;
                drop(raw.stream.shutdown().await);
                let mut buffer = vec![0; 4096];
                while let Ok(1..) = soon("the end", raw.stream.read(&mut buffer)).await {}
            };
            if by_http2 {
                let (reply, ()) = tokio::join!(streams.call(post("/v1/x", "{}")), bad);
                assert_eq!(reply.status(), 502);
            } else {
                client.send(&support::post("/v1/x", "{}")).await;
                let ((head, body), ()) = tokio::join!(client.message(), bad);
                assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
                assert!(body.contains("the TLS handshake with api.example.test failed"), "{body}");
            }
            neighbour(&tap).await;
        }
    }
}
