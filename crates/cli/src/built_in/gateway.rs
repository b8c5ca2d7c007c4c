//! The built-in release as a gateway: `POST /v1/chat/completions` passes requests and replies on as they are, but for the model.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::client::Bot;
use super::defect::Defect;

/// Passes a request on, and its reply back.
pub(super) async fn answer(State(bot): State<Arc<Bot>>, Json(asked): Json<Value>) -> Response {
    let defect = bot.defect;
    let has_tools = asked.get("tools").is_some();
    if defect == Defect::TurnsDownTools && has_tools {
        return error(StatusCode::BAD_REQUEST, "tools are not supported");
    }
    let Some((status, media_type, body)) = bot.pass_on(changed(defect, asked)).await else {
        return error(StatusCode::BAD_GATEWAY, "the provider is not reached");
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let status = if defect == Defect::SaysAllIsWell { StatusCode::OK } else { status };
    let body = if defect == Defect::LosesToolCalls { without_calls(&body) } else { body };
    (status, [(CONTENT_TYPE, media_type)], body).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}

/// Loses of a request what the defect is to lose.
fn changed(defect: Defect, mut asked: Value) -> Value {
    let last = asked["messages"].as_array_mut().and_then(Vec::pop);
    match (defect, asked["messages"].as_array_mut()) {
        (Defect::ForgetsHistory, Some(messages)) => messages.clear(),
        (Defect::DropsParameters, _) => {
            if let Value::Object(fields) = &mut asked {
                fields.retain(|name, _| !matches!(name.as_str(), "temperature" | "stop"));
            }
        }
        _ => {}
    }
    if let Some(messages) = asked["messages"].as_array_mut() {
        messages.extend(last);
    }
    asked
}

fn without_calls(body: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    if let Some(Value::Object(message)) = document.pointer_mut("/choices/0/message")
        && message.remove("tool_calls").is_some()
    {
        message.insert("content".to_owned(), json!(""));
    }
    document.to_string()
}
