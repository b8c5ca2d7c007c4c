//! The body of a request to a provider: what was read of it, and what is still to come from the release.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http1::WireError;
use crate::incoming::Incoming;
use crate::limits::REPLAY_MAX;

/// Pieces of a body that are kept as it passes.
const PIECES_MAX: usize = 64;

/// The body of a request.
#[derive(Debug)]
pub struct SendBody {
    first: Bytes,
    is_first_sent: bool,
    rest: Option<Incoming>,
    taken: Taken,
    chunked: bool,
}

impl SendBody {
    /// A body that is there already, sent with its length.
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            is_first_sent: bytes.is_empty(),
            first: bytes,
            rest: None,
            taken: Taken::Kept(Vec::new()),
            chunked: false,
        }
    }

    /// A body that is there already, sent in chunks, as it came.
    pub(crate) fn chunked(bytes: Bytes) -> Self {
        Self { chunked: true, ..Self::whole(bytes) }
    }

    /// A body of which only the beginning is there.
    pub(crate) fn long(first: Bytes, rest: Incoming) -> Self {
        Self { rest: Some(rest), ..Self::whole(first) }
    }

    /// Begins anew, if what was taken of the body can be taken again.
    pub(super) fn again(self) -> Option<Self> {
        let Taken::Kept(mut pieces) = self.taken else { return None };
        let first = if pieces.is_empty() {
            self.first
        } else {
            pieces.insert(0, self.first);
            pieces.concat().into()
        };
        let taken = Taken::Kept(Vec::new());
        Some(Self { is_first_sent: first.is_empty(), first, taken, ..self })
    }
}

/// What was taken of a body that is still to come.
#[derive(Debug)]
enum Taken {
    /// All of it is kept, in these pieces.
    Kept(Vec<Bytes>),
    /// More than is kept, or fields behind it.
    Gone,
}

impl Taken {
    fn push(&mut self, frame: &Frame<Bytes>) {
        let Self::Kept(pieces) = self else { return };
        let n_kept: usize = pieces.iter().map(Bytes::len).sum();
        match frame.data_ref() {
            // Many small pieces would cost more than their bytes.
            Some(piece) if n_kept + piece.len() <= REPLAY_MAX && pieces.len() < PIECES_MAX => {
                pieces.push(piece.clone());
            }
            Some(_) | None => *self = Self::Gone,
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let this = &mut *self;
        if !this.is_first_sent {
            this.is_first_sent = true;
            return Poll::Ready(Some(Ok(Frame::data(this.first.clone()))));
        }
        let Some(rest) = &mut this.rest else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(rest).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => this.taken.push(frame),
            Some(Err(_)) => this.taken = Taken::Gone,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_first_sent && self.rest.as_ref().is_none_or(Body::is_end_stream) && !self.chunked
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            return SizeHint::default();
        }
        let first = if self.is_first_sent { 0 } else { self.first.len() as u64 };
        match &self.rest {
            Some(rest) => rest
                .size_hint()
                .exact()
                .map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest)),
            None => SizeHint::with_exact(first),
        }
    }
}
