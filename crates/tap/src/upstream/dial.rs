//! Makes connections to a provider: directly or through an egress proxy, plain or by TLS.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use drill::ports::Upstream;
use http::header::HeaderValue;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{Address, AddressError, EgressProxy, Place, parse_place};
use crate::limits::CONNECT_MAX;

/// The longest answer of an egress proxy to CONNECT. They are a few hundred bytes.
const PROXY_ANSWER_MAX: usize = 16 * 1024;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No TCP connection.
    #[error("cannot connect to {to}")]
    Connect {
        /// Where to.
        to: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The egress proxy would not lead there.
    #[error("the egress proxy {proxy} refuses to connect to {to}: it answered {answer}")]
    ProxyRefused {
        /// The proxy.
        proxy: String,
        /// Where to.
        to: String,
        /// Its status line's status, or what stood in its place.
        answer: String,
    },
    /// The TLS handshake failed.
    #[error("the TLS handshake with {host} failed")]
    Tls {
        /// The name that was asked for.
        host: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{doing} took longer than {} s", CONNECT_MAX.as_secs())]
    TooSlow {
        /// What was being done.
        doing: String,
    },
}

/// Makes connections to one provider.
pub(super) struct Dialer {
    to: Place,
    proxy: Option<EgressProxy>,
    tls: Option<Tls>,
}

struct Tls {
    http1: TlsConnector,
    both: TlsConnector,
    name: ServerName<'static>,
}

/// Which versions of HTTP a provider may choose from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 and HTTP/1.1, if there is TLS to choose by.
    Both,
}

impl Dialer {
    /// Prepares trust and addresses.
    pub(super) fn new(address: &Address, upstream: &Upstream) -> Result<Self, AddressError> {
        let to = match &upstream.connect_to {
            Some(connect_to) => parse_place("connect_to", connect_to)?,
            None => address.named.clone(),
        };
        let proxy = upstream.proxy.as_deref().map(EgressProxy::parse).transpose()?;
        let tls = if address.tls {
            let name = ServerName::try_from(address.named.host.clone())
                .map_err(|error| AddressError::Url { what: "base_url", why: error.to_string() })?;
            let http1 = tls_config(upstream)?;
            let mut both = http1.clone();
            both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Some(Tls { http1: Arc::new(http1).into(), both: Arc::new(both).into(), name })
        } else {
            None
        };
        Ok(Self { to, proxy, tls })
    }

    /// Returns whether requests name the whole URL: plain HTTP through a proxy.
    pub(super) fn wants_absolute_form(&self) -> bool {
        self.proxy.is_some() && self.tls.is_none()
    }

    /// Returns whether there is TLS, and so a choice of versions.
    pub(super) fn secures(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the proxy's credential where it goes with each request.
    pub(super) fn proxy_authorization_per_request(&self) -> Option<&HeaderValue> {
        if self.tls.is_some() {
            return None;
        }
        self.proxy.as_ref()?.authorization.as_ref()
    }

    /// Makes a connection.
    pub(super) async fn dial(&self, offer: Offer) -> Result<Stream, DialError> {
        let Some(Tls { http1, both, name }) = &self.tls else {
            // Without TLS an egress proxy gets whole messages.
            let first_hop = self.proxy.as_ref().map_or(&self.to, |proxy| &proxy.place);
            return Ok(Stream::Plain(dial_other(first_hop, None).await?));
        };
        let tcp = dial_other(&self.to, self.proxy.as_ref()).await?;
        let connector = match offer {
            Offer::Http1 => http1,
            Offer::Both => both,
        };
        let host = name.to_str().into_owned();
        let doing = format!("the TLS handshake with {host}");
        let handshake = async {
            let secured = connector.connect(name.clone(), tcp).await;
            secured.map_err(|source| DialError::Tls { host, source })
        };
        Ok(Stream::Tls(Box::new(in_time(doing, handshake).await?)))
    }
}

/// Connects to any host, through the egress proxy where there is one.
pub(crate) async fn dial_other(
    to: &Place,
    proxy: Option<&EgressProxy>,
) -> Result<TcpStream, DialError> {
    let first_hop = proxy.map_or(to, |proxy| &proxy.place);
    let mut tcp = in_time(format!("connecting to {first_hop}"), connect(first_hop)).await?;
    if let Some(proxy) = proxy {
        let doing = format!("asking the egress proxy {} for {to}", proxy.place);
        in_time(doing, open_tunnel(&mut tcp, proxy, to)).await?;
    }
    Ok(tcp)
}

async fn in_time<T>(
    doing: String,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    timeout(CONNECT_MAX, work).await.unwrap_or_else(|_elapsed| Err(DialError::TooSlow { doing }))
}

async fn connect(to: &Place) -> Result<TcpStream, DialError> {
    let failed = |source| DialError::Connect { to: to.to_string(), source };
    let stream = TcpStream::connect((to.host.as_str(), to.port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

async fn open_tunnel(
    tcp: &mut TcpStream,
    proxy: &EgressProxy,
    to: &Place,
) -> Result<(), DialError> {
    let failed =
        |source| DialError::Connect { to: format!("{to} through {}", proxy.place), source };
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    tcp.write_all(&request).await.map_err(failed)?;
    let mut answer = Vec::new();
    // Byte by byte: what comes after the empty line belongs to TLS already.
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < PROXY_ANSWER_MAX {
        match tcp.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(error)),
        }
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line.split(' ').nth(1).filter(|_| line.starts_with("HTTP/1."));
    match status {
        Some(status) if status.starts_with('2') => Ok(()),
        Some(status) => Err(refused(proxy, to, format!("status {status}"))),
        None => Err(refused(proxy, to, "no HTTP status".to_owned())),
    }
}

fn refused(proxy: &EgressProxy, to: &Place, answer: String) -> DialError {
    DialError::ProxyRefused { proxy: proxy.place.to_string(), to: to.to_string(), answer }
}

fn tls_config(upstream: &Upstream) -> Result<ClientConfig, AddressError> {
    let mut roots = platform_roots().clone();
    if let Some(path) = &upstream.ca {
        let trust = |source| AddressError::Trust { path: path.clone(), source };
        let mut any = false;
        for certificate in CertificateDer::pem_file_iter(path).map_err(trust)? {
            let certificate = certificate.map_err(trust)?;
            roots.add(certificate).map_err(|source| AddressError::Certificate {
                path: path.clone(),
                source: Box::new(source),
            })?;
            any = true;
        }
        if !any {
            return Err(AddressError::NoCertificate { path: path.clone() });
        }
    }
    // The provider of cryptography is named here: a process-wide default could be somebody else's.
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|source| AddressError::Tls(Box::new(source)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The platform's trust, read once. Certificates that cannot be read are left out: the handshake tells what is missing.
fn platform_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// A connection to a provider.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Returns whether the peer chose HTTP/2.
    pub(super) fn chose_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
