//! What stands beside the surfaces and is called before an answer: moderations and embeddings, as they are documented.

use serde_json::{Value, json};

/// A simulated embedding, of length one. Nobody may rely on how many numbers it has.
const EMBEDDING: [f64; 4] = [0.5, -0.5, 0.5, -0.5];

/// Inputs of one simulated call that are answered: the documented limit is 2048.
const INPUTS_MAX: usize = 2_048;

/// What a service asked of a path beside the surface: its model, and how many inputs.
fn request(body: &[u8]) -> (Value, usize) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let model = request.get("model").filter(|model| model.is_string()).cloned();
    let n_inputs = match request.get("input") {
        // A list of numbers is one input, as tokens.
        Some(Value::Array(inputs)) if !inputs.first().is_some_and(Value::is_number) => inputs.len(),
        _ => 1,
    };
    (model.unwrap_or_else(|| "surestep-simulated".into()), n_inputs.clamp(1, INPUTS_MAX))
}

/// Returns the moderation of a request's inputs. Nothing is flagged: the probe's prompt is harmless, and the service is to go on.
pub fn moderation(body: &[u8]) -> Value {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let (model, n_inputs) = request(body);
    let each = |value: Value| -> serde_json::Map<String, Value> {
        CATEGORIES.iter().map(|name| ((*name).to_owned(), value.clone())).collect()
    };
    let result = json!({
        "flagged": false,
        "categories": each(json!(false)),
        "category_scores": each(json!(0.000_01)),
        "category_applied_input_types": each(json!(["text"])),
    });
    json!({ "id": "modr-surestep", "model": model, "results": vec![result; n_inputs] })
}

/// Returns an embedding of each input of a request.
pub fn embeddings(body: &[u8]) -> Value {
    let (model, n_inputs) = request(body);
    let data: Vec<Value> = (0..n_inputs)
        .map(|index| json!({ "object": "embedding", "index": index, "embedding": EMBEDDING }))
        .collect();
    json!({ "object": "list", "data": data, "model": model, "usage": { "prompt_tokens": 8, "total_tokens": 8 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_has_its_result() {
        let of = |body: &Value| {
            let body = body.to_string().into_bytes();
            let n = |document: Value, field: &str| document[field].as_array().map(Vec::len);
            (n(moderation(&body), "results"), n(embeddings(&body), "data"))
        };
        assert_eq!(of(&json!({ "input": "one" })), (Some(1), Some(1)));
        assert_eq!(of(&json!({ "input": ["one", "two"] })), (Some(2), Some(2)));
        assert_eq!(of(&json!({ "input": [17, 4] })), (Some(1), Some(1)), "tokens");
    }
}
