//! Listens, serves connections, and stops without cutting a reply.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::exchange::Desk;
use crate::{Calls, ProviderConfig};

/// Connections at a time: far above any rehearsal, far below the file descriptors of a default shell.
const CONNECTIONS_MAX: usize = 512;

/// How long a connection may be silent before or between requests. Longer than the idle limit of common client pools, so
/// that it is the client that closes.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long replies under way may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after a failed accept, which mostly means: no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Why the simulated provider did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for the simulated provider")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The simulated provider.
#[derive(Debug)]
pub struct Provider;

impl Provider {
    /// Starts to listen and to serve. It runs until the handle is stopped or dropped.
    pub async fn start(config: ProviderConfig) -> Result<Running, StartError> {
        let address = config.listen;
        let listen_error = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let desk = Arc::new(Desk::new(config));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&desk), stopped));
        Ok(Running { address, desk, stop, task })
    }
}

/// A simulated provider that runs. Dropping it tells it to stop, [`Running::stop`] also waits until it has.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    desk: Arc<Desk>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL that clients take, ending in `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns how many calls of each kind there were so far.
    pub fn calls(&self) -> Calls {
        self.desk.counters.snapshot()
    }

    /// Returns what it is and how to call it, for people. No credential is shown.
    pub fn describe(&self) -> String {
        let config = &self.desk.config;
        let keys = match config.keys.len() {
            0 => "any bearer key but one with `invalid` in it".to_owned(),
            1 => "one bearer key".to_owned(),
            n_keys => format!("{n_keys} bearer keys"),
        };
        let models =
            if config.models.is_empty() { "any".to_owned() } else { config.models.join(", ") };
        let profile = serde_json::json!(config.profile);
        let profile = profile.as_str().unwrap_or("unknown");
        let lacks = match config.drop_fields.as_slice() {
            [] => String::new(),
            fields => format!("  lacks      {}\n", fields.join(", ")),
        };
        format!(
            "simulated provider on {url}\n  profile    {profile}\n  accepts    {keys}\n  models     {models}\n{lacks}  \
             endpoints  POST /v1/chat/completions, POST /v1/responses, GET /v1/models, GET /v1/models/{{id}}\n  \
             replies    the label that a smoke prompt asks for, else one fixed sentence\n",
            url = self.base_url(),
        )
    }

    /// Stops taking connections, lets replies under way end, and returns when all is over.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The task has no result and nothing to clean up: a panic in it was already reported by the runtime.
        drop(self.task.await);
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // Both are safe to cancel: a permit not given and a connection not accepted are simply not taken.
        let taken = tokio::select! {
            _ = stopped.changed() => break,
            taken = async { (Arc::clone(&seats).acquire_owned().await, listener.accept().await) } => taken,
        };
        while connections.try_join_next().is_some() {}
        match taken {
            (Ok(seat), Ok((stream, _))) => {
                let desk = Arc::clone(&desk);
                let stopped = stopped.clone();
                connections.spawn(async move {
                    serve(stream, desk, stopped).await;
                    drop(seat);
                });
            }
            (_, Err(_)) => tokio::time::sleep(ACCEPT_RETRY).await,
            // The semaphore is never closed.
            (Err(_), Ok(_)) => break,
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all_ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    // Events are to leave one by one. Where this fails the connection is dead, which serving it will show.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: Request<Incoming>| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // A connection that breaks is its client's affair: the next one is served all the same.
    let ended = tokio::select! {
        _ = connection.as_mut() => true,
        _ = stopped.changed() => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        drop(connection.await);
    }
}
