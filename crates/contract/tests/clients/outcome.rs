//! What a client made of a case, in the words of the data.

use contract::{ContractVerdict, Surface};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Case;

/// What a client told about a case.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) id: String,
    /// `plain`, or `helper` for the SDK's stream helper.
    pub(super) how: String,
    outcome: Outcome,
    #[serde(default)]
    class: String,
    /// Whether its error tells the reason that the reply gives.
    #[serde(default = "yes")]
    tells: bool,
    #[serde(default)]
    answer: Value,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// It returned something.
    Returned,
    /// It raised an error of its own.
    Refused,
    /// It raised an error that is none of its own, and that a handler of its own ones misses.
    Escaped,
    /// The caller's code failed at what it returned.
    Crashed,
    /// It ended the caller's process.
    Ends,
    /// No outcome at all.
    Hangs,
}

impl Told {
    fn new(id: &str, how: &str, outcome: Outcome, class: &str, answer: Value) -> Self {
        let (id, how, class) = (id.to_owned(), how.to_owned(), class.to_owned());
        Self { id, how, outcome, class, tells: true, answer }
    }

    pub(super) fn returned(id: &str, how: &str, answer: Value) -> Self {
        Self::new(id, how, Outcome::Returned, "", answer)
    }

    pub(super) fn refused(id: &str, how: &str, class: &str, tells: bool) -> Self {
        Self { tells, ..Self::new(id, how, Outcome::Refused, class, Value::Null) }
    }

    pub(super) fn hangs(id: &str, how: &str) -> Self {
        Self::new(id, how, Outcome::Hangs, "", Value::Null)
    }

    /// Says it in the words of the data; more than one request counts.
    pub(super) fn words(&self, case: &Case, requests: u32) -> String {
        let words = match self.outcome {
            Outcome::Returned => self.answer_words(case),
            Outcome::Refused if !self.tells => format!("raises {} without the reason", self.class),
            Outcome::Refused => format!("raises {}", self.class),
            Outcome::Escaped => format!("raises {}, none of its own", self.class),
            Outcome::Crashed => format!("{} in the caller's code", self.class),
            Outcome::Ends => "ends the process".to_owned(),
            Outcome::Hangs => "hangs".to_owned(),
        };
        let words = if requests > 1 { format!("{words} after {requests} requests") } else { words };
        match case.when {
            Some(when) if words != "ok" => format!("{words} {when}"),
            Some(_) | None => words,
        }
    }

    fn answer_words(&self, case: &Case) -> String {
        let mut words = Vec::new();
        let calls = self.answer["calls"].as_array().map_or(&[][..], Vec::as_slice);
        if case.verdict == ContractVerdict::Hold {
            words.extend(text_words(&self.answer["text"], !calls.is_empty()));
            words.extend(calls.iter().flat_map(call_words));
            words.extend(finish_words(&self.answer["finish"], None));
            if words.is_empty() {
                words.push("taken for whole".to_owned());
            }
        } else {
            let text = self.answer["text"].as_str().unwrap_or_default();
            if text != case.text {
                let is_part = case.text.contains(text);
                words.push(if is_part { "text lost" } else { "another text" }.to_owned());
            }
            words.extend(lost_call_words(calls, &case.calls()));
            words.extend(finish_words(&self.answer["finish"], Some(&case.finish())));
            if has_odd_usage(&self.answer["usage"]) {
                words.push("usage without numbers".to_owned());
            }
            if words.is_empty() {
                return "ok".to_owned();
            }
        }
        format!("silent: {}", words.join(", "))
    }
}

fn text_words(text: &Value, has_calls: bool) -> Option<String> {
    match text {
        Value::String(text) if !text.is_empty() => None,
        Value::Null | Value::String(_) => (!has_calls).then(|| "no text".to_owned()),
        Value::Array(_) => Some("text is a list".to_owned()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some("text is none".to_owned()),
    }
}

/// What is wrong about a tool call of an unusable reply.
fn call_words(call: &Value) -> Option<String> {
    let arguments = call[2].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match (&call[1], arguments) {
        (Value::String(name), Some(Value::Object(_))) if name == "f" || name == "g" => None,
        (Value::String(name), None) if name != "f" && name != "g" => {
            Some("tool calls merged".to_owned())
        }
        (_, None) => Some("arguments broken".to_owned()),
        _ => Some("arguments are no object".to_owned()),
    }
}

/// What is lost of the tool calls of a usable reply.
fn lost_call_words(calls: &[Value], wanted: &[Value]) -> Option<String> {
    if calls.len() != wanted.len() {
        return Some(format!("{} of {} tool calls", calls.len(), wanted.len()));
    }
    let (call, wanted) = calls.iter().zip(wanted).find(|(call, wanted)| call != wanted)?;
    Some(if call[1] != wanted[1] {
        "name of the tool damaged".to_owned()
    } else if call[2] != wanted[2] {
        match &call[2] {
            Value::String(text) if text.contains("[object") => "arguments lost".to_owned(),
            Value::String(_) => "arguments damaged".to_owned(),
            _ => "arguments are no string".to_owned(),
        }
    } else if call[0].is_null() {
        "no id of the tool call".to_owned()
    } else {
        "id of the tool call damaged".to_owned()
    })
}

fn finish_words(finish: &Value, wanted: Option<&str>) -> Option<String> {
    const GOOD: [&str; 3] = ["stop", "tool_calls", "completed"];
    // Documented words, by which a caller knows that the answer is not whole.
    const BAD: [&str; 6] =
        ["length", "content_filter", "failed", "incomplete", "queued", "in_progress"];
    let Value::String(word) = finish else { return Some("no finish reason".to_owned()) };
    let word = word.as_str();
    if wanted.map_or(GOOD.contains(&word), |wanted| word == wanted) {
        return None;
    }
    Some(match word {
        "" => "an empty finish reason".to_owned(),
        _ if BAD.contains(&word) => format!("finish reason `{word}`"),
        // Of an event that says so.
        "error" => "finish reason `error`".to_owned(),
        _ => "a finish reason of no API".to_owned(),
    })
}

fn has_odd_usage(usage: &Value) -> bool {
    usage.as_array().is_some_and(|counts| !counts.iter().all(Value::is_u64))
}

impl Case {
    /// Returns the reason that an error reply gives, in the rows that are about it.
    pub(super) fn reason(&self) -> Option<&'static str> {
        let body = String::from_utf8_lossy(&self.row.reply.body);
        body.contains(crate::errors::REASON).then_some(crate::errors::REASON)
    }

    /// Returns the tool calls that a usable reply delivers.
    fn calls(&self) -> Vec<Value> {
        let body = String::from_utf8_lossy(&self.row.reply.body);
        let arguments = if self.row.code == "arguments-empty" { "" } else { "{\"a\":1}" };
        let mut calls = Vec::new();
        if body.contains("\"name\":\"f\"") {
            calls.push(json!(["call_1", "f", arguments]));
        }
        if body.contains("\"name\":\"g\"") {
            calls.push(json!(["call_2", "g", "{\"b\":2}"]));
        }
        calls
    }

    /// Returns the word with which a usable reply ends.
    fn finish(&self) -> String {
        let word = match self.row.reply.surface {
            Surface::Responses => "completed",
            Surface::Chat if self.row.code == "finish-length" => "length",
            Surface::Chat if self.row.code == "finish-stop-with-tool-calls" => "stop",
            Surface::Chat if !self.calls().is_empty() => "tool_calls",
            Surface::Chat => "stop",
        };
        word.to_owned()
    }
}
