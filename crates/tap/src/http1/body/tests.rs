//! Bodies that are read to their end, and codings that are refused.

use super::*;

/// Decodes all that there is. Returns the data, the trailers, and whether the end was found.
fn decoded(framing: Framing, bytes: &[u8]) -> Result<(Vec<u8>, HeaderMap, bool, Bytes), BodyFault> {
    let mut unread = Bytes::copy_from_slice(bytes);
    let (mut decoder, mut data, mut trailers) =
        (Decoder::new(framing), Vec::new(), HeaderMap::new());
    loop {
        match decoder.decode(&mut unread)? {
            Decoded::Data(piece) => data.extend_from_slice(&piece),
            Decoded::Trailers(came) => trailers = came,
            Decoded::End => return Ok((data, trailers, true, unread)),
            Decoded::Nothing => return Ok((data, trailers, false, unread)),
        }
    }
}

#[test]
fn bodies_end_where_their_framing_says() {
    for (framing, bytes, data, is_whole, rest) in [
        (Framing::Empty, "next", "", true, "next"),
        (Framing::Length(4), "bodynext", "body", true, "next"),
        (Framing::Length(4), "bod", "bod", false, ""),
        (Framing::UntilClose, "anything", "anything", false, ""),
        (Framing::Chunked, "0\r\n\r\nnext", "", true, "next"),
        (Framing::Chunked, "4\r\nbody\r\n0\r\n\r\nnext", "body", true, "next"),
        (Framing::Chunked, "1\r\nb\r\n003\r\nody\r\n00\r\n\r\n", "body", true, ""),
        (
            Framing::Chunked,
            "A\r\n0123456789\r\na\r\n0123456789\r\n",
            "01234567890123456789",
            false,
            "",
        ),
        (Framing::Chunked, "4;name=value;\"q\"\r\nbody\r\n0;last\r\n\r\n", "body", true, ""),
        (Framing::Chunked, "4  \r\nbody\r\n0\t\r\n\r\n", "body", true, ""),
        (Framing::Chunked, "4\r\nbo", "bo", false, ""),
    ] {
        let (seen, _, ended, unread) = decoded(framing, bytes.as_bytes()).unwrap();
        let seen = (String::from_utf8(seen).unwrap(), ended, unread);
        assert_eq!(seen, (data.to_owned(), is_whole, Bytes::from(rest)), "{bytes:?}");
    }
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    use BodyFault as F;
    let many = |n: usize| ";".repeat(n);
    let table = [
        ("\r\n".to_owned(), F::ChunkSize),
        ("x\r\n".to_owned(), F::ChunkSize),
        ("-1\r\n".to_owned(), F::ChunkSize),
        ("+1\r\n".to_owned(), F::ChunkSize),
        ("0x1\r\n".to_owned(), F::ChunkSize),
        (" 1\r\n".to_owned(), F::ChunkSize),
        (";a\r\n".to_owned(), F::ChunkSize),
        ("10000000000000000\r\n".to_owned(), F::ChunkSize),
        ("1\n".to_owned(), F::ChunkSize),
        ("1;a\n".to_owned(), F::ChunkEnd),
        ("1\rx".to_owned(), F::ChunkEnd),
        ("1;a\rx".to_owned(), F::ChunkEnd),
        ("1\r\nab".to_owned(), F::ChunkEnd),
        ("1\r\na\n".to_owned(), F::ChunkEnd),
        ("1\r\na\rb".to_owned(), F::ChunkEnd),
        (format!("1{}", many(CHUNK_EXTENSIONS_MAX + 1)), F::Extensions),
        (format!("{}1", "0".repeat(CHUNK_EXTENSIONS_MAX + 17)), F::Extensions),
        (
            // Spread over many chunks.
            format!("1{}\r\na\r\n", many(CHUNK_EXTENSIONS_MAX / 8)).repeat(9),
            F::Extensions,
        ),
        (format!("0\r\nX: {}", "y".repeat(TRAILER_BYTES_MAX)), F::TrailersTooLong),
        ("0\r\nno colon\r\n\r\n".to_owned(), F::Trailers),
        ("0\r\n a: folded\r\n\r\n".to_owned(), F::Trailers),
        (format!("0\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1)), F::Trailers),
    ];
    for (bytes, fault) in table {
        let seen = decoded(Framing::Chunked, bytes.as_bytes()).expect_err(&bytes);
        assert_eq!(seen, fault, "{bytes:.40}");
    }
}

#[test]
fn trailers_are_read_without_those_that_belong_into_a_head() {
    let bytes = b"1\r\na\r\n0\r\nX-Checksum: c\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nAuthorization: a\r\nx-checksum: d\r\n\r\nnext";
    let (data, trailers, is_whole, rest) = decoded(Framing::Chunked, bytes).unwrap();
    assert_eq!((data.as_slice(), is_whole, &rest[..]), (&b"a"[..], true, &b"next"[..]));
    let came: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(
        came,
        [
            ("x-checksum", &HeaderValue::from_static("c")),
            ("x-checksum", &HeaderValue::from_static("d"))
        ]
    );
}

#[test]
fn only_a_body_without_framing_ends_with_its_connection() {
    for (framing, bytes, may_end) in [
        (Framing::UntilClose, "some", true),
        (Framing::Length(5), "some", false),
        (Framing::Chunked, "4\r\nsome\r\n", false),
        (Framing::Chunked, "4\r\nsome\r\n0\r\n", false),
    ] {
        let mut unread = Bytes::from(bytes);
        let mut decoder = Decoder::new(framing);
        while !matches!(decoder.decode(&mut unread).unwrap(), Decoded::Nothing) {}
        assert_eq!(decoder.connection_ended(), may_end, "{framing:?}");
    }
}

#[test]
fn size_lines_are_hexadecimal() {
    for size in [0, 1, 9, 10, 15, 16, 255, 4096, 65_535, usize::MAX] {
        let mut line = Vec::new();
        size_line(size, &mut line);
        assert_eq!(String::from_utf8(line).unwrap(), format!("{size:X}\r\n"));
    }
}
