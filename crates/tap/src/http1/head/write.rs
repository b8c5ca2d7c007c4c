//! Heads that are written: lines that nobody touched are copied as they came, the others under the names that came.

use http::header::{HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Version, request, response};

use super::{Spelling, TRANSFER_ENCODING_LENGTH};

/// What is added to the fields of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http1) struct Added {
    /// The framing, where the fields do not have it.
    pub(in crate::http1) framing: AddedFraming,
    /// What is said of the connection.
    pub(in crate::http1) connection: Option<&'static str>,
}

/// The framing that is added to the fields of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http1) enum AddedFraming {
    /// None.
    #[default]
    None,
    /// `transfer-encoding: chunked`.
    Chunked,
    /// `content-length`.
    Length(u64),
}

/// Writes the head of a request.
pub(in crate::http1) fn write_request(parts: &request::Parts, added: Added, out: &mut Vec<u8>) {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    if let (Some(scheme), Some(authority)) = (parts.uri.scheme_str(), parts.uri.authority()) {
        out.extend_from_slice(scheme.as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(authority.as_str().as_bytes());
    }
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(&parts.headers, parts.extensions.get(), added, out);
}

/// Writes the head of a response.
pub(in crate::http1) fn write_response(
    parts: &response::Parts,
    version: Version,
    added: Added,
    out: &mut Vec<u8>,
) {
    let spelling: Option<&Spelling> = parts.extensions.get();
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    match spelling {
        Some(spelling) => out.extend_from_slice(&spelling.reason),
        None => {
            let reason = parts.status.canonical_reason().unwrap_or_default();
            out.extend_from_slice(reason.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    write_fields(&parts.headers, spelling, added, out);
}

/// Writes an interim response, as it is.
pub(in crate::http1) fn write_interim(parts: &response::Parts, out: &mut Vec<u8>) {
    write_response(parts, Version::HTTP_11, Added::default(), out);
}

fn write_fields(
    headers: &HeaderMap,
    spelling: Option<&Spelling>,
    mut added: Added,
    out: &mut Vec<u8>,
) {
    match spelling {
        Some(spelling) => write_spelled(headers, spelling, &mut added, out),
        None => {
            for (name, value) in headers {
                write_field(name.as_str().as_bytes(), value, out);
            }
        }
    }
    match added.framing {
        AddedFraming::None => {}
        AddedFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        AddedFraming::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            write_number(length, out);
            out.extend_from_slice(b"\r\n");
        }
    }
    if let Some(connection) = added.connection {
        out.extend_from_slice(b"connection: ");
        out.extend_from_slice(connection.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes fields in the order and with the names that came; then those that were added since.
fn write_spelled(headers: &HeaderMap, spelling: &Spelling, added: &mut Added, out: &mut Vec<u8>) {
    let head = &spelling.head;
    let mut n_written = 0;
    // Where nothing was taken out and nothing repeats, both have one order, and nothing has to be looked up.
    let mut in_step = headers.values().peekable();
    // Lines that are copied together.
    let mut run = 0..0;
    for (index, field) in spelling.fields.iter().enumerate() {
        if in_step.next_if(|value| field.is_kept(head, value)).is_some() {
            if run.end != field.at {
                out.extend_from_slice(head.get(run).unwrap_or_default());
                run = field.at..field.at;
            }
            run.end = field.value_end + 2;
            n_written += 1;
            continue;
        }
        out.extend_from_slice(head.get(std::mem::take(&mut run)).unwrap_or_default());
        let spelled = spelling.name(*field);
        if let Some(value) = value_of(headers, spelling, index) {
            if in_step.peek().is_some_and(|next| std::ptr::eq(*next, value)) {
                in_step.next();
            }
            write_field(spelled, value, out);
            n_written += 1;
        } else if added.framing == AddedFraming::Chunked && is_spelled(&TRANSFER_ENCODING, spelled)
        {
            out.extend_from_slice(spelled);
            out.extend_from_slice(b": chunked\r\n");
            added.framing = AddedFraming::None;
        }
    }
    out.extend_from_slice(head.get(run).unwrap_or_default());
    if n_written == headers.len() {
        return;
    }
    for name in headers.keys() {
        let came = spelling.names(usize::MAX).filter(|spelled| is_spelled(name, spelled));
        for value in headers.get_all(name).iter().skip(came.count()) {
            write_field(name.as_str().as_bytes(), value, out);
        }
    }
}

fn is_spelled(name: &HeaderName, spelled: &[u8]) -> bool {
    name.as_str().as_bytes().eq_ignore_ascii_case(spelled)
}

/// Returns the value of a field. Where its name stands several times, it is the one in the same place among those of its name.
fn value_of<'h>(
    headers: &'h HeaderMap,
    spelling: &Spelling,
    index: usize,
) -> Option<&'h HeaderValue> {
    let spelled = spelling.name(*spelling.fields.get(index)?);
    let name = std::str::from_utf8(spelled).ok()?;
    if !spelling.repeats {
        return headers.get(name);
    }
    let before = spelling.names(index).filter(|name| name.eq_ignore_ascii_case(spelled)).count();
    headers.get_all(name).iter().nth(before)
}

fn write_field(spelled: &[u8], value: &HeaderValue, out: &mut Vec<u8>) {
    // How the body is sent is for the sender of each connection to say.
    if spelled.len() == TRANSFER_ENCODING_LENGTH && is_spelled(&TRANSFER_ENCODING, spelled) {
        return;
    }
    let value = value.as_bytes();
    out.reserve(spelled.len() + value.len() + 4);
    out.extend_from_slice(spelled);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(HeaderValue::from(number).as_bytes());
}
