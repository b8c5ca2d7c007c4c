//! The tap as a release's proxy: which host a connection is for, and what becomes of it.
//!
//! A connection to the provider's host and port is opened: its TLS ends here, with a certificate made for the host, and what
//! comes out is served like a connection in reverse mode. A connection to any other host is carried unseen, or refused.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use drill::ports::{Proxy, Upstream};
use drill::settings::{Forward as Rules, Others};
use http::{Request, Response, Uri};
use memchr::memmem;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::asks::Asks;
use crate::exchange::chain;
use crate::guard;
use crate::incoming::Incoming;
use crate::limits::{CONNECT_HEAD_MAX, ENTER_MAX};
use crate::relay::Relayed;
use crate::reply::ReplyBody;
use crate::run_trust::RunTrust;
use crate::tunnel::{Open, TunnelSeen};
use crate::upstream::{
    Address, Client, EgressProxy, Place, SendBody, dial_other, parse_place, remove_hop_by_hop,
};
use crate::wire::{Shown, Socket, Transport, WireControl};

/// What a proxy's client begins with when it wants a connection and not a message passed on.
const CONNECT: &[u8] = b"CONNECT ";

/// What a port needs to be a proxy.
pub(crate) struct Forward {
    base_url: String,
    origin: Address,
    rules: Rules,
    egress: Option<EgressProxy>,
    egress_url: Option<String>,
    trusted: Arc<ServerConfig>,
    unknown: Arc<ServerConfig>,
    trust_file: std::path::PathBuf,
    /// The trust files live as long as somebody may read them.
    _trust: Arc<RunTrust>,
}

/// Why a port cannot be a proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error(transparent)]
    Address(#[from] crate::upstream::AddressError),
    #[error(transparent)]
    Certificates(#[from] crate::ca::CaError),
    #[error("the trust file for releases cannot be written")]
    Trust(#[source] std::io::Error),
}

/// What came of a connection's beginning.
pub(crate) enum Entered {
    /// HTTP comes next, for the provider or, in absolute form, for anybody.
    Http(Transport, Shown),
    /// It leads to another host.
    Tunnel(Open, Socket, TcpStream),
    /// It is over.
    Over,
}

impl Forward {
    /// Prepares a port that a release takes for its proxy.
    pub(crate) fn new(
        base_url: String,
        rules: Rules,
        upstream: &Upstream,
        trust: Arc<RunTrust>,
        asks: &Arc<Asks>,
    ) -> Result<Self, ForwardError> {
        let named =
            Upstream { base_url: base_url.clone(), connect_to: None, ca: None, proxy: None };
        let origin = Address::parse(&named)?;
        let host = origin.named.host.clone();
        let trust_file = trust.file(rules.ca.as_deref()).map_err(ForwardError::Trust)?;
        Ok(Self {
            trusted: trust.own().server_config(host.clone(), asks.clone(), rules.http2)?,
            unknown: trust.unknown().server_config(host, asks.clone(), rules.http2)?,
            egress: upstream.proxy.as_deref().map(EgressProxy::parse).transpose()?,
            egress_url: upstream.proxy.clone(),
            base_url,
            origin,
            rules,
            trust_file,
            _trust: trust,
        })
    }

    /// Returns the base URL that the release has configured.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns what to hand to a release for a proxy.
    pub(crate) fn proxy(&self, url: String) -> Proxy {
        Proxy { url, trust: self.trust_file.clone(), hands_over_trust: true }
    }

    /// Returns a request's path as it would have been sent in reverse mode, where the base URL ends in `/v1` and has nothing
    /// before it.
    pub(crate) fn path_below_v1<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match path.strip_prefix(self.origin.base_path.as_str()) {
            Some(below) if below.is_empty() || below.starts_with('/') => {
                if self.origin.base_path == "/v1" {
                    Cow::Borrowed(path)
                } else {
                    Cow::Owned(format!("/v1{below}"))
                }
            }
            Some(_) | None => Cow::Borrowed(path),
        }
    }

    fn is_provider(&self, place: &Place) -> bool {
        let is_same = |name: &str| {
            name.trim_end_matches('.')
                .eq_ignore_ascii_case(self.origin.named.host.trim_end_matches('.'))
        };
        place.port == self.origin.named.port && is_same(&place.host)
    }

    fn begin(&self, asks: &Asks, place: &Place) -> Arc<TunnelSeen> {
        let declared = self.rules.hosts.iter().any(|pattern| is_named(pattern, &place.host));
        let refused = !declared && self.rules.others == Others::Refuse;
        let seen = TunnelSeen::new(&place.to_string(), declared, refused);
        asks.tunnel_began(&seen);
        seen
    }

    /// Returns the host that a request in absolute form is for, when it is not the provider's.
    pub(crate) fn other_host(&self, uri: &Uri) -> Option<Place> {
        let authority = uri.authority()?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let place = Place { host, port: authority.port_u16().unwrap_or(default_port) };
        (!self.is_provider(&place)).then_some(place)
    }
}

/// Returns whether a pattern of the configuration names a host: the name itself, or `*.name` for all below it.
fn is_named(pattern: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix('*') {
        Some(below) => host.len() > below.len() && host.ends_with(below),
        None => host == pattern,
    }
}

/// Finds out what a connection is for, and opens it.
pub(crate) async fn enter(forward: &Forward, asks: &Asks, mut socket: Socket) -> Entered {
    let wanted = match timeout(ENTER_MAX, wanted(&mut socket)).await {
        Ok(Wanted::Message) => return Entered::Http(Transport::Plain(socket), Shown::Nothing),
        Ok(Wanted::Connection(place)) => place,
        Ok(Wanted::Nonsense) => {
            asks.stray_connection();
            say(&mut socket, &refusal(400, "Bad Request", "CONNECT host:port was expected")).await;
            return Entered::Over;
        }
        Ok(Wanted::Nothing) | Err(_) => {
            asks.stray_connection();
            return Entered::Over;
        }
    };
    if forward.is_provider(&wanted) {
        say(&mut socket, ESTABLISHED).await;
        return to_provider(forward, asks, socket).await;
    }
    let seen = Open(forward.begin(asks, &wanted));
    if !seen.0.is_open() {
        let why =
            format!("`tap.forward.others: refuse` is configured, and {wanted} is not in `hosts`");
        say(&mut socket, &refusal(403, "Forbidden", &why)).await;
        return Entered::Over;
    }
    match dial_other(&wanted, forward.egress.as_ref()).await {
        Ok(host) => {
            say(&mut socket, ESTABLISHED).await;
            Entered::Tunnel(seen, socket, host)
        }
        Err(error) => {
            seen.0.unreachable();
            say(&mut socket, &refusal(502, "Bad Gateway", &chain(&error))).await;
            Entered::Over
        }
    }
}

/// Serves TLS where the provider does.
async fn to_provider(forward: &Forward, asks: &Asks, socket: Socket) -> Entered {
    if !forward.origin.tls {
        // Some clients ask for a connection also where they will speak without TLS.
        return Entered::Http(Transport::Plain(socket), Shown::Nothing);
    }
    let (config, shown) = if asks.wants_unknown_ca() {
        (&forward.unknown, Shown::Unknown)
    } else {
        (&forward.trusted, Shown::Trusted)
    };
    let accepting = TlsAcceptor::from(config.clone()).accept(socket);
    if let Ok(Ok(stream)) = timeout(ENTER_MAX, accepting).await {
        return Entered::Http(Transport::Tls(Box::new(stream)), shown);
    }
    asks.stray_connection();
    Entered::Over
}

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn refusal(status: u16, reason: &str, why: &str) -> Vec<u8> {
    let body = format!("surestep tap: {why}\n");
    format!(
        "HTTP/1.1 {status} {reason}\r\nx-surestep: proxy\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn say(socket: &mut Socket, text: &[u8]) {
    // Whoever has left need not be told; the next read shows it.
    let said = async {
        socket.write_all(text).await?;
        socket.flush().await
    };
    drop(said.await);
}

/// What a client wants of its proxy.
enum Wanted {
    /// A connection to this place.
    Connection(Place),
    /// A message passed on.
    Message,
    /// Nothing: it left.
    Nothing,
    /// Something that is neither.
    Nonsense,
}

/// Reads the head of a CONNECT; anything else is put back.
async fn wanted(socket: &mut Socket) -> Wanted {
    let mut read = BytesMut::new();
    loop {
        let seen = read.len().min(CONNECT.len());
        if read.get(..seen) != CONNECT.get(..seen) {
            socket.put_back(read.freeze());
            return Wanted::Message;
        }
        if let Some(end) = memmem::find(&read, b"\r\n\r\n") {
            let head = read.split_to(end);
            read.advance(b"\r\n\r\n".len());
            socket.put_back(read.freeze());
            return place_of(&head);
        }
        if read.len() > CONNECT_HEAD_MAX {
            return Wanted::Nonsense;
        }
        match socket.read_buf(&mut read).await {
            Ok(0) | Err(_) => return Wanted::Nothing,
            Ok(_) => {}
        }
    }
}

fn place_of(head: &[u8]) -> Wanted {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let place = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|target| parse_place("CONNECT", target).ok());
    place.map_or(Wanted::Nonsense, Wanted::Connection)
}

/// Passes on a plain message for another host than the provider's.
pub(crate) async fn pass_on(
    forward: &Forward,
    asks: &Asks,
    place: &Place,
    wire: WireControl,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let seen = Open(forward.begin(asks, place));
    let answer = |status, why: &str, wire| ReplyBody::whole(guard::proxy(status, why), wire, None);
    if !seen.0.is_open() {
        let why =
            format!("`tap.forward.others: refuse` is configured, and {place} is not in `hosts`");
        return answer(http::StatusCode::FORBIDDEN, &why, wire);
    }
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().cloned();
    remove_hop_by_hop(&mut parts.headers);
    parts.headers.remove(http::header::EXPECT);
    parts.version = http::Version::HTTP_11;
    let head = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let body_bytes = http_body::Body::size_hint(&body).lower();
    seen.0.add_sent(head.sum::<usize>() as u64 + body_bytes);
    let upstream = Upstream {
        base_url: format!("http://{place}"),
        connect_to: None,
        ca: None,
        proxy: forward.egress_url.clone(),
    };
    let sending = async {
        let client = Client::new(&upstream).map_err(|error| chain(&error))?;
        let path = path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        let request = Request::from_parts(parts, SendBody::long(Bytes::new(), body));
        client.send(path, request, |parts| wire.interim(parts)).await.map_err(|error| chain(&error))
    };
    match sending.await {
        Ok(response) => {
            let (mut parts, stream) = response.into_parts();
            remove_hop_by_hop(&mut parts.headers);
            parts.version = http::Version::HTTP_11;
            let relayed = Relayed::new(stream, wire, None).counted(seen);
            Response::from_parts(parts, ReplyBody::Relayed(relayed))
        }
        Err(why) => {
            seen.0.unreachable();
            answer(http::StatusCode::BAD_GATEWAY, &why, wire)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_whole_or_by_what_they_end_in() {
        for (pattern, host, named) in [
            ("a.example", "A.example.", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "example", false),
            ("*.example", "anexample", false),
        ] {
            assert_eq!(is_named(pattern, host), named, "{pattern} {host}");
        }
    }
}
