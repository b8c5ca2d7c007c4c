//! The data plane: accepts connections and sends each request to the release whose turn it is.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use judge::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::forward::forward;
use crate::{Backends, Percent, Served};

/// Users' connections at one time; more wait in the listener's queue. Well under a usual limit of open files, as each
/// connection may need a second one to a backend.
const CONNECTIONS_MAX: usize = 4096;
/// How long a user may take for a request head, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long connecting to a backend may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection to a backend is kept: shorter than the 5 s after which Node and uvicorn close theirs, since a
/// request sent at that very moment would be lost.
const BACKEND_IDLE: Duration = Duration::from_secs(2);
/// Idle connections kept for each backend.
const BACKEND_IDLE_MAX: usize = 64;
/// How long to wait after `accept` failed, as it does when the process has no file handles left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An HTTP/1.1 reverse proxy in front of two releases. Dropping it closes the address and every connection.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    plane: Arc<Plane>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Router {
    /// Listens; until [`Router::set`] says otherwise there are no backends and each request gets 503.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let plane = Arc::new(Plane::new());
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&plane), stopped));
        Ok(Self { address, plane, stop, accepting })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets backends and share as one; the same values again change nothing.
    pub fn set(&self, backends: Backends, percent_new: Percent) {
        self.plane.set(backends, percent_new);
    }

    /// Returns backends, share and counters as they are.
    pub fn live(&self) -> (Backends, Percent, Served) {
        self.plane.live()
    }

    /// Stops listening, lets running requests end for at most `grace`, then closes what is left.
    pub async fn close(&mut self, grace: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(grace, &mut self.accepting).await.is_err() {
            self.accepting.abort();
            // Waits for the end that was just ordered.
            (&mut self.accepting).await.ok();
        }
    }

    /// Returns what the control socket needs to move traffic.
    pub(crate) fn plane(&self) -> Arc<Plane> {
        Arc::clone(&self.plane)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Plane {
    snapshot: RwLock<Arc<Snapshot>>,
    pub(crate) client: Client<HttpConnector, Incoming>,
}

/// Backends and share, swapped together; its counters start with it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    backends: Backends,
    percent_new: Percent,
    next: AtomicU64,
    served_new: AtomicU64,
    served_rollback: AtomicU64,
}

/// One request's turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) backend: Option<SocketAddr>,
    snapshot: Arc<Snapshot>,
}

impl Plane {
    fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(BACKEND_IDLE)
            .pool_max_idle_per_host(BACKEND_IDLE_MAX)
            .http1_preserve_header_case(true)
            .build(connector);
        let snapshot = Arc::new(Snapshot::new(Backends::default(), Percent::ROLLBACK));
        Self { snapshot: RwLock::new(snapshot), client }
    }

    /// Sets backends and share as one; the same values again change nothing.
    pub(crate) fn set(&self, backends: Backends, percent_new: Percent) {
        let mut current = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        if current.backends != backends || current.percent_new != percent_new {
            *current = Arc::new(Snapshot::new(backends, percent_new));
        }
    }

    /// Returns backends, share and counters as they are.
    pub(crate) fn live(&self) -> (Backends, Percent, Served) {
        let snapshot = self.snapshot();
        (snapshot.backends, snapshot.percent_new, snapshot.served())
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the next turn.
    pub(crate) fn turn(&self) -> Turn {
        let snapshot = self.snapshot();
        let role = snapshot.percent_new.role(snapshot.next.fetch_add(1, Ordering::Relaxed));
        Turn { role, backend: snapshot.backends.of(role), snapshot }
    }
}

impl Snapshot {
    fn new(backends: Backends, percent_new: Percent) -> Self {
        Self {
            backends,
            percent_new,
            next: AtomicU64::new(0),
            served_new: AtomicU64::new(0),
            served_rollback: AtomicU64::new(0),
        }
    }

    fn served(&self) -> Served {
        Served {
            new: self.served_new.load(Ordering::Relaxed),
            rollback: self.served_rollback.load(Ordering::Relaxed),
        }
    }
}

impl Turn {
    /// Counts that the backend answered.
    pub(crate) fn answered(&self) {
        let counter = match self.role {
            Role::New => &self.snapshot.served_new,
            Role::Rollback => &self.snapshot.served_rollback,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Accepts until told to stop, then waits for the open connections. Aborting it closes them.
async fn accept(listener: TcpListener, plane: Arc<Plane>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let on_stop = stopped.clone();
    loop {
        // All three are cancel-safe: nothing accepted or finished is lost when another one wins.
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve(stream, peer, Arc::clone(&plane), on_stop.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_ended) = connections.join_next() => {}
            () = told_to_stop(&mut stopped) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one user's connection.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    plane: Arc<Plane>,
    mut stopped: watch::Receiver<bool>,
) {
    // A socket that refuses the option still works, only later.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| forward(Arc::clone(&plane), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // How a user's connection ends is the user's business: broken ones are not an error of the route.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = told_to_stop(&mut stopped) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the router itself is gone, which is a reason to stop as well.
    stopped.wait_for(|stop| *stop).await.map(drop).ok();
}
