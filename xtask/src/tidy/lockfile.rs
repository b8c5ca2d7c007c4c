//! The lock file: what must never get into the build.

use std::path::Path;

use super::TextFile;
use crate::command::Run;

/// A second crypto provider would make rustls panic at run time; the others are unmaintained or bring C libraries.
const BANNED: [&str; 5] = ["ring", "openssl-sys", "native-tls", "serde_yaml", "serde_yml"];
const SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub(super) fn check(
    root: &Path,
    files: &[TextFile],
    problems: &mut Vec<String>,
) -> Result<(), String> {
    let Some(lock) = files.iter().find(|file| file.path == "Cargo.lock") else {
        problems.push("Cargo.lock: is not committed".to_owned());
        return Ok(());
    };
    for name in locked(&lock.text).filter(|name| BANNED.contains(name)) {
        // The lock file also lists what a feature that nobody turns on would need; the tree does not.
        let tree = ["tree", "--workspace", "--target", "all", "--edges", "all", "--invert", name];
        let users = Run::cargo(root, &[&tree[..], &["--quiet"]].concat()).read()?;
        if !users.trim().is_empty() {
            problems.push(format!("Cargo.lock: `{name}` got in:\n{users}"));
        }
    }
    for line in lock.text.lines().filter(|line| line.starts_with("source = ") && *line != SOURCE) {
        problems.push(format!("Cargo.lock: a source that is not the registry: {line}"));
    }
    Ok(())
}

fn locked(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_lock_file() {
        let text =
            "[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n[[package]]\nname = \"tokio\"\n";
        assert_eq!(locked(text).collect::<Vec<_>>(), ["ring", "tokio"]);
    }

    #[test]
    fn a_source_that_is_not_the_registry_is_found() {
        let text = "source = \"git+https://example.com/x\"\n".to_owned();
        let mut problems = Vec::new();
        let file = TextFile { path: "Cargo.lock".to_owned(), text };
        check(Path::new("."), &[file], &mut problems).unwrap();
        assert_eq!(problems.len(), 1);
    }
}
