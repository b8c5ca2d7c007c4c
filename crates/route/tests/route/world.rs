//! What the tests need around a router: backends that say who they are, a client, a state folder, patience with a bound.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use route::{Backends, RouteConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A folder for the state and a configuration on a free port.
pub(crate) struct World {
    folder: tempfile::TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { folder, client }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn config(&self) -> RouteConfig {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        RouteConfig { listen, state_dir: self.state_dir() }
    }

    /// Sends a request and returns status and JSON.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        let response = self.client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn get(&self, address: SocketAddr) -> (StatusCode, Value) {
        let request = Request::get(format!("http://{address}/who?x=1"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// Returns who serves the next request: a backend's name, or the error's code and backend.
    pub(crate) async fn who(&self, address: SocketAddr) -> String {
        let (_, body) = self.get(address).await;
        match &body["name"] {
            Value::String(name) => name.clone(),
            _ => format!("{}:{}", body["error"]["code"], body["error"]["backend"]).replace('"', ""),
        }
    }
}

/// Starts a backend that answers with its name and what it got.
pub(crate) async fn backend(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request| echo(name, request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

async fn echo(
    name: &'static str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    let headers: Vec<(&str, &str)> =
        head.headers.iter().map(|(k, v)| (k.as_str(), v.to_str().unwrap())).collect();
    let path = head.uri.to_string();
    let method = head.method.as_str();
    let said =
        json!({ "name": name, "path": path, "method": method, "headers": headers, "bytes": bytes });
    Ok(Response::new(Full::from(said.to_string())))
}

/// Starts both backends, named as their roles with `prefix` before.
pub(crate) async fn pair(new: &'static str, rollback: &'static str) -> (SocketAddr, SocketAddr) {
    (backend(new).await, backend(rollback).await)
}

pub(crate) fn both((new, rollback): (SocketAddr, SocketAddr)) -> Backends {
    Backends { new: Some(new), rollback: Some(rollback) }
}

/// Waits until `holds` is true; fails with `what` when it never is.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Bounds a wait.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("this should have happened by now")
}
