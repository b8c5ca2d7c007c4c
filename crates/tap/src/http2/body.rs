//! The receiving half of a stream, as a body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::wire_error;
use crate::http1::{WireError, may_trail};
use crate::wire::WireControl;

/// The receiving half of a stream. The peer may send on as far as what it sent has been taken.
#[derive(Debug)]
pub(crate) struct Inlet {
    stream: RecvStream,
    /// What is still to come, where that was declared.
    left: Option<u64>,
    has_ended: bool,
}

impl Inlet {
    pub(super) fn new(stream: RecvStream, headers: &HeaderMap) -> Self {
        Self { stream, left: declared_length(headers), has_ended: false }
    }

    /// Reads the next part.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        match ready!(self.stream.poll_data(cx)) {
            Some(Ok(data)) => {
                // Fails only for more than came.
                drop(self.stream.flow_control().release_capacity(data.len()));
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Err(error)) => return self.end(Some(Err(wire_error(error)))),
            None => {}
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => {
                let trailers = trailers_of(trailers);
                self.end((!trailers.is_empty()).then_some(Ok(Frame::trailers(trailers))))
            }
            Ok(None) => self.end(None),
            Err(error) => self.end(Some(Err(wire_error(error)))),
        }
    }

    fn end<T>(&mut self, with: Option<T>) -> Poll<Option<T>> {
        self.has_ended = true;
        Poll::Ready(with)
    }

    /// Returns whether nothing more comes.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.has_ended || self.stream.is_end_stream()
    }

    /// Returns what is known of how much is still to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Returns the length that a head declares.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn trailers_of(came: HeaderMap) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(came.len());
    let mut last = None;
    for (name, value) in came {
        // A name that stands several times comes once, with its first value.
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| may_trail(name)) {
            trailers.append(name.clone(), value);
        }
    }
    trailers
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Incoming {
    inlet: Inlet,
    /// Where a client is told to continue that waits for it.
    continues: Option<WireControl>,
}

impl Incoming {
    pub(super) fn new(stream: RecvStream, headers: &HeaderMap, wire: &WireControl) -> Self {
        let expects = headers.get(EXPECT).is_some_and(|what| {
            what.as_bytes().eq_ignore_ascii_case(b"100-continue") && !stream.is_end_stream()
        });
        Self { inlet: Inlet::new(stream, headers), continues: expects.then(|| wire.clone()) }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let frame = self.inlet.poll_frame(cx);
        // A client that did not wait needs no word.
        if let Some(wire) = self.continues.take()
            && frame.is_pending()
        {
            let mut interim = Response::new(());
            *interim.status_mut() = StatusCode::CONTINUE;
            wire.interim(&interim.into_parts().0);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inlet.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inlet.size_hint()
    }
}
