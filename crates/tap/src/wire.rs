//! The socket below HTTP, with TLS on it or without, and the handle by which an exchange acts on it: how it ends (by FIN or by
//! RST), what waits for everything to be flushed, what is passed on before the reply, and that it is to end now.
//!
//! A body that wants to break the connection says how the socket is to end, and fails: what was sent before is flushed first,
//! as a reset that comes earlier takes the good bytes with it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::{Buf as _, Bytes};
use futures_util::task::AtomicWaker;
use http::response;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::limits::INTERIMS_MAX;
use crate::recorder::Finishing;

/// How the tap ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN.
    Fin,
    /// RST.
    Reset,
}

/// The connection to the release ends here, in place of its reply's proper end.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended in the middle of the reply")]
pub(crate) struct Broken;

/// A handle to a connection's socket, shared by everything that acts on the connection. In HTTP/2 each stream has one, and what
/// is said of the socket is done to the stream.
#[derive(Clone)]
pub(crate) struct WireControl(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    is_killed: AtomicBool,
    connection: AtomicWaker,
    shown: Shown,
}

/// Which certificate the release was shown on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// None: there is no TLS.
    Nothing,
    /// One by the CA of this run, which the release was told to trust.
    Trusted,
    /// One by a CA that nobody knows.
    Unknown,
}

#[derive(Default)]
struct State {
    ending: Option<Ending>,
    flushes: u64,
    flush_wanted: bool,
    finishing: Option<Finishing>,
    requests: u64,
    /// Interim responses to be passed on.
    interims: Vec<response::Parts>,
}

impl fmt::Debug for WireControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireControl").field("ending", &self.state().ending).finish_non_exhaustive()
    }
}

impl WireControl {
    /// Makes the handle of a connection.
    pub(crate) fn new(shown: Shown) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            is_killed: AtomicBool::new(false),
            connection: AtomicWaker::new(),
            shown,
        }))
    }

    /// Returns which certificate the release was shown on this connection.
    pub(crate) fn shown(&self) -> Shown {
        self.0.shown
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request has come.
    pub(crate) fn request_began(&self) {
        self.state().requests += 1;
    }

    /// Returns whether anything that came was a request.
    pub(crate) fn had_requests(&self) -> bool {
        self.state().requests > 0
    }

    /// Says how the socket is to end, once what was written is flushed.
    pub(crate) fn end_by(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Returns whether the socket is to end after this reply.
    pub(crate) fn is_ending(&self) -> bool {
        self.state().ending.is_some()
    }

    /// Asks to be polled after the next complete flush; the answer goes to [`Self::flushed_since`].
    pub(crate) fn want_flush(&self) -> u64 {
        let mut state = self.state();
        state.flush_wanted = true;
        state.flushes
    }

    /// Returns whether everything written before `mark` was taken has left for the kernel.
    pub(crate) fn flushed_since(&self, mark: u64) -> bool {
        let mut state = self.state();
        let flushed = state.flushes > mark;
        if !flushed {
            state.flush_wanted = true;
        }
        flushed
    }

    /// Leaves a record to be closed when everything has been flushed, or when the peer leaves before.
    pub(crate) fn finish_when_flushed(&self, finishing: Finishing) {
        let earlier = self.state().finishing.replace(finishing);
        drop(earlier);
    }

    /// Ends the connection now, whatever it is doing.
    pub(crate) fn kill(&self) {
        self.0.is_killed.store(true, Ordering::Release);
        self.0.connection.wake();
    }

    /// Returns whether the connection is to be ended now. If not, its task is woken when it is.
    pub(crate) fn poll_killed(&self, cx: &Context<'_>) -> bool {
        self.0.connection.register(cx.waker());
        self.0.is_killed.load(Ordering::Acquire)
    }

    /// Passes an interim response on, if there is room for it: nobody may rely on one.
    pub(crate) fn interim(&self, parts: &response::Parts) {
        let mut state = self.state();
        if state.interims.len() < INTERIMS_MAX {
            state.interims.push(parts.clone());
        }
    }

    /// Returns the interim responses that were not passed on yet.
    pub(crate) fn take_interims(&self) -> Vec<response::Parts> {
        std::mem::take(&mut self.state().interims)
    }

    /// Returns whether anybody waits for everything to be flushed.
    pub(crate) fn awaits_flush(&self) -> bool {
        let state = self.state();
        state.flush_wanted || state.finishing.is_some()
    }

    /// Notes that nothing more is flushed: whoever waits for it learns that the peer has left before.
    pub(crate) fn abandon(&self) {
        let finishing = self.state().finishing.take();
        drop(finishing);
    }

    /// Notes that all was flushed. Tells whether a body waits for that.
    pub(crate) fn flushed(&self) -> bool {
        let mut state = self.state();
        state.flushes += 1;
        let is_awaited = std::mem::take(&mut state.flush_wanted);
        let finishing = state.finishing.take();
        drop(state);
        if let Some(finishing) = finishing {
            finishing.flushed();
        }
        is_awaited
    }

    /// Ends the socket as it was told, just before it is dropped.
    pub(crate) fn end(&self, io: &mut Transport) {
        let mut state = self.state();
        let ending = state.ending;
        let finishing = state.finishing.take();
        drop(state);
        match ending {
            // Closing with a zero linger sends RST. It only fails on a socket that is gone already.
            Some(Ending::Reset) => drop(SockRef::from(io.tcp()).set_linger(Some(Duration::ZERO))),
            Some(Ending::Fin) | None => io.close_notify(),
        }
        drop(finishing);
    }
}

/// An accepted connection, with what was already read of it.
#[derive(Debug)]
pub(crate) struct Socket {
    ahead: Bytes,
    stream: TcpStream,
}

impl Socket {
    /// Takes an accepted connection of which nothing was read.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { ahead: Bytes::new(), stream }
    }

    /// Puts back what was read of it, to be read once more.
    pub(crate) fn put_back(&mut self, read: Bytes) {
        self.ahead = read;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..n).unwrap_or_default());
        self.ahead.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What HTTP is spoken over.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => &socket.stream,
            Self::Tls(stream) => &stream.get_ref().0.stream,
        }
    }

    /// Ends TLS properly, so that a FIN is a FIN there too: without it the peer
    /// would report an attack on TLS in place of a body that ended early.
    fn close_notify(&mut self) {
        let Self::Tls(stream) = self else { return };
        let (socket, session) = stream.get_mut();
        session.send_close_notify();
        let mut bytes = Vec::new();
        while session.wants_write() {
            match session.write_tls(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        // A peer that takes nothing more does not see how it ends either.
        drop(socket.stream.try_write(&bytes));
    }
}

/// Calls a poll function of whichever stream it is.
macro_rules! on_stream {
    ($stream:expr, $call:ident ( $($argument:expr),* )) => {
        match $stream.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Transport::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_shutdown(cx))
    }
}
