//! `surestep schema`: the JSON Schema of the configuration, from the table of keys.

use serde_json::{Map, Value, json};

use crate::config::{Absent, Kind, ROOT, Section};

/// A value may come from the environment wherever a word of another form is expected.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}";

/// Returns the JSON Schema (2020-12) of `surestep.yaml`.
///
/// It is what an editor needs to complete and check keys and forms; what hangs together across keys (`command` or `service` or `url`),
/// only `surestep` itself checks.
pub(crate) fn config_schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(ROOT.title));
    let Value::Object(root) = section_schema(&ROOT) else { return Value::Null };
    schema.extend(root);
    Value::Object(schema)
}

fn section_schema(section: &Section) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in section.keys {
        let mut property = kind_schema(&key.kind);
        if let Value::Object(property) = &mut property {
            property.insert("description".to_owned(), json!(key.means));
            match key.absent {
                Absent::Required => required.push(key.name),
                Absent::Value(value) => {
                    property.insert("x-default".to_owned(), json!(value));
                }
                Absent::Otherwise(otherwise) => {
                    property.insert("x-otherwise".to_owned(), json!(otherwise));
                }
            }
        }
        properties.insert(key.name.to_owned(), property);
    }
    let mut schema = json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn kind_schema(kind: &Kind) -> Value {
    match kind {
        // A version such as 2.10 needs no quotes: to YAML it is a number, to surestep text.
        Kind::Text => json!({"type": ["string", "number", "boolean"]}),
        Kind::Integer { min, max } => json!({"anyOf": [
            {"type": "integer", "minimum": min, "maximum": max},
            pattern(VARIABLE),
        ]}),
        Kind::Boolean => json!({"anyOf": [{"type": "boolean"}, pattern(VARIABLE)]}),
        Kind::Duration => pattern(&format!("([0-9]+(ms|s|m|h|d))+|.*{VARIABLE}.*")),
        Kind::Date => pattern(&format!("[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|.*{VARIABLE}.*")),
        Kind::Pointer => pattern(&format!("(/([^~]|~[01])*)|.*{VARIABLE}.*")),
        Kind::Address => pattern(&format!(r".+:[0-9]+|.*{VARIABLE}.*")),
        Kind::Secret => json!({"anyOf": [
            pattern(r"env:.+|file:.+|command:\[.+\]|\{key\}"),
            {
                "type": "object",
                "properties": {"command": {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}},
                "required": ["command"],
                "additionalProperties": false,
            },
        ]}),
        Kind::Json => json!({}),
        Kind::Word(words) => json!({"anyOf": [{"enum": words}, pattern(VARIABLE)]}),
        Kind::Section(section) => section_schema(section),
        Kind::List(item) => json!({"type": "array", "items": kind_schema(item)}),
        Kind::Map(value) => json!({"type": "object", "additionalProperties": kind_schema(value)}),
        Kind::Either(kinds) => json!({"anyOf": kinds.iter().map(kind_schema).collect::<Vec<_>>()}),
    }
}

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": format!("^({pattern})$")})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example_as_json;

    #[test]
    fn the_example_is_valid() {
        assert_eq!(violations(&config_schema(), &example_as_json(), "$"), Vec::<String>::new());
    }

    #[test]
    fn misspelt_and_missing_keys_are_invalid() {
        let mut example = example_as_json();
        let provider = example["provider"].as_object_mut().expect("a mapping");
        let modes = provider.shift_remove("modes").expect("modes");
        provider.insert("mode".to_owned(), modes);
        example["route"]["step"] = json!(0);
        example["releases"]["new"]["deadline"] = json!(30);
        let found = violations(&config_schema(), &example, "$");
        assert_eq!(
            found,
            [
                "$.provider: mode is not known",
                "$.provider: modes is missing",
                "$.releases.new.deadline: wrong type",
                "$.route.step: none fits",
            ]
        );
    }

    #[test]
    fn every_key_is_described() {
        fn check(schema: &Value, path: &str) {
            let properties = schema["properties"].as_object().into_iter().flatten();
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{path}.{name}");
                check(property, &format!("{path}.{name}"));
            }
        }
        check(&config_schema(), "$");
    }

    /// The part of JSON Schema that [`config_schema`] uses, patterns aside.
    fn violations(schema: &Value, value: &Value, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(choices) = schema["anyOf"].as_array()
            && choices.iter().all(|choice| !violations(choice, value, path).is_empty())
        {
            return vec![format!("{path}: none fits")];
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            found.push(format!("{path}: not one of the words"));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &str| match name {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("no such type: {other}"),
        };
        if !types.is_empty() && !types.iter().any(|name| is(name)) {
            return vec![format!("{path}: wrong type")];
        }
        for (bound, wrong) in
            [("minimum", std::cmp::Ordering::Less), ("maximum", std::cmp::Ordering::Greater)]
        {
            if let (Some(bound), Some(number)) = (schema[bound].as_u64(), value.as_u64())
                && number.cmp(&bound) == wrong
            {
                found.push(format!("{path}: out of bounds"));
            }
        }
        for item in value.as_array().into_iter().flatten() {
            found.extend(violations(&schema["items"], item, &format!("{path}[]")));
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => {
                    found.push(format!("{path}: {name} is not known"));
                }
                (Value::Null, other) => {
                    found.extend(violations(other, inner, &format!("{path}.{name}")));
                }
                (property, _) => {
                    found.extend(violations(property, inner, &format!("{path}.{name}")));
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                found.push(format!("{path}: {name} is missing"));
            }
        }
        found.sort();
        found
    }
}
