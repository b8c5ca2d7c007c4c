//! Undoes the chunked framing of HTTP/1.1, which tools that save the raw bytes leave in.

use crate::BodyEnd;

/// A body without its frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undone {
    pub(super) body: Vec<u8>,
    /// Cut: it stops before its last frame, or its frames break.
    pub(super) end: BodyEnd,
}

/// Undoes the frames of a body. `None`: it has none, as most tools undo them before they save.
///
/// Editors turn CRLF into LF, so both end a line.
pub(super) fn undo(bytes: &[u8]) -> Option<Undone> {
    let mut undone = Undone { body: Vec::new(), end: BodyEnd::Cut };
    let mut rest = bytes;
    let mut n_frames = 0;
    while let Some((size, after)) = size_line(rest) {
        n_frames += 1;
        if size == 0 {
            undone.end = BodyEnd::Complete;
            break;
        }
        let data = after.get(..size).unwrap_or(after);
        undone.body.extend_from_slice(data);
        rest = after.get(size..).unwrap_or_default();
        let Some(next) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) else {
            break;
        };
        rest = next;
    }
    (n_frames > 0).then_some(undone)
}

/// Reads the line that says how long a frame is, without its extensions.
fn size_line(bytes: &[u8]) -> Option<(usize, &[u8])> {
    /// Longest size: all of a gigabyte.
    const DIGITS_MAX: usize = 8;
    let end = memchr::memchr(b'\n', bytes.get(..bytes.len().min(256))?)?;
    let line = bytes.get(..end)?.trim_ascii_end();
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let is_size =
        (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    Some((size.filter(|_| is_size)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Option<(&str, BodyEnd)>) {
        let expected = expected.map(|(body, end)| Undone { body: body.as_bytes().to_vec(), end });
        assert_eq!(undo(bytes.as_bytes()), expected, "{bytes}");
    }

    #[test]
    fn frames_are_undone() {
        check("2\r\n{}\r\n0\r\n\r\n", Some(("{}", BodyEnd::Complete)));
        check("1;a=b\r\n{\r\n1 \n}\n0\nTrailer: x\n\n", Some(("{}", BodyEnd::Complete)));
        check("A\r\n0123456789\r\n", Some(("0123456789", BodyEnd::Cut)));
        check("A\r\n01234", Some(("01234", BodyEnd::Cut)));
        check("2\r\n{}\r\n1", Some(("{}", BodyEnd::Cut)));
        check("2\r\n{}x\r\n0\r\n\r\n", Some(("{}", BodyEnd::Cut)));
        check("0\r\n\r\n", Some(("", BodyEnd::Complete)));
    }

    #[test]
    fn bodies_without_frames_stay() {
        for body in ["", "{}", "data: {}\n\n", "12", "123456789\r\n", "null\n", "<html>\n", "-1\n"]
        {
            check(body, None);
        }
    }
}
