//! Exports as SDKs post them, and as they should not.

use std::io::Write as _;

use http::Method;
use prost::Message as _;
use serde_json::{Value, json};

use super::messages::{
    AnyValue, KeyValue, Kind, Resource, ResourceSpans, ScopeSpans, Span, Traces,
};
use super::*;
use crate::http::Http;

fn pair(key: &str, kind: Kind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { kind: Some(kind) }) }
}

fn traces() -> Traces {
    let span = Span {
        name: "chat m".to_owned(),
        kind: 3,
        end_time_unix_nano: 1_790_000_000_123_456_789,
        attributes: vec![
            pair("gen_ai.request.model", Kind::Text("m".to_owned())),
            pair("http.response.status_code", Kind::Int(200)),
        ],
        ..Span::default()
    };
    let resource =
        Resource { attributes: vec![pair("service.version", Kind::Text("2.4.0".to_owned()))] };
    Traces {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { spans: vec![span] }],
        }],
    }
}

fn expected() -> Value {
    json!({
        "otlp": "span", "name": "chat m", "kind": 3, "timeUnixNano": 1_790_000_000_123_456_789_u64,
        "resource": { "service.version": "2.4.0" },
        "attributes": { "gen_ai.request.model": "m", "http.response.status_code": 200 },
    })
}

async fn post(receiver: &Receiver, path: &str, headers: &[(&str, &str)], bytes: Vec<u8>) -> u16 {
    let mut request =
        Request::builder().method(Method::POST).uri(format!("http://{}{path}", receiver.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body(Bytes::from(bytes))).unwrap();
    Http::plain().send(request).await.unwrap().status().as_u16()
}

fn lines(receiver: &Receiver, token: Token) -> Vec<Value> {
    let (bytes, is_cut) = receiver.take(token);
    assert!(!is_cut);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.lines().all(judge::telemetry::is_line), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];

#[tokio::test]
async fn both_encodings_are_read_alike() {
    let receiver = Receiver::open().await.unwrap();
    receiver.expect(7);
    let protobuf = [("content-type", "application/x-protobuf")];
    assert_eq!(post(&receiver, "/7/v1/traces", &protobuf, traces().encode_to_vec()).await, 200);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&traces().encode_to_vec()).unwrap();
    let zipped = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    assert_eq!(post(&receiver, "/7/v1/traces", &zipped, packed.finish().unwrap()).await, 200);
    let document = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.version", "value": {"stringValue": "2.4.0"}}]},
        "scopeSpans": [{"scope": {"name": "x"}, "spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "name": "chat m", "kind": 3,
            "endTimeUnixNano": 1_790_000_000_123_456_789_u64,
            "attributes": [
                {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
                {"key": "http.response.status_code", "value": {"intValue": "200"}},
            ],
        }]}],
    }]});
    assert_eq!(post(&receiver, "/7/v1/traces", JSON, document.to_string().into_bytes()).await, 200);
    assert_eq!(lines(&receiver, 7), [expected(), expected(), expected()]);
    // Taken is gone, and nobody is expected there any more.
    assert_eq!(post(&receiver, "/7/v1/traces", JSON, b"{}".to_vec()).await, 404);
}

#[tokio::test]
async fn logs_and_metrics_are_read() {
    let receiver = Receiver::open().await.unwrap();
    receiver.expect(0);
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "observedTimeUnixNano": "1790000000123456789",
        "body": {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"boolValue": true}]}}}]}},
        "eventName": "gen_ai.choice",
    }]}]}]});
    assert_eq!(post(&receiver, "/0/v1/logs", JSON, logs.to_string().into_bytes()).await, 200);
    let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": "gen_ai.client.operation.duration",
        "histogram": {"dataPoints": [{"attributes": [{"key": "k", "value": {"doubleValue": 0.5}}]}]},
    }]}]}]});
    assert_eq!(post(&receiver, "/0/v1/metrics", JSON, metrics.to_string().into_bytes()).await, 200);
    assert_eq!(
        lines(&receiver, 0),
        [
            json!({"otlp": "log", "resource": {}, "eventName": "gen_ai.choice", "timeUnixNano": "1790000000123456789", "attributes": {}, "body": {"a": [true]}}),
            json!({"otlp": "metric", "resource": {}, "name": "gen_ai.client.operation.duration", "attributes": [{"k": 0.5}]}),
        ]
    );
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_told() {
    let receiver = Receiver::open().await.unwrap();
    receiver.expect(0);
    let zipped: &[(&str, &str)] = &[("content-encoding", "gzip")];
    for (path, headers, bytes, status) in [
        ("/0/v1/traces", JSON, b"{".to_vec(), 400),
        ("/0/v1/traces", JSON, b"[]".to_vec(), 400),
        ("/0/v1/traces", zipped, b"x".to_vec(), 400),
        ("/0/v1/traces", &[], b"\xff\xff\xff".to_vec(), 400),
        ("/0/v1/traces", &[], vec![0; EXPORT_BYTES_MAX + 1], 400),
        ("/0/v1/profiles", JSON, b"{}".to_vec(), 404),
        ("/v1/traces", JSON, b"{}".to_vec(), 404),
        ("/1/v1/traces", JSON, b"{}".to_vec(), 404),
    ] {
        assert_eq!(post(&receiver, path, headers, bytes).await, status, "{path}");
    }
    assert_eq!(lines(&receiver, 0), vec![json!({"otlp": "not understood"}); 5]);
}
