//! The heads of messages: read as strictly as two readers must agree on them, and written back as they were spelled.
//!
//! Requests and replies come out as the types of the crate `http`, in which names are in lower case and repeated ones stand
//! together. How they stood on the wire is kept beside them ([`Spelling`]), and followed where a head is passed on.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::{Header, ParserConfig, Status};

use super::body::Framing;
use super::buffers::{Input, Looked};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

mod write;

pub(super) use write::{Added, AddedFraming, write_interim, write_request, write_response};

/// What is wrong with a head.
#[derive(Debug, thiserror::Error)]
pub enum HeadFault {
    /// It is no head of HTTP/1.
    #[error("it is not written in HTTP/1")]
    Syntax(#[source] httparse::Error),
    /// It holds something that HTTP has no value for.
    #[error("it holds what HTTP cannot carry")]
    Value(#[source] http::Error),
    /// It is beyond the limits.
    #[error("it is longer than {HEAD_BYTES_MAX} bytes, or has more than {HEADERS_MAX} fields")]
    TooLarge,
    /// It was not whole in time.
    #[error("it did not come to its end in time")]
    TooSlow,
    /// A `content-length` is no number, or there are two different ones.
    #[error("its content-length is not one number")]
    Length,
    /// A `transfer-encoding` of a request other than `chunked`, or of a reply that cannot be undone.
    #[error("its transfer-encoding is not `chunked`")]
    Coding,
    /// It says in two ways where the body ends, of which another reader may believe the other one.
    #[error("its framing can be read in two ways")]
    Ambiguous,
    /// It names more than one host.
    #[error("it names more than one host")]
    Hosts,
    /// The provider switches to another protocol, which nobody asked for.
    #[error("it switches to another protocol")]
    Switch,
    /// More interim responses than anybody needs.
    #[error("too many interim responses came before it")]
    Interims,
}

impl HeadFault {
    /// Returns how a request with this fault is refused.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Syntax(httparse::Error::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Syntax(_)
            | Self::Value(_)
            | Self::Length
            | Self::Ambiguous
            | Self::Hosts
            | Self::Switch
            | Self::Interims => StatusCode::BAD_REQUEST,
        }
    }
}

/// How the names of a head stood on the wire, and a reply's reason.
#[derive(Clone, Debug)]
pub(crate) struct Spelling {
    head: Bytes,
    reason: Bytes,
    fields: Vec<Spelled>,
    /// Whether a name stands in it more than once.
    repeats: bool,
}

/// Where a field stands in a head.
#[derive(Clone, Copy, Debug)]
struct Spelled {
    at: usize,
    name_end: usize,
    value_at: usize,
    value_end: usize,
    /// Whether the line ends right behind the value, so that it can be copied as it is.
    is_plain: bool,
}

impl Spelled {
    fn of(head: &Bytes, field: &Header<'_>) -> Self {
        let at = offset(head, field.name.as_bytes());
        let value_at = offset(head, field.value);
        let value_end = value_at.saturating_add(field.value.len());
        let behind = head.get(value_end..value_end.saturating_add(2));
        // A `transfer-encoding` is this connection's.
        let is_plain = behind == Some(b"\r\n") && field.name.len() != TRANSFER_ENCODING_LENGTH;
        Self { at, name_end: at.saturating_add(field.name.len()), value_at, value_end, is_plain }
    }

    /// Returns whether this is still the value that stands there.
    fn is_kept(&self, head: &Bytes, value: &HeaderValue) -> bool {
        let value = value.as_bytes();
        self.is_plain
            && offset(head, value) == self.value_at
            && value.len() == self.value_end - self.value_at
    }
}

/// How long the name of the field is that is never copied.
const TRANSFER_ENCODING_LENGTH: usize = "transfer-encoding".len();

impl Spelling {
    /// Returns a name as it stood.
    fn name(&self, field: Spelled) -> &[u8] {
        self.head.get(field.at..field.name_end).unwrap_or_default()
    }

    /// Returns the names of the first fields as they stood.
    fn names(&self, n: usize) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().take(n).map(|field| self.name(*field))
    }
}

/// A request's head.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: request::Parts,
    pub(crate) framing: Framing,
    /// Whether the client wants to use the connection again.
    pub(crate) persists: bool,
    pub(crate) expects_continue: bool,
}

/// A reply's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) parts: response::Parts,
    pub(crate) framing: Framing,
    /// Whether the connection can be used again.
    pub(crate) persists: bool,
}

/// What the fields of a head say about its connection and its body.
#[derive(Debug, Default)]
struct Facts {
    length: Option<u64>,
    lengths: u32,
    coding: Coding,
    hosts: u32,
    says_close: bool,
    says_keep_alive: bool,
    expects_continue: bool,
}

/// What a `transfer-encoding` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

impl Facts {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeadFault> {
        // Most names are told apart by their length.
        match name.as_str().len() {
            4 if *name == HOST => self.hosts += 1,
            6 if *name == EXPECT => {
                self.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            }
            10 if *name == CONNECTION => {
                self.says_close |= has_token(value, b"close");
                self.says_keep_alive |= has_token(value, b"keep-alive");
            }
            14 if *name == CONTENT_LENGTH => {
                let length = length(value.as_bytes()).ok_or(HeadFault::Length)?;
                if self.length.is_some_and(|known| known != length) {
                    return Err(HeadFault::Length);
                }
                self.length = Some(length);
                self.lengths += 1;
            }
            17 if *name == TRANSFER_ENCODING => {
                let is_chunked = value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
                // Chunked twice is a coding of its own, which nobody makes in good faith.
                self.coding = match (is_chunked, self.coding) {
                    (true, Coding::None) => Coding::Chunked,
                    _ => Coding::Other,
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn persists(&self, version: Version) -> bool {
        if version == Version::HTTP_10 {
            self.says_keep_alive && !self.says_close
        } else {
            !self.says_close
        }
    }
}

/// Reads a length: digits and nothing else, as some readers take `+1` or `1 2` for one, and others for another.
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 20 {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns whether a list has a word in it.
pub(super) fn has_token(value: &HeaderValue, token: &[u8]) -> bool {
    let mut words = value.as_bytes().split(|byte| *byte == b',');
    words.any(|word| word.trim_ascii().eq_ignore_ascii_case(token))
}

type Fields<'h> = [MaybeUninit<Header<'h>>; HEADERS_MAX];

/// What looking for a head came to.
enum Found<T> {
    Whole(T, usize),
    Partial,
}

/// Looks for a head in what was read. `parse` is asked at once, as most heads come whole, and then only when an end has come or
/// as much again: bytes that drip in are not read again and again.
fn find<T>(
    input: &mut Input,
    parse: impl FnOnce(&Bytes) -> Result<Found<T>, HeadFault>,
) -> Result<Option<T>, HeadFault> {
    input.skip_line_ends();
    let unread = input.bytes().clone();
    let looked = input.looked();
    let may_be_whole = looked.parsed == 0
        || unread.len() >= looked.parsed * 2
        || has_end(&unread, looked.searched);
    looked.searched = unread.len();
    if unread.is_empty() || !may_be_whole {
        return within_limit(&unread).map(|()| None);
    }
    looked.parsed = unread.len();
    match parse(&unread)? {
        Found::Whole(_, length) if length > HEAD_BYTES_MAX => Err(HeadFault::TooLarge),
        Found::Whole(head, length) => {
            *looked = Looked::default();
            input.bytes().advance(length);
            Ok(Some(head))
        }
        Found::Partial => within_limit(&unread).map(|()| None),
    }
}

fn within_limit(unread: &Bytes) -> Result<(), HeadFault> {
    if unread.len() > HEAD_BYTES_MAX { Err(HeadFault::TooLarge) } else { Ok(()) }
}

/// Returns whether an empty line ends behind what was searched.
fn has_end(unread: &Bytes, searched: usize) -> bool {
    let bytes = unread.get(searched.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', bytes).any(|at| {
        let behind = bytes.get(at + 1..).unwrap_or_default();
        behind.starts_with(b"\n") || behind.starts_with(b"\r\n")
    })
}

fn syntax(error: httparse::Error) -> HeadFault {
    match error {
        httparse::Error::TooManyHeaders => HeadFault::TooLarge,
        error => HeadFault::Syntax(error),
    }
}

fn value(error: impl Into<http::Error>) -> HeadFault {
    HeadFault::Value(error.into())
}

/// Takes a request's head out of what was read, if it is whole.
pub(super) fn request(input: &mut Input) -> Result<Option<RequestHead>, HeadFault> {
    find(input, |unread| {
        let mut fields: Fields<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(unread, &mut fields).map_err(syntax)? {
            Status::Partial => Ok(Found::Partial),
            Status::Complete(length) => {
                let head = request_head(unread.slice(..length), &parsed)?;
                Ok(Found::Whole(head, length))
            }
        }
    })
}

fn request_head(head: Bytes, parsed: &httparse::Request<'_, '_>) -> Result<RequestHead, HeadFault> {
    let (mut parts, ()) = Request::new(()).into_parts();
    let method = parsed.method.unwrap_or_default();
    parts.method = Method::from_bytes(method.as_bytes()).map_err(value)?;
    let target = parsed.path.unwrap_or_default().as_bytes();
    parts.uri = Uri::from_maybe_shared(part_of(&head, target)).map_err(value)?;
    parts.version = version(parsed.version);
    let (headers, spelling, facts) = fields(head, Bytes::new(), parsed.headers, false)?;
    parts.headers = headers;
    parts.extensions.insert(spelling);
    if facts.hosts > 1 {
        return Err(HeadFault::Hosts);
    }
    let framing = match (facts.coding, facts.length) {
        (Coding::None, None) => Framing::Empty,
        (Coding::None, Some(length)) => Framing::Length(length),
        (Coding::Chunked, None) if parts.version == Version::HTTP_11 => Framing::Chunked,
        (Coding::Other, None) => return Err(HeadFault::Coding),
        (Coding::Chunked | Coding::Other, _) => return Err(HeadFault::Ambiguous),
    };
    let persists = facts.persists(parts.version);
    let expects_continue = facts.expects_continue && parts.version == Version::HTTP_11;
    Ok(RequestHead { parts, framing, persists, expects_continue })
}

/// Takes the head of a reply to such a request out of what was read, if it is whole.
pub(super) fn response(
    input: &mut Input,
    asked: &Method,
) -> Result<Option<ResponseHead>, HeadFault> {
    find(input, |unread| {
        let mut fields: Fields<'_> = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let mut parser = ParserConfig::default();
        // Whoever passes such a line on has to unfold it.
        parser.allow_obsolete_multiline_headers_in_responses(true);
        let status = parser
            .parse_response_with_uninit_headers(&mut parsed, unread, &mut fields)
            .map_err(syntax)?;
        match status {
            Status::Partial => Ok(Found::Partial),
            Status::Complete(length) => {
                let head = response_head(unread.slice(..length), &parsed, asked)?;
                Ok(Found::Whole(head, length))
            }
        }
    })
}

fn response_head(
    head: Bytes,
    parsed: &httparse::Response<'_, '_>,
    asked: &Method,
) -> Result<ResponseHead, HeadFault> {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(value)?;
    parts.version = version(parsed.version);
    let reason = reason(&head);
    let (headers, spelling, facts) = fields(head, reason, parsed.headers, true)?;
    parts.headers = headers;
    parts.extensions.insert(spelling);
    let framing = match (facts.coding, facts.length) {
        _ if !has_body(asked, parts.status) => Framing::Empty,
        (Coding::Chunked, length) => {
            if length.is_some() {
                // The length is wrong by the coding; passed on, it would be believed.
                parts.headers.remove(CONTENT_LENGTH);
            }
            Framing::Chunked
        }
        (Coding::Other, _) => return Err(HeadFault::Coding),
        (Coding::None, Some(length)) => Framing::Length(length),
        (Coding::None, None) => Framing::UntilClose,
    };
    let is_sure = facts.coding == Coding::None
        || (facts.length.is_none() && parts.version == Version::HTTP_11);
    let persists = facts.persists(parts.version) && is_sure && framing != Framing::UntilClose;
    Ok(ResponseHead { parts, framing, persists })
}

/// Returns whether a reply has a body, whatever its fields say.
pub(crate) fn has_body(asked: &Method, status: StatusCode) -> bool {
    asked != Method::HEAD
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

/// Returns what stands behind the status: free text, and not always ASCII.
fn reason(head: &Bytes) -> Bytes {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let reason = line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
    part_of(head, reason.strip_suffix(b"\r").unwrap_or(reason))
}

/// Returns a part of the head that shares its memory.
fn part_of(head: &Bytes, part: &[u8]) -> Bytes {
    let at = offset(head, part);
    // What is no part of it does not come here; it would be copied.
    if head.get(at..at.saturating_add(part.len())).is_some() {
        head.slice(at..at + part.len())
    } else {
        Bytes::copy_from_slice(part)
    }
}

fn offset(head: &Bytes, part: &[u8]) -> usize {
    (part.as_ptr().addr()).wrapping_sub(head.as_ptr().addr())
}

fn fields(
    head: Bytes,
    reason: Bytes,
    parsed: &[Header<'_>],
    may_fold: bool,
) -> Result<(HeaderMap, Spelling, Facts), HeadFault> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    let mut spelled = Vec::with_capacity(parsed.len());
    let mut facts = Facts::default();
    let mut repeats = false;
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(value)?;
        let value = if may_fold && memchr::memchr2(b'\r', b'\n', field.value).is_some() {
            HeaderValue::from_maybe_shared(unfolded(field.value))
        } else {
            HeaderValue::from_maybe_shared(part_of(&head, field.value))
        };
        let value = value.map_err(self::value)?;
        facts.note(&name, &value)?;
        spelled.push(Spelled::of(&head, field));
        repeats |= headers.append(name, value);
    }
    if facts.lengths > 1
        && let Some(length) = facts.length
    {
        // The same one twice: one is passed on, so that nobody has to make up their mind.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok((headers, Spelling { head, reason, fields: spelled, repeats }, facts))
}

/// Puts a value that stands on several lines onto one.
fn unfolded(value: &[u8]) -> Bytes {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    value.iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect()
}

#[cfg(test)]
mod tests;
