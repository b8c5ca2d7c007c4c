//! HTTP/2 from a release to a provider: who chooses it, what crosses to HTTP/1.1 and how, and that streams of one connection are calls like
//! any others.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use bytes::Bytes;
use drill::ports::{Tap as _, TapPort as _};
use drill::settings::Forward;
use futures_util::future::{join_all, poll_fn};
use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use judge::{AnsweredBy, AskId, End, Marker, Stimulus};
use support::secured::Secured;
use support::streams::{Streams, chat, post, read};
use support::{
    ForwardPort, PATIENCE, Provider, ask, collect, forward_spec, header, only, open, open_alone,
    shared_ask, soon, spec, upstream,
};
use tap::ListeningPort;
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

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

/// A port in front of a provider by HTTP/2, and a client of it by HTTP/2.
async fn between() -> (Secured, ListeningPort, Streams) {
    let provider = Secured::start(&["h2", "http/1.1"]).await;
    let port = support::tap().open(spec(provider.upstream())).await.unwrap();
    let streams = Streams::connect(support::address(&port)).await;
    (provider, port, streams)
}

/// Drives a provider's connection while something else is waited for.
async fn driving<T>(
    connection: &mut h2::server::Connection<tokio_rustls::server::TlsStream<TcpStream>, Bytes>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    soon(
        "the other side",
        poll_fn(|cx| {
            let work = work.as_mut().poll(cx);
            if work.is_pending() {
                assert!(
                    !matches!(connection.poll_accept(cx), std::task::Poll::Ready(Some(Ok(_)))),
                    "nothing more was asked for"
                );
            }
            work
        }),
    )
    .await
}

#[tokio::test]
async fn calls_share_a_connection_to_the_provider() {
    let (provider, _port, mut streams) = between().await;
    let mut replies = Vec::new();
    for n in 0..10 {
        replies.push(streams.send(post(&format!("/v1/x?{n}"), "{}")).await);
    }
    let mut connection = provider.accept_http2().await;
    let mut asked = Vec::new();
    while asked.len() < 10 {
        let (request, respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        assert_eq!(request.uri().authority().unwrap(), HOST);
        assert_eq!(request.uri().scheme_str(), Some("https"));
        assert_eq!(request.headers().get("host"), None);
        asked.push((request.uri().query().unwrap().to_owned(), respond));
    }
    for (query, mut respond) in asked {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(query.into(), true).unwrap();
    }
    driving(&mut connection, async {
        for (n, reply) in replies.into_iter().enumerate() {
            let came = read(reply.await.unwrap().into_body()).await;
            assert_eq!(came.text(), n.to_string());
        }
    })
    .await;
}

#[tokio::test]
async fn trailers_interim_responses_and_lengths_pass_both_ways() {
    let (provider, _port, mut streams) = between().await;
    let request = Request::post("https://tap.example/v1/x").header("content-length", "3");
    let request = request.header("te", "trailers");
    let (mut reply, mut sending) = streams.begin(request.body(()).unwrap()).await;
    sending.send_data("abc".into(), false).unwrap();
    sending.send_trailers(fields(&[("x-sum", "1"), ("host", "evil")])).unwrap();
    let mut connection = provider.accept_http2().await;
    let (request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    assert_eq!(request.headers(), &fields(&[("content-length", "3"), ("te", "trailers")]));
    let came = driving(&mut connection, read(request.into_body())).await;
    assert_eq!((came.text(), came.trailers), ("abc".to_owned(), Some(fields(&[("x-sum", "1")]))));
    for status in [100, 103] {
        let interim = Response::builder().status(status).header("link", "</a>").body(()).unwrap();
        respond.send_informational(interim).unwrap();
    }
    let told = driving(&mut connection, poll_fn(|cx| reply.poll_informational(cx))).await;
    let told = told.unwrap().unwrap();
    assert_eq!(told.status(), 103, "whether to go on was for the tap to say");
    assert_eq!(told.headers(), &fields(&[("link", "</a>")]));
    let head = Response::builder().header("content-length", "2").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    stream.send_data("{}".into(), false).unwrap();
    stream.send_trailers(fields(&[("x-sum", "2")])).unwrap();
    driving(&mut connection, async {
        let response = reply.await.unwrap();
        assert_eq!(response.headers().get("content-length").unwrap(), "2");
        let came = read(response.into_body()).await;
        assert_eq!(came.text(), "{}");
        assert_eq!(came.trailers, Some(fields(&[("x-sum", "2")])));
    })
    .await;
}

#[tokio::test]
async fn provider_without_http2_is_asked_by_http1() {
    for protocols in [&["http/1.1"][..], &[]] {
        let provider = Secured::start(protocols).await;
        let port = support::tap().open(spec(provider.upstream())).await.unwrap();
        let mut streams = Streams::connect(support::address(&port)).await;
        let reply = streams.send(post("/v1/x", "{}")).await;
        let mut upstream = support::Raw::of(provider.accept().await);
        let answering = async {
            let head = upstream.until("0\r\n\r\n").await;
            assert!(head.starts_with("POST /v1/x HTTP/1.1\r\n"), "{head}");
            upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        };
        let (reply, ()) = tokio::join!(reply, answering);
        assert_eq!(read(reply.unwrap().into_body()).await.text(), "ok");
        // The next call goes over the same connection.
        let reply = streams.send(post("/v1/y", "{}")).await;
        let answering = async {
            assert!(upstream.until("0\r\n\r\n").await.starts_with("POST /v1/y "));
            upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        };
        let (reply, ()) = tokio::join!(reply, answering);
        assert_eq!(reply.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn call_by_http1_goes_by_http1() {
    let provider = Secured::start(&["h2", "http/1.1"]).await;
    let port = support::tap().open(spec(provider.upstream())).await.unwrap();
    let mut client = support::Raw::connect(support::address(&port)).await;
    client.send(&support::post("/v1/x", "{}")).await;
    let stream = provider.accept().await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
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
async fn release_that_leaves_a_stream_closes_its_call_and_no_other() {
    let (provider, port, mut streams) = between().await;
    port.arm(shared_ask(1, Stimulus::Relay));
    port.arm(shared_ask(2, Stimulus::Relay));
    let (leaves, stays) = (streams.send(chat(1)).await, streams.send(chat(2)).await);
    let mut connection = provider.accept_http2().await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        let (request, respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        let body = driving(&mut connection, read(request.into_body())).await.text();
        calls.push((body.contains(Marker::new(1).as_str()), respond));
    }
    calls.sort_by_key(|(leaves, _)| !leaves);
    let (mut left, mut stayed) = (calls.remove(0).1, calls.remove(0).1);
    drop(leaves);
    let reason = driving(&mut connection, poll_fn(|cx| left.poll_reset(cx))).await;
    assert_eq!(reason.unwrap(), Reason::CANCEL);
    let mut stream = stayed.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), true).unwrap();
    let came = driving(&mut connection, async { read(stays.await.unwrap().into_body()).await });
    assert_eq!(came.await.text(), "ok");
    let seen = collect(&port, 1).await;
    assert_eq!((only(&seen).release_end, only(&seen).response.is_some()), (End::PeerLeft, false));
    assert_eq!(only(&collect(&port, 2).await).release_end, End::Complete);
}

#[tokio::test]
async fn provider_that_breaks_a_stream_off_is_recorded_and_passed_on() {
    for begun in [false, true] {
        let (provider, port, mut streams) = between().await;
        port.arm(ask(1, Stimulus::Relay));
        let reply = streams.send(chat(1)).await;
        let mut connection = provider.accept_http2().await;
        let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        if begun {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("begun".into(), false).unwrap();
            let mut body = driving(&mut connection, reply).await.unwrap().into_body();
            let first = driving(&mut connection, body.data()).await.unwrap().unwrap();
            assert_eq!(first, "begun");
            stream.send_reset(Reason::ENHANCE_YOUR_CALM);
            let came = driving(&mut connection, read(body)).await;
            assert_eq!(came.reason, Some(Reason::INTERNAL_ERROR));
        } else {
            respond.send_reset(Reason::ENHANCE_YOUR_CALM);
            assert_eq!(driving(&mut connection, reply).await.unwrap().status(), 502);
        }
        let seen = collect(&port, 1).await;
        assert_eq!(only(&seen).provider_end, Some(End::PeerLeft), "begun: {begun}");
    }
}

#[tokio::test]
async fn provider_that_takes_its_leave_is_asked_over_a_new_connection() {
    let (provider, port, mut streams) = between().await;
    port.arm(ask(1, Stimulus::Relay));
    let reply = streams.send(chat(1)).await;
    let mut connection = provider.accept_http2().await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    respond.send_reset(Reason::REFUSED_STREAM);
    let (second, mut again) = soon("the call", connection.accept()).await.unwrap().unwrap();
    assert_eq!(second.uri().path(), "/v1/chat/completions");
    let mut stream = again.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), true).unwrap();
    let came = driving(&mut connection, async { read(reply.await.unwrap().into_body()).await });
    assert_eq!(came.await.text(), "ok");
    // What goes away takes nothing more, and is finished with.
    connection.graceful_shutdown();
    drop(soon("the end", poll_fn(|cx| connection.poll_closed(cx))).await);
    let reply = streams.send(chat(1)).await;
    let mut connection = provider.accept_http2().await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    respond.send_response(Response::new(()), true).unwrap();
    assert_eq!(driving(&mut connection, reply).await.unwrap().status(), 200);
    let (seen, _) = soon("collect", port.collect(AskId(1), PATIENCE)).await;
    assert_eq!(seen.exchanges.len(), 2, "what nobody looked at is no attempt");
}

#[tokio::test]
async fn reader_that_is_slow_holds_its_own_stream_only() {
    const LENGTH: usize = 8 << 20;
    let (provider, _port, mut streams) = between().await;
    let slow = streams.send(post("/v1/slow", "{}")).await;
    let mut connection = provider.accept_http2().await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    let mut long = respond.send_response(Response::new(()), false).unwrap();
    let mut body = driving(&mut connection, slow).await.unwrap().into_body();
    let sending = async {
        let mut sent = 0;
        while sent < LENGTH {
            long.reserve_capacity(LENGTH - sent);
            let room = poll_fn(|cx| long.poll_capacity(cx)).await.unwrap().unwrap();
            long.send_data(vec![b'x'; room].into(), sent + room == LENGTH).unwrap();
            sent += room;
        }
    };
    let neighbours = async {
        for _ in 0..20 {
            let response = streams.call(post("/v1/quick", "{}")).await;
            assert_eq!(read(response.into_body()).await.text(), "quick");
        }
    };
    let answering = async {
        for _ in 0..20 {
            let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("quick".into(), true).unwrap();
        }
        poll_fn(|cx| connection.poll_closed(cx)).await.unwrap();
    };
    let mut sending = std::pin::pin!(sending);
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        () = &mut sending => panic!("eight megabytes went where nobody reads"),
        () = &mut answering => panic!("the tap goes on"),
        () = neighbours => {}
    }
    let reading = async {
        let mut n = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            n += data.len();
        }
        n
    };
    let n = tokio::select! {
        (n, ()) = async { tokio::join!(reading, sending) } => n,
        () = answering => panic!("the tap goes on"),
    };
    assert_eq!(n, LENGTH);
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
