//! The live lane on the wire: what the provider sends is what the release gets, when it is sent.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use contract::Completion;
use drill::ports::{Tap as _, TapPort as _};
use judge::{AnsweredBy, AuthScheme, End, Stimulus};
use support::{Provider, Raw, ask, chat_request, collect, header, only, open, post};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn unary_reply_passes_byte_for_byte() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;

    let mut upstream = provider.accept().await;
    let (head, body) = upstream.message().await;
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some(provider.address.to_string().as_str()));
    assert!(head.contains("Authorization: Bearer sk-real\r\n"), "names keep their case: {head}");
    assert!(chat_request(1).ends_with(&body) && !body.is_empty());
    let reply = "HTTP/1.1 200 Fine\r\nX-Request-ID: req-7\r\nContent-Type: application/json; charset=utf-8\r\nX-Two: a\r\nContent-Length: 15\r\n\r\n{\"é\":\"\\u00e9\"}";
    upstream.send(reply).await;

    let (head, body) = client.message().await;
    assert_eq!(format!("{head}{body}"), reply);
    let observation = collect(&port, 1).await;
    let exchange = only(&observation);
    assert_eq!((exchange.answered_by, exchange.release_end), (AnsweredBy::Provider, End::Complete));
    assert_eq!(exchange.provider_end, Some(End::Complete));
    assert!(exchange.request.carries_marker);
    assert_eq!(
        (exchange.request.auth, exchange.request.resource.as_str()),
        (AuthScheme::Bearer, "/v1/chat/completions")
    );
    let response = exchange.response.as_ref().unwrap();
    assert_eq!((response.status, response.body_bytes), (200, 15));
    assert_eq!(response.content_type.as_deref(), Some("application/json"));
    assert_eq!(response.request_ids, ["req-7"]);
    assert_eq!(port.live_calls(), 1);
}

#[tokio::test]
async fn stream_is_not_buffered_and_keeps_its_chunks() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;

    upstream.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    // Each event is sent only after the one before has arrived: a tap that buffers never gets here.
    for event in ["data: {\"a\":1}\n\n", ": comment\r\n\r\n", "data: [DONE]\n\n"] {
        let chunk = format!("{:X}\r\n{event}\r\n", event.len());
        upstream.send(&chunk).await;
        assert_eq!(client.until("\r\n").await.trim_end(), format!("{:X}", event.len()));
        assert_eq!(client.until(event).await, event);
        client.until("\r\n").await;
    }
    upstream.send("0\r\n\r\n").await;
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    let observation = collect(&port, 1).await;
    assert_eq!(only(&observation).release_end, End::Complete);
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    for body in ["one", "two", "three"] {
        upstream.message().await;
        upstream
            .send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
            .await;
        assert_eq!(client.message().await.1, body);
        client.send(&chat_request(1)).await;
    }
    upstream.message().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
    assert_eq!(collect(&port, 1).await.exchanges.len(), 4);
}

#[tokio::test]
async fn user_traffic_passes_unobserved_also_when_long() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let mut client = Raw::connect(support::address(&port)).await;
    client.send("GET /v1/models?x=1 HTTP/1.1\r\nHost: tap\r\n\r\n").await;
    let mut upstream = provider.accept().await;
    let (head, _) = upstream.message().await;
    assert!(head.starts_with("GET /v1/models?x=1 HTTP/1.1\r\n"), "{head}");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    assert_eq!(client.message().await.1, "{}");

    // Longer than what is read whole: the head of it has been read in vain and goes first.
    for id in [1, 2] {
        port.arm(support::shared_ask(id, Stimulus::Relay));
    }
    let body = "x".repeat(17 * 1024 * 1024);
    let sending = client.send(&post("/v1/chat/completions", &body)).await;
    let receiving = async {
        let (_, received) = upstream.message().await;
        assert_eq!(received.len(), body.len());
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    };
    let ((), ()) = (sending, receiving.await);
    assert_eq!(client.message().await.1, "{}");
    let observation = collect(&port, 1).await;
    assert_eq!((observation.exchanges.len(), observation.unattributed), (0, 1));
}

#[tokio::test]
async fn provider_that_is_down_is_said_to_be() {
    let port = support::open_alone().await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(body.contains("provider_unreachable") && body.contains("cannot connect to"), "{body}");
    let observation = collect(&port, 1).await;
    let exchange = only(&observation);
    assert_eq!(
        (exchange.answered_by, exchange.provider_end),
        (AnsweredBy::ProviderUnreachable, Some(End::PeerLeft))
    );
}

/// A provider that breaks off in mid-body, by FIN or by RST, breaks the release's connection in the same way, and what
/// came before arrives.
async fn check_break(reset: bool) {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    client.until("half").await;
    if reset {
        upstream.stream.set_zero_linger().unwrap();
    } else {
        upstream.stream.shutdown().await.unwrap();
    }
    drop(upstream);
    let (rest, error) = client.read_to_end().await;
    assert_eq!((rest.as_str(), error), ("", reset.then_some(std::io::ErrorKind::ConnectionReset)));
    let observation = collect(&port, 1).await;
    let exchange = only(&observation);
    assert_eq!(
        (exchange.answered_by, exchange.provider_end),
        (AnsweredBy::Provider, Some(End::PeerLeft))
    );
    assert_eq!(exchange.release_end, End::Injected);
}

#[tokio::test]
async fn provider_that_closes_in_mid_body_closes_the_release() {
    check_break(false).await;
}

#[tokio::test]
async fn provider_that_resets_in_mid_body_resets_the_release() {
    check_break(true).await;
}

#[tokio::test]
async fn release_that_leaves_closes_the_call_to_the_provider() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    client.until("first").await;
    drop(client);
    let (_, error) = upstream.read_to_end().await;
    assert!(error.is_none() || error == Some(std::io::ErrorKind::ConnectionReset));
    let observation = collect(&port, 1).await;
    assert_eq!(
        (only(&observation).release_end, only(&observation).provider_end),
        (End::PeerLeft, Some(End::Injected))
    );
}

#[tokio::test]
async fn release_that_leaves_at_the_finish_reason_has_a_whole_reply() {
    for (finish, completion) in
        [("\"stop\"", Completion::Complete), ("null", Completion::Truncated)]
    {
        let provider = Provider::start().await;
        let port = open(provider.address).await;
        port.arm(ask(1, Stimulus::Relay));
        let mut client = Raw::connect(support::address(&port)).await;
        let request = chat_request(1).replace("\"model\"", "\"stream\":true,\"model\"");
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Length"));
        client.send(&post("/v1/chat/completions", body)).await;
        let mut upstream = provider.accept().await;
        upstream.message().await;
        let chunk = |delta: &str, finish: &str| {
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
                 [{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        let events =
            chunk("{\"role\":\"assistant\",\"content\":\"whole\"}", "null") + &chunk("{}", finish);
        upstream
            .send(&format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{events}\r\n",
                events.len()
            ))
            .await;
        client.until(finish).await;
        drop(client);
        upstream.read_to_end().await;
        let observation = collect(&port, 1).await;
        let response = only(&observation).response.as_ref().unwrap();
        assert_eq!(response.judgement.completion, completion, "{:?}", response.judgement.findings);
    }
}

#[tokio::test]
async fn invalid_credential_takes_the_place_of_the_real_one_only() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::InvalidCredential));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    let (head, body) = upstream.message().await;
    let authorization = header(&head, "authorization").unwrap();
    assert!(authorization.starts_with("Bearer ") && !authorization.contains("sk-real"), "{head}");
    assert_eq!(header(&head, "content-type"), Some("application/json"));
    assert!(chat_request(1).ends_with(&body));
    upstream.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 401 "));
    // The fingerprint is that of the release's own credential: `sk-real` has seven bytes.
    let observation = collect(&port, 1).await;
    assert_eq!(
        only(&observation).request.credential.as_ref().map(judge::Fingerprint::as_str),
        Some("0000000000000007")
    );
}

#[tokio::test]
async fn taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut spec = support::spec(support::upstream(address));
    spec.kind = drill::ports::PortKind::Reverse { listen: Some(address) };
    let error = support::tap().open(spec).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(error.to_string().contains("another program has that port"), "{error}");
}
