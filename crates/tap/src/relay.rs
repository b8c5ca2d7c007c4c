//! The live lane's reply: passes the provider's bytes on as they come, and ends as the provider ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use judge::End;

use crate::recorder::{Finishing, Recorder};
use crate::tunnel::Open;
use crate::upstream::{ReplyStream, is_reset};
use crate::wire::{Ending, WireControl};

/// The connection to the release ends here, in place of its reply's proper end.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended in the middle of the reply")]
pub(crate) struct Broken;

/// The body of a relayed reply.
pub(crate) struct Relayed {
    stream: ReplyStream,
    wire: WireControl,
    recorder: Option<Recorder>,
    breaking: Option<(Ending, u64)>,
    counted: Option<Open>,
}

impl Relayed {
    /// Relays a reply, watched by a recorder if it is an ask's.
    pub(crate) fn new(stream: ReplyStream, wire: WireControl, recorder: Option<Recorder>) -> Self {
        Self { stream, wire, recorder, breaking: None, counted: None }
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
        if this.breaking.is_none() {
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
                    return Poll::Ready(Some(Ok(frame)));
                }
                None => {
                    this.complete();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    let ending = if is_reset(&error) { Ending::Reset } else { Ending::Fin };
                    if let Some(recorder) = &mut this.recorder {
                        recorder.provider_ended(End::PeerLeft);
                    }
                    this.breaking = Some((ending, this.wire.want_flush()));
                    return Poll::Pending;
                }
            }
        }
        // The good bytes first: they are part of what the release has to cope with.
        let Some((ending, _)) = this.breaking.filter(|(_, mark)| this.wire.flushed_since(*mark))
        else {
            return Poll::Pending;
        };
        this.wire.end_by(ending);
        if let Some(recorder) = this.recorder.take() {
            recorder.finish(End::Injected);
        }
        Poll::Ready(Some(Err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.breaking.is_none() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        // A reply without a body is never polled.
        if self.breaking.is_none() && self.stream.is_end_stream() {
            self.complete();
        }
    }
}
