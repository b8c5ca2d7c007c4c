//! The binary `surestep`: typed arguments and the environment in, an answer on standard output, an exit code out.

mod args;
mod built_in;
mod command;
mod config;
mod doctor;
mod environment;
mod exit_code;
mod failure;
mod github;
mod human;
mod init;
mod learnt;
mod progress;
mod result;
mod schema;
mod self_test;
mod sources;
mod subject;
mod terminal;
mod wiring;

use std::process::ExitCode;

/// A call through the tap makes some ninety small allocations: this one spends half of the platform's time on them (bench/tap.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // Before any thread exists: this process only holds a release, see `release::supervise`.
    if words.nth(1).is_some_and(|word| word == wiring::SUPERVISE) {
        return release::supervise(words);
    }
    command::main()
}
