//! `cargo xtask tidy`: what neither rustc nor clippy checks, all problems at once.

mod findings;
mod lockfile;
mod manifests;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Run;

/// A file of the repository that is text.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Its path from the root, with slashes.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl TextFile {
    fn has_extension(&self, wanted: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == wanted)
    }
}

/// Checks the whole repository.
pub(crate) fn tidy(root: &Path) -> Result<(), String> {
    let files = read_all(root)?;
    let mut problems = Vec::new();
    sources::check(&files, &mut problems);
    manifests::check(&files, &mut problems);
    findings::check(&files, &mut problems);
    lockfile::check(root, &files, &mut problems)?;
    if problems.is_empty() {
        eprintln!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    problems.sort();
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    Err(format!("{} problems", problems.len()))
}

/// Reads what git would commit; what is no text is none of our business.
fn read_all(root: &Path) -> Result<Vec<TextFile>, String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let paths = Run::new(root, "git", &list).read()?;
    let mut files = Vec::new();
    for path in paths.lines() {
        let full: PathBuf = root.join(path);
        // A file that was deleted, but not in git yet, is still listed.
        if !full.is_file() {
            continue;
        }
        let bytes = fs::read(&full).map_err(|error| format!("{path}: {error}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}
