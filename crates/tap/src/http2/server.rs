//! The side towards a release: many requests at a time over a connection, all of them polled by the connection's own task, so
//! that they end with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use futures_util::stream::{FuturesUnordered, Stream as _};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::sync::watch;
use tokio::time::timeout;

use super::body::{Incoming, declared_length};
use super::flushes::{Flushes, Watched};
use super::head;
use super::outlet::{Outlet, Shut};
use crate::http1::{Upgrade, has_body};
use crate::limits::{
    BODY_BUFFER_MAX, CONNECTION_WINDOW, HEAD_LIST_MAX, RESETS_KEPT_MAX, SMALL_FRAMES_MAX,
    STREAM_ERRORS_MAX, STREAM_WINDOW, STREAMS_MAX, UNSEEN_RESETS_MAX,
};
use crate::wire::{Broken, Shown, WireControl};

/// How a stream ends that has to end before its end, whatever ended it: a reset, the end of a connection, or the end of its ask.
///
/// Each of those ends a connection of HTTP/1. Here the connection has other asks on it, to which nothing is to happen. Of the codes
/// that HTTP/2 has, this is what front ends send when the connection behind them breaks, and clients report it. They would
/// not report `CANCEL` and `NO_ERROR` (Node takes both for an end in good order), and would quietly ask once more after
/// `REFUSED_STREAM` and `HTTP_1_1_REQUIRED`.
const BROKEN_OFF: Reason = Reason::INTERNAL_ERROR;

/// Marks a response that no provider made.
const MARK: HeaderName = HeaderName::from_static("x-surestep");

/// Serves a connection until either side ends it. `handle` answers a request, with a handle to its stream; its error ends the stream
/// without a response. The connection has to begin within `preface_max`.
pub(crate) async fn serve<H, A, B, E>(
    io: Upgrade,
    control: WireControl,
    mut closing: watch::Receiver<()>,
    preface_max: Duration,
    handle: H,
) where
    H: Fn(WireControl, Request<Incoming>) -> A,
    A: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes, Error = Broken>,
{
    let flushes = Flushes::default();
    let beginning = settings().handshake(Watched::new(io, flushes.clone()));
    let Ok(Ok(mut connection)) = timeout(preface_max, beginning).await else { return };
    let mut streams = FuturesUnordered::new();
    let mut is_closing = false;
    let mut must_close = pin!(async {
        if closing.changed().await.is_err() {
            // Whoever could say so is gone, and with it the task of this connection.
            std::future::pending::<()>().await;
        }
    });
    poll_fn(|cx| {
        loop {
            // Streams come first: what they say leaves together.
            while let Poll::Ready(Some(())) = Pin::new(&mut streams).poll_next(cx) {}
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    control.request_began();
                    let wire = WireControl::new(control.shown());
                    streams.push(answer(request, respond, wire, &flushes, &handle));
                    continue;
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if !is_closing && must_close.as_mut().poll(cx).is_ready() {
                is_closing = true;
                // What is under way is answered.
                connection.graceful_shutdown();
                continue;
            }
            if !flushes.connection_rests() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_LIST_MAX)
        .max_send_buffer_size(BODY_BUFFER_MAX)
        .max_concurrent_reset_streams(RESETS_KEPT_MAX)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(STREAM_ERRORS_MAX))
        .data_frame_budget(SMALL_FRAMES_MAX);
    settings
}

/// Whatever becomes of a stream, nobody goes on to wait for its being flushed.
struct Ends<'w>(&'w WireControl);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Answers one request.
async fn answer<H, A, B, E>(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    wire: WireControl,
    flushes: &Flushes,
    handle: &H,
) where
    H: Fn(WireControl, Request<Incoming>) -> A,
    A: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes, Error = Broken>,
{
    let _ends = Ends(&wire);
    let (mut parts, stream) = request.into_parts();
    if let Err(status) = head::adopt(&mut parts, wire.shown() != Shown::Nothing) {
        return refuse(&mut respond, status);
    }
    let is_head = parts.method == Method::HEAD;
    let body = Incoming::new(stream, &parts.headers, &wire);
    let response = {
        // In a box, as a stream lasts longer than the making of its head.
        let mut answering = Box::pin(handle(wire.clone(), Request::from_parts(parts, body)));
        let answer = poll_fn(|cx| {
            let answer = answering.as_mut().poll(cx);
            for interim in wire.take_interims() {
                // Nobody may rely on one; a peer that has left shows below.
                drop(respond.send_informational(head::response(interim)));
            }
            match answer {
                Poll::Ready(answer) => Poll::Ready(answer.ok()),
                Poll::Pending if wire.poll_killed(cx) || respond.poll_reset(cx).is_ready() => {
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        });
        answer.await
    };
    match response {
        Some(response) => reply(response, is_head, respond, &wire, flushes).await,
        None => respond.send_reset(BROKEN_OFF),
    }
}

fn refuse(respond: &mut SendResponse<Bytes>, status: StatusCode) {
    let mut refusal = Response::new(());
    *refusal.status_mut() = status;
    refusal.headers_mut().insert(MARK, HeaderValue::from_static("refused-request"));
    refusal.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    // Whoever has left need not be told.
    drop(respond.send_response(refusal, true));
}

/// Sends a reply.
async fn reply<B: Body<Data = Bytes, Error = Broken>>(
    response: Response<B>,
    is_head: bool,
    mut respond: SendResponse<Bytes>,
    wire: &WireControl,
    flushes: &Flushes,
) {
    let (mut parts, body) = response.into_parts();
    let method = if is_head { &Method::HEAD } else { &Method::GET };
    let has_body = has_body(method, parts.status);
    let declared = declared_length(&parts.headers);
    if declared.is_none()
        && (has_body || is_head)
        && let Some(length @ 1..) = body.size_hint().exact()
    {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let has_ended = !has_body || body.is_end_stream();
    let Ok(stream) = respond.send_response(head::response(parts), has_ended) else {
        return respond.send_reset(BROKEN_OFF);
    };
    let mut body = pin!(Some(body));
    let mut replying = Replying {
        outlet: Outlet::new(stream),
        left: declared,
        state: if has_ended { State::Said } else { State::Speaking },
        said_at: Some(flushes.count()),
    };
    poll_fn(|cx| replying.poll(body.as_mut(), wire, flushes, cx)).await;
}

/// A reply on its way.
struct Replying {
    outlet: Outlet,
    /// What the declared length still allows for; what is beyond is cut, as everywhere.
    left: Option<u64>,
    state: State,
    /// How many flushes there were when something was handed over that has not left since.
    said_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More of the body is to come.
    Speaking,
    /// Everything was handed over.
    Said,
    /// Nothing more comes, and it is not all.
    BrokenOff,
}

impl Replying {
    /// Hands over what there is. It is done when nobody waits for more.
    fn poll<B: Body<Data = Bytes, Error = Broken>>(
        &mut self,
        mut body: Pin<&mut Option<B>>,
        wire: &WireControl,
        flushes: &Flushes,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if self.state != State::Speaking {
                // Who made it learns here that it is on its way.
                body.set(None);
            }
            if !self.outlet.is_empty() {
                let handed = self.outlet.poll(cx);
                self.said_at = Some(flushes.count());
                match handed {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(Shut)) => return Poll::Ready(()),
                    Poll::Pending => return self.poll_left(wire, cx),
                }
            }
            if let (State::Speaking, Some(polled)) = (self.state, body.as_mut().as_pin_mut())
                && let Poll::Ready(frame) = polled.poll_frame(cx)
            {
                let has_ended = body.as_ref().as_pin_ref().is_none_or(|body| body.is_end_stream());
                if self.take(frame, has_ended).is_err() {
                    return Poll::Ready(());
                }
                self.said_at = Some(flushes.count());
                continue;
            }
            self.said_at = self.said_at.filter(|count| *count == flushes.count());
            let must_leave = wire.awaits_flush() || self.state == State::BrokenOff;
            match (self.said_at, self.state) {
                (_, State::Said) if !must_leave => return Poll::Ready(()),
                (_, State::Speaking) if !must_leave => {}
                (Some(_), _) => flushes.register(cx),
                (None, state) => {
                    wire.flushed();
                    if state == State::BrokenOff {
                        self.outlet.reset(BROKEN_OFF);
                        return Poll::Ready(());
                    }
                    continue;
                }
            }
            return self.poll_left(wire, cx);
        }
    }

    /// Takes what a body says.
    fn take(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Broken>>,
        has_ended: bool,
    ) -> Result<(), Shut> {
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(Broken)) => {
                self.state = State::BrokenOff;
                return Ok(());
            }
            None if self.left.is_some_and(|left| left > 0) => {
                self.state = State::BrokenOff;
                return Ok(());
            }
            None => {
                self.state = State::Said;
                return self.outlet.end();
            }
        };
        match frame.into_data() {
            Ok(mut data) => {
                if let Some(left) = &mut self.left {
                    data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= data.len() as u64;
                }
                if has_ended {
                    self.state = State::Said;
                }
                self.outlet.push(data, has_ended)
            }
            Err(frame) => {
                self.state = State::Said;
                self.outlet.trailers(frame.into_trailers().unwrap_or_default())
            }
        }
    }

    /// Waits, unless nobody is there any more.
    fn poll_left(&mut self, wire: &WireControl, cx: &mut Context<'_>) -> Poll<()> {
        if wire.poll_killed(cx) || self.outlet.poll_reset(cx) {
            self.outlet.reset(BROKEN_OFF);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
