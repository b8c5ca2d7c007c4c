//! The values known at run time that commands, environment values and JSON templates name in braces.

use std::collections::BTreeMap;

use drill::ports::Way;
use evidence::Sensitive;
use serde_json::Value;

/// What stands before the name of a secret.
const SECRET: &str = "secret:";

/// What placeholders stand for. One that is not known here stays as it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders {
    pub(crate) prompt: Option<Sensitive>,
    pub(crate) tap: Option<Way>,
    pub(crate) port: Option<u16>,
    pub(crate) version: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) key: Option<Sensitive>,
    /// What `{secret:NAME}` stands for. Only where a service is asked: in a command it would show in the list of processes.
    pub(crate) secrets: BTreeMap<String, Sensitive>,
}

impl Placeholders {
    /// Returns the text with each known placeholder replaced, in one pass: what a value contains is not expanded again.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            expanded.push_str(before);
            match behind.split_once('}').and_then(|(name, after)| Some((self.value(name)?, after)))
            {
                Some((value, after)) => {
                    expanded.push_str(&value);
                    rest = after;
                }
                None => {
                    expanded.push('{');
                    rest = behind;
                }
            }
        }
        expanded.push_str(rest);
        expanded
    }

    /// Returns the JSON value with `{prompt}` and the others replaced inside its strings; escaping is left to serialization.
    pub(crate) fn expand_json(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => Value::String(self.expand(text)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.expand_json(item)).collect())
            }
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.expand_json(value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "prompt" => self.prompt.as_ref().map(|prompt| prompt.expose().to_owned()),
            "tap" => self.tap.as_ref().map(|way| way.base_url.clone()),
            "port" => self.port.map(|port| port.to_string()),
            "version" => self.version.clone(),
            "model" => self.model.clone(),
            "key" => self.key.as_ref().map(|key| key.expose().to_owned()),
            _ => {
                let secret = self.secrets.get(name.strip_prefix(SECRET)?)?;
                Some(secret.expose().trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placeholders() -> Placeholders {
        Placeholders {
            prompt: Some(Sensitive::new("say \"{tap}\"\n")),
            tap: Some(Way::direct("http://t/v1".to_owned())),
            port: Some(7),
            ..Placeholders::default()
        }
    }

    #[test]
    fn values_are_not_expanded_again() {
        assert_eq!(
            placeholders().expand("<{prompt}>{tap}:{port}"),
            "<say \"{tap}\"\n>http://t/v1:7"
        );
    }

    #[test]
    fn unknown_names_and_lone_braces_stay() {
        assert_eq!(placeholders().expand("{{port}} {x} {model} {"), "{7} {x} {model} {");
    }

    #[test]
    fn a_secret_is_named() {
        let token = ("CALLER_TOKEN".to_owned(), Sensitive::new("t-{port}\n"));
        let placeholders = Placeholders { secrets: BTreeMap::from([token]), ..placeholders() };
        assert_eq!(placeholders.expand("Bearer {secret:CALLER_TOKEN}"), "Bearer t-{port}");
        assert_eq!(
            placeholders.expand("{CALLER_TOKEN} {secret:OTHER}"),
            "{CALLER_TOKEN} {secret:OTHER}"
        );
    }

    #[test]
    fn a_prompt_cannot_break_out_of_its_json_string() {
        let body = placeholders().expand_json(&json!({"a": ["{prompt}"], "n": 1}));
        assert_eq!(body, json!({"a": ["say \"{tap}\"\n"], "n": 1}));
    }
}
