//! Where a body ends: the codings by length, in chunks and by the end of the connection, both ways.

use bytes::{Buf as _, Bytes};
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRAILER,
};
use http::{HeaderMap, header};

use super::buffers::Output;
use crate::limits::{CHUNK_EXTENSIONS_MAX, HEADERS_MAX, TRAILER_BYTES_MAX};

/// What is wrong with a body.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BodyFault {
    /// A chunk's size is no hexadecimal number, or one beyond 64 bits.
    #[error("the size of a chunk is not a number")]
    ChunkSize,
    /// A chunk is not ended as it has to be.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// Chunk extensions beyond the limit.
    #[error("chunk extensions are longer than {CHUNK_EXTENSIONS_MAX} bytes")]
    Extensions,
    /// Trailers beyond the limit.
    #[error("the trailers are longer than {TRAILER_BYTES_MAX} bytes")]
    TrailersTooLong,
    /// Trailers that cannot be read.
    #[error("the trailers are not header fields")]
    Trailers,
}

/// How a message says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It has none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Takes a body out of what was read.
#[derive(Debug)]
pub(crate) struct Decoder(State);

#[derive(Debug)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    Chunked {
        at: At,
        /// How many more bytes there may be between the data: extensions, blanks, leading zeros.
        overhead_left: usize,
    },
}

/// Where in the chunked coding the next byte is.
#[derive(Debug)]
enum At {
    /// In the digits of a chunk's size.
    Size {
        size: u64,
        digits: u32,
    },
    /// Behind them.
    Extension {
        size: u64,
    },
    /// At the line feed that ends the line.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// At the carriage return behind the data.
    DataEnd,
    /// At the line feed behind that.
    DataEndLf,
    Trailers {
        read: Vec<u8>,
    },
}

const NEXT_CHUNK: At = At::Size { size: 0, digits: 0 };

/// Digits of the largest chunk; what stands before them are zeros.
const SIZE_DIGITS: u32 = 16;

/// What was found next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Some of it.
    Data(Bytes),
    /// What comes behind it. It is at its end.
    Trailers(HeaderMap),
    /// Its end.
    End,
    /// Nothing: more has to be read.
    Nothing,
}

impl Decoder {
    /// Starts on a body.
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
            Framing::Chunked => {
                State::Chunked { at: NEXT_CHUNK, overhead_left: CHUNK_EXTENSIONS_MAX }
            }
        })
    }

    /// Returns whether the body is at its end.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Returns how many bytes are still to come, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.0 {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            State::UntilClose | State::Chunked { .. } => None,
        }
    }

    /// Takes the next part out of what was read.
    pub(crate) fn decode(&mut self, unread: &mut Bytes) -> Result<Decoded, BodyFault> {
        match &mut self.0 {
            State::Done => Ok(Decoded::End),
            State::UntilClose if unread.is_empty() => Ok(Decoded::Nothing),
            State::UntilClose => Ok(Decoded::Data(std::mem::take(unread))),
            State::Length(left) => {
                let Some(data) = take_up_to(unread, left) else { return Ok(Decoded::Nothing) };
                if *left == 0 {
                    self.0 = State::Done;
                }
                Ok(Decoded::Data(data))
            }
            State::Chunked { at, overhead_left } => {
                let decoded = decode_chunked(at, overhead_left, unread)?;
                if matches!(decoded, Decoded::End | Decoded::Trailers(_)) {
                    self.0 = State::Done;
                }
                Ok(decoded)
            }
        }
    }

    /// Notes the end of the connection. Tells whether the body may end with it.
    pub(crate) fn connection_ended(&mut self) -> bool {
        if matches!(self.0, State::UntilClose) {
            self.0 = State::Done;
        }
        self.is_done()
    }
}

/// Takes as many bytes as there are, but no more than `left`.
fn take_up_to(unread: &mut Bytes, left: &mut u64) -> Option<Bytes> {
    if unread.is_empty() {
        return None;
    }
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(unread.len());
    *left -= n as u64;
    Some(if n == unread.len() { std::mem::take(unread) } else { unread.split_to(n) })
}

fn decode_chunked(
    at: &mut At,
    overhead_left: &mut usize,
    unread: &mut Bytes,
) -> Result<Decoded, BodyFault> {
    loop {
        if let At::Data { left } = at {
            let Some(data) = take_up_to(unread, left) else { return Ok(Decoded::Nothing) };
            if *left == 0 {
                *at = At::DataEnd;
            }
            return Ok(Decoded::Data(data));
        }
        let Some(byte) = unread.first().copied() else { return Ok(Decoded::Nothing) };
        unread.advance(1);
        match at {
            At::Data { .. } => {}
            At::Size { size, digits } => match (hex(byte), byte) {
                (Some(digit), _) => {
                    let larger = size.checked_mul(16).ok_or(BodyFault::ChunkSize)?;
                    *size = larger | u64::from(digit);
                    *digits = digits.saturating_add(1);
                    if *digits > SIZE_DIGITS {
                        spend(overhead_left)?;
                    }
                }
                (None, _) if *digits == 0 => return Err(BodyFault::ChunkSize),
                (None, b'\r') => *at = At::SizeEnd { size: *size },
                (None, b';' | b' ' | b'\t') => {
                    spend(overhead_left)?;
                    *at = At::Extension { size: *size };
                }
                (None, _) => return Err(BodyFault::ChunkSize),
            },
            At::Extension { size } => match byte {
                b'\r' => *at = At::SizeEnd { size: *size },
                // Some readers end a line here, and would find other chunks.
                b'\n' => return Err(BodyFault::ChunkEnd),
                _ => spend(overhead_left)?,
            },
            At::SizeEnd { size } => {
                *at = match (byte, *size) {
                    (b'\n', 0) => At::Trailers { read: Vec::new() },
                    (b'\n', left) => At::Data { left },
                    _ => return Err(BodyFault::ChunkEnd),
                };
            }
            At::DataEnd if byte == b'\r' => *at = At::DataEndLf,
            At::DataEndLf if byte == b'\n' => *at = NEXT_CHUNK,
            At::DataEnd | At::DataEndLf => return Err(BodyFault::ChunkEnd),
            At::Trailers { read } => {
                read.push(byte);
                if read == b"\r\n" {
                    return Ok(Decoded::End);
                }
                if read.ends_with(b"\r\n\r\n") {
                    return trailers(read).map(Decoded::Trailers);
                }
                if read.len() >= TRAILER_BYTES_MAX {
                    return Err(BodyFault::TrailersTooLong);
                }
            }
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn spend(overhead_left: &mut usize) -> Result<(), BodyFault> {
    *overhead_left = overhead_left.checked_sub(1).ok_or(BodyFault::Extensions)?;
    Ok(())
}

/// Fields that say where a message ends, where it goes or who sends it: behind a body they are believed by some, and seen by
/// nobody who checks the head.
const NO_TRAILERS: [HeaderName; 11] = [
    CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    TRAILER,
    HOST,
    AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_ENCODING,
    CONTENT_TYPE,
];

/// Returns whether a field may stand behind a body.
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    !NO_TRAILERS.contains(name)
}

fn trailers(read: &[u8]) -> Result<HeaderMap, BodyFault> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(read, &mut fields)
    else {
        return Err(BodyFault::Trailers);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let (Ok(name), Ok(value)) =
            (HeaderName::try_from(field.name), HeaderValue::from_bytes(field.value))
        else {
            return Err(BodyFault::Trailers);
        };
        if may_trail(&name) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

/// A body that ended before its declared length: the connection cannot carry anything more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooShort;

/// Puts a body into its coding.
#[derive(Debug)]
pub(crate) struct Encoder {
    framing: Framing,
    has_ended: bool,
}

impl Encoder {
    /// Starts on a body.
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, has_ended: false }
    }

    /// Returns whether nothing more can be sent: all that was declared is, or the end.
    pub(super) fn is_ended(&self) -> bool {
        self.has_ended || matches!(self.framing, Framing::Empty | Framing::Length(0))
    }

    /// Sends some of the body. What is beyond the declared length is cut.
    pub(super) fn data(&mut self, mut data: Bytes, output: &mut Output) {
        match &mut self.framing {
            Framing::Empty => {}
            Framing::Length(left) => {
                if data.len() as u64 > *left {
                    data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                }
                *left -= data.len() as u64;
                output.push(data);
            }
            Framing::UntilClose => output.push(data),
            // An empty chunk would be the last one.
            Framing::Chunked if data.is_empty() => {}
            Framing::Chunked => {
                size_line(data.len(), output.end());
                output.push(data);
                output.end().extend_from_slice(b"\r\n");
            }
        }
    }

    /// Ends the body. Trailers go only where chunks do.
    pub(super) fn end(
        &mut self,
        trailers: Option<&HeaderMap>,
        output: &mut Output,
    ) -> Result<(), TooShort> {
        self.has_ended = true;
        match self.framing {
            Framing::Length(left) if left > 0 => return Err(TooShort),
            Framing::Empty | Framing::Length(_) | Framing::UntilClose => {}
            Framing::Chunked => {
                let end = output.end();
                end.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    end.extend_from_slice(name.as_str().as_bytes());
                    end.extend_from_slice(b": ");
                    end.extend_from_slice(value.as_bytes());
                    end.extend_from_slice(b"\r\n");
                }
                end.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// Writes the line before a chunk.
fn size_line(size: usize, end: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let n_digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..n_digits).rev() {
        end.extend(DIGITS.get((size >> (4 * place)) & 0xf));
    }
    end.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
