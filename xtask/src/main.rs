//! What a justfile cannot say: the demonstration, the tests with what they need, tidy checks, benchmarks.

#![expect(clippy::print_stderr, reason = "a development tool tells what it does")]

mod bench;
mod command;
mod demo;
mod detect;
mod tests;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask demo          build the example and surestep, and drill the example against the simulated provider
cargo xtask test          install what the tests need, then: fmt, tidy, clippy, doc, doctests, tests
cargo xtask test --fast   the same with the environments that are there: nothing is installed
cargo xtask tidy          what neither rustc nor clippy checks
cargo xtask bench         measure the tap (installs nginx, HAProxy and Envoy, for comparison, if they are missing)
cargo xtask detect        drill the detection benchmark and write bench/detection/RESULTS.md; --slice ci|all|none, --only TEXT";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = workspace_root();
    let result = match words.as_slice() {
        ["demo", rest @ ..] => return demo::demo(&root, rest),
        ["test"] => tests::test(&root, tests::Environments::Install),
        ["test", "--fast"] => tests::test(&root, tests::Environments::AsTheyAre),
        ["tidy"] => tidy::tidy(&root),
        ["detect", rest @ ..] => detect::detect(&root, rest),
        ["bench", rest @ ..] => bench::bench(&root, rest),
        _ => Err(format!("these are the tasks:\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("xtask: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the workspace's root.
fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
