//! A router with its control socket and its durable state: what `route serve` runs, and what a drill runs in its own process.

use std::sync::Arc;
use std::time::Duration;

use drill::ports::PortError;
use tokio::task::JoinHandle;

use crate::control::{self, Desk};
use crate::durable::DurableShare;
use crate::protocol::Pace;
use crate::socket::StateLock;
use crate::table::Table;
use crate::{Backends, RouteConfig, Router, Shown, failure};

/// A running router. Dropping it closes the address, the control socket and every connection.
#[derive(Debug)]
pub struct Server {
    router: Router,
    desk: Arc<Desk>,
    control: JoinHandle<()>,
}

impl Server {
    /// Starts on the durable share, with these backends while nobody holds the route.
    pub async fn start(config: &RouteConfig, base: Backends) -> Result<Self, PortError> {
        let Some(lock) = StateLock::take(&config.state_dir)? else {
            let what = format!("a router runs already for {}", config.state_dir.display());
            return Err(failure::refused(
                what,
                "end it first; `surestep route show` tells its address",
            ));
        };
        Self::start_locked(config, base, lock, Pace::NORMAL).await
    }

    /// Starts, once it is certain that no other router runs on the same state.
    pub(crate) async fn start_locked(
        config: &RouteConfig,
        base: Backends,
        lock: StateLock,
        pace: Pace,
    ) -> Result<Self, PortError> {
        let durable = DurableShare::new(&config.state_dir);
        let table = Table::new(base, durable.read()?);
        let router = Router::bind(config.listen)
            .await
            .map_err(|error| failure::listen(config.listen, error))?;
        let socket = lock.bind()?;
        let desk = Desk::new(table, router.plane(), router.address(), durable, pace);
        let desk = Arc::new(desk);
        let control = tokio::spawn(control::serve(socket, Arc::clone(&desk)));
        Ok(Self { router, desk, control })
    }

    /// Returns the user-facing address.
    pub fn address(&self) -> std::net::SocketAddr {
        self.router.address()
    }

    /// Replaces the backends that serve while nobody holds the route, for example after a release was started again.
    pub fn set_base(&self, base: Backends) {
        self.desk.set_base(base);
    }

    /// Reads the route as it is.
    pub fn show(&self) -> Shown {
        self.desk.shown()
    }

    /// Takes the route back from a holder, lets running requests end for at most `grace`, and closes everything.
    pub async fn shutdown(mut self, grace: Duration) {
        self.control.abort();
        // Waits for the end that was just ordered: socket and lock are free afterwards.
        (&mut self.control).await.ok();
        let Self { router, .. } = &mut self;
        router.close(grace).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.abort();
    }
}
