//! Where a provider is: its base URL, taken apart once.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use contract::Surface;
use drill::ports::Upstream;
use http::Uri;
use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery};

/// Why an upstream cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// A URL is not one that can be used.
    #[error("{what} is not a usable URL: {why}")]
    Url {
        /// Which setting it is.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The extra trust could not be read.
    #[error("the certificates in {} cannot be read", path.display())]
    Trust {
        /// The PEM file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate of the extra trust is none.
    #[error("a certificate in {} cannot be used as trust", path.display())]
    Certificate {
        /// The PEM file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<rustls::Error>,
    },
    /// The PEM file has no certificate in it.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// The PEM file.
        path: PathBuf,
    },
    /// TLS could not be set up at all.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<rustls::Error>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A provider's base URL, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) named: Place,
    pub(crate) authority: String,
    pub(crate) uri_authority: Authority,
    pub(crate) host_header: HeaderValue,
    pub(crate) base_path: String,
    known: [(Surface, PathAndQuery); 2],
}

impl Address {
    /// Takes a base URL apart.
    pub(crate) fn parse(upstream: &Upstream) -> Result<Self, AddressError> {
        const WHAT: &str = "base_url";
        let (uri, tls) = parse_url(WHAT, &upstream.base_url)?;
        let named = place(WHAT, &uri, if tls { 443 } else { 80 })?;
        let authority = match (tls, named.port) {
            (true, 443) | (false, 80) => {
                let whole = named.to_string();
                whole.rsplit_once(':').map_or(whole.clone(), |(host, _)| host.to_owned())
            }
            _ => named.to_string(),
        };
        let base_path = uri.path().trim_end_matches('/').to_owned();
        let url_error =
            |error: &dyn fmt::Display| AddressError::Url { what: WHAT, why: error.to_string() };
        let known = |surface: Surface| {
            PathAndQuery::try_from(format!("{base_path}{}", surface.resource_path()))
                .map(|path| (surface, path))
                .map_err(|error| url_error(&error))
        };
        Ok(Self {
            tls,
            uri_authority: Authority::try_from(authority.as_str())
                .map_err(|error| url_error(&error))?,
            host_header: HeaderValue::try_from(&authority).map_err(|error| url_error(&error))?,
            known: [known(Surface::Chat)?, known(Surface::Responses)?],
            named,
            authority,
            base_path,
        })
    }

    /// Returns the ready path of a surface.
    pub(crate) fn known_path(&self, below_base: &str) -> Option<PathAndQuery> {
        self.known
            .iter()
            .find(|(surface, _)| surface.resource_path() == below_base)
            .map(|(_, path)| path.clone())
    }

    /// Puts a path and a query together.
    #[expect(clippy::unused_self, reason = "belongs to the address that the path is sent to")]
    pub(crate) fn path(
        &self,
        path: &str,
        query: Option<&str>,
    ) -> Result<PathAndQuery, http::Error> {
        let path = if path.is_empty() { "/" } else { path };
        Ok(match query {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}"))?,
            None => PathAndQuery::try_from(path)?,
        })
    }
}

/// An egress proxy.
#[derive(Clone)]
pub(crate) struct EgressProxy {
    pub(crate) place: Place,
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressProxy").field("place", &self.place).finish_non_exhaustive()
    }
}

impl EgressProxy {
    /// Takes a proxy's URL apart; only plain HTTP towards the proxy itself is spoken.
    pub(crate) fn parse(url: &str) -> Result<Self, AddressError> {
        const WHAT: &str = "proxy";
        let (uri, tls) = parse_url(WHAT, url)?;
        if tls {
            return Err(AddressError::Url {
                what: WHAT,
                why: "a proxy is reached over http://".to_owned(),
            });
        }
        let user = uri
            .authority()
            .and_then(|authority| authority.as_str().rsplit_once('@'))
            .map(|(user, _)| user);
        let authorization = match user {
            Some(user) => {
                let encoded =
                    base64::engine::general_purpose::STANDARD.encode(percent_decoded(user));
                let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
                    .map_err(|error| AddressError::Url { what: WHAT, why: error.to_string() })?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { place: place(WHAT, &uri, 3128)?, authorization })
    }
}

/// Parses `host:port`.
pub(crate) fn parse_place(what: &'static str, text: &str) -> Result<Place, AddressError> {
    let error = || AddressError::Url { what, why: "it has the form host:port".to_owned() };
    let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(error());
    }
    Ok(Place {
        host: host.to_owned(),
        port: port.parse().map_err(|_not_a_port: std::num::ParseIntError| error())?,
    })
}

fn parse_url(what: &'static str, url: &str) -> Result<(Uri, bool), AddressError> {
    // The URL itself stays out of the message: it may hold a password.
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| AddressError::Url {
        what,
        why: error.to_string(),
    })?;
    match uri.scheme_str() {
        Some("http") => Ok((uri, false)),
        Some("https") => Ok((uri, true)),
        _ => Err(AddressError::Url { what, why: "it begins with http:// or https://".to_owned() }),
    }
}

fn place(what: &'static str, uri: &Uri, default_port: u16) -> Result<Place, AddressError> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(AddressError::Url { what, why: "it names no host".to_owned() });
    }
    Ok(Place { host: host.to_owned(), port: uri.port_u16().unwrap_or(default_port) })
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let escaped = (byte == b'%')
            .then(|| Some((hex(ahead.next()?)? << 4) | hex(ahead.next()?)?))
            .flatten();
        if let Some(escaped) = escaped {
            bytes = ahead;
            out.push(escaped);
        } else {
            out.push(byte);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(base_url: &str) -> Upstream {
        Upstream { base_url: base_url.to_owned(), connect_to: None, ca: None, proxy: None }
    }

    #[test]
    fn base_url_is_taken_apart() {
        let address = Address::parse(&upstream("https://api.example.test/v1")).unwrap();
        assert_eq!(
            (address.tls, address.named.port, address.authority.as_str()),
            (true, 443, "api.example.test")
        );
        assert_eq!(
            address.known_path("/chat/completions").unwrap().as_str(),
            "/v1/chat/completions"
        );
        let address = Address::parse(&upstream("http://[::1]:8080/api/v1/")).unwrap();
        assert_eq!(
            (address.named.host.as_str(), address.authority.as_str()),
            ("::1", "[::1]:8080")
        );
        assert_eq!(address.base_path, "/api/v1");
    }

    #[test]
    fn unusable_urls_are_refused() {
        for url in ["api.example.test/v1", "ftp://x/v1", "", "http://"] {
            assert!(Address::parse(&upstream(url)).is_err(), "{url}");
        }
        assert!(EgressProxy::parse("https://proxy:1").is_err());
        assert!(parse_place("connect_to", "nope").is_err());
    }

    #[test]
    fn proxy_password_is_unescaped() {
        let proxy = EgressProxy::parse("http://u:p%40x@egress:3128").unwrap();
        assert_eq!(proxy.place.to_string(), "egress:3128");
        assert_eq!(proxy.authorization.unwrap(), "Basic dTpwQHg=");
    }
}
