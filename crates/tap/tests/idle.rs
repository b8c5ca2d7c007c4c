//! Connections to a provider that are kept, and go away while they lie idle: no release gets to know of it, and nothing counts it.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use drill::ports::{Tap as _, TapPort as _};
use futures_util::future::poll_fn;
use h2::Reason;
use http::{Request, Response};
use judge::{End, Stimulus};
use socket2::SockRef;
use support::secured::{Http2, Secured, driving};
use support::streams::{Streams, chat, post, read};
use support::{Provider, Raw, ask, chat_request, collect, only, open, soon, spec};
use tap::ListeningPort;
use tokio::task::yield_now;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A port with a kept connection over which one call was made.
async fn kept() -> (Provider, ListeningPort, Raw, Raw) {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&support::post("/v1/x", "{}")).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send(OK).await;
    assert_eq!(client.until("{}").await, OK);
    (provider, port, client, upstream)
}

/// Ends a connection by RST.
fn reset(upstream: Raw) {
    SockRef::from(&upstream.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn request_that_crosses_the_end_of_its_connection_is_sent_once_more() {
    for (end, observed) in
        [(drop::<Raw> as fn(Raw), true), (drop, false), (reset, true), (reset, false)]
    {
        let (provider, port, mut client, mut upstream) = kept().await;
        if observed {
            port.arm(ask(1, Stimulus::Relay));
        }
        client.send(&chat_request(1)).await;
        let first = upstream.message().await;
        end(upstream);
        let mut upstream = provider.accept().await;
        assert_eq!(upstream.message().await, first);
        upstream.send(OK).await;
        assert_eq!(client.until("{}").await, OK);
        if observed {
            let seen = collect(&port, 1).await;
            assert_eq!((only(&seen).attempt, only(&seen).provider_end), (1, Some(End::Complete)));
        }
    }
}

#[tokio::test]
async fn request_is_sent_no_third_time() {
    let (provider, _port, mut client, mut upstream) = kept().await;
    client.send(&chat_request(1)).await;
    upstream.message().await;
    drop(upstream);
    let mut upstream = provider.accept().await;
    upstream.message().await;
    drop(upstream);
    assert!(client.message().await.0.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn request_whose_reply_has_begun_is_not_sent_again() {
    for begun in ["H", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let (_provider, _port, mut client, mut upstream) = kept().await;
        client.send(&chat_request(1)).await;
        upstream.message().await;
        upstream.send(begun).await;
        drop(upstream);
        client.until("HTTP/1.1 502 ").await;
    }
}

#[tokio::test]
async fn body_that_is_not_kept_is_not_sent_again() {
    const LENGTH: usize = 100_000;
    let (_provider, _port, mut client, mut upstream) = kept().await;
    client.send(&support::post("/v1/x", &"x".repeat(LENGTH))).await;
    upstream.message().await;
    drop(upstream);
    assert!(client.message().await.0.starts_with("HTTP/1.1 502 "));
}

/// A port with a kept connection of HTTP/2 over which one call was made.
async fn kept_http2() -> (Secured, ListeningPort, Streams, Http2) {
    let provider = Secured::start(&["h2"]).await;
    let port = support::tap().open(spec(provider.upstream())).await.unwrap();
    let mut streams = Streams::connect(support::address(&port)).await;
    let reply = streams.send(post("/v1/x", "{}")).await;
    let mut connection = provider.accept_http2().await;
    answer(&mut connection).await;
    assert_eq!(driving(&mut connection, whole(reply)).await, "ok");
    port.arm(ask(1, Stimulus::Relay));
    (provider, port, streams, connection)
}

/// Answers the next call, whose body is the whole one.
async fn answer(connection: &mut Http2) {
    let (request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    let came = driving(connection, read(request.into_body())).await;
    assert!(came.text().ends_with('}') && came.reason.is_none(), "{came:?}");
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), true).unwrap();
}

async fn whole(reply: h2::client::ResponseFuture) -> String {
    let response = soon("a reply", reply).await.unwrap();
    assert_eq!(response.status(), 200);
    read(response.into_body()).await.text()
}

/// The call that is under way is answered over another connection, as one attempt.
async fn answered_elsewhere(
    provider: &Secured,
    port: &ListeningPort,
    reply: h2::client::ResponseFuture,
) {
    let mut connection = provider.accept_http2().await;
    answer(&mut connection).await;
    assert_eq!(driving(&mut connection, whole(reply)).await, "ok");
    let seen = collect(port, 1).await;
    assert_eq!((only(&seen).attempt, only(&seen).provider_end), (1, Some(End::Complete)));
}

#[tokio::test]
async fn connection_of_http2_that_ends_while_idle_is_not_met() {
    // The end is seen before the call, with it, or behind it.
    for n_turns in 0..20 {
        let (provider, port, mut streams, connection) = kept_http2().await;
        drop(connection);
        for _ in 0..n_turns {
            yield_now().await;
        }
        let reply = streams.send(chat(1)).await;
        answered_elsewhere(&provider, &port, reply).await;
    }
}

#[tokio::test]
async fn call_by_http2_that_crosses_the_end_of_its_connection_is_made_once_more() {
    let (provider, port, mut streams, mut connection) = kept_http2().await;
    let reply = streams.send(chat(1)).await;
    let (_request, _respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    drop(connection);
    answered_elsewhere(&provider, &port, reply).await;
}

#[tokio::test]
async fn call_by_http2_that_crosses_a_leave_is_made_elsewhere() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let (provider, port, mut streams, mut connection) = kept_http2().await;
        // Said before the call, and on its way when the call is.
        connection.abrupt_shutdown(reason);
        let reply = streams.send(chat(1)).await;
        let leaving = poll_fn(|cx| connection.poll_closed(cx));
        drop(soon("the end", leaving).await);
        answered_elsewhere(&provider, &port, reply).await;
    }
}

#[tokio::test]
async fn calls_under_way_outlast_a_leave_and_the_next_goes_elsewhere() {
    let (provider, port, mut streams, mut connection) = kept_http2().await;
    let begun = streams.send(post("/v1/begun", "{}")).await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    connection.graceful_shutdown();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    let begun = driving(&mut connection, begun).await.unwrap();
    // By then the leave is known: it was said before the head.
    let reply = streams.send(chat(2)).await;
    let elsewhere = async {
        let mut other = provider.accept_http2().await;
        answer(&mut other).await;
        driving(&mut other, whole(reply)).await
    };
    assert_eq!(driving(&mut connection, Box::pin(elsewhere)).await, "ok");
    stream.send_data("outlasted".into(), true).unwrap();
    assert_eq!(driving(&mut connection, read(begun.into_body())).await.text(), "outlasted");
    let seen = collect(&port, 1).await;
    assert!(seen.exchanges.iter().all(|seen| seen.provider_end == Some(End::Complete)), "{seen:?}");
}

#[tokio::test]
async fn call_that_a_leaving_provider_has_looked_at_is_not_made_again() {
    for reason in [Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let (provider, port, mut streams, mut connection) = kept_http2().await;
        // With another call under way the connection does not lie idle.
        let _other = streams.send(post("/v1/other", "{}")).await;
        let _first = soon("a call", connection.accept()).await.unwrap().unwrap();
        let reply = streams.send(chat(1)).await;
        let (_request, _respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        connection.abrupt_shutdown(reason);
        drop(soon("the end", poll_fn(|cx| connection.poll_closed(cx))).await);
        drop(connection);
        assert_eq!(soon("a reply", reply).await.unwrap().status(), 502, "{reason:?}");
        let seen = collect(&port, 1).await;
        let ends: Vec<_> = seen.exchanges.iter().map(|seen| seen.provider_end).collect();
        assert_eq!(ends, [Some(End::PeerLeft); 2], "{reason:?}");
        // Nobody has connected meanwhile: the next connection is the next call's.
        let reply = streams.send(Request::get("https://a/v1/next").body(String::new()).unwrap());
        let reply = reply.await;
        let mut connection = provider.accept_http2().await;
        let (request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
        assert_eq!(request.uri().path(), "/v1/next");
        respond.send_response(Response::new(()), true).unwrap();
        assert_eq!(driving(&mut connection, reply).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn connection_of_http2_that_died_without_a_word_is_left() {
    let (provider, port, mut streams, _silent) = kept_http2().await;
    // Nobody reads there any more.
    let reply = streams.send(chat(1)).await;
    let mut connection = provider.accept_http2().await;
    answer(&mut connection).await;
    assert_eq!(driving(&mut connection, whole(reply)).await, "ok");
    // The next call does not try it again.
    let reply = streams.send(chat(1)).await;
    answer(&mut connection).await;
    assert_eq!(driving(&mut connection, whole(reply)).await, "ok");
    let seen = collect(&port, 1).await;
    assert_eq!(seen.exchanges.len(), 2);
}

#[tokio::test]
async fn provider_that_is_slow_and_there_is_waited_for() {
    /// Beyond the time that it may take to say that it is there.
    const SLOW: Duration = Duration::from_secs(5);
    let (_provider, port, mut streams, mut connection) = kept_http2().await;
    let reply = streams.send(chat(1)).await;
    let (_request, mut respond) = soon("a call", connection.accept()).await.unwrap().unwrap();
    driving(&mut connection, tokio::time::sleep(SLOW)).await;
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), true).unwrap();
    assert_eq!(driving(&mut connection, whole(reply)).await, "ok");
    assert_eq!(only(&collect(&port, 1).await).provider_end, Some(End::Complete));
}
