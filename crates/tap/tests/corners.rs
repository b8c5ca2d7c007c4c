//! The corners of HTTP/1 on the wire, byte for byte: what real clients and providers may do beside a plain call, and what is refused because
//! two readers could read it in two ways.

mod support;

use drill::ports::TapPort as _;
use judge::{End, Stimulus};
use support::{Provider, Raw, ask, chat_request, collect, header, only, open, post, soon};
use tap::ListeningPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A port in front of a raw provider, and a client of it. Nobody is expected: what passes is relayed as it comes.
async fn relay() -> (Provider, ListeningPort, Raw) {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let client = Raw::connect(support::address(&port)).await;
    (provider, port, client)
}

/// The same, and a request that has begun to arrive at the provider. Port and provider last as long as the first part is held.
async fn called(request: &str) -> ((Provider, ListeningPort), Raw, Raw) {
    let (provider, port, mut client) = relay().await;
    client.send(request).await;
    let upstream = provider.accept().await;
    ((provider, port), client, upstream)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn spelling_order_and_repeated_names_pass_both_ways() {
    let ((provider, _port), mut client, mut upstream) = called("POST /v1/files?a=1 HTTP/1.1\r\nX-Trace: 1\r\nhost: tap\r\nConnection: keep-alive, X-Hop\r\nx-TRACE: 2\r\nX-Hop: gone\r\nACCEPT: */*\r\nX-Trace: 3\r\nContent-Length: 4\r\nCookie: a=b\r\n\r\nbody").await;
    let (head, body) = upstream.message().await;
    let host = provider.address;
    assert_eq!(
        (head, body.as_str()),
        (
            format!(
                "POST /v1/files?a=1 HTTP/1.1\r\nX-Trace: 1\r\nhost: {host}\r\nx-TRACE: 2\r\nACCEPT: */*\r\nX-Trace: 3\r\nContent-Length: 4\r\nCookie: a=b\r\n\r\n"
            ),
            "body"
        )
    );
    let came = "HTTP/1.1 201 Erstellt \u{fc}\r\nSet-Cookie: a\r\nDate: d\r\nset-cookie: b\r\nKeep-Alive: timeout=5\r\nconnection: Keep-Alive\r\nVIA: x\r\nSET-COOKIE: c\r\nContent-Length: 2\r\n\r\n{}";
    upstream.send(came).await;
    let goes = came.replace("Keep-Alive: timeout=5\r\nconnection: Keep-Alive\r\n", "");
    assert_eq!(client.until("{}").await, goes);
}

#[tokio::test]
async fn client_that_waits_is_told_to_continue_and_the_provider_is_not_asked() {
    for armed in [false, true] {
        let (provider, port, mut client) = relay().await;
        if armed {
            port.arm(ask(1, Stimulus::Relay));
        }
        let request =
            chat_request(1).replace("Host: tap\r\n", "Host: tap\r\nExpect: 100-continue\r\n");
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        client.send(&format!("{head}\r\n\r\n")).await;
        assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send(body).await;
        let mut upstream = provider.accept().await;
        let (head, received) = upstream.message().await;
        assert_eq!((header(&head, "expect"), received.as_str()), (None, body));
        upstream.send(OK).await;
        assert!(client.until("{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
        // One that sends its body at once is told nothing.
        client.send(&request).await;
        upstream.message().await;
        upstream.send(OK).await;
        assert!(client.until("{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn replies_to_head_and_without_content_have_no_body() {
    let (provider, _port, mut client) = relay().await;
    let request = |method: &str| format!("{method} /v1/models HTTP/1.1\r\nHost: tap\r\n\r\n");
    client.send(&request("HEAD")).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    for (reply, next) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "GET"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n", "DELETE"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "HEAD"),
    ] {
        upstream.send(reply).await;
        assert_eq!(client.until("\r\n\r\n").await, reply);
        // Both connections go on behind it.
        client.send(&request(next)).await;
        assert!(upstream.message().await.0.starts_with(next));
    }
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    client.send(&request("GET")).await;
    upstream.message().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (provider, _port, mut client) = relay().await;
    let posts: Vec<String> = ["one", "two", "three"].map(|body| post("/v1/x", body)).to_vec();
    client.send(&posts.concat()).await;
    let mut upstream = provider.accept().await;
    for body in ["one", "two", "three"] {
        assert_eq!(upstream.message().await.1, body);
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        upstream.send(&reply).await;
        assert_eq!(client.until(body).await, reply);
    }
}

#[tokio::test]
async fn old_clients_get_no_chunks_and_their_connection_closed() {
    let (provider, port, mut client) = relay().await;
    client.send("GET /v1/models HTTP/1.0\r\n\r\n").await;
    let mut upstream = provider.accept().await;
    assert!(upstream.message().await.0.starts_with("GET /v1/models HTTP/1.1\r\n"));
    upstream
        .send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n")
        .await;
    let (reply, error) = client.read_to_end().await;
    assert_eq!(
        (reply.as_str(), error),
        ("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nabcde", None)
    );

    let mut client = Raw::connect(support::address(&port)).await;
    for _ in 0..2 {
        client.send("GET /v1/models HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
        upstream.message().await;
        upstream.send(OK).await;
        let reply = client.until("{}").await;
        assert!(reply.starts_with("HTTP/1.0 200 OK\r\n"), "{reply}");
        assert_eq!(header(&reply, "connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn client_that_asks_for_a_close_gets_it() {
    let (_tap, mut client, mut upstream) =
        called("GET /v1/models HTTP/1.1\r\nHost: tap\r\nConnection: close\r\n\r\n").await;
    let (head, _) = upstream.message().await;
    assert_eq!(header(&head, "connection"), None, "the provider's connection is another one");
    upstream.send(OK).await;
    let (reply, error) = client.read_to_end().await;
    assert_eq!((header(&reply, "connection"), error), (Some("close"), None));
    assert!(reply.ends_with("\r\n\r\n{}"));
}

#[tokio::test]
async fn interim_responses_pass_but_for_the_word_to_continue() {
    let (_tap, mut client, mut upstream) = called(&post("/v1/x", "{}")).await;
    upstream.message().await;
    upstream
        .send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .await;
    // Before the reply is there.
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    upstream.send(&format!("HTTP/1.1 102 Processing\r\n\r\n{OK}")).await;
    assert_eq!(client.until("{}").await, format!("HTTP/1.1 102 Processing\r\n\r\n{OK}"));
}

#[tokio::test]
async fn switch_that_nobody_asked_for_is_an_error() {
    let (_tap, mut client, mut upstream) = called("GET /v1/realtime HTTP/1.1\r\nHost: tap\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n").await;
    let (head, _) = upstream.message().await;
    for name in ["upgrade", "connection", "http2-settings"] {
        assert_eq!(header(&head, name), None, "{head}");
    }
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n").await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 502 ") && body.contains("another protocol"), "{head}{body}");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (_tap, mut client, mut upstream) = called("POST /v1/x HTTP/1.1\r\nHost: tap\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n").await;
    let head = upstream.until("\r\n\r\n").await;
    assert_eq!(header(&head, "trailer"), Some("x-sum"));
    assert_eq!(upstream.until("\r\n\r\n").await, "3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n");
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 2\r\nContent-Length: 7\r\n\r\n")
        .await;
    client.until("\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "2\r\n{}\r\n0\r\nx-sum: 2\r\n\r\n");
}

#[tokio::test]
async fn reply_without_framing_ends_with_its_connection_and_comes_in_chunks() {
    let (provider, port, mut client) = relay().await;
    port.arm(ask(1, Stimulus::Relay));
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send("HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc").await;
    assert_eq!(
        client.until("\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(client.until("abc\r\n").await, "3\r\nabc\r\n");
    drop(upstream);
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    assert_eq!(only(&collect(&port, 1).await).release_end, End::Complete);
    // Nothing more can come over that connection.
    client.send(&post("/v1/x", "{}")).await;
    provider.accept().await.message().await;
}

#[tokio::test]
async fn provider_may_refuse_before_it_has_read_everything() {
    let (_tap, mut client, mut upstream) =
        called("POST /v1/files HTTP/1.1\r\nHost: tap\r\nContent-Length: 50000000\r\n\r\nbegin")
            .await;
    upstream.until("begin").await;
    upstream
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        .await;
    let reply = client.until("big").await;
    assert!(reply.starts_with("HTTP/1.1 413 Too Large\r\n"), "{reply}");
    // Neither the rest of the body nor a request behind it is expected any more.
    let (rest, error) = client.read_to_end().await;
    assert_eq!((rest.as_str(), error), ("", None));
}

#[tokio::test]
async fn request_that_can_be_read_in_two_ways_goes_nowhere() {
    for (framing, status) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "400 Bad Request"),
        ("Content-Length: 4\r\nContent-Length: 5\r\n", "400 Bad Request"),
        ("Transfer-Encoding: chunked, identity\r\n", "501 Not Implemented"),
        ("Transfer-Encoding : chunked\r\n", "400 Bad Request"),
    ] {
        let (provider, port, mut client) = relay().await;
        port.arm(ask(1, Stimulus::Relay));
        let smuggled = "GET /v1/smuggled HTTP/1.1\r\nHost: tap\r\n\r\n";
        client
            .send(&format!("POST /v1/x HTTP/1.1\r\nHost: tap\r\n{framing}\r\n0\r\n\r\n{smuggled}"))
            .await;
        let (refusal, error) = client.read_to_end().await;
        assert_eq!(
            (refusal, error),
            (
                format!(
                    "HTTP/1.1 {status}\r\nx-surestep: refused-request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                ),
                None
            )
        );
        let seen = collect(&port, 1).await;
        assert_eq!((seen.exchanges.len(), seen.stray_connections), (0, 1), "{framing}");
        // What comes next at the provider is somebody else's.
        let mut other = Raw::connect(support::address(&port)).await;
        other.send("GET /v1/other HTTP/1.1\r\nHost: tap\r\n\r\n").await;
        assert!(provider.accept().await.message().await.0.starts_with("GET /v1/other "));
    }
}

#[tokio::test]
async fn reply_with_two_framings_is_passed_on_with_one() {
    let (_tap, mut client, mut upstream) = called(&post("/v1/x", "{}")).await;
    upstream.message().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        .await;
    assert_eq!(
        client.until("0\r\n\r\n").await,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    );
}

#[tokio::test]
async fn release_that_leaves_before_the_reply_closes_the_call_to_the_provider() {
    for half in [false, true] {
        let (provider, port, mut client) = relay().await;
        port.arm(ask(1, Stimulus::Relay));
        client.send(&chat_request(1)).await;
        let mut upstream = provider.accept().await;
        upstream.message().await;
        if half {
            // Clients of an LLM API do not do this, and one that does is taken for one that leaves.
            client.stream.shutdown().await.unwrap();
        } else {
            drop(client);
        }
        assert_eq!(upstream.read_to_end().await.0, "");
        let seen = collect(&port, 1).await;
        assert_eq!(only(&seen).release_end, End::PeerLeft);
    }
}

#[tokio::test]
async fn connection_that_the_provider_closed_while_idle_is_not_used() {
    let (provider, _port, mut client) = relay().await;
    for _ in 0..3 {
        client.send(&post("/v1/x", "{}")).await;
        let mut upstream = provider.accept().await;
        upstream.message().await;
        upstream.send(OK).await;
        assert!(client.until("{}").await.starts_with("HTTP/1.1 200"));
        drop(upstream);
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_are_no_reply() {
    let ((provider, _port), mut client, mut upstream) = called(&post("/v1/x", "{}")).await;
    upstream.message().await;
    upstream.send(&format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")).await;
    assert!(client.until("{}").await.starts_with("HTTP/1.1 200"));
    client.send(&post("/v1/x", "{}")).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send(OK).await;
    assert_eq!(client.until("{}").await, OK);
}

#[tokio::test]
async fn body_of_a_request_that_breaks_off_is_no_fault_of_the_provider() {
    let (_tap, mut client, mut upstream) = called(
        "POST /v1/x HTTP/1.1\r\nHost: tap\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    )
    .await;
    upstream.until("abc\r\n").await;
    client.send("3\r\nabcd").await;
    let (reply, _) = client.read_to_end().await;
    assert!(
        reply.starts_with("HTTP/1.1 400 ") && reply.contains("a chunk does not end"),
        "{reply}"
    );
    // The provider does not take what it got for the whole.
    assert!(!upstream.read_to_end().await.0.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn reader_that_is_slow_holds_its_own_stream_only() {
    const BLOCK: usize = 64 * 1024;
    const BLOCKS: usize = 1024;
    /// What two sockets' buffers may take, with the tap's own beside them.
    const HELD_MAX: usize = 32 << 20;
    let (provider, port, mut slow) = relay().await;
    slow.send(&post("/v1/x", "{}")).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BLOCK * BLOCKS)).await;
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = written.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..BLOCKS {
            upstream.stream.write_all(&[b'x'; BLOCK]).await.unwrap();
            counted.fetch_add(BLOCK, std::sync::atomic::Ordering::Relaxed);
        }
        upstream
    });
    let mut quick = Raw::connect(support::address(&port)).await;
    quick.send(&post("/v1/x", "{}")).await;
    let mut other = provider.accept().await;
    for _ in 0..2000 {
        other.message().await;
        other.send(OK).await;
        quick.until("{}").await;
        quick.send(&post("/v1/x", "{}")).await;
    }
    let held = written.load(std::sync::atomic::Ordering::Relaxed);
    assert!(held < HELD_MAX, "{held} bytes were taken from the provider");
    slow.until("\r\n\r\n").await;
    let mut received = slow.unread.len();
    let mut buffer = vec![0; BLOCK];
    while received < BLOCK * BLOCKS {
        received += soon("the rest", slow.stream.read(&mut buffer)).await.unwrap();
    }
    drop(sending.await.unwrap());
}
