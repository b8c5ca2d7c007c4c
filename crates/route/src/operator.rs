//! What an operator does: read the route and set its durable share, with a running router or without one.

use std::path::Path;

use drill::ports::PortError;
use tokio::time::{Instant, sleep};

use crate::durable::DurableShare;
use crate::protocol::{Pace, Request};
use crate::socket::{self, StateLock};
use crate::switch::{Connection, LOOK_AGAIN, SETTLE, percent};
use crate::{Backends, Served, Shown, failure};

/// Reads the route: from the running router, or the durable share alone when none runs.
pub async fn show(state_dir: &Path) -> Result<Shown, PortError> {
    match socket::connect(state_dir).await? {
        Some(stream) => Connection::new(stream, Pace::NORMAL).ask(&Request::Show).await,
        None => without_router(state_dir),
    }
}

/// Sets the durable share, and moves the traffic where a router runs. While a drill holds the route only 0, the panic button,
/// is taken: it ends the hold.
pub async fn set(state_dir: &Path, percent_new: u8) -> Result<Shown, PortError> {
    let percent_new = percent(percent_new)?;
    let deadline = Instant::now() + SETTLE;
    loop {
        if let Some(stream) = socket::connect(state_dir).await? {
            let request = Request::Set { percent_new };
            return Connection::new(stream, Pace::NORMAL).ask(&request).await;
        }
        // With the lock no router can start, and read the old share, while the new one is written.
        if let Some(lock) = StateLock::take(state_dir)? {
            DurableShare::new(state_dir).write(percent_new)?;
            drop(lock);
            return without_router(state_dir);
        }
        if Instant::now() >= deadline {
            let what =
                format!("another process starts or ends a router on {}", state_dir.display());
            return Err(failure::refused(what, "try again, or look for a hung surestep process"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn without_router(state_dir: &Path) -> Result<Shown, PortError> {
    let durable_percent_new = DurableShare::new(state_dir).read()?.get();
    Ok(Shown {
        percent_new: durable_percent_new,
        durable_percent_new,
        running: false,
        held_by: None,
        listen: None,
        backends: Backends::default(),
        served_by: Served::default(),
    })
}
