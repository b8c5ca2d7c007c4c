//! Reads a response that was saved to a file, by `curl -i` or as a body alone, and judges it.

mod frames;

use std::borrow::Cow;

use crate::{BodyEnd, Judgement, Mode, Profile, ResponseJudge, Surface};

/// A saved response.
#[derive(Clone, PartialEq, Eq)]
pub struct Dump {
    /// The status; 200 for a bare body.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as it was received.
    pub body: Vec<u8>,
    /// There was no status line, so status and content type are assumed.
    pub bare: bool,
    /// How the frames of HTTP/1.1 end, where they were saved too; in `body` they are undone.
    pub framing: Option<BodyEnd>,
}

impl std::fmt::Debug for Dump {
    /// Shows no payload; what stands before a colon in a broken head may be some, so only names that a header may have are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_name = |name: &str| {
            name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        let names: Vec<_> = names.map(|name| if is_name(name) { name } else { "(odd)" }).collect();
        f.debug_struct("Dump")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("bare", &self.bare)
            .finish()
    }
}

impl Dump {
    /// Reads a saved response. Never fails: what has no status line is a bare body.
    ///
    /// Of several heads in a row (interim ones, a proxy's answer to CONNECT, redirects that were followed) the last counts.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = from_shell(bytes);
        let mut rest = &*text;
        let mut last = None;
        while let Some((status, headers, body)) = split_head(rest) {
            last = Some((status, headers));
            rest = body;
        }
        let Some((status, headers)) = last else {
            let content_type = ("content-type".to_owned(), guess_type(bytes).to_vec());
            let headers = vec![content_type];
            let body = bytes.to_vec();
            return Self { status: 200, headers, body, bare: true, framing: None };
        };
        let mut dump = Self { status, headers, body: rest.to_vec(), bare: false, framing: None };
        let is_chunked = dump
            .header("transfer-encoding")
            .is_some_and(|encoding| encoding.to_ascii_lowercase().ends_with(b"chunked"));
        if let Some(undone) = frames::undo(rest).filter(|_| is_chunked) {
            dump.body = undone.body;
            dump.framing = Some(undone.end);
        }
        dump
    }

    /// Tells how the body ended: what does not reach its `content-length`, or has no last frame, was cut.
    pub fn end(&self) -> BodyEnd {
        if let Some(end) = self.framing {
            return end;
        }
        if self.announced().is_some_and(|announced| announced > self.body.len() as u64) {
            BodyEnd::Cut
        } else {
            BodyEnd::Complete
        }
    }

    /// Whether there is more than the head announces. White space does not count: tools format what they save.
    fn exceeds_length(&self) -> bool {
        let is_framed = self.header("transfer-encoding").is_some();
        let exceeds = |length: u64| {
            self.body.len() as u64 > length
                && self.body.iter().filter(|byte| !byte.is_ascii_whitespace()).count() as u64
                    > length
        };
        !is_framed && self.announced().is_some_and(exceeds)
    }

    /// Returns the `content-length`.
    fn announced(&self) -> Option<u64> {
        let value = self.header("content-length")?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    }

    /// Returns the value of the last header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_slice())
    }
}

/// Judges a saved response.
pub fn judge_dump(surface: Surface, mode: Mode, profile: Profile, dump: &Dump) -> Judgement {
    let mut judge = ResponseJudge::new(surface, mode, profile);
    judge.head(
        dump.status,
        dump.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
    );
    if dump.exceeds_length() {
        judge.exceeds_length();
    }
    judge.push(&dump.body);
    judge.finish(dump.end()).0
}

/// Undoes what shells and editors do to a saved head: UTF-16, a byte order mark, blank lines before it. All else is as it was.
fn from_shell(bytes: &[u8]) -> Cow<'_, [u8]> {
    let to_u16: Option<fn([u8; 2]) -> u16> = match bytes.get(..2) {
        Some(b"\xff\xfe") => Some(u16::from_le_bytes),
        Some(b"\xfe\xff") => Some(u16::from_be_bytes),
        Some(_) | None => None,
    };
    let text = match to_u16 {
        Some(to_u16) => {
            let (pairs, _) = bytes.as_chunks();
            let units: Vec<_> = pairs.iter().skip(1).map(|pair| to_u16(*pair)).collect();
            Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
        }
        None => Cow::Borrowed(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    };
    if !text.trim_ascii_start().starts_with(b"HTTP/") {
        return Cow::Borrowed(bytes);
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_start()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii_start().to_vec()),
    }
}

/// A status, the headers, and what follows the head.
type Head<'b> = (u16, Vec<(String, Vec<u8>)>, &'b [u8]);

fn split_head(bytes: &[u8]) -> Option<Head<'_>> {
    let (line, mut rest) = split_line(bytes);
    let status = parse_status(line)?;
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        if matches!(line.first(), Some(b'{' | b'[' | b'<')) {
            // No name of a header begins so: the blank line was lost.
            break;
        }
        rest = after;
        if line.is_empty() {
            break;
        }
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            // A folded line continues the value before.
            if let Some((_, value)) = headers.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
        } else if let Some(colon) = memchr::memchr(b':', line) {
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            headers.push((
                String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase(),
                value.to_vec(),
            ));
        }
    }
    Some((status, headers, rest))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
}

/// Reads `HTTP/1.1 200 OK`, also without a reason, as HTTP/2 has none.
fn parse_status(line: &[u8]) -> Option<u16> {
    let line =
        std::str::from_utf8(line.get(..line.len().min(32)).unwrap_or_default()).unwrap_or_default();
    let mut words = line.strip_prefix("HTTP/")?.split_ascii_whitespace();
    let version = words.next()?;
    let status = words.next()?;
    let is_version = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_version && status.len() == 3)
        .then(|| status.parse().ok())
        .flatten()
        .filter(|status| (100..1000).contains(status))
}

/// Guesses the type of a bare body, so that a missing header is no finding.
fn guess_type(body: &[u8]) -> &'static [u8] {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let is_events = body.starts_with(b":")
        || [&b"data"[..], b"event", b"id", b"retry"].iter().any(|field| {
            body.strip_prefix(*field).is_some_and(|rest| {
                rest.first().is_some_and(|byte| matches!(byte, b':' | b'\r' | b'\n'))
            })
        });
    match body.first() {
        _ if is_events => b"text/event-stream",
        Some(b'<') => b"text/html",
        Some(_) | None => b"application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dump: &str, status: u16, body: &str, bare: bool) {
        let dump = Dump::parse(dump.as_bytes());
        assert_eq!(
            (dump.status, std::str::from_utf8(&dump.body).unwrap(), dump.bare),
            (status, body, bare)
        );
    }

    #[test]
    fn the_last_head_counts() {
        check("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}", 200, "{}", false);
        check("HTTP/2 503 \r\ncontent-type: text/html\r\n\r\nx", 503, "x", false);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\n\n{}", 401, "{}", false);
        check(
            "HTTP/1.1 200 Connection established\r\n\r\nHTTP/2 200\r\nx: y\r\n\r\nz",
            200,
            "z",
            false,
        );
        check(
            "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n",
            404,
            "",
            false,
        );
        check("HTTP/1.1 204 No Content\r\nx: y", 204, "", false);
        check("HTTP/1.1 200 OK\r\nx: y\r\n{\"a\":1}", 200, "{\"a\":1}", false);
        check("{\"a\":1}", 200, "{\"a\":1}", true);
        check("HTTP/ is a protocol", 200, "HTTP/ is a protocol", true);
        check("", 200, "", true);
    }

    #[test]
    fn headers_are_read_in_any_case() {
        let dump = Dump::parse(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\r\n c\r\nodd\r\n\r\n{}",
        );
        assert_eq!(dump.header("content-type"), Some(&b"application/json"[..]));
        assert_eq!(dump.header("x-a"), Some(&b"b c"[..]));
        assert_eq!(
            Dump::parse(b"data: {}\n\n").header("content-type"),
            Some(&b"text/event-stream"[..])
        );
    }

    #[test]
    fn unreached_length_is_a_cut() {
        assert_eq!(
            Dump::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}").end(),
            BodyEnd::Cut
        );
        assert_eq!(
            Dump::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\n").end(),
            BodyEnd::Complete
        );
        assert_eq!(Dump::parse(b"{").end(), BodyEnd::Complete);
    }
}
