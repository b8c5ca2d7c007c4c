//! The JSON Schema of a result, as `check`, `drill` and `can` print it with `--format json`.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;

/// Returns the schema (2020-12). Fields may be added under one `schema_version`; none is taken away or changes its meaning.
pub(crate) fn result_schema() -> Value {
    let verdict = json!({ "enum": ["pass", "fail", "ambiguous"] });
    let optional_text = json!({ "type": ["string", "null"] });
    let share = json!({
        "type": "object",
        "required": ["new", "rollback"],
        "properties": {
            "new": { "type": "integer", "minimum": 0, "maximum": 100, "description": "percent" },
            "rollback": { "type": "integer", "minimum": 0, "maximum": 100, "description": "percent" },
        },
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "result of surestep check, drill and can",
        "type": "object",
        "required": ["schema_version", "decision", "exit_code"],
        "properties": {
            "schema_version": { "const": SCHEMA_VERSION },
            "command": { "enum": ["check", "drill", "can promote", "can roll-back"] },
            "run": optional_text,
            "service": { "type": "string" },
            "environment": { "type": "string" },
            "provider": { "type": "string" },
            "decision": { "enum": ["hold", "promote_small_step", "rollback"] },
            "exit_code": { "enum": [0, 2, 10, 11, 20, 70] },
            "gates": { "type": "array", "items": gate(&verdict) },
            "releases": {
                "type": "object",
                "required": ["new", "rollback"],
                "properties": { "new": { "$ref": "#/$defs/release" }, "rollback": { "$ref": "#/$defs/release" } },
            },
            "findings": { "type": "array", "items": { "$ref": "#/$defs/finding" } },
            "steps": { "type": "array", "items": step(&verdict) },
            "route": {
                "type": ["object", "null"],
                "required": ["share"],
                "properties": { "share": share },
            },
            "notes": { "type": "array", "items": { "type": "string" } },
            "not_asserted": { "type": "array", "items": { "type": "string" } },
            "error": {
                "type": "object",
                "description": "in place of everything but decision and exit code, when the work could not be done",
                "required": ["message"],
                "properties": {
                    "message": { "type": "string" },
                    "advice": optional_text,
                    "problems": { "type": ["array", "null"] },
                },
            },
        },
        "$defs": { "release": release(&verdict), "finding": finding() },
    })
}

fn gate(verdict: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["gate", "verdict", "reasons"],
        "properties": {
            "gate": { "enum": judge::gates::Gate::ALL.map(judge::gates::Gate::as_str) },
            "verdict": verdict,
            "required": { "type": "boolean" },
            "reasons": { "type": "array", "items": { "type": "string" } },
            "since": { "type": ["string", "null"], "format": "date-time" },
        },
    })
}

fn step(verdict: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["step", "name", "verdict"],
        "properties": {
            "step": { "type": "integer", "minimum": 0, "maximum": 8 },
            "name": { "type": "string" },
            "verdict": verdict,
            "percent_new": { "type": ["integer", "null"] },
        },
    })
}

fn release(verdict: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["version", "verdict", "probes"],
        "properties": {
            "version": { "type": "string" },
            "verdict": verdict,
            "probes": { "type": "array", "items": {
                "type": "object",
                "required": ["id", "mode", "request_type", "lane", "verdict", "outcome", "attempts", "findings"],
                "properties": {
                    "id": { "type": "string" },
                    "mode": { "enum": ["unary", "stream"] },
                    "phase": { "enum": ["smoke", "after_switch"] },
                    "group": { "type": "string" },
                    "request_type": { "enum": ["happy_path", "error_path"] },
                    "lane": { "enum": ["live", "simulated"] },
                    "verdict": verdict,
                    "outcome": { "enum": ["answered", "refused", "timed_out", "crashed", "left", null] },
                    "attempts": { "type": "integer", "minimum": 0 },
                    "findings": { "type": "array", "items": { "$ref": "#/$defs/finding" } },
                    "repeats": {
                        "type": "array",
                        "description": "each ask, where the probe was made more than once",
                        "items": { "type": "object", "required": ["verdict", "outcome", "attempts", "findings"] },
                    },
                },
            } },
        },
    })
}

fn finding() -> Value {
    json!({
        "type": "object",
        "required": ["code", "severity", "release", "probe", "mode", "expected", "seen", "advice", "breaks"],
        "properties": {
            "code": { "type": "string", "pattern": "^[a-z0-9-]+$" },
            "severity": { "enum": ["info", "warn", "ambiguous", "fail"] },
            "release": { "enum": ["new", "rollback", null] },
            "probe": { "type": ["string", "null"] },
            "mode": { "enum": ["unary", "stream", null] },
            "expected": { "type": "string" },
            "seen": { "type": "string" },
            "advice": { "type": "string" },
            "breaks": {
                "type": "array",
                "description": "known clients that break on the reply that the finding is about",
                "items": {
                    "type": "object",
                    "required": ["client", "versions", "how"],
                    "properties": {
                        "client": { "type": "string" },
                        "versions": { "type": "array", "items": { "type": "string" } },
                        "how": { "type": "string" },
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use judge::Verdict;
    use judge::gates::{Decided, Decision};

    use super::*;
    use crate::result::{Outcome, ReleaseResult};

    #[test]
    fn every_field_of_a_result_is_in_its_schema() {
        let release =
            || ReleaseResult { version: "1".to_owned(), verdict: None, probes: Vec::new() };
        let outcome = Outcome {
            command: "check",
            run: None,
            service: String::new(),
            environment: String::new(),
            provider: String::new(),
            decided: Decided {
                decision: Decision::Hold,
                verdict: Verdict::Ambiguous,
                gates: Vec::new(),
            },
            required: Vec::new(),
            exit_code: 11,
            new: release(),
            rollback: release(),
            steps: Vec::new(),
            findings: Vec::new(),
            percent_new: None,
            notes: Vec::new(),
            headline: String::new(),
        };
        let schema = result_schema();
        for (name, _) in outcome.to_json().as_object().expect("an object") {
            assert!(schema["properties"].get(name).is_some(), "{name}");
        }
    }
}
