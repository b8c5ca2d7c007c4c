//! What fields are called in the logs of common stacks, and which values they can have.

use serde_json::Value;

use super::records::Field;
use super::times;

/// Fields that say where a call went, by whatever text. `provider` and `host` are not among them: they do not tell one route
/// from another.
const ROUTES: &[&str] = &[
    "route",
    "routename",
    "routeid",
    "httproute",
    "upstreamroute",
    "llmroute",
    "endpoint",
    "endpointname",
    "upstream",
    "upstreamname",
    "backend",
    "deployment",
    "servicepath",
    "operationname",
];

/// Fields that say where a call went when they hold a path or an address: elsewhere `target` is a module and `path` a file.
const ADDRESSES: &[&str] = &[
    "path",
    "url",
    "uri",
    "baseurl",
    "apibase",
    "httproute",
    "urlpath",
    "urlfull",
    "httptarget",
    "httpurl",
    "target",
    "requestpath",
    "requesturi",
    "requesturl",
    "upstreampath",
    "upstreamurl",
    "upstreamuri",
    "apipath",
    "originalurl",
];

/// Fields that say how a call went, by a number or a word.
const STATUSES: &[&str] = &[
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
    "responsestatuscode",
    "upstreamstatus",
    "upstreamstatuscode",
    "responsecode",
    "httpcode",
    "errortype",
    "errorclass",
    "ok",
    "success",
];

/// What a status may be said to be of that is no call.
const NO_CALL: &[&str] = &["exit", "cache", "health", "process", "job", "thread", "db", "ready"];

/// Words that stand in a status field while nothing has ended yet.
const NOT_ENDED: &[&str] = &[
    "start",
    "starting",
    "started",
    "begin",
    "began",
    "ready",
    "running",
    "up",
    "alive",
    "healthy",
    "listening",
    "pending",
    "waiting",
    "connecting",
    "connected",
    "sending",
    "sent",
    "calling",
    "init",
    "initialized",
    "initializing",
    "initialising",
    "inprogress",
    "processing",
    "loading",
    "loaded",
    "stopping",
    "stopped",
    "shutdown",
    "unset",
];

/// Fields that hold the time of a record.
const TIMES: &[&str] = &[
    "time",
    "ts",
    "timestamp",
    "attimestamp",
    "datetime",
    "asctime",
    "date",
    "t",
    "at",
    "eventtime",
    "logtime",
    "loggedat",
    "timemillis",
    "timestampms",
    "timestampseconds",
    "timeunixnano",
    "observedtimeunixnano",
    "epochsecond",
    "timelocal",
    "timeiso8601",
    "msec",
    "requesttimestamp",
    "starttime",
    "endtime",
    "realtimetimestamp",
    "syslogtimestamp",
];

/// Parts of a record that hold times of something else: the reply's, a limit's, a token's.
const OTHER_TIMES: &[&str] = &[
    "headers",
    "response",
    "reply",
    "request",
    "usage",
    "ratelimit",
    "error",
    "token",
    "user",
    "session",
    "build",
    "certificate",
];

/// Fields that hold what people read.
const MESSAGES: &[&str] = &[
    "msg",
    "message",
    "event",
    "log",
    "body",
    "m",
    "mt",
    "textpayload",
    "shortmessage",
    "fullmessage",
    "line",
    "excinfo",
    "exctext",
    "exception",
    "stack",
    "stacktrace",
    "traceback",
    "error",
    "err",
    "errormessage",
    "request",
    "requestline",
    "text",
];

/// Fields that hold what users ask and models answer: nothing in them is said by the logger.
const CONTENTS: &[&str] = &[
    "prompt",
    "prompts",
    "messages",
    "content",
    "contents",
    "input",
    "inputs",
    "inputmessages",
    "output",
    "outputs",
    "outputmessages",
    "question",
    "query",
    "answer",
    "completion",
    "completions",
    "choices",
    "reply",
    "delta",
    "instructions",
    "systeminstructions",
    "requestbody",
    "responsebody",
];

/// Values that stand for nothing.
const NOTHINGS: &[&str] =
    &["", "-", "null", "none", "undefined", "nil", "<nil>", "nan", "n/a", "unknown", "false"];

/// Tells whether a field holds what a user asks or a model answers.
pub(super) fn is_content(path: &str) -> bool {
    CONTENTS.contains(&last(path).as_str())
}

/// Tells whether a field holds text for people.
pub(super) fn is_message(path: &str) -> bool {
    MESSAGES.contains(&last(path).as_str())
        || matches!(last_two(path).as_str(), "errorstack" | "errmessage" | "errstack")
}

/// Tells whether a field says which way the call took.
pub(super) fn is_route(field: &Field) -> bool {
    let text = text_of(&field.value);
    if is_nothing(&text) || !field.value.is_string() {
        return false;
    }
    let is_address = text.starts_with('/') || text.contains("://");
    let is_file = text.starts_with("file:")
        || [".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rs", ".log"]
            .iter()
            .any(|end| text.ends_with(end));
    either(&field.path, |name| {
        ROUTES.contains(&name) || (ADDRESSES.contains(&name) && is_address && !is_file)
    })
}

/// Tells whether a field says how the call went.
pub(super) fn is_status(field: &Field) -> bool {
    let is_of_no_call = words(&field.path).any(|word| NO_CALL.contains(&word.as_str()));
    !is_of_no_call
        && either(&field.path, |name| {
            (STATUSES.contains(&name) && is_end(&field.value))
                || ((name == "code" || name.ends_with("status") || name.ends_with("statuscode"))
                    && is_http_status(&field.value))
        })
}

/// Words for a call that went well. `done`, `completed` and the like may be said of the ask, which ends in any case.
const SUCCESSES: [&str; 6] = ["ok", "success", "successful", "succeeded", "answered", "true"];

/// Tells whether a value can say how a call went.
pub(super) fn is_end(value: &Value) -> bool {
    /// `context_length_exceeded`, `openai.AuthenticationError`; longer ones are texts.
    const WORD_LEN_MAX: usize = 64;
    if value.is_boolean() {
        return true;
    }
    let text = text_of(value);
    if text.bytes().any(|byte| byte.is_ascii_digit()) && !text.contains(char::is_alphabetic) {
        return is_http_status(value);
    }
    let words = text.split_whitespace().count();
    !is_nothing(&text)
        && text.len() <= WORD_LEN_MAX
        && (words == 1 || (words <= 3 && text.starts_with(|c: char| c.is_ascii_digit())))
        && text.contains(char::is_alphabetic)
        && !NOT_ENDED.contains(&folded(&text).as_str())
}

/// Tells whether a value says that a call went well: a status below 400, or a word for success.
pub(super) fn is_success(value: &Value) -> bool {
    let text = text_of(value);
    match text.parse::<u16>() {
        Ok(status) => (200..400).contains(&status),
        Err(_) => SUCCESSES.contains(&folded(&text).as_str()),
    }
}

fn is_http_status(value: &Value) -> bool {
    text_of(value).parse::<u16>().is_ok_and(|status| (100..600).contains(&status))
}

/// Tells whether a field holds the time of its record.
pub(super) fn is_timestamp(field: &Field) -> bool {
    let parts = field.path.rsplit_once('.').map_or("", |(before, _)| before);
    let name = last(&field.path);
    if parts.split('.').map(folded).any(|part| OTHER_TIMES.contains(&part.as_str())) {
        return false;
    }
    // Python's own log records: a fraction tells it from the `created` of a reply.
    let is_python = name == "created" && text_of(&field.value).contains('.');
    (TIMES.contains(&name.as_str()) || is_python) && times::is_time(&field.value)
}

/// Tells whether a name is one for a record's time.
pub(super) fn names_time(name: &str) -> bool {
    TIMES.contains(&last(name).as_str())
}

/// Tells whether a value is more than a word for nothing.
pub(super) fn says_something(value: &Value) -> bool {
    !is_nothing(&text_of(value))
}

/// Returns a value as a logger would print it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Folds a name to lower-case letters and digits.
pub(super) fn folded(name: &str) -> String {
    let name = name.replace('@', "at");
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the words that a path is made of: at dots, underscores, dashes and capitals.
pub(super) fn words(path: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::with_capacity(path.len() + 8);
    let mut was_small = false;
    for c in path.chars() {
        if c.is_ascii_uppercase() && was_small {
            spaced.push(' ');
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        spaced.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    }
    spaced.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Tests the last name of a path, then its last two: `error.type`, `url.full`.
pub(super) fn either(path: &str, test: impl Fn(&str) -> bool) -> bool {
    test(&last(path)) || test(&last_two(path))
}

fn last(path: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    // `@t`, `@m`, `@timestamp`: only the last one keeps its sign.
    if name.len() <= 3 { folded(name.trim_start_matches('@')) } else { folded(name) }
}

fn last_two(path: &str) -> String {
    let mut parts = path.rsplitn(3, '.');
    let (name, before) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    folded(before) + &folded(name)
}

fn is_nothing(text: &str) -> bool {
    NOTHINGS.contains(&text.trim().to_ascii_lowercase().as_str())
}
