//! The JSON Schema of what `contract learn` prints with `--format json`.

use serde_json::{Value, json};

use crate::result::SCHEMA_VERSION;

/// Returns the schema (2020-12). Fields may be added under one `schema_version`; none is taken away or changes its meaning.
pub(crate) fn learn_schema() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let mode = json!({ "enum": ["unary", "stream"] });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "result of surestep contract learn",
        "type": "object",
        "required": ["schema_version", "exit_code"],
        "properties": {
            "schema_version": { "const": SCHEMA_VERSION },
            "command": { "const": "contract learn" },
            "exit_code": { "enum": [0, 2, 10, 11, 70] },
            "service": { "type": "string" },
            "environment": { "type": "string" },
            "provider": { "type": "string" },
            "complete": { "type": "boolean", "description": "everything that was to be learnt is certain" },
            "required_fields": texts,
            "configuration": {
                "type": "object",
                "required": ["lacks", "needless"],
                "properties": { "lacks": texts, "needless": texts },
            },
            "differences": { "type": "array", "items": {
                "type": "object",
                "required": ["mode", "field", "only"],
                "properties": {
                    "mode": mode, "field": { "type": "string" }, "only": { "enum": ["new", "rollback"] },
                },
            } },
            "releases": {
                "type": "object",
                "properties": { "new": { "$ref": "#/$defs/release" }, "rollback": { "$ref": "#/$defs/release" } },
                "additionalProperties": false,
            },
            "max_asks": { "type": "integer", "minimum": 1 },
            "not_asserted": texts,
            "error": { "type": "object", "description": "in place of everything else, when the work could not be done" },
        },
        "$defs": { "release": release(&mode), "effect": { "enum": [
            "same", "refused", "answered_otherwise", "hung", "crashed", "unclear",
        ] } },
    })
}

fn release(mode: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["version", "complete", "asks", "asked", "modes", "findings"],
        "properties": {
            "version": { "type": "string" },
            "complete": { "type": "boolean" },
            "asks": { "type": "integer", "minimum": 0 },
            "asked": { "enum": ["each", "together"], "description": "each change by itself, or together where that tells as much" },
            "modes": { "type": "array", "items": of_mode(mode) },
            "findings": { "type": "array", "description": "why it could not be asked, or not in a mode; as in `schema result`" },
        },
    })
}

fn of_mode(mode: &Value) -> Value {
    let effect = json!({ "$ref": "#/$defs/effect" });
    let text = json!({ "type": "string" });
    let optional_text = json!({ "type": ["string", "null"] });
    let of_field = json!({ "type": "array", "items": {
        "type": "object",
        "required": ["field", "effect"],
        "properties": { "field": text, "effect": effect },
    } });
    json!({
        "type": "object",
        "required": ["mode", "surface", "streams", "fields", "changes", "trouble", "needs",
            "unknown_not_taken", "one_of", "documented_not_taken", "unclear"],
        "properties": {
            "mode": mode,
            "surface": { "enum": ["chat", "responses"] },
            "streams": { "type": "boolean", "description": "whether the release streams from the provider" },
            "fields": { "type": "integer", "minimum": 0 },
            "changes": { "type": "integer", "minimum": 0 },
            "trouble": {
                "type": ["object", "null"],
                "description": "why nothing is claimed of this mode",
                "properties": { "seen": text, "advice": text },
            },
            "needs": { "type": "array", "items": {
                "type": "object",
                "required": ["field", "documented", "need", "inside", "required_field", "changes", "seen", "advice"],
                "properties": {
                    "field": { "type": "string", "description": "a JSON pointer into the reply as the wire has it, or `event NAME`" },
                    "documented": { "enum": ["promised", "optional"] },
                    "need": { "enum": ["always", "inside", "never"],
                        "description": "may never be left out; only together with `inside`; may be, but another change of it breaks the release" },
                    "inside": optional_text,
                    "required_field": optional_text,
                    "changes": {
                        "type": "object",
                        "properties": { "delete": effect, "null": effect, "retype": effect, "rename": effect },
                        "additionalProperties": false,
                    },
                    "seen": text,
                    "advice": optional_text,
                },
            } },
            "unknown_not_taken": of_field,
            "one_of": { "type": "array", "items": {
                "type": "object",
                "required": ["fields", "effect"],
                "properties": {
                    "fields": { "type": "array", "items": text, "minItems": 2 },
                    "effect": effect,
                },
            } },
            "documented_not_taken": of_field,
            "unclear": { "type": "array", "items": {
                "type": "object",
                "required": ["change", "why", "seen"],
                "properties": {
                    "change": text,
                    "why": { "enum": ["flaky", "not_observed", "observation_lost", "not_started", "not_asked"] },
                    "seen": text,
                },
            } },
        },
    })
}
