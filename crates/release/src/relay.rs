//! A front for a URL that a route cannot reach by address alone: it needs TLS, or its host's name.

use std::net::SocketAddr;

use bytes::Bytes;
use drill::ports::PortError;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::task::AbortHandle;

use crate::front;
use crate::http::{Body, Http, body};

/// Headers of one connection, which are not passed on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [header::HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::TRAILER];

/// Opens a front that passes every request on to the origin, bodies as they arrive.
pub(crate) async fn open(
    http: Http,
    scheme: Scheme,
    authority: Authority,
) -> Result<(SocketAddr, AbortHandle), PortError> {
    front::serve(move |request| {
        let (http, scheme, authority) = (http.clone(), scheme.clone(), authority.clone());
        async move {
            pass_on(&http, scheme, authority, request).await.unwrap_or_else(|| {
                let mut response =
                    Response::new(body(Bytes::from_static(b"the release cannot be reached\n")));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            })
        }
    })
    .await
}

async fn pass_on(
    http: &Http,
    scheme: Scheme,
    authority: Authority,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    let (mut head, incoming) = request.into_parts();
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()
        .ok()?;
    // The client sets the origin's own.
    head.headers.remove(header::HOST);
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    let reply = http.send(Request::from_parts(head, incoming.boxed())).await.ok()?;
    let (mut head, incoming) = reply.into_parts();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    Some(Response::from_parts(head, incoming.boxed()))
}
