//! OpenAPI documents in, outlines out: references, unions, `null`, and what cannot be read.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use contract::{OpenApi, Surface};
use serde_json::{Value, json};

fn document(schema: &Value, components: &Value) -> Value {
    json!({
        "openapi": "3.0.3",
        "paths": {"/chat/completions": {"post": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}},
        "components": {"schemas": components}
    })
}

/// Returns `path: types` of each path below the root.
fn outline(schema: &Value, components: &Value) -> Vec<String> {
    let read = OpenApi::read(&document(schema, components), Surface::Chat).unwrap();
    let shape = read.unary.unwrap().shape().clone();
    shape.paths().iter().skip(1).map(|(path, kind)| format!("{path} {}", kind.types())).collect()
}

#[track_caller]
fn check(schema: Value, components: Value, expected: &[&str]) {
    assert_eq!(outline(&schema, &components), expected);
}

fn object(fields: Value, required: Value) -> Value {
    json!({"type": "object", "properties": fields, "required": required})
}

#[test]
fn both_ways_of_null_are_read() {
    let fields = json!({"a": {"type": "string", "nullable": true}, "b": {"type": ["string", "null"]}, "c": {"anyOf": [{"type": "integer"}, {"type": "null"}]}});
    check(
        object(fields, json!(["a", "b"])),
        json!({}),
        &["/a null|string", "/b null|string", "/c null|integer|absent"],
    );
}

#[test]
fn references_and_parts_are_joined() {
    let components = json!({
        "Base": object(json!({"id": {"type": "string"}, "kind": {"type": "string"}}), json!(["id"])),
        "More": {"allOf": [{"$ref": "#/components/schemas/Base"}, object(json!({"n": {"type": "number"}}), json!(["n", "kind"]))]},
        "a/b~c": {"type": "boolean"}
    });
    let list = json!({"more": {"type": "array", "items": {"$ref": "#/components/schemas/More"}}, "flag": {"$ref": "#/components/schemas/a~1b~0c"}});
    check(
        object(list, json!(["more"])),
        components,
        &[
            "/flag boolean|absent",
            "/more array",
            "/more/[] object",
            "/more/[]/id string",
            "/more/[]/kind string",
            "/more/[]/n integer|float",
        ],
    );
}

#[test]
fn of_alternatives_all_is_allowed_and_the_common_is_required() {
    let one = object(json!({"a": {"type": "string"}, "b": {"type": "string"}}), json!(["a", "b"]));
    let two = object(json!({"a": {"type": "integer"}}), json!(["a"]));
    for word in ["oneOf", "anyOf"] {
        check(json!({word: [one, two]}), json!({}), &["/a integer|string", "/b string|absent"]);
    }
    // An alternative that is no object takes nothing away from the object.
    check(
        object(json!({"o": {"oneOf": [one, {"type": "null"}]}}), json!([])),
        json!({}),
        &["/o null|object|absent", "/o/a string", "/o/b string"],
    );
}

#[test]
fn maps_enums_and_write_only_fields_are_read() {
    let fields = json!({
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "word": {"enum": ["x", null]}, "only": {"const": 4}, "secret": {"type": "string", "writeOnly": true}
    });
    check(
        object(fields, json!(["map", "word", "only", "secret"])),
        json!({}),
        &[
            "/map object",
            "/map/* integer|absent",
            "/only integer|float",
            "/secret string|absent",
            "/word null|string",
        ],
    );
}

#[test]
fn a_schema_that_contains_itself_is_looked_at_once() {
    let tree = object(
        json!({"name": {"type": "string"}, "child": {"$ref": "#/components/schemas/Tree"}}),
        json!(["name"]),
    );
    let read = OpenApi::read(
        &document(&json!({"$ref": "#/components/schemas/Tree"}), &json!({"Tree": tree})),
        Surface::Chat,
    )
    .unwrap();
    assert!(read.unary.unwrap().shape().paths().contains_key("/child"));
    assert_eq!(read.notes.len(), 1, "{:?}", read.notes);
}

#[track_caller]
fn refused(document: &Value, at: &str, what: &str) {
    let problem = OpenApi::read(document, Surface::Chat).unwrap_err();
    assert!(problem.at.contains(at) && problem.what.contains(what), "{problem}");
    assert!(!problem.help.is_empty());
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let schema = |schema: Value| {
        document(
            &schema,
            &json!({"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}),
        )
    };
    refused(&json!({}), "/", "`openapi` is missing");
    refused(&json!({"swagger": "2.0"}), "/swagger", "Swagger 2.0");
    refused(&json!({"openapi": "4.0"}), "/openapi", "another version");
    refused(
        &json!({"openapi": "3.1.0", "paths": {"/v1/embeddings": {"post": {}}}}),
        "/paths",
        "/chat/completions",
    );
    refused(&schema(json!({"$ref": "#/components/schemas/A"})), "", "leads back to itself");
    refused(&schema(json!({"$ref": "#/components/schemas/Nowhere"})), "schema", "names nothing");
    refused(&schema(json!({"$ref": "other.yaml#/X"})), "schema", "leaves the document");
    refused(&schema(json!({"$ref": "http://example.com/x"})), "schema", "leaves the document");
    refused(&schema(json!({"type": "text"})), "schema/type", "no type");
    refused(&schema(json!(7)), "schema", "must be a mapping");
    let mut deep = json!({"type": "string"});
    for _ in 0..70 {
        deep = json!({"type": "array", "items": deep});
    }
    refused(&schema(deep), "items", "levels deep");
}

#[test]
fn references_that_multiply_end_at_the_limit() {
    let mut components = json!({"L0": {"type": "string"}});
    for level in 1..=20 {
        let below = json!({"$ref": format!("#/components/schemas/L{}", level - 1)});
        components[format!("L{level}")] = object(json!({"a": below, "b": below}), json!([]));
    }
    refused(
        &document(&json!({"$ref": "#/components/schemas/L20"}), &components),
        "",
        "more than 200000 schemas",
    );
}

#[test]
fn streams_are_read_beside_the_document() {
    let body = |schema: Value| json!({"schema": schema});
    let both = json!({"openapi": "3.1.0", "paths": {"/api/v1/responses/": {"post": {"responses": {"default": {"$ref": "#/components/responses/Ok"}}}}},
    "components": {"responses": {"Ok": {"content": {
        "application/json; charset=utf-8": body(object(json!({"id": {"type": "string"}}), json!(["id"]))),
        "text/event-stream": body(object(json!({"type": {"type": "string"}}), json!(["type"])))
    }}}}});
    let read = OpenApi::read(&both, Surface::Responses).unwrap();
    assert!(read.unary.unwrap().shape().contains("/id"));
    assert!(read.stream.unwrap().shape().contains("/type"));
    assert_eq!(read.path, "/api/v1/responses/");
}
