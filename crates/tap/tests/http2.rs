//! HTTP/2 from a release: who chooses it, what crosses to HTTP/1.1 and how, and that streams of one connection are calls like any others.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use drill::ports::TapPort as _;
use drill::settings::Forward;
use futures_util::future::{join_all, poll_fn};
use h2::Reason;
use http::{HeaderName, HeaderValue, Method, Request};
use judge::{Act, Answer, AnswerEnd, AnsweredBy, AskId, End, Stimulus};
use support::streams::{Streams, chat, fields, read};
use support::{
    ForwardPort, PATIENCE, Provider, answer, ask, bytes, collect, forward_spec, header, only, open,
    open_alone, shared_ask, soon, upstream,
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const HOST: &str = "api.example.test";

/// A proxy in front of nothing, and a client of it that offers some versions of HTTP.
async fn proxied(http2: bool, offered: &[&str]) -> (ForwardPort, TlsStream<TcpStream>) {
    let rules = Forward { http2, ..Forward::default() };
    let dead = support::dead_address().await;
    let proxy = ForwardPort::open(forward_spec(upstream(dead), rules)).await;
    let client = proxy.offering(HOST, offered).await.unwrap().stream;
    (proxy, client)
}

#[tokio::test]
async fn version_is_the_clients_choice_where_http2_is_asked_for() {
    for (http2, offered, chosen) in [
        (false, &["h2", "http/1.1"][..], Some("http/1.1")),
        (true, &["h2", "http/1.1"], Some("h2")),
        (true, &["http/1.1"], Some("http/1.1")),
        (true, &[], None),
    ] {
        let (_proxy, client) = proxied(http2, offered).await;
        let alpn = client.get_ref().1.alpn_protocol();
        assert_eq!(alpn, chosen.map(str::as_bytes), "{http2} {offered:?}");
    }
}

#[tokio::test]
async fn calls_by_http2_are_answered_and_attributed() {
    let (proxy, client) = proxied(true, &["h2"]).await;
    // Whoever agreed on nothing may still know what the other side speaks.
    let (unasked, knowing) = proxied(false, &[]).await;
    let reverse = open_alone().await;
    let plain = TcpStream::connect(support::address(&reverse)).await.unwrap();
    let mut seen = Vec::new();
    for (port, mut streams) in [
        (&proxy.port, Streams::over(client).await),
        (&unasked.port, Streams::over(knowing).await),
        (&reverse, Streams::over(plain).await),
    ] {
        port.arm(ask(1, Stimulus::Documented));
        let response = streams.call(chat(1)).await;
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
        let came = read(response.into_body()).await;
        assert!(came.text().contains("SSL-1") && came.reason.is_none(), "{came:?}");
        let observation = collect(port, 1).await;
        assert_eq!(observation.stray_connections, 0);
        let exchange = only(&observation);
        assert_eq!((exchange.release_end, exchange.answered_by), (End::Complete, AnsweredBy::Tap));
        seen.push(exchange.request.clone());
    }
    assert_eq!(seen[0].path, "/v1/chat/completions");
    assert!(seen[0].header_names.contains(&"host".to_owned()), "as by HTTP/1: {:?}", seen[0]);
}

#[tokio::test]
async fn asks_share_a_connection_and_are_told_apart() {
    let port = open_alone().await;
    for id in 1..=20 {
        port.arm(shared_ask(id, Stimulus::Documented));
    }
    let mut streams = Streams::connect(support::address(&port)).await;
    let mut replies = Vec::new();
    for id in 1..=20 {
        replies.push(streams.send(chat(id)).await);
    }
    for response in join_all(replies).await {
        assert!(read(response.unwrap().into_body()).await.text().contains("SSL-1"));
    }
    for id in 1..=20 {
        assert_eq!(only(&collect(&port, id).await).release_end, End::Complete);
    }
}

#[tokio::test]
async fn call_crosses_to_http1_with_one_host_and_one_field_of_cookies() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut streams = Streams::connect(support::address(&port)).await;
    let request = Request::post("https://tap.example/v1/files?a=1")
        .header("cookie", "a=1")
        .header("te", "trailers")
        .header("cookie", "b=2")
        .header("x-trace", "1")
        .body("body".to_owned())
        .unwrap();
    let reply = streams.send(request).await;
    let mut upstream = provider.accept().await;
    let head = upstream.until("\r\n\r\n").await;
    assert!(head.starts_with("POST /v1/files?a=1 HTTP/1.1\r\n"), "{head}");
    let host = provider.address.to_string();
    for (name, value) in [
        ("host", Some(&*host)),
        ("cookie", Some("a=1; b=2")),
        ("te", None),
        ("x-trace", Some("1")),
        ("transfer-encoding", Some("chunked")),
    ] {
        assert_eq!(header(&head, name), value, "{head}");
    }
    assert_eq!(upstream.until("0\r\n\r\n").await, "4\r\nbody\r\n0\r\n\r\n");
    let hop = "Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n";
    upstream
        .send(&format!("HTTP/1.1 201 Made\r\nX-Request-Id: r\r\n{hop}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nx-sum: 2\r\nhost: evil\r\n\r\n"))
        .await;
    let response = soon("a reply", reply).await.unwrap();
    let names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!((response.status().as_u16(), names), (201, vec!["x-request-id"]));
    let came = read(response.into_body()).await;
    assert_eq!((came.text(), came.trailers), ("{}".to_owned(), Some(fields(&[("x-sum", "2")]))));
}

#[tokio::test]
async fn client_that_waits_is_told_to_continue() {
    for armed in [false, true] {
        let provider = Provider::start().await;
        let port = open(provider.address).await;
        if armed {
            port.arm(ask(1, Stimulus::Relay));
        }
        let mut streams = Streams::connect(support::address(&port)).await;
        let (parts, body) = chat(1).into_parts();
        let mut request = Request::from_parts(parts, ());
        request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
        let (mut reply, mut sending) = streams.begin(request).await;
        let told = soon("the word", poll_fn(|cx| reply.poll_informational(cx))).await;
        assert_eq!(told.unwrap().unwrap().status(), 100);
        sending.send_data(body.into(), true).unwrap();
        let mut upstream = provider.accept().await;
        let head = upstream.until("\r\n\r\n").await;
        assert_eq!(header(&head, "expect"), None);
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(read(soon("a reply", reply).await.unwrap().into_body()).await.text(), "ok");
    }
}

#[tokio::test]
async fn replies_to_head_and_without_content_end_with_their_head() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut streams = Streams::connect(support::address(&port)).await;
    let mut upstream = None;
    for (method, reply, length) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", Some("500")),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", Some("500")),
        (Method::DELETE, "HTTP/1.1 204 No Content\r\n\r\n", None),
    ] {
        let request = Request::builder().method(&method).uri("https://tap.example/v1/models");
        let waiting = streams.send(request.body(String::new()).unwrap()).await;
        if upstream.is_none() {
            upstream = Some(provider.accept().await);
        }
        let upstream = upstream.as_mut().unwrap();
        assert!(upstream.until("\r\n\r\n").await.starts_with(method.as_str()));
        upstream.send(reply).await;
        let response = soon("a reply", waiting).await.unwrap();
        let got = response.headers().get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!(got, length, "{method}");
        assert!(response.body().is_end_stream());
    }
}

#[tokio::test]
async fn connect_is_refused() {
    let proxy = proxied(true, &["h2"]).await;
    let (mut streams, port) = (Streams::over(proxy.1).await, &proxy.0.port);
    port.arm(ask(1, Stimulus::Documented));
    let request = Request::connect("other.example.test:443").body(String::new()).unwrap();
    let response = streams.call(request).await;
    assert_eq!(response.status(), 404);
    let seen = collect(port, 1).await;
    assert_eq!((seen.exchanges.len(), seen.tunnels.len(), seen.stray_connections), (0, 0, 1));
}

#[tokio::test]
async fn two_hosts_in_one_request_are_refused() {
    let port = open_alone().await;
    let mut streams = Streams::connect(support::address(&port)).await;
    let request = Request::get("https://a.example/v1/models").header("host", "b.example");
    let response = streams.call(request.body(String::new()).unwrap()).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers().get("x-surestep").unwrap(), "refused-request");
}

#[tokio::test]
async fn ask_that_is_over_ends_its_stream_and_no_other() {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Acts(vec![judge::Act::Hold])));
    port.arm(shared_ask(2, Stimulus::Documented));
    let mut streams = Streams::connect(support::address(&port)).await;
    let held = streams.send(chat(1)).await;
    assert!(port.arrived(AskId(1), PATIENCE).await);
    let (seen, _) = port.collect(AskId(1), std::time::Duration::ZERO).await;
    assert_eq!(only(&seen).release_end, End::StillOpen);
    let error = soon("the end", held).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(streams.call(chat(2)).await.status(), 200);
}

#[tokio::test]
async fn port_that_refuses_takes_leave_of_its_connections() {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Documented));
    let mut streams = Streams::connect(support::address(&port)).await;
    assert_eq!(read(streams.call(chat(1)).await.into_body()).await.reason, None);
    port.refuse_connections().await;
    soon("the end", streams.driver).await.unwrap().unwrap();
    let connecting = TcpStream::connect(support::address(&port)).await;
    assert_eq!(connecting.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn authority_leads_nowhere_else_once_tls_has_ended() {
    let (proxy, client) = proxied(true, &["h2"]).await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let mut streams = Streams::over(client).await;
    let (mut parts, body) = chat(1).into_parts();
    parts.uri = "https://other.example.test/v1/chat/completions".parse().unwrap();
    assert_eq!(streams.call(Request::from_parts(parts, body)).await.status(), 200);
    let seen = collect(&proxy.port, 1).await;
    assert_eq!((only(&seen).answered_by, seen.tunnels.len()), (AnsweredBy::Tap, 0));
}

#[tokio::test]
async fn connection_that_breaks_is_a_release_that_leaves_all_its_calls() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut streams = Streams::connect(support::address(&port)).await;
    let (mut replies, mut upstreams) = (Vec::new(), Vec::new());
    for id in 1..=3 {
        port.arm(shared_ask(id, Stimulus::Relay));
        replies.push(streams.send(chat(id)).await);
        upstreams.push(provider.accept().await);
    }
    for upstream in &mut upstreams {
        upstream.message().await;
    }
    streams.driver.abort();
    for (id, mut upstream) in (1..=3).zip(upstreams) {
        assert_eq!(upstream.read_to_end().await.0, "");
        assert_eq!(only(&collect(&port, id).await).release_end, End::PeerLeft);
    }
}

#[tokio::test]
async fn reply_that_nobody_takes_is_not_sent() {
    let port = open_alone().await;
    for declared in [false, true] {
        let text = "0123456789";
        let answer = Answer {
            declared_length: declared.then_some(text.len() as u64),
            ..answer(vec![bytes(text)], AnswerEnd::Complete)
        };
        port.arm(ask(1, Stimulus::Acts(vec![Act::Answer(answer)])));
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(4);
        let mut streams = Streams::by(settings, support::address(&port)).await;
        let mut body = streams.call(chat(1)).await.into_body();
        assert_eq!(soon("its beginning", body.data()).await.unwrap().unwrap(), "0123");
        drop(body);
        let seen = collect(&port, 1).await;
        assert_eq!(only(&seen).release_end, End::PeerLeft, "declared: {declared}");
    }
}

#[tokio::test]
async fn what_is_beyond_the_declared_length_is_cut() {
    let port = open_alone().await;
    let pieces = vec![bytes("ab"), bytes("cdef")];
    let answer = Answer { declared_length: Some(3), ..answer(pieces, AnswerEnd::Complete) };
    port.arm(ask(1, Stimulus::Acts(vec![Act::Answer(answer)])));
    let mut streams = Streams::connect(support::address(&port)).await;
    let came = read(streams.call(chat(1)).await.into_body()).await;
    assert_eq!((came.text().as_str(), came.reason), ("abc", None));
    assert_eq!(only(&collect(&port, 1).await).release_end, End::Complete);
}
