//! What a line without fields says: an access log, a client's debug line, an exception's text.

use super::plain;

/// Methods of a request line.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Words before a status, folded to lower case.
const BEFORE_STATUS: &[&str] = &[
    "status",
    "code",
    "statuscode",
    "http",
    "response",
    "returned",
    "answered",
    "->",
    "=>",
    "→",
    "got",
    "replied",
    "upstream",
    "provider",
];

/// Longer than any reason or unit.
const REASON_BYTES_MAX: usize = 32;

/// Units of amounts.
const UNITS: &[&str] = &["ms", "s", "µs", "us", "ns", "sec", "msec", "kb", "mb", "kib", "mib"];

/// What is counted in logs, each without the ending that makes it several.
const COUNTED: &[&str] = &[
    "sec",
    "second",
    "milli",
    "millisecond",
    "byte",
    "token",
    "char",
    "character",
    "word",
    "line",
    "chunk",
    "delta",
    "event",
    "item",
    "row",
    "record",
    "result",
    "message",
    "answer",
    "question",
    "document",
    "request",
    "call",
    "time",
    "user",
    "retrie",
];

/// What follows a status as its reason.
const REASONS: &[&str] = &[
    "ok",
    "created",
    "accepted",
    "bad request",
    "unauthorized",
    "payment required",
    "forbidden",
    "not found",
    "request timeout",
    "conflict",
    "payload too large",
    "unprocessable entity",
    "unprocessable content",
    "too many requests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
];

/// Tells whether a line names what was called: the surface's path, that of a request line, or one of these places.
pub(super) fn has_route(line: &str, places: &[String]) -> bool {
    let words: Vec<&str> = line.split(is_between_words).filter(|word| !word.is_empty()).collect();
    words.iter().enumerate().any(|(index, word)| {
        let is_requested = index
            .checked_sub(1)
            .and_then(|before| words.get(before))
            .is_some_and(|before| METHODS.contains(before));
        let path = path_of(word);
        (is_requested && (word.starts_with('/') || word.contains("://")))
            || path.is_some_and(is_surface)
            || (is_place(word, path, places) && !is_of_a_trace(&words, index))
    })
}

/// Tells whether a word is the very place that was asked.
fn is_place(word: &str, path: Option<&str>, places: &[String]) -> bool {
    let word = word.trim_end_matches([':', '.', '|']);
    // A slash alone separates words.
    places.iter().any(|place| place != "/" && (word == place || path == Some(place)))
}

/// Tells whether a file is named as the place of a statement: `File "ask.py", line 3`, `at ask.pl line 3`.
fn is_of_a_trace(words: &[&str], index: usize) -> bool {
    let is_at = |index: Option<usize>, of: &[&str]| {
        index.and_then(|index| words.get(index)).is_some_and(|word| of.contains(word))
    };
    is_at(index.checked_sub(1), &["File", "at", "in", "from"]) || is_at(Some(index + 1), &["line"])
}

/// Returns the path of an address, or of what is a path itself.
fn path_of(word: &str) -> Option<&str> {
    let word = word.split(['?', '#']).next().unwrap_or(word);
    let word = word.trim_end_matches(['.', ':', '/']);
    match word.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)),
        None => word.find('/').and_then(|at| word.get(at..)),
    }
}

/// Tells whether a path is that of a surface, and not a page about it.
fn is_surface(path: &str) -> bool {
    (path.ends_with("/chat/completions") || path.ends_with("/responses"))
        && !path.split('/').any(|part| part.starts_with("doc") || part.starts_with("api-ref"))
}

/// Tells whether one of these statuses stands in a line where a status stands: not `took 200 ms`, not `line 500`.
pub(super) fn has_status(line: &str, statuses: &[u16]) -> bool {
    statuses.iter().any(|status| {
        let status = status.to_string();
        line.match_indices(&status).any(|(at, _)| is_status_at(line, at, status.len()))
    })
}

fn is_status_at(line: &str, at: usize, length: usize) -> bool {
    let (Some(before), Some(behind)) = (line.get(..at), line.get(at + length..)) else {
        return false;
    };
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '%');
    let goes_on = behind.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '%'))
        || behind
            .strip_prefix(['.', '-', '/', ':'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
    if before.ends_with(is_word) || goes_on {
        return false;
    }
    let reason = plain::start_of(behind.trim_start(), REASON_BYTES_MAX).to_ascii_lowercase();
    if behind.starts_with(' ') && begins_with_reason(&reason) {
        return true;
    }
    if is_counted(&reason) {
        return false;
    }
    let head = before.trim_end_matches([' ', '"', '\'', '(', '[', ':', '=', ',']);
    let word = head
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | '[' | '=' | ','))
        .next();
    let word = word.unwrap_or("");
    let low = word.to_ascii_lowercase();
    BEFORE_STATUS.contains(&low.trim_matches(':'))
        || low.starts_with("http/")
        || is_behind_path(head, word)
        || is_proxy_timers(word)
}

/// Tells whether a number stands before its unit, or before what it counts: such a number is an amount. A name with a value is
/// neither.
fn is_counted(behind: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let (word, rest) = behind.split_at(behind.find(|c| !goes_on(c)).unwrap_or(behind.len()));
    let counts = word.strip_suffix('s').is_some_and(|one| COUNTED.contains(&one));
    (counts || UNITS.contains(&word)) && !rest.starts_with(['=', ':'])
}

fn begins_with_reason(text: &str) -> bool {
    REASONS.iter().any(|reason| {
        text.strip_prefix(reason).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    })
}

/// `POST /v1/chat/completions 200 12 ms`: morgan and others.
fn is_behind_path(head: &str, word: &str) -> bool {
    let before = head.strip_suffix(word).unwrap_or("").trim_end();
    let method = before.rsplit(is_between_words).next().unwrap_or("");
    (word.starts_with('/') || word.contains("://")) && METHODS.contains(&method)
}

/// HAProxy writes five times, with slashes between, before its status.
fn is_proxy_timers(word: &str) -> bool {
    word.matches('/').count() == 4
        && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'/' | b'-' | b'+'))
}

fn is_between_words(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '"' | '\'' | '(' | ')' | '[' | ']' | ',' | '=' | '<' | '>' | ';')
}
