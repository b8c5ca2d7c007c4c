//! Puts any release behind an HTTP address of ours, in one format, and asks what stands behind such an address.
//!
//! `POST` (any path) `{"prompt": "…", "mode": "unary" | "stream", "deadline_ms": 30000}` is answered with 200 and
//! `{"answer": "…"}`, or with 502 (504 when there was no outcome in time) and `{"error": "exit status 1"}`; both carry the
//! `outcome` as surestep records it.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use contract::Mode;
use contract::conversation::AskedWith;
use drill::ports::{Ask, Asked, PortError};
use evidence::Sensitive;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use judge::{Outcome, OutcomeKind};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::http::{Body, Http, Life, ReplyReader, body, collect};
use crate::outcome::Reply;

/// What a front may need beyond an ask's deadline: to end the command's processes and to answer.
const BEYOND_DEADLINE: Duration = Duration::from_secs(3);

/// How long a front that cannot accept waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// No ask lasts longer, whatever a request says.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Connections of a front that may be open at once: asks come one by one or in small groups.
const CONNECTIONS_MAX: usize = 256;

/// Serves each request with `handle` on a free port of loopback until the handle is aborted; that drops what is under way.
pub(crate) async fn serve<F>(
    handle: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Result<(SocketAddr, AbortHandle), PortError>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let environment = |error| PortError::Environment {
        what: "no port could be opened on 127.0.0.1 for a release's front".to_owned(),
        advice: "look at the limits on ports and open files".to_owned(),
        source: Some(Box::new(error)),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(environment)?;
    let address = listener.local_addr().map_err(environment)?;
    let task = tokio::spawn(async move {
        // Dropped with this task, and all connections with it.
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: others have to give some back.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            let handle = handle.clone();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let reply = handle(request);
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A client that leaves ends its connection with an error, and what it asked for with it.
                match connection.await {
                    Ok(()) | Err(_) => {}
                }
            });
        }
    });
    Ok((address, task.abort_handle()))
}

/// Reads an ask off a request to a front. `longest` is the deadline where the request names none.
pub(crate) async fn read_ask(request: Request<Incoming>, longest: Duration) -> Result<Ask, String> {
    let bytes = collect(&mut request.into_body())
        .await
        .map_err(|(why, _)| format!("the request was not read: {why:?}"))?;
    let document: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("the request is not JSON: {error}"))?;
    let prompt =
        document.get("prompt").and_then(Value::as_str).ok_or("the request has no `prompt`")?;
    let mode = match document.get("mode").and_then(Value::as_str) {
        None | Some("unary") => Mode::Unary,
        Some("stream") => Mode::Stream,
        Some(_) => return Err("`mode` is neither unary nor stream".to_owned()),
    };
    let deadline = document
        .get("deadline_ms")
        .and_then(Value::as_u64)
        .map_or(longest, |length_ms| Duration::from_millis(length_ms).min(DEADLINE_MAX));
    let asked_with = AskedWith::Question;
    Ok(Ask { prompt: Sensitive::new(prompt), asked_with, mode, deadline, tap: None })
}

/// Writes what came of an ask as a front's reply.
pub(crate) fn reply(asked: &Asked) -> Response<Body> {
    let (status, error) = match &asked.outcome {
        Outcome::Answered { .. } => (StatusCode::OK, None),
        Outcome::Refused { how, .. } => (StatusCode::BAD_GATEWAY, Some(how.clone())),
        Outcome::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, Some("timed out".to_owned())),
        // Nobody reads this.
        Outcome::Left { .. } => (StatusCode::BAD_GATEWAY, Some("left".to_owned())),
        Outcome::Crashed { how, .. } => {
            (StatusCode::BAD_GATEWAY, Some(format!("crashed: {how:?}")))
        }
    };
    let text = |text: &Option<Sensitive>| text.as_ref().map(|text| text.expose().to_owned());
    json_response(
        status,
        &json!({
            "answer": text(&asked.answer),
            "error": error,
            "shown": text(&asked.shown),
            "cut": asked.cut,
            "outcome": asked.outcome,
        }),
    )
}

/// Says why a front's request was not understood.
pub(crate) fn misunderstood(what: &str) -> Response<Body> {
    json_response(StatusCode::BAD_REQUEST, &json!({ "error": what }))
}

fn json_response(status: StatusCode, document: &Value) -> Response<Body> {
    let mut response = Response::new(body(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Asks whatever front of ours is behind an address.
pub(crate) async fn ask(http: &Http, address: SocketAddr, ask: Ask) -> Asked {
    let document = json!({
        "prompt": ask.prompt.expose(),
        "mode": ask.mode.as_str(),
        "deadline_ms": u64::try_from(ask.deadline.as_millis()).unwrap_or(u64::MAX),
    });
    let request = Request::post(format!("http://{address}/ask"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body(Bytes::from(document.to_string())))
        .expect("an address and a constant make a valid request");
    let mut reader = FrontReader::default();
    let patient = Ask { deadline: ask.deadline + BEYOND_DEADLINE, ..ask };
    let asked = crate::http::ask(http, request, &mut reader, &patient, &Life::default()).await;
    // Refused by its status: the reply tells the rest, unless it is not from a front.
    let told = match (asked.outcome.kind(), &asked.shown) {
        (OutcomeKind::Refused, Some(shown)) => serde_json::from_str(shown.expose()).ok(),
        _ => reader.document,
    };
    told.and_then(|document| from_document(&document)).unwrap_or(asked)
}

fn from_document(document: &Value) -> Option<Asked> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(Sensitive::new);
    Some(Asked {
        outcome: serde_json::from_value(document.get("outcome")?.clone()).ok()?,
        answer: text("answer"),
        called: None,
        unsaid: false,
        shown: text("shown"),
        logs: None,
        beside: None,
        cut: document.get("cut").and_then(Value::as_bool).unwrap_or_default(),
        reply: None,
        media_type: None,
        first_words: None,
        cpu_wait: None,
    })
}

#[derive(Default)]
struct FrontReader {
    body: Vec<u8>,
    document: Option<Value>,
}

impl ReplyReader for FrontReader {
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.body.extend_from_slice(bytes);
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> Reply {
        self.document = serde_json::from_slice(&self.body).ok();
        self.document.as_ref().and_then(|document| document.get("answer")?.as_str()).map_or_else(
            || Reply::refused("no answer at /answer"),
            |answer| Reply::Answered(answer.to_owned()),
        )
    }

    fn partial(&self) -> Option<String> {
        None
    }

    fn broke_off(&self) -> &'static str {
        "reply broke off"
    }
}
