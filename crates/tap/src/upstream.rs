//! A small HTTP/1.1 client towards one provider: pooled, streaming, with private trust, another address, an egress proxy.
//!
//! Each connection is driven by whoever uses it and not by a task of its own: an exchange costs no hand-over between
//! tasks, and dropping a reply closes its connection at once, so that a release that leaves is seen by the provider.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::{fmt, io};

use bytes::Bytes;
use drill::ports::Upstream;
use futures_util::future::poll_fn;
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep};

use crate::clock;
use crate::limits::{BODY_BUFFER_MAX, HEAD_BYTES_MAX, HEAD_WAIT_MAX, IDLE_LINKS_MAX, IDLE_MAX};

mod address;
mod dial;

pub use address::AddressError;
pub(crate) use address::{Address, EgressProxy, Place, parse_place};
pub use dial::DialError;
use dial::Dialer;
pub(crate) use dial::dial_other;

/// Why a provider gave no response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be reached.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] DialError),
    /// It was reached, and the connection broke before a response came.
    #[error("the provider broke the connection before it responded")]
    Broken(#[source] hyper::Error),
    /// It did not respond in time.
    #[error("the provider did not respond within {} s", HEAD_WAIT_MAX.as_secs())]
    Silent,
    /// The request cannot be sent as it is.
    #[error("the request is not one that HTTP can carry")]
    Request(#[source] http::Error),
}

/// A client towards one provider. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    address: Address,
    dialer: Dialer,
    idle: Mutex<Vec<(Link, Instant)>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.0.address).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a client. Reads the trust anchors, connects to nothing.
    pub fn new(upstream: &Upstream) -> Result<Self, AddressError> {
        let address = Address::parse(upstream)?;
        let dialer = Dialer::new(&address, upstream)?;
        Ok(Self(Arc::new(Shared { address, dialer, idle: Mutex::default() })))
    }

    /// Returns the provider's host, with its port unless that is the scheme's own.
    pub fn host(&self) -> &str {
        &self.0.address.authority
    }

    /// Sends a request to a path below the base URL (`/chat/completions`). `host` is set here.
    pub async fn request(
        &self,
        method: Method,
        below_base: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<ReplyStream>, UpstreamError> {
        let path = self.path_below_base(below_base, None).map_err(UpstreamError::Request)?;
        let mut request = Request::new(SendBody::whole(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        self.send(path, request).await
    }

    /// Returns the path and query of a resource below the base URL.
    pub(crate) fn path_below_base(
        &self,
        below: &str,
        query: Option<&str>,
    ) -> Result<PathAndQuery, http::Error> {
        if query.is_none()
            && let Some(known) = self.0.address.known_path(below)
        {
            return Ok(known);
        }
        self.0.address.path(&format!("{}{below}", self.0.address.base_path), query)
    }

    /// Returns the path and query of a resource below the host.
    pub(crate) fn path_below_host(
        &self,
        path: &str,
        query: Option<&str>,
    ) -> Result<PathAndQuery, http::Error> {
        self.0.address.path(path, query)
    }

    /// Sends a request; its URI and its `host` header are set here, everything else goes as it is.
    pub(crate) async fn send(
        &self,
        path: PathAndQuery,
        mut request: Request<SendBody>,
    ) -> Result<Response<ReplyStream>, UpstreamError> {
        let address = &self.0.address;
        *request.uri_mut() = if self.0.dialer.wants_absolute_form() {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some(address.uri_authority.clone());
            parts.path_and_query = Some(path);
            Uri::from_parts(parts).map_err(|error| UpstreamError::Request(error.into()))?
        } else {
            Uri::from(path)
        };
        request.headers_mut().insert(HOST, address.host_header.clone());
        if let Some(authorization) = self.0.dialer.proxy_authorization_per_request() {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, authorization.clone());
        }
        while let Some(link) = self.checkout().await {
            match self.exchange(link, request).await {
                Ok(response) => return Ok(response),
                // The connection was closed while idle: nothing has been sent, so this is no second attempt.
                Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
                Err(Failed { error, unsent: None }) => return Err(error),
            }
        }
        let io = self.0.dialer.dial().await.map_err(UpstreamError::Unreachable)?;
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .max_buf_size(BODY_BUFFER_MAX.max(HEAD_BYTES_MAX))
            .handshake(TokioIo::new(io))
            .await
            .map_err(UpstreamError::Broken)?;
        let patience = Box::pin(sleep(HEAD_WAIT_MAX));
        let link = Link { sender, connection: Box::pin(connection), patience };
        self.exchange(link, request).await.map_err(|failed| failed.error)
    }

    /// Takes an idle connection that is still open.
    async fn checkout(&self) -> Option<Link> {
        loop {
            let (mut link, since) = self.idle().pop()?;
            if clock::now().saturating_duration_since(since) > IDLE_MAX {
                // Those below are older still.
                let stale = std::mem::take(&mut *self.idle());
                drop(stale);
                return None;
            }
            let open = poll_fn(|cx| Poll::Ready(link.is_open(cx))).await;
            if open {
                return Some(link);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Link, Instant)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        mut link: Link,
        request: Request<SendBody>,
    ) -> Result<Response<ReplyStream>, Failed> {
        let mut sending = std::pin::pin!(link.sender.try_send_request(request));
        let (connection, patience) = (&mut link.connection, &mut link.patience);
        patience.as_mut().reset(clock::now() + HEAD_WAIT_MAX);
        let mut closed = false;
        let responding = poll_fn(|cx| {
            if !closed {
                // Its result says no more than the request's own error does.
                closed = connection.as_mut().poll(cx).is_ready();
            }
            match sending.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => patience.as_mut().poll(cx).map(|()| None),
            }
        });
        let response = match responding.await {
            Some(Ok(response)) => response,
            Some(Err(mut failed)) => {
                let unsent = failed.take_message().map(Box::new);
                return Err(Failed { error: UpstreamError::Broken(failed.into_error()), unsent });
            }
            None => return Err(Failed { error: UpstreamError::Silent, unsent: None }),
        };
        Ok(response.map(|incoming| {
            let mut stream =
                ReplyStream { incoming, link: (!closed).then_some(link), client: self.clone() };
            if stream.incoming.is_end_stream() {
                stream.check_in();
            }
            stream
        }))
    }
}

struct Failed {
    error: UpstreamError,
    unsent: Option<Box<Request<SendBody>>>,
}

type Io = TokioIo<dial::Stream>;

/// A connection to the provider and its driver.
struct Link {
    sender: SendRequest<SendBody>,
    connection: Pin<Box<Connection<Io, SendBody>>>,
    /// Ends the wait for a head. It lasts as long as the connection: to move it is cheaper than a timer for each exchange.
    patience: Pin<Box<Sleep>>,
}

impl Link {
    /// Drives the connection and returns whether a request can be sent over it now.
    fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        self.connection.as_mut().poll(cx).is_pending()
            && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }
}

/// The body of a response, as it comes.
pub struct ReplyStream {
    incoming: Incoming,
    link: Option<Link>,
    client: Client,
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

impl ReplyStream {
    /// Gives the connection back for further requests.
    fn check_in(&mut self) {
        if let Some(link) = self.link.take() {
            let mut idle = self.client.idle();
            if idle.len() < IDLE_LINKS_MAX {
                idle.push((link, clock::now()));
            }
        }
    }
}

impl Body for ReplyStream {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut this.link
        {
            // What the connection reads now goes to `incoming`, which is asked once more.
            if link.connection.as_mut().poll(cx).is_ready() {
                this.link = None;
            }
            frame = Pin::new(&mut this.incoming).poll_frame(cx);
        }
        match &frame {
            Poll::Ready(None) => this.check_in(),
            Poll::Ready(Some(Ok(_))) if this.incoming.is_end_stream() => this.check_in(),
            Poll::Ready(Some(Err(_))) => this.link = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of a request.
#[derive(Debug)]
pub struct SendBody {
    first: Option<Bytes>,
    rest: Option<Incoming>,
    chunked: bool,
}

impl SendBody {
    /// A body that is there already, sent with its length.
    pub fn whole(bytes: Bytes) -> Self {
        Self { first: Some(bytes).filter(|bytes| !bytes.is_empty()), rest: None, chunked: false }
    }

    /// A body that is there already, sent in chunks, as it came.
    pub(crate) fn chunked(bytes: Bytes) -> Self {
        Self { chunked: true, ..Self::whole(bytes) }
    }

    /// A body of which only the beginning is there.
    pub(crate) fn long(first: Bytes, rest: Incoming) -> Self {
        Self {
            first: Some(first).filter(|bytes| !bytes.is_empty()),
            rest: Some(rest),
            chunked: false,
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(Body::is_end_stream) && !self.chunked
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            return SizeHint::default();
        }
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        match &self.rest {
            Some(rest) => rest
                .size_hint()
                .exact()
                .map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest)),
            None => SizeHint::with_exact(first),
        }
    }
}

/// Headers that speak of one connection and not of the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    http::header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    http::header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    http::header::TE,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

/// Takes out what speaks of one connection only, and what `connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have none of these: one look over the names is cheaper than a look-up for each.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // Nobody may have the message's own framing taken away.
        .filter(|name| *name != http::header::CONTENT_LENGTH && *name != HOST)
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Returns whether an error says that the peer reset the connection.
pub(crate) fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
