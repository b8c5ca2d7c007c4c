//! The tap: opens listeners and shares the way to each provider among them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use drill::ports::{OpenPort, PortError, PortKind, Tap, Upstream};
use drill::settings::Forward as Rules;
use judge::Fingerprint;
use judge::fault::Script;
use tokio::sync::{OnceCell, mpsc};

use crate::asks::Asks;
use crate::exchange::{PortContext, chain};
use crate::forward::Forward;
use crate::port::ListeningPort;
use crate::run_trust::RunTrust;
use crate::upstream::{AddressError, Client};
use crate::watch::{Watch, Watched};

/// Where trust files are put when nobody says where.
const TRUST_FOLDER: &str = ".surestep/forward";

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

/// The tap: releases have its ports as their base URL, or as their proxy.
#[derive(Debug)]
pub struct TapServer {
    config: TapConfig,
    clients: Mutex<Vec<(Upstream, Client)>>,
    trust_folder: Option<PathBuf>,
    trust: OnceCell<Arc<RunTrust>>,
}

impl TapServer {
    /// Prepares a tap; nothing is opened yet.
    pub fn new(config: TapConfig) -> Self {
        Self { config, clients: Mutex::default(), trust_folder: None, trust: OnceCell::new() }
    }

    /// Says where the trust files of the run are put, in a private folder of their own: needed for ports that are proxies.
    #[must_use]
    pub fn with_trust_folder(self, folder: PathBuf) -> Self {
        Self { trust_folder: Some(folder), ..self }
    }

    /// Returns the run's certificate authorities, made at the first use.
    async fn trust(&self) -> Result<Arc<RunTrust>, PortError> {
        let folder = self.trust_folder.clone().unwrap_or_else(|| PathBuf::from(TRUST_FOLDER));
        let make = || async {
            let unique = RandomState::new().hash_one(std::process::id());
            // It reads and writes files.
            let made = spawn_blocking(move || RunTrust::make(&folder, unique)).await?;
            made.map(Arc::new).map_err(|error| PortError::Environment {
                what: chain(&error),
                advice: "let surestep write beside its ledger; the folder is private and goes with the run".to_owned(),
                source: None,
            })
        };
        self.trust.get_or_try_init(make).await.cloned()
    }

    async fn forward(
        &self,
        base_url: String,
        rules: Rules,
        upstream: &Upstream,
        asks: &Arc<Asks>,
    ) -> Result<Forward, PortError> {
        let trust = self.trust().await?;
        let (upstream, asks) = (upstream.clone(), asks.clone());
        let made =
            spawn_blocking(move || Forward::new(base_url, rules, &upstream, trust, &asks)).await?;
        made.map_err(|error| PortError::Environment {
            what: format!("the tap cannot be a proxy: {}", chain(&error)),
            advice: "see `base_url`, `proxy` and `tap.forward.ca` in the configuration".to_owned(),
            source: None,
        })
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
        let made = spawn_blocking(move || Client::new(&wanted)).await?;
        let client = made.map_err(|error| unusable(upstream, error))?;
        clients().push((upstream.clone(), client.clone()));
        Ok(client)
    }
}

impl TapServer {
    /// Opens a port for any client: each exchange gets what the script says, and is told.
    ///
    /// # Errors
    ///
    /// Fails as [`Tap::open`] does.
    pub async fn watch(
        &self,
        spec: OpenPort,
        script: Script,
    ) -> Result<(ListeningPort, Arc<Watch>, mpsc::Receiver<Watched>), PortError> {
        let (watch, told) = Watch::new(script);
        let port = self.open_with(spec, Arc::new(Asks::watched_by(watch.clone()))).await?;
        Ok((port, watch, told))
    }

    async fn open_with(&self, spec: OpenPort, asks: Arc<Asks>) -> Result<ListeningPort, PortError> {
        let client = self.client(&spec.upstream).await?;
        let (listen, forward) = match spec.kind {
            PortKind::Reverse { listen } => (listen, None),
            PortKind::Forward { base_url, rules } => {
                (None, Some(self.forward(base_url, rules, &spec.upstream, &asks).await?))
            }
        };
        let context = Arc::new(PortContext {
            surface: spec.surface,
            profile: spec.profile,
            client,
            asks,
            forward,
            live_calls: AtomicU32::new(0),
            fingerprint: self.config.fingerprint.clone(),
            request_id: Box::new(request_ids()),
        });
        let address = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        ListeningPort::open(context, address).map_err(|error| cannot_listen(address, error))
    }
}

impl Tap for TapServer {
    type Port = ListeningPort;

    async fn open(&self, spec: OpenPort) -> Result<ListeningPort, PortError> {
        self.open_with(spec, Arc::new(Asks::default())).await
    }
}

/// Runs what blocks on a thread for that.
async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PortError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PortError::Environment {
        what: "preparing the tap was broken off".to_owned(),
        advice: "run again; if it comes back, report it as a bug of surestep".to_owned(),
        source: Some(Box::new(error)),
    })
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
        source: None,
    }
}
