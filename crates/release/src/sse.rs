//! Server-sent events, read as they arrive.

/// Kept of one event: more than any documented event holds, and a stream without a line end must not grow without limit.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; empty where it has none.
    pub(crate) name: String,
    /// Its data lines, joined by line feeds.
    pub(crate) data: String,
}

/// Cuts bytes into events: lines end in CR, LF or both, and an event in an empty line.
#[derive(Debug, Default)]
pub(crate) struct EventParser {
    line: Vec<u8>,
    after_cr: bool,
    began: bool,
    name: String,
    data: Option<String>,
    overflowed: bool,
}

impl EventParser {
    /// Takes bytes and returns the events that they complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    events.extend(self.end_line());
                }
                _ if self.line.len() < EVENT_BYTES_MAX => self.line.push(*byte),
                _ => self.overflowed = true,
            }
        }
        events
    }

    /// Returns the event that a stream ended in without its empty line: clients that read line by line see it.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        if !self.line.is_empty()
            && let Some(event) = self.end_line()
        {
            return Some(event);
        }
        self.dispatch()
    }

    /// Returns whether an event was longer than what is kept of one.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if std::mem::replace(&mut self.began, true) {
            &*line
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(&line)
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) if data.len() + value.len() < EVENT_BYTES_MAX => {
                    data.push('\n');
                    data.push_str(value);
                }
                Some(_) => self.overflowed = true,
                None => self.data = Some(value.to_owned()),
            },
            // A comment, `id`, `retry`, and whatever else may come: of no meaning here.
            _ => {}
        }
        None
    }

    /// An event without data is none by the standard, but applications do end streams by a bare `event: done`.
    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        match (self.data.take(), name.is_empty()) {
            (None, true) => None,
            (data, _) => Some(Event { name, data: data.unwrap_or_default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str)]) {
        let expected: Vec<Event> = expected
            .iter()
            .map(|(name, data)| Event { name: (*name).to_owned(), data: (*data).to_owned() })
            .collect();
        let mut whole = EventParser::default();
        let mut events = whole.take(stream.as_bytes());
        events.extend(whole.finish());
        assert_eq!(events, expected, "in one piece");
        let mut pieces = EventParser::default();
        let mut events: Vec<Event> =
            stream.as_bytes().chunks(1).flat_map(|byte| pieces.take(byte)).collect();
        events.extend(pieces.finish());
        assert_eq!(events, expected, "byte by byte");
    }

    #[test]
    fn every_line_end_ends_a_line() {
        check(
            "data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\n",
            &[("", "a"), ("", "b"), ("", "c"), ("", "d")],
        );
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        check("\u{feff}: hi\nevent: e\ndata:x\ndata:  y ü\nid: 3\n\n", &[("e", "x\n y ü")]);
    }

    #[test]
    fn a_last_event_without_its_empty_line_counts() {
        check("data: a", &[("", "a")]);
        check("data: a\n", &[("", "a")]);
    }

    #[test]
    fn a_bare_name_is_an_event() {
        check("event: done\n\n\n\n", &[("done", "")]);
    }
}
