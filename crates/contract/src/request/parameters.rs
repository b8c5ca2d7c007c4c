//! The optional parameters of a request: their documented types and ranges, which providers enforce with a 400.
//!
//! Source: the API reference of both surfaces, `create` (OpenAI), which compatible providers follow; rows of `facts/contracts.md`,
//! sections 1 and 2. What is not listed here is not looked at: providers have parameters of their own.

use super::RequestFault;
use crate::json::{Glance, Glances, Value};
use crate::{Kind, Surface};

/// What a parameter may be. `null` and absence are always allowed.
enum Allowed {
    Bool,
    /// A whole number of at least this.
    Integer(i64),
    /// A number from, to.
    Number(f64, f64),
    Text,
    TextOrList,
    Object,
    List,
    TextOrObject,
}

use Allowed::{Bool, Integer, List, Number, Object, Text, TextOrList, TextOrObject};

/// A parameter, and what it may be.
struct Parameter {
    name: &'static str,
    glance: Glance,
    allowed: Allowed,
}

impl Parameter {
    const fn new(name: &'static str, allowed: Allowed) -> Self {
        Self { name, glance: Glance::of(name), allowed }
    }
}

const BOTH: [Parameter; 9] = [
    Parameter::new("stream", Bool),
    Parameter::new("stream_options", Object),
    Parameter::new("temperature", Number(0.0, 2.0)),
    Parameter::new("top_p", Number(0.0, 1.0)),
    Parameter::new("top_logprobs", Integer(0)),
    Parameter::new("tools", List),
    Parameter::new("tool_choice", TextOrObject),
    Parameter::new("user", Text),
    Parameter::new("metadata", Object),
];

const CHAT: [Parameter; 9] = [
    Parameter::new("max_tokens", Integer(1)),
    Parameter::new("max_completion_tokens", Integer(1)),
    Parameter::new("n", Integer(1)),
    Parameter::new("stop", TextOrList),
    Parameter::new("presence_penalty", Number(-2.0, 2.0)),
    Parameter::new("frequency_penalty", Number(-2.0, 2.0)),
    Parameter::new("logprobs", Bool),
    Parameter::new("seed", Integer(i64::MIN)),
    Parameter::new("response_format", Object),
];

const RESPONSES: [Parameter; 5] = [
    Parameter::new("max_output_tokens", Integer(1)),
    Parameter::new("instructions", TextOrList),
    Parameter::new("text", Object),
    Parameter::new("reasoning", Object),
    Parameter::new("store", Bool),
];

/// Returns the names of the parameters that limit the tokens of an answer, the one that counts first.
pub fn token_limits(surface: Surface) -> &'static [&'static str] {
    match surface {
        Surface::Chat => &["max_completion_tokens", "max_tokens"],
        Surface::Responses => &["max_output_tokens"],
    }
}

const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];

/// Returns the first parameter that a documented provider would refuse.
pub(super) fn fault(surface: Surface, fields: Value<'_>) -> Option<RequestFault> {
    let own: &[Parameter] = match surface {
        Surface::Chat => &CHAT,
        Surface::Responses => &RESPONSES,
    };
    // Of all parameters a request has a few.
    let given = Glances::of_keys(fields);
    let fault = |parameter: &Parameter| {
        let value = given.may_hold(parameter.glance).then(|| fields.get_some(parameter.name))??;
        check(parameter.name, &parameter.allowed, value)
    };
    if let Some(fault) = BOTH.iter().chain(own).find_map(fault) {
        return Some(fault);
    }
    match surface {
        Surface::Chat => {
            // "Only set this when you set stream: true": without it providers answer 400.
            let streams = fields.get("stream").and_then(Value::boolean) == Some(true);
            if !streams && fields.get_some("stream_options").is_some() {
                return Some(RequestFault::OutOfRange("stream_options"));
            }
            fields.get("messages")?.items().find_map(message)
        }
        Surface::Responses => None,
    }
}

fn check(name: &'static str, allowed: &Allowed, value: Value<'_>) -> Option<RequestFault> {
    let kind = value.kind();
    let is = |allowed: Kind| allowed.intersects(kind);
    let right_type = match allowed {
        Bool => is(Kind::BOOL),
        Integer(_) => is(Kind::INTEGER),
        Number(..) => is(Kind::NUMBER),
        Text => is(Kind::ANY_STRING),
        TextOrList => is(Kind::ANY_STRING) || is(Kind::ANY_ARRAY),
        Object => is(Kind::OBJECT),
        List => is(Kind::ANY_ARRAY),
        TextOrObject => is(Kind::ANY_STRING) || is(Kind::OBJECT),
    };
    if !right_type {
        return Some(RequestFault::WrongType(name));
    }
    let in_range = match allowed {
        Integer(least) => value.number().is_none_or(|number| number >= as_float(*least)),
        Number(from, to) => value.number().is_none_or(|number| (*from..=*to).contains(&number)),
        Bool | Text | TextOrList | Object | List | TextOrObject => true,
    };
    (!in_range).then_some(RequestFault::OutOfRange(name))
}

#[expect(clippy::cast_precision_loss, reason = "the limits are small, or the least number of all")]
fn as_float(limit: i64) -> f64 {
    limit as f64
}

/// A message of the chat surface.
fn message(message: Value<'_>) -> Option<RequestFault> {
    let Some(role) = message.get_some("role") else {
        return Some(RequestFault::Missing("messages[].role"));
    };
    let Some(role) = role.text() else {
        return Some(RequestFault::WrongType("messages[].role"));
    };
    if !ROLES.contains(&role.as_ref()) {
        return Some(RequestFault::OutOfRange("messages[].role"));
    }
    let Some(content) = message.get_some("content") else {
        // An assistant's message may consist of tool calls, a function's of nothing.
        let needs_content = !matches!(role.as_ref(), "assistant" | "function");
        return needs_content.then_some(RequestFault::Missing("messages[].content"));
    };
    let readable = Kind::ANY_STRING.union(Kind::ANY_ARRAY).intersects(content.kind());
    (!readable).then_some(RequestFault::WrongType("messages[].content"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::RequestFault::{self, Missing, OutOfRange, WrongType};
    use crate::{RequestFacts, Surface};

    fn fault_of(surface: Surface, parameters: &Value) -> Option<RequestFault> {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "input": "hi" });
        for (name, value) in parameters.as_object().unwrap() {
            body[name] = value.clone();
        }
        RequestFacts::read(surface, body.to_string().as_bytes()).fault
    }

    #[test]
    fn chat_parameters_have_documented_types_and_ranges() {
        let cases = [
            (json!({ "temperature": "0.2" }), Some(WrongType("temperature"))),
            (json!({ "temperature": 2.5 }), Some(OutOfRange("temperature"))),
            (json!({ "temperature": 0 }), None),
            (json!({ "temperature": null }), None),
            (json!({ "max_tokens": 0 }), Some(OutOfRange("max_tokens"))),
            (json!({ "max_tokens": "256" }), Some(WrongType("max_tokens"))),
            (json!({ "max_tokens": 256.5 }), Some(WrongType("max_tokens"))),
            (json!({ "max_completion_tokens": 256 }), None),
            (json!({ "n": 0 }), Some(OutOfRange("n"))),
            (json!({ "stop": ["\n"] }), None),
            (json!({ "stop": 1 }), Some(WrongType("stop"))),
            (json!({ "seed": -4 }), None),
            (json!({ "response_format": "json" }), Some(WrongType("response_format"))),
            (json!({ "stream": "true" }), Some(WrongType("stream"))),
            (
                json!({ "stream_options": { "include_usage": true } }),
                Some(OutOfRange("stream_options")),
            ),
            (json!({ "stream": true, "stream_options": { "include_usage": true } }), None),
            (json!({ "stream": false, "stream_options": null }), None),
            (json!({ "x_provider_option": "anything" }), None),
            (json!({ "tools": {} }), Some(WrongType("tools"))),
            (json!({ "tool_choice": "auto" }), None),
            (json!({ "messages": [{ "content": "hi" }] }), Some(Missing("messages[].role"))),
            (json!({ "messages": [{ "role": "system" }] }), Some(Missing("messages[].content"))),
            (
                json!({ "messages": [{ "role": "bot", "content": "hi" }] }),
                Some(OutOfRange("messages[].role")),
            ),
            (
                json!({ "messages": [{ "role": 1, "content": "hi" }] }),
                Some(WrongType("messages[].role")),
            ),
            (
                json!({ "messages": [{ "role": "user", "content": {} }] }),
                Some(WrongType("messages[].content")),
            ),
            (json!({ "messages": [{ "role": "assistant", "content": null }] }), None),
            (
                json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }] }),
                None,
            ),
        ];
        for (parameters, expected) in cases {
            assert_eq!(fault_of(Surface::Chat, &parameters), expected, "{parameters}");
        }
    }

    #[test]
    fn responses_parameters_have_documented_types_and_ranges() {
        let cases = [
            (json!({ "max_output_tokens": 0 }), Some(OutOfRange("max_output_tokens"))),
            (json!({ "max_output_tokens": 64, "store": false }), None),
            (json!({ "text": "plain" }), Some(WrongType("text"))),
            (json!({ "temperature": true }), Some(WrongType("temperature"))),
            (json!({ "max_tokens": "unknown here" }), None),
        ];
        for (parameters, expected) in cases {
            assert_eq!(fault_of(Surface::Responses, &parameters), expected, "{parameters}");
        }
    }
}
