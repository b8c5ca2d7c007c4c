//! The sending half of a stream: one piece at a time, as far as flow control lets it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

/// The peer takes nothing more on this stream.
#[derive(Debug)]
pub(super) struct Shut;

/// The sending half of a stream. What may not be sent yet is kept; whoever fills it waits until there is nothing of it.
pub(super) struct Outlet {
    stream: SendStream<Bytes>,
    kept: Bytes,
    /// Whether the stream ends with what is kept.
    is_last: bool,
}

impl Outlet {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream, kept: Bytes::new(), is_last: false }
    }

    /// Returns whether nothing waits for being sent.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Sends a piece of a body, and with it the end if it is the last one.
    pub(super) fn push(&mut self, piece: Bytes, is_last: bool) -> Result<(), Shut> {
        if piece.is_empty() {
            return if is_last { self.end() } else { Ok(()) };
        }
        self.stream.reserve_capacity(piece.len());
        self.kept = piece;
        self.is_last = is_last;
        Ok(())
    }

    /// Sends the end.
    pub(super) fn end(&mut self) -> Result<(), Shut> {
        // The peer has left, which the connection tells.
        self.stream.send_data(Bytes::new(), true).map_err(|_gone| Shut)
    }

    /// Sends the end, and fields before it.
    pub(super) fn trailers(&mut self, trailers: HeaderMap) -> Result<(), Shut> {
        self.stream.send_trailers(trailers).map_err(|_gone| Shut)
    }

    /// Hands over what is kept. What was handed over leaves with the next complete flush of the connection: the peer takes it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Shut>> {
        while !self.kept.is_empty() {
            let room = self.stream.capacity();
            if room == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Poll::Ready(Err(Shut)),
                }
            }
            let piece = self.kept.split_to(room.min(self.kept.len()));
            let is_last = self.is_last && self.kept.is_empty();
            if self.stream.send_data(piece, is_last).is_err() {
                return Poll::Ready(Err(Shut));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns whether the peer, or the end of the connection, has ended the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> bool {
        self.stream.poll_reset(cx).is_ready()
    }

    /// Ends the stream before its end. What was handed over and has not left is dropped.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}
