//! Tells the error text of a gateway from an answer: some report their troubles as model output.
//!
//! An answer may well speak of errors, explain one, or quote one. So a text counts as an error only where it is worded as the
//! report of one: short, from its beginning, and without the words of an explanation.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::Kind;
use crate::json::Tape;

/// Longest text that counts: error texts are short, answers about errors are not.
const TEXT_BYTES_MAX: usize = 300;
/// Longest page or document that counts: the pages of edges are a few kilobytes.
const PAGE_BYTES_MAX: usize = 8 * 1024;

/// How the reports of errors begin. What follows must not make it a sentence about them: see [`FOLLOWS`].
const STARTS: &[&str] = &[
    "rate limit exceeded",
    "rate limit reached",
    "api rate limit exceeded",
    "rate limited",
    "rate-limited",
    "you have been rate limited",
    "you have been rate-limited",
    "you exceeded your current quota",
    "too many requests",
    "quota exceeded",
    "insufficient balance",
    "insufficient credits",
    "insufficient quota",
    "free tier limit",
    "internal server error",
    "service unavailable",
    "service temporarily unavailable",
    "bad gateway",
    "gateway timeout",
    "429 too many requests",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "503 service temporarily unavailable",
    "504 gateway timeout",
    "504 gateway time-out",
    "upstream error",
    "upstream request timeout",
    "upstream request failed",
    "upstream connect error",
    "no healthy upstream",
    "an error occurred while processing your request",
    "an error occurred while processing the request",
    "an internal error",
    "an unexpected error",
    "request failed",
    "request timed out",
    "api error",
    "the server is overloaded",
    "the model is overloaded",
    "model is overloaded",
    "the engine is currently overloaded",
    "invalid api key",
    "incorrect api key",
    "当前分组上游负载已饱和",
    "请求过于频繁",
];

/// What follows the beginning of a report, if it is no sign; `too many requests can overwhelm a server` is an explanation.
const FOLLOWS: &[&str] = &[
    "please ",
    "for ",
    "try ",
    "retry ",
    "error",
    "from ",
    "on ",
    "by ",
    "with ",
    "in ",
    "or ",
    "at ",
    "occurred",
    "has occurred",
    "provided",
    "reached",
    "exceeded",
    "4",
    "5",
];

/// How limits are reported that were hit.
const LIMIT_STARTS: &[&str] = &[
    "you have reached",
    "you've reached",
    "you have hit",
    "you've hit",
    "you have exceeded",
    "you've exceeded",
    "you exceeded",
    "you reached",
    "the rate limit",
    "your rate limit",
];

/// How a report asks for patience.
const LATER: &str = "please try again later";
/// The limit of a router, by whose name it is reported anywhere in a text.
const FREE_MODELS: &str = "free-models-per-day";

/// What is busy where a report asks to try again later: a shop that is closed is none of it.
const SERVICES: &[&str] =
    &["server", "service", "model", "system", "engine", "upstream", " api", "request", "provider"];

/// What names a trouble of the service; `error:` before it makes it a report.
const TROUBLES: &[&str] = &[
    "upstream",
    "timeout",
    "timed out",
    "api key",
    "quota",
    "rate limit",
    "overloaded",
    "unavailable",
    "internal server",
    "request failed",
    "bad gateway",
    "too many requests",
    "status code",
    "connection",
    "provider",
    "429",
    "500",
    "502",
    "503",
    "504",
];

/// What makes a limit that was hit of a limit.
const HITS: &[&str] = &["exceeded", "reached", "try again", "retry"];

/// What an explanation has, and a report has not.
const EXPLAINS: &[&str] = &[
    " means ",
    " refers to ",
    " stands for ",
    " is a ",
    " is an ",
    " is the ",
    " indicates ",
    " occurs ",
    " happens ",
    " tells ",
    "if you ",
    "when you ",
    "when a ",
    "for example",
];

/// Whether an answer reads like the report of an error.
pub(crate) fn reads_like_an_error(answer: &str) -> bool {
    let answer = answer.trim();
    if answer.len() > PAGE_BYTES_MAX {
        return false;
    }
    match answer.as_bytes().first() {
        Some(b'<') => is_error_page(&answer.to_ascii_lowercase()),
        Some(b'{') => is_error_document(answer),
        Some(_) if answer.len() <= TEXT_BYTES_MAX => is_error_text(&answer.to_ascii_lowercase()),
        Some(_) | None => false,
    }
}

/// Whether a text begins with `error:`, `[error]` or `error 502`; `error handling` begins an explanation.
fn is_labelled(answer: &str) -> bool {
    let label = answer.trim_start_matches('[').strip_prefix("error");
    label.is_some_and(|rest| {
        let rest = rest.trim_start();
        rest.starts_with([':', ']', '-', '(', '!'])
            || rest.starts_with(|c: char| c.is_ascii_digit())
            || rest.starts_with("code:")
    })
}

/// Whether a text begins with the words of a report, and goes on like one.
fn starts_like_a_report(answer: &str) -> bool {
    behind(answer, STARTS).any(|rest| {
        let is_sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && c != '?';
        let word = rest.trim_start();
        rest.is_empty()
            || rest.starts_with(is_sign)
            || word.len() < rest.len()
                && (word.starts_with(is_sign) || FOLLOWS.iter().any(|next| word.starts_with(next)))
    })
}

/// Returns what stands behind each of the words that a text begins with.
fn behind<'a>(answer: &'a str, words: &[&str]) -> impl Iterator<Item = &'a str> {
    // Most are told apart by their first byte.
    let first = answer.as_bytes().first();
    let may_begin = words.iter().filter(move |word| word.as_bytes().first() == first);
    may_begin.filter_map(|word| answer.strip_prefix(*word))
}

fn is_error_text(answer: &str) -> bool {
    // All short answers are searched for these.
    static WAIT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(LATER));
    static FREE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(FREE_MODELS));
    let has = |words: &[&str]| words.iter().any(|word| answer.contains(word));
    let starts = |words: &[&str]| behind(answer, words).next().is_some();
    // `error code: 524` is all that some edges say.
    let is_code = || {
        let code = answer.strip_prefix("error code:").map(str::trim);
        code.is_some_and(|code| code.parse::<u16>().is_ok())
    };
    let is_limit = || starts(LIMIT_STARTS) && has(&["rate limit", "rate-limit"]) && has(HITS);
    let is_asked_to_wait = || {
        WAIT.find(answer.as_bytes()).is_some()
            && has(SERVICES)
            && (has(TROUBLES) || has(&["error", "busy", "failed", "capacity", "limit"]))
    };
    let is_report = starts_like_a_report(answer)
        || is_labelled(answer) && has(TROUBLES)
        || is_code()
        || is_limit()
        || is_asked_to_wait()
        || FREE.find(answer.as_bytes()).is_some();
    is_report && !has(EXPLAINS)
}

/// Whether a page is one of a server's or an edge's error pages: its title says so.
fn is_error_page(page: &str) -> bool {
    /// What stands beside the status of an error; a number alone may be anything.
    const REASONS: &[&str] = &[
        "error",
        "bad gateway",
        "gateway time",
        "unavailable",
        "forbidden",
        "not found",
        "denied",
        "too many requests",
        "timed out",
        "timeout",
        "unauthorized",
        "bad request",
        "too large",
        "server is down",
        "connection",
        "unreachable",
    ];
    const TITLES: &[&str] = &[
        "bad gateway",
        "service unavailable",
        "service temporarily unavailable",
        "gateway time",
        "too many requests",
        "access denied",
        "just a moment...",
        "attention required!",
    ];
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    title.is_some_and(|(title, _)| {
        let title = title.trim();
        let has_status = title
            .split(|c: char| !c.is_ascii_digit())
            .any(|word| word.parse().is_ok_and(|status: u16| (400..600).contains(&status)));
        has_status && REASONS.iter().any(|reason| title.contains(reason))
            || TITLES.iter().any(|known| title.starts_with(known))
            || title == "error"
    })
}

/// Whether a document is an error envelope, which an application's own `{"error": "no such city"}` is not.
fn is_error_document(document: &str) -> bool {
    let mut tape = Tape::default();
    let Ok(body) = tape.read(document.as_bytes()) else { return false };
    body.get("error").is_some_and(|error| {
        let has_text = error.get("message").is_some_and(|text| text.kind() == Kind::STRING);
        has_text && ["code", "type", "status"].iter().any(|key| error.get_some(key).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_errors_are_found() {
        for text in [
            "Rate limit exceeded: free-models-per-day. Please try again later.",
            "You have reached the rate limit for this model. Try again in 20s.",
            "Too Many Requests",
            "Error: 429 Too Many Requests",
            "Error 503: upstream unavailable",
            "An error occurred while processing your request.",
            "The server is busy. Please try again later.",
            "{\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}",
            "<html><head><title>502 Bad Gateway</title></head></html>",
            "<!DOCTYPE html><title>Just a moment...</title>",
        ] {
            assert!(reads_like_an_error(text), "{text}");
        }
    }

    #[test]
    fn answers_about_errors_are_answers() {
        for text in [
            "",
            "429 is the HTTP status for Too Many Requests.",
            "Too Many Requests means that a client sent more than it may.",
            "Internal Server Error is the text of status 500.",
            "Rate limiting protects a service.",
            "If you see \"rate limit exceeded\", wait a minute.",
            "Error: a missing semicolon on line 3.",
            "You have exceeded my expectations.",
            "The shop opens at nine. Please try again later today.",
            "An error of one in ten thousand.",
            "{\"error\":\"no such city\"}",
            "{\"error\":{\"message\":\"no such city\"}}",
            "<html><head><title>Hello</title></head><body>nginx</body></html>",
            "<svg></svg>",
        ] {
            assert!(!reads_like_an_error(text), "{text}");
        }
    }
}
