//! Tokens that nobody told us of, known by their looks.

use std::ops::Range;

use super::pieces::looks_random;

/// Shorter ones are names (`sk-learn`) or masks (`sk-abcd****wxyz`).
const TOKEN_MIN: usize = 16;
/// Behind a word that announces a secret, less is enough.
const ANNOUNCED_MIN: usize = 8;

/// Query fields and settings whose value is a secret.
const SECRET_FIELDS: [&str; 11] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "x-goog-api-key",
    "token",
    "access_token",
    "auth_token",
    "secret",
    "password",
];

/// Returns what is a token beyond doubt: `sk-…`, bearer tokens, JWTs, as long as real ones are.
pub(super) fn certain(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in word_starts(bytes) {
        let rest = &bytes[at..];
        let word = run(rest, is_token);
        let text = std::str::from_utf8(&rest[..word]).unwrap_or_default();
        let is_key = (text.starts_with("sk-") || text.starts_with("sk_"))
            && word >= TOKEN_MIN
            && text.get(3..).is_some_and(looks_random);
        // `{"` in base64url: a JWT is three such parts, of which the first is an object.
        let is_jwt =
            text.starts_with("eyJ") && text.split('.').count() == 3 && word >= 2 * TOKEN_MIN;
        if is_key || is_jwt {
            found.push(at..at + word);
        }
        if let Some(token) = bearer(rest)
            && token.len() >= TOKEN_MIN
            && std::str::from_utf8(&rest[token.clone()]).is_ok_and(looks_random)
        {
            found.push(at + token.start..at + token.end);
        }
    }
    found
}

/// Returns what is a token beyond doubt and what is announced as one: `Authorization: …`, `key=…`.
pub(super) fn likely(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = certain(bytes);
    for at in word_starts(bytes) {
        let rest = &bytes[at..];
        let here = bearer(rest).or_else(|| authorization(rest)).or_else(|| secret_field(rest));
        found.extend(here.map(|token| at + token.start..at + token.end));
    }
    found
}

/// `Bearer …`: the token.
fn bearer(rest: &[u8]) -> Option<Range<usize>> {
    let start = "bearer".len();
    if !begins(rest, "bearer") {
        return None;
    }
    let spaces = run(&rest[start..], |byte| matches!(byte, b' ' | b'+' | b'\t'));
    let token = run(&rest[start + spaces..], is_token);
    (spaces > 0 && token >= ANNOUNCED_MIN).then(|| start + spaces..start + spaces + token)
}

/// `Authorization: Scheme …` in any of the usual spellings: all behind the colon, to the end of the line or string.
fn authorization(rest: &[u8]) -> Option<Range<usize>> {
    let name =
        ["authorization", "proxy-authorization"].into_iter().find(|name| begins(rest, name))?;
    let start = name.len() + separator(&rest[name.len()..])?;
    let value = &rest[start..];
    let scheme = run(value, is_token);
    let spaces = run(&value[scheme..], |byte| byte == b' ');
    let token = run(&value[scheme + spaces..], is_token);
    let is_secret = (spaces > 0 && token >= ANNOUNCED_MIN) || scheme >= TOKEN_MIN;
    // Digest puts several quoted fields behind its name: to the end of the line, then.
    let end = run(value, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\''));
    is_secret.then(|| start..start + end)
}

/// `key=…`, `"api_key": "…"`.
fn secret_field(rest: &[u8]) -> Option<Range<usize>> {
    // The longest name that fits, so that `key` does not hide in `key_id`.
    let name =
        SECRET_FIELDS.into_iter().filter(|name| begins(rest, name)).max_by_key(|n| n.len())?;
    let start = name.len() + separator(&rest[name.len()..])?;
    let value = run(&rest[start..], is_token);
    (value >= ANNOUNCED_MIN).then(|| start..start + value)
}

/// Returns the length of what stands between a field's name and its value: quotes and one colon or equals sign.
fn separator(rest: &[u8]) -> Option<usize> {
    let n_separator = run(rest, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ' | b':' | b'='));
    rest[..n_separator].iter().any(|byte| matches!(byte, b':' | b'=')).then_some(n_separator)
}

/// Returns where words begin: behind anything but a letter, a digit, `-` and `_`.
fn word_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (0..bytes.len()).filter(move |&at| {
        bytes[at].is_ascii_alphabetic()
            && at.checked_sub(1).is_none_or(|before| !is_word(bytes[before]))
    })
}

fn begins(rest: &[u8], word: &str) -> bool {
    rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

fn run(bytes: &[u8], test: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| test(**byte)).count()
}

/// The characters of tokens of all kinds: base64, base64url, JWT, `sk-…`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
}
