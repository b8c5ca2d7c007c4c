//! Reads server-sent events byte by byte, as the WHATWG text says, and notes what popular clients stumble over.

use memchr::memchr2;

/// Longest line, and longest data of one event: four times the largest event seen from a provider (a generated image aside).
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest event name that is kept.
const NAME_BYTES_MAX: usize = 128;

/// One event, or something between events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SseItem<'s> {
    /// An event with data.
    Event {
        /// The `event` field, empty if there was none.
        name: &'s str,
        /// The `data` fields, joined with line feeds.
        data: &'s [u8],
        /// How many `data` fields there were.
        n_lines: usize,
    },
    /// A blank line that dispatches nothing, after an `id` or `event` field: harmless by the standard.
    EmptyDispatch,
    /// A blank line that dispatches nothing, after a `retry` field.
    RetryOnly,
    /// A line that is no field of the standard; parsers ignore it. Holds its first bytes.
    Stray(&'s [u8]),
    /// A line or an event beyond the limit; its bytes were dropped.
    TooLong,
}

/// What the end of a stream left over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Clean,
    /// An event without its blank line, which the standard discards.
    Event { name: String, data: Vec<u8>, n_lines: usize },
    /// A line that was cut, outside of any event with data.
    Line,
}

/// Reads the pieces of a whole stream and returns the name and the data of each event, for tests and fuzzers.
#[doc(hidden)]
pub fn read_events(pieces: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let mut reader = SseReader::default();
    let mut events = Vec::new();
    let mut sink = |item: SseItem<'_>| {
        if let SseItem::Event { name, data, .. } = item {
            events.push((name.to_owned(), data.to_owned()));
        }
    };
    for piece in pieces {
        reader.push(piece, &mut sink);
    }
    // What the end leaves over is discarded, as the standard says.
    drop(reader.finish(&mut sink));
    events
}

/// The reader.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the line and the event in the reading"
)]
pub(crate) struct SseReader {
    line: Vec<u8>,
    line_too_long: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    had_bom: bool,
    data: Vec<u8>,
    n_lines: usize,
    name: String,
    has_name: bool,
    has_retry: bool,
    /// Some `id` field came before, in this event or an earlier one.
    has_id: bool,
    event_too_long: bool,
    /// The name of the last event that was split off as a whole: the next one mostly has it too.
    usual_name: String,
}

impl SseReader {
    /// Takes bytes and hands out what they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(SseItem<'_>)) {
        while let Some(&first) = bytes.first() {
            if self.is_between_events()
                && let Some((name, data, rest)) = usual_event(bytes, &mut self.usual_name)
            {
                sink(SseItem::Event { name, data, n_lines: 1 });
                bytes = rest;
                continue;
            }
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.keep(bytes);
                return;
            };
            let (part, rest) = bytes.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() && !self.line_too_long && part.len() <= EVENT_BYTES_MAX {
                self.line(part, sink);
            } else {
                self.keep(part);
                let line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.line_too_long) {
                    self.event_too_long = true;
                } else {
                    self.line(&line, sink);
                }
                self.line = line;
                self.line.clear();
            }
        }
    }

    /// Whether nothing is kept of what came, nor does anything that came change how the next bytes are read.
    fn is_between_events(&self) -> bool {
        self.begun
            && self.line.is_empty()
            && self.n_lines == 0
            && !self.line_too_long
            && !self.event_too_long
            && !self.after_cr
            && !self.has_name
            && !self.has_retry
    }

    /// Whether the stream began with a byte order mark.
    pub(crate) fn had_bom(&self) -> bool {
        self.had_bom
    }

    /// Ends the stream.
    pub(crate) fn finish(mut self, sink: &mut impl FnMut(SseItem<'_>)) -> Tail {
        let mut cut_line = false;
        if self.line_too_long {
            self.event_too_long = true;
        } else if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let n_before = self.n_lines;
            self.line(&line, sink);
            cut_line = self.n_lines == n_before && line.first() != Some(&b':');
        }
        if self.event_too_long {
            sink(SseItem::TooLong);
        }
        if self.n_lines > 0 {
            Tail::Event { name: self.name, data: self.data, n_lines: self.n_lines }
        } else if cut_line {
            Tail::Line
        } else {
            Tail::Clean
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > EVENT_BYTES_MAX {
            self.line_too_long = true;
            self.line.clear();
        }
        if !self.line_too_long {
            self.line.extend_from_slice(part);
        }
    }

    fn line(&mut self, mut line: &[u8], sink: &mut impl FnMut(SseItem<'_>)) {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(rest) = line.strip_prefix(b"\xef\xbb\xbf")
        {
            self.had_bom = true;
            line = rest;
        }
        if line.is_empty() {
            return self.dispatch(sink);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => return,
            Some(colon) => {
                let value = line.get(colon + 1..).unwrap_or_default();
                (line.get(..colon).unwrap_or_default(), value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                if self.data.len() + value.len() > EVENT_BYTES_MAX {
                    self.event_too_long = true;
                    return;
                }
                if self.n_lines > 0 {
                    self.data.push(b'\n');
                }
                self.n_lines += 1;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.has_name = true;
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(
                    value.get(..NAME_BYTES_MAX).unwrap_or(value),
                ));
            }
            b"id" => self.has_id |= !value.is_empty(),
            b"retry" => self.has_retry = true,
            _ => sink(SseItem::Stray(line.get(..64).unwrap_or(line))),
        }
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(SseItem<'_>)) {
        if std::mem::take(&mut self.event_too_long) {
            sink(SseItem::TooLong);
        } else if self.n_lines > 0 {
            sink(SseItem::Event { name: &self.name, data: &self.data, n_lines: self.n_lines });
        } else if self.has_retry {
            sink(SseItem::RetryOnly);
        } else if self.has_id || self.has_name {
            sink(SseItem::EmptyDispatch);
        }
        self.data.clear();
        self.n_lines = 0;
        self.name.clear();
        self.has_name = false;
        self.has_retry = false;
    }
}

/// Splits off an event as most servers write it: one line of data, perhaps behind one with a name, all of it here. Returns its name, its
/// data, and what follows. What is written otherwise is read line by line.
fn usual_event<'n, 'b>(
    bytes: &'b [u8],
    usual_name: &'n mut String,
) -> Option<(&'n str, &'b [u8], &'b [u8])> {
    let (name, bytes) = match bytes.strip_prefix(b"event: ") {
        Some(rest) => {
            let (name, rest) = rest.split_at_checked(memchr2(b'\n', b'\r', rest)?)?;
            if name != usual_name.as_bytes() {
                let name = std::str::from_utf8(name).ok();
                name.filter(|name| name.len() <= NAME_BYTES_MAX)?.clone_into(usual_name);
            }
            (usual_name.as_str(), rest.strip_prefix(b"\n")?)
        }
        None => ("", bytes),
    };
    let rest = bytes.strip_prefix(b"data: ")?;
    let (data, rest) = rest.split_at_checked(memchr2(b'\n', b'\r', rest)?)?;
    let rest = rest.strip_prefix(b"\n\n")?;
    (data.len() <= EVENT_BYTES_MAX - b"data: ".len()).then_some((name, data, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut items = Vec::new();
        let mut reader = SseReader::default();
        let mut sink = |item: SseItem<'_>| {
            items.push(match item {
                SseItem::Event { name, data, .. } => format!("{name}={}", data.escape_ascii()),
                SseItem::EmptyDispatch => "empty".to_owned(),
                SseItem::RetryOnly => "retry".to_owned(),
                SseItem::Stray(line) => format!("stray {}", line.escape_ascii()),
                SseItem::TooLong => "too long".to_owned(),
            });
        };
        for chunk in chunks {
            reader.push(chunk, &mut sink);
        }
        let had_bom = reader.had_bom();
        match reader.finish(&mut sink) {
            Tail::Clean => {}
            Tail::Event { name, data, .. } => {
                items.push(format!("tail {name}={}", data.escape_ascii()));
            }
            Tail::Line => items.push("tail line".to_owned()),
        }
        if had_bom {
            items.push("bom".to_owned());
        }
        items
    }

    #[track_caller]
    fn check(bytes: &str, expected: &[&str]) {
        assert_eq!(read(&[bytes.as_bytes()]), expected);
    }

    #[test]
    fn every_legal_variant_is_read() {
        check("data: a\n\ndata:b\r\n\r\ndata:  c\r\r", &["=a", "=b", "= c"]);
        check(": ping\n\nevent: x\ndata: 1\ndata: 2\n\n", &["x=1\\n2"]);
        check("\u{feff}data: a\n\n", &["=a", "bom"]);
        check("data\n\n", &["="]);
        check("id: 1\ndata: a\n\n: c\n\n", &["=a", "empty"]);
        check("retry: 3000\n\n", &["retry"]);
        check("[DONE]\n\n", &["stray [DONE]"]);
    }

    #[test]
    fn a_long_name_is_cut_as_such() {
        let name = "n".repeat(NAME_BYTES_MAX);
        let event = |name: &str| format!("event: {name}\ndata: a\n\n");
        let kept = format!("{name}=a");
        let text =
            format!("data: b\n\n{}{}{}", event(&name), event(&format!("{name}x")), event("é"));
        check(&text, &["=b", &kept, &kept, "é=a"]);
    }

    #[test]
    fn what_the_end_cuts_is_reported() {
        check("data: a\n\ndata: b\n", &["=a", "tail =b"]);
        check("data: a\n\ndata: b", &["=a", "tail =b"]);
        check("data: a\n\nda", &["=a", "stray da", "tail line"]);
    }

    #[test]
    fn oversized_event_is_dropped_and_said() {
        let mut long = vec![b'x'; EVENT_BYTES_MAX + 1];
        long.splice(..0, *b"data: ");
        long.extend_from_slice(b"\n\ndata: a\n\n");
        assert_eq!(read(&[&long]), ["too long", "=a"]);
        let chunks: Vec<_> = long.chunks(100_000).collect();
        assert_eq!(read(&chunks), ["too long", "=a"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn chunk_boundaries_make_no_difference(text in "(data: ?[ab:é]{0,3}|data: [ab]\n\n|event: [ef]\ndata: [ab]\n\n|event: \ndata: é\n\n|id: 1|event: e|: c|retry: 1|\u{feff}|\r|\n|\r\n|\n\n){0,12}", at in 0usize..64) {
            let bytes = text.as_bytes();
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            let singles: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&[a, b]), read(&[bytes]));
            prop_assert_eq!(read(&singles), read(&[bytes]));
        }
    }
}
