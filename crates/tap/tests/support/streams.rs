//! A client that speaks HTTP/2: many calls over one connection, and how each of them ended.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use judge::Marker;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::soon;

/// A connection of HTTP/2.
pub struct Streams {
    pub requests: SendRequest<Bytes>,
    /// Ends with the connection.
    pub driver: JoinHandle<Result<(), h2::Error>>,
}

impl Streams {
    /// Connects, and speaks HTTP/2 at once.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    /// Connects, with settings of its own.
    pub async fn by(settings: Builder, address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        Self::begun(soon("HTTP/2", settings.handshake(stream)).await)
    }

    /// Speaks HTTP/2 over a connection. There is room beside a stream that nobody reads, and for replies that come byte by byte.
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Self {
        let mut settings = Builder::new();
        settings.initial_connection_window_size(1 << 20).data_frame_budget(1 << 24);
        Self::begun(soon("HTTP/2", settings.handshake(stream)).await)
    }

    fn begun<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        begun: Result<(SendRequest<Bytes>, Connection<S>), h2::Error>,
    ) -> Self {
        let (requests, connection) = begun.unwrap();
        Self { requests, driver: tokio::spawn(connection) }
    }

    /// Begins a call whose body is still to come.
    pub async fn begin(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.start(request, false).await
    }

    async fn start(
        &mut self,
        request: Request<()>,
        is_whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let ready = soon("room for a stream", self.requests.clone().ready()).await.unwrap();
        self.requests = ready;
        self.requests.send_request(request, is_whole).unwrap()
    }

    /// Begins a call with a whole body.
    pub async fn send(&mut self, request: Request<String>) -> ResponseFuture {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, ());
        let (response, mut stream) = self.start(request, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(body.into(), true).unwrap();
        }
        response
    }

    /// Makes a call, and reads the head of its reply.
    pub async fn call(&mut self, request: Request<String>) -> Response<RecvStream> {
        let response = self.send(request).await;
        soon("a reply", response).await.unwrap()
    }
}

/// A request with a body.
pub fn post(path: &str, body: &str) -> Request<String> {
    Request::post(format!("https://api.example.test{path}"))
        .header("authorization", "Bearer sk-real")
        .header("content-type", "application/json")
        .body(body.to_owned())
        .unwrap()
}

/// A chat request with a marker in it.
pub fn chat(marker: u64) -> Request<String> {
    let marker = Marker::new(marker);
    let content = format!("[{}] hi", marker.as_str());
    let body =
        serde_json::json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    post("/v1/chat/completions", &body.to_string())
}

/// Some fields.
pub fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

/// A reply's body as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Came {
    pub frames: Vec<Vec<u8>>,
    pub trailers: Option<HeaderMap>,
    /// How it broke off.
    pub reason: Option<Reason>,
}

impl Came {
    pub fn text(&self) -> String {
        String::from_utf8(self.frames.concat()).unwrap()
    }
}

/// Reads a body to its end, whatever that is.
pub async fn read(mut body: RecvStream) -> Came {
    let mut came = Came::default();
    loop {
        match soon("more of a body", body.data()).await {
            Some(Ok(data)) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                if !data.is_empty() {
                    came.frames.push(data.to_vec());
                }
            }
            Some(Err(error)) => {
                came.reason = Some(error.reason().unwrap_or_else(|| panic!("{error}")));
                return came;
            }
            None => break,
        }
    }
    came.trailers = soon("trailers", body.trailers()).await.unwrap();
    came
}
