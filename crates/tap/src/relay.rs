//! The live lane's reply: passes the provider's bytes on as they come, and ends as the provider ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use judge::End;

use crate::recorder::{Finishing, Recorder};
use crate::tunnel::Open;
use crate::upstream::{ReplyStream, is_reset};
use crate::wire::{Broken, Ending, WireControl};

/// The body of a relayed reply.
pub(crate) struct Relayed {
    stream: ReplyStream,
    wire: WireControl,
    recorder: Option<Recorder>,
    counted: Option<Open>,
}

impl Relayed {
    /// Relays a reply, watched by a recorder if it is an ask's.
    pub(crate) fn new(stream: ReplyStream, wire: WireControl, recorder: Option<Recorder>) -> Self {
        Self { stream, wire, recorder, counted: None }
    }

    /// Counts what passes as another host's.
    pub(crate) fn counted(mut self, by: Open) -> Self {
        self.counted = Some(by);
        self
    }

    /// The provider's side is done, and everything is on its way to the release.
    fn complete(&mut self) {
        if let Some(mut recorder) = self.recorder.take() {
            recorder.provider_ended(End::Complete);
            recorder.body_is_whole();
            self.wire.finish_when_flushed(Finishing::new(recorder, End::Complete));
        }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        match std::task::ready!(Pin::new(&mut this.stream).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let (Some(recorder), Some(data)) = (&mut this.recorder, frame.data_ref()) {
                    recorder.body(data);
                }
                if let (Some(Open(seen)), Some(data)) = (&this.counted, frame.data_ref()) {
                    seen.add_received(data.len() as u64);
                }
                if this.stream.is_end_stream() {
                    this.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                this.complete();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                // The good bytes are flushed first: they are part of what the release has to cope with.
                this.wire.end_by(if is_reset(&error) { Ending::Reset } else { Ending::Fin });
                if let Some(mut recorder) = this.recorder.take() {
                    recorder.provider_ended(End::PeerLeft);
                    this.wire.finish_when_flushed(Finishing::new(recorder, End::Injected));
                }
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        // A reply without a body is never polled.
        if self.stream.is_end_stream() {
            self.complete();
        }
    }
}
