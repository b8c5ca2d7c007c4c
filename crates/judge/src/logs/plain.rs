//! Lines that are not JSON: colours taken out, `key=value` and `key: value` pairs found.

use std::borrow::Cow;

use super::names;

/// Of an unquoted value, more is not looked at.
const VALUE_BYTES_MAX: usize = 512;

/// Takes out what colours a terminal: some loggers write it into files too, in the middle of `status=200`.
pub(super) fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split("\x1b[");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        out.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    Cow::Owned(out)
}

/// Returns the pairs of a line, names as they stand. What is quoted is one value; behind the name of a prompt or an answer, the
/// rest of the line is.
pub(super) fn pairs(line: &str) -> Vec<(&str, &str)> {
    split(line).0
}

/// Returns the pairs of a line, and the line without what users ask and models answer.
pub(super) fn split(line: &str) -> (Vec<(&str, &str)>, String) {
    let mut found = Vec::new();
    let mut said = String::with_capacity(line.len());
    let mut copied = 0;
    let mut at = 0;
    while let Some(separator) =
        line.get(at..).and_then(|rest| rest.find(['=', ':'])).map(|offset| at + offset)
    {
        at = separator + 1;
        let Some((before, after)) = line.split_at_checked(separator) else { break };
        let is_assigned = after.starts_with('=');
        let (name, unnamed) = name_before(before);
        // `?status=200` belongs to the address of something else, and so does the end of a path.
        if name.is_empty() || unnamed.ends_with(['?', '&', '%', '/']) {
            continue;
        }
        let value = after.get(1..).unwrap_or_default();
        let spaces = value.len() - value.trim_start_matches(' ').len();
        let value = value.get(spaces..).unwrap_or_default();
        let start = separator + 1 + spaces;
        if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let length = quoted_length(value, quote);
            at = start + length + 2;
            if names::is_content(name) {
                said.push_str(line.get(copied..start).unwrap_or_default());
                copied = at;
            } else {
                found.push((name, value.get(1..1 + length).unwrap_or_default()));
            }
            continue;
        }
        if names::is_content(name) {
            said.push_str(line.get(copied..separator).unwrap_or_default());
            copied = line.len();
            break;
        }
        let length = start_of(value, VALUE_BYTES_MAX)
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | '|'))
            .unwrap_or(start_of(value, VALUE_BYTES_MAX).len());
        let value = value.get(..length).unwrap_or_default();
        if !value.is_empty() && !value.starts_with(['{', '[', '(']) {
            found.push((name, value));
            // What stands behind a colon may be a pair itself: `event: status=200`.
            if is_assigned {
                at = start + length;
            }
        }
    }
    said.push_str(line.get(copied..).unwrap_or_default());
    (found, said)
}

/// Returns the name at the end of a text, with its quotes taken off, and what comes before it.
fn name_before(text: &str) -> (&str, &str) {
    let text = text.strip_suffix(' ').unwrap_or(text);
    let text = text.trim_end_matches(['"', '\'']);
    let length = text
        .bytes()
        .rev()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@')
        })
        .count();
    let (before, name) = text.split_at(text.len() - length);
    (name, before)
}

/// Returns the beginning of a text.
pub(super) fn start_of(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Returns how long what follows a quote is, up to the quote that ends it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !is_escaped && c == quote {
            return at - 1;
        }
        is_escaped = !is_escaped && c == '\\';
    }
    text.len() - 1
}
