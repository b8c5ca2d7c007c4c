//! HTTP/2 towards a provider: who is asked by it, over how many connections, and what its streams and their ends become at the release.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use bytes::Bytes;
use drill::ports::{Tap as _, TapPort as _};
use futures_util::future::poll_fn;
use h2::Reason;
use h2::server::SendResponse;
use http::{Request, Response};
use judge::{AskId, End, Marker, Stimulus};
use support::secured::{Http2, Secured, driving};
use support::streams::{Streams, chat, fields, post, read};
use support::{PATIENCE, ask, collect, only, shared_ask, soon, spec};
use tap::ListeningPort;

const HOST: &str = "api.example.test";

/// A port in front of a provider by HTTP/2, and a client of it by HTTP/2.
async fn between() -> (Secured, ListeningPort, Streams) {
    let provider = Secured::start(&["h2", "http/1.1"]).await;
    let port = support::tap().open(spec(provider.upstream())).await.unwrap();
    let streams = Streams::connect(support::address(&port)).await;
    (provider, port, streams)
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

/// How a provider breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Stream,
    Connection,
}

impl Break {
    /// Breaks off. What is left of the connection goes on.
    fn break_off(self, respond: &mut SendResponse<Bytes>, connection: Http2) -> Option<Http2> {
        match self {
            Self::Stream => {
                respond.send_reset(Reason::ENHANCE_YOUR_CALM);
                Some(connection)
            }
            Self::Connection => None,
        }
    }
}

#[tokio::test]
async fn provider_that_breaks_off_is_recorded_and_passed_on() {
    for (how, begun) in [
        (Break::Stream, false),
        (Break::Stream, true),
        (Break::Connection, false),
        (Break::Connection, true),
    ] {
        let (provider, port, mut streams) = between().await;
        port.arm(ask(1, Stimulus::Relay));
        let reply = streams.send(chat(1)).await;
        let mut connection = provider.accept_http2().await;
        let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        if begun {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("begun".into(), false).unwrap();
            let mut body = driving(&mut connection, reply).await.unwrap().into_body();
            let data = driving(&mut connection, body.data()).await;
            assert_eq!(data.unwrap().unwrap(), "begun");
            let came = match how.break_off(&mut respond, connection) {
                Some(mut connection) => driving(&mut connection, read(body)).await,
                None => read(body).await,
            };
            assert_eq!(came.reason, Some(Reason::INTERNAL_ERROR), "{how:?}");
        } else {
            let response = match how.break_off(&mut respond, connection) {
                Some(mut connection) => driving(&mut connection, reply).await,
                None => soon("a reply", reply).await,
            };
            assert_eq!(response.unwrap().status(), 502, "{how:?}");
        }
        let seen = collect(&port, 1).await;
        assert_eq!(only(&seen).provider_end, Some(End::PeerLeft), "{how:?}, begun: {begun}");
    }
}

#[tokio::test]
async fn calls_beyond_what_a_provider_takes_go_over_one_more_connection() {
    let (provider, _port, mut streams) = between().await;
    let first = streams.send(post("/v1/x?1", "{}")).await;
    let stream = provider.accept().await;
    let mut settings = h2::server::Builder::new();
    let beginning = settings.max_concurrent_streams(1).handshake::<_, Bytes>(stream);
    let mut connection = soon("HTTP/2", beginning).await.unwrap();
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    // By then the provider's limit is known.
    let first = driving(&mut connection, first).await.unwrap();
    let second = streams.send(post("/v1/x?2", "{}")).await;
    let mut other = provider.accept_http2().await;
    let (request, mut respond) = soon("a call", other.accept()).await.unwrap().unwrap();
    assert_eq!(request.uri().query(), Some("2"));
    respond.send_response(Response::new(()), true).unwrap();
    assert_eq!(driving(&mut other, second).await.unwrap().status(), 200);
    body.send_data("ok".into(), true).unwrap();
    assert_eq!(driving(&mut connection, read(first.into_body())).await.text(), "ok");
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
async fn rest_of_a_request_goes_on_behind_the_head_of_its_reply() {
    let (provider, _port, mut streams) = between().await;
    let request = Request::post("https://tap.example/v1/x").body(()).unwrap();
    let (reply, mut sending) = streams.begin(request).await;
    let mut connection = provider.accept_http2().await;
    let (request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    let reply = driving(&mut connection, reply).await.unwrap();
    sending.send_data("late".into(), true).unwrap();
    let reading = tokio::spawn(read(reply.into_body()));
    assert_eq!(driving(&mut connection, read(request.into_body())).await.text(), "late");
    stream.send_data("ok".into(), true).unwrap();
    assert_eq!(driving(&mut connection, reading).await.unwrap().text(), "ok");
}
