//! One request on its way: rewritten head, untouched body, an answer of our own only when there is no backend's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use judge::Role;
use serde_json::json;

use crate::router::{Plane, Turn};

/// How long a backend may take until its response head. Longer than any model thinks; the user's own timeout comes first.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Headers that belong to one connection and are not passed on.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A backend's body as it arrives, or a short one of ours.
pub(crate) type Body = Either<Incoming, Full<Bytes>>;

/// Sends a request to the backend whose turn it is. Never to the other one.
pub(crate) async fn forward(
    plane: Arc<Plane>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let turn = plane.turn();
    let Some(backend) = turn.backend else {
        return Ok(trouble(&turn, Trouble::Missing));
    };
    let Some(uri) = uri_at(backend, &request) else {
        return Ok(trouble(&turn, Trouble::BadTarget));
    };
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    let upgrade = wanted_upgrade(request.headers())
        .map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
    rewrite(request.headers_mut(), peer, upgrade.as_ref().map(|(protocol, _)| protocol));

    let sent = plane.client.request(request);
    let mut response = match tokio::time::timeout(RESPONSE_TIMEOUT, sent).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.is_connect() => return Ok(trouble(&turn, Trouble::Unreachable)),
        Ok(Err(_)) => return Ok(trouble(&turn, Trouble::Failed)),
        Err(_elapsed) => return Ok(trouble(&turn, Trouble::Silent)),
    };
    turn.answered();
    *response.version_mut() = Version::HTTP_11;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some((_, users_side)) = upgrade else {
            return Ok(trouble(&turn, Trouble::Failed));
        };
        tokio::spawn(tunnel(users_side, hyper::upgrade::on(&mut response)));
    } else {
        remove_hop_by_hop(response.headers_mut());
    }
    Ok(response.map(Either::Left))
}

/// Returns where the request goes; `None` for targets that have no path, such as CONNECT's.
fn uri_at(backend: SocketAddr, request: &Request<Incoming>) -> Option<Uri> {
    if request.method() == Method::CONNECT {
        return None;
    }
    let path = request.uri().path_and_query().cloned();
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    // An address always is an authority, and the parts always fit: `None` cannot come from these two.
    parts.authority = backend.to_string().parse::<Authority>().ok();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}

/// Returns the protocol that the user's connection is to become, for example `websocket`.
fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = list(headers, &header::CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| asked).cloned()
}

fn rewrite(headers: &mut HeaderMap, peer: SocketAddr, upgrade: Option<&HeaderValue>) {
    remove_hop_by_hop(headers);
    // The server side answers `100-continue` itself, as soon as the body is wanted.
    headers.remove(header::EXPECT);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    if let Ok(value) = HeaderValue::from_str(&peer.ip().to_string()) {
        headers.append(FORWARDED_FOR, value);
    }
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = list(headers, &header::CONNECTION)
        // A word that is no header name cannot name a header: nothing is lost.
        .filter_map(|word| word.parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).map(str::trim)
}

/// Carries bytes both ways until one side ends.
async fn tunnel(users_side: OnUpgrade, backends_side: OnUpgrade) {
    if let (Ok(user), Ok(backend)) = tokio::join!(users_side, backends_side) {
        let (mut user, mut backend) = (TokioIo::new(user), TokioIo::new(backend));
        // A broken tunnel is seen by both sides; there is nobody else to tell.
        tokio::io::copy_bidirectional(&mut user, &mut backend).await.ok();
    }
}

/// Why the route answers in a backend's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Missing,
    Unreachable,
    Failed,
    Silent,
    BadTarget,
}

impl Trouble {
    fn status(self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable | Self::Failed => StatusCode::BAD_GATEWAY,
            Self::Silent => StatusCode::GATEWAY_TIMEOUT,
            Self::BadTarget => StatusCode::BAD_REQUEST,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Missing => "backend_missing",
            Self::Unreachable => "backend_unreachable",
            Self::Failed => "backend_failed",
            Self::Silent => "backend_silent",
            Self::BadTarget => "bad_request_target",
        }
    }

    fn message(self, role: Role) -> String {
        match self {
            Self::Missing => format!("no backend is known for the {role} release"),
            Self::Unreachable => format!("the {role} release does not take connections"),
            Self::Failed => format!("the {role} release broke off before it answered"),
            Self::Silent => format!("the {role} release did not answer in time"),
            Self::BadTarget => "the route takes requests for a path only".to_owned(),
        }
    }
}

fn trouble(turn: &Turn, trouble: Trouble) -> Response<Body> {
    let error = json!({ "error": {
        "type": "surestep_route",
        "code": trouble.code(),
        "backend": turn.role.as_str(),
        "message": trouble.message(turn.role),
    } });
    let mut response = Response::new(Either::Right(Full::from(error.to_string())));
    *response.status_mut() = trouble.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
