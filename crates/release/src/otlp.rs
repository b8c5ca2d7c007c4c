//! Receives what a release exports by OpenTelemetry: OTLP over HTTP, in Protocol Buffers or JSON, on loopback.
//!
//! A release is told where by the standard variables. Each ask of a command has a path of its own, so that what it exports is
//! known to be its own; a service has one. Everything stays in memory, as lines like those of a log.

mod lines;
mod messages;

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drill::ports::PortError;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::task::AbortHandle;

use crate::capture::lock;
use crate::environment::Variables;
use crate::front;
use crate::http::{Body, body, collect};
use crate::logs::{Ring, is_cut};

/// Taken of one export, unpacked: SDKs send batches of 512 spans, some hundred kilobytes.
const EXPORT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often an SDK exports: its default of five seconds is longer than anybody waits for the log of an ask.
const EXPORT_EVERY_MS: &str = "200";

/// What stands for an export that could not be read.
const NOT_UNDERSTOOD: &str = r#"{"otlp":"not understood"}"#;

/// Whose exports they are.
pub(crate) type Token = u64;

/// A receiver on loopback. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    inbox: Inbox,
    task: AbortHandle,
}

/// What was received, by whom it came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Mutex<HashMap<Token, Ring>>>);

/// What an export is of.
#[derive(Clone, Copy, Debug)]
enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Receiver {
    pub(crate) async fn open() -> Result<Self, PortError> {
        let inbox = Inbox::default();
        let (address, task) = front::serve({
            let inbox = inbox.clone();
            move |request| {
                let inbox = inbox.clone();
                async move { inbox.receive(request).await }
            }
        })
        .await?;
        Ok(Self { address, inbox, task })
    }

    /// Expects exports under a token from now on; others are refused.
    pub(crate) fn expect(&self, token: Token) {
        lock(&self.inbox.0).insert(token, Ring::default());
    }

    /// Tells a process where to export to.
    pub(crate) fn hand_over(&self, token: Token, variables: &mut Variables) {
        let endpoint = format!("http://{}/{token}", self.address);
        variables.insert("OTEL_EXPORTER_OTLP_ENDPOINT".into(), endpoint.into());
        variables.insert("OTEL_EXPORTER_OTLP_PROTOCOL".into(), "http/protobuf".into());
        // Whoever configures these for the release knows better.
        for name in
            ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"]
        {
            variables.entry(name.into()).or_insert_with(|| EXPORT_EVERY_MS.into());
        }
    }

    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Returns all that came under a token, and forgets it.
    pub(crate) fn take(&self, token: Token) -> (Vec<u8>, bool) {
        let ring = lock(&self.inbox.0).remove(&token).unwrap_or_default();
        let (bytes, end) = ring.since(0);
        let is_cut = is_cut(0, end, &bytes);
        (bytes, is_cut)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbox {
    /// Returns what a service exported since a position, and the position of the end.
    pub(crate) fn since(&self, position: u64) -> (Vec<u8>, u64) {
        lock(&self.0).get(&0).map(|ring| ring.since(position)).unwrap_or_default()
    }

    async fn receive(&self, request: Request<Incoming>) -> Response<Body> {
        let Some((token, signal)) = of_path(request.uri().path()) else {
            return reply(StatusCode::NOT_FOUND, false);
        };
        let header_is = |name, wanted: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.is_some_and(|value| value.trim().to_ascii_lowercase().starts_with(wanted))
        };
        let is_json = header_is(header::CONTENT_TYPE, "application/json");
        let is_packed = header_is(header::CONTENT_ENCODING, "gzip");
        let read = match collect(&mut request.into_body()).await {
            Ok(bytes) => unpacked(bytes, is_packed).and_then(|bytes| {
                if is_json {
                    lines::of_json(signal, &bytes)
                } else {
                    lines::of_protobuf(signal, &bytes)
                }
            }),
            Err(_) => None,
        };
        let mut inbox = lock(&self.0);
        let Some(ring) = inbox.get_mut(&token) else {
            return reply(StatusCode::NOT_FOUND, is_json);
        };
        let status = if read.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        for line in read.unwrap_or_else(|| vec![NOT_UNDERSTOOD.to_owned()]) {
            ring.push(line.as_bytes());
            ring.push(b"\n");
        }
        reply(status, is_json)
    }
}

/// `/7/v1/traces`.
fn of_path(path: &str) -> Option<(Token, Signal)> {
    let (token, signal) = path.strip_prefix('/')?.split_once('/')?;
    let signal = match signal.trim_end_matches('/') {
        "v1/traces" => Signal::Traces,
        "v1/logs" => Signal::Logs,
        "v1/metrics" => Signal::Metrics,
        _ => return None,
    };
    // What is no number is nobody's.
    Some((token.parse().ok()?, signal))
}

fn unpacked(bytes: Vec<u8>, is_packed: bool) -> Option<Vec<u8>> {
    let limit = u64::try_from(EXPORT_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let plain = if is_packed {
        let mut plain = Vec::new();
        // Damaged in whatever way: it cannot be read.
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .take(limit)
            .read_to_end(&mut plain)
            .ok()?;
        plain
    } else {
        bytes
    };
    (plain.len() <= EXPORT_BYTES_MAX).then_some(plain)
}

/// An empty message in either encoding says that all was taken.
fn reply(status: StatusCode, is_json: bool) -> Response<Body> {
    let (content_type, text) =
        if is_json { ("application/json", "{}") } else { ("application/x-protobuf", "") };
    let mut response = Response::new(body(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
