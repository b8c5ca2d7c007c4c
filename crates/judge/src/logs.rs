//! What the logs of an ask carry: read from text, value by value, without keeping any of it.

use serde_json::Value;

/// What is looked for in the logs of one ask.
#[derive(Clone, Debug, Default)]
pub struct LogContext {
    /// The release's version.
    pub version: String,
    /// Statuses that the release met.
    pub statuses: Vec<u16>,
    /// Ids by which an incident review finds the call at the provider: of requests and of replies.
    pub ids: Vec<String>,
}

/// What the logs of one ask carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent facts, each proven or not")]
pub struct LogReading {
    /// Any text at all.
    pub any: bool,
    /// The release's version.
    pub version: bool,
    /// The route: where the call went.
    pub route: bool,
    /// When it was.
    pub timestamp: bool,
    /// How it went.
    pub status: bool,
    /// A provider's id; `None` when there was none to log.
    pub request_id: Option<bool>,
}

impl LogReading {
    /// Returns whether nothing that is looked for is missing.
    pub fn is_complete(self) -> bool {
        self.version
            && self.route
            && self.timestamp
            && self.status
            && self.request_id != Some(false)
    }
}

/// Field names that say where a call went. `provider` and `host` are not among them: they do not tell one route from another.
const ROUTE_KEYS: &[&str] = &[
    "route",
    "path",
    "endpoint",
    "url",
    "uri",
    "upstream",
    "baseurl",
    "servicepath",
    "httproute",
    "urlpath",
    "urlfull",
    "httptarget",
    "httpurl",
    "target",
    "requestpath",
    "upstreampath",
    "upstreamurl",
    "routename",
    "apipath",
    "backend",
];

/// Field names that say how a call went.
const STATUS_KEYS: &[&str] = &[
    "status",
    "statuscode",
    "httpstatus",
    "httpstatuscode",
    "httpresponsestatuscode",
    "outcome",
    "result",
    "httpstatusclass",
    "statusclass",
    "responsestatus",
    "upstreamstatus",
    "responsecode",
    "httpcode",
    "errortype",
    "upstreamstatuscode",
];

/// Field names that hold a time.
const TIME_KEYS: &[&str] =
    &["time", "ts", "timestamp", "attimestamp", "datetime", "asctime", "date", "t", "at"];

/// Reads the logs of one ask.
pub fn read(text: &str, context: &LogContext) -> LogReading {
    let mut reading = LogReading {
        any: !text.trim().is_empty(),
        version: has_token(text, &context.version),
        route: text.contains("/chat/completions") || text.contains("/responses"),
        timestamp: false,
        status: context.statuses.iter().any(|status| has_token(text, &status.to_string())),
        request_id: (!context.ids.is_empty())
            .then(|| context.ids.iter().any(|id| text.contains(id.as_str()))),
    };
    for line in text.lines() {
        reading.timestamp = reading.timestamp || has_time(line);
        for key in keys(line) {
            reading.route = reading.route || ROUTE_KEYS.contains(&key.as_str());
            reading.status = reading.status || STATUS_KEYS.contains(&key.as_str());
            reading.timestamp =
                reading.timestamp || (TIME_KEYS.contains(&key.as_str()) && has_number(line));
        }
    }
    reading
}

/// Returns the names of all fields with a value in a line, JSON or `key=value`, folded to lower-case letters.
fn keys(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut plain = line;
    if let Some((before, json)) = line.find('{').and_then(|at| line.split_at_checked(at)) {
        let first = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
        if let Some(Ok(value)) = first {
            collect(&value, &mut found);
            plain = before;
        }
    }
    for (at, _) in plain.match_indices(['=', ':']) {
        let Some((before, rest)) = plain.split_at_checked(at) else { continue };
        let name: String = before
            .trim_end_matches(['"', '\''])
            .chars()
            .rev()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@'))
            .collect();
        if !name.is_empty() && has_value(rest.get(1..).unwrap_or("")) {
            found.push(folded(&name.chars().rev().collect::<String>()));
        }
    }
    found
}

/// Returns whether something stands behind a `=` or `:` that is more than a word for nothing.
fn has_value(rest: &str) -> bool {
    let value = rest.trim_start();
    let nothing = ["\"\"", "''", "null", "None", "undefined", "nil", ",", "}", "-"];
    !value.is_empty() && !nothing.iter().any(|word| value.starts_with(word))
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let blank =
                    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
                if !blank {
                    found.push(folded(key));
                }
                collect(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn folded(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns whether `token` stands in the text and is not a part of a longer number or word.
fn has_token(text: &str, token: &str) -> bool {
    if token.is_empty() {
        return false;
    }
    text.match_indices(token).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let mut after = text.get(at + token.len()..).unwrap_or("").chars();
        let open_before = before.is_none_or(|c| !(c.is_ascii_digit() || c == '.'));
        let open_after = match after.next() {
            None => true,
            Some('.') => !after.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !c.is_ascii_alphanumeric(),
        };
        open_before && open_after
    })
}

fn has_number(line: &str) -> bool {
    line.bytes().filter(u8::is_ascii_digit).count() >= 4
}

/// Returns whether a line has a clock time (`12:34:56`), a date with a time (ISO 8601, Common Log Format), or seconds or
/// milliseconds since the epoch.
fn has_time(line: &str) -> bool {
    let pattern: String = line.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if pattern.contains("99:99:99")
        || pattern.contains("9999-99-99T99:99")
        || pattern.contains("9999-99-99 99:99")
    {
        return true;
    }
    line.split(|c: char| !(c.is_ascii_digit() || c == '.')).any(|number| {
        let whole = number.split('.').next().unwrap_or("");
        (whole.len() == 10 || whole.len() == 13) && whole.starts_with(['1', '2'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> LogContext {
        LogContext {
            version: "2.4.0".to_owned(),
            statuses: vec![200],
            ids: vec!["req_abc".to_owned(), "chatcmpl-1".to_owned()],
        }
    }

    #[track_caller]
    fn check(text: &str, expected: LogReading) {
        assert_eq!(read(text, &context()), expected);
    }

    const ALL: LogReading = LogReading {
        any: true,
        version: true,
        route: true,
        timestamp: true,
        status: true,
        request_id: Some(true),
    };

    #[test]
    fn json_line_has_everything() {
        check(
            r#"{"time":"2026-11-22T10:00:00Z","version":"2.4.0","route":"primary","status":200,"request_id":"req_abc"}"#,
            ALL,
        );
    }

    #[test]
    fn plain_line_has_everything() {
        check("2026-11-22 10:00:00,123 INFO version=2.4.0 route=new status=200 id=chatcmpl-1", ALL);
    }

    #[test]
    fn longer_version_is_another_version() {
        let text = r#"{"ts":1790000000.5,"v":"12.4.0","path":"/v1/chat/completions","status":"ok","request_id":"req_abc"}"#;
        check(text, LogReading { version: false, ..ALL });
        check(&text.replace("12.4.0", "2.4.0.1"), LogReading { version: false, ..ALL });
        check(&text.replace("12.4.0", "2.4.01"), LogReading { version: false, ..ALL });
        check(&text.replace("12.4.0", "v2.4.0"), ALL);
    }

    #[test]
    fn blank_field_is_missing() {
        let text = r#"{"time":"2026-11-22T10:00:00Z","version":"2.4.0","route":"","status":200,"request_id":null}"#;
        check(text, LogReading { route: false, request_id: Some(false), ..ALL });
    }

    #[test]
    fn each_missing_field_is_missing() {
        let whole = r#"{"time":"2026-11-22T10:00:00Z","version":"2.4.0","route":"a","status":"done","request_id":"req_abc"}"#;
        check(
            &whole.replace(r#""time":"2026-11-22T10:00:00Z","#, ""),
            LogReading { timestamp: false, ..ALL },
        );
        check(&whole.replace(r#""route":"a","#, ""), LogReading { route: false, ..ALL });
        check(&whole.replace(r#""status":"done","#, ""), LogReading { status: false, ..ALL });
        check(&whole.replace(r#""version":"2.4.0","#, ""), LogReading { version: false, ..ALL });
    }

    #[test]
    fn nothing_has_nothing() {
        check("", LogReading { request_id: Some(false), ..LogReading::default() });
    }
}
