//! What the tap answers by itself, beside the stimulus: every such answer says that it is surestep's.

use bytes::Bytes;
use contract::reply;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// Marks a response that no provider made.
const MARK: HeaderName = HeaderName::from_static("x-surestep");

/// Paths beside the surface whose replies are documented here.
const BESIDE: [&str; 3] = ["/v1/models", "/v1/moderations", "/v1/embeddings"];

/// Returns whether the simulated lane has a documented reply for a path.
pub(crate) fn is_beside(resource: &str) -> bool {
    BESIDE.iter().any(|known| {
        resource.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers a path beside the surface in the simulated lane: as documented where services call it before they answer, else with the
/// documented 404.
pub(crate) fn beside(method: &Method, resource: &str, body: &[u8]) -> Response<Bytes> {
    match (method, resource) {
        (&Method::GET, "/v1/models") => models(),
        (&Method::GET, _) if resource.starts_with("/v1/models/") => {
            let id = resource.trim_start_matches("/v1/models/");
            answer(StatusCode::OK, "models", &model(id))
        }
        (&Method::POST, "/v1/moderations") => {
            answer(StatusCode::OK, "moderations", &reply::moderation(body))
        }
        (&Method::POST, "/v1/embeddings") => {
            answer(StatusCode::OK, "embeddings", &reply::embeddings(body))
        }
        _ => unknown_path(method, resource),
    }
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": "surestep" })
}

/// The list that stands in for a provider's models in the simulated lane.
fn models() -> Response<Bytes> {
    let list = json!({ "object": "list", "data": [model("surestep-simulated")] });
    answer(StatusCode::OK, "models", &list)
}

/// The documented reply to a path that no provider has.
pub(crate) fn unknown_path(method: &Method, resource: &str) -> Response<Bytes> {
    let message = format!("Invalid URL ({method} {resource})");
    let body = json!({
        "error": { "message": message, "type": "invalid_request_error", "param": null, "code": null }
    });
    answer(StatusCode::NOT_FOUND, "unknown-path", &body)
}

/// The ask has used up its live calls.
pub(crate) fn budget_spent() -> Response<Bytes> {
    own_error(
        StatusCode::SERVICE_UNAVAILABLE,
        "live_call_budget_spent",
        "surestep tap: this ask has used up its live calls, so the call was not passed on to the provider",
    )
}

/// A call of an ask that is over: it is not passed on, as nobody looks at it any more.
pub(crate) fn retired() -> Response<Bytes> {
    own_error(
        StatusCode::SERVICE_UNAVAILABLE,
        "ask_is_over",
        "surestep tap: this call belongs to a probe that is over, so it was not passed on to the provider",
    )
}

/// A request that is too large to be looked at.
pub(crate) fn too_large() -> Response<Bytes> {
    own_error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_too_large",
        "surestep tap: the body of a probe's call is larger than the tap reads (16 MiB)",
    )
}

/// The provider gave no response.
pub(crate) fn provider_unreachable(why: &str) -> Response<Bytes> {
    own_error(StatusCode::BAD_GATEWAY, "provider_unreachable", &format!("surestep tap: {why}"))
}

/// What a proxy says when it does not pass a message on.
pub(crate) fn proxy(status: StatusCode, why: &str) -> Response<Bytes> {
    own_error(status, "proxy", &format!("surestep tap: {why}"))
}

/// The stimulus made an answer that cannot be sent: a bug of ours.
pub(crate) fn internal(why: &str) -> Response<Bytes> {
    own_error(StatusCode::INTERNAL_SERVER_ERROR, "tap_internal", &format!("surestep tap: {why}"))
}

fn own_error(status: StatusCode, code: &'static str, message: &str) -> Response<Bytes> {
    let body = json!({ "error": { "message": message, "type": "surestep_tap", "param": null, "code": code } });
    let mut response = answer(status, code, &body);
    // Repeating a call that the tap does not pass on is no use, and the official SDKs listen to this.
    if status != StatusCode::BAD_GATEWAY {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    response
}

fn answer(status: StatusCode, mark: &'static str, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(MARK, HeaderValue::from_static(mark));
    response
}
