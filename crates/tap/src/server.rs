//! The tap: opens listeners and shares the way to each provider among them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drill::ports::{OpenPort, PortError, Tap, Upstream};
use judge::Fingerprint;

use crate::asks::Asks;
use crate::exchange::{PortContext, chain};
use crate::port::ListeningPort;
use crate::upstream::{AddressError, Client};

/// Makes a keyed fingerprint of a secret.
pub type FingerprintFn = dyn Fn(&[u8]) -> Fingerprint + Send + Sync;

/// What the tap is given by those who start it.
#[derive(Clone)]
pub struct TapConfig {
    /// Makes the keyed fingerprint of a credential. The key stays with whoever made this.
    pub fingerprint: Arc<FingerprintFn>,
}

impl fmt::Debug for TapConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapConfig").finish_non_exhaustive()
    }
}

/// The tap in reverse mode: releases have its ports as their base URL.
#[derive(Debug)]
pub struct TapServer {
    config: TapConfig,
    clients: Mutex<Vec<(Upstream, Client)>>,
}

impl TapServer {
    /// Prepares a tap; nothing is opened yet.
    pub fn new(config: TapConfig) -> Self {
        Self { config, clients: Mutex::default() }
    }

    /// Returns the client towards an upstream; ports with the same upstream share its connections.
    async fn client(&self, upstream: &Upstream) -> Result<Client, PortError> {
        let same = |known: &Upstream| {
            (&known.base_url, &known.connect_to, &known.ca, &known.proxy)
                == (&upstream.base_url, &upstream.connect_to, &upstream.ca, &upstream.proxy)
        };
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients().iter().find(|(known, _)| same(known)) {
            return Ok(client.clone());
        }
        let wanted = upstream.clone();
        // Reading the platform's trust takes a while and blocks.
        let made = tokio::task::spawn_blocking(move || Client::new(&wanted)).await;
        let client = made.map_err(|error| PortError::Environment {
            what: "preparing the way to the provider was broken off".to_owned(),
            advice: "run again; if it comes back, report it as a bug of surestep".to_owned(),
            source: Some(Box::new(error)),
        })?;
        let client = client.map_err(|error| unusable(upstream, error))?;
        clients().push((upstream.clone(), client.clone()));
        Ok(client)
    }
}

impl Tap for TapServer {
    type Port = ListeningPort;

    async fn open(&self, spec: OpenPort) -> Result<ListeningPort, PortError> {
        let client = self.client(&spec.upstream).await?;
        let context = Arc::new(PortContext {
            surface: spec.surface,
            profile: spec.profile,
            client,
            asks: Asks::default(),
            live_calls: AtomicU32::new(0),
            fingerprint: self.config.fingerprint.clone(),
            request_id: Box::new(request_ids()),
        });
        let address = spec.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        ListeningPort::open(context, address).map_err(|error| cannot_listen(address, error))
    }
}

/// Returns a source of request ids: `req_` and 24 hexadecimal digits, unique by a counter and spread by a random key.
fn request_ids() -> impl Fn() -> String + Send + Sync {
    let keyed = RandomState::new();
    let count = AtomicU64::new(0);
    move || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        format!("req_{:08x}{:016x}", n & 0xffff_ffff, keyed.hash_one(n))
    }
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> PortError {
    let (why, advice) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "another program has that port",
            format!(
                "end the program that has it (`ss -ltnp 'sport = :{}'` names it), or give this release another `listen`",
                address.port()
            ),
        ),
        io::ErrorKind::AddrNotAvailable => (
            "this machine has no such address",
            "use an address of this machine, for example 127.0.0.1, as this release's `listen`"
                .to_owned(),
        ),
        io::ErrorKind::PermissionDenied => {
            ("this user may not", "use a port above 1023 as this release's `listen`".to_owned())
        }
        _ => (
            "the system refuses",
            "see the cause; the limit of open files (`ulimit -n`) is a common one".to_owned(),
        ),
    };
    PortError::Environment {
        what: format!("the tap cannot listen on {address}: {why}"),
        advice,
        source: Some(Box::new(error)),
    }
}

fn unusable(upstream: &Upstream, error: AddressError) -> PortError {
    let advice = match &error {
        AddressError::Url { what, .. } => format!("correct `{what}` of the provider"),
        AddressError::Trust { .. }
        | AddressError::Certificate { .. }
        | AddressError::NoCertificate { .. } => {
            "`ca` names a PEM file with the certificates that are trusted in addition".to_owned()
        }
        AddressError::Tls(_) => "report it as a bug of surestep".to_owned(),
    };
    PortError::Environment {
        what: format!("the tap cannot prepare the way to {}: {}", upstream.base_url, chain(&error)),
        advice,
        source: Some(Box::new(error)),
    }
}
