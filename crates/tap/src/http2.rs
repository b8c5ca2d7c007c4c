//! HTTP/2 as the tap speaks it, towards releases (`server`) and towards providers (`client`): streams in place of connections, and
//! nothing else for those who carry an exchange.
//!
//! Frames, the compression of heads and flow control are the crate `h2`'s, which also ends connections that flood it; its limits
//! are set here. What a stream does to its neighbours is decided here: nothing. Where an exchange over HTTP/1 ends its connection,
//! a stream is reset, and whatever it had said before has left by then.

mod body;
mod client;
mod flushes;
mod head;
mod outlet;
mod server;

pub(crate) use body::Incoming;
pub(crate) use client::{CallFailure, Link, Reply, handshake};
pub(crate) use server::serve;

use crate::http1::WireError;

/// Says why a stream cannot be read to its end.
fn wire_error(error: h2::Error) -> WireError {
    if !error.is_io() {
        return WireError::Stream(error);
    }
    match error.into_io() {
        Some(error) => WireError::Broken(error),
        None => WireError::Ended,
    }
}
