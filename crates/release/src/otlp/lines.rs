//! Makes lines of JSON of what was exported: one for each span, log record and metric, attributes by their names. They are kept
//! in memory like a log, and read and searched like one.

use prost::Message as _;
use serde_json::{Map, Value, json};

use super::Signal;
use super::messages::{Logs, Metrics, Traces};

/// Values in values that are followed: the conventions know two.
const DEPTH_MAX: u32 = 16;

/// Reads an export in Protocol Buffers. `None`: it is none.
pub(super) fn of_protobuf(signal: Signal, bytes: &[u8]) -> Option<Vec<String>> {
    // Why it cannot be read does not matter: the sender is told that it cannot.
    let document = match signal {
        Signal::Traces => serde_json::to_value(Traces::decode(bytes).ok()?),
        Signal::Logs => serde_json::to_value(Logs::decode(bytes).ok()?),
        Signal::Metrics => serde_json::to_value(Metrics::decode(bytes).ok()?),
    };
    of_document(signal, &document.ok()?)
}

/// Reads an export in JSON. `None`: it is none.
pub(super) fn of_json(signal: Signal, bytes: &[u8]) -> Option<Vec<String>> {
    of_document(signal, &serde_json::from_slice(bytes).ok()?)
}

fn of_document(signal: Signal, document: &Value) -> Option<Vec<String>> {
    let (resources, scopes, items, word) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans", "span"),
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords", "log"),
        Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics", "metric"),
    };
    document.as_object()?;
    let mut lines = Vec::new();
    for resource in list(document, resources) {
        let about = attributes(&resource["resource"]);
        for item in list(resource, scopes).flat_map(|scope| list(scope, items)) {
            lines.push(line(word, item, &about).to_string());
        }
    }
    Some(lines)
}

fn line(word: &str, item: &Value, resource: &Value) -> Value {
    let mut line = json!({ "otlp": word, "resource": resource });
    for name in ["name", "eventName", "kind"] {
        if !item[name].is_null() && item[name] != "" {
            line[name] = item[name].clone();
        }
    }
    let time = ["endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano"]
        .into_iter()
        .map(|name| &item[name])
        .find(|time| time.as_u64() != Some(0) && !time.is_null());
    if let Some(time) = time {
        line["timeUnixNano"] = time.clone();
    }
    line["attributes"] = match word {
        "metric" => points(item),
        _ => attributes(item),
    };
    let events: Vec<Value> = list(item, "events")
        .map(|event| json!({ "name": event["name"], "attributes": attributes(event) }))
        .collect();
    if !events.is_empty() {
        line["events"] = Value::Array(events);
    }
    if item["body"].is_object() {
        line["body"] = value(&item["body"], DEPTH_MAX);
    }
    if let Some(message) = item["status"]["message"].as_str().filter(|text| !text.is_empty()) {
        line["message"] = message.into();
    }
    line
}

/// The attributes of all points of a metric.
fn points(metric: &Value) -> Value {
    let points = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"]
        .into_iter()
        .flat_map(|kind| list(&metric[kind], "dataPoints"));
    Value::Array(points.map(attributes).collect())
}

fn attributes(of: &Value) -> Value {
    map(&of["attributes"], DEPTH_MAX)
}

fn map(pairs: &Value, depth: u32) -> Value {
    let mut found = Map::new();
    for pair in pairs.as_array().into_iter().flatten() {
        if let Some(key) = pair["key"].as_str() {
            found.insert(key.to_owned(), value(&pair["value"], depth));
        }
    }
    Value::Object(found)
}

fn value(any: &Value, depth: u32) -> Value {
    let Some((kind, inner)) = any.as_object().and_then(|any| any.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), depth.checked_sub(1)) {
        ("arrayValue", Some(depth)) => {
            list(inner, "values").map(|item| value(item, depth)).collect()
        }
        ("kvlistValue", Some(depth)) => map(&inner["values"], depth),
        // JSON writes them as text.
        ("intValue", _) => {
            let number = inner.as_str().and_then(|text| text.parse::<i64>().ok());
            number.map_or_else(|| inner.clone(), Value::from)
        }
        // Bytes are numbers here and base64 in JSON; the scanner knows both.
        _ => inner.clone(),
    }
}

fn list<'v>(of: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    of[name].as_array().into_iter().flatten()
}
