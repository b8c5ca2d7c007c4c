//! `cargo xtask detect`: the detection benchmark, with what it needs built and installed.

use std::path::Path;

use crate::command::Run;

/// Builds surestep and the releases on async-openai, installs the environments that are missing, and drills. Further words go to the
/// benchmark.
pub(crate) fn detect(root: &Path, words: &[&str]) -> Result<(), String> {
    let install = "crates/testkit/releases/install.sh";
    Run::new(root, "sh", &[install]).run()?;
    if words.contains(&"--beside") {
        Run::new(root, "sh", &[install, "python-llmock"]).run()?;
    }
    Run::cargo(root, &["build", "--package", "cli", "--package", "support-bot"]).run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").and_then(|path| path.into_string().ok());
    let surestep = format!("{}/debug/surestep", target.as_deref().unwrap_or("target"));
    let mut arguments =
        vec!["run", "--quiet", "--package", "testkit", "--example", "detect", "--", &surestep];
    arguments.extend(words);
    Run::cargo(root, &arguments).run()
}
