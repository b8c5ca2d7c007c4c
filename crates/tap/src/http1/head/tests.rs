//! Heads that are read, heads that are refused, and heads that are written as they came.

use super::*;

fn read(bytes: &[u8]) -> Result<Option<RequestHead>, HeadFault> {
    let mut input = Input::default();
    input.push(bytes);
    request(&mut input)
}

fn read_response(bytes: &[u8], asked: &Method) -> Result<Option<ResponseHead>, HeadFault> {
    let mut input = Input::default();
    input.push(bytes);
    response(&mut input, asked)
}

/// Reads a POST with these lines.
fn with(lines: &str) -> Result<RequestHead, HeadFault> {
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: tap\r\n{lines}\r\n");
    Ok(read(head.as_bytes())?.expect("it is whole"))
}

#[test]
fn framing_of_requests_is_read_in_one_way_or_not_at_all() {
    use Framing as F;
    let table: [(&str, Result<Framing, u16>); 31] = [
        ("", Ok(F::Empty)),
        ("Content-Length: 0\r\n", Ok(F::Length(0))),
        ("Content-Length: 7\r\n", Ok(F::Length(7))),
        ("content-length:7\r\n", Ok(F::Length(7))),
        ("Content-Length: \t 7 \t\r\n", Ok(F::Length(7))),
        ("Content-Length: 18446744073709551615\r\n", Ok(F::Length(u64::MAX))),
        // The same one twice has one meaning.
        ("Content-Length: 7\r\nContent-Length: 7\r\n", Ok(F::Length(7))),
        ("Content-Length: 7\r\nContent-Length: 8\r\n", Err(400)),
        ("Content-Length: 7, 7\r\n", Err(400)),
        ("Content-Length: 18446744073709551616\r\n", Err(400)),
        ("Content-Length: +7\r\n", Err(400)),
        ("Content-Length: -7\r\n", Err(400)),
        ("Content-Length: 0x7\r\n", Err(400)),
        ("Content-Length: 7 7\r\n", Err(400)),
        ("Content-Length:\r\n", Err(400)),
        ("Transfer-Encoding: chunked\r\n", Ok(F::Chunked)),
        ("Transfer-Encoding:\tChUnKeD \r\n", Ok(F::Chunked)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", Err(400)),
        ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", Err(400)),
        ("Content-Length: 7\r\nTransfer-Encoding: identity\r\n", Err(400)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(501)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(501)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
        ("Transfer-Encoding: chunked, identity\r\n", Err(501)),
        ("Transfer-Encoding: xchunked\r\n", Err(501)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(501)),
        ("Transfer-Encoding: chunked;q=1\r\n", Err(501)),
        ("Transfer-Encoding:\r\n", Err(501)),
        // Seen as another field by some, and as the framing by others.
        ("Transfer-Encoding : chunked\r\n", Err(400)),
        (" Transfer-Encoding: chunked\r\n", Err(400)),
        ("X: a\r\n Transfer-Encoding: chunked\r\n", Err(400)),
    ];
    for (lines, expected) in table {
        let seen = with(lines).map(|head| head.framing).map_err(|fault| fault.status().as_u16());
        assert_eq!(seen, expected, "{lines:?}");
    }
}

#[test]
fn heads_that_are_no_requests_are_refused() {
    for (head, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\n\r\n", 400),
        (b"G ET / HTTP/1.1\r\n\r\n", 505),
        (b"GET /\0 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x7f HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n", 400),
    ] {
        let text = String::from_utf8_lossy(head);
        let fault = read(head).expect_err(&text);
        assert_eq!(fault.status().as_u16(), status, "{text:?}: {fault}");
    }
}

#[test]
fn heads_have_their_limits() {
    let many = |n: usize| "X: y\r\n".repeat(n);
    assert!(with(&many(HEADERS_MAX - 1)).is_ok());
    assert!(matches!(with(&many(HEADERS_MAX)), Err(HeadFault::TooLarge)));
    let long = |n: usize| format!("X: {}\r\n", "y".repeat(n));
    assert!(with(&long(HEAD_BYTES_MAX - 100)).is_ok());
    assert!(matches!(with(&long(HEAD_BYTES_MAX)), Err(HeadFault::TooLarge)));
    // Also one that never ends.
    let endless = format!("GET /{}", "y".repeat(HEAD_BYTES_MAX));
    assert!(matches!(read(endless.as_bytes()), Err(HeadFault::TooLarge)));
}

#[test]
fn connections_are_kept_as_their_version_says() {
    for (version, line, persists) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive, CLOSE\r\n", false),
        ("1.1", "Connection: x-closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\n{line}\r\n");
        let head = read(head.as_bytes()).unwrap().expect("it is whole");
        assert_eq!(head.persists, persists, "{version} {line}");
    }
}

#[test]
fn only_who_can_wait_is_told_to_continue() {
    assert!(with("Expect: 100-Continue\r\nContent-Length: 7\r\n").unwrap().expects_continue);
    assert!(!with("Expect: 200-ok\r\n").unwrap().expects_continue);
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n";
    assert!(!read(old).unwrap().expect("it is whole").expects_continue);
}

#[test]
fn framing_of_replies_follows_their_request_and_status() {
    use Framing as F;
    let get = Method::GET;
    let table = [
        ("200 OK\r\n", &get, Ok((F::UntilClose, false))),
        ("200 OK\r\nContent-Length: 7\r\n", &get, Ok((F::Length(7), true))),
        ("200 OK\r\nContent-Length: 7\r\nConnection: close\r\n", &get, Ok((F::Length(7), false))),
        ("200 OK\r\nContent-Length: 7\r\n", &Method::HEAD, Ok((F::Empty, true))),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n", &Method::HEAD, Ok((F::Empty, true))),
        ("204 No Content\r\n", &get, Ok((F::Empty, true))),
        ("204 No Content\r\nContent-Length: 7\r\n", &get, Ok((F::Empty, true))),
        ("304 Not Modified\r\nContent-Length: 7\r\n", &get, Ok((F::Empty, true))),
        ("103 Early Hints\r\n", &get, Ok((F::Empty, true))),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n", &get, Ok((F::Chunked, true))),
        // The coding wins, and such a connection is not trusted with another reply.
        (
            "200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n",
            &get,
            Ok((F::Chunked, false)),
        ),
        ("200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", &get, Err(())),
        ("200 OK\r\nTransfer-Encoding: gzip\r\n", &get, Err(())),
        ("200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n", &get, Ok((F::Length(7), true))),
        ("200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n", &get, Err(())),
        ("200 OK\r\nContent-Length: seven\r\n", &get, Err(())),
        ("200\r\nContent-Length: 7\r\n", &get, Ok((F::Length(7), true))),
        ("20 OK\r\n", &get, Err(())),
        ("200 OK\r\nContent-Length : 7\r\n", &get, Err(())),
    ];
    for (lines, asked, expected) in table {
        let head = format!("HTTP/1.1 {lines}\r\n");
        let seen = read_response(head.as_bytes(), asked)
            .map(|head| head.map(|head| (head.framing, head.persists)).expect("it is whole"))
            .map_err(drop);
        assert_eq!(seen, expected, "{lines:?}");
    }
    let old = b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n";
    assert!(!read_response(old, &get).unwrap().expect("it is whole").persists);
}

#[test]
fn lengths_that_cannot_be_believed_are_not_passed_on() {
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = read_response(both, &Method::GET).unwrap().expect("it is whole");
    assert!(!head.parts.headers.contains_key(CONTENT_LENGTH));
    let twice = with("Content-Length: 007\r\nContent-Length: 7\r\n").unwrap();
    let lengths: Vec<_> = twice.parts.headers.get_all(CONTENT_LENGTH).iter().collect();
    assert_eq!(lengths, ["7"]);
}

/// Reads a request's head and writes it again.
#[track_caller]
fn check_rewritten(came: &str, change: impl FnOnce(&mut HeaderMap), goes: &str) {
    let mut head = read(came.as_bytes()).unwrap().expect("it is whole");
    change(&mut head.parts.headers);
    let framing =
        if head.framing == Framing::Chunked { AddedFraming::Chunked } else { AddedFraming::None };
    let mut out = Vec::new();
    write_request(&head.parts, Added { framing, connection: None }, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), goes);
}

#[test]
fn requests_are_written_as_they_came() {
    let odd = "POST /a?b=c HTTP/1.1\r\nhOST: tap\r\nX-B: 1\r\nx-a: \r\nX-b: 2\r\nAuthorization: Bearer k\r\nX-B: 3\r\nX-Ünï: \u{e9}\r\nContent-Length: 1\r\n\r\n";
    // Names are ASCII; values are not.
    let odd = odd.replace("X-Ünï", "X-Uni");
    check_rewritten(&odd, |_| {}, &odd);
    check_rewritten(
        &odd,
        |headers| {
            headers.insert(HOST, HeaderValue::from_static("provider"));
            headers.remove("x-uni");
            headers.insert("x-new", HeaderValue::from_static("n"));
        },
        "POST /a?b=c HTTP/1.1\r\nhOST: provider\r\nX-B: 1\r\nx-a: \r\nX-b: 2\r\nAuthorization: Bearer k\r\nX-B: 3\r\nContent-Length: 1\r\nx-new: n\r\n\r\n",
    );
    check_rewritten(
        &odd,
        |headers| {
            headers.remove("x-b");
            headers.append("x-a", HeaderValue::from_static("more"));
        },
        &odd.replace("X-B: 1\r\n", "")
            .replace("X-b: 2\r\n", "")
            .replace("X-B: 3\r\n", "")
            .replace("\r\n\r\n", "\r\nx-a: more\r\n\r\n"),
    );
    // Also the blanks before a value; those behind it are gone.
    check_rewritten(
        "POST / HTTP/1.1\r\na:b\r\nC:\t d\r\nE: f \r\nG:\r\nh: i\nJ: k\r\n\r\n",
        |_| {},
        "POST / HTTP/1.1\r\na:b\r\nC:\t d\r\nE: f\r\nG:\r\nh: i\r\nJ: k\r\n\r\n",
    );
    let chunked = "POST / HTTP/1.1\r\nTRANSFER-ENCODING: Chunked\r\nZ: z\r\n\r\n";
    let goes = "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nZ: z\r\n\r\n";
    check_rewritten(chunked, |headers| drop(headers.remove(TRANSFER_ENCODING)), goes);
}

#[test]
fn replies_are_written_as_they_came() {
    for came in [
        "HTTP/1.1 200 Alles gut \u{e9}\r\nServer: x\r\nSET-cookie: a\r\nDate: d\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
    ] {
        let head = read_response(came.as_bytes(), &Method::GET).unwrap().expect("it is whole");
        let mut out = Vec::new();
        write_response(&head.parts, Version::HTTP_11, Added::default(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), came);
    }
}

#[test]
fn folded_lines_of_a_reply_are_unfolded() {
    let folded = b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\nContent-Length: 0\r\n\r\n";
    let head = read_response(folded, &Method::GET).unwrap().expect("it is whole");
    assert_eq!(head.parts.headers["x"], "a    b");
}

#[test]
fn targets_of_any_form_are_read() {
    for (target, path) in [
        ("/v1/models?x=1", "/v1/models"),
        ("http://api.example.test/v1/models", "/v1/models"),
        ("*", "*"),
        ("api.example.test:443", ""),
    ] {
        let head = format!("OPTIONS {target} HTTP/1.1\r\n\r\n");
        let head = read(head.as_bytes()).unwrap().expect("it is whole");
        assert_eq!(head.parts.uri.path(), path, "{target}");
    }
}
