//! Adapters that move traffic: the embedded router.
//!
//! A [`Server`] is a reverse proxy ([`Router`]) with a control socket beside the ledger. What `route set` and `promote` decide
//! is *durable*: it stands in `route.json` and survives a restart. What a drill does is only *held*: its backends and its share
//! live as long as its connection to the control socket, and the route comes back by itself when that connection ends, for
//! whatever reason. So there is no state from which a killed drill would have to be recovered.
//!
//! ```text
//!   users ──► Router (listen) ──► new | rollback          data plane: router, forward, share
//!                ▲ one snapshot
//!              Table ◄── control socket ◄── EmbeddedSwitch (a drill), set, show
//!                ▲
//!            route.json
//! ```

mod backends;
mod control;
mod durable;
mod failure;
mod forward;
mod operator;
mod protocol;
mod router;
mod server;
mod share;
mod socket;
mod switch;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use backends::{Backends, Served};
pub use operator::{set, show};
pub use protocol::Shown;
pub use router::Router;
pub use server::Server;
pub use share::{NotAShare, Percent};
pub use switch::EmbeddedSwitch;

/// Where the route is and where it keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// The user-facing address. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder of `route.json` and the control socket: the ledger's.
    pub state_dir: PathBuf,
}
