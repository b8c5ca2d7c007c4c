//! What must hold for any bytes, beyond not panicking. The fuzz targets run these, and so does an ordinary test of `contract` on the
//! committed seeds.
//!
//! Each `@` of an input becomes [`PLANTED`], which stands for payload: it must come back in no finding, class or path.

use contract::conversation::AskedWith;
use contract::{
    BodyEnd, ContractVerdict, Dump, ErrorClass, Judgement, Kind, Mode, Profile, RequestFacts,
    RequestFault, ResponseJudge, Shape, Surface, judge_dump, read_events, shape_diff,
};
use serde_json::Value;

/// Stands for payload. With a space in it, it is no field name, no code and no id that may be kept.
const PLANTED: &str = "planted secret";

fn plant(data: &[u8]) -> Vec<u8> {
    let mut planted = Vec::with_capacity(data.len());
    for byte in data {
        match byte {
            b'@' => planted.extend_from_slice(PLANTED.as_bytes()),
            other => planted.push(*other),
        }
    }
    planted
}

/// Cuts bytes into pieces, in a way that the first byte says.
fn pieces(bytes: &[u8], how: u8) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    let mut step = usize::from(how % 7) + 1;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(step.min(rest.len()));
        pieces.push(piece);
        rest = after;
        step = (step * 5 + usize::from(how)) % 61 + 1;
    }
    pieces
}

/// The reader of server-sent events does what the standard's text says, however its input is cut.
pub fn sse(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let whole = read_events(&[bytes]);
    assert_eq!(read_events(&pieces(bytes, *how)), whole, "cuts");
    assert_eq!(whole, standard_events(bytes), "standard");
}

/// The standard's algorithm over the whole input, in its own order of steps.
fn standard_events(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut events, mut name, mut data): (_, String, Vec<u8>) =
        (Vec::new(), String::new(), Vec::new());
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let line = &rest[..end];
        rest = &rest[if rest[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 }..];
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push((std::mem::take(&mut name), std::mem::take(&mut data)));
            }
            name.clear();
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let field = &line[..colon.unwrap_or(line.len())];
        let value = colon.map_or(&b""[..], |colon| &line[colon + 1..]);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            // Names are kept to their first 128 bytes.
            b"event" => name = String::from_utf8_lossy(&value[..value.len().min(128)]).into_owned(),
            _ => {}
        }
    }
    events
}

fn assert_silent(judgement: &Judgement) {
    for finding in &judgement.findings {
        let told = format!("{} {} {}", finding.at, finding.seen, finding.expected);
        assert!(!told.contains(PLANTED), "{} tells payload", finding.code);
    }
    assert!(
        judgement.shape.paths().keys().all(|path| !path.contains(PLANTED)),
        "a path tells payload"
    );
    if let Some(error) = &judgement.error {
        let told = [&error.code, &error.request_id];
        assert!(
            told.iter().all(|told| !told.as_deref().unwrap_or_default().contains(PLANTED)),
            "an error tells payload"
        );
    }
}

struct Exchange {
    surface: Surface,
    mode: Mode,
    status: u16,
    content_type: &'static str,
    encoding: &'static str,
    end: BodyEnd,
    how: u8,
}

impl Exchange {
    fn judge(&self, pieces: &[&[u8]], in_full: bool) -> (Judgement, String) {
        let mut judge = ResponseJudge::new(self.surface, self.mode, Profile::Openai);
        if in_full {
            judge = judge.without_shortcuts();
        }
        judge.head(
            self.status,
            [
                ("content-type", self.content_type.as_bytes()),
                ("content-encoding", self.encoding.as_bytes()),
            ],
        );
        pieces.iter().for_each(|piece| judge.push(piece));
        let (judgement, text) = judge.finish(self.end);
        (judgement, text.expose().to_owned())
    }

    /// Judges the body whole, cut, byte by byte and without shortcuts: all the same, and without payload.
    fn check(&self, body: &[u8]) -> Judgement {
        let whole = self.judge(&[body], false);
        assert_eq!(self.judge(&pieces(body, self.how), false), whole, "cuts");
        if body.len() < 128 {
            assert_eq!(
                self.judge(&body.chunks(1).collect::<Vec<_>>(), false),
                whole,
                "single bytes"
            );
        }
        assert_eq!(self.judge(&[body], true), whole, "shortcuts");
        assert_silent(&whole.0);
        assert!(
            whole.0.completion.is_finished() || whole.0.verdict == ContractVerdict::Hold,
            "unfinished, and no hold"
        );
        whole.0
    }
}

fn grammar(surface: Surface, data: &[u8]) {
    let Some(([how, kind], body)) = data.split_first_chunk() else { return };
    let body = plant(body);
    let mode = if kind & 1 == 0 { Mode::Stream } else { Mode::Unary };
    let exchange = Exchange {
        surface,
        mode,
        status: if kind & 0x70 == 0x70 { 500 } else { 200 },
        content_type: match (kind & 2 == 0, mode) {
            (true, Mode::Stream) => "text/event-stream",
            (true, Mode::Unary) => "application/json",
            (false, _) => "text/plain",
        },
        encoding: match kind & 0x0c {
            0x0c => "gzip",
            _ => "",
        },
        end: if kind & 0x80 == 0 { BodyEnd::Complete } else { BodyEnd::Cut },
        how: *how,
    };
    let judgement = exchange.check(&body);
    if mode == Mode::Unary
        && exchange.encoding.is_empty()
        && judgement.verdict != ContractVerdict::Hold
    {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        assert!(is_json(body) != Some(false), "what is judged as usable is JSON");
    }
}

/// A chat reply, unary or stream.
pub fn chat(data: &[u8]) {
    grammar(Surface::Chat, data);
}

/// A reply of the responses surface, unary or stream.
pub fn responses(data: &[u8]) {
    grammar(Surface::Responses, data);
}

/// Whether `serde_json` reads the document; unknown where it is known to be narrower than JSON (halves of surrogate pairs, numbers
/// beyond a double).
fn is_json(document: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(document) {
        Ok(_) => Some(true),
        Err(error) => {
            let text = error.to_string();
            let is_narrow = ["surrogate", "out of range", "unexpected end of hex escape"]
                .iter()
                .any(|known| text.contains(known));
            (!is_narrow).then_some(false)
        }
    }
}

/// A saved response.
pub fn dump(data: &[u8]) {
    let data = plant(data);
    let dump = Dump::parse(&data);
    assert!(!format!("{dump:?}").contains(PLANTED), "Debug shows payload");
    // Frames of HTTP/1.1 are undone, and so is what a shell does to the encoding of the text.
    let is_as_saved =
        dump.framing.is_none() && !data.starts_with(b"\xff\xfe") && !data.starts_with(b"\xfe\xff");
    assert!(!is_as_saved || data.ends_with(&dump.body), "the body is the end of the dump");
    assert!(!dump.bare || dump.body == data, "a bare body is all of it");
    assert!((100..1000).contains(&dump.status));
    assert!(
        dump.headers.iter().all(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_uppercase())),
        "names in lower case"
    );
    for (surface, mode) in [(Surface::Chat, Mode::Stream), (Surface::Responses, Mode::Unary)] {
        assert_silent(&judge_dump(surface, mode, Profile::Cometapi, &dump));
    }
    if dump.bare || dump.framing.is_some() || dump.body.starts_with(b"HTTP/") {
        return;
    }
    // Written again, it reads the same. What cannot be written in a head is left out.
    let mut again = format!("HTTP/1.1 {}\r\n", dump.status).into_bytes();
    let is_plain = |name: &str, value: &[u8]| {
        !name.is_empty()
            && name.trim_ascii() == name
            // A line that begins so is the body of a head whose blank line was lost.
            && !name.starts_with(['{', '[', '<'])
            && !name.contains([':', '\n', '\r', '\u{fffd}'])
            && !value.contains(&b'\n')
            && !value.ends_with(b"\r")
            && value.trim_ascii() == value
    };
    for (name, value) in dump.headers.iter().filter(|(name, value)| is_plain(name, value)) {
        again.extend_from_slice(name.as_bytes());
        again.extend_from_slice(b": ");
        again.extend_from_slice(value);
        again.extend_from_slice(b"\r\n");
    }
    again.extend_from_slice(b"\r\n");
    again.extend_from_slice(&dump.body);
    let read = Dump::parse(&again);
    assert_eq!((read.status, &read.body, read.bare), (dump.status, &dump.body, false));
    let plain: Vec<_> = dump.headers.iter().filter(|(name, value)| is_plain(name, value)).collect();
    assert_eq!(read.headers.iter().collect::<Vec<_>>(), plain);
}

/// Up to three documents: their shapes, merged and compared.
pub fn shape(data: &[u8]) {
    let data = plant(data);
    let mut shapes = Vec::new();
    for document in data.split(|byte| *byte == b'\n').take(3) {
        let shape = Shape::of(document);
        if let Some(is_json) = is_json(document) {
            let depth_differs =
                document.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 120;
            assert!(shape.is_some() == is_json || depth_differs, "another opinion on what JSON is");
        }
        let Some(shape) = shape else { continue };
        if let Ok(value) = serde_json::from_slice::<Value>(document) {
            assert_types(&shape, &value, "", document);
        }
        assert!(shape.paths().keys().all(|path| !path.contains(PLANTED)), "a path tells payload");
        let json = serde_json::to_string(&shape).unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape, "written and read");
        shapes.push(shape);
    }
    let merge = |a: &Shape, b: &Shape| {
        let mut merged = a.clone();
        merged.merge(b);
        merged
    };
    for a in &shapes {
        assert_eq!(merge(a, a), *a, "merging a shape with itself");
        assert_eq!(shape_diff(a, a, &[]), [], "the difference of equal shapes");
        for b in &shapes {
            let merged = merge(a, b);
            assert_eq!(merged, merge(b, a), "order of merging");
            assert!(
                a.paths()
                    .keys()
                    .chain(b.paths().keys())
                    .all(|path| merged.paths().contains_key(path)),
                "merging loses a path"
            );
            let (there, back) = (shape_diff(a, b, &[]), shape_diff(b, a, &[]));
            // What was empty and is not any more is no change that is told; the other way it is.
            let is_full = |shape: &Shape| shape.paths().values().all(|kind| kind.types() == *kind);
            if is_full(a) && is_full(b) {
                assert_eq!(there.is_empty(), back.is_empty(), "a difference in one direction only");
            }
            assert!(
                !there.is_empty() || a.paths().keys().eq(b.paths().keys()),
                "a path came or went unnoticed"
            );
        }
    }
    if let [a, b, c] = shapes.as_slice() {
        assert_eq!(merge(&merge(a, b), c), merge(a, &merge(b, c)), "grouping of merging");
    }
}

/// Every value that another parser finds is in the shape with its type.
fn assert_types(shape: &Shape, value: &Value, path: &str, document: &[u8]) {
    let expected = match value {
        Value::Null => Kind::NULL,
        Value::Bool(_) => Kind::BOOL,
        // Which numbers are integers is a matter of writing, which is gone here.
        Value::Number(_) => Kind::NUMBER,
        Value::String(text) if text.is_empty() => Kind::EMPTY_STRING,
        Value::String(_) => Kind::STRING,
        Value::Array(items) if items.is_empty() => Kind::EMPTY_ARRAY,
        Value::Array(_) => Kind::ARRAY,
        Value::Object(_) => Kind::OBJECT,
    };
    let Some(kind) = shape.paths().get(path) else {
        panic!("no type for a value: {}", document.escape_ascii())
    };
    assert!(kind.intersects(expected), "another type: {}", document.escape_ascii());
    match value {
        Value::Array(items) => {
            for item in items {
                assert_types(shape, item, &format!("{path}/[]"), document);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:$@".contains(&byte);
                let folds = key.is_empty() || key.len() > 64 || !key.bytes().all(is_name);
                let name = if folds { "*" } else { key };
                assert_types(shape, field, &format!("{path}/{name}"), document);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The body of a request.
pub fn request(data: &[u8]) {
    let data = plant(data);
    let value = serde_json::from_slice::<Value>(&data).ok().filter(Value::is_object);
    for surface in [Surface::Chat, Surface::Responses] {
        let facts = RequestFacts::read(surface, &data);
        assert_eq!(
            facts.fault == Some(RequestFault::NotJson),
            value.is_none(),
            "another opinion on what JSON is"
        );
        for mode in [Mode::Unary, Mode::Stream] {
            let lost = AskedWith::Conversation.lost(surface, mode, &data);
            // None of it stands in what a fuzzer makes, but for parameters by chance.
            let lost = lost.expect("a conversation is looked for");
            assert!(
                lost.iter().any(|lost| !lost.part.is_parameter()),
                "a conversation out of nothing"
            );
        }
        let Some(value) = &value else { continue };
        assert_eq!(
            facts.model.as_deref(),
            value["model"].as_str().filter(|model| !model.is_empty()),
            "model"
        );
        assert_eq!(facts.stream, value["stream"] == true, "stream");
        assert_eq!(facts.include_usage, value["stream_options"]["include_usage"] == true, "usage");
        assert!(
            facts.shape.paths().keys().all(|path| !path.contains(PLANTED)),
            "a path tells payload"
        );
    }
}

/// The body of an error reply.
pub fn error(data: &[u8]) {
    let Some(([how, kind], body)) = data.split_first_chunk() else { return };
    let body = plant(body);
    let status = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529, 302];
    let exchange = Exchange {
        surface: if kind & 0x10 == 0 { Surface::Chat } else { Surface::Responses },
        mode: if kind & 0x20 == 0 { Mode::Stream } else { Mode::Unary },
        status: status[usize::from(kind & 15)],
        content_type: "application/json",
        encoding: "",
        end: if kind & 0x80 == 0 { BodyEnd::Complete } else { BodyEnd::Cut },
        how: *how,
    };
    let judgement = exchange.check(&body);
    assert_eq!(judgement.verdict, ContractVerdict::Hold, "an error status is no answer");
    let Some(error) = &judgement.error else {
        assert_eq!(exchange.status, 302, "an error without a class");
        return;
    };
    let can_heal = match error.class {
        ErrorClass::RateLimit
        | ErrorClass::Overloaded
        | ErrorClass::Timeout
        | ErrorClass::Server => true,
        ErrorClass::Auth
        | ErrorClass::Permission
        | ErrorClass::InvalidRequest
        | ErrorClass::NotFound
        | ErrorClass::Quota
        | ErrorClass::Unknown => false,
    };
    assert!(can_heal || !error.retry_safe, "a retry that cannot help");
}
