//! Runs programs and says which one failed.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program with its arguments in the workspace's root.
#[derive(Debug)]
pub(crate) struct Run(Command);

impl Run {
    pub(crate) fn new(root: &Path, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root);
        Self(command)
    }

    pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Self {
        // Cargo says which one it is, so that an xtask that was built elsewhere does not look for that machine's.
        let cargo = std::env::var_os("CARGO").and_then(|path| path.into_string().ok());
        Self::new(root, cargo.as_deref().unwrap_or("cargo"), arguments)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it with our own output.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let shown = self.shown();
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{shown}` ended with {status}")),
            Err(error) => Err(format!("`{shown}` could not be run: {error}")),
        }
    }

    /// Runs it and returns what it wrote on standard output.
    pub(crate) fn read(mut self) -> Result<String, String> {
        let shown = self.shown();
        let output = self.0.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("`{shown}` could not be run: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{shown}` ended with {}", output.status));
        }
        String::from_utf8(output.stdout).map_err(|error| format!("`{shown}`: {error}"))
    }

    /// Returns whether it can be run at all and is content.
    pub(crate) fn works(mut self) -> bool {
        self.0.stdout(Stdio::null()).stderr(Stdio::null());
        self.0.status().is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }
}

/// Installs a package of the system when a program is missing.
pub(crate) fn require_program(root: &Path, program: &str, package: &str) -> Result<(), String> {
    if Run::new(root, "sh", &["-c", &format!("command -v {program}")]).works() {
        return Ok(());
    }
    Run::new(root, "apt-get", &["update", "-qq"]).run()?;
    Run::new(root, "apt-get", &["install", "-qq", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
        .map_err(|error| format!("{program} is missing and could not be installed: {error}"))
}
