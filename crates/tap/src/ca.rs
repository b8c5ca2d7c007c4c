//! The certificate authorities of a run: made in memory, used for leaf certificates, and gone with the run.
//!
//! There are two of them. The run's own is handed to the releases; the other one is shown to find out who accepts anything.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use time::{Duration, OffsetDateTime};

use crate::asks::Asks;
use crate::clock;
use crate::limits::LEAVES_MAX;

/// How long before now certificates begin to be valid: a release may have a clock of its own.
const VALID_SINCE: Duration = Duration::days(2);

/// How long certificates are valid. Longer than any run, and well below the 398 days that some clients allow a leaf.
const VALID_FOR: Duration = Duration::days(30);

/// Why certificates cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    /// A key or a certificate could not be made.
    #[error("the run's certificates cannot be made")]
    Make(#[from] rcgen::Error),
    /// The key is not usable for TLS.
    #[error("the run's certificates cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

/// A certificate authority whose key never leaves the memory.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// The leaves share one key: it costs more than a signature, and is as short-lived as they are.
    leaf_key: KeyPair,
    signing_key: Arc<dyn SigningKey>,
    crypto: Arc<CryptoProvider>,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority.
    pub(crate) fn new(name: &str) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let mut params = lasting(CertificateParams::default(), name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let leaf_key = KeyPair::generate()?;
        // The provider of cryptography is named here: a process-wide default could be somebody else's.
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let der = PrivateKeyDer::try_from(leaf_key.serialize_der())
            .map_err(|why| rustls::Error::General(why.to_owned()))?;
        let signing_key = crypto.key_provider.load_private_key(der)?;
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
            leaf_key,
            signing_key,
            crypto,
            leaves: Mutex::default(),
        })
    }

    /// Returns its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the certificate for a host name or an IP address, made at the first use.
    fn leaf(&self, host: &str) -> Result<Arc<CertifiedKey>, CaError> {
        let leaves = || self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = leaves().get(host) {
            return Ok(known.clone());
        }
        let mut params = lasting(CertificateParams::new(vec![host.to_owned()])?, "surestep tap");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.leaf_key, &self.issuer)?;
        let chain = vec![CertificateDer::from(certificate)];
        let leaf = Arc::new(CertifiedKey::new(chain, self.signing_key.clone()));
        let mut leaves = leaves();
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        leaves.insert(host.to_owned(), leaf.clone());
        Ok(leaf)
    }

    /// Returns how TLS is served with its certificates. `default_host` is for clients that name none (an IP address is no
    /// name); `asks` get to know that a certificate was shown; `offers_http2` says what clients may choose from.
    pub(crate) fn server_config(
        self: &Arc<Self>,
        default_host: String,
        asks: Arc<Asks>,
        offers_http2: bool,
    ) -> Result<Arc<ServerConfig>, CaError> {
        let resolver = Resolver { authority: self.clone(), default_host, asks };
        let mut config = ServerConfig::builder_with_provider(self.crypto.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        // A reset or an end of a connection is only what it says where each call has one to itself: HTTP/2 is for those who ask.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if offers_http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Arc::new(config))
    }
}

fn lasting(mut params: CertificateParams, name: &str) -> CertificateParams {
    let now = OffsetDateTime::from_unix_timestamp(clock::epoch_seconds())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = now.saturating_sub(VALID_SINCE);
    params.not_after = now.saturating_add(VALID_FOR);
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params
}

/// Chooses the certificate for a connection.
#[derive(Debug)]
struct Resolver {
    authority: Arc<Authority>,
    default_host: String,
    asks: Arc<Asks>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().unwrap_or(&self.default_host);
        // Counted before it is sent: whoever reacts to it finds it counted.
        self.asks.certificate_shown();
        // Without a certificate the handshake fails, and that is what is then seen.
        self.authority.leaf(host).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_is_made_once_for_each_host() {
        let authority = Authority::new("test").unwrap();
        let first = authority.leaf("api.example.test").unwrap();
        assert!(Arc::ptr_eq(&first, &authority.leaf("api.example.test").unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.leaf("127.0.0.1").unwrap()));
    }

    #[test]
    fn number_of_leaves_is_limited() {
        let authority = Authority::new("test").unwrap();
        for n in 0..=LEAVES_MAX {
            authority.leaf(&format!("h{n}.example.test")).unwrap();
        }
        assert_eq!(authority.leaves.lock().unwrap().len(), 1);
    }
}
