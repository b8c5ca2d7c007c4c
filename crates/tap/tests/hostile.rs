//! Peers that mean harm: whatever they send or keep back, the tap holds little of it, ends them, and carries the streams beside them unharmed.

mod support;

use drill::ports::TapPort as _;
use drill::settings::Forward;
use judge::Stimulus;
use support::{
    ForwardPort, Provider, Raw, ask, chat_request, dead_address, forward_spec, memory_kib, open,
    soon, upstream,
};
use tap::ListeningPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A stream that is under way on the same port while somebody else does harm.
struct Beside {
    client: Raw,
    upstream: Raw,
}

impl Beside {
    async fn start(provider: &Provider, port: &ListeningPort) -> Self {
        let mut client = Raw::connect(support::address(port)).await;
        client.send(&chat_request(7)).await;
        let mut upstream = provider.accept().await;
        upstream.message().await;
        upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        client.until("\r\n\r\n").await;
        Self { client, upstream }
    }

    /// One event more still passes.
    async fn goes_on(&mut self) {
        self.upstream.send("5\r\nevent\r\n").await;
        assert_eq!(self.client.until("event\r\n").await, "5\r\nevent\r\n");
    }
}

/// Writes until all is written or the peer takes no more.
async fn pour(client: &mut Raw, piece: &[u8], times: usize) {
    for _ in 0..times {
        if soon("the tap to take bytes", client.stream.write_all(piece)).await.is_err() {
            return;
        }
    }
}

/// Reads what comes until the end, whatever that is.
async fn rest(client: &mut Raw) -> String {
    let mut bytes = std::mem::take(&mut client.unread);
    while let Ok(1..) = soon("the end", client.stream.read_buf(&mut bytes)).await {}
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Does harm to a port, and returns the reply. A stream beside it goes on.
async fn harmed(head: &str, piece: &str, times: usize, armed: bool) -> String {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut beside = Beside::start(&provider, &port).await;
    if armed {
        port.arm(ask(1, Stimulus::Relay));
    }
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(head).await;
    let pouring = pour(&mut client, piece.as_bytes(), times);
    // What is relayed as it comes has to be taken by somebody.
    let taking = async {
        let mut taker = provider.accept().await;
        let mut bytes = vec![0; 65_536];
        while let Ok(1..) = taker.stream.read(&mut bytes).await {}
    };
    tokio::select! {
        () = pouring => {}
        () = async { taking.await; std::future::pending().await } => {}
    }
    let reply = rest(&mut client).await;
    beside.goes_on().await;
    reply
}

#[tokio::test]
async fn bomb_of_fields_is_refused() {
    let head = "GET /v1/models HTTP/1.1\r\nHost: tap\r\n";
    for piece in [format!("X: {}\r\n", "y".repeat(1000)), "X: y\r\n".to_owned(), "y".repeat(1000)] {
        let reply = harmed(head, &piece, 100_000, true).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431 "), "{reply}");
    }
    let many = format!("{head}{}\r\n", "X: y\r\n".repeat(100));
    let reply = harmed(&many, "", 0, true).await;
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
}

const CHUNKED: &str = "POST /v1/x HTTP/1.1\r\nHost: tap\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn endless_chunk_extension_is_ended() {
    for armed in [false, true] {
        let reply = harmed(&format!("{CHUNKED}5;"), &"x".repeat(1000), 1000, armed).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400 "), "{reply}");
        let reply = harmed(CHUNKED, "1;extension=1\r\na\r\n", 100_000, armed).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }
}

#[tokio::test]
async fn endless_trailers_are_ended() {
    for armed in [false, true] {
        let reply = harmed(&format!("{CHUNKED}0\r\n"), "X: y\r\n", 100_000, armed).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }
}

#[tokio::test]
async fn endless_body_of_a_probe_is_refused() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let reply = harmed(CHUNKED, &chunk, 2_000, true).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 413 "), "{reply:.200}");
}

#[tokio::test]
async fn garbage_is_refused() {
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0", b"SSH-2.0-x\r\n\r\n"]
    {
        let provider = Provider::start().await;
        let port = open(provider.address).await;
        let mut beside = Beside::start(&provider, &port).await;
        let mut client = Raw::connect(support::address(&port)).await;
        client.send_bytes(bytes).await;
        let reply = rest(&mut client).await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
        beside.goes_on().await;
    }
}

#[tokio::test]
async fn garbage_in_place_of_tls_is_ended() {
    let proxy =
        ForwardPort::open(forward_spec(upstream(dead_address().await), Forward::default())).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"\x16\x03\x01\xff\xff\x01"] {
        let (mut client, _) = proxy.connect("api.example.test:443").await;
        client.send_bytes(bytes).await;
        client.stream.shutdown().await.unwrap();
        rest(&mut client).await;
    }
    let mut client = proxy.secured("api.example.test").await.unwrap();
    client.send("GET /v1/models HTTP/1.1\r\nHost: api.example.test\r\n\r\n").await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn many_connections_with_half_a_head_hold_little() {
    const N: u64 = 300;
    /// Of each, with the client's end and the test's own memory in it; the head that has come is 1 KiB of it.
    const EACH_MAX_KIB: u64 = 24;
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut beside = Beside::start(&provider, &port).await;
    let half = format!("GET /v1/models HTTP/1.1\r\nHost: tap\r\nX: {}", "y".repeat(1000));
    let before = memory_kib();
    let mut held = Vec::new();
    for _ in 0..N {
        let mut client = Raw::connect(support::address(&port)).await;
        client.send(&half).await;
        held.push(client);
        beside.goes_on().await;
    }
    let growth = memory_kib().saturating_sub(before);
    assert!(growth < N * EACH_MAX_KIB, "{N} connections took {growth} KiB");
    // Each of them still gets its reply.
    for mut client in held {
        client.send("\r\n\r\n").await;
        let mut upstream = provider.accept().await;
        upstream.message().await;
        drop(upstream);
        assert!(client.message().await.0.starts_with("HTTP/1.1 502 "));
    }
}

/// Sends a request, and what the provider pours in place of a reply. Returns what the client gets.
async fn poured(head: &str, piece: &str, times: usize) -> String {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut beside = Beside::start(&provider, &port).await;
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send(head).await;
    let (reply, ()) =
        tokio::join!(rest_of_reply(&mut client), pour(&mut upstream, piece.as_bytes(), times));
    beside.goes_on().await;
    reply
}

/// Reads one reply with a length, or to the end.
async fn rest_of_reply(client: &mut Raw) -> String {
    let mut bytes = Vec::new();
    loop {
        let read = soon("a reply", client.stream.read_buf(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes);
        if !matches!(read, Ok(1..)) || text.ends_with("}}") {
            return text.into_owned();
        }
    }
}

#[tokio::test]
async fn provider_that_pours_heads_is_given_up() {
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\n", format!("X: {}\r\n", "y".repeat(1000))),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n".to_owned()),
        ("HTTP/1.1 200 ", "y".repeat(1000)),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n".to_owned()),
        ("", "\0garbage".to_owned()),
        ("SSH-2.0-x\r\n\r\n", String::new()),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", String::new()),
    ] {
        let reply = poured(head, &piece, 10_000).await;
        let reply = &reply[reply.find("HTTP/1.1 502").unwrap_or_else(|| panic!("{reply}"))..];
        assert!(reply.contains("provider_unreachable"), "{reply}");
    }
}

#[tokio::test]
async fn provider_that_pours_between_its_chunks_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for piece in ["1;extension=1\r\na\r\n", "1;", "0\r\nX: y\r\n"] {
        let reply = poured(head, piece, 100_000).await;
        assert!(
            reply.starts_with("HTTP/1.1 200 OK\r\n") && !reply.contains("0\r\n\r\n"),
            "{piece:?}"
        );
    }
}
