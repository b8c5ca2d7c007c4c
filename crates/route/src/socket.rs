//! Where the control socket is, and who may stand at it.
//!
//! A lock file, held for a router's whole life, says whether a router runs: the kernel drops it with the process, however that
//! ends. So a socket found by the one who has the lock is stale for certain, and two routers can never remove each other's.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use drill::ports::PortError;
use sha2::{Digest as _, Sha256};
use tokio::net::{UnixListener, UnixStream};

use crate::failure;

/// A socket's path has 104 bytes on some systems and 108 on others, the terminating zero included.
const PATH_MAX: usize = 100;
/// The socket's name in the state folder.
const SOCKET_NAME: &str = "route.sock";

/// The right to be the router of a state folder.
#[derive(Debug)]
pub(crate) struct StateLock {
    state_dir: PathBuf,
    _locked: File,
}

impl StateLock {
    /// Takes the lock; `None`: a router, or a `route set`, has it.
    pub(crate) fn take(state_dir: &Path) -> Result<Option<Self>, PortError> {
        let path = state_dir.join("route.lock");
        let opened = fs::create_dir_all(state_dir)
            .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
        let file = opened.map_err(|error| failure::state("locked", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { state_dir: state_dir.to_owned(), _locked: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failure::state("locked", &path, error)),
        }
    }

    /// Binds the control socket in place of a stale one.
    pub(crate) fn bind(self) -> Result<ControlSocket, PortError> {
        let path = path_of(&self.state_dir)?;
        let bound = || -> io::Result<UnixListener> {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener =
            bound().map_err(|error| failure::state("bound to a socket", &path, error))?;
        let owner =
            fs::metadata(&path).map_err(|error| failure::state("read", &path, error))?.uid();
        Ok(ControlSocket { listener, path, owner, _lock: self })
    }
}

/// The bound control socket; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
    _lock: StateLock,
}

impl ControlSocket {
    /// Waits for the next client of our own user (or root) and tells its process.
    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, Option<u32>)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let peer = stream.peer_cred()?;
            if peer.uid() == self.owner || peer.uid() == 0 {
                return Ok((stream, peer.pid().and_then(|pid| u32::try_from(pid).ok())));
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A file that cannot be removed is stale for the next router, which removes it.
        fs::remove_file(&self.path).ok();
    }
}

/// Connects to the router of a state folder; `None`: none runs.
pub(crate) async fn connect(state_dir: &Path) -> Result<Option<UnixStream>, PortError> {
    let path = match fs::metadata(state_dir) {
        Ok(_) => path_of(state_dir)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure::state("read", state_dir, error)),
    };
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failure::state("asked for over its socket", &path, error)),
    };
    // Where temporary files go, anybody may have put a socket of this name; the state folder's own permissions are trusted.
    let trusted = || -> io::Result<bool> {
        let uid = stream.peer_cred()?.uid();
        let in_state_dir = path.file_name().is_some_and(|name| name == SOCKET_NAME);
        Ok(in_state_dir || uid == 0 || uid == fs::metadata(state_dir)?.uid())
    };
    match trusted() {
        Ok(true) => Ok(Some(stream)),
        Ok(false) => Err(failure::refused(
            format!(
                "a program of another user stands behind the route's socket {}",
                path.display()
            ),
            "remove that socket, or use a state folder with a shorter path",
        )),
        Err(error) => Err(failure::state("asked for over its socket", &path, error)),
    }
}

/// Returns the socket's path: in the state folder, or under a hashed name where temporary files go if that would be too long.
fn path_of(state_dir: &Path) -> Result<PathBuf, PortError> {
    // Both sides must come to the same path, from whatever folder they were started in.
    let folder =
        fs::canonicalize(state_dir).map_err(|error| failure::state("read", state_dir, error))?;
    let path = folder.join(SOCKET_NAME);
    if path.as_os_str().len() <= PATH_MAX {
        return Ok(path);
    }
    let digest = Sha256::digest(folder.as_os_str().as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(std::env::temp_dir().join(format!("surestep-route-{hex}.sock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_folder_gets_a_short_socket_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let long = [folder.path().join("a".repeat(120)), folder.path().join("b".repeat(120))];
        for path in &long {
            fs::create_dir(path).unwrap();
        }
        let [a, b] = long.map(|path| path_of(&path).unwrap());
        assert!(a.as_os_str().len() <= PATH_MAX, "{}", a.display());
        assert_ne!(a, b);
        assert!(path_of(folder.path()).unwrap().ends_with("route.sock"));
    }

    #[test]
    fn the_lock_has_one_owner_and_is_free_again_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = StateLock::take(folder.path()).unwrap().unwrap();
        assert!(StateLock::take(folder.path()).unwrap().is_none());
        drop(lock);
        assert!(StateLock::take(folder.path()).unwrap().is_some());
    }
}
