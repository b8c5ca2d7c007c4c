//! What the logs of an ask carry: read from text, value by value, without keeping any of it.
//!
//! The text is cut into records (`records`): JSON documents on one line or several, also behind a prefix or inside of a string;
//! all else line by line, with the `key=value` and `key: value` pairs in it (`plain`). Each fact is *proven or missing*:
//!
//! - a field's name (`names`) is not enough, its value has to be one that such a field can have: a time within this century, a
//!   status between 100 and 599 or a word for an end, the very version;
//! - without a field, only the usual places count (`line`): the time at a line's head, the status behind `HTTP/1.1`, `upstream` or
//!   `Error code:`, the path of a request line, the very path that was asked;
//! - a field that the configuration names is looked for there and nowhere else.

mod line;
mod names;
mod plain;
mod records;
mod times;
mod version;

use serde_json::Value;

use self::records::{Field, Record};

/// Which fields hold the facts; `None`: known by the usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFields {
    /// Of the release's version, as a path: `app.release`.
    pub version: Option<String>,
    /// Of the route.
    pub route: Option<String>,
    /// Of the time.
    pub timestamp: Option<String>,
    /// Of the status.
    pub status: Option<String>,
    /// Of the provider's request id.
    pub request_id: Option<String>,
}

/// What is looked for in the logs of one ask.
#[derive(Clone, Debug, Default)]
pub struct LogContext {
    /// The release's version.
    pub version: String,
    /// Statuses that the release met.
    pub statuses: Vec<u16>,
    /// Ids by which an incident review finds the call at the provider: of requests and of replies.
    pub ids: Vec<String>,
    /// What the ask went to, as logs name it: the path of an endpoint, the file of a command.
    pub places: Vec<String>,
    /// Where to look.
    pub fields: LogFields,
    /// Whether telemetry is among the sources.
    pub telemetry: bool,
}

impl LogContext {
    /// Returns whether every call was refused by the provider.
    fn has_failed(&self) -> bool {
        !self.statuses.is_empty() && self.statuses.iter().all(|status| *status >= 400)
    }
}

/// What the logs of one ask carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each proven or not")]
pub struct LogReading {
    /// Any text at all.
    pub any: bool,
    /// The release's version.
    pub version: bool,
    /// The route: where the call went.
    pub route: bool,
    /// When it was.
    pub timestamp: bool,
    /// How it went.
    pub status: bool,
    /// Whether something says that it went well although it did not; it counts for nothing.
    pub claims_success: bool,
    /// A provider's id; `None` when there was none to log.
    pub request_id: Option<bool>,
}

impl LogReading {
    /// Returns whether nothing that is looked for is missing.
    pub fn is_complete(self) -> bool {
        self.version
            && self.route
            && self.timestamp
            && self.status
            && self.request_id != Some(false)
    }
}

/// Reads the logs of one ask.
pub fn read(text: &str, context: &LogContext) -> LogReading {
    let text = plain::without_colours(text);
    let mut reading = LogReading {
        any: !text.trim().is_empty(),
        request_id: (!context.ids.is_empty()).then_some(false),
        ..LogReading::default()
    };
    let ids = |text: &str| context.ids.iter().any(|id| stands_alone(text, id));
    // An id is telling enough to be believed wherever it stands.
    if context.fields.request_id.is_none() && ids(&text) {
        reading.request_id = Some(true);
    }
    for record in records::of(&text) {
        read_record(&record, context, &mut reading);
        if reading.is_complete() {
            break;
        }
    }
    reading
}

/// Looks for what is still missing in one record.
fn read_record(record: &Record, context: &LogContext, reading: &mut LogReading) {
    let names = &context.fields;
    let at = |name: &Option<String>, test: &dyn Fn(&Value) -> bool| {
        name.as_deref().is_some_and(|name| {
            record.fields.iter().any(|field| field.is_at(name) && test(&field.value))
        })
    };
    let by_default = |name: &Option<String>, test: &dyn Fn(&Field) -> bool| {
        name.is_none() && record.fields.iter().any(test)
    };
    let in_text = |name: &Option<String>, test: &dyn Fn(&str) -> bool| {
        name.is_none() && record.texts.iter().any(|text| test(text))
    };
    reading.version = reading.version
        || at(&names.version, &|value| version::is_value(value, &context.version))
        || by_default(&names.version, &|field| version::in_field(field, &context.version))
        || in_text(&names.version, &|text| version::in_text(text, &context.version));
    reading.route = reading.route
        || at(&names.route, &|value| names::says_something(value))
        || by_default(&names.route, &names::is_route)
        || in_text(&names.route, &|text| line::has_route(text, &context.places));
    reading.timestamp = reading.timestamp
        || at(&names.timestamp, &times::is_time)
        || by_default(&names.timestamp, &names::is_timestamp)
        || in_text(&names.timestamp, &times::stamps_line);
    let has_failed = context.has_failed();
    let is_lie = |value: &Value| has_failed && names::is_success(value);
    reading.claims_success |= at(&names.status, &is_lie)
        || by_default(&names.status, &|field| names::is_status(field) && is_lie(&field.value));
    reading.status = reading.status
        || at(&names.status, &|value| names::is_end(value) && !is_lie(value))
        || by_default(&names.status, &|field| names::is_status(field) && !is_lie(&field.value))
        || in_text(&names.status, &|text| line::has_status(text, &context.statuses));
    if reading.request_id == Some(false) {
        let is_id = |value: &Value| {
            let text = names::text_of(value);
            context.ids.iter().any(|id| stands_alone(&text, id))
        };
        if at(&names.request_id, &is_id) {
            reading.request_id = Some(true);
        }
    }
}

/// Tells whether an id stands in a text and is not a part of a longer one.
fn stands_alone(text: &str, id: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !id.is_empty()
        && text.match_indices(id).any(|(at, _)| {
            let before = text.get(..at).and_then(|head| head.chars().next_back());
            let behind = text.get(at + id.len()..).and_then(|tail| tail.chars().next());
            !before.is_some_and(is_word) && !behind.is_some_and(is_word)
        })
}

#[cfg(test)]
mod tests;
