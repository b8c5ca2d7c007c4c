//! Times in logs: which values are one, and whether a line is stamped with one.

use serde_json::Value;

use super::{names, plain};

/// 2015 and 2100, in seconds since the epoch: a release that logs another time does not know the time.
const EPOCH: std::ops::Range<f64> = 1_420_070_400.0..4_102_444_800.0;

/// Dates with a time, `9` for any digit, `a` for any letter.
const DATES: &[&str] = &[
    "9999-99-99T99:99",
    "9999-99-99 99:99",
    "9999/99/99 99:99",
    "9999.99.99 99:99",
    "99/aaa/9999:99:99:99",
    "99.99.9999 99:99",
    "99/99/9999 99:99",
    "99/99/9999, 99:99",
    "9/99/9999, 9",
    "9/9/9999, 9",
    "99/9/9999, 9",
    "99-99-9999 99:99",
    "99 aaa 9999 99:99",
    "aaa 99 99:99:99",
    "aaa  9 99:99:99",
    "aaa, 99 aaa 9999 99:99",
    "aaa aaa 99 99:99:99",
    "aaa aaa  9 99:99:99",
    "99999999T999999",
    "99999999 99:99:99",
    // klog, glog: I1122 10:57:48.123456
    "a9999 99:99:99",
];

/// A time without a date.
const CLOCK: &str = "99:99:99";

/// Words behind which a time is that of something else.
const OF_ELSE: &[&str] = &[
    "after", "until", "till", "before", "at", "since", "from", "on", "by", "reset", "resets",
    "retry", "expires", "expired", "expiry", "date", "modified", "created", "issued", "not",
    "valid", "next", "last",
];

/// Words that may stand before a clock time without a date.
const LEVELS: &[&str] = &[
    "trace", "debug", "info", "notice", "warn", "warning", "error", "err", "fatal", "critical",
    "panic",
];

/// What stands before a line's time is not longer.
const HEAD_BYTES_MAX: usize = 256;

/// Words that may stand before a line's time.
const WORDS_BEFORE_MAX: usize = 6;

/// Tells whether a value is a time: a date with a time, a clock time, or seconds, milli-, micro- or nanoseconds since the epoch.
pub(super) fn is_time(value: &Value) -> bool {
    let text = names::text_of(value);
    is_epoch(&text)
        || DATES.iter().any(|date| fits(&text, date))
        || is_clock(&text)
        // Loguru and others write their fraction before the zone, which all of the above allow; some write the day's name.
        || text.split_once(' ').is_some_and(|(_, rest)| DATES.iter().any(|date| fits(rest, date)))
}

/// Tells whether a line is stamped with a time: at its head, in the brackets of an access log, or in a field for it.
pub(super) fn stamps_line(line: &str) -> bool {
    let line = line.trim_start();
    let first = line.split_whitespace().next().unwrap_or("");
    if is_epoch(first.trim_matches(['[', ']', ':', ','])) {
        return true;
    }
    if plain::pairs(line)
        .into_iter()
        .any(|(name, value)| names::names_time(name) && is_time(&Value::from(value)))
    {
        return true;
    }
    line.char_indices().any(|(at, c)| {
        let (head, rest) = line.split_at(at);
        let is_start = head.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
        is_start
            && (c.is_ascii_alphanumeric())
            && ((DATES.iter().any(|date| fits(rest, date)) && heads_line(head))
                || (is_clock(rest)
                    && heads_line(head)
                    && words_of(head).all(|word| LEVELS.contains(&word.as_str()))))
    })
}

/// Tells whether what stands before a time lets it be that of the line.
fn heads_line(head: &str) -> bool {
    let head = head.trim_end();
    // The Common Log Format brackets it, wherever it is.
    if head.ends_with('[') {
        return true;
    }
    let unquoted = head.trim_end_matches(['"', '\'', ' ']);
    // A field of another name; those for times were looked at before.
    if unquoted.ends_with('=') {
        return false;
    }
    if head.len() > HEAD_BYTES_MAX {
        return false;
    }
    let words: Vec<String> = words_of(head).collect();
    // Pairs before it are fields, and what follows fields is the message.
    words.len() <= WORDS_BEFORE_MAX
        && !head.contains('=')
        && !words.iter().any(|word| word.split(['-', '_']).any(|part| OF_ELSE.contains(&part)))
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// Tells whether a text is a number of seconds, or thousandths, millionths or billionths of one, since the epoch.
fn is_epoch(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit())
        || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return false;
    }
    let Ok(number) = text.parse::<f64>() else { return false };
    [1.0, 1e3, 1e6, 1e9].iter().any(|unit| EPOCH.contains(&(number / unit)))
}

/// Tells whether a text begins with a clock time that a day has.
fn is_clock(text: &str) -> bool {
    let part = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok());
    fits(text, CLOCK)
        && part(0).is_some_and(|hours| hours < 24)
        && part(3).is_some_and(|minutes| minutes < 60)
        && part(6).is_some_and(|seconds| seconds <= 60)
}

/// Tells whether a text begins as a pattern says, and does not go on as a longer number.
fn fits(text: &str, pattern: &str) -> bool {
    let bytes = text.as_bytes();
    let fits = bytes.len() >= pattern.len()
        && bytes.iter().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'9' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            b'T' => matches!(byte, b'T' | b't' | b'_'),
            wanted => *byte == wanted,
        });
    let goes_on = pattern.len() > 12 && bytes.get(pattern.len()).is_some_and(u8::is_ascii_digit);
    fits && !goes_on
}
