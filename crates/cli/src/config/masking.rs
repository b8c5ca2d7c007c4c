//! Covers what may be a credential in text that is about to be shown.

use std::ops::Range;

/// How credentials of common makers begin, and how many characters follow at least.
const KEY_PREFIXES: [(&str, usize); 13] = [
    ("sk-", 12),
    ("sk_", 12),
    ("ghp_", 20),
    ("gho_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("AIza", 30),
    ("hf_", 20),
    ("gsk_", 20),
    ("eyJ", 30),
];

/// Words in a variable's name that say that it takes a credential.
const CREDENTIAL_WORDS: [&str; 7] =
    ["APIKEY", "API_KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];

/// From this length on, an unbroken word in a variable for credentials is taken for one.
const CREDENTIAL_CHARS_MIN: usize = 16;

/// Tells whether a text contains what looks like a credential.
pub(crate) fn looks_like_credential(text: &str) -> bool {
    !credentials(text).is_empty()
}

/// Tells whether a variable or header of this name takes a credential.
pub(crate) fn names_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let last = name.rsplit('_').next().unwrap_or("");
    last == "KEY"
        || last == "AUTHORIZATION"
        || CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

/// Tells whether a value under such a name is the credential itself, not a stand-in like `none` or `test`.
pub(crate) fn fills_credential(value: &str) -> bool {
    let value = value.trim();
    let value = value.strip_prefix("Bearer ").unwrap_or(value);
    !value.contains(char::is_whitespace)
        && !value.contains(['{', '}'])
        && value.chars().count() >= CREDENTIAL_CHARS_MIN
}

/// Replaces the given ranges, and all that looks like a credential, by stars. Byte positions stay as they were.
pub(crate) fn cover(text: &str, hidden: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in hidden.into_iter().chain(credentials(text)) {
        let end = range.end.min(bytes.len());
        for byte in bytes.get_mut(range.start..end).unwrap_or_default() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    // Ranges end on character boundaries, so this is UTF-8; if one does not, nothing is shown at all.
    String::from_utf8(bytes).unwrap_or_default()
}

fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = in_urls(text);
    let mut word_start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        let in_word = character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        match (in_word, word_start) {
            (true, None) => word_start = Some(at),
            (false, Some(start)) => {
                // Behind a dot, too: `releases.new.secrets.sk-…`.
                let word = &text[start..at];
                let parts = word.match_indices('.').map(|(dot, _)| dot + 1);
                let key = std::iter::once(0).chain(parts).find(|part| is_key(&word[*part..]));
                found.extend(key.map(|part| start + part..at));
                word_start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found
}

/// `user:password@` and the values of parameters in URLs.
fn in_urls(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("://").map(|(at, mark)| at + mark.len());
    let mut found = Vec::new();
    for start in starts {
        let ends_at = |ends: fn(char) -> bool| {
            text[start..].find(ends).map_or(text.len(), |length| start + length)
        };
        let authority =
            start..ends_at(|c| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''));
        found.extend(text[authority].rfind('@').map(|at| start..start + at));
        let end = ends_at(|c| c.is_whitespace() || matches!(c, '"' | '\''));
        let Some(query) = text[start..end].find('?').map(|at| start + at + 1) else { continue };
        let mut parameter = query;
        for text in text[query..end].split('&') {
            let value = text.find('=').map_or(text.len(), |at| at + 1);
            found.push(parameter + value..parameter + text.len());
            parameter += text.len() + 1;
        }
    }
    found
}

fn is_key(word: &str) -> bool {
    KEY_PREFIXES.iter().any(|(prefix, more)| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            // Names of words joined by dashes have no digit; keys practically always do.
            rest.len() >= *more && rest.bytes().any(|byte| byte.is_ascii_digit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_covered_and_positions_stay() {
        let text = "key: sk-abcdefghijkl1234 # ü";
        assert_eq!(cover(text, []), "key: ******************* # ü");
        assert_eq!(cover("in a.b.sk-abcdefghijkl1234: x", []), "in a.b.*******************: x");
        assert_eq!(cover("https://u:p@host/v1", []), "https://***@host/v1");
        assert_eq!(
            cover("url: \"https://u@host/v1?api_key=Zq8&flag&b=\" # x=1", []),
            "url: \"https://*@host/v1?api_key=***&flag&b=\" # x=1"
        );
        assert_eq!(cover("a: b\nc", std::iter::once(3..6)), "a: *\n*");
    }

    #[test]
    fn ordinary_words_stay() {
        for text in ["sk-short", "env:COMETAPI_API_KEY", "gpt-5.4-mini", "risk-assessment-service"]
        {
            assert_eq!(cover(text, []), text);
        }
    }

    #[test]
    fn names_and_values_of_credentials_are_known() {
        for name in
            ["OPENAI_API_KEY", "DB_PASSWORD", "GITHUB_TOKEN", "KEY", "Authorization", "X-Api-Key"]
        {
            assert!(names_credential(name), "{name}");
        }
        for name in ["MODEL", "KEYBOARD", "MONKEYS", "PORT"] {
            assert!(!names_credential(name), "{name}");
        }
        assert!(fills_credential("0123456789abcdef"));
        assert!(!fills_credential("none"));
        assert!(!fills_credential("Bearer {key}"));
    }
}
