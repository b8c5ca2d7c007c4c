//! Calls beside the surface, and askers who leave: neither is mistaken for an attempt, and the end of a call has its time.

mod support;

use contract::reply::{self, ErrorKind};
use drill::ports::TapPort as _;
use judge::{AnsweredBy, End, Guarded, Marker, Redirect, Stimulus};
use serde_json::Value;
use support::{Raw, address, ask, chat_request, collect, header, only, open_alone, post};

/// Sends a request and returns the status and the JSON of its reply.
async fn json(client: &mut Raw, request: &str) -> (String, Value) {
    client.send(request).await;
    let (head, body) = client.message().await;
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_guard_call_gets_its_documented_reply_and_the_fault_hits_the_call_after_it() {
    let port = open_alone().await;
    let fault = Stimulus::Guarded(Box::new(Guarded {
        lead_models: Vec::new(),
        lead_first: 1,
        lead: Stimulus::Relay,
        then: Stimulus::Error(ErrorKind::BadRequest),
    }));
    port.arm(ask(1, fault));
    let mut client = Raw::connect(address(&port)).await;
    let (status, moderated) =
        json(&mut client, &post("/v1/moderations", r#"{"model":"omni","input":["a","b"]}"#)).await;
    assert_eq!((status.as_str(), &moderated["model"]), ("200", &Value::from("omni")));
    assert_eq!(moderated["results"].as_array().map(Vec::len), Some(2));
    assert_eq!(moderated["results"][1]["flagged"], false);
    let (status, _) = json(&mut client, &chat_request(1)).await;
    assert_eq!(status, "400");
    let observation = collect(&port, 1).await;
    let seen: Vec<(bool, AnsweredBy)> = observation
        .exchanges
        .iter()
        .map(|exchange| (exchange.is_call(), exchange.answered_by))
        .collect();
    assert_eq!(seen, [(false, AnsweredBy::Guard), (true, AnsweredBy::Tap)]);
}

#[tokio::test]
async fn what_services_call_beside_the_surface_is_answered_as_documented() {
    let port = open_alone().await;
    port.arm(ask(1, Stimulus::Documented));
    let mut client = Raw::connect(address(&port)).await;
    let tokens = r#"{"model":"e","input":[1,2,3]}"#;
    let (_, embedded) = json(&mut client, &post("/v1/embeddings", tokens)).await;
    assert_eq!(embedded["data"].as_array().map(Vec::len), Some(1), "tokens are one input");
    assert_eq!(embedded["data"][0]["object"], "embedding");
    let (status, model) =
        json(&mut client, "GET /v1/models/m-1 HTTP/1.1\r\nHost: tap\r\n\r\n").await;
    assert_eq!((status.as_str(), &model["id"]), ("200", &Value::from("m-1")));
    let (status, error) = json(&mut client, &post("/v1/images/generations", "{}")).await;
    assert_eq!(
        (status.as_str(), &error["error"]["type"]),
        ("404", &"invalid_request_error".into())
    );
}

#[tokio::test]
async fn what_is_asked_beside_the_surface_may_be_compressed() {
    let port = open_alone().await;
    port.arm(ask(1, Stimulus::Documented));
    let body = reply::gzip(br#"{"model":"e","input":["a","b","c"]}"#);
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nHost: tap\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = Raw::connect(address(&port)).await;
    client.send_bytes(&[head.as_bytes(), &body].concat()).await;
    let embedded: Value = serde_json::from_str(&client.message().await.1).unwrap();
    assert_eq!(embedded["data"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_release_that_leaves_an_endless_stream_has_its_time() {
    let port = open_alone().await;
    port.arm(ask(1, Stimulus::AskerLeaves));
    let streamed = chat_request(1).replace("{\"model\"", "{\"stream\":true,\"model\"");
    let length = header(&streamed, "content-length").unwrap().to_owned();
    let body = streamed.split_once("\r\n\r\n").unwrap().1.len();
    let request =
        streamed.replace(&format!("Content-Length: {length}"), &format!("Content-Length: {body}"));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&request).await;
    // The same delta again and again: the stream does not end by itself.
    let repeated = client.until("chat.completion.chunk").await;
    for _ in 0..12 {
        client.until("chat.completion.chunk").await;
    }
    assert_eq!(header(&repeated, "content-type"), Some("text/event-stream; charset=utf-8"));
    drop(client);
    let observation = collect(&port, 1).await;
    let exchange = only(&observation);
    assert_eq!(exchange.release_end, End::PeerLeft);
    assert!(exchange.ended_ms > exchange.started_ms);
}

#[tokio::test]
async fn who_follows_a_redirect_elsewhere_is_known_by_its_path() {
    let port = open_alone().await;
    port.arm(ask(1, Stimulus::Redirect(Redirect { status: 307, elsewhere: true })));
    let mut client = Raw::connect(address(&port)).await;
    let place = address(&port).to_string();
    let request = chat_request(1);
    client.send(&request.replace("Host: tap", &format!("Host: {place}"))).await;
    let (head, _) = client.message().await;
    let location = header(&head, "location").unwrap();
    let path = location
        .strip_prefix(&format!("http://localhost:{}", address(&port).port()))
        .expect("the tap's other name");
    client.send(&request.replace("/v1/chat/completions", path)).await;
    let (head, page) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 200") && page.contains("<html"), "{head}");
    let observation = collect(&port, 1).await;
    let calls: Vec<bool> = observation.exchanges.iter().map(judge::Exchange::is_call).collect();
    assert_eq!(calls, [true, false]);
    assert!(Marker::is_moved_away(&observation.exchanges[1].request.path));
}
