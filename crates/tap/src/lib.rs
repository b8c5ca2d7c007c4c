//! The data plane: relays, observes and breaks the wire between a release and its provider.
//!
//! An exchange's life: `port` accepts the connection, `http1` or `http2` speaks HTTP over its [`wire`](self), `exchange` reads the
//! request and finds its ask in `asks`, the ask's stimulus says what to do, `relay` forwards it through [`upstream`] or
//! `made` answers it here, and a `recorder` watches the reply pass by and writes down what it was, exactly once, also when
//! the stream is dropped.
//!
//! What is deliberately not here: raw payload bytes never cross this crate's API. What comes out are shapes, classes,
//! times and keyed fingerprints, and the texts that a model delivered, which stay in memory.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, expect(clippy::indexing_slicing, reason = "a test that fails to index fails"))]

mod asks;
mod ca;
mod clock;
pub mod control;
mod decoding;
mod exchange;
mod forward;
mod guard;
mod http1;
mod http2;
mod incoming;
mod limits;
mod made;
mod path;
mod port;
mod reading;
mod recorder;
mod relay;
mod reply;
mod request_seen;
mod response_seen;
mod run_trust;
mod server;
mod trust;
mod tunnel;
pub mod upstream;
mod watch;
mod wire;
mod zstd;

pub use port::ListeningPort;
pub use server::{FingerprintFn, TapConfig, TapServer};
pub use watch::{Watch, Watched};
