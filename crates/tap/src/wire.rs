//! The socket below hyper, with TLS on it or without: it can end with FIN or RST on demand, knows when all bytes were
//! flushed, and can be killed.
//!
//! hyper drops a connection without another write when a body fails, and it never sends RST. So a body that wants to
//! break the connection waits here until everything before was flushed, then says how the socket is to end, then fails;
//! `Drop` of the socket arms the reset. A reset that is armed earlier takes the good bytes with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::server::TlsStream;

use crate::recorder::Finishing;

/// How the tap ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN.
    Fin,
    /// RST.
    Reset,
}

/// A handle to a connection's socket, shared by everything that acts on the connection.
#[derive(Clone)]
pub(crate) struct WireControl(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    killed: Notify,
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
    /// How to end, and the number of flushes when that was decided.
    ending: Option<(Ending, u64)>,
    flushes: u64,
    flush_wanted: bool,
    finishing: Option<Finishing>,
    requests: u64,
}

impl fmt::Debug for WireControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireControl").field("ending", &self.state().ending).finish_non_exhaustive()
    }
}

impl WireControl {
    fn new(shown: Shown) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), killed: Notify::new(), shown }))
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
        let mut state = self.state();
        state.ending = Some((ending, state.flushes));
    }

    /// Asks to be woken at the next complete flush; the answer goes to [`Self::flushed_since`].
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
        self.0.killed.notify_one();
    }

    /// Waits until the connection is to be ended.
    pub(crate) async fn killed(&self) {
        self.0.killed.notified().await;
    }

    /// Notes that all was flushed.
    fn flushed(&self, cx: &Context<'_>) {
        let mut state = self.state();
        state.flushes += 1;
        // A body that waits for this flush, or a read that has to see the end, is polled by the same task.
        if std::mem::take(&mut state.flush_wanted) || state.ending.is_some() {
            cx.waker().wake_by_ref();
        }
        let finishing = state.finishing.take();
        drop(state);
        if let Some(finishing) = finishing {
            finishing.flushed();
        }
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

    /// Ends TLS properly, so that a FIN is a FIN there too: hyper drops a connection on which a body fails as it is, and the
    /// peer would report an attack on TLS in place of a body that ended early.
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

/// A connection's socket.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Transport,
    control: WireControl,
}

impl Wire {
    /// Takes a connection over which HTTP comes next.
    pub(crate) fn new(stream: Transport, shown: Shown) -> Self {
        Self { stream, control: WireControl::new(shown) }
    }

    /// Returns the handle to this socket.
    pub(crate) fn control(&self) -> WireControl {
        self.control.clone()
    }
}

/// Calls a poll function of whichever stream it is.
macro_rules! on_stream {
    ($stream:expr, $call:ident ( $($argument:expr),* )) => {
        match &mut $stream {
            Transport::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Transport::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = self.control.state();
        let ended = state.ending.is_some_and(|(_, mark)| state.flushes > mark);
        drop(state);
        if ended {
            // End of input, as seen by hyper: it closes the connection.
            return Poll::Ready(Ok(()));
        }
        on_stream!(self.stream, poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self.stream, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self.stream, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = on_stream!(self.stream, poll_flush(cx));
        if let Poll::Ready(Ok(())) = flushed {
            self.control.flushed(cx);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.control.state().ending, Some((Ending::Reset, _))) {
            // A FIN now would reach the peer before the reset does.
            return Poll::Ready(Ok(()));
        }
        on_stream!(self.stream, poll_shutdown(cx))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut state = self.control.state();
        let ending = state.ending;
        let finishing = state.finishing.take();
        drop(state);
        if matches!(ending, Some((Ending::Reset, _))) {
            // Closing with a zero linger sends RST. It only fails on a socket that is gone already.
            let armed = SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
            drop(armed);
        } else {
            self.stream.close_notify();
        }
        drop(finishing);
    }
}
