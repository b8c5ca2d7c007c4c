//! `cargo xtask demo`: the whole drill on the example, without an account and without a network.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::command::Run;

/// Builds and drills. Further words go to `surestep drill`; its exit code is ours, as it says what the decision was.
pub(crate) fn demo(root: &Path, words: &[&str]) -> ExitCode {
    // The example names its programs under `target`, so they are built there, whatever CARGO_TARGET_DIR says.
    let build = ["build", "--target-dir", "target", "--package", "cli", "--package", "support-bot"];
    if let Err(trouble) = Run::cargo(root, &build).run() {
        eprintln!("xtask: {trouble}");
        return ExitCode::FAILURE;
    }
    let program = root.join("target/debug/surestep");
    let drill = Command::new(&program)
        .args(["drill", "--yes", "--config", "examples/surestep.yaml"])
        .args(words)
        .current_dir(root)
        .status();
    match drill {
        Ok(status) => match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) => ExitCode::from(code),
            None => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("xtask: {} could not be run: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}
