//! What a release exports by OpenTelemetry: which attributes of the conventions are there, and which content is and must not be.
//!
//! The text has one line of JSON for each span, log record and metric, as `release` makes them of an export.

use serde_json::{Map, Value};

/// What begins each line of telemetry.
const LINE_START: &str = r#"{"otlp":"#;

/// What was exported during one ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryReading {
    /// Any span, log record or metric.
    pub any: bool,
    /// An export that could not be read.
    pub not_understood: bool,
    /// What no span of an upstream call carries, by the name of the convention.
    pub missing: Vec<&'static str>,
    /// Attributes and events that hold what users ask or models answer, by the name of the convention.
    pub content: Vec<&'static str>,
}

/// Attributes and events of the conventions, past and present, that hold content.
const CONTENT: &[&str] = &[
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.choice",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "http.request.body.content",
    "http.response.body.content",
    "http.request.header.authorization",
];

/// Names of which one has to be there; the first is today's.
type Wanted = &'static [&'static str];

/// On a span of the GenAI conventions.
const GEN_AI: &[Wanted] = &[
    &["gen_ai.operation.name", "llm.request.type"],
    &["gen_ai.request.model", "llm.request.model"],
    &["gen_ai.provider.name", "gen_ai.system"],
];

/// On a client span of the HTTP conventions.
const HTTP: &[Wanted] = &[
    &["http.request.method", "http.method"],
    &["server.address", "net.peer.name", "http.host"],
    &["url.full", "http.url"],
    &["http.response.status_code", "http.status_code", "error.type"],
];

/// On the resource.
const RESOURCE: &[Wanted] = &[&["service.version"]];

/// Kinds of spans that are calls to others, as a number or its name.
const CLIENT: [&str; 2] = ["3", "SPAN_KIND_CLIENT"];

/// Tells whether a line of a log is one of telemetry.
pub fn is_line(line: &str) -> bool {
    line.starts_with(LINE_START)
}

/// Reads the lines of telemetry in the logs of one ask.
pub fn read(text: &str) -> TelemetryReading {
    let mut reading = TelemetryReading::default();
    // Each span that is an upstream call, and what it lacks.
    let mut calls: Vec<Vec<&'static str>> = Vec::new();
    for line in text.lines().filter(|line| is_line(line)) {
        // The lines are ours; one that is cut at its beginning or end is none.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if line["otlp"] == "not understood" {
            reading.not_understood = true;
            continue;
        }
        reading.any = true;
        add_content(&line, &mut reading.content);
        let (Some(attributes), Some(resource)) =
            (line["attributes"].as_object(), line["resource"].as_object())
        else {
            continue;
        };
        if line["otlp"] == "span" {
            calls.extend(lacks(&line, attributes, resource));
        }
    }
    // Each span keeps to its own convention: that of GenAI, or that of HTTP.
    let all: Vec<Wanted> = GEN_AI.iter().chain(HTTP).chain(RESOURCE).copied().collect();
    if reading.any && calls.is_empty() {
        reading.missing = vec!["a client span of the call"];
        return reading;
    }
    reading.missing = all
        .iter()
        .filter_map(|wanted| wanted.first().copied())
        .filter(|name| calls.iter().any(|lacks| lacks.contains(name)))
        .collect();
    reading
}

/// Returns what a span of an upstream call lacks; `None` when it is none.
fn lacks(
    line: &Value,
    attributes: &Map<String, Value>,
    resource: &Map<String, Value>,
) -> Option<Vec<&'static str>> {
    let is_client = CLIENT.contains(&line["kind"].to_string().trim_matches('"'));
    let is_gen_ai =
        GEN_AI.iter().flat_map(|names| *names).any(|name| attributes.contains_key(*name));
    let is_http = HTTP.iter().flat_map(|names| *names).any(|name| attributes.contains_key(*name));
    let wanted: Vec<Wanted> = match (is_gen_ai, is_http && is_client) {
        // A GenAI span may carry some of the HTTP attributes, and need not.
        (true, _) => GEN_AI.to_vec(),
        (false, true) => HTTP.to_vec(),
        (false, false) => return None,
    };
    let lacks = |of: &Map<String, Value>, names: Wanted| {
        !names.iter().any(|name| of.get(*name).is_some_and(says_something))
    };
    let own = wanted.into_iter().filter(|names| lacks(attributes, names));
    let shared = RESOURCE.iter().copied().filter(|names| lacks(resource, names));
    Some(own.chain(shared).filter_map(|names| names.first().copied()).collect())
}

fn says_something(value: &Value) -> bool {
    !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty())
}

/// Collects the names of content that stands anywhere in a line: attributes of spans, events, records and points.
fn add_content(value: &Value, found: &mut Vec<&'static str>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if says_something(inner) {
                    note(name, found);
                }
                if let (true, Some(name)) = (name == "name" || name == "eventName", inner.as_str())
                {
                    // Instrumentations that capture no content send these events without it: with a role, or a reason.
                    if ["attributes", "body"]
                        .iter()
                        .any(|part| fields.get(*part).is_some_and(has_content))
                    {
                        note(name, found);
                    }
                }
                add_content(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add_content(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Tells whether an event says anything beside who spoke and why it ended.
fn has_content(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, inner)| {
            let is_content = ["content", "arguments"].iter().any(|end| {
                name.strip_suffix(end)
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            });
            (is_content && says_something(inner)) || has_content(inner)
        }),
        Value::Array(items) => items.iter().any(has_content),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Notes a name of content: itself, or with an index behind it (`gen_ai.prompt.0.content`).
fn note(name: &str, found: &mut Vec<&'static str>) {
    let known = CONTENT.iter().find(|content| {
        name.strip_prefix(**content).is_some_and(|rest| {
            rest.is_empty()
                || (rest.starts_with('.') && rest.ends_with("content"))
                || rest.ends_with(".arguments")
        })
    });
    if let Some(known) = known
        && !found.contains(known)
    {
        found.push(known);
    }
}

#[cfg(test)]
mod tests;
