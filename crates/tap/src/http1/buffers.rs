//! What was read and not yet used, and what was said and not yet sent: neither holds memory while there is nothing of it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{BODY_BUFFER_MAX, READ_MAX};

/// Bytes of a body that are copied behind its head, so that both leave in one plain write. Beyond, a write from two places
/// costs less than the copy.
const COPIED_MAX: usize = 4 * 1024;

/// Buffers for sending that a thread keeps: one is in use at a time, unless a peer reads slowly.
const SPARE_MAX: usize = 4;

thread_local! {
    /// What every connection of this thread reads into.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into_boxed_slice());
    /// Buffers that the next message can be written into.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What was read of a connection and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Input {
    unread: Bytes,
    looked: Looked,
}

/// How far a head that is not whole has been looked at.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// How much there was when it was parsed last.
    pub(super) parsed: usize,
    /// How much there was when its end was looked for last.
    pub(super) searched: usize,
}

impl Input {
    /// Returns how many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.unread.len()
    }

    /// Returns whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Returns what there is.
    pub(super) fn bytes(&mut self) -> &mut Bytes {
        &mut self.unread
    }

    /// Returns how far a head has been looked at.
    pub(super) fn looked(&mut self) -> &mut Looked {
        &mut self.looked
    }

    /// Drops the ends of lines that some send behind a body.
    pub(super) fn skip_line_ends(&mut self) {
        while matches!(self.unread.first(), Some(b'\r' | b'\n')) {
            self.unread.advance(1);
        }
    }

    /// Takes bytes in.
    pub(super) fn push(&mut self, read: &[u8]) {
        if self.unread.is_empty() {
            self.unread = Bytes::copy_from_slice(read);
            return;
        }
        // Nobody else has a part of it: it grows where it is.
        let mut joined = std::mem::take(&mut self.unread)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        joined.extend_from_slice(read);
        self.unread = joined.freeze();
    }

    /// Reads once. Tells how many bytes came; none is the end.
    pub(crate) fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(io).poll_read(cx, &mut read))?;
            let read = read.filled();
            if !read.is_empty() {
                self.push(read);
            }
            Poll::Ready(Ok(read.len()))
        })
    }
}

/// What was said and not yet sent: bytes, then perhaps a large piece that is not copied, then bytes again.
#[derive(Debug, Default)]
pub(crate) struct Output {
    before: Vec<u8>,
    /// How much of `before` has been sent.
    sent: usize,
    large: Bytes,
    after: Vec<u8>,
}

impl Output {
    /// Returns whether everything has been sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.large.is_empty()
    }

    /// Returns how many bytes wait for being sent.
    pub(super) fn len(&self) -> usize {
        self.before.len() - self.sent + self.large.len() + self.after.len()
    }

    /// Returns whether a piece of a body may be added: not much waits for being sent.
    pub(super) fn has_room(&self) -> bool {
        self.large.is_empty() && self.before.len() < BODY_BUFFER_MAX - READ_MAX
    }

    /// Returns the end, to be written to.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        if !self.large.is_empty() {
            return &mut self.after;
        }
        if self.before.capacity() == 0 {
            self.before = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        &mut self.before
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.len() <= COPIED_MAX || !self.large.is_empty() {
            self.end().extend_from_slice(&piece);
        } else {
            self.large = piece;
        }
    }

    fn advance(&mut self, mut n: usize) {
        let of_before = n.min(self.before.len() - self.sent);
        self.sent += of_before;
        n -= of_before;
        let of_large = n.min(self.large.len());
        self.large.advance(of_large);
        n -= of_large;
        if self.sent == self.before.len() && self.large.is_empty() {
            // What was sent of the last part is behind its first `n` bytes.
            self.before.clear();
            std::mem::swap(&mut self.before, &mut self.after);
            self.sent = n;
            if self.sent == self.before.len() {
                self.before.clear();
                self.sent = 0;
            }
        }
    }

    /// Sends everything.
    pub(super) fn poll_flush(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let before = self.before.get(self.sent..).unwrap_or_default();
            let n = if self.large.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, before))?
            } else {
                let parts = [before, &self.large, &self.after].map(IoSlice::new);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &parts))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.give_back();
        Poll::Ready(Ok(()))
    }

    /// Holds no memory any more; a buffer of a usual size is kept for the next message of any connection.
    fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.before);
        self.after = Vec::new();
        if buffer.capacity() > 0 && buffer.capacity() <= READ_MAX {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_MAX {
                    spare.push(buffer);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time.
    struct Narrow {
        taken: Vec<u8>,
        width: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.width);
            self.taken.extend_from_slice(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let n = bytes.len().min(self.width);
            self.taken.extend_from_slice(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn everything_is_sent_once_and_in_order_however_little_is_taken() {
        let large: Vec<u8> = (0..COPIED_MAX + 1).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for width in [1, 2, 3, 7, 4096, 100_000] {
            let mut output = Output::default();
            output.end().extend_from_slice(b"head");
            output.push(Bytes::from(large.clone()));
            assert!(!output.has_room());
            output.push(Bytes::from_static(b"small"));
            output.end().extend_from_slice(b"\r\n");
            let mut narrow = Narrow { taken: Vec::new(), width };
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(matches!(output.poll_flush(&mut narrow, &mut cx), Poll::Ready(Ok(()))));
            assert_eq!(narrow.taken, [b"head", &large[..], b"small\r\n"].concat(), "{width}");
            assert!(output.is_empty() && output.before.capacity() == 0);
        }
    }
}
