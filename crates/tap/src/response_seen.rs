//! What is kept of a response's head.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};

use crate::limits::REQUEST_IDS_MAX;
use crate::request_seen::bounded;

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Returns the media type in lower case, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = value.split(';').next().unwrap_or(value).trim();
    Some(bounded(&media.to_ascii_lowercase()))
}

/// Returns the values of all `*request-id*` headers.
pub(crate) fn request_ids(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().contains("request-id"))
        .filter_map(|(_, value)| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .take(REQUEST_IDS_MAX)
        .map(bounded)
        .collect()
}

/// Returns the least time to wait that the response asks for. As in the official SDKs, `retry-after-ms` wins.
pub(crate) fn retry_after_ms(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    if let Some(ms) = headers.get(RETRY_AFTER_MS).and_then(|value| value.to_str().ok()) {
        return seconds(ms.trim(), Duration::from_millis(1));
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds(value, Duration::from_secs(1)).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        let wait = date.duration_since(now).unwrap_or_default();
        u64::try_from(wait.as_millis()).ok()
    })
}

/// Reads a number of `unit`s; some gateways send fractions. Negative or absurd ones say nothing.
fn seconds(text: &str, unit: Duration) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    let wait = Duration::try_from_secs_f64(number * unit.as_secs_f64()).ok()?;
    u64::try_from(wait.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(name: &'static str, value: &str, ms: Option<u64>) {
        let headers: HeaderMap =
            [(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())]
                .into_iter()
                .collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after_ms(&headers, now), ms, "{name}: {value}");
    }

    #[test]
    fn each_way_to_say_when_is_read() {
        check("retry-after", "30", Some(30_000));
        check("retry-after", " 1.5", Some(1_500));
        check("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000));
        check("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("retry-after", "-1", None);
        check("retry-after", "soon", None);
        check("retry-after", "1e300", None);
        check("retry-after-ms", "50", Some(50));
    }

    #[test]
    fn any_request_id_header_is_kept() {
        let headers: HeaderMap =
            [("x-request-id", "a"), ("x-oneapi-request-id", "b"), ("date", "c")]
                .into_iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
        assert_eq!(request_ids(&headers), ["a", "b"]);
    }
}
