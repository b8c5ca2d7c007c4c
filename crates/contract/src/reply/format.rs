//! Answers in the form that a request asks for: plain text, some JSON object, or an instance of a JSON Schema.
//!
//! A release that asks for structured output parses the content as JSON; a documented reply keeps to what was asked. Source: "Structured
//! outputs" and `response_format` of the chat API, `text.format` of the responses API (OpenAI).

use serde_json::{Map, Value, json};

use crate::Surface;

/// Schemas that nest deeper, or refer to themselves, get an empty value there.
const DEPTH_MAX: usize = 16;

/// Keys that applications commonly ask for in words when they ask for "JSON" without a schema.
const USUAL_KEYS: [&str; 6] = ["answer", "text", "response", "reply", "message", "content"];

/// The form that a request asks its answer to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerFormat {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// A document that keeps to this JSON Schema.
    JsonSchema(Value),
}

impl AnswerFormat {
    /// Reads it from a request's document.
    pub(crate) fn of_request(surface: Surface, request: &Value) -> Self {
        let (format, schema) = match surface {
            Surface::Chat => ("/response_format", "/response_format/json_schema/schema"),
            Surface::Responses => ("/text/format", "/text/format/schema"),
        };
        let kind = request.pointer(format).and_then(|format| format.get("type")?.as_str());
        match kind {
            Some("json_object") => Self::JsonObject,
            Some("json_schema") => Self::JsonSchema(
                request.pointer(schema).cloned().unwrap_or_else(|| json!({ "type": "object" })),
            ),
            _ => Self::Text,
        }
    }

    /// Returns `text` in this form: the text itself, or a JSON document in which it is the value of each string.
    pub fn write(&self, text: &str) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::JsonObject => {
                let fields = USUAL_KEYS.map(|key| (key.to_owned(), json!(text)));
                Value::Object(Map::from_iter(fields)).to_string()
            }
            Self::JsonSchema(schema) => instance(schema, schema, text, 0).to_string(),
        }
    }
}

/// Returns a document that keeps to a schema, as far as schemas for structured outputs go (objects, arrays, enums, unions,
/// references inside of the document).
fn instance(schema: &Value, root: &Value, text: &str, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let inner = |schema: &Value| instance(schema, root, text, depth + 1);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, inner);
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return value.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        let branches = schema.get(union).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let said = branches.iter().find(|branch| branch.get("type") != Some(&json!("null")));
        if let Some(branch) = said {
            return inner(branch);
        }
    }
    match type_of(schema) {
        Some("object") => {
            let fields = schema.get("properties").and_then(Value::as_object);
            fields
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), inner(schema)))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => {
            let item = schema.get("items").map_or(Value::Null, inner);
            let n_items = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 8);
            (0..n_items).map(|_| item.clone()).collect()
        }
        Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1)),
        Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(0.5)),
        Some("boolean") => Value::Bool(true),
        Some("null") => Value::Null,
        Some(_) | None => json!(text),
    }
}

/// Returns the type that a schema asks for, the first but `null` of several.
fn type_of(schema: &Value) -> Option<&str> {
    let named = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().find(|name| *name != "null")?.as_str(),
        Some(name) => name.as_str(),
        None => None,
    };
    named.or_else(|| schema.get("properties").map(|_| "object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &AnswerFormat) -> Value {
        serde_json::from_str(&format.write("SSL-1 \"é\"\n")).unwrap()
    }

    #[test]
    fn format_is_read_where_each_surface_has_it() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        let chat = json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": schema } } });
        let responses = json!({ "text": { "format": { "type": "json_schema", "name": "x", "schema": schema } } });
        for (surface, request) in [(Surface::Chat, chat), (Surface::Responses, responses)] {
            let format = AnswerFormat::of_request(surface, &request);
            assert_eq!(format, AnswerFormat::JsonSchema(schema.clone()));
            assert_eq!(written(&format), json!({ "a": "SSL-1 \"é\"\n" }));
        }
        let object = json!({ "response_format": { "type": "json_object" } });
        assert_eq!(AnswerFormat::of_request(Surface::Chat, &object), AnswerFormat::JsonObject);
        for plain in [json!({}), json!({ "response_format": { "type": "text" } }), json!([])] {
            assert_eq!(AnswerFormat::of_request(Surface::Chat, &plain), AnswerFormat::Text);
        }
    }

    #[test]
    fn instance_keeps_to_its_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "answer": { "type": "string" },
                "mood": { "enum": ["calm", "sad"] },
                "score": { "type": ["number", "null"], "minimum": 2 },
                "sources": { "type": "array", "items": { "$ref": "#/$defs/source" }, "minItems": 2 },
                "maybe": { "anyOf": [{ "type": "null" }, { "type": "integer" }] },
                "sure": { "type": "boolean" },
            },
            "$defs": { "source": { "properties": { "title": { "type": "string" } } } },
        });
        let text = "SSL-1 \"é\"\n";
        assert_eq!(
            written(&AnswerFormat::JsonSchema(schema)),
            json!({
                "answer": text, "mood": "calm", "score": 2.0, "maybe": 1, "sure": true,
                "sources": [{ "title": text }, { "title": text }],
            })
        );
    }

    #[test]
    fn schema_that_refers_to_itself_ends() {
        let schema = json!({ "properties": { "next": { "$ref": "#" } } });
        assert!(written(&AnswerFormat::JsonSchema(schema)).is_object());
    }
}
