//! The reader of server-sent events, held against the text of the standard (WHATWG HTML, 9.2 "Server-sent events"), case by case
//! and cut at every byte.
//!
//! Sections: 9.2.5 is "Parsing an event stream", 9.2.6 "Interpreting an event stream".

use contract::read_events;

struct Case {
    section: &'static str,
    what: &'static str,
    stream: &'static [u8],
    /// Name and data of each event; a name that is empty is the standard's `message`.
    events: &'static [(&'static str, &'static [u8])],
}

const fn case(
    section: &'static str,
    what: &'static str,
    stream: &'static [u8],
    events: &'static [(&'static str, &'static [u8])],
) -> Case {
    Case { section, what, stream, events }
}

const CASES: &[Case] = &[
    // Line ends.
    case("9.2.5", "lines end with LF", b"data: a\ndata: b\n\n", &[("", b"a\nb")]),
    case("9.2.5", "lines end with CR", b"data: a\rdata: b\r\r", &[("", b"a\nb")]),
    case("9.2.5", "lines end with CRLF", b"data: a\r\ndata: b\r\n\r\n", &[("", b"a\nb")]),
    case(
        "9.2.5",
        "line ends of all kinds in one event",
        b"data: a\rdata: b\ndata: c\r\n\r",
        &[("", b"a\nb\nc")],
    ),
    case("9.2.5", "CRLF is one line end, not two", b"data: a\r\ndata: b\n\n", &[("", b"a\nb")]),
    case("9.2.5", "LF CR is two line ends", b"data: a\n\rdata: b\n\n", &[("", b"a"), ("", b"b")]),
    case(
        "9.2.5",
        "CR CRLF is two line ends",
        b"data: a\r\r\ndata: b\n\n",
        &[("", b"a"), ("", b"b")],
    ),
    case(
        "9.2.5",
        "other separators of Unicode end no line",
        "data: a\u{2028}b\u{2029}c\u{85}d\n\n".as_bytes(),
        &[("", "a\u{2028}b\u{2029}c\u{85}d".as_bytes())],
    ),
    case(
        "9.2.5",
        "vertical tab and form feed end no line",
        b"data: a\x0bb\x0cc\n\n",
        &[("", b"a\x0bb\x0cc")],
    ),
    // Byte order mark.
    case(
        "9.2.5",
        "one byte order mark at the beginning is taken off",
        b"\xef\xbb\xbfdata: a\n\n",
        &[("", b"a")],
    ),
    case(
        "9.2.5",
        "a second mark belongs to the field's name",
        b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n",
        &[("", b"b")],
    ),
    case(
        "9.2.5",
        "a mark further on belongs to the field's name",
        b"data: a\n\n\xef\xbb\xbfdata: b\n\n",
        &[("", b"a")],
    ),
    case("9.2.5", "a mark in a value stays", b"data:\xef\xbb\xbfa\n\n", &[("", b"\xef\xbb\xbfa")]),
    case("9.2.5", "a mark, then a blank line", b"\xef\xbb\xbf\ndata: a\n\n", &[("", b"a")]),
    case("9.2.5", "two bytes of a mark are none", b"\xef\xbbdata: a\n\ndata: b\n\n", &[("", b"b")]),
    // Fields and values.
    case("9.2.6", "one space after the colon is taken off", b"data: a\n\n", &[("", b"a")]),
    case("9.2.6", "only one", b"data:  a\n\n", &[("", b" a")]),
    case("9.2.6", "none is needed", b"data:a\n\n", &[("", b"a")]),
    case("9.2.6", "a tab stays", b"data:\ta\n\n", &[("", b"\ta")]),
    case("9.2.6", "spaces at the end stay", b"data: a  \n\n", &[("", b"a  ")]),
    case("9.2.6", "the first colon ends the name", b"data:a:b: c\n\n", &[("", b"a:b: c")]),
    case("9.2.6", "a colon after the space stays", b"data: :a\n\n", &[("", b":a")]),
    case("9.2.6", "a line without a colon is a field without a value", b"data\n\n", &[("", b"")]),
    case("9.2.6", "two of them are a line feed", b"data\ndata\n\n", &[("", b"\n")]),
    case("9.2.6", "an empty value is data too", b"data:\n\n", &[("", b"")]),
    case(
        "9.2.6",
        "a space before the colon belongs to the name",
        b"data : a\n\ndata: b\n\n",
        &[("", b"b")],
    ),
    case(
        "9.2.6",
        "a space before the name belongs to it",
        b" data: a\n\ndata: b\n\n",
        &[("", b"b")],
    ),
    case("9.2.6", "names are case-sensitive", b"Data: a\nDATA: b\ndata: c\n\n", &[("", b"c")]),
    case(
        "9.2.6",
        "other names that begin like one are ignored",
        b"datax: a\ndat: b\ndata: c\n\n",
        &[("", b"c")],
    ),
    case("9.2.6", "a null byte in data stays", b"data: a\0b\n\n", &[("", b"a\0b")]),
    case(
        "9.2.6",
        "bytes that are not UTF-8 do not end the stream",
        b"data: \xff\n\ndata: b\n\n",
        &[("", b"\xff"), ("", b"b")],
    ),
    // Comments.
    case(
        "9.2.6",
        "a line that begins with a colon is ignored",
        b": c\ndata: a\n:\n:data: b\n\n",
        &[("", b"a")],
    ),
    case("9.2.6", "a comment dispatches nothing", b": c\n\n: d\n\n", &[]),
    case(
        "9.2.6",
        "a long comment is ignored",
        b"::::::::::::::::::::::::::::::::::::::::::::::::::::::::::::::::\ndata: a\n\n",
        &[("", b"a")],
    ),
    // Names of events.
    case(
        "9.2.6",
        "an event has the name that it is given",
        b"event: x\ndata: a\n\n",
        &[("x", b"a")],
    ),
    case("9.2.6", "the last name counts", b"event: x\ndata: a\nevent: y\n\n", &[("y", b"a")]),
    case("9.2.6", "an empty name is none", b"event: x\nevent:\ndata: a\n\n", &[("", b"a")]),
    case(
        "9.2.6",
        "a name ends with its event",
        b"event: x\ndata: a\n\ndata: b\n\n",
        &[("x", b"a"), ("", b"b")],
    ),
    case(
        "9.2.6",
        "a name ends with a blank line, also without data",
        b"event: x\n\ndata: a\n\n",
        &[("", b"a")],
    ),
    case(
        "9.2.6",
        "only one space of a name is taken off",
        b"event:  x\ndata: a\n\n",
        &[(" x", b"a")],
    ),
    // Identifiers and reconnection times: they change nothing about the events.
    case("9.2.6", "an id is no data", b"id: 1\n\ndata: a\n\n", &[("", b"a")]),
    case("9.2.6", "an id without value", b"id\ndata: a\n\n", &[("", b"a")]),
    case(
        "9.2.6",
        "an id with a null byte is ignored, its event is not",
        b"id: 1\x002\ndata: a\n\n",
        &[("", b"a")],
    ),
    case("9.2.6", "a retry is no data", b"retry: 1000\n\ndata: a\n\n", &[("", b"a")]),
    case(
        "9.2.6",
        "a retry that is no number is ignored, its event is not",
        b"retry: 1000x\ndata: a\n\n",
        &[("", b"a")],
    ),
    case("9.2.6", "a retry without value", b"retry\ndata: a\n\n", &[("", b"a")]),
    // Dispatch.
    case(
        "9.2.6",
        "one line feed is taken off the end of the data",
        b"data: a\ndata:\n\n",
        &[("", b"a\n")],
    ),
    case(
        "9.2.6",
        "data before a blank line at once",
        b"data: a\n\ndata: b\n\n",
        &[("", b"a"), ("", b"b")],
    ),
    case(
        "9.2.6",
        "further blank lines dispatch nothing",
        b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n",
        &[("", b"a"), ("", b"b")],
    ),
    case(
        "9.2.6",
        "fields of one event in any order",
        b"data: a\nretry: 1\nid: 2\nevent: x\ndata: b\n\n",
        &[("x", b"a\nb")],
    ),
    // The end of the stream.
    case(
        "9.2.6",
        "an event without its blank line is discarded",
        b"data: a\n\ndata: b\n",
        &[("", b"a")],
    ),
    case("9.2.6", "a line without its end is discarded", b"data: a\n\ndata: b", &[("", b"a")]),
    case("9.2.6", "a single CR ends the last line, no more", b"data: a\r", &[]),
    case("9.2.6", "a CR at the end completes the blank line", b"data: a\n\r", &[("", b"a")]),
    case("9.2.5", "an empty stream", b"", &[]),
    case("9.2.5", "a byte order mark alone", b"\xef\xbb\xbf", &[]),
];

#[test]
fn the_reader_does_what_the_standard_says() {
    for Case { section, what, stream, events } in CASES {
        let expected: Vec<_> =
            events.iter().map(|(name, data)| ((*name).to_owned(), data.to_vec())).collect();
        for at in 0..=stream.len() {
            let (before, after) = stream.split_at(at);
            assert_eq!(read_events(&[before, after]), expected, "{section}: {what}, cut at {at}");
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(read_events(&bytes), expected, "{section}: {what}, byte by byte");
    }
}
