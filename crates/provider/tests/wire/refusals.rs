//! What the simulated provider says to bad requests: status, code and words of the profile.

use contract::Profile;
use provider::{ProviderConfig, Running};
use serde_json::{Value, json};

use crate::support::{KEY, Reply, exchange, get, post, post_as, request, start};

const CHAT: &str = "/v1/chat/completions";

async fn of(profile: Profile) -> Running {
    start(ProviderConfig {
        profile,
        keys: vec!["sk-test-1".to_owned()],
        models: vec!["gpt-5.4-mini".to_owned()],
        ..Default::default()
    })
    .await
}

fn hello() -> Value {
    json!({ "model": "gpt-5.4-mini", "messages": [{ "role": "user", "content": "hello" }] })
}

#[track_caller]
fn check(reply: &Reply, status: u16, code: impl Into<Value>, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.at("/error/code"), code.into(), "{}", reply.text());
    let message = reply.at("/error/message");
    assert!(message.as_str().unwrap().contains(words), "{message}");
    assert_ne!(reply.header("x-request-id"), "");
}

#[tokio::test]
async fn credentials_are_checked() {
    for (profile, code, words) in [
        (Profile::Openai, json!("invalid_api_key"), "Incorrect API key provided"),
        (Profile::Cometapi, json!(""), "Invalid token (request id: "),
    ] {
        let provider = of(profile).await;
        let body = hello().to_string();
        let reply =
            post_as(&provider, CHAT, &[("authorization", "Bearer sk-planted-2")], body.as_bytes())
                .await;
        check(&reply, 401, code, words);
        assert!(!reply.text().contains("sk-planted"), "an error never repeats the credential");
        assert_eq!(post(&provider, CHAT, &hello()).await.status, 200);
        assert_eq!(
            post_as(&provider, CHAT, &[("authorization", "bearer  sk-test-1 ")], body.as_bytes())
                .await
                .status,
            200
        );
        for headers in [
            &[][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "Basic sk-test-1")],
            &[("authorization", "sk-test-1")],
        ] {
            assert_eq!(
                post_as(&provider, CHAT, headers, body.as_bytes()).await.status,
                401,
                "{headers:?}"
            );
        }
        assert_eq!(
            exchange(provider.address(), &request("GET", "/v1/models", &[], b"")).await.status,
            401
        );
    }
}

#[tokio::test]
async fn missing_messages_are_a_500_at_cometapi_only() {
    let body = json!({ "model": "gpt-5.4-mini" });
    let comet = post(&of(Profile::Cometapi).await, CHAT, &body).await;
    check(&comet, 500, "invalid_request", "field messages is required (request id: ");
    assert_eq!(comet.at("/error/type"), "comet_api_error");
    assert!(comet.at("/error/message").as_str().unwrap().contains(comet.header("x-request-id")));
    let openai = post(&of(Profile::Openai).await, CHAT, &body).await;
    check(&openai, 400, "missing_required_parameter", "Missing required parameter: 'messages'.");
}

#[tokio::test]
async fn unknown_models_are_a_503_at_cometapi_only() {
    let body = json!({ "model": "gone", "messages": [{ "role": "user", "content": "hello" }] });
    let comet = post(&of(Profile::Cometapi).await, CHAT, &body).await;
    check(
        &comet,
        503,
        "model_not_found",
        "no available channel for group default and model gone (distributor) (request id: ",
    );
    let openai = post(&of(Profile::Openai).await, CHAT, &body).await;
    check(&openai, 404, "model_not_found", "The model `gone` does not exist");
}

#[tokio::test]
async fn malformed_requests_are_a_400() {
    let provider = of(Profile::Openai).await;
    let reply = post_as(&provider, CHAT, &[("authorization", KEY)], b"{\"model\":").await;
    check(&reply, 400, Value::Null, "could not parse the JSON body");
    let body = json!({ "model": "gpt-5.4-mini", "messages": "hello" });
    check(&post(&provider, CHAT, &body).await, 400, "invalid_type", "'messages'");
    let body = json!({ "messages": [] });
    check(&post(&provider, CHAT, &body).await, 400, "missing_required_parameter", "'model'");
    let body = json!({ "model": "gpt-5.4-mini" });
    check(
        &post(&provider, "/v1/responses", &body).await,
        400,
        "missing_required_parameter",
        "'input'",
    );
}

#[tokio::test]
async fn wrong_paths_and_methods_are_json() {
    for profile in [Profile::Openai, Profile::Cometapi] {
        let provider = of(profile).await;
        for path in [
            "/",
            "/v1",
            "/chat/completions",
            "/v1/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/models/",
        ] {
            let reply = post(&provider, path, &hello()).await;
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(reply.at("/error/type"), "invalid_request_error");
        }
        assert_eq!(get(&provider, CHAT).await.status, 405);
        assert_eq!(post(&provider, "/v1/models", &hello()).await.status, 405);
        assert_eq!(
            get(&provider, "/v1/models?limit=3").await.status,
            200,
            "a query is no part of the path"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_a_413() {
    let provider = start(ProviderConfig { request_bytes_max: 1024, ..Default::default() }).await;
    let body =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(2048) }] });
    check(&post(&provider, CHAT, &body).await, 413, "read_request_body_failed", "too large");
    let body =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(512) }] });
    assert_eq!(post(&provider, CHAT, &body).await.status, 200);
}
