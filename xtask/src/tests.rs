//! `cargo xtask test`: everything that has to hold, the cheap things first and the tests last.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::Run;
use crate::tidy;

/// What to do about the environments of the real-SDK releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environments {
    /// Install them where their pinned files changed.
    Install,
    /// Use what is there.
    AsTheyAre,
}

/// Runs all phases; the first one that fails ends it. Installing waits for networks more than for processors, so it goes on beside what needs none of it.
pub(crate) fn test(root: &Path, environments: Environments) -> Result<(), String> {
    std::thread::scope(|scope| {
        let installing = (environments == Environments::Install).then(|| {
            let install = ["crates/testkit/releases/install.sh"];
            scope.spawn(move || {
                phase("environments of the SDK releases", || Run::new(root, "sh", &install).run())
            })
        });
        read_and_build(root)?;
        if let Some(installing) = installing {
            installing.join().map_err(|_panic| "installing panicked".to_owned())??;
        }
        // Last, so that the test runner has the last word.
        eprintln!("\n== tests");
        let cargo = |arguments: &[&str]| Run::cargo(root, arguments);
        if cargo(&["nextest", "--version"]).works() {
            cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]).run()
        } else {
            cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]).run()
        }
    })
}

/// All that needs no environment.
fn read_and_build(root: &Path) -> Result<(), String> {
    let cargo = |arguments: &[&str]| Run::cargo(root, arguments);
    phase("fmt", || cargo(&["fmt", "--all", "--check"]).run())?;
    phase("tidy", || tidy::tidy(root))?;
    phase("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    })?;
    if cargo(&["deny", "--version"]).works() {
        phase("deny", || cargo(&["deny", "check", "licenses", "bans", "sources"]).run())?;
    }
    phase("doc", || {
        let doc = ["doc", "--workspace", "--no-deps"];
        cargo(&doc).env("RUSTDOCFLAGS", "-D warnings").run()
    })?;
    phase("doctests", || cargo(&["test", "--workspace", "--doc"]).run())
}

fn phase(name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    eprintln!("\n== {name}");
    let started = now();
    let result = work();
    let took =
        Duration::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    match &result {
        Ok(()) => eprintln!("== {name}: done in {took:?}"),
        Err(_) => eprintln!("== {name}: failed after {took:?}"),
    }
    result.map_err(|trouble| format!("{name}: {trouble}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a phase takes is for people, and decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}
