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
    let mut runs = Runs::default();
    for at in word_starts(bytes) {
        let rest = &bytes[at..];
        if begins(rest, "sk-") || begins(rest, "sk_") || rest.starts_with(b"eyJ") {
            let token = at..runs.end(bytes, at);
            // `{"` in base64url: a JWT is three such parts, of which the first is an object.
            let is_token = if rest.starts_with(b"eyJ") {
                let n_parts = bytes[token.clone()].split(|byte| *byte == b'.').take(4).count();
                token.len() >= 2 * TOKEN_MIN && n_parts == 3
            } else {
                has_random_group(&bytes[token.start + 3..token.end])
            };
            if is_token {
                found.push(token);
            }
        } else if let Some(token) = bearer(bytes, at, &mut runs)
            && token.len() >= TOKEN_MIN
            && is_random(&bytes[token.clone()])
        {
            found.push(token);
        }
    }
    found
}

/// Returns what is a token beyond doubt and what is announced as one: `Authorization: …`, `key=…`.
pub(super) fn likely(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = certain(bytes);
    let mut runs = Runs::default();
    // What lies in a token needs no second look, and a line full of headers not one for each.
    let mut covered = 0;
    for at in word_starts(bytes) {
        if at < covered {
            continue;
        }
        let here = bearer(bytes, at, &mut runs)
            .or_else(|| authorization(bytes, at))
            .or_else(|| secret_field(bytes, at, &mut runs));
        if let Some(token) = here {
            covered = token.end;
            found.push(token);
        }
    }
    found
}

/// Tells whether there is a long group without `-` and the like that looks random: `sk-telecom-bot-v2` and
/// `sk-learn-0.24.1/setup.py` are names.
fn has_random_group(token: &[u8]) -> bool {
    token
        .split(|byte| !byte.is_ascii_alphanumeric())
        .any(|group| group.len() >= TOKEN_MIN && is_random(group))
}

/// Tells whether a token looks random. Its beginning tells enough.
fn is_random(token: &[u8]) -> bool {
    const ENOUGH: usize = 256;
    let beginning = token.get(..ENOUGH).unwrap_or(token);
    // Tokens are ASCII by their characters, so that any cut is one between characters.
    std::str::from_utf8(beginning).is_ok_and(looks_random)
}

/// Remembers where the last run of token characters ends, so that no run is walked along twice.
#[derive(Default)]
struct Runs {
    last: Range<usize>,
}

impl Runs {
    /// Returns where the token characters that begin here end.
    fn end(&mut self, bytes: &[u8], at: usize) -> usize {
        if !self.last.contains(&at) {
            self.last = at..at + run(&bytes[at..], is_token);
        }
        self.last.end
    }
}

/// `Bearer …`: the token.
fn bearer(bytes: &[u8], at: usize, runs: &mut Runs) -> Option<Range<usize>> {
    if !begins(&bytes[at..], "bearer") {
        return None;
    }
    let behind = at + "bearer".len();
    let start = behind + run(&bytes[behind..], |byte| matches!(byte, b' ' | b'+' | b'\t'));
    let end = runs.end(bytes, start);
    (start > behind && end - start >= ANNOUNCED_MIN).then_some(start..end)
}

/// `Authorization: Scheme …` in any of the usual spellings: all behind the colon, to the end of the line or string.
fn authorization(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &bytes[at..];
    let name =
        ["authorization", "proxy-authorization"].into_iter().find(|name| begins(rest, name))?;
    let start = name.len() + separator(&rest[name.len()..])?;
    let value = &rest[start..];
    let scheme = run(value, is_token);
    let spaces = run(&value[scheme..], |byte| byte == b' ');
    let token = run(&value[scheme + spaces..], is_token);
    let is_secret = (spaces > 0 && token >= ANNOUNCED_MIN) || scheme >= TOKEN_MIN;
    if !is_secret {
        return None;
    }
    // Digest puts several quoted fields behind its name: to the end of the line, then.
    let end = run(value, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\''));
    Some(at + start..at + start + end)
}

/// `key=…`, `"api_key": "…"`.
fn secret_field(bytes: &[u8], at: usize, runs: &mut Runs) -> Option<Range<usize>> {
    let rest = &bytes[at..];
    // The longest name that fits, so that `key` does not hide in `key_id`.
    let name =
        SECRET_FIELDS.into_iter().filter(|name| begins(rest, name)).max_by_key(|n| n.len())?;
    let start = at + name.len() + separator(&rest[name.len()..])?;
    let end = runs.end(bytes, start);
    (end - start >= ANNOUNCED_MIN).then_some(start..end)
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
