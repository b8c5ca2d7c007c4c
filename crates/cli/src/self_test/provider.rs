//! Providers in trouble: each answers every call in one wrong way.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It checks no keys, talks of something else, and sends no usage.
    Careless,
    /// It is overloaded.
    Overloaded,
    /// Its replies have no choices.
    Empty,
    /// Nobody listens.
    Gone,
}

/// A running one; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) base_url: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts one.
pub(super) async fn start(trouble: Trouble) -> Result<Running, Failure> {
    let failed = |error: std::io::Error| {
        let advice = "See whether this machine lets programs listen on loopback.";
        Failure::internal(error.to_string(), advice)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let task = tokio::spawn(async move {
        if trouble == Trouble::Gone {
            return;
        }
        let answer = move || async move {
            let (status, body) = reply(trouble);
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        };
        // It serves until it is ended; a listener that breaks shows as a provider that cannot be reached.
        drop(axum::serve(listener, Router::new().fallback(answer)).await);
    });
    Ok(Running { base_url: format!("http://{address}/v1"), task })
}

fn reply(trouble: Trouble) -> (StatusCode, &'static str) {
    match trouble {
        Trouble::Careless => (
            StatusCode::OK,
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"self-test-model","choices":[{"index":0,"message":{"role":"assistant","content":"Let us talk about the weather."},"finish_reason":"stop"}]}"#,
        ),
        Trouble::Overloaded | Trouble::Gone => (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}"#,
        ),
        Trouble::Empty => (
            StatusCode::OK,
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"self-test-model","choices":[]}"#,
        ),
    }
}
