//! Providers behind TLS, with a CA of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use drill::ports::Upstream;
use futures_util::future::poll_fn;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::soon;

/// A listener with a certificate for `api.example.test`.
pub struct Secured {
    pub address: SocketAddr,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    folder: tempfile::TempDir,
}

impl Secured {
    /// Listens, and lets clients choose from these protocols.
    pub async fn start(protocols: &[&str]) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca_params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca_params, ca_key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["api.example.test".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca_certificate.pem()).unwrap();
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, listener, acceptor: TlsAcceptor::from(Arc::new(config)), folder }
    }

    /// How the tap reaches it.
    pub fn upstream(&self) -> Upstream {
        Upstream {
            base_url: "https://api.example.test/v1".to_owned(),
            connect_to: Some(self.address.to_string()),
            ca: Some(self.folder.path().join("ca.pem")),
            proxy: None,
        }
    }

    /// Takes the next connection.
    pub async fn tcp(&self) -> TcpStream {
        soon("the tap to connect", self.listener.accept()).await.unwrap().0
    }

    /// Agrees on TLS over a connection.
    pub async fn secure(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        soon("the handshake", self.acceptor.accept(stream)).await
    }

    /// Takes the next connection, and agrees on TLS.
    pub async fn accept(&self) -> TlsStream<TcpStream> {
        let stream = self.tcp().await;
        self.secure(stream).await.unwrap()
    }

    /// Takes the next connection as one of HTTP/2.
    pub async fn accept_http2(&self) -> Http2 {
        let stream = self.accept().await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        soon("HTTP/2", h2::server::handshake(stream)).await.unwrap()
    }
}

/// A provider's connection.
pub type Http2 = h2::server::Connection<TlsStream<TcpStream>, Bytes>;

/// Drives a provider's connection while something else is waited for.
pub async fn driving<T>(connection: &mut Http2, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    soon(
        "the other side",
        poll_fn(|cx| {
            let work = work.as_mut().poll(cx);
            if work.is_pending() {
                assert!(
                    !matches!(connection.poll_accept(cx), Poll::Ready(Some(Ok(_)))),
                    "nothing more was asked for"
                );
            }
            work
        }),
    )
    .await
}
