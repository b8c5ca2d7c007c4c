//! Calls that came in by HTTP/2 go out by HTTP/2, many over one connection, where the provider agrees to it; else by HTTP/1.1, like all
//! the others.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::future::poll_fn;
use http::{Response, request, response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};

use super::again::{Again, Failed, crosses};
use super::dial::Offer;
use super::{Client, Pooled, ReplyStream, SendBody, UpstreamError, remove_hop_by_hop};
use crate::clock;
use crate::http1::WireError;
use crate::http2::{self, CallFailure, Link};
use crate::limits::{HEAD_WAIT_MAX, HEAD_WAIT_UNASKED, IDLE_MAX, PONG_MAX, UNPROCESSED_MAX};

/// The body of a reply that comes by HTTP/2.
pub(super) type Reply = http2::Reply<SendBody>;

/// The connections to a provider over which many calls go at a time.
pub(super) struct Links {
    open: Mutex<Vec<Link>>,
    /// One connection is made at a time: calls that come meanwhile go over it.
    dialing: Semaphore,
    n_dialed: AtomicU64,
    /// Whether the provider chose HTTP/1.1 when it was offered both.
    chose_http1: AtomicBool,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            dialing: Semaphore::new(1),
            n_dialed: AtomicU64::new(0),
            chose_http1: false.into(),
        }
    }
}

impl Links {
    fn open(&self) -> MutexGuard<'_, Vec<Link>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that takes one more call.
    async fn checkout(&self, now: Instant) -> Option<Link> {
        poll_fn(|cx| {
            let mut open = self.open();
            open.retain_mut(|link| {
                let is_stale = link
                    .idle_since()
                    .is_some_and(|since| now.saturating_duration_since(since) > IDLE_MAX);
                !is_stale && link.is_open(cx)
            });
            Poll::Ready(open.iter().find(|link| link.has_room()).cloned())
        })
        .await
    }
}

/// What a call goes over.
enum Way {
    Http2(Box<Link>),
    Http1(Box<Pooled>),
}

impl Client {
    /// Sends a request that came by HTTP/2.
    pub(super) async fn send_by_http2(
        &self,
        parts: &request::Parts,
        mut body: SendBody,
        interim: &mut impl FnMut(&response::Parts),
    ) -> Result<Response<ReplyStream>, UpstreamError> {
        let mut sent = 0;
        let mut is_lost = false;
        loop {
            sent += 1;
            let now = clock::now();
            let way = if is_lost { self.dial_way().await } else { Box::pin(self.way(now)).await };
            let came = match way? {
                Way::Http2(link) => self.call(*link, parts, body, interim).await,
                Way::Http1(link) => self.exchange(link, parts, body, now, interim).await,
            };
            match came {
                Ok(response) => return Ok(response),
                Err(Failed { again: Again::Unseen(unseen), .. }) if sent < UNPROCESSED_MAX => {
                    body = unseen;
                }
                Err(Failed { again: Again::Lost(lost), .. }) if !is_lost => {
                    is_lost = true;
                    body = lost;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// Finds a connection, or makes one.
    async fn way(&self, now: Instant) -> Result<Way, UpstreamError> {
        let links = &self.0.links;
        if let Some(known) = self.known_way(now).await {
            return Ok(known);
        }
        let n_dialed = links.n_dialed.load(Ordering::Acquire);
        let turn = links.dialing.acquire().await;
        if n_dialed != links.n_dialed.load(Ordering::Acquire) {
            // What was made meanwhile is of no use to this call, and the next ones need not wait for each other.
            drop(turn);
            if let Some(known) = self.known_way(clock::now()).await {
                return Ok(known);
            }
            return self.dial_way().await;
        }
        let dialed = self.dial_way().await;
        links.n_dialed.fetch_add(1, Ordering::AcqRel);
        drop(turn);
        dialed
    }

    async fn known_way(&self, now: Instant) -> Option<Way> {
        if let Some(link) = self.0.links.checkout(now).await {
            return Some(Way::Http2(Box::new(link)));
        }
        if self.0.links.chose_http1.load(Ordering::Acquire) {
            return self.checkout(now).await.map(Way::Http1);
        }
        None
    }

    async fn dial_way(&self) -> Result<Way, UpstreamError> {
        // Made seldom, and large.
        let dialing = Box::pin(self.0.dialer.dial(Offer::Both));
        let io = dialing.await.map_err(UpstreamError::Unreachable)?;
        let links = &self.0.links;
        links.chose_http1.store(!io.chose_http2(), Ordering::Release);
        if !io.chose_http2() {
            return Ok(Way::Http1(Pooled::new(io)));
        }
        let link = http2::handshake(io).await.map_err(UpstreamError::Broken)?;
        links.open().push(link.clone());
        Ok(Way::Http2(Box::new(link)))
    }

    async fn call(
        &self,
        link: Link,
        parts: &request::Parts,
        body: SendBody,
        interim: &mut impl FnMut(&response::Parts),
    ) -> Result<Response<ReplyStream>, Failed> {
        let authority = &self.0.address.uri_authority;
        let mut call = match link.call(parts, authority, body) {
            Ok(call) => call,
            Err((failure, body)) => return Err(Failed::unseen(error_of(failure), body)),
        };
        let mut pass_on = |mut parts: response::Parts| {
            remove_hop_by_hop(&mut parts.headers);
            interim(&parts);
        };
        let begun = clock::now();
        let mut patience = Patience::new(call.follows_others(), begun);
        let responding = poll_fn(|cx| match call.poll_head(&mut pass_on, cx) {
            Poll::Ready(came) => Poll::Ready(Ok(came)),
            Poll::Pending => patience.poll(call.link(), cx).map(Err),
        });
        match responding.await {
            Ok(Ok(response)) => {
                let (parts, inlet) = response.into_parts();
                let reply = Box::new(call.reading(inlet));
                Ok(Response::from_parts(parts, ReplyStream::many(reply)))
            }
            Ok(Err(CallFailure::Provider(refusal))) if refusal.is_unprocessed() => {
                let error = UpstreamError::Broken(refusal.into_error());
                Err(Failed::unseen(error, call.into_body()))
            }
            Ok(Err(failure)) => {
                let error = error_of(failure);
                let after = clock::now().saturating_duration_since(begun);
                Err(if call.may_have_crossed() && crosses(&error, after) {
                    Failed::lost(error, call.into_body())
                } else {
                    Failed::for_good(error)
                })
            }
            Err(OutOf::Time) => Err(Failed::for_good(UpstreamError::Silent)),
            Err(OutOf::Reach) => {
                let gone = io::Error::from(io::ErrorKind::TimedOut);
                let error = UpstreamError::Broken(WireError::Broken(gone));
                Err(Failed::lost(error, call.into_body()))
            }
        }
    }
}

/// Waits for a head, and finds out meanwhile whether the provider is there at all: a connection may have died without a word while
/// it lay idle, and with it would die every call that is made over it.
struct Patience {
    next: Check,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What is done when the time has come.
enum Check {
    /// Ask whether anybody is there.
    Ask,
    /// Nobody is, unless it was said more often than this.
    Hear { n_pongs: u64 },
    /// It took too long.
    GiveUp,
}

/// What there is no more of.
enum OutOf {
    Time,
    Reach,
}

impl Patience {
    /// Starts to wait. Of a connection that was made for the call it is known that somebody is there.
    fn new(asks: bool, since: Instant) -> Self {
        let (next, wait) =
            if asks { (Check::Ask, HEAD_WAIT_UNASKED) } else { (Check::GiveUp, HEAD_WAIT_MAX) };
        Self { next, since, timer: Box::pin(sleep_until(since + wait)) }
    }

    fn poll(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<OutOf> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let wait = match self.next {
                Check::Ask => {
                    self.next = Check::Hear { n_pongs: link.ping() };
                    HEAD_WAIT_UNASKED + PONG_MAX
                }
                Check::Hear { n_pongs } if link.n_pongs() == n_pongs => {
                    link.give_up();
                    return Poll::Ready(OutOf::Reach);
                }
                Check::Hear { .. } => {
                    self.next = Check::GiveUp;
                    HEAD_WAIT_MAX
                }
                Check::GiveUp => return Poll::Ready(OutOf::Time),
            };
            self.timer.as_mut().reset(self.since + wait);
        }
    }
}

fn error_of(failure: CallFailure) -> UpstreamError {
    match failure {
        CallFailure::Unsendable(error) => UpstreamError::Unsendable(error),
        CallFailure::Body(error) => UpstreamError::Request(error),
        CallFailure::Provider(refusal) => UpstreamError::Broken(refusal.into_error()),
        CallFailure::Head(fault) => UpstreamError::Broken(WireError::Head(fault)),
    }
}
