//! JSON Schema (2020-12) from the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ContractDocument, Field};

/// The dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

impl ContractDocument {
    /// Returns the JSON Schema of the unary reply, with the request, the error envelope and each event of the stream below `$defs`.
    ///
    /// A documented field whose absence is no finding is not `required` there; its description says why.
    pub fn json_schema(&self) -> Value {
        let mut definitions = Map::new();
        definitions.insert("request".to_owned(), schema_of(&self.request.fields));
        definitions.insert("reply".to_owned(), schema_of(&self.reply));
        definitions.insert("error".to_owned(), schema_of(&self.errors.fields));
        let has_types = self.stream.events.iter().any(|event| event.name.contains('.'));
        let mut choices = Vec::new();
        for event in &self.stream.events {
            let mut schema = schema_of(&self.event_fields(event));
            if has_types {
                schema["properties"]["type"] = json!({ "const": event.name });
            }
            if !event.note.is_empty() {
                schema["description"] = json!(event.note);
            }
            let key = format!("event:{}", event.name);
            choices.push(json!({ "$ref": format!("#/$defs/{key}") }));
            definitions.insert(key, schema);
        }
        definitions.insert("event".to_owned(), json!({ "anyOf": choices }));
        json!({
            "$schema": DIALECT,
            "$id": format!("urn:surestep:contract:{}:{}", self.surface, self.version),
            "title": format!("The reply of {} {}", self.request.method, self.request.path),
            "$comment": format!("sources read on {}", self.reviewed),
            "$ref": "#/$defs/reply",
            "$defs": definitions,
        })
    }
}

/// A part of a body, with what is documented about it and below it.
#[derive(Default)]
struct Node<'f> {
    field: Option<&'f Field>,
    fields: BTreeMap<&'f str, Self>,
    items: Option<Box<Self>>,
    /// What is said of elements by their `type`.
    variants: BTreeMap<&'f str, Self>,
}

fn schema_of(fields: &[Field]) -> Value {
    let mut root = Node::default();
    for field in fields {
        let mut node = &mut root;
        for segment in field.path.split('/').skip(1) {
            let (name, variant) = match segment.split_once('{') {
                Some((name, variant)) => (name, Some(variant.trim_end_matches('}'))),
                None => (segment, None),
            };
            node = if name == "[]" {
                node.items.get_or_insert_default()
            } else {
                node.fields.entry(name).or_default()
            };
            if let Some(variant) = variant {
                node = node.variants.entry(variant).or_default();
            }
        }
        node.field = Some(field);
    }
    let mut schema = root.schema();
    schema["type"] = json!("object");
    schema
}

impl Node<'_> {
    fn schema(&self) -> Value {
        let mut schema = self.below();
        let Some(field) = self.field else { return schema };
        let words = field.types.words();
        schema["type"] = if let [word] = words.as_slice() { json!(word) } else { json!(words) };
        if !field.values.is_empty() {
            let mut values: Vec<Value> = field.values.iter().map(|value| json!(value)).collect();
            if field.types.is_nullable() {
                values.push(Value::Null);
            }
            schema["enum"] = json!(values);
        }
        let tolerated = field
            .tolerated
            .as_ref()
            .map(|why| format!("documented as required; without it: {why}"));
        let said: Vec<_> = [Some(field.note.clone()).filter(|note| !note.is_empty()), tolerated]
            .into_iter()
            .flatten()
            .collect();
        if !said.is_empty() {
            schema["description"] = json!(said.join("; "));
        }
        schema
    }

    /// Returns what is said of the fields and elements below.
    fn below(&self) -> Value {
        let mut schema = json!({});
        if !self.fields.is_empty() {
            let properties: Map<_, _> = self
                .fields
                .iter()
                .map(|(name, node)| ((*name).to_owned(), node.schema()))
                .collect();
            let required: Vec<_> = self
                .fields
                .iter()
                .filter(|(_, node)| node.field.is_some_and(Field::is_required))
                .map(|(name, _)| *name)
                .collect();
            schema["properties"] = Value::Object(properties);
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
        }
        if let Some(items) = &self.items {
            schema["items"] = items.schema();
        }
        let variants: Vec<_> = self
            .variants
            .iter()
            .map(|(word, node)| {
                json!({
                    "if": { "properties": { "type": { "const": word } }, "required": ["type"] },
                    "then": node.below(),
                })
            })
            .collect();
        if !variants.is_empty() {
            schema["allOf"] = json!(variants);
        }
        schema
    }
}
