//! Records of common loggers, healthy and misleading ones: each fact is proven or missing.

use super::*;

fn context() -> LogContext {
    LogContext {
        version: "2.4.0".to_owned(),
        statuses: vec![200],
        places: vec!["/generate".to_owned(), "bin/ask.pl".to_owned(), "ask.pl".to_owned()],
        ids: vec!["req_abc".to_owned(), "chatcmpl-1".to_owned()],
        ..LogContext::default()
    }
}

/// Names what is missing.
fn missing(reading: LogReading) -> Vec<&'static str> {
    [
        (reading.version, "version"),
        (reading.route, "route"),
        (reading.timestamp, "timestamp"),
        (reading.status, "status"),
        (reading.request_id == Some(true), "request_id"),
    ]
    .into_iter()
    .filter_map(|(there, name)| (!there).then_some(name))
    .collect()
}

#[track_caller]
fn check_missing(text: &str, context: &LogContext, expected: &[&str]) {
    assert_eq!(missing(read(text, context)), expected, "{text}");
}

/// What common stacks write for a healthy call.
const HEALTHY: &[(&str, &str)] = &[
    (
        "structlog",
        r#"{"event":"call","timestamp":"2026-11-22T10:00:00.123456Z","level":"info","version":"2.4.0","route":"primary","status":200,"request_id":"req_abc"}"#,
    ),
    (
        "structlog, console",
        "2026-11-22 10:00:00 [info     ] upstream call                  request_id=req_abc route=primary status=200 version=2.4.0",
    ),
    (
        "structlog, coloured",
        "\x1b[2m2026-11-22 10:00:00\x1b[0m [\x1b[32minfo\x1b[0m] call \x1b[36mstatus\x1b[0m=\x1b[35m200\x1b[0m \x1b[36mroute\x1b[0m=\x1b[35mprimary\x1b[0m \x1b[36mversion\x1b[0m=\x1b[35m2.4.0\x1b[0m id=\x1b[35mreq_abc\x1b[0m",
    ),
    (
        "pino",
        r#"{"level":30,"time":1790000000123,"pid":7,"hostname":"h","version":"2.4.0","upstream":"comet","statusCode":200,"requestId":"req_abc","msg":"answered"}"#,
    ),
    (
        "pino-http",
        r#"{"level":30,"time":1790000000123,"v":1,"appVersion":"2.4.0","req":{"id":"req_abc","method":"POST","url":"/v1/chat/completions"},"res":{"statusCode":200},"responseTime":12,"msg":"request completed"}"#,
    ),
    (
        "winston",
        r#"{"level":"info","message":"upstream POST /v1/chat/completions 200","release":"v2.4.0","timestamp":"2026-11-22T10:00:00.000Z","requestId":"req_abc"}"#,
    ),
    (
        "bunyan",
        r#"{"name":"bot","hostname":"h","pid":1,"level":30,"route":"a","http":{"status":200},"upstream_id":"chatcmpl-1","msg":"","time":"2026-11-22T10:00:00.000Z","v":0,"release":"2.4.0"}"#,
    ),
    (
        "python-json-logger",
        r#"{"asctime": "2026-11-22 10:00:00,123", "levelname": "INFO", "message": "call", "app_version": "2.4.0", "path": "/v1/chat/completions", "status_code": 200, "x_request_id": "req_abc"}"#,
    ),
    (
        "python LogRecord",
        r#"{"created": 1790000000.123456, "msecs": 123.0, "levelname": "INFO", "msg": "call", "service.version": "2.4.0", "http.route": "/ask", "http.status_code": 200, "id": "req_abc"}"#,
    ),
    (
        "python logging",
        "2026-11-22 10:00:00,123 INFO bot: version=2.4.0 route=new status=200 id=chatcmpl-1",
    ),
    (
        "python logging, level first",
        "INFO 2026-11-22 10:00:00,123 bot support-bot/2.4.0 POST https://api.example/v1/chat/completions -> 200 (req_abc)",
    ),
    (
        "python dict",
        "2026-11-22 10:00:00 {'version': '2.4.0', 'route': 'a', 'status': 200, 'request_id': 'req_abc'}",
    ),
    (
        "loguru, serialized",
        r#"{"text": "x", "record": {"time": {"repr": "2026-11-22 10:00:00.1+00:00", "timestamp": 1790000000.1}, "extra": {"version": "2.4.0", "route": "a", "status": 200, "request_id": "req_abc"}, "message": "call"}}"#,
    ),
    (
        "loguru, text",
        "2026-11-22 10:00:00.123 | INFO     | bot:call:12 - version=2.4.0 route=a status=200 request_id=req_abc",
    ),
    (
        "zerolog",
        r#"{"level":"info","service":"bot@2.4.0","route":"a","status":200,"request_id":"req_abc","time":1790000000}"#,
    ),
    (
        "zap",
        r#"{"level":"info","ts":1790000000.1234,"caller":"a/b.go:12","msg":"call","release":"2.4.0","endpoint":"comet","code":200,"rid":"req_abc"}"#,
    ),
    (
        "slog, text",
        r#"time=2026-11-22T10:00:00.000Z level=INFO msg="upstream call" version=2.4.0 route=a status=200 id=req_abc"#,
    ),
    (
        "klog",
        "I1122 10:00:00.123456       1 bot.go:12] version=2.4.0 route=a status=200 id=req_abc",
    ),
    ("go log", "2026/11/22 10:00:00 bot 2.4.0: POST /v1/chat/completions: 200 OK, req_abc"),
    (
        "tracing, json",
        r#"{"timestamp":"2026-11-22T10:00:00.000000Z","level":"INFO","fields":{"message":"call","status":200,"request_id":"req_abc"},"target":"bot::upstream","span":{"version":"2.4.0","route":"a","name":"ask"},"spans":[]}"#,
    ),
    (
        "tracing, full",
        "2026-11-22T10:00:00.000000Z  INFO ask{version=2.4.0 route=a}: bot::upstream: call status=200 request_id=req_abc",
    ),
    (
        "logstash",
        r#"{"@timestamp":"2026-11-22T10:00:00.000Z","@version":"1","message":"call","app":{"version":"2.4.0"},"url.path":"/v1/chat/completions","http.response.status_code":200,"trace":"req_abc"}"#,
    ),
    (
        "ecs, nested",
        r#"{"@timestamp":"2026-11-22T10:00:00.000Z","service":{"version":"2.4.0"},"url":{"full":"https://h/v1/responses"},"http":{"response":{"status_code":200}},"labels":{"rid":"req_abc"}}"#,
    ),
    (
        "serilog",
        r#"{"@t":"2026-11-22T10:00:00.0Z","@mt":"call","Version":"2.4.0","Route":"a","StatusCode":200,"RequestId":"req_abc"}"#,
    ),
    (
        "log4j2",
        r#"{"instant":{"epochSecond":1790000000,"nanoOfSecond":1},"level":"INFO","message":"version=2.4.0 route=a status=200 id=req_abc"}"#,
    ),
    (
        "google cloud",
        r#"{"severity":"INFO","time":"2026-11-22T10:00:00Z","httpRequest":{"requestUrl":"https://h/v1/responses","status":200},"labels":{"version":"2.4.0","id":"req_abc"}}"#,
    ),
    (
        "epoch in nanoseconds",
        r#"{"timeUnixNano":"1790000000123456789","service.version":"2.4.0","route":"a","status":"ok","id":"req_abc"}"#,
    ),
    (
        "docker around json",
        r#"{"log":"{\"version\":\"2.4.0\",\"route\":\"a\",\"status\":200,\"id\":\"req_abc\"}\n","stream":"stderr","time":"2026-11-22T10:00:00.1Z"}"#,
    ),
    (
        "kubernetes around json",
        r#"2026-11-22T10:00:00.123456789Z stderr F {"version":"2.4.0","route":"a","status":200,"id":"req_abc"}"#,
    ),
    (
        "compose around json",
        r#"web-1  | 2026-11-22T10:00:00Z {"version":"2.4.0","route":"a","status":200,"id":"req_abc"}"#,
    ),
    (
        "syslog, rfc 3164",
        "<34>Nov 22 10:00:00 host bot[7]: version=2.4.0 route=a status=200 id=req_abc",
    ),
    (
        "syslog, rfc 5424",
        "<34>1 2026-11-22T10:00:00.003Z host bot 7 - - version=2.4.0 route=a status=200 id=req_abc",
    ),
    (
        "nginx",
        r#"10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "POST /v1/chat/completions HTTP/1.1" 200 512 "-" "bot/2.4.0" rid="req_abc""#,
    ),
    (
        "nginx, json",
        r#"{"time_iso8601":"2026-11-22T10:00:00+00:00","request":"POST /ask HTTP/1.1","status":"200","release":"2.4.0","upstream_id":"req_abc"}"#,
    ),
    (
        "envoy",
        r#"[2026-11-22T10:00:00.000Z] "POST /v1/chat/completions HTTP/1.1" 200 - 12 34 5 4 "-" "bot/2.4.0" "req_abc""#,
    ),
    (
        "haproxy",
        r#"Nov 22 10:00:00 h haproxy[1]: 127.0.0.1:1 [22/Nov/2026:10:00:00.123] fe bot-2.4.0/s1 0/0/1/2/3 200 512 - - ---- 1/1/0/0/0 0/0 {req_abc} "POST /v1/responses HTTP/1.1""#,
    ),
    ("morgan, dev", "2026-11-22T10:00:00Z bot@2.4.0 POST /ask 200 12.3 ms - 22 req_abc"),
    (
        "uvicorn and its own line",
        "10:00:00 version=2.4.0 id=req_abc\nINFO:     127.0.0.1:5 - \"POST /ask HTTP/1.1\" 200 OK",
    ),
    (
        "httpx and its own line",
        "[2026-11-22 10:00:00 - httpx:1740 - INFO] HTTP Request: POST http://127.0.0.1:1/v1/chat/completions \"HTTP/1.1 200 OK\"\nbot 2.4.0 id chatcmpl-1",
    ),
    (
        "pretty-printed json",
        "{\n  \"time\": \"2026-11-22T10:00:00Z\",\n  \"version\": \"2.4.0\",\n  \"http\": {\n    \"route\": \"a\",\n    \"status\": 200\n  },\n  \"id\": \"req_abc\"\n}",
    ),
    (
        "json between lines",
        "starting\n{\"time\":\"2026-11-22T10:00:00Z\",\"version\":\"2.4.0\"} trailing\n{\"route\":\"a\",\"status\":200,\n \"id\":\"req_abc\"}\nend",
    ),
    ("plain words", "2026/11/22 10:00:00 [2.4.0] /generate upstream 200 req_abc attempt 1"),
    ("plain words, with colons", "2026/11/22 10:00:00 [2.4.0] /generate: upstream: 200 (req_abc)"),
    ("a path and pairs", "2026-11-22T10:00:00Z [2.4.0] /generate answered status=200 id=req_abc"),
    ("a script and its words", "Nov 22 10:00:00 ask.pl[2.4.0]: ask.pl: provider HTTP 200 req_abc"),
    ("its address", "2026-11-22T10:00:00Z 2.4.0 http://127.0.0.1:80/generate -> 200 req_abc"),
    ("javascript's local time", "11/22/2026, 10:00:00 AM bot 2.4.0 POST /v1/responses 200 req_abc"),
];

#[test]
fn healthy_records_of_common_loggers_miss_nothing() {
    for (name, text) in HEALTHY {
        assert_eq!(missing(read(text, &context())), [""; 0], "{name}: {text}");
    }
}

/// A whole JSON line; a case replaces one part of it.
const WHOLE: &str = r#"{"time":"2026-11-22T10:00:00Z","version":"2.4.0","route":"a","status":"done","request_id":"req_abc"}"#;

#[test]
fn what_only_looks_like_a_fact_is_missing() {
    for (fact, from, to) in [
        // No field, a blank one, one of another thing.
        ("timestamp", r#""time":"2026-11-22T10:00:00Z","#, ""),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""time":null"#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""time":12.5"#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""time":"2026-11-22""#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""time_ms":1790000000123"#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""created":1790000000"#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""max_tokens":1790000000"#),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""reset_at":"2026-11-22T10:00:00Z""#),
        (
            "timestamp",
            r#""time":"2026-11-22T10:00:00Z""#,
            r#""headers":{"date":"Sun, 22 Nov 2026 10:00:00 GMT"}"#,
        ),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""response":{"time":1790000000}"#),
        (
            "timestamp",
            r#""time":"2026-11-22T10:00:00Z""#,
            r#""message":"retry after 2026-11-22 10:00:00""#,
        ),
        ("timestamp", r#""time":"2026-11-22T10:00:00Z""#, r#""duration":"00:00:12""#),
        (
            "timestamp",
            r#""time":"2026-11-22T10:00:00Z""#,
            r#""prompt":"time=2026-11-22T10:00:00Z""#,
        ),
        ("version", r#""version":"2.4.0","#, ""),
        ("version", r#""version":"2.4.0""#, r#""version":"12.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""version":"2.4.0.1""#),
        ("version", r#""version":"2.4.0""#, r#""version":"2.4.01""#),
        ("version", r#""version":"2.4.0""#, r#""version":"2.4.0-rc.1""#),
        ("version", r#""version":"2.4.0""#, r#""version":"openai-2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""openai_version":"2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""sdk":{"version":"2.4.0"}"#),
        ("version", r#""version":"2.4.0""#, r#""api_version":"2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""user_agent":"OpenAI/Python 2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""message":"x-stainless-package-version: 2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""message":"openai version 2.4.0""#),
        ("version", r#""version":"2.4.0""#, r#""prompt":"is 2.4.0 out?""#),
        ("route", r#""route":"a","#, ""),
        ("route", r#""route":"a""#, r#""route":"""#),
        ("route", r#""route":"a""#, r#""route":"none""#),
        ("route", r#""route":"a""#, r#""target":"bot::route""#),
        ("route", r#""route":"a""#, r#""path":"/app/server.py""#),
        ("route", r#""route":"a""#, r#""pathname":"/app/server""#),
        ("route", r#""route":"a""#, r#""provider":"openai""#),
        ("route", r#""route":"a""#, r#""message":"see https://h/docs/api-reference/responses""#),
        ("route", r#""route":"a""#, r#""prompt":"POST /v1/chat/completions""#),
        ("status", r#""status":"done","#, ""),
        ("status", r#""status":"done""#, r#""status":null"#),
        ("status", r#""status":"done""#, r#""status":"""#),
        ("status", r#""status":"done""#, r#""status":"starting""#),
        ("status", r#""status":"done""#, r#""status":7"#),
        ("status", r#""status":"done""#, r#""exit_status":137"#),
        ("status", r#""status":"done""#, r#""duration_ms":200"#),
        ("status", r#""status":"done""#, r#""message":"took 200 ms, 200 tokens""#),
        ("status", r#""status":"done""#, r#""message":"File \"a.py\", line 200, in ask""#),
        ("status", r#""status":"done""#, r#""prompt":"what is status=200?""#),
        ("status", r#""status":"done""#, r#""messages":[{"status":200}]"#),
        ("status", r#""status":"done""#, r#""result":"The model said that all is well with it""#),
        ("status", r#""status":"done""#, r#""url":"/x?status=200""#),
        ("request_id", r#""req_abc""#, "null"),
        ("request_id", r#""req_abc""#, r#""req_abcdef""#),
        ("request_id", r#""req_abc""#, r#""xreq_abc""#),
    ] {
        let text = WHOLE.replace(from, to);
        assert_ne!(text, WHOLE, "{from}");
        check_missing(&text, &context(), &[fact]);
    }
    check_missing(WHOLE, &context(), &[]);
}

#[test]
fn plain_lines_prove_no_more_than_they_say() {
    let all = ["version", "route", "timestamp", "status", "request_id"];
    for text in [
        "",
        "   \n",
        "done in 200 ms",
        "took 12:34:56 for 200 tokens",
        "cache valid until 2026-11-22 10:00:00",
        "retry at Sun, 22 Nov 2026 10:00:00 GMT",
        "order 1790000000 of 1790000001",
        "python 2.4.0 on linux",
        "User-Agent: OpenAI/Python 2.4.0",
        "openai==2.4.0",
        "peer 2.4.0.1:443",
        "File \"/app/bot.py\", line 200, in main",
        "question: status=200 route=a version=2.4.0",
        "listening on /generate/stream, /v2/generate and /generated",
        "died at ask.pl line 200.",
        "File \"bin/ask.pl\", line 200, in main",
        "ask.pl:200 was slow",
        "task.pl / 200 %",
        "prompt=\"time=2026-11-22T10:00:00Z status=200 route=a 2.4.0 release\"",
        "{\"broken\": ",
        "{{{{[[[",
    ] {
        check_missing(text, &context(), &all);
    }
}

#[test]
fn the_place_of_an_ask_is_a_route_where_no_field_is_named_for_it() {
    let of = |places: &[&str]| LogContext {
        places: places.iter().map(|place| (*place).to_owned()).collect(),
        ..context()
    };
    for (places, text, is_there) in [
        (&["/api/chat"][..], "[2.4.0] /api/chat answered status=200", true),
        (&["/api/chat"], "[2.4.0] (/api/chat) answered", true),
        (&["/api/chat"], "[2.4.0] /api/chat?stream=1 answered", true),
        (&["/api/chat"], r#"{"msg":"/api/chat answered"}"#, true),
        (&["/api/chat"], r#"{"prompt":"/api/chat answered"}"#, false),
        (&["/api/chat"], "prompt: /api/chat answered", false),
        (&["/api/chat"], "[2.4.0] /api/chats answered", false),
        (&["/api/chat"], "[2.4.0] answered", false),
        (&["/ask"], "[2.4.0] /api/chat answered", false),
        (&["/"], "200 / 12", false),
        (&[], "[2.4.0] /api/chat answered", false),
    ] {
        assert_eq!(read(text, &of(places)).route, is_there, "{places:?}: {text}");
    }
    let fields = LogFields { route: Some("way".to_owned()), ..LogFields::default() };
    let named = LogContext { fields, ..of(&["/api/chat"]) };
    assert!(!read("[2.4.0] /api/chat answered", &named).route);
}

#[test]
fn a_version_that_could_be_anything_needs_its_field() {
    let of = |version: &str| LogContext { version: version.to_owned(), ..context() };
    for (version, text, is_there) in [
        ("3", "attempt 3 of 3", false),
        ("3", "version=3", true),
        ("3", r#"{"release":"3"}"#, true),
        ("3", r#"{"release":3}"#, true),
        ("3", r#"{"attempt":3}"#, false),
        ("1.0", "\"POST / HTTP/1.0\" 200", false),
        ("1.0", "bot v1.0 up", true),
        ("2026-11-22", "2026-11-22 10:00:00 call", false),
        ("2026-11-22", "release 2026-11-22", true),
        ("2026.11.22", "2026.11.22 10:00 call", false),
        ("4f2a9c1", r#"{"git_sha":"4f2a9c1d00000000000000000000000000000000"}"#, true),
        ("4f2a9c1", "request 14f2a9c1", false),
        ("4f2a9c1", "bot@4f2a9c1 up", true),
        ("2.4.0", "image=registry.example/bot:2.4.0", true),
        ("2.4.0", "image: registry.example/bot:2.4.0-rc1", false),
        ("2.4.0", "bot-2.4.0.", true),
        ("", "version=", false),
    ] {
        assert_eq!(read(text, &of(version)).version, is_there, "{version}: {text}");
    }
}

#[test]
fn success_that_was_none_is_no_status() {
    let of = |statuses: &[u16]| LogContext { statuses: statuses.to_vec(), ..context() };
    for (statuses, text, status, claims_success) in [
        (&[401][..], r#"{"status":200,"outcome":"ok"}"#, false, true),
        (&[500, 500], "level=info status=200", false, true),
        (&[500], r#"{"ok":true,"status":"success"}"#, false, true),
        // The user's own status, or another record, tells.
        (&[401], r#"{"status":502}"#, true, false),
        (&[401], "{\"status\":200}\n{\"status\":401}", true, true),
        (&[500], r#"{"outcome":"refused"}"#, true, false),
        // The second attempt went well.
        (&[503, 200], r#"{"status":200}"#, true, false),
        (&[200], r#"{"status":200}"#, true, false),
        (&[], r#"{"status":200}"#, true, false),
    ] {
        let reading = read(text, &of(statuses));
        assert_eq!(
            (reading.status, reading.claims_success),
            (status, claims_success),
            "{statuses:?}: {text}"
        );
    }
}

#[test]
fn a_status_counts_where_a_status_stands() {
    let of = |status: u16| LogContext { statuses: vec![status], ..context() };
    for (status, text, is_there) in [
        (401, "openai.AuthenticationError: Error code: 401 - {'error': {}}", true),
        (401, "401 Incorrect API key provided", false),
        (401, "AuthenticationError: 401 Unauthorized", true),
        (500, "upstream returned 500", true),
        (500, "upstream returned 500.5", false),
        (500, "see line 500", false),
        (500, "port 500 Internal", false),
        (429, "HTTP 429 Too Many Requests", true),
        (200, "HTTP/1.1 200", true),
        (200, "GET /x/200 HTTP/1.1", false),
        (200, "status 200ms", false),
        (200, "waited 200 okapis", false),
        // Behind a word for what was called, and not as an amount.
        (200, "upstream 200", true),
        (401, "Upstream: 401 req_1", true),
        (429, "provider [429]", true),
        (503, "Provider 503 after attempt 2", true),
        (200, "answered 200 request_id=req_1", true),
        (200, "http 200 bytes=512", true),
        (200, "upstream 200 attempt 1", true),
        (200, "upstream 200 ms", false),
        (200, "upstream 200ms", false),
        (200, "upstream 200 tokens", false),
        (200, "got 200 rows", false),
        (200, "provider 200.5", false),
        (200, "upstream took 200", false),
        (200, "upstreams 200", false),
        (500, "max_tokens 500", false),
        (200, "attempt 200", false),
    ] {
        assert_eq!(read(text, &of(status)).status, is_there, "{text}");
    }
    // An error's text inside of JSON, and a status of the service's own beside it.
    let text = r#"{"level":"error","exc_info":"Traceback (most recent call last):\n  File \"a.py\", line 3\nopenai.InternalServerError: Error code: 500"}"#;
    assert!(read(text, &of(500)).status);
    assert!(
        read(r#"{"err":{"type":"APIError","message":"503 busy","status":503}}"#, &of(503)).status
    );
}

#[test]
fn named_fields_are_where_it_is_looked_for_and_nowhere_else() {
    let name = |name: &str| Some(name.to_owned());
    let context = LogContext {
        fields: LogFields {
            version: name("app.release"),
            route: name("http.route"),
            timestamp: name("when"),
            status: name("http.status_code"),
            request_id: name("upstream.request_id"),
        },
        ..context()
    };
    let nested = r#"{"when":1790000000,"app":{"release":"2.4.0"},"http":{"route":"/ask","status_code":200},"upstream":{"request_id":"req_abc"}}"#;
    check_missing(nested, &context, &[]);
    // Flat, behind a prefix, in a wrapper, and as pairs.
    check_missing(
        r#"x {"fields":{"when":"2026-11-22T10:00:00Z","app.release":"2.4.0","http.route":"a","http.status_code":"200","upstream.request_id":"req_abc"}}"#,
        &context,
        &[],
    );
    check_missing(
        "when=1790000000 app.release=v2.4.0 http.route=a http.status_code=200 upstream.request_id=req_abc",
        &context,
        &[],
    );
    check_missing(WHOLE, &context, &["version", "route", "timestamp", "status", "request_id"]);
    for (fact, from, to) in [
        ("version", r#""release":"2.4.0""#, r#""release":"2.4.1""#),
        ("route", r#""route":"/ask""#, r#""route":null"#),
        ("timestamp", "1790000000", "17900"),
        ("status", r#""status_code":200"#, r#""status_code":20"#),
        ("request_id", "req_abc", "req_abcd"),
        ("request_id", r#""upstream":{"request_id""#, r#""upstream":{"id""#),
    ] {
        let text = nested.replace(from, to);
        assert_ne!(text, nested, "{from}");
        check_missing(&text, &context, &[fact]);
    }
}

#[test]
fn without_an_id_none_is_asked_for() {
    let context = LogContext { ids: Vec::new(), ..context() };
    assert_eq!(read(WHOLE, &context).request_id, None);
    assert!(read(WHOLE, &context).is_complete());
    assert!(!read("", &context).any);
}

/// Logs may be long and strange: time grows with their length.
#[test]
fn long_strange_logs_are_read() {
    for unit in [
        "{",
        "{\"a\":",
        "{\"a\":[\n",
        "a=",
        "=:",
        "\"",
        "\\",
        "200 ",
        "a:",
        "2.4.0 ",
        "2026-11-22 10:00:00 ",
        "\x1b[",
        "é{",
        "{}\n",
        "prompt=\"",
    ] {
        drop(format!("{:?}", read(&unit.repeat(20_000 / unit.len()), &context())));
    }
}
