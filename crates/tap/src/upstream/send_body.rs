//! The body of a request to a provider: what was read of it, and what is still to come from the release.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http1::WireError;
use crate::incoming::Incoming;

/// The body of a request.
#[derive(Debug)]
pub struct SendBody {
    first: Bytes,
    is_first_sent: bool,
    rest: Option<Incoming>,
    is_rest_begun: bool,
    chunked: bool,
}

impl SendBody {
    /// A body that is there already, sent with its length.
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            is_first_sent: bytes.is_empty(),
            first: bytes,
            rest: None,
            is_rest_begun: false,
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
        let is_first_sent = self.first.is_empty();
        (!self.is_rest_begun).then_some(Self { is_first_sent, ..self })
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
        this.is_rest_begun = true;
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
