//! The files by which releases trust the CA of this run: in a private folder that goes with the run, or at the next one.
//!
//! A run holds a lock on its folder for as long as it lives. What a killed run left behind is a folder whose lock is free;
//! the next run removes it before it makes its own.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;

/// How the folders of runs begin.
const RUN: &str = "run-";

/// The file that is locked, of all folders together and of each.
const LOCK: &str = "lock";

/// The trust files of a run. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct TrustFolder {
    path: PathBuf,
    _lock: File,
}

impl TrustFolder {
    /// Removes what dead runs left below `parent`, and makes a folder for this one.
    pub(crate) fn make(parent: &Path, unique: u64) -> io::Result<Self> {
        private_folder(parent)?;
        // Held while folders are made and removed: a folder that is not locked yet would look like a dead run's.
        let guard = private_file(&parent.join(LOCK))?;
        guard.lock()?;
        sweep(parent)?;
        let path = parent.join(format!("{RUN}{}-{unique:016x}", std::process::id()));
        private_folder(&path)?;
        let lock = private_file(&path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    /// Writes a PEM file with these certificates.
    pub(crate) fn write<'p>(
        &self,
        name: &str,
        certificates: impl IntoIterator<Item = &'p str>,
    ) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let mut file = private_file(&path)?;
        file.set_len(0)?;
        for pem in certificates {
            file.write_all(pem.trim_end().as_bytes())?;
            file.write_all(b"\n")?;
        }
        Ok(path)
    }
}

impl Drop for TrustFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Removes the folders of runs that live no more. One that cannot be removed stays; it holds no secret.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(RUN) {
            continue;
        }
        let dead = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
            },
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if dead {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    Ok(())
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).read(true).mode(0o600).open(path)
}

/// Returns the certificates that this machine trusts, as PEM.
pub(crate) fn system_roots() -> String {
    let mut text = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            // Base64 is ASCII; the lines of PEM have 64 characters.
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folders(parent: &Path) -> usize {
        let is_run = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(RUN);
        fs::read_dir(parent).unwrap().map(Result::unwrap).filter(is_run).count()
    }

    #[test]
    fn files_are_private_and_go_with_the_run() {
        let parent = tempfile::tempdir().unwrap();
        let folder = TrustFolder::make(&parent.path().join("forward"), 1).unwrap();
        let file = folder.write("bundle.pem", ["A\n", "B"]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "A\nB\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        drop(folder);
        assert!(!file.exists());
    }

    #[test]
    fn what_a_dead_run_left_is_removed_and_a_living_one_stays() {
        let parent = tempfile::tempdir().unwrap();
        let living = TrustFolder::make(parent.path(), 1).unwrap();
        let dead = parent.path().join("run-1-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("bundle.pem"), "old").unwrap();
        let next = TrustFolder::make(parent.path(), 2).unwrap();
        assert!(!dead.exists());
        assert_eq!(folders(parent.path()), 2);
        drop((living, next));
        assert_eq!(folders(parent.path()), 0);
    }

    #[test]
    fn system_roots_can_be_read_back() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let there = rustls_native_certs::load_native_certs().certs.len();
        let pem = system_roots();
        assert_eq!(
            CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).count(),
            there
        );
    }
}
