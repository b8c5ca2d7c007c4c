//! Real processes and real HTTP on loopback: what a release does, and what is made of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod commands;
mod environment;
mod fronts;
mod gateways;
mod harness;
mod orphans;
mod services;
mod urls;
