//! The simulated lane's reply: sends the pieces of an [`Answer`] as they are written down, and ends as it says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use judge::fault::Editor;
use judge::{Answer, AnswerEnd, End, Piece};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;
use crate::limits::HELD_MAX;
use crate::recorder::{Finishing, Recorder};
use crate::upstream::ReplyStream;
use crate::wire::{Broken, Ending, WireControl};

/// The body of a reply made by the tap.
pub(crate) struct Made {
    pieces: VecDeque<Piece>,
    end: AnswerEnd,
    wire: WireControl,
    recorder: Option<Recorder>,
    /// The flush that the next step waits for.
    flush: Option<u64>,
    /// The pause that the next step waits for.
    pause: Option<Pin<Box<Sleep>>>,
    /// When whatever has no end by itself is ended.
    held_until: Instant,
    /// Bytes that the framing still allows for.
    room: Option<u64>,
    /// The provider's reply, from which further pieces are made.
    source: Option<Box<Source>>,
}

/// A provider's reply that is edited on its way.
struct Source {
    stream: ReplyStream,
    editor: Editor,
}

/// An answer that HTTP cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("the answer of the stimulus cannot be put into HTTP: {what}")]
pub(crate) struct Unsendable {
    what: String,
}

impl Made {
    /// Starts on an answer.
    pub(crate) fn start(
        answer: Answer,
        wire: WireControl,
        mut recorder: Recorder,
    ) -> Result<Response<Self>, (Unsendable, Recorder)> {
        let mut response = match head(&answer) {
            Ok(response) => response,
            Err(unsendable) => return Err((unsendable, recorder)),
        };
        recorder.head(response.status(), response.headers());
        if let Some(length) = answer.declared_length {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let opens_with_bytes =
            matches!(answer.pieces.first(), Some(Piece::Bytes(bytes)) if !bytes.is_empty());
        // Whatever comes in place of bytes comes after the head.
        let flush = (!opens_with_bytes).then(|| wire.want_flush());
        Ok(response.map(|()| Self {
            pieces: answer.pieces.into(),
            end: answer.end,
            wire,
            recorder: Some(recorder),
            flush,
            pause: None,
            held_until: clock::now() + HELD_MAX,
            room: answer.declared_length,
            source: None,
        }))
    }

    /// Starts on a provider's reply that is edited on its way. The recorder has the head already.
    pub(crate) fn edited(
        stream: ReplyStream,
        editor: Editor,
        declared_length: Option<u64>,
        wire: WireControl,
        recorder: Recorder,
    ) -> Self {
        Self {
            pieces: VecDeque::new(),
            end: AnswerEnd::Complete,
            wire,
            recorder: Some(recorder),
            flush: None,
            pause: None,
            held_until: clock::now() + HELD_MAX,
            room: declared_length,
            source: Some(Box::new(Source { stream, editor })),
        }
    }

    /// Makes further pieces out of what the provider sends. Tells whether there may be some.
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(source) = &mut self.source else { return Poll::Ready(false) };
        let provider_end = match std::task::ready!(Pin::new(&mut source.stream).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    source.editor.push(data);
                }
                // What stops the reply closes the call to the provider.
                source.editor.ended().map(|_| End::Injected)
            }
            Some(Err(_broken)) => Some(End::PeerLeft),
            None => Some(End::Complete),
        };
        if let Some(provider_end) = provider_end {
            let end = source.editor.finish();
            self.end = if provider_end == End::PeerLeft { AnswerEnd::Fin } else { end };
            if let Some(recorder) = &mut self.recorder {
                recorder.provider_ended(provider_end);
            }
        }
        self.pieces.extend(source.editor.take());
        if provider_end.is_some() {
            self.source = None;
        }
        Poll::Ready(true)
    }

    /// Sends bytes, and waits for them to be flushed before the next step.
    fn send(&mut self, bytes: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(recorder) = &mut self.recorder {
            // The framing cuts what is beyond the declared length, so the release does not get it.
            let allowed = self.room.map_or(bytes.len(), |room| {
                usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len())
            });
            recorder.body(bytes.get(..allowed).unwrap_or(&bytes));
        }
        if let Some(room) = &mut self.room {
            *room = room.saturating_sub(bytes.len() as u64);
        }
        self.flush = Some(self.wire.want_flush());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
    }

    /// Waits, but not beyond the tap's own limit.
    fn wait(&mut self, pause: Duration) {
        let until = (clock::now() + pause).min(self.held_until);
        self.pause = Some(Box::pin(sleep_until(until)));
    }

    /// Ends the connection.
    fn break_off(&mut self, ending: Ending) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.wire.end_by(ending);
        if let Some(recorder) = self.recorder.take() {
            self.wire.finish_when_flushed(Finishing::new(recorder, End::Injected));
        }
        Poll::Ready(Some(Err(Broken)))
    }

    /// All pieces are out: ends as the answer says.
    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.end {
            // Bytes that were declared and are not there: only the end of the connection can end this.
            AnswerEnd::Complete if self.room.is_some_and(|room| room > 0) => {
                self.break_off(Ending::Fin)
            }
            AnswerEnd::Complete => {
                self.complete();
                Poll::Ready(None)
            }
            AnswerEnd::Fin => self.break_off(Ending::Fin),
            AnswerEnd::Reset => self.break_off(Ending::Reset),
            AnswerEnd::Hold => self.break_off(Ending::Fin),
        }
    }

    /// Returns whether all that was declared is out.
    fn is_satisfied(&self) -> bool {
        self.room == Some(0)
            && self.source.is_none()
            && self.pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_)))
    }

    /// Everything was handed over, and the framing is satisfied.
    fn complete(&mut self) {
        let end = match self.end {
            AnswerEnd::Complete => End::Complete,
            AnswerEnd::Fin => {
                self.wire.end_by(Ending::Fin);
                End::Injected
            }
            AnswerEnd::Reset => {
                self.wire.end_by(Ending::Reset);
                End::Injected
            }
            // With nothing left to send, holding is what an idle connection does anyway.
            AnswerEnd::Hold => End::Complete,
        };
        if let Some(mut recorder) = self.recorder.take() {
            recorder.body_is_whole();
            self.wire.finish_when_flushed(Finishing::new(recorder, end));
        }
    }
}

impl Body for Made {
    type Data = Bytes;
    type Error = Broken;

    fn is_end_stream(&self) -> bool {
        self.is_satisfied()
    }

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if let Some(mark) = this.flush {
                if !this.wire.flushed_since(mark) {
                    return Poll::Pending;
                }
                this.flush = None;
            }
            if let Some(pause) = &mut this.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            match this.pieces.pop_front() {
                Some(Piece::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Piece::Bytes(bytes)) => return this.send(bytes),
                Some(Piece::Pause(pause)) => {
                    // The head, or the pieces before, leave before the silence.
                    this.flush = Some(this.wire.want_flush());
                    this.wait(pause);
                }
                Some(Piece::Repeat { bytes, every }) => {
                    if clock::now() >= this.held_until {
                        return this.break_off(Ending::Fin);
                    }
                    this.wait(every);
                    this.pieces.push_front(Piece::Repeat { bytes: bytes.clone(), every });
                    return this.send(bytes);
                }
                None if this.source.is_some() => {
                    std::task::ready!(this.refill(cx));
                }
                None if this.end == AnswerEnd::Hold && clock::now() < this.held_until => {
                    this.wait(HELD_MAX);
                }
                None => return this.finish(),
            }
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // With a declared length, the body is dropped as soon as the last byte is out.
        if self.is_satisfied() {
            self.complete();
        }
    }
}

/// Makes the head. Framing headers are left to the caller.
fn head(answer: &Answer) -> Result<Response<()>, Unsendable> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status)
        .map_err(|error| Unsendable { what: format!("status {}: {error}", answer.status) })?;
    for (name, value) in &answer.headers {
        let unsendable =
            |error: http::Error| Unsendable { what: format!("header {name}: {error}") };
        let name = HeaderName::try_from(name).map_err(|error| unsendable(error.into()))?;
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            continue;
        }
        let value = HeaderValue::try_from(value).map_err(|error| unsendable(error.into()))?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}
