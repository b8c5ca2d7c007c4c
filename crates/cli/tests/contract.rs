//! `contract show`, `contract judge` and `contract diff` as a user runs them.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::path::Path;
use std::process::Command;

const REPLY: &str = r#"{"id":"c1","object":"chat.completion","created":1780000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"unlikely-words"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

/// Runs `surestep contract …` in a folder: exit code and output.
fn run(folder: &Path, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_surestep"));
    let output = command.arg("contract").args(words).current_dir(folder).output().unwrap();
    let shown = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(shown).unwrap())
}

fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

#[test]
fn show_is_readable_and_its_schema_is_of_the_reply() {
    let folder = folder(&[(
        "acme.yaml",
        "name: acme\nerrors: { codes: { E42: { class: quota } } }\n".to_owned(),
    )]);
    let (code, page) = run(folder.path(), &["show", "--profile", "acme.yaml"]);
    assert_eq!(code, 0);
    for told in [
        "/choices/[]/finish_reason",
        "stream: 59 events",
        "rate_limit",
        "sources read on 2026",
        "error code E42 is quota: a retry cannot help",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let (code, schema) = run(folder.path(), &["show", "--surface", "responses", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!((code, schema["$ref"].as_str()), (0, Some("#/$defs/reply")));
    assert!(
        schema["$defs"]["event:response.output_text.delta"]["required"]
            .as_array()
            .unwrap()
            .contains(&"delta".into())
    );
    let (code, json) = run(folder.path(), &["show", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["contracts"][1]["stream"]["events"].as_array().unwrap().len()), (0, 59));
    assert_eq!(run(folder.path(), &["show", "--schema"]).0, 2);
}

#[test]
fn judge_says_what_it_read_what_was_found_and_what_to_do() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let folder = folder(&[
        ("all/a.http", format!("{head}\r\n{REPLY}")),
        ("all/b.http", format!("{head}content-length: 9\r\n\r\n{REPLY}")),
        ("all/.DS_Store", "Bud1".to_owned()),
        ("bare.json", REPLY.replace("\"stop\"", "null")),
        (
            "page.sse",
            format!("HTTP/2 200\ncontent-type: text/event-stream\n\ndata: {REPLY}\n\n<html>\n\n"),
        ),
    ]);
    let judge = |mode: &str, words: &[&str]| {
        let asked = ["judge", "--surface", "chat", "--mode", mode];
        let (code, text) = run(folder.path(), &[&asked[..], words].concat());
        assert!(!text.contains("unlikely-words"), "{text}");
        (code, text)
    };
    let (code, text) = judge("unary", &["all"]);
    assert_eq!(code, 10, "{text}");
    assert!(text.starts_with("pass  all/a.http  (status 200)\nhold  all/b.http"), "{text}");
    assert!(text.contains("body-beyond-length at header content-length: expected"), "{text}");
    assert!(text.contains("\n        do: clients stop reading"), "{text}");
    assert!(!text.contains("DS_Store"), "{text}");
    let (code, text) = judge("unary", &["bare.json"]);
    let first = "hold  bare.json  (a body without its head, taken as status 200)\n";
    assert!(code == 10 && text.starts_with(first), "{text}");
    let (code, text) = judge("stream", &["page.sse"]);
    assert!(code == 10 && text.contains("body-html after event 1: expected"), "{text}");
    let (_, text) = judge("unary", &["--format", "json", "bare.json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["bare"], &json["status"]), (&true.into(), &200.into()));
    let advice = json["findings"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("treat it as truncated"), "{advice}");
}

#[test]
fn diff_tells_what_breaks_the_application_and_shows_no_value() {
    let without = REPLY
        .replace("\"unlikely-words\"", "null")
        .replace("\"created\":1780000000,", "\"extra\":1,");
    let folder = folder(&[
        ("a.http", format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{REPLY}")),
        ("b.json", without.clone()),
        ("many/1.json", REPLY.to_owned()),
        ("many/2.json", without),
        ("page.html", "<html></html>".to_owned()),
        (
            "error.http",
            "HTTP/1.1 500 No\r\ncontent-type: application/json\r\n\r\n{\"error\":{}}".to_owned(),
        ),
        ("r.json", r#"{"object":"response","id":"r","status":"completed","output":[]}"#.to_owned()),
    ]);
    let content = "/choices/0/message/content";
    let diff = |words: &[&str], code: i32, told: &[&str]| {
        let (found, text) = run(folder.path(), &[&["diff"], words].concat());
        assert_eq!(found, code, "{text}");
        for one in told {
            assert!(text.contains(one), "{one} in {text}");
        }
        assert!(!text.contains("unlikely-words"), "{text}");
    };
    diff(&["a.http", "a.http"], 0, &["0 breaking"]);
    diff(
        &["a.http", "b.json", "--required", content],
        10,
        &[
            "1 breaking",
            "response-property-became-null",
            "info        response-property-removed",
            "compatible  response-property-added",
        ],
    );
    diff(&["a.http", "b.json", "--required", "/id"], 0, &["0 breaking"]);
    diff(&["a.http", "b.json"], 10, &["2 breaking", "judged by the contract's required fields"]);
    diff(
        &["a.http", "many", "--required", content],
        10,
        &["response-property-became-nullable", "2 replies"],
    );
    diff(&["a.http", "b.json", "--required", "id"], 2, &["is not a JSON pointer"]);
    diff(&["a.http", "page.html"], 11, &["a web page"]);
    diff(&["a.http", "error.http"], 11, &["nothing to compare"]);
    diff(&["a.http", "r.json"], 11, &["different surfaces"]);
    for words in [["a.http", "b.json"], ["a.http", "r.json"], ["r.json", "a.http"]] {
        let words = [&words[..], &["--surface", "responses"]].concat();
        let told = ["nothing to compare", "a reply of the chat surface, not of responses"];
        diff(&words, 11, &told);
    }
    let told = ["a reply of the responses surface, not of chat"];
    diff(&["r.json", "r.json", "--surface", "chat"], 11, &told);
    diff(&["a.http", "--save", "shape.json"], 0, &[]);
    diff(&["shape.json", "b.json", "--required", content], 10, &["1 breaking"]);
    diff(&["page.html", "--save", "x.json"], 2, &["no shape to save"]);
    let saved = std::fs::read_to_string(folder.path().join("shape.json")).unwrap();
    assert!(!saved.contains("unlikely-words"));
}

#[test]
fn an_openapi_document_is_compared_and_required() {
    let document = |more: &str| {
        format!(
            "openapi: 3.1.0\npaths:\n  /v1/chat/completions:\n    post:\n      responses:\n        '200':\n          content:\n            application/json:\n              schema:\n                type: object\n                required: [id, choices{more}]\n                properties:\n                  id: {{ type: [string, 'null'] }}\n                  choices: {{ type: array }}\n"
        )
    };
    let folder = folder(&[
        ("loose.yaml", document("")),
        ("strict.yaml", document(", trace")),
        ("circle.json", r##"{"openapi":"3.0.0","paths":{"/chat/completions":{"post":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}}}}}},"components":{"schemas":{"A":{"$ref":"#/components/schemas/A"}}}}"##.to_owned()),
        ("reply.json", REPLY.to_owned()),
    ]);
    let (code, text) =
        run(folder.path(), &["diff", "--openapi", "loose.yaml", "--required", "/id"]);
    assert_eq!(code, 10);
    assert!(
        text.contains(
            "response-property-became-nullable  unary reply at /id: string -> null|string"
        ),
        "{text}"
    );
    let (code, text) = run(folder.path(), &["diff", "loose.yaml", "strict.yaml"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("/trace"), "{text}");
    let judge = |document: &str| {
        run(
            folder.path(),
            &["judge", "--surface", "chat", "--mode", "unary", "--openapi", document, "reply.json"],
        )
    };
    assert_eq!(judge("loose.yaml").0, 0);
    let (code, text) = judge("strict.yaml");
    assert_eq!(code, 10);
    assert!(text.contains("openapi-field-missing at /trace"), "{text}");
    let (code, text) = judge("circle.json");
    assert_eq!(code, 2);
    assert!(text.contains("leads back to itself"), "{text}");
    assert_eq!(judge("nowhere.yaml").0, 2);
}
