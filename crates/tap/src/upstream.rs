//! A small client towards one provider: pooled, streaming, with private trust, another address, an egress proxy. It speaks HTTP/1.1,
//! and HTTP/2 for calls that came in by it (`multiplexed`).
//!
//! Each connection of HTTP/1.1 is driven by whoever uses it and not by a task of its own: an exchange costs no hand-over between
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
use http::{HeaderMap, Method, Request, Response, Uri, Version, request, response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::clock;
use crate::http1::{self, Decoder, ResponseHead, SendFailure, Sending};
use crate::limits::{HEAD_WAIT_MAX, IDLE_LINKS_MAX, IDLE_MAX};

mod address;
mod again;
mod dial;
mod multiplexed;
mod send_body;

pub use address::AddressError;
pub(crate) use address::{Address, EgressProxy, Place, parse_place};
use again::{Again, Failed, crosses};
pub use dial::DialError;
pub(crate) use dial::dial_other;
use dial::{Dialer, Offer};
use multiplexed::Links;
pub use send_body::SendBody;

pub use crate::http1::{BodyFault, HeadFault, WireError};

/// Why a provider gave no response.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be reached.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] DialError),
    /// It was reached, and the connection broke before a response came.
    #[error("the provider broke the connection before it responded")]
    Broken(#[source] WireError),
    /// The release did not send the request to its end.
    #[error("the body of the request broke off")]
    Request(#[source] WireError),
    /// It did not respond in time.
    #[error("the provider did not respond within {} s", HEAD_WAIT_MAX.as_secs())]
    Silent,
    /// The request cannot be sent as it is.
    #[error("the request is not one that HTTP can carry")]
    Unsendable(#[source] http::Error),
}

/// A client towards one provider. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    address: Address,
    dialer: Dialer,
    idle: Mutex<Vec<(Box<Pooled>, Instant)>>,
    links: Links,
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
        let links = Links::default();
        Ok(Self(Arc::new(Shared { address, dialer, idle: Mutex::default(), links })))
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
        let path = self.path_below_base(below_base, None).map_err(UpstreamError::Unsendable)?;
        let mut request = Request::new(SendBody::whole(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        self.send(path, request, |_| {}).await
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

    /// Sends a request; its URI and its `host` header are set here, everything else goes as it is. Interim responses are told.
    pub(crate) async fn send(
        &self,
        path: PathAndQuery,
        mut request: Request<SendBody>,
        mut interim: impl FnMut(&response::Parts),
    ) -> Result<Response<ReplyStream>, UpstreamError> {
        let address = &self.0.address;
        *request.uri_mut() = if self.0.dialer.wants_absolute_form() {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some(address.uri_authority.clone());
            parts.path_and_query = Some(path);
            Uri::from_parts(parts).map_err(|error| UpstreamError::Unsendable(error.into()))?
        } else {
            Uri::from(path)
        };
        request.headers_mut().insert(HOST, address.host_header.clone());
        if let Some(authorization) = self.0.dialer.proxy_authorization_per_request() {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, authorization.clone());
        }
        let (parts, mut body) = request.into_parts();
        if parts.version == Version::HTTP_2 && self.0.dialer.secures() {
            return Box::pin(self.send_by_http2(&parts, body, &mut interim)).await;
        }
        let now = clock::now();
        while let Some(link) = self.checkout(now).await {
            match self.exchange(link, &parts, body, now, &mut interim).await {
                Ok(response) => return Ok(response),
                Err(Failed { again: Again::Unseen(unseen), .. }) => body = unseen,
                Err(Failed { again: Again::Lost(lost), .. }) => {
                    body = lost;
                    break;
                }
                Err(Failed { error, again: Again::Never }) => return Err(error),
            }
        }
        // Made seldom, and large.
        let dialing = Box::pin(self.0.dialer.dial(Offer::Http1));
        let io = dialing.await.map_err(UpstreamError::Unreachable)?;
        self.exchange(Pooled::new(io), &parts, body, clock::now(), &mut interim)
            .await
            .map_err(|failed| failed.error)
    }

    /// Takes an idle connection that is still open.
    async fn checkout(&self, now: Instant) -> Option<Box<Pooled>> {
        loop {
            let (mut link, since) = self.idle().pop()?;
            if now.saturating_duration_since(since) > IDLE_MAX {
                // Those below are older still.
                let stale = std::mem::take(&mut *self.idle());
                drop(stale);
                return None;
            }
            let open = poll_fn(|cx| Poll::Ready(link.http.is_open(cx))).await;
            if open {
                return Some(link);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Box<Pooled>, Instant)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        mut link: Box<Pooled>,
        parts: &request::Parts,
        body: SendBody,
        now: Instant,
        interim: &mut impl FnMut(&response::Parts),
    ) -> Result<Response<ReplyStream>, Failed> {
        let mut sending = Sending::start(parts, body);
        let mut is_sent = false;
        let deadline = now + HEAD_WAIT_MAX;
        let responding = poll_fn(|cx| {
            let mut refused = None;
            if !is_sent {
                match sending.poll(&mut link.http, cx) {
                    Poll::Ready(Ok(())) => is_sent = true,
                    Poll::Pending => {}
                    Poll::Ready(Err(SendFailure::Body(error))) => {
                        return Poll::Ready(Err(UpstreamError::Request(error)));
                    }
                    // A provider may refuse a request before it has read all of it.
                    Poll::Ready(Err(SendFailure::Connection(error))) => refused = Some(error),
                }
            }
            let mut pass_on = |mut parts: response::Parts| {
                remove_hop_by_hop(&mut parts.headers);
                interim(&parts);
            };
            match (link.http.poll_head(&parts.method, &mut pass_on, cx), refused) {
                (Poll::Ready(Ok(head)), _) => Poll::Ready(Ok(head)),
                (Poll::Ready(Err(_)) | Poll::Pending, Some(error)) => {
                    Poll::Ready(Err(UpstreamError::Broken(WireError::Broken(error))))
                }
                (Poll::Ready(Err(error)), None) => Poll::Ready(Err(UpstreamError::Broken(error))),
                (Poll::Pending, None) => {
                    link.poll_patience(deadline, cx).map(|()| Err(UpstreamError::Silent))
                }
            }
        });
        match responding.await {
            Ok(head) => {
                let rest = (!is_sent).then(|| Box::new(sending));
                Ok(OneReply::start(head, link, rest, self))
            }
            Err(error) if !sending.has_begun() => Err(Failed::unseen(error, sending.into_body())),
            Err(error)
                if link.has_served
                    && link.http.has_said_nothing()
                    && crosses(&error, clock::now().saturating_duration_since(now)) =>
            {
                Err(Failed::lost(error, sending.into_body()))
            }
            Err(error) => Err(Failed::for_good(error)),
        }
    }
}

/// A connection to the provider.
struct Pooled {
    http: http1::Link<dial::Stream>,
    /// Ends the wait for a head. It lasts as long as the connection, and is moved only when it fires: a timer that is set for each
    /// exchange costs more than one that fires once in ten minutes for nothing.
    patience: Pin<Box<Sleep>>,
    /// Whether a reply came over it before.
    has_served: bool,
}

impl Pooled {
    fn new(io: dial::Stream) -> Box<Self> {
        let patience = Box::pin(sleep(HEAD_WAIT_MAX));
        Box::new(Self { http: http1::Link::new(io), patience, has_served: false })
    }

    /// Waits for the deadline.
    fn poll_patience(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        while self.patience.as_mut().poll(cx).is_ready() {
            if clock::now() >= deadline {
                return Poll::Ready(());
            }
            self.patience.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// The body of a response, as it comes.
pub struct ReplyStream(Replying);

enum Replying {
    One(OneReply),
    Many(Box<multiplexed::Reply>),
}

/// The body of a response that has its connection to itself.
struct OneReply {
    decoder: Decoder,
    link: Option<Box<Pooled>>,
    /// The rest of a request whose response came before its end.
    sending: Option<Box<Sending<SendBody>>>,
    persists: bool,
    client: Client,
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").field("left", &self.size_hint()).finish_non_exhaustive()
    }
}

impl ReplyStream {
    fn many(reply: Box<multiplexed::Reply>) -> Self {
        Self(Replying::Many(reply))
    }
}

impl OneReply {
    fn start(
        head: ResponseHead,
        link: Box<Pooled>,
        sending: Option<Box<Sending<SendBody>>>,
        client: &Client,
    ) -> Response<ReplyStream> {
        let ResponseHead { parts, framing, persists } = head;
        let decoder = Decoder::new(framing);
        let mut stream =
            Self { decoder, link: Some(link), sending, persists, client: client.clone() };
        stream.check_in_at_end();
        Response::from_parts(parts, ReplyStream(Replying::One(stream)))
    }

    /// Gives the connection back for further requests, once nothing more comes over it.
    fn check_in_at_end(&mut self) {
        if !self.decoder.is_done() {
            return;
        }
        let Some(mut link) = self.link.take() else { return };
        let is_reusable = self.persists && self.sending.is_none() && link.http.is_at_rest();
        if is_reusable {
            let mut idle = self.client.idle();
            if idle.len() < IDLE_LINKS_MAX {
                link.has_served = true;
                idle.push((link, clock::now()));
            }
        }
        self.sending = None;
    }

    fn send_rest(&mut self, cx: &mut Context<'_>) {
        if let (Some(sending), Some(link)) = (&mut self.sending, &mut self.link) {
            match sending.poll(&mut link.http, cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.sending = None,
                // The response says what became of it; the connection is of no further use.
                Poll::Ready(Err(_)) => {
                    self.sending = None;
                    self.persists = false;
                }
            }
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        self.send_rest(cx);
        let Some(link) = &mut self.link else { return Poll::Ready(None) };
        let frame = std::task::ready!(link.http.poll_frame(&mut self.decoder, cx));
        if let Some(Err(_)) = &frame {
            self.link = None;
        }
        self.check_in_at_end();
        Poll::Ready(frame)
    }
}

impl Body for ReplyStream {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        match &mut self.0 {
            Replying::One(reply) => reply.poll_frame(cx),
            Replying::Many(reply) => reply.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Replying::One(reply) => reply.decoder.is_done(),
            Replying::Many(reply) => reply.inlet().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Replying::One(reply) => {
                reply.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Replying::Many(reply) => reply.inlet().size_hint(),
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
