//! The built-in release as a long-running service: `POST /ask`, `POST /ask/stream`, `GET /healthz`, and a gateway's address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::client::Bot;
use super::defect::Defect;
use super::reply::Refused;
use super::{gateway, streaming};
use crate::failure::Failure;

/// Ends, or never gets ready, where that is the defect.
pub(super) async fn misbehave_at_start(defect: Defect) -> Result<(), Failure> {
    match defect {
        Defect::EndsAtStart => {
            Err(Failure::usage("the database is not there", "This is what the self-test broke."))
        }
        Defect::NeverReady => std::future::pending().await,
        _ => Ok(()),
    }
}

struct Served {
    bot: Arc<Bot>,
    /// Somebody has left: the next one pays for it.
    is_broken: AtomicBool,
    /// Whose turn it is, where there is but one.
    turn: Mutex<()>,
    n_asked: AtomicU32,
}

/// Each of these is turned away, where that is the defect.
const TURNED_AWAY: u32 = 3;

/// Serves until it is ended.
pub(super) async fn serve(bot: Bot, port: &str) -> Result<u8, Failure> {
    let failed = |error: std::io::Error| Failure::internal(error.to_string(), "Look at the port.");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.map_err(failed)?;
    let served = Arc::new(Served {
        bot: Arc::new(bot),
        is_broken: AtomicBool::new(false),
        turn: Mutex::new(()),
        n_asked: AtomicU32::new(1),
    });
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/ask", post(ask))
        .route("/ask/stream", post(ask_for_stream))
        .with_state(Arc::clone(&served))
        .route("/v1/chat/completions", post(gateway::answer).with_state(Arc::clone(&served.bot)));
    axum::serve(listener, routes).await.map_err(failed)?;
    Ok(0)
}

/// Marks the service as broken when the answer to which it belongs is dropped half-way.
struct Fragile(Option<Arc<Served>>);

impl Drop for Fragile {
    fn drop(&mut self) {
        if let Some(served) = self.0.take() {
            served.is_broken.store(true, Ordering::SeqCst);
        }
    }
}

async fn ask(State(served): State<Arc<Served>>, Json(asked): Json<Value>) -> Response {
    let is_page = served.bot.defect == Defect::AnswersAsPage;
    let mut response = answer(served, &asked).await.into_response();
    if is_page {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    response
}

async fn ask_for_stream(State(served): State<Arc<Served>>, Json(asked): Json<Value>) -> Response {
    streaming::answer(&served.bot, asked["question"].as_str().unwrap_or_default()).await
}

async fn answer(served: Arc<Served>, asked: &Value) -> (StatusCode, Json<Value>) {
    let question = asked["question"].as_str().unwrap_or_default().to_owned();
    if served.is_broken.swap(false, Ordering::SeqCst) {
        return reply(Err(Refused("broken_by_leaver")));
    }
    let bot = Arc::clone(&served.bot);
    match bot.defect {
        Defect::BreaksWithLeaver => {
            let mut fragile = Fragile(Some(Arc::clone(&served)));
            let result = bot.answer(&question, false).await;
            fragile.0 = None;
            reply(result)
        }
        // A task of its own goes on when the one that waits for it is dropped.
        Defect::FinishesForNobody => {
            let task = tokio::spawn(async move { bot.answer(&question, false).await });
            reply(task.await.unwrap_or(Err(Refused("internal"))))
        }
        Defect::OneAtATime => {
            let _turn = served.turn.lock().await;
            reply(bot.answer(&question, false).await)
        }
        Defect::GivesErrorsAsSuccess => {
            (StatusCode::OK, reply(bot.answer(&question, false).await).1)
        }
        Defect::TurnsAwayByItself
            if served.n_asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(TURNED_AWAY) =>
        {
            reply(Err(Refused("pool_exhausted")))
        }
        _ => reply(bot.answer(&question, false).await),
    }
}

fn reply(result: Result<String, Refused>) -> (StatusCode, Json<Value>) {
    match result {
        Ok(answer) => (StatusCode::OK, Json(json!({ "answer": answer }))),
        Err(refused) => (StatusCode::BAD_GATEWAY, Json(json!({ "error": refused.0 }))),
    }
}
