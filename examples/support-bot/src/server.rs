//! The service's own HTTP API: `POST /ask`, `POST /ask/stream`, `GET /healthz`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::answer::{Assistant, Streamed};
use crate::upstream::Failure;

#[derive(Deserialize)]
struct Question {
    question: String,
}

/// Serves until SIGTERM or Ctrl-C, then lets running answers end.
pub(crate) async fn serve(address: SocketAddr, assistant: Assistant) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told_to_stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, routes(assistant)).with_graceful_shutdown(told_to_stop).await
}

fn routes(assistant: Assistant) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/ask", post(ask))
        .route("/ask/stream", post(ask_stream))
        .with_state(assistant)
}

async fn ask(State(assistant): State<Assistant>, Json(asked): Json<Question>) -> Response {
    match assistant.answer(asked.question).await {
        Ok(answer) => Json(json!({ "answer": answer })).into_response(),
        Err(failure) => (StatusCode::BAD_GATEWAY, Json(said(failure))).into_response(),
    }
}

async fn ask_stream(
    State(assistant): State<Assistant>,
    Json(asked): Json<Question>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(
        Stage::Asked(Box::new(assistant), asked.question),
        |stage| async move {
            let mut streamed = match stage {
                Stage::Over => return None,
                Stage::Answering(streamed) => streamed,
                Stage::Asked(assistant, question) => match assistant.stream(question).await {
                    Ok(streamed) => Box::new(streamed),
                    Err(failure) => return Some((Ok(error(failure)), Stage::Over)),
                },
            };
            Some(match streamed.next().await {
                Ok(Some(piece)) => {
                    (Ok(data(&json!({ "delta": piece }))), Stage::Answering(streamed))
                }
                Ok(None) => (Ok(data(&json!({ "done": true }))), Stage::Over),
                Err(failure) => (Ok(error(failure)), Stage::Over),
            })
        },
    ))
}

/// How far a streamed answer is.
enum Stage {
    Asked(Box<Assistant>, String),
    Answering(Box<Streamed>),
    Over,
}

fn data(json: &serde_json::Value) -> Event {
    Event::default().data(json.to_string())
}

fn error(failure: Failure) -> Event {
    data(&said(failure)).event("error")
}

/// What a user is told: that there is no answer, and a word for the hotline.
fn said(failure: Failure) -> serde_json::Value {
    json!({ "error": { "code": failure.0, "message": "There is no answer to this right now." } })
}
