//! What a request asks for, read from its body.

mod parameters;
mod roles;

use std::borrow::Cow;
use std::collections::HashMap;

pub use parameters::token_limits;
pub use roles::MessageRole;

use crate::json::{Tape, Value};
use crate::reply::AnswerFormat;
use crate::smoke::{label_asked, may_ask};
use crate::{Kind, Shape, Surface};

/// The facts of a request that the tap and the simulated provider act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The `model` field.
    pub model: Option<String>,
    /// Whether `stream` is `true`.
    pub stream: bool,
    /// Whether `stream_options.include_usage` is `true`.
    pub include_usage: bool,
    /// The label that the smoke prompt asks for, see [`crate::smoke`].
    pub label: Option<String>,
    /// The structure of the body.
    pub shape: Shape,
    /// Who speaks, message by message.
    pub roles: Vec<MessageRole>,
    /// The form that the answer is to have.
    pub format: AnswerFormat,
    /// What a provider that follows the documentation would refuse about it.
    pub fault: Option<RequestFault>,
}

/// Why a documented provider refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// The `content-type` header does not say JSON.
    ContentType,
    /// The body is not a JSON object.
    NotJson,
    /// A required field is not there, for example `messages`.
    Missing(&'static str),
    /// A field has the wrong type.
    WrongType(&'static str),
    /// A field has a value outside of what is documented.
    OutOfRange(&'static str),
}

impl RequestFault {
    /// Looks at the `content-type` of a request. Providers refuse what is not declared as JSON (OpenAI by its message "expected
    /// application/json"; gateways that decode by the header see an empty request).
    pub fn of_content_type(value: Option<&[u8]>) -> Option<Self> {
        let media_type = value.unwrap_or_default().split(|byte| *byte == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        let is_json = media_type.eq_ignore_ascii_case(b"application/json")
            || media_type.to_ascii_lowercase().ends_with(b"+json");
        (!is_json).then_some(Self::ContentType)
    }

    /// Returns the field at fault, if it is one field's.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::ContentType | Self::NotJson => None,
            Self::Missing(field) | Self::WrongType(field) | Self::OutOfRange(field) => Some(field),
        }
    }
}

impl RequestFacts {
    /// Reads the body of a request to `surface`. The whole body is parsed: the caller bounds its size.
    pub fn read(surface: Surface, body: &[u8]) -> Self {
        let mut tape = Tape::unbounded();
        let text = simdutf8::basic::from_utf8(body).ok();
        let known = text.and_then(|text| Shape::read_along(text, &mut tape));
        let document = text.and_then(|text| match &known {
            Some(_) => Some(tape.document(text)),
            None => tape.read_text(text).ok(),
        });
        let Some(fields) = document.filter(|value| value.is_object() && value.is_strict()) else {
            // A label is worth finding even here: the tap attributes what it can.
            let label = label_asked(&String::from_utf8_lossy(body)).map(str::to_owned);
            return Self { label, fault: Some(RequestFault::NotJson), ..Self::default() };
        };
        let is_true = |value: Option<Value<'_>>| value.and_then(Value::boolean) == Some(true);
        let model = fields.get("model").and_then(Value::text);
        Self {
            model: model.filter(|model| !model.is_empty()).map(Cow::into_owned),
            stream: is_true(fields.get("stream")),
            include_usage: is_true(
                fields.get("stream_options").and_then(|options| options.get("include_usage")),
            ),
            label: fields.get(prompt_field(surface)).and_then(last_label),
            fault: fault(surface, fields),
            format: format(surface, fields, body),
            roles: roles::read(surface, fields),
            shape: match known {
                Some(shape) => shape,
                None if fields.has_too_many_values() => Shape::default(),
                None => Shape::of_value(fields),
            },
        }
    }
}

/// Returns the form that the answer is to have. Few requests ask for one: only these are read a second time.
fn format(surface: Surface, fields: Value<'_>, body: &[u8]) -> AnswerFormat {
    let asks = match surface {
        Surface::Chat => fields.get_some("response_format").is_some(),
        Surface::Responses => {
            fields.get("text").is_some_and(|text| text.get_some("format").is_some())
        }
    };
    if !asks {
        return AnswerFormat::Text;
    }
    serde_json::from_slice(body)
        .map_or(AnswerFormat::Text, |request| AnswerFormat::of_request(surface, &request))
}

/// Returns the field in which the surface takes its prompt.
fn prompt_field(surface: Surface) -> &'static str {
    match surface {
        Surface::Chat => "messages",
        Surface::Responses => "input",
    }
}

/// Returns the label that the last text with one asks for: earlier messages are history. Text stands in strings, in parts
/// of a content array, and, where a service wraps the question, escaped inside another document; the label itself needs no
/// escape, so it is found there as well.
fn last_label(value: Value<'_>) -> Option<String> {
    if let Some((written, has_escape)) = value.written() {
        // Few texts ask for one: the others need not be unescaped to know that.
        let text = if has_escape && !may_ask(written) { None } else { value.text() };
        return text.and_then(|text| label_asked(&text).map(str::to_owned));
    }
    if value.is_array() {
        return value.items().filter_map(last_label).last();
    }
    if !value.has_duplicate_key() {
        return value.fields().filter_map(|(_, value)| last_label(value)).last();
    }
    values(value).into_iter().rev().find_map(last_label)
}

/// Returns the values of an object that has a key twice as most parsers have them: the last one of a key, at the place of the first.
fn values(object: Value<'_>) -> Vec<Value<'_>> {
    let mut places = HashMap::new();
    let mut values = Vec::new();
    for (key, value) in object.fields() {
        let place = *places.entry(key.key()).or_insert(values.len());
        match values.get_mut(place) {
            Some(earlier) => *earlier = value,
            None => values.push(value),
        }
    }
    values
}

/// Returns the first thing that a documented provider would refuse. The model is looked at first: gateways route by it.
fn fault(surface: Surface, fields: Value<'_>) -> Option<RequestFault> {
    let kind = |field: &str| fields.get_some(field).map_or(Kind::NONE, Value::kind);
    match kind("model") {
        Kind::NONE | Kind::EMPTY_STRING => return Some(RequestFault::Missing("model")),
        Kind::STRING => {}
        _ => return Some(RequestFault::WrongType("model")),
    }
    let prompt = prompt_field(surface);
    let items_are_objects =
        || fields.get(prompt).is_some_and(|prompt| prompt.items().all(Value::is_object));
    match (surface, kind(prompt)) {
        (_, Kind::NONE | Kind::EMPTY_ARRAY) => return Some(RequestFault::Missing(prompt)),
        (_, Kind::ARRAY) if items_are_objects() => {}
        (Surface::Responses, Kind::STRING | Kind::EMPTY_STRING) => {}
        (_, _) => return Some(RequestFault::WrongType(prompt)),
    }
    parameters::fault(surface, fields)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{RequestFacts, RequestFault};
    use crate::Surface;
    use crate::smoke::prompt;

    fn read(surface: Surface, body: &Value) -> RequestFacts {
        RequestFacts::read(surface, body.to_string().as_bytes())
    }

    #[track_caller]
    fn check_fault(surface: Surface, body: &Value, expected: Option<RequestFault>) {
        assert_eq!(read(surface, body).fault, expected, "{body}");
    }

    #[test]
    fn facts_of_a_chat_stream_are_read() {
        let body = json!({
            "model": "gpt-5.4-mini",
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": prompt("ssm-1", "SSL-22") },
            ],
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let facts = read(Surface::Chat, &body);
        assert_eq!(facts.model.as_deref(), Some("gpt-5.4-mini"));
        assert_eq!(facts.label.as_deref(), Some("SSL-22"));
        assert!(facts.stream && facts.include_usage);
        assert!(facts.shape.contains("/messages/[]/content"));
        assert_eq!(facts.fault, None);
    }

    #[test]
    fn what_is_not_asked_for_is_off() {
        let body = json!({ "model": "m", "messages": [{}], "stream": false, "stream_options": { "include_usage": false } });
        let facts = read(Surface::Chat, &body);
        assert!(!facts.stream && !facts.include_usage);
        assert_eq!(facts.label, None);
        assert!(!read(Surface::Chat, &json!({ "stream": "true" })).stream);
    }

    #[test]
    fn label_is_found_wherever_the_prompt_stands() {
        let asked = prompt("ssm-1", "SSL-22");
        let bodies = [
            (
                Surface::Chat,
                json!({ "messages": [{ "content": [{ "type": "text", "text": asked }] }] }),
            ),
            (
                Surface::Chat,
                json!({ "messages": [{ "content": asked }, { "content": "Answer in English." }] }),
            ),
            (
                Surface::Chat,
                json!({ "messages": [{ "content": json!({ "question": asked }).to_string() }] }),
            ),
            (Surface::Responses, json!({ "input": asked })),
            (Surface::Responses, json!({ "input": [{ "content": asked }] })),
            (
                Surface::Responses,
                json!({ "input": [{ "content": [{ "type": "input_text", "text": asked }] }] }),
            ),
        ];
        for (surface, body) in bodies {
            assert_eq!(read(surface, &body).label.as_deref(), Some("SSL-22"), "{body}");
        }
    }

    #[test]
    fn the_last_message_counts() {
        let body = json!({ "messages": [{ "content": prompt("a", "SSL-1") }, { "content": prompt("b", "SSL-2") }] });
        assert_eq!(read(Surface::Chat, &body).label.as_deref(), Some("SSL-2"));
    }

    #[test]
    fn content_type_has_to_say_json() {
        let fault = |value: Option<&str>| RequestFault::of_content_type(value.map(str::as_bytes));
        for json in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"]
        {
            assert_eq!(fault(Some(json)), None, "{json}");
        }
        for other in [None, Some(""), Some("text/plain"), Some("application/x-www-form-urlencoded")]
        {
            assert_eq!(fault(other), Some(RequestFault::ContentType), "{other:?}");
        }
    }

    #[test]
    fn faults_are_named() {
        use RequestFault::{Missing, NotJson, WrongType};
        let message = json!([{ "role": "user", "content": "hello" }]);
        let chat = |body: Value, expected| check_fault(Surface::Chat, &body, expected);
        chat(json!([1]), Some(NotJson));
        chat(json!({ "messages": message }), Some(Missing("model")));
        chat(json!({ "model": "", "messages": message }), Some(Missing("model")));
        chat(json!({ "model": 4, "messages": message }), Some(WrongType("model")));
        chat(json!({ "model": "m" }), Some(Missing("messages")));
        chat(json!({ "model": "m", "messages": [] }), Some(Missing("messages")));
        chat(json!({ "model": "m", "messages": "hello" }), Some(WrongType("messages")));
        chat(json!({ "model": "m", "messages": ["hello"] }), Some(WrongType("messages")));
        chat(
            json!({ "model": "m", "messages": message, "stream": "yes" }),
            Some(WrongType("stream")),
        );
        chat(json!({ "model": "m", "messages": message, "stream": null }), None);
        let responses = |body: Value, expected| check_fault(Surface::Responses, &body, expected);
        responses(json!({ "model": "m" }), Some(Missing("input")));
        responses(json!({ "model": "m", "input": 1 }), Some(WrongType("input")));
        responses(json!({ "model": "m", "input": "hello" }), None);
        responses(json!({ "model": "m", "input": message }), None);
    }

    #[test]
    fn a_body_that_is_no_json_still_shows_its_label() {
        let facts = RequestFacts::read(Surface::Chat, prompt("ssm-1", "SSL-22").as_bytes());
        assert_eq!(facts.fault, Some(RequestFault::NotJson));
        assert_eq!(facts.label.as_deref(), Some("SSL-22"));
        assert_eq!(RequestFacts::read(Surface::Chat, b"").fault, Some(RequestFault::NotJson));
    }

    #[test]
    fn what_a_common_parser_refuses_is_no_json() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"model":"m","messages":[{{}}],"x":{open}{close}}}"#)
        };
        let with = |value: &str| format!(r#"{{"model":"m","messages":[{{}}],"x":{value}}}"#);
        let bodies = [
            nested(126),
            nested(127),
            nested(128),
            with("1e308"),
            with("-1e309"),
            with(&"9".repeat(308)),
            with(&"9".repeat(310)),
            with(r#""\ud83d""#),
            with(r#""\ud83d\ude00""#),
            with("\"\u{1}\""),
            with("NaN"),
            "\u{feff}{}".to_owned(),
            String::new(),
        ];
        for body in bodies {
            let is_object = serde_json::from_str::<serde_json::Map<String, Value>>(&body).is_ok();
            let facts = RequestFacts::read(Surface::Chat, body.as_bytes());
            assert_eq!(facts.fault != Some(RequestFault::NotJson), is_object, "{body}");
            assert_eq!(facts.shape.paths().is_empty(), !is_object, "{body}");
        }
    }

    #[test]
    fn a_number_beyond_a_double_is_none_after_others_of_its_place() {
        let read = |number: &str| {
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"beyond_a_double":{number}}}"#
            );
            RequestFacts::read(Surface::Chat, body.as_bytes()).fault
        };
        for number in ["1.5", "2.5", "3e5", "4.5"] {
            assert_eq!(read(number), None);
            assert_eq!(read("1e999"), Some(RequestFault::NotJson));
        }
        for number in ["1", "2", "3", "4"] {
            assert_eq!(read(number), None);
            assert_eq!(read(&"9".repeat(400)), Some(RequestFault::NotJson));
        }
    }

    #[test]
    fn label_is_found_however_it_is_escaped() {
        let asked = prompt("ssm-1", "SSL-22");
        let label = |text: &str| {
            let body = format!(r#"{{"messages":[{{"content":"{text}"}}]}}"#);
            RequestFacts::read(Surface::Chat, body.as_bytes()).label
        };
        let written =
            |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
        assert_eq!(label(&written(&format!("\"a\"\n{asked}"))).as_deref(), Some("SSL-22"));
        let letters = asked.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>();
        assert_eq!(label(&letters).as_deref(), Some("SSL-22"));
        // The first letter is a part of a tabulator here.
        assert_eq!(label(&written(&asked).replace("this label", r"\this label")), None);
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let [one, two, three] = ["SSL-1", "SSL-2", "SSL-3"].map(|label| prompt("a", label));
        let label = |message: &str| {
            let body = format!(r#"{{"model":"x","messages":[{message}],"model":"m"}}"#);
            let facts = RequestFacts::read(Surface::Chat, body.as_bytes());
            assert_eq!(facts.model.as_deref(), Some("m"));
            facts.label
        };
        let repeated = label(&format!(r#"{{"content":"{one}","content":"{three}"}}"#));
        assert_eq!(repeated.as_deref(), Some("SSL-3"));
        // It stands where its first one stood.
        let before = label(&format!(r#"{{"content":"{one}","name":"{two}","content":"{three}"}}"#));
        assert_eq!(before.as_deref(), Some("SSL-2"));
    }
}
