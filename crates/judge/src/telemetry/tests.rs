//! Exports that keep to the conventions, and those that do not.

use super::*;

const GEN_AI_SPAN: &str = r#"{"otlp":"span","kind":3,"resource":{"service.version":"2.4.0"},"attributes":{"gen_ai.operation.name":"chat","gen_ai.request.model":"m","gen_ai.provider.name":"openai"}}"#;
const HTTP_SPAN: &str = r#"{"otlp":"span","kind":3,"resource":{"service.version":"2.4.0"},"attributes":{"http.request.method":"POST","server.address":"h","url.full":"https://h/v1","http.response.status_code":200}}"#;

#[track_caller]
fn check(text: &str, missing: &[&str], content: &[&str]) {
    let reading = read(text);
    assert_eq!((&*reading.missing, &*reading.content), (missing, content), "{text}");
}

#[test]
fn spans_that_follow_either_convention_miss_nothing() {
    check(GEN_AI_SPAN, &[], &[]);
    check(HTTP_SPAN, &[], &[]);
    check(&format!("a log line\n{GEN_AI_SPAN}\n{HTTP_SPAN}\n"), &[], &[]);
    // The names of a few years ago.
    let old = r#"{"otlp":"span","kind":"SPAN_KIND_CLIENT","resource":{"service.version":"1"},"attributes":{"http.method":"POST","net.peer.name":"h","http.url":"u","http.status_code":200}}"#;
    check(old, &[], &[]);
    check(&GEN_AI_SPAN.replace("gen_ai.provider.name", "gen_ai.system"), &[], &[]);
    assert!(read(GEN_AI_SPAN).any);
    assert_eq!(read("nothing\n{\"otlp\":"), TelemetryReading::default());
}

#[test]
fn each_required_attribute_is_missed() {
    for (span, name) in [
        (GEN_AI_SPAN, "gen_ai.operation.name"),
        (GEN_AI_SPAN, "gen_ai.request.model"),
        (GEN_AI_SPAN, "gen_ai.provider.name"),
        (GEN_AI_SPAN, "service.version"),
        (HTTP_SPAN, "http.request.method"),
        (HTTP_SPAN, "server.address"),
        (HTTP_SPAN, "url.full"),
        (HTTP_SPAN, "http.response.status_code"),
        (HTTP_SPAN, "service.version"),
    ] {
        check(&span.replace(name, "x"), &[name], &[]);
    }
    check(&GEN_AI_SPAN.replace(r#""m""#, r#""""#), &["gen_ai.request.model"], &[]);
    // A failed call has a type of error in place of a status.
    check(
        &HTTP_SPAN.replace(r#""http.response.status_code":200"#, r#""error.type":"timeout""#),
        &[],
        &[],
    );
    let server = HTTP_SPAN.replace(r#""kind":3"#, r#""kind":2"#);
    check(&server, &["a client span of the call"], &[]);
}

#[test]
fn content_is_known_by_its_names() {
    let with = |attribute: &str| {
        format!(
            "{GEN_AI_SPAN}\n{}",
            GEN_AI_SPAN.replace(
                r#""gen_ai.operation.name""#,
                &format!(r#"{attribute},"gen_ai.operation.name""#)
            )
        )
    };
    check(&with(r#""gen_ai.input.messages":"[]x""#), &[], &["gen_ai.input.messages"]);
    check(&with(r#""gen_ai.input.messages":"""#), &[], &[]);
    check(&with(r#""gen_ai.prompt.0.content":"hi""#), &[], &["gen_ai.prompt"]);
    check(&with(r#""gen_ai.prompt.0.role":"user""#), &[], &[]);
    check(&with(r#""gen_ai.prompt_tokens":3"#), &[], &[]);
    check(
        &with(r#""gen_ai.output.messages":[{"role":"assistant"}]"#),
        &[],
        &["gen_ai.output.messages"],
    );
    let event = |body: &str| {
        format!(
            "{GEN_AI_SPAN}\n{{\"otlp\":\"log\",\"eventName\":\"gen_ai.choice\",\"attributes\":{{}},\"resource\":{{}},\"body\":{body}}}"
        )
    };
    check(&event(r#"{"index":0,"message":{"role":"assistant"}}"#), &[], &[]);
    check(&event(r#"{"index":0,"message":{"content":"hello"}}"#), &[], &["gen_ai.choice"]);
    let metric = r#"{"otlp":"metric","resource":{},"attributes":[{"gen_ai.completion":"hello"}]}"#;
    check(&format!("{GEN_AI_SPAN}\n{metric}"), &[], &["gen_ai.completion"]);
}

#[test]
fn what_was_not_understood_is_told() {
    let reading = read("{\"otlp\":\"not understood\"}");
    assert_eq!(reading, TelemetryReading { not_understood: true, ..TelemetryReading::default() });
}
