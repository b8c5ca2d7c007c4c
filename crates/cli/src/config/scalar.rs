//! Checked words of a configuration: durations, pointers, URLs. Pure functions; the reader adds the place.

use std::time::Duration;

/// Words that are compared with others are at most this long; the longest key has 15 letters.
const WORD_BYTES_MAX: usize = 64;

/// Why a word is not what it should be: what is wrong, and what to write.
pub(crate) type Refusal = (String, String);

/// Reads `500ms`, `30s`, `2m`, `24h`, `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, Refusal> {
    let refuse = |why: &str| {
        Err((
            format!("`{text}` is not a duration{why}"),
            "write 500ms, 30s, 2m, 24h or 1m30s".to_owned(),
        ))
    };
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        let Ok(number) = number.parse::<u64>() else { return refuse("") };
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return refuse(": it has no unit"),
            _ => return refuse(""),
        };
        let Some(part) = number.checked_mul(milliseconds) else {
            return refuse(": it is too long");
        };
        let Some(sum) = total.checked_add(Duration::from_millis(part)) else {
            return refuse(": it is too long");
        };
        total = sum;
        rest = after;
    }
    if text.is_empty() { refuse("") } else { Ok(total) }
}

/// Checks a JSON pointer (RFC 6901). The empty one, the whole document, is refused: nothing here can mean it.
pub(crate) fn pointer(text: &str) -> Result<String, Refusal> {
    if !text.starts_with('/') {
        let written = text
            .trim_start_matches('$')
            .trim_start_matches('.')
            .replace(['.', '['], "/")
            .replace(']', "");
        return Err((
            format!("`{text}` is not a JSON pointer: it does not begin with `/`"),
            format!("did you mean `/{written}`?"),
        ));
    }
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '~' && !matches!(characters.peek(), Some('0' | '1')) {
            return Err((
                format!("`{text}` is not a JSON pointer: `~` stands alone"),
                "write `~0` for a tilde and `~1` for a slash in a name".to_owned(),
            ));
        }
    }
    Ok(text.to_owned())
}

/// Checks an absolute HTTP URL without query and credentials, and takes trailing slashes off.
pub(crate) fn http_url(text: &str) -> Result<String, Refusal> {
    let refuse = |why: &str, help: &str| Err((format!("not a usable URL: {why}"), help.to_owned()));
    let example = "write it as https://host[:port]/path";
    let Ok(uri) = text.parse::<http::Uri>() else { return refuse("it cannot be parsed", example) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return refuse("it does not begin with http:// or https://", example);
    }
    let Some(authority) = uri.authority() else { return refuse("it names no host", example) };
    if authority.as_str().contains('@') {
        return refuse("it carries credentials", "give the credential by reference, in `key`");
    }
    if authority.host().is_empty() {
        return refuse("it names no host", example);
    }
    if uri.query().is_some() || text.contains('#') {
        return refuse("it has a query or fragment", "end it with its path");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Checks a path of an HTTP request.
pub(crate) fn http_path(text: &str) -> Result<String, Refusal> {
    if !text.starts_with('/') {
        return Err((
            format!("`{text}` is not a path: it does not begin with `/`"),
            format!("write `/{text}`"),
        ));
    }
    match text.parse::<http::uri::PathAndQuery>() {
        Ok(_) => Ok(text.to_owned()),
        // The cause says only "invalid uri character".
        Err(_) => Err((
            format!("`{text}` is not a path that HTTP can carry"),
            "percent-encode blanks and special characters".to_owned(),
        )),
    }
}

/// Checks `host:port`.
pub(crate) fn host_and_port(text: &str) -> Result<String, Refusal> {
    let parts = text.rsplit_once(':').filter(|(host, port)| {
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        !host.is_empty()
            && !host.contains('/')
            && !bare_v6
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    match parts {
        Some(_) => Ok(text.to_owned()),
        None => Err((
            format!("`{text}` is not host:port"),
            "write it as 10.0.0.7:8443 or name.internal:443".to_owned(),
        )),
    }
}

/// Returns the candidate that a misspelt word most likely meant.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = plain(word)?;
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((strsim::osa_distance(&word, &plain(candidate)?), candidate)))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the candidate that contains a word or is contained in it: `comet` for `cometapi`, `api_key` for `key`.
pub(crate) fn containing<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = plain(word)?;
    candidates.into_iter().find(|candidate| {
        let Some(candidate) = plain(candidate) else { return false };
        word.len().min(candidate.len()) >= 3
            && (candidate.contains(&word) || word.contains(&candidate))
    })
}

/// Spelling variants are no differences. Longer words are none of ours.
fn plain(word: &str) -> Option<String> {
    (word.len() <= WORD_BYTES_MAX).then(|| word.to_lowercase().replace(['-', ' '], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for bad in [
            "",
            "30",
            "s",
            "30 s",
            "-1s",
            "1.5s",
            "30x",
            "99999999999999999999s",
            "999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pointers_are_checked() {
        assert_eq!(pointer("/a/0~1b"), Ok("/a/0~1b".to_owned()));
        assert!(pointer("/a~b").is_err());
        let (_, help) = pointer("choices[0].message.content").expect_err("no pointer");
        assert_eq!(help, "did you mean `/choices/0/message/content`?");
    }

    #[test]
    fn urls_are_checked() {
        assert_eq!(
            http_url("https://a.example:8443/v1/"),
            Ok("https://a.example:8443/v1".to_owned())
        );
        for bad in [
            "",
            "a.example/v1",
            "ftp://a/v1",
            "https://",
            "https://u:p@a/v1",
            "https://a/v1?x=1",
            "https://a/v1#x",
            "https://a b/",
        ] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
        for bad in ["a", "a:", ":1", "a:0", "a:70000", "::1:80", "http://a:1"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
        assert!(host_and_port("[::1]:80").is_ok());
    }

    #[test]
    fn misspelt_words_find_their_meaning() {
        assert_eq!(closest("secerts", ["env", "secrets"]), Some("secrets"));
        assert_eq!(
            closest("fallback-models", ["fallback_models", "models"]),
            Some("fallback_models")
        );
        assert_eq!(closest("colour", ["env", "secrets"]), None);
        assert_eq!(containing("comet", ["openai", "cometapi"]), Some("cometapi"));
        assert_eq!(containing("api_key", ["name", "key"]), Some("key"));
        assert_eq!(containing("xy", ["xyz"]), None);
    }
}
