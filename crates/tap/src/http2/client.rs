//! The side towards a provider: many calls at a time over a connection, which a task of its own drives until nobody has it any more.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason};
use http::{Response, StatusCode, request, response, uri};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::body::Inlet;
use super::outlet::{Outlet, Shut};
use super::{head, wire_error};
use crate::clock;
use crate::http1::{HeadFault, WireError};
use crate::limits::{
    BODY_BUFFER_MAX, CONNECTION_WINDOW, HEAD_LIST_MAX, INTERIMS_MAX, RESETS_KEPT_MAX,
    SMALL_FRAMES_MAX, STREAM_ERRORS_MAX, STREAM_WINDOW, STREAMS_MAX,
};

/// A connection to a provider, over which calls are made.
#[derive(Clone)]
pub(crate) struct Link {
    requests: SendRequest<Bytes>,
    /// Held by each call under way, and by whoever keeps the connection.
    users: Arc<Users>,
}

/// What those who use a connection know of it.
struct Users {
    /// When one of them let go last.
    let_go: Mutex<Instant>,
    n_calls: AtomicU64,
    pings: Mutex<Option<PingPong>>,
    n_pongs: AtomicU64,
    /// Whether nobody answers at the other end.
    is_dead: AtomicBool,
}

impl Drop for Link {
    fn drop(&mut self) {
        *self.users.let_go.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
    }
}

/// Begins to speak HTTP/2 over a connection.
pub(crate) async fn handshake<S>(io: S) -> Result<Link, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, mut connection) = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(STREAMS_MAX as usize)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_LIST_MAX)
        .max_send_buffer_size(BODY_BUFFER_MAX)
        .max_concurrent_reset_streams(RESETS_KEPT_MAX)
        .max_local_error_reset_streams(Some(STREAM_ERRORS_MAX))
        .data_frame_budget(SMALL_FRAMES_MAX)
        .handshake(io)
        .await
        .map_err(wire_error)?;
    let users = Users {
        let_go: Mutex::new(clock::now()),
        n_calls: AtomicU64::new(0),
        pings: Mutex::new(connection.ping_pong()),
        n_pongs: AtomicU64::new(0),
        is_dead: AtomicBool::new(false),
    };
    tokio::spawn(async move {
        // How it ended each of its calls is told.
        drop(connection.await);
    });
    Ok(Link { requests, users: Arc::new(users) })
}

impl Link {
    /// Returns whether calls can be made: the peer has not said that it takes none, and is there.
    pub(crate) fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        !self.users.is_dead.load(Ordering::Acquire)
            && !matches!(self.requests.poll_ready(cx), Poll::Ready(Err(_)))
    }

    /// Returns since when no call is under way, if none is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_idle = Arc::strong_count(&self.users) == 1;
        is_idle.then(|| *self.users.let_go.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether the provider takes one more call beside those under way.
    pub(crate) fn has_room(&self) -> bool {
        let most = self.requests.current_max_send_streams().min(STREAMS_MAX as usize);
        Arc::strong_count(&self.users) <= most
    }

    /// Asks whether anybody is there. Returns how often it was said before.
    pub(crate) fn ping(&self) -> u64 {
        let n_pongs = self.n_pongs();
        if let Some(pings) = &mut *self.pings() {
            // It fails where another call has asked and got no answer yet, which answers this one, too.
            drop(pings.send_ping(Ping::opaque()));
        }
        n_pongs
    }

    /// Returns how often it was said that somebody is there.
    pub(crate) fn n_pongs(&self) -> u64 {
        if let Some(pings) = &mut *self.pings()
            && pings.poll_pong(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            self.users.n_pongs.fetch_add(1, Ordering::AcqRel);
        }
        self.users.n_pongs.load(Ordering::Acquire)
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, Option<PingPong>> {
        self.users.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes no further calls over the connection. Those under way stay on it, and end as it does.
    pub(crate) fn give_up(&self) {
        self.users.is_dead.store(true, Ordering::Release);
    }

    /// Begins a call. One that cannot be begun gives its body back.
    pub(crate) fn call<B>(
        mut self,
        parts: &request::Parts,
        authority: &uri::Authority,
        body: B,
    ) -> Result<Call<B>, (CallFailure, B)>
    where
        B: Body<Data = Bytes, Error = WireError> + Unpin,
    {
        let request = match head::request(parts, authority) {
            Ok(request) => request,
            Err(error) => return Err((CallFailure::Unsendable(error), body)),
        };
        let is_whole = body.is_end_stream();
        let (responding, stream) = match self.requests.send_request(request, is_whole) {
            Ok(begun) => begun,
            Err(error) => return Err((CallFailure::Provider(error.into()), body)),
        };
        let outlet = (!is_whole).then(|| Outlet::new(stream));
        let sending = Sending { body, outlet, is_said: is_whole };
        let n_before = self.users.n_calls.fetch_add(1, Ordering::AcqRel);
        // Whoever keeps the connection holds it, and this call.
        let is_alone = Arc::strong_count(&self.users) <= 2;
        let meets = match (n_before, is_alone) {
            (0, _) => Meets::New,
            (_, true) => Meets::Idle,
            (_, false) => Meets::Others,
        };
        Ok(Call { responding, sending, n_interims: 0, meets, link: self })
    }
}

/// Why a call got no reply.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The request is not one that HTTP can carry.
    Unsendable(http::Error),
    /// The rest of the request's body did not come.
    Body(WireError),
    /// The provider broke off.
    Provider(Refusal),
    /// The reply's head cannot be used.
    Head(HeadFault),
}

/// How a provider broke off.
#[derive(Debug)]
pub(crate) struct Refusal(h2::Error);

impl From<h2::Error> for Refusal {
    fn from(error: h2::Error) -> Self {
        Self(error)
    }
}

impl Refusal {
    /// Returns whether the provider says that it has not looked at the request. A GOAWAY, whatever its reason, ends only the streams
    /// beyond the last one that the provider has looked at; the others end with their connection.
    pub(crate) fn is_unprocessed(&self) -> bool {
        let is_refused = self.0.reason() == Some(Reason::REFUSED_STREAM);
        self.0.is_remote() && (self.0.is_go_away() || is_refused)
    }

    /// Says what it is.
    pub(crate) fn into_error(self) -> WireError {
        wire_error(self.0)
    }
}

/// A call that has no reply yet. Dropping it tells the provider that nobody waits for one.
pub(crate) struct Call<B> {
    responding: ResponseFuture,
    sending: Sending<B>,
    n_interims: usize,
    meets: Meets,
    link: Link,
}

/// What a call found its connection to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    /// No call was made over it.
    New,
    /// Calls were made over it, and all of them are over.
    Idle,
    /// Calls are under way over it.
    Others,
}

impl<B: Body<Data = Bytes, Error = WireError> + Unpin> Call<B> {
    /// Returns what it goes over.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Returns whether calls were made over its connection before it.
    pub(crate) fn follows_others(&self) -> bool {
        self.meets != Meets::New
    }

    /// Returns whether its connection, which has ended, can have been ended before the provider knew of it: it lay idle, and no GOAWAY
    /// was said (one that does not name a call as looked at ends that call by itself).
    pub(crate) fn may_have_crossed(&mut self) -> bool {
        let ready = self.link.requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        let has_leave = matches!(ready, Poll::Ready(Err(error)) if error.is_go_away());
        self.meets == Meets::Idle && !has_leave
    }

    /// Sends what can be sent, and reads the head of the reply. Interim responses are told as they come.
    pub(crate) fn poll_head(
        &mut self,
        interim: &mut impl FnMut(response::Parts),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Inlet>, CallFailure>> {
        if let Poll::Ready(Err(error)) = self.sending.poll(cx) {
            return Poll::Ready(Err(CallFailure::Body(error)));
        }
        while let Poll::Ready(Some(Ok(told))) = self.responding.poll_informational(cx) {
            self.n_interims += 1;
            if told.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(CallFailure::Head(HeadFault::Switch)));
            }
            if self.n_interims > INTERIMS_MAX {
                return Poll::Ready(Err(CallFailure::Head(HeadFault::Interims)));
            }
            // Whether to go on was for the tap to know, which sends its body unasked.
            if told.status() != StatusCode::CONTINUE {
                interim(told.into_parts().0);
            }
        }
        let response = ready!(Pin::new(&mut self.responding).poll(cx));
        Poll::Ready(match response {
            Ok(response) => {
                let (parts, stream) = response.into_parts();
                let inlet = Inlet::new(stream, &parts.headers);
                Ok(Response::from_parts(parts, inlet))
            }
            Err(error) => Err(CallFailure::Provider(error.into())),
        })
    }

    /// Returns the body of the request, as far as it was taken.
    pub(crate) fn into_body(self) -> B {
        self.sending.body
    }

    /// Goes on to the reply's body, and with the rest of the request's.
    pub(crate) fn reading(self, inlet: Inlet) -> Reply<B> {
        let rest = self.sending.outlet.is_some().then_some(self.sending);
        Reply { inlet, rest, _link: self.link }
    }
}

/// The body of a reply. Dropping it before its end tells the provider that nobody reads on.
pub(crate) struct Reply<B> {
    inlet: Inlet,
    /// The rest of a request whose reply came before its end.
    rest: Option<Sending<B>>,
    /// What it counts on.
    _link: Link,
}

impl<B: Body<Data = Bytes, Error = WireError> + Unpin> Reply<B> {
    /// Reads the next part.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        // The response says what became of a request that broke off.
        if let Some(rest) = &mut self.rest
            && rest.poll(cx).is_ready()
        {
            self.rest = None;
        }
        self.inlet.poll_frame(cx)
    }

    /// Returns what is read of it.
    pub(crate) fn inlet(&self) -> &Inlet {
        &self.inlet
    }
}

/// A request's body on its way.
struct Sending<B> {
    body: B,
    /// `None` when nothing more is to be sent, or nothing more is taken.
    outlet: Option<Outlet>,
    /// Whether all of the body was handed over.
    is_said: bool,
}

impl<B: Body<Data = Bytes, Error = WireError> + Unpin> Sending<B> {
    /// Sends what can be sent. Fails when the body does.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        while let Some(outlet) = &mut self.outlet {
            let sent = match ready!(outlet.poll(cx)) {
                Ok(()) if !self.is_said => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        let is_last = self.body.is_end_stream();
                        let (said, sent) = match frame.into_data() {
                            Ok(data) => (is_last, outlet.push(data, is_last)),
                            Err(frame) => {
                                let trailers = frame.into_trailers().unwrap_or_default();
                                (true, outlet.trailers(trailers))
                            }
                        };
                        self.is_said = said;
                        sent
                    }
                    Some(Err(error)) => {
                        self.outlet = None;
                        return Poll::Ready(Err(error));
                    }
                    None => {
                        self.is_said = true;
                        outlet.end()
                    }
                },
                sent => sent.and(Err(Shut)),
            };
            // A provider may answer before it has read all of it, and then takes no more.
            if sent.is_err() {
                self.outlet = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
