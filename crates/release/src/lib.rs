//! Adapters that run a release and ask it: a process for each ask, a service started for the run, or a URL.
//!
//! [`ReleaseRunner`] implements [`drill::ports::Releases`]; what it starts is a [`Running`]. A page's worth of how:
//!
//! - `environment` and `placeholders` make what a process gets; nothing of surestep's own environment leaks into it.
//! - `process` spawns, `tree` finds and ends every descendant, [`supervise`] sees to that even when surestep is killed.
//! - `command` and `service` run the two kinds of process; `capture` and `logs` keep what they write, within limits; `files` finds what they
//!   write beside themselves.
//! - `http` asks, `mapped` and `gateway` read the reply, `front` puts any release behind an HTTP address of ours.
//!
//! Invariants: answers and logs are [`evidence::Sensitive`]; nothing here prints; no wait and no buffer is without a limit.

mod capture;
mod command;
mod cpu;
mod environment;
mod files;
mod front;
mod gateway;
mod http;
mod log_files;
mod logs;
mod mapped;
mod otlp;
mod outcome;
mod placeholders;
mod process;
mod program;
mod relay;
mod runner;
mod running;
mod service;
mod sse;
mod supervise;
mod tree;

pub use environment::{NODE_PROXY_VARIABLE, PROXY_VARIABLES, TRUST_VARIABLES};
pub use runner::{ReleaseRunner, RunnerConfig};
pub use running::Running;
pub use supervise::supervise;
