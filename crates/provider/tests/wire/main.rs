//! The simulated provider as it is on the wire.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for more than tests")]

mod refusals;
mod replies;
mod support;
