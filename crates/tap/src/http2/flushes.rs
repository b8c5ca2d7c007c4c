//! Tells a stream that what it has said has left for the kernel: the crate `h2` knows of sending, and not of having sent.
//!
//! A connection that waits, with no write under way, has written everything that flow control let it. That is seen at the socket
//! below it, and counted; streams wait for the count to move.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The complete flushes of a connection, shared by its socket, its streams and whoever drives it.
#[derive(Clone, Debug, Default)]
pub(super) struct Flushes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether the socket did not take what was written last.
    is_writing: bool,
    n_flushes: u64,
    waiting: Vec<Waker>,
}

impl Flushes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many there were. What is handed over now has left when there is one more.
    pub(super) fn count(&self) -> u64 {
        self.state().n_flushes
    }

    /// Wakes a stream at the next one.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut state = self.state();
        if !state.waiting.iter().any(|waiting| waiting.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
    }

    /// Notes that the connection has nothing to do but to wait. Tells whether streams were waiting for that.
    pub(super) fn connection_rests(&self) -> bool {
        let mut state = self.state();
        if state.is_writing {
            return false;
        }
        state.n_flushes += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let is_awaited = !waiting.is_empty();
        for stream in waiting {
            stream.wake();
        }
        is_awaited
    }
}

/// A connection's bytes, with an eye on whether they leave.
#[derive(Debug)]
pub(super) struct Watched<I> {
    io: I,
    flushes: Flushes,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, flushes: Flushes) -> Self {
        Self { io, flushes }
    }

    fn seen<T>(&self, written: Poll<T>) -> Poll<T> {
        self.flushes.state().is_writing = written.is_pending();
        written
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.seen(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.seen(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.seen(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
