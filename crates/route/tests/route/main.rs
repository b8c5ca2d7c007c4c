//! The embedded router from outside: real sockets on loopback, real backends, real processes.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's own exception reaches test functions, not what they call"
)]

mod holding;
mod operating;
mod proxying;
mod world;
