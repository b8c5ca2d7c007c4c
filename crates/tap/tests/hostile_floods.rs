//! Clients that flood by HTTP/2, or take nothing: the tap holds little of it, and neighbours do not notice.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use drill::ports::TapPort as _;
use judge::{AskId, End, Stimulus};
use support::frames::{
    DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, PING, PREFACE, PRIORITY, SETTINGS, UNKNOWN,
    WINDOW_UPDATE, frame, hostile, literal,
};
use support::streams::{Streams, chat, post, read};
use support::{Provider, Raw, ask, collect, memory_kib, open, open_alone, shared_ask, soon};
use tap::ListeningPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a flood may add to the memory of the test, sockets' and the test's own buffers with it: a flood that were kept would be more.
const GROWTH_MAX_KIB: u64 = 8 * 1024;

/// What a flood sends, if it is let.
const FLOOD: usize = 2 << 20;

/// Calls that a neighbour makes while a flood is under way.
const CALLS: usize = 50;

/// Pours until all is sent, or the tap has ended it, or nothing more is waited for.
async fn flood(mut raw: Raw, piece: Vec<u8>, reads: bool) {
    let (mut reading, mut writing) = raw.stream.split();
    let pouring = async {
        let block = piece.repeat(16_384 / piece.len());
        let mut n_sent = 0;
        while n_sent < FLOOD && writing.write_all(&block).await.is_ok() {
            n_sent += block.len();
        }
    };
    if !reads {
        return pouring.await;
    }
    let taking = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(1..) = reading.read(&mut buffer).await {}
    };
    tokio::select! {
        () = pouring => {}
        () = async { taking.await; std::future::pending().await } => {}
    }
}

/// Floods a port, by a peer that reads what is said to it and by one that does not, while a neighbour makes calls.
async fn flooded(opening: &[u8], piece: &[u8]) {
    for reads in [true, false] {
        let port = open_alone().await;
        let mut raw = hostile(&port).await;
        raw.send_bytes(opening).await;
        let mut neighbour = Streams::connect(support::address(&port)).await;
        let before = memory_kib();
        let pouring = tokio::spawn(flood(raw, piece.to_vec(), reads));
        answered(&mut neighbour).await;
        if reads {
            soon("the flood", pouring).await.unwrap();
        } else {
            pouring.abort();
        }
        let growth = memory_kib().saturating_sub(before);
        assert!(growth < GROWTH_MAX_KIB, "{piece:?} took {growth} KiB");
        answered(&mut neighbour).await;
    }
}

/// A neighbour's calls are answered: that there is no provider.
async fn answered(neighbour: &mut Streams) {
    for n in 0..CALLS {
        let reply = neighbour.call(post(&format!("/v1/x?{n}"), "{}")).await;
        assert_eq!(
            (reply.status(), read(reply.into_body()).await.reason),
            (http::StatusCode::BAD_GATEWAY, None)
        );
    }
}

#[tokio::test]
async fn flood_of_settings_is_held_up() {
    flooded(&[], &frame(SETTINGS, 0, 0, &[])).await;
    // A setting that changes each time: the table of fields, which heads are compressed by.
    flooded(&[], &frame(SETTINGS, 0, 0, b"\0\x01\0\0\0\0\0\x01\0\0\x10\0")).await;
}

#[tokio::test]
async fn flood_of_pings_is_held_up() {
    flooded(&[], &frame(PING, 0, 0, b"flooding")).await;
}

#[tokio::test]
async fn flood_of_what_means_nothing_is_passed_over() {
    flooded(&[], &frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")).await;
    flooded(&[], &frame(UNKNOWN, 0, 0, b"nothing")).await;
    // A window of a connection may not grow for ever.
    flooded(&[], &frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")).await;
}

#[tokio::test]
async fn flood_of_empty_data_is_held_up() {
    let head = frame(HEADERS, END_HEADERS, 1, HEAD);
    flooded(&head, &frame(DATA, 0, 1, &[])).await;
    // Padding only: it takes of the window, and is nothing.
    flooded(&head, &frame(DATA, 8, 1, b"\x04\0\0\0\0")).await;
}

#[tokio::test]
async fn flood_of_heads_of_one_stream_is_ended() {
    let head = frame(HEADERS, END_HEADERS, 1, HEAD);
    // Trailers that do not end their stream, one after the other.
    flooded(&head, &frame(HEADERS, END_HEADERS, 1, &literal("x", "y"))).await;
}

#[tokio::test]
async fn endless_body_by_http2_is_refused() {
    const PIECES: usize = 4_000;
    let port = open_alone().await;
    port.arm(ask(1, Stimulus::Documented));
    let before = memory_kib();
    let mut streams = Streams::connect(support::address(&port)).await;
    let request = http::Request::post("https://a/v1/chat/completions").body(()).unwrap();
    let (reply, mut sending) = streams.begin(request).await;
    let pouring = async {
        let piece = bytes::Bytes::from(vec![b'x'; 16_384]);
        for _ in 0..PIECES {
            sending.reserve_capacity(piece.len());
            while sending.capacity() < piece.len() {
                let room = futures_util::future::poll_fn(|cx| sending.poll_capacity(cx)).await;
                if !matches!(room, Some(Ok(_))) {
                    return false;
                }
            }
            if sending.send_data(piece.clone(), false).is_err() {
                return false;
            }
        }
        true
    };
    let (reply, took_all) = tokio::join!(soon("a reply", reply), soon("an end", pouring));
    assert_eq!(reply.unwrap().status(), 413);
    assert!(!took_all, "64 MiB of a probe's request were taken");
    let growth = memory_kib().saturating_sub(before);
    assert!(growth < 24 * 1024, "{growth} KiB");
    collect(&port, 1).await;
}

/// A peer whose streams have no room, and never get any.
async fn without_a_window(port: &ListeningPort) -> Raw {
    let mut raw = Raw::connect(support::address(port)).await;
    let no_window = frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0");
    raw.send_bytes(&[PREFACE, &no_window].concat()).await;
    raw
}

/// A chat request's frames on a stream.
fn call(stream: u32, body: &str) -> Vec<u8> {
    let head = b"\x83\x87\x04\x14/v1/chat/completions\x01\x01a";
    [frame(HEADERS, END_HEADERS, stream, head), frame(DATA, END_STREAM, stream, body.as_bytes())]
        .concat()
}

#[tokio::test]
async fn replies_that_nobody_has_room_for_wait_and_end_with_their_ask() {
    const STREAMS: u32 = 100;
    let port = open_alone().await;
    let mut neighbour = Streams::connect(support::address(&port)).await;
    port.arm(shared_ask(1, Stimulus::Documented));
    port.arm(shared_ask(2, Stimulus::Documented));
    let before = memory_kib();
    let mut raw = without_a_window(&port).await;
    let body = chat(1).into_body();
    for n in 0..STREAMS {
        raw.send_bytes(&call(2 * n + 1, &body)).await;
    }
    for _ in 0..CALLS {
        assert_eq!(read(neighbour.call(chat(2)).await.into_body()).await.reason, None);
    }
    let growth = memory_kib().saturating_sub(before);
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB");
    // What is held ends when the ask does, and not before.
    let (seen, _) = soon("collect", port.collect(AskId(1), Duration::ZERO)).await;
    assert_eq!((seen.exchanges.len(), seen.lost), (usize::try_from(STREAMS).unwrap(), 0));
    assert!(seen.exchanges.iter().all(|seen| seen.release_end != End::Complete), "{seen:?}");
    let others = collect(&port, 2).await;
    assert!(others.exchanges.iter().all(|seen| seen.release_end == End::Complete));
}

#[tokio::test]
async fn reply_that_nobody_has_room_for_is_not_read_from_the_provider() {
    /// What may be under way: what sockets hold, beside the tap's own.
    const TAKEN_MAX: usize = 24 << 20;
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut raw = without_a_window(&port).await;
    raw.send_bytes(&call(1, "{}")).await;
    let mut upstream = provider.accept().await;
    upstream.until("\r\n\r\n").await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    let before = memory_kib();
    let mut n_sent = 0;
    let pouring = async {
        let block = vec![b'x'; 65_536];
        while upstream.stream.write_all(&block).await.is_ok() {
            n_sent += block.len();
        }
    };
    let neighbours = async {
        let mut neighbour = Streams::connect(support::address(&port)).await;
        for _ in 0..CALLS {
            // Its calls go by connections of their own.
            let (reply, ()) = tokio::join!(neighbour.call(post("/v1/x", "{}")), async {
                let mut upstream = provider.accept().await;
                upstream.until("\r\n\r\n").await;
                let reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                upstream.send(reply).await;
            });
            assert_eq!(read(reply.into_body()).await.text(), "{}");
        }
    };
    tokio::select! {
        () = pouring => panic!("the tap goes on"),
        () = neighbours => {}
    }
    assert!(n_sent < TAKEN_MAX, "{n_sent} bytes were taken");
    let growth = memory_kib().saturating_sub(before);
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB");
    // Who had no room leaves, and so does the call.
    drop(raw);
    let block = vec![b'x'; 65_536];
    let leaving = async { while upstream.stream.write_all(&block).await.is_ok() {} };
    soon("the call to be closed", leaving).await;
}

#[tokio::test]
async fn half_open_connections_of_http2_hold_little() {
    const N: usize = 300;
    /// Of each, with the client's end in it.
    const EACH_MAX_KIB: u64 = 40;
    for half in [
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[])[..5]].concat(),
        // A head without its end.
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, END_STREAM, 1, HEAD)].concat(),
        // A body without its end.
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, END_HEADERS, 1, HEAD)].concat(),
    ] {
        let port = open_alone().await;
        let before = memory_kib();
        let mut held = Vec::new();
        for _ in 0..N {
            let mut raw = Raw::connect(support::address(&port)).await;
            raw.send_bytes(&half).await;
            held.push(raw);
        }
        let mut neighbour = Streams::connect(support::address(&port)).await;
        answered(&mut neighbour).await;
        let growth = memory_kib().saturating_sub(before);
        assert!(growth < N as u64 * EACH_MAX_KIB, "{N} connections took {growth} KiB");
    }
}
