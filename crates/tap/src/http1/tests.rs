//! A connection's bytes mean the same however the network cuts them.

use http::Method;
use proptest::prelude::*;

use super::body::{Decoded, Decoder};
use super::buffers::Input;
use super::head::{self, Added};

/// Stands before the data of a body.
const DATA: &str = "data ";

/// Which side's bytes are read.
#[derive(Clone, Copy, Debug)]
enum Side {
    Requests,
    Replies,
}

/// Reads messages as their bytes come, and says what it has read.
struct Reader {
    side: Side,
    input: Input,
    /// The body that is being read.
    body: Option<Decoder>,
    read: Vec<String>,
    failed: bool,
}

impl Reader {
    fn new(side: Side) -> Self {
        Self { side, input: Input::default(), body: None, read: Vec::new(), failed: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
        while !self.failed && self.step() {}
    }

    /// Reads one thing more. Tells whether there was one.
    fn step(&mut self) -> bool {
        let Some(body) = &mut self.body else { return self.step_head() };
        match body.decode(self.input.bytes()) {
            // Where data is cut does not matter: it is joined.
            Ok(Decoded::Data(data)) => {
                let text = data.escape_ascii().to_string();
                match self.read.last_mut() {
                    Some(last) if last.starts_with(DATA) => last.push_str(&text),
                    _ => self.read.push(format!("{DATA}{text}")),
                }
            }
            Ok(Decoded::Trailers(trailers)) => self.read.push(format!("{trailers:?}")),
            Ok(Decoded::End) => {
                self.read.push("end".to_owned());
                self.body = None;
            }
            Ok(Decoded::Nothing) => return false,
            Err(_) => self.failed = true,
        }
        true
    }

    fn step_head(&mut self) -> bool {
        let mut text = Vec::new();
        let head = match self.side {
            Side::Requests => head::request(&mut self.input).map(|head| {
                head.map(|head| {
                    head::write_request(&head.parts, Added::default(), &mut text);
                    head.framing
                })
            }),
            Side::Replies => head::response(&mut self.input, &Method::POST).map(|head| {
                head.map(|head| {
                    head::write_interim(&head.parts, &mut text);
                    head.framing
                })
            }),
        };
        match head {
            Ok(Some(framing)) => {
                self.read.push(String::from_utf8_lossy(&text).into_owned());
                self.body = Some(Decoder::new(framing));
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.failed = true;
                true
            }
        }
    }
}

fn read_in(side: Side, pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = Reader::new(side);
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        reader.push(piece);
    }
    reader.read
}

/// A message of either side: its head's first line is put before it.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let field = ("[A-Za-z][A-Za-z0-9-]{0,12}", "[ -~]{0,20}");
    let fields = prop::collection::vec(field, 0..6);
    let chunk = (prop::collection::vec(any::<u8>(), 1..40), "(;[a-z]{1,5}(=[a-z]{1,5})?){0,2}");
    let chunks = prop::collection::vec(chunk, 0..5);
    (fields, prop::option::of(chunks), prop::collection::vec(any::<u8>(), 0..60), any::<bool>())
        .prop_map(|(fields, chunks, body, trailers)| {
            let mut bytes = Vec::new();
            for (name, value) in fields {
                // The framing is put behind.
                let name = format!("X-{name}");
                bytes.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            }
            let Some(chunks) = chunks else {
                bytes.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                bytes.extend_from_slice(&body);
                return bytes;
            };
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for (data, extension) in chunks {
                bytes.extend_from_slice(format!("{:x}{extension}\r\n", data.len()).as_bytes());
                bytes.extend_from_slice(&data);
                bytes.extend_from_slice(b"\r\n");
            }
            let trailers: &[u8] =
                if trailers { b"0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n" } else { b"0\r\n\r\n" };
            bytes.extend_from_slice(trailers);
            bytes
        })
}

fn stream(side: Side, messages: Vec<Vec<u8>>) -> Vec<u8> {
    let line: &[u8] = match side {
        Side::Requests => b"POST /v1/chat/completions?a HTTP/1.1\r\n",
        Side::Replies => b"HTTP/1.1 200 Fine\r\n",
    };
    messages.into_iter().flat_map(|message| [line, &message].concat()).collect()
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Requests), Just(Side::Replies)]
}

/// Cuts bytes at these places.
fn cut<'b>(bytes: &'b [u8], places: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut begin = 0;
    for place in places {
        pieces.push(&bytes[begin..place]);
        begin = place;
    }
    pieces.push(&bytes[begin..]);
    pieces
}

proptest! {
    #[test]
    fn any_cut_of_good_messages_reads_the_same(
        side in side(),
        messages in prop::collection::vec(message(), 1..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let n_messages = messages.len();
        let bytes = stream(side, messages);
        let whole = read_in(side, &[&bytes]);
        prop_assert_eq!(whole.iter().filter(|read| *read == "end").count(), n_messages);
        prop_assert_eq!(&read_in(side, &cut(&bytes, &places)), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read_in(side, &single), &whole);
    }

    #[test]
    fn any_cut_of_damaged_messages_reads_the_same(
        side in side(),
        messages in prop::collection::vec(message(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = stream(side, messages);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let whole = read_in(side, &[&bytes]);
        prop_assert_eq!(&read_in(side, &cut(&bytes, &places)), &whole);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        side in side(),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        read_in(side, &[&bytes]);
        read_in(side, &[b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", &bytes]);
        read_in(side, &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &bytes]);
    }
}
