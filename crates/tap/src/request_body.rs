//! The body of a request as it comes from the release, whichever HTTP engine reads it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a request on its way in. What serves an exchange knows no engine: another one is a variant here.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Read by hyper.
    Hyper(Incoming),
}

/// The release's request broke off: it left, or what it sent is not HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBroken {
    /// As hyper tells it.
    #[error("the release's request broke off")]
    Hyper(#[source] hyper::Error),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBroken>>> {
        match self.get_mut() {
            Self::Hyper(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(RequestBroken::Hyper))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(body) => body.size_hint(),
        }
    }
}
