//! The binary `surestep`.

mod config;
mod environment;

fn main() {}
