//! Cuts log text into records: JSON documents with their fields, and lines with their pairs.

use serde_json::Value;

use super::{names, plain};

/// A JSON record that is longer is read line by line. Loggers cut lines long before.
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// JSON in a string of JSON: what Docker's log driver makes of a JSON line, and a collector of that.
const NESTED_MAX: u32 = 3;

/// Fields of one record that are looked at: a log line with more is a dump.
const FIELDS_MAX: usize = 4096;

/// One record: its fields, and the texts in it that people read.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<Field>,
    pub(super) texts: Vec<String>,
}

/// A value that is no container, with the names that lead to it.
#[derive(Debug)]
pub(super) struct Field {
    /// All names with dots between: `http.response.status_code`, flat or nested.
    pub(super) path: String,
    pub(super) value: Value,
}

impl Field {
    /// Tells whether the configuration means this field: the whole path, or its end when loggers put a wrapper round it.
    pub(super) fn is_at(&self, name: &str) -> bool {
        self.path
            .strip_suffix(name)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

/// Cuts a text into records.
pub(super) fn of(text: &str) -> impl Iterator<Item = Record> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut record = Record::default();
        let line_end = rest.find('\n').unwrap_or(rest.len());
        let (mut head, mut end) = (rest.get(..line_end)?, line_end);
        if let Some(at) = head.find('{')
            && let Some((document, taken)) = json_at(rest.get(at..)?)
        {
            flatten(&document, &mut String::new(), &mut record, NESTED_MAX);
            head = rest.get(..at)?;
            end = at + taken;
        }
        if !head.trim().is_empty() {
            add_line(head, &mut record);
        }
        rest = rest.get(end..)?;
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        Some(record)
    })
}

/// Reads the JSON document that a text begins with, on one line or several.
fn json_at(text: &str) -> Option<(Value, usize)> {
    let start = plain::start_of(text, RECORD_BYTES_MAX);
    let mut documents = serde_json::Deserializer::from_str(start).into_iter::<Value>();
    // What is not JSON is a line; why it is not does not matter.
    let document = documents.next()?.ok()?;
    Some((document, documents.byte_offset()))
}

/// Adds a line that is not JSON.
fn add_line(line: &str, record: &mut Record) {
    let (pairs, said) = plain::split(line);
    for (name, value) in pairs {
        record.fields.push(Field { path: name.to_owned(), value: value.into() });
    }
    record.texts.push(said);
}

fn flatten(value: &Value, path: &mut String, record: &mut Record, nested: u32) {
    if record.fields.len() >= FIELDS_MAX || names::is_content(path) {
        return;
    }
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                flatten(value, path, record, nested);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| flatten(item, path, record, nested));
        }
        Value::String(text) if names::is_message(path) => {
            let inner = (nested > 0 && text.trim_start().starts_with('{'))
                .then(|| serde_json::from_str::<Value>(text).ok())
                .flatten();
            match inner {
                Some(inner) => flatten(&inner, &mut String::new(), record, nested - 1),
                None => text.lines().for_each(|line| add_line(line, record)),
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            record.fields.push(Field { path: path.clone(), value: value.clone() });
        }
    }
}
