//! The side towards a provider: one request at a time over a connection, driven by whoever waits for its reply.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, StatusCode, header, request, response};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Decoded, Decoder, Encoder, Framing, TooShort};
use super::buffers::{Input, Output};
use super::head::{self, Added, AddedFraming, HeadFault, ResponseHead};
use super::{Others, WireError};
use crate::limits::INTERIMS_MAX;

/// A connection, and what was read of it.
#[derive(Debug)]
pub(crate) struct Link<S> {
    io: S,
    input: Input,
    interims: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Takes a connection over which nothing was said yet.
    pub(crate) fn new(io: S) -> Self {
        Self { io, input: Input::default(), interims: 0 }
    }

    /// Returns whether a request can be sent: the peer has not closed, and has said nothing that nobody asked for.
    pub(crate) fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        self.interims = 0;
        self.is_at_rest() && self.input.poll_fill(&mut self.io, cx).is_pending()
    }

    /// Returns whether everything that was read has been used.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.input.is_empty()
    }

    /// Returns whether nothing came since a request was begun.
    pub(crate) fn has_said_nothing(&self) -> bool {
        self.is_at_rest() && self.interims == 0
    }

    /// Reads the head of the reply. Interim responses are told as they come.
    pub(crate) fn poll_head(
        &mut self,
        asked: &Method,
        interim: &mut impl FnMut(response::Parts),
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, WireError>> {
        loop {
            while let Some(head) =
                head::response(&mut self.input, asked).map_err(WireError::Head)?
            {
                match head.parts.status {
                    StatusCode::SWITCHING_PROTOCOLS => {
                        return Poll::Ready(Err(WireError::Head(HeadFault::Switch)));
                    }
                    status if !status.is_informational() => return Poll::Ready(Ok(head)),
                    status => {
                        self.interims += 1;
                        if self.interims > INTERIMS_MAX {
                            return Poll::Ready(Err(WireError::Head(HeadFault::Interims)));
                        }
                        // Whether to go on was for the tap to know, which sends its body unasked.
                        if status != StatusCode::CONTINUE {
                            interim(head.parts);
                        }
                    }
                }
            }
            match std::task::ready!(self.input.poll_fill(&mut self.io, cx)) {
                Ok(0) => return Poll::Ready(Err(WireError::Ended)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(WireError::Broken(error))),
            }
        }
    }

    /// Reads the next part of the reply's body.
    pub(crate) fn poll_frame(
        &mut self,
        decoder: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        poll_frame(&mut self.io, &mut self.input, decoder, cx)
    }
}

/// Reads the next part of a body.
pub(super) fn poll_frame(
    io: &mut (impl AsyncRead + Unpin),
    input: &mut Input,
    decoder: &mut Decoder,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
    loop {
        match decoder.decode(input.bytes()).map_err(WireError::Body)? {
            Decoded::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Decoded::Trailers(trailers) => {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            Decoded::End => return Poll::Ready(None),
            Decoded::Nothing => {}
        }
        match std::task::ready!(input.poll_fill(io, cx)) {
            Ok(0) if decoder.connection_ended() => return Poll::Ready(None),
            Ok(0) => return Poll::Ready(Some(Err(WireError::Ended))),
            Ok(_) => {}
            Err(error) => return Poll::Ready(Some(Err(WireError::Broken(error)))),
        }
    }
}

/// Why a request could not be sent to its end.
#[derive(Debug)]
pub(crate) enum SendFailure {
    /// The connection took no more. A reply may have come all the same.
    Connection(io::Error),
    /// The rest of the request's body did not come.
    Body(WireError),
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Sending<B> {
    body: B,
    encoder: Encoder,
    output: Output,
    /// Whether the connection has taken any of it.
    has_begun: bool,
    others: Others,
}

impl<B: Body<Data = Bytes, Error = WireError> + Unpin> Sending<B> {
    /// Starts on a request. Its fields are complete but for the framing.
    pub(crate) fn start(parts: &request::Parts, body: B) -> Self {
        let declared = parts.headers.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let (framing, added) = match (declared, body.size_hint().exact()) {
            (Some(length), _) => (Framing::Length(length), AddedFraming::None),
            (None, Some(0)) => (Framing::Empty, AddedFraming::None),
            (None, Some(length)) => (Framing::Length(length), AddedFraming::Length(length)),
            (None, None) => (Framing::Chunked, AddedFraming::Chunked),
        };
        let mut output = Output::default();
        let added = Added { framing: added, connection: None };
        head::write_request(parts, added, output.end());
        Self {
            body,
            encoder: Encoder::new(framing),
            output,
            has_begun: false,
            others: Others::default(),
        }
    }

    /// Returns whether the connection has taken any of the request.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns the body, as far as it was taken.
    pub(crate) fn into_body(self) -> B {
        self.body
    }

    /// Sends what can be sent.
    pub(crate) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendFailure>> {
        loop {
            let is_waiting = self.fill(cx).map_err(SendFailure::Body)?.is_pending();
            std::task::ready!(self.others.go_first(cx));
            let had = self.output.len();
            let flushed = self.output.poll_flush(&mut link.io, cx);
            self.has_begun |= self.output.len() < had;
            match flushed {
                Poll::Ready(Ok(())) if is_waiting => return Poll::Pending,
                Poll::Ready(Ok(())) if self.encoder.is_ended() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(SendFailure::Connection(error)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Puts as much of the body behind the head as there is room for. Pending means that more is still to come.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, WireError> {
        while !self.encoder.is_ended() && self.output.has_room() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => {
                    self.encoder.end(None, &mut self.output).map_err(too_short)?;
                }
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => self.encoder.data(data, &mut self.output),
                    Err(frame) => {
                        let trailers = frame.into_trailers().ok();
                        let end = self.encoder.end(trailers.as_ref(), &mut self.output);
                        end.map_err(too_short)?;
                    }
                },
            }
        }
        Ok(Poll::Ready(()))
    }
}

fn too_short(_short: TooShort) -> WireError {
    WireError::Ended
}
