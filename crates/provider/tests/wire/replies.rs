//! What the simulated provider says to good requests, as it is on the wire.

use std::time::Duration;

use contract::Profile;
use contract::smoke::prompt;
use provider::{Calls, ProviderConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{KEY, exchange, get, in_time, post, post_as, request, start, until};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn chat() -> Value {
    json!({ "model": "gpt-5.4-mini", "messages": [{ "role": "user", "content": prompt("ssm-1", "SSL-4711") }] })
}

fn responses() -> Value {
    json!({ "model": "gpt-5.4-mini", "input": prompt("ssm-1", "SSL-4711") })
}

fn with(mut request: Value, field: &str, value: Value) -> Value {
    request[field] = value;
    request
}

#[tokio::test]
async fn chat_answers_with_the_label() {
    let provider = start(ProviderConfig::default()).await;
    let reply = post(&provider, CHAT, &chat()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-request-id").len(), 31);
    assert_eq!(reply.at("/choices/0/message/content"), "SSL-4711");
    assert_eq!(reply.at("/model"), "gpt-5.4-mini");
    assert!(reply.at("/id").as_str().unwrap().starts_with("chatcmpl-"));
    let other = post(&provider, CHAT, &chat()).await;
    assert_ne!(other.at("/id"), reply.at("/id"));
    assert_ne!(other.header("x-request-id"), reply.header("x-request-id"));
}

#[tokio::test]
async fn chat_streams_each_event_alone() {
    let provider = start(ProviderConfig::default()).await;
    let options = json!({ "include_usage": true });
    let reply = post(
        &provider,
        CHAT,
        &with(with(chat(), "stream", json!(true)), "stream_options", options),
    )
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "no-cache");
    for chunk in &reply.chunks {
        assert!(chunk.starts_with(b"data: ") && chunk.ends_with(b"\n\n"), "{chunk:?}");
        assert_eq!(chunk.windows(2).filter(|pair| pair == b"\n\n").count(), 1, "one event a chunk");
    }
    assert_eq!(reply.chunks.last().unwrap(), b"data: [DONE]\n\n");
    let events = reply.events();
    let text: String = events
        .iter()
        .filter_map(|event| event.pointer("/choices/0/delta/content")?.as_str())
        .collect();
    assert_eq!(text, "SSL-4711");
    assert!(events.last().unwrap().pointer("/usage/total_tokens").is_some());
}

#[tokio::test]
async fn responses_answers_with_the_label() {
    let provider = start(ProviderConfig::default()).await;
    let reply = post(&provider, RESPONSES, &responses()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.at("/status"), "completed");
    assert_eq!(reply.at("/output/0/content/0/text"), "SSL-4711");
    assert!(reply.at("/id").as_str().unwrap().starts_with("resp_"));
}

#[tokio::test]
async fn responses_streams_named_events() {
    let provider = start(ProviderConfig::default()).await;
    let reply = post(&provider, RESPONSES, &with(responses(), "stream", json!(true))).await;
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    let events = reply.events();
    assert_eq!(events.len(), reply.chunks.len(), "no [DONE]");
    for (chunk, event) in reply.chunks.iter().zip(&events) {
        let name = format!("event: {}\n", event["type"].as_str().unwrap());
        assert!(chunk.starts_with(name.as_bytes()));
    }
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    assert_eq!(
        events.last().unwrap().pointer("/response/output/0/content/0/text").unwrap(),
        "SSL-4711"
    );
}

#[tokio::test]
async fn an_answer_ends_at_the_limit_of_its_request() {
    let provider = start(ProviderConfig::default()).await;
    let limited = with(chat(), "max_tokens", json!(2));
    let reply = post(&provider, CHAT, &limited).await;
    assert_eq!(reply.at("/choices/0/finish_reason"), "length");
    assert_eq!(reply.at("/choices/0/message/content"), "SSL-");
    let limited = with(with(responses(), "max_output_tokens", json!(2)), "stream", json!(true));
    let events = post(&provider, RESPONSES, &limited).await.events();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "SSL-");
    let enough = with(chat(), "max_tokens", json!(64));
    let reply = post(&provider, CHAT, &enough).await;
    assert_eq!(reply.at("/choices/0/finish_reason"), "stop");
}

#[tokio::test]
async fn a_prompt_without_label_gets_a_sentence() {
    let provider = start(ProviderConfig::default()).await;
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
    let reply = post(&provider, CHAT, &body).await;
    assert!(
        reply.at("/choices/0/message/content").as_str().unwrap().contains("simulated provider")
    );
}

#[tokio::test]
async fn what_services_call_before_an_answer_is_answered() {
    let provider = start(ProviderConfig::default()).await;
    let asked = json!({ "model": "omni-moderation-latest", "input": "hello" });
    let reply = post(&provider, "/v1/moderations", &asked).await;
    assert_eq!((reply.status, reply.at("/results/0/flagged")), (200, json!(false)));
    let reply = post(&provider, "/v1/embeddings", &asked).await;
    assert_eq!((reply.status, reply.at("/data/0/object")), (200, json!("embedding")));
    assert_eq!(post_as(&provider, "/v1/moderations", &[], b"{}").await.status, 401);
    assert_eq!(provider.calls(), Calls { beside: 2, unauthorized: 1, ..Calls::default() });
}

#[tokio::test]
async fn models_are_listed() {
    let models = vec!["gpt-5.4-mini".to_owned(), "org/other".to_owned()];
    let provider = start(ProviderConfig { models, ..Default::default() }).await;
    let list = get(&provider, "/v1/models").await;
    assert_eq!(list.at("/object"), "list");
    assert_eq!(list.at("/data/1/id"), "org/other");
    assert_eq!(list.at("/data/1/object"), "model");
    assert_eq!(get(&provider, "/v1/models/org%2Fother").await.at("/id"), "org/other");
    assert_eq!(get(&provider, "/v1/models/gone").await.status, 404);
}

#[tokio::test]
async fn fields_can_be_left_out() {
    let drop_fields = vec!["/usage".to_owned(), "/choices/0/finish_reason".to_owned()];
    let provider = start(ProviderConfig { drop_fields, ..Default::default() }).await;
    let reply = post(&provider, CHAT, &chat()).await;
    assert_eq!(reply.json().get("usage"), None);
    assert_eq!(reply.json().pointer("/choices/0/finish_reason"), None);
    assert_eq!(reply.at("/choices/0/message/content"), "SSL-4711");
    let stream = post(&provider, CHAT, &with(chat(), "stream", json!(true))).await;
    assert!(
        stream.events().iter().all(|event| event.pointer("/choices/0/finish_reason").is_none())
    );
    let stream = post(&provider, RESPONSES, &with(responses(), "stream", json!(true))).await;
    assert_eq!(stream.events().last().unwrap().pointer("/response/usage"), None);
}

#[tokio::test]
async fn openai_profile_sends_its_headers() {
    let provider = start(ProviderConfig { profile: Profile::Openai, ..Default::default() }).await;
    let reply = post(&provider, CHAT, &chat()).await;
    assert!(reply.header("x-request-id").starts_with("req_"));
    assert_eq!(reply.header("x-ratelimit-limit-requests"), "5000");
}

#[tokio::test]
async fn calls_are_counted_by_kind() {
    let provider = start(ProviderConfig::default()).await;
    post(&provider, CHAT, &chat()).await;
    post(&provider, CHAT, &with(chat(), "stream", json!(true))).await;
    post(&provider, RESPONSES, &responses()).await;
    post(&provider, RESPONSES, &with(responses(), "stream", json!(true))).await;
    get(&provider, "/v1/models").await;
    get(&provider, "/v1/nothing").await;
    exchange(provider.address(), &request("POST", CHAT, &[], b"{}")).await;
    let expected = Calls {
        chat_unary: 1,
        chat_stream: 1,
        responses_unary: 1,
        responses_stream: 1,
        models: 1,
        beside: 0,
        unauthorized: 1,
        refused: 1,
        streams_abandoned: 0,
    };
    assert_eq!(provider.calls(), expected);
    assert_eq!(provider.calls().total(), 7);
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_is_noticed() {
    let provider =
        start(ProviderConfig { event_gap: Duration::from_secs(30), ..Default::default() }).await;
    let mut caller = TcpStream::connect(provider.address()).await.unwrap();
    let body = with(chat(), "stream", json!(true)).to_string();
    caller
        .write_all(&request("POST", CHAT, &[("authorization", KEY)], body.as_bytes()))
        .await
        .unwrap();
    // The first event leaves without waiting for the second.
    let first_event = async {
        let mut received = Vec::new();
        while !received.ends_with(b"\n\n\r\n") {
            assert_ne!(caller.read_buf(&mut received).await.unwrap(), 0, "the stream ended early");
        }
    };
    in_time("the first event", first_event).await;
    drop(caller);
    until("the stream is abandoned", || provider.calls().streams_abandoned == 1).await;
}

#[tokio::test]
async fn stopping_lets_a_stream_end_and_frees_the_port() {
    let provider =
        start(ProviderConfig { event_gap: Duration::from_millis(20), ..Default::default() }).await;
    let address = provider.address();
    let body = with(chat(), "stream", json!(true)).to_string();
    let call = tokio::spawn(async move {
        exchange(address, &request("POST", CHAT, &[("authorization", KEY)], body.as_bytes())).await
    });
    until("the stream has begun", || provider.calls().chat_stream == 1).await;
    provider.stop().await;
    assert_eq!(call.await.unwrap().chunks.last().unwrap(), b"data: [DONE]\n\n");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let first = start(ProviderConfig::default()).await;
    let second =
        provider::Provider::start(ProviderConfig { listen: first.address(), ..Default::default() })
            .await;
    let message = second.unwrap_err().to_string();
    assert!(message.contains(&first.address().to_string()), "{message}");
}

#[tokio::test]
async fn description_tells_how_to_call_and_no_key() {
    let provider =
        start(ProviderConfig { keys: vec!["sk-planted".to_owned()], ..Default::default() }).await;
    let text = provider.describe();
    assert!(
        text.contains(&provider.base_url()) && text.contains("profile    cometapi\n"),
        "{text}"
    );
    assert!(!text.contains("sk-planted"), "{text}");
    assert!(!format!("{provider:?}").contains("sk-planted"));
}
