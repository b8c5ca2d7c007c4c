//! Heads of HTTP/2 as those who carry an exchange know them, and back.

use http::header::{COOKIE, HOST, HeaderValue, TE};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri, Version, request, response, uri};

use crate::limits::HEADERS_MAX;
use crate::upstream::remove_hop_by_hop;

/// Says of a request that whoever sent it reads trailers: `te` speaks of one connection, and is said anew on the next one.
#[derive(Clone, Copy, Debug)]
struct TakesTrailers;

/// Puts a request's head into the form in which it is looked at and passed on: the host in `host`, cookies in one field. A head that
/// no two readers would agree on is refused.
pub(super) fn adopt(parts: &mut request::Parts, is_secured: bool) -> Result<(), StatusCode> {
    if parts.headers.len() > HEADERS_MAX {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    if parts.headers.get_all(HOST).iter().count() > 1 {
        return Err(StatusCode::BAD_REQUEST);
    }
    if let Some(authority) = parts.uri.authority() {
        let named = authority.as_str().as_bytes();
        match parts.headers.get(HOST) {
            Some(host) if !host.as_bytes().eq_ignore_ascii_case(named) => {
                return Err(StatusCode::BAD_REQUEST);
            }
            Some(_) => {}
            None => {
                // What stands in a URI can stand in a field.
                let host =
                    HeaderValue::from_bytes(named).map_err(|_invalid| StatusCode::BAD_REQUEST)?;
                parts.headers.insert(HOST, host);
            }
        }
    }
    if is_secured && let Some(path) = parts.uri.path_and_query() {
        // Whoever ended TLS here has said already whom the call is for; only a proxy without it is told by the URI.
        parts.uri = Uri::from(path.clone());
    }
    if parts.headers.contains_key(TE) {
        // HTTP/2 knows nothing else to be said there.
        parts.extensions.insert(TakesTrailers);
    }
    join_cookies(parts);
    Ok(())
}

/// Cookies may come in several fields, of which HTTP/1 knows one.
fn join_cookies(parts: &mut request::Parts) {
    let mut cookies = parts.headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut joined = [first.as_bytes(), second.as_bytes()].join(&b"; "[..]);
    for cookie in cookies {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    // Of what came in fields.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        parts.headers.insert(COOKIE, joined);
    }
}

/// Makes the head of a request to a provider.
pub(super) fn request(
    parts: &request::Parts,
    authority: &uri::Authority,
) -> Result<Request<()>, http::Error> {
    let mut target = uri::Parts::default();
    target.scheme = Some(uri::Scheme::HTTPS);
    target.authority = Some(authority.clone());
    let path = parts.uri.path_and_query().cloned();
    target.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::from_parts(target)?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = parts.headers.clone();
    request.headers_mut().remove(HOST);
    if parts.extensions.get::<TakesTrailers>().is_some() {
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

/// Makes the head of a reply, or of what comes before one, to a release.
pub(super) fn response(mut parts: response::Parts) -> http::Response<()> {
    remove_hop_by_hop(&mut parts.headers);
    http::Response::from_parts(parts, ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(uri: &str, fields: &[(&'static str, &'static str)]) -> Result<request::Parts, u16> {
        let (mut parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        for (name, value) in fields {
            parts.headers.append(*name, HeaderValue::from_static(value));
        }
        adopt(&mut parts, true).map(|()| parts).map_err(|status| status.as_u16())
    }

    #[test]
    fn authority_becomes_the_host_and_the_path_stays() {
        let parts = adopted("https://api.example.test:8443/v1/models?a=1", &[]).unwrap();
        assert_eq!(parts.headers.get(HOST).unwrap(), "api.example.test:8443");
        assert_eq!(parts.uri.to_string(), "/v1/models?a=1");
        let parts = adopted("https://a.test/", &[("host", "A.test")]).unwrap();
        assert_eq!(parts.headers.get(HOST).unwrap(), "A.test");
    }

    #[test]
    fn two_hosts_are_refused() {
        assert_eq!(adopted("https://a.test/", &[("host", "b.test")]).unwrap_err(), 400);
        let twice = [("host", "a.test"), ("host", "a.test")];
        assert_eq!(adopted("https://a.test/", &twice).unwrap_err(), 400);
    }

    #[test]
    fn cookies_are_joined_in_their_order() {
        let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")];
        let parts = adopted("https://a.test/", &crumbs).unwrap();
        let cookies: Vec<_> = parts.headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn more_fields_than_anybody_sends_are_refused() {
        let fields = vec![("x", "y"); HEADERS_MAX + 1];
        assert_eq!(adopted("https://a.test/", &fields).unwrap_err(), 431);
    }
}
