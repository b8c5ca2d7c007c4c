//! What is kept of a request: names, classes and fingerprints, no values.

use std::fmt::Write as _;

use contract::conversation::PartLost;
use contract::smoke::QuestionSeen;
use contract::{RequestFacts, RequestFault};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use judge::{AuthScheme, Exposure, Fingerprint, RequestSeen};

use crate::asks::MarkersSeen;
use crate::limits::TEXT_MAX;
use crate::path::Resource;

/// Headers beside `authorization` that carry a credential.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// How the official SDKs name their language, their version, and which retry this is.
const SDK_LANGUAGE: HeaderName = HeaderName::from_static("x-stainless-lang");
const SDK_VERSION: HeaderName = HeaderName::from_static("x-stainless-package-version");
const SDK_RETRY: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// Takes the place of a credential in the negative auth probe. Long enough to pass a client-side length check, and no
/// provider can have issued it.
const INVALID_KEY: &str = "sk-surestep-invalid-000000000000000000000000";

/// `surestep:invalid` for Basic auth.
const INVALID_BASIC: &str = "c3VyZXN0ZXA6aW52YWxpZA==";

/// Shorter values stand in paths and texts by chance.
const EXPOSED_MIN: usize = 8;

/// The parts of a request that are read before its ask is known.
#[derive(Debug)]
pub(crate) struct RequestHead<'r> {
    pub(crate) method: &'r Method,
    pub(crate) path: &'r str,
    pub(crate) query: Option<&'r str>,
    pub(crate) resource: &'r Resource,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) host: &'r str,
}

/// What is known of the body by then.
#[derive(Debug)]
pub(crate) struct BodySeen<'b> {
    pub(crate) facts: RequestFacts,
    pub(crate) n_bytes: usize,
    /// What it stands for, where it is compressed.
    pub(crate) looked: &'b [u8],
    pub(crate) markers: MarkersSeen,
    pub(crate) question: QuestionSeen,
    pub(crate) lost: Option<Vec<PartLost>>,
}

/// Reduces a request to what may be kept.
pub(crate) fn request_seen(
    head: &RequestHead<'_>,
    body: BodySeen<'_>,
    fingerprint: &(dyn Fn(&[u8]) -> Fingerprint + Send + Sync),
) -> RequestSeen {
    let (auth, credential) = credential(head.headers);
    let BodySeen { facts, n_bytes, looked, markers, question, lost } = body;
    RequestSeen {
        method: head.method.as_str().to_owned(),
        path: bounded(head.path),
        exposure: exposure(head, looked, credential),
        resource: bounded(&head.resource.resource),
        host: head.host.to_owned(),
        header_names: header_names(head.headers),
        auth,
        credential: credential.map(fingerprint),
        shape: facts.shape,
        roles: facts.roles,
        model: facts.model.as_deref().map(bounded),
        stream: facts.stream,
        fault: facts.fault.or_else(|| undeclared(head)).as_ref().map(fault),
        client: client(head.headers),
        retry_count: text(head.headers, &SDK_RETRY).and_then(|count| count.trim().parse().ok()),
        carries_marker: markers.own,
        question,
        lost,
        other_asks: markers.others,
        body_bytes: n_bytes as u64,
    }
}

/// A call of a surface that is not declared as JSON. Other paths take what they take.
fn undeclared(head: &RequestHead<'_>) -> Option<RequestFault> {
    head.resource.surface.filter(|_| *head.method == Method::POST)?;
    RequestFault::of_content_type(head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes))
}

fn fault(fault: &RequestFault) -> String {
    match fault {
        RequestFault::ContentType => "no `content-type: application/json`".to_owned(),
        RequestFault::NotJson => "not a JSON object".to_owned(),
        RequestFault::Missing(field) => format!("missing {field}"),
        RequestFault::WrongType(field) => format!("wrong type of {field}"),
        RequestFault::OutOfRange(field) => format!("invalid value of {field}"),
    }
}

/// Parameters that a credential goes by where it stands in a URL.
const KEY_PARAMETERS: [&str; 7] =
    ["key", "api_key", "apikey", "api-key", "access_token", "token", "auth"];

/// Tells where else than in a header the request carries a credential: its own, or, in the URL, whatever a parameter of such a name
/// holds. URLs end up in the access logs of every hop, bodies wherever prompts are kept.
fn exposure(head: &RequestHead<'_>, body: &[u8], credential: Option<&[u8]>) -> Exposure {
    let own = credential.filter(|own| own.len() >= EXPOSED_MIN);
    let has_own = |text: &[u8]| own.is_some_and(|own| memchr::memmem::find(text, own).is_some());
    let query = head.query.unwrap_or_default();
    if has_own(head.path.as_bytes()) || has_own(query.as_bytes()) || has_key_parameter(query) {
        Exposure::Url
    } else if has_own(body) {
        Exposure::Body
    } else {
        Exposure::None
    }
}

fn has_key_parameter(query: &str) -> bool {
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        value.len() >= EXPOSED_MIN
            && KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

fn header_names(headers: &HeaderMap) -> Vec<String> {
    let mut names = Vec::with_capacity(headers.keys_len());
    names.extend(headers.keys().map(|name| name.as_str().to_owned()));
    names.sort_unstable();
    names
}

/// Returns how a request names its credential, and the credential where there is one.
fn credential(headers: &HeaderMap) -> (AuthScheme, Option<&[u8]>) {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let value = value.as_bytes().trim_ascii();
        let (scheme, rest) = match value.iter().position(|byte| *byte == b' ') {
            Some(at) => value.split_at(at),
            None => (value, &[][..]),
        };
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return match rest {
                b"" | b"undefined" | b"null" | b"None" => (AuthScheme::BearerBlank, None),
                rest => (AuthScheme::Bearer, Some(rest)),
            };
        }
        let kind = if scheme.eq_ignore_ascii_case(b"basic") {
            AuthScheme::Basic
        } else {
            AuthScheme::Other
        };
        let secret = if rest.is_empty() { scheme } else { rest };
        return (kind, Some(secret).filter(|secret| !secret.is_empty()));
    }
    for name in &KEY_HEADERS {
        if let Some(value) = headers.get(name) {
            return (
                AuthScheme::ApiKeyHeader,
                Some(value.as_bytes().trim_ascii()).filter(|v| !v.is_empty()),
            );
        }
    }
    (AuthScheme::None, None)
}

/// Swaps each credential for an invalid one of the same scheme; everything else stays.
pub(crate) fn invalidate_credentials(headers: &mut HeaderMap) {
    for value in headers.get_all_mut_of(&AUTHORIZATION) {
        let scheme = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .map(|(scheme, _)| scheme.to_owned());
        let invalid = match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("basic") => {
                format!("{scheme} {INVALID_BASIC}")
            }
            Some(scheme) => format!("{scheme} {INVALID_KEY}"),
            None => INVALID_KEY.to_owned(),
        };
        // A scheme that was a header value stays one; should it ever not be, the plain invalid key is one.
        *value = HeaderValue::try_from(invalid)
            .unwrap_or_else(|_| HeaderValue::from_static(INVALID_KEY));
    }
    for name in &KEY_HEADERS {
        for value in headers.get_all_mut_of(name) {
            *value = HeaderValue::from_static(INVALID_KEY);
        }
    }
}

/// Mutable access to all values of one name.
trait AllMut {
    fn get_all_mut_of<'h>(
        &'h mut self,
        name: &'h HeaderName,
    ) -> impl Iterator<Item = &'h mut HeaderValue>;
}

impl AllMut for HeaderMap {
    fn get_all_mut_of<'h>(
        &'h mut self,
        name: &'h HeaderName,
    ) -> impl Iterator<Item = &'h mut HeaderValue> {
        self.iter_mut().filter_map(move |(key, value)| (key == name).then_some(value))
    }
}

/// Returns the client library and its version.
fn client(headers: &HeaderMap) -> Option<String> {
    let stainless = text(headers, &SDK_LANGUAGE).zip(text(headers, &SDK_VERSION));
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some((language, version)) = stainless {
        let maker =
            agent.map_or(
                "openai",
                |agent| if agent.contains("nthropic") { "anthropic" } else { "openai" },
            );
        let language = match language {
            "js" => "node",
            language => language,
        };
        return Some(identifier(&[maker, "-", language, " ", version]));
    }
    let product = agent?.split_ascii_whitespace().next()?;
    Some(match product.rsplit_once('/') {
        Some((name, version)) => identifier(&[name, " ", version]),
        None => identifier(&[product]),
    })
}

/// Keeps what a product name and a version are made of: a user agent is free text and may hold anything.
fn identifier(parts: &[&str]) -> String {
    const BYTES_MAX: usize = 64;
    let is_kept = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'.' | b'_' | b'+' | b'-' | b'/' | b'@')
    };
    let mut text = String::with_capacity(BYTES_MAX);
    let kept = parts.iter().flat_map(|part| part.bytes()).filter(|byte| is_kept(*byte));
    text.extend(kept.take(BYTES_MAX).map(char::from));
    text
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Cuts a text at the limit.
pub(crate) fn bounded(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(TEXT_MAX).collect();
    // Writing to a String cannot fail.
    write!(cut, "…").unwrap_or_default();
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn check_auth(pairs: &[(&'static str, &str)], scheme: AuthScheme, secret: Option<&str>) {
        assert_eq!(credential(&headers(pairs)), (scheme, secret.map(str::as_bytes)), "{pairs:?}");
    }

    #[test]
    fn schemes_are_told_apart() {
        check_auth(&[("authorization", "Bearer sk-1")], AuthScheme::Bearer, Some("sk-1"));
        check_auth(&[("authorization", "bearer sk-1 ")], AuthScheme::Bearer, Some("sk-1"));
        check_auth(&[("authorization", "Bearer")], AuthScheme::BearerBlank, None);
        check_auth(&[("authorization", "Bearer undefined")], AuthScheme::BearerBlank, None);
        check_auth(&[("authorization", "Basic dTpw")], AuthScheme::Basic, Some("dTpw"));
        check_auth(&[("authorization", "AWS4 abc")], AuthScheme::Other, Some("abc"));
        check_auth(&[("api-key", "k")], AuthScheme::ApiKeyHeader, Some("k"));
        check_auth(&[], AuthScheme::None, None);
    }

    #[test]
    fn swapped_credential_keeps_its_scheme() {
        let mut swapped =
            headers(&[("authorization", "bearer sk-1"), ("x-api-key", "k"), ("accept", "a")]);
        invalidate_credentials(&mut swapped);
        assert_eq!(swapped["authorization"], format!("bearer {INVALID_KEY}"));
        assert_eq!(swapped["x-api-key"], INVALID_KEY);
        assert_eq!(swapped["accept"], "a");
        let mut basic = headers(&[("authorization", "Basic dTpw")]);
        invalidate_credentials(&mut basic);
        assert_eq!(basic["authorization"], format!("Basic {INVALID_BASIC}"));
    }

    #[test]
    fn clients_are_named() {
        let check = |pairs: &[(&'static str, &str)], name: &str| {
            assert_eq!(client(&headers(pairs)).as_deref(), Some(name));
        };
        check(
            &[
                ("user-agent", "OpenAI/Python 3.54.0"),
                ("x-stainless-lang", "python"),
                ("x-stainless-package-version", "3.54.0"),
            ],
            "openai-python 3.54.0",
        );
        check(
            &[("x-stainless-lang", "js"), ("x-stainless-package-version", "7.57.0")],
            "openai-node 7.57.0",
        );
        check(&[("user-agent", "python-httpx/0.28.1")], "python-httpx 0.28.1");
        check(
            &[("user-agent", "ai-sdk/openai-compatible/3.0.92 runtime/node.js/24")],
            "ai-sdk/openai-compatible 3.0.92",
        );
        check(&[("user-agent", "node")], "node");
    }
}
