//! Where things are in the workspace.

use std::path::{Path, PathBuf};

/// Returns the workspace's root.
///
/// # Panics
///
/// When this crate does not lie two folders below it.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies in crates/testkit")
        .to_owned()
}

/// Returns the folder of the real-SDK releases.
pub fn releases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("releases")
}

/// Returns an environment's folder under `.test-env`.
///
/// # Errors
///
/// When it is not installed, or not whole: then the text says what to run.
pub fn environment(name: &str) -> Result<PathBuf, String> {
    let folder = workspace_root().join(".test-env").join(name);
    if folder.join(".installed").is_file() {
        Ok(folder)
    } else {
        Err(format!(
            "the environment {name} is not installed: run crates/testkit/releases/install.sh {name}"
        ))
    }
}
