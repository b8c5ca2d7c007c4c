//! The body of any reply to the release, whoever made it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use judge::End;

use crate::made::Made;
use crate::recorder::{Finishing, Recorder};
use crate::relay::Relayed;
use crate::wire::{Broken, WireControl};

/// The body of any reply to the release.
pub(crate) enum ReplyBody {
    /// Bytes that are there already.
    Whole(Whole),
    /// From the provider.
    Relayed(Relayed),
    /// Made by the stimulus.
    Made(Made),
}

/// Bytes that are there already.
pub(crate) struct Whole {
    bytes: Option<Bytes>,
    wire: WireControl,
    recorder: Option<Recorder>,
}

impl Drop for Whole {
    fn drop(&mut self) {
        // A reply without a body is never polled: it has none to HEAD.
        if let Some(recorder) = self.recorder.take() {
            self.wire.finish_when_flushed(Finishing::new(recorder, End::Complete));
        }
    }
}

impl ReplyBody {
    /// Answers with bytes that are there already.
    pub(crate) fn whole(
        answer: Response<Bytes>,
        wire: WireControl,
        mut recorder: Option<Recorder>,
    ) -> Response<Self> {
        if let Some(recorder) = &mut recorder {
            recorder.head(answer.status(), answer.headers());
            recorder.body(answer.body());
            recorder.body_is_whole();
        }
        answer.map(|bytes| Self::Whole(Whole { bytes: Some(bytes), wire, recorder }))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                if let Some(recorder) = whole.recorder.take() {
                    whole.wire.finish_when_flushed(Finishing::new(recorder, End::Complete));
                }
                Poll::Ready(whole.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Relayed(relayed) => Pin::new(relayed).poll_frame(cx),
            Self::Made(made) => Pin::new(made).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.bytes.is_none(),
            Self::Relayed(relayed) => relayed.is_end_stream(),
            Self::Made(made) => made.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => {
                SizeHint::with_exact(whole.bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Relayed(relayed) => relayed.size_hint(),
            Self::Made(made) => made.size_hint(),
        }
    }
}
