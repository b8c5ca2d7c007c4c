//! `GET /v1/models`: what models there are.

use serde_json::{Value, json};

use crate::ProviderConfig;

/// The one that is listed where every model exists.
const ANY_MODEL: &str = "simulated-model";

/// A date for models without history: 2026-01-01.
const CREATED: i64 = 1_767_225_600;

/// Returns the list of models.
pub(crate) fn list(config: &ProviderConfig) -> Value {
    let data: Vec<Value> = if config.models.is_empty() {
        vec![model(ANY_MODEL)]
    } else {
        config.models.iter().map(|id| model(id)).collect()
    };
    json!({ "object": "list", "data": data })
}

/// Returns one model.
pub(crate) fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "simulated" })
}

/// Returns the id in a path, without its percent escapes: ids may hold a slash.
pub(crate) fn id_in_path(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
        bytes.push(escaped.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_a_path_are_read() {
        assert_eq!(id_in_path("gpt-5.4-mini"), "gpt-5.4-mini");
        assert_eq!(id_in_path("org%2Fmodel%3a1"), "org/model:1");
        assert_eq!(id_in_path("100%"), "100%");
        assert_eq!(id_in_path("%zz%"), "%zz%");
    }
}
