//! The side towards a release: one request after the other over a connection, each answered before the next is looked at.
//!
//! Handler, body of the request and body of the reply are polled by the connection's own task, which also looks at the socket
//! whenever they wait: a release that leaves ends them at once.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncWrite as _;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

use super::body::{Decoded, Decoder, Encoder, Framing, TooShort};
use super::buffers::{Input, Output};
use super::client::poll_frame;
use super::head::{self, Added, AddedFraming, HeadFault, RequestHead};
use super::{Others, WireError};
use crate::limits::{DISCARD_MAX, LINGER_MAX, READ_MAX};
use crate::wire::{Broken, Transport, WireControl};

mod upgrade;

pub(crate) use upgrade::Upgrade;

/// What a client begins with that speaks HTTP/2 without having asked.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Marks a response that no provider made.
const REFUSAL: &str =
    "x-surestep: refused-request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves a connection until either side ends it. `handle` answers a request; its error ends the connection without a response.
/// A head has to be whole `head_read_max` after its beginning. Returns what is left of it.
pub(crate) async fn serve<H, A, B, E>(
    io: Transport,
    control: WireControl,
    mut closing: watch::Receiver<()>,
    head_read_max: Duration,
    handle: H,
) -> Left
where
    H: Fn(Request<Incoming>) -> A,
    A: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes, Error = Broken>,
{
    let closing_seen = closing.clone();
    let is_closing = || closing_seen.has_changed().unwrap_or(false);
    let connection = Connection::new(io, control);
    let mut must_close = pin!(async {
        if closing.changed().await.is_err() {
            // Whoever could say so is gone, and with it the task of this connection.
            std::future::pending::<()>().await;
        }
    });
    loop {
        let head = match connection.next_head(head_read_max, must_close.as_mut()).await {
            Next::Request(head) => head,
            Next::Refused(fault) => return Left::of(connection.refuse(&fault).await),
            Next::Http2 => return Left::Http2(Upgrade::new(connection)),
            Next::Nothing => return Left::Nothing,
        };
        let RequestHead { parts, framing, persists, expects_continue } = *head;
        let asked =
            Asked { is_head: parts.method == Method::HEAD, version: parts.version, persists };
        let body = connection.begin(framing, expects_continue);
        let answer = {
            // In a box, as a stream lasts longer than the making of its head.
            let mut answering = Box::pin(handle(Request::from_parts(parts, body)));
            let answer = poll_fn(|cx| {
                loop {
                    if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                        return Poll::Ready(answer.ok());
                    }
                    match connection.inner().meanwhile(asked.version, cx) {
                        Meanwhile::Wait => return Poll::Pending,
                        Meanwhile::Again => {}
                        Meanwhile::Over => return Poll::Ready(None),
                    }
                }
            });
            answer.await
        };
        let Some(response) = answer else { return Left::Nothing };
        match connection.reply(response, asked, is_closing()).await {
            After::Next => {}
            After::Close => return Left::of(connection.close().await),
            After::Over => return Left::Nothing,
        }
    }
}

/// What is left of a connection over which nothing more goes in HTTP/1.
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Everything was said, and the client may still be sending.
    Parting(Parting),
    /// Everything: its client speaks HTTP/2.
    Http2(Upgrade),
}

impl Left {
    fn of(parting: Option<Parting>) -> Self {
        parting.map_or(Self::Nothing, Self::Parting)
    }
}

/// A connection on which everything was said, and whose client may still be sending. If the kernel refused what it sends, it
/// would not read the reply.
pub(crate) struct Parting(Connection);

impl Parting {
    /// Reads for a while what nobody wants. Whoever sends on and on is cut off.
    pub(crate) async fn linger(self) {
        let reading = poll_fn(|cx| {
            let mut inner = self.0.inner();
            let inner = &mut *inner;
            loop {
                if inner.control.poll_killed(cx) {
                    return Poll::Ready(());
                }
                *inner.input.bytes() = Bytes::new();
                match std::task::ready!(inner.input.poll_fill(&mut inner.io, cx)) {
                    Ok(0) | Err(_) => return Poll::Ready(()),
                    Ok(_) => {}
                }
            }
        });
        drop(timeout(LINGER_MAX, reading).await);
    }
}

/// What a reply has to know of its request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    is_head: bool,
    version: Version,
    persists: bool,
}

/// What came next on a connection.
enum Next {
    Request(Box<RequestHead>),
    Refused(HeadFault),
    Http2,
    Nothing,
}

/// What to do after a look at the connection.
enum Meanwhile {
    /// There is nothing new.
    Wait,
    /// Something came that whoever reads the body waits for.
    Again,
    /// The peer has left, or the connection is to be ended.
    Over,
}

/// What comes after a reply.
enum After {
    /// The next request.
    Next,
    /// The end, in good order.
    Close,
    /// The end, as the socket was told.
    Over,
}

/// A connection, shared with the body of the request that is being read from it.
#[derive(Clone, Debug)]
struct Connection(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    io: Transport,
    control: WireControl,
    input: Input,
    output: Output,
    decoder: Decoder,
    /// Which body is being read: one of an earlier request has nothing more to get.
    n_bodies: u64,
    /// Whether nobody reads the body any more.
    is_abandoned: bool,
    /// Bytes of an abandoned body that were read all the same.
    discarded: usize,
    /// Whether the client waits for being asked for the body.
    owes_continue: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.control.end(&mut self.io);
    }
}

impl Connection {
    fn new(io: Transport, control: WireControl) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            control,
            input: Input::default(),
            output: Output::default(),
            decoder: Decoder::new(Framing::Empty),
            n_bodies: 0,
            is_abandoned: false,
            discarded: 0,
            owes_continue: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self) -> bool {
        self.inner().output.has_room()
    }

    /// Waits for the next request.
    async fn next_head(
        &self,
        head_read_max: Duration,
        mut must_close: Pin<&mut impl Future<Output = ()>>,
    ) -> Next {
        // Most heads come whole: a timer is set for the others only.
        let mut patience: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let mut inner = self.inner();
            let inner = &mut *inner;
            loop {
                match head::request(&mut inner.input) {
                    Ok(Some(head)) => return Poll::Ready(Next::Request(Box::new(head))),
                    Ok(None) => {}
                    Err(HeadFault::Syntax(httparse::Error::Version)) if inner.begins_http2() => {
                        return Poll::Ready(Next::Http2);
                    }
                    Err(fault) => return Poll::Ready(Next::Refused(fault)),
                }
                match inner.input.poll_fill(&mut inner.io, cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Nothing),
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Pending => {}
                }
                if inner.input.is_empty() {
                    if must_close.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Next::Nothing);
                    }
                } else {
                    let patience = patience.get_or_insert_with(|| Box::pin(sleep(head_read_max)));
                    if patience.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Next::Refused(HeadFault::TooSlow));
                    }
                }
                if inner.control.poll_killed(cx) {
                    return Poll::Ready(Next::Nothing);
                }
                return Poll::Pending;
            }
        })
        .await
    }

    /// Begins to read the body of a request.
    fn begin(&self, framing: Framing, expects_continue: bool) -> Incoming {
        let mut inner = self.inner();
        inner.decoder = Decoder::new(framing);
        inner.n_bodies += 1;
        inner.is_abandoned = false;
        inner.discarded = 0;
        inner.owes_continue = expects_continue;
        Incoming { connection: self.clone(), number: inner.n_bodies }
    }

    /// Sends a reply.
    async fn reply<B: Body<Data = Bytes, Error = Broken>>(
        &self,
        response: Response<B>,
        asked: Asked,
        is_closing: bool,
    ) -> After {
        let (parts, body) = response.into_parts();
        let framed = framed(&parts.headers, parts.status, &body, asked);
        let mut closes = is_closing || !asked.persists || framed.framing == Framing::UntilClose;
        {
            let mut inner = self.inner();
            // Asked for now, the body would come after the reply.
            inner.owes_continue = false;
            inner.pass_interims(asked.version);
            inner.discard();
            closes |= inner.is_abandoned && !inner.decoder.is_done();
            let says_close = says_close(&parts.headers);
            let connection = match asked.version {
                _ if says_close => None,
                _ if closes => Some("close"),
                Version::HTTP_10 => Some("keep-alive"),
                _ => None,
            };
            closes |= says_close;
            let added = Added { framing: framed.added, connection };
            head::write_response(&parts, asked.version, added, inner.output.end());
        }
        drop(parts);
        let mut encoder = Encoder::new(framed.framing);
        let mut body = pin!(Some(body));
        let mut is_broken = false;
        let mut others = Others::default();
        poll_fn(|cx| {
            loop {
                let mut is_waiting = false;
                while !encoder.is_ended()
                    && self.has_room()
                    && let Some(polled) = body.as_mut().as_pin_mut()
                {
                    match polled.poll_frame(cx) {
                        Poll::Pending => {
                            is_waiting = true;
                            break;
                        }
                        Poll::Ready(Some(Ok(frame))) => {
                            is_broken = self.inner().encode(&mut encoder, frame).is_err();
                        }
                        Poll::Ready(None) => {
                            is_broken = encoder.end(None, &mut self.inner().output).is_err();
                        }
                        Poll::Ready(Some(Err(Broken))) => {
                            is_broken = true;
                            body.set(None);
                        }
                    }
                }
                let is_whole = is_broken || encoder.is_ended();
                if is_whole {
                    // Who made it learns here that it is on its way.
                    body.set(None);
                }
                std::task::ready!(others.go_first(cx));
                let mut inner = self.inner();
                match inner.flush(cx) {
                    Poll::Ready(Ok(())) => {
                        let is_awaited = inner.control.flushed();
                        if is_whole {
                            return Poll::Ready(inner.after(is_broken, closes));
                        }
                        if is_awaited || !is_waiting {
                            continue;
                        }
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(After::Over),
                    Poll::Pending => {}
                }
                match inner.look(cx) {
                    Meanwhile::Wait => return Poll::Pending,
                    Meanwhile::Again => {}
                    Meanwhile::Over => return Poll::Ready(After::Over),
                }
            }
        })
        .await
    }

    /// Refuses what is no request, and ends the connection.
    async fn refuse(self, fault: &HeadFault) -> Option<Parting> {
        let status = fault.status();
        {
            let mut inner = self.inner();
            let out = inner.output.end();
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(status.as_str().as_bytes());
            out.push(b' ');
            out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(REFUSAL.as_bytes());
        }
        self.close().await
    }

    /// Ends the connection in good order.
    async fn close(self) -> Option<Parting> {
        let ending = poll_fn(|cx| {
            let mut inner = self.inner();
            if inner.control.poll_killed(cx) {
                return Poll::Ready(Ok(false));
            }
            std::task::ready!(inner.flush(cx))?;
            std::task::ready!(Pin::new(&mut inner.io).poll_shutdown(cx))?;
            Poll::Ready(Ok::<_, io::Error>(inner.has_more_to_come()))
        });
        let has_more_to_come = matches!(timeout(LINGER_MAX, ending).await, Ok(Ok(true)));
        has_more_to_come.then_some(Parting(self))
    }
}

impl Inner {
    /// Returns whether the connection begins as HTTP/2 does. That was looked for by nobody who speaks HTTP/1.
    fn begins_http2(&mut self) -> bool {
        let unread = self.input.bytes();
        self.n_bodies == 0 && (unread.starts_with(PREFACE) || PREFACE.starts_with(unread))
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(&mut self.io, cx)
    }

    fn encode(&mut self, encoder: &mut Encoder, frame: Frame<Bytes>) -> Result<(), TooShort> {
        match frame.into_data() {
            Ok(data) => {
                encoder.data(data, &mut self.output);
                Ok(())
            }
            Err(frame) => encoder.end(frame.trailers_ref(), &mut self.output),
        }
    }

    /// Looks at the connection while the reply is being made.
    fn meanwhile(&mut self, version: Version, cx: &mut Context<'_>) -> Meanwhile {
        self.pass_interims(version);
        if let Poll::Ready(Err(_)) = self.flush(cx) {
            return Meanwhile::Over;
        }
        self.look(cx)
    }

    /// Passes interim responses on to whoever can read them.
    fn pass_interims(&mut self, version: Version) {
        let interims = self.control.take_interims();
        if version != Version::HTTP_10 {
            for interim in &interims {
                head::write_interim(interim, self.output.end());
            }
        }
    }

    /// Sees whether the peer has left, and whether the connection is to be ended. What comes is kept.
    fn look(&mut self, cx: &mut Context<'_>) -> Meanwhile {
        if self.control.poll_killed(cx) {
            return Meanwhile::Over;
        }
        let mut came = false;
        while self.input.len() < READ_MAX && self.discarded < DISCARD_MAX {
            match self.input.poll_fill(&mut self.io, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Meanwhile::Over,
                Poll::Ready(Ok(_)) => came = true,
                Poll::Pending => break,
            }
            self.discard();
        }
        if came && !self.is_abandoned && !self.decoder.is_done() {
            Meanwhile::Again
        } else {
            Meanwhile::Wait
        }
    }

    /// Drops what has come of a body that nobody reads.
    fn discard(&mut self) {
        while self.is_abandoned && !self.decoder.is_done() && self.discarded < DISCARD_MAX {
            match self.decoder.decode(self.input.bytes()) {
                Ok(Decoded::Data(data)) => self.discarded += data.len(),
                Ok(Decoded::Trailers(_) | Decoded::End) => {}
                Ok(Decoded::Nothing) => return,
                // Nobody knows where the next request begins.
                Err(_fault) => self.discarded = DISCARD_MAX,
            }
        }
    }

    /// Returns whether the client may be sending something that nobody will read.
    fn has_more_to_come(&self) -> bool {
        !self.decoder.is_done() || !self.input.is_empty()
    }

    /// Decides what comes after a reply that has been flushed.
    fn after(&mut self, is_broken: bool, closes: bool) -> After {
        self.discard();
        if is_broken || self.control.is_ending() {
            After::Over
        } else if closes || !self.decoder.is_done() {
            After::Close
        } else {
            After::Next
        }
    }
}

/// How a reply's body is sent.
#[derive(Debug)]
struct Framed {
    framing: Framing,
    added: AddedFraming,
}

fn framed(headers: &HeaderMap, status: StatusCode, body: &impl Body, asked: Asked) -> Framed {
    let method = if asked.is_head { &Method::HEAD } else { &Method::GET };
    let declared = headers.get(CONTENT_LENGTH);
    let declared: Option<u64> = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let known = body.size_hint().exact();
    let (framing, added) = match (declared, known) {
        _ if !head::has_body(method, status) => {
            let length = known.filter(|length| asked.is_head && declared.is_none() && *length > 0);
            (Framing::Empty, length.map_or(AddedFraming::None, AddedFraming::Length))
        }
        (Some(length), _) => (Framing::Length(length), AddedFraming::None),
        (None, Some(length)) => (Framing::Length(length), AddedFraming::Length(length)),
        (None, None) if asked.version == Version::HTTP_10 => {
            (Framing::UntilClose, AddedFraming::None)
        }
        (None, None) => (Framing::Chunked, AddedFraming::Chunked),
    };
    Framed { framing, added }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| head::has_token(value, b"close"))
}

/// The body of a request, read from the connection as it is asked for.
#[derive(Debug)]
pub(crate) struct Incoming {
    connection: Connection,
    number: u64,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let mut inner = self.connection.inner();
        let inner = &mut *inner;
        if self.number != inner.n_bodies {
            return Poll::Ready(None);
        }
        if inner.owes_continue && !inner.decoder.is_done() {
            inner.owes_continue = false;
            // A client that did not wait needs no word.
            if inner.input.is_empty() {
                inner.output.end().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
        if !inner.output.is_empty()
            && let Poll::Ready(Err(error)) = inner.flush(cx)
        {
            return Poll::Ready(Some(Err(WireError::Broken(error))));
        }
        poll_frame(&mut inner.io, &mut inner.input, &mut inner.decoder, cx)
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.connection.inner();
        self.number != inner.n_bodies || inner.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.connection.inner();
        if self.number != inner.n_bodies {
            return SizeHint::with_exact(0);
        }
        inner.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut inner = self.connection.inner();
        if self.number == inner.n_bodies {
            inner.is_abandoned = true;
        }
    }
}

#[cfg(test)]
mod tests;
