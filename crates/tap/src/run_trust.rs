//! What a run's forward ports share: both certificate authorities, and the files by which releases trust one of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ca::Authority;
use crate::trust::{TrustFolder, system_roots};

/// Why a run has no certificates of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunTrustError {
    #[error(transparent)]
    Make(#[from] crate::ca::CaError),
    #[error("the folder {} for the run's trust files cannot be made", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Certificate authorities and trust files of a run.
#[derive(Debug)]
pub(crate) struct RunTrust {
    own: Arc<Authority>,
    unknown: Arc<Authority>,
    folder: TrustFolder,
    /// The files that were written: one for each extra trust.
    files: Mutex<Vec<(Option<PathBuf>, PathBuf)>>,
}

impl RunTrust {
    /// Makes them. Blocks.
    pub(crate) fn make(parent: &Path, unique: u64) -> Result<Self, RunTrustError> {
        let folder = TrustFolder::make(parent, unique)
            .map_err(|source| RunTrustError::Folder { folder: parent.to_owned(), source })?;
        Ok(Self {
            own: Arc::new(Authority::new("surestep CA of one run")?),
            unknown: Arc::new(Authority::new("surestep CA that nobody trusts")?),
            folder,
            files: Mutex::default(),
        })
    }

    /// Returns the authority that releases are told to trust.
    pub(crate) fn own(&self) -> &Arc<Authority> {
        &self.own
    }

    /// Returns the authority that nobody is told of.
    pub(crate) fn unknown(&self) -> &Arc<Authority> {
        &self.unknown
    }

    /// Returns the file to hand to releases: this machine's trust, the extra one, and the run's CA. Blocks when it is new.
    pub(crate) fn file(&self, extra: Option<&Path>) -> io::Result<PathBuf> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = files.iter().find(|(of, _)| of.as_deref() == extra) {
            return Ok(known.clone());
        }
        let more = extra.map(std::fs::read_to_string).transpose()?.unwrap_or_default();
        let system = system_roots();
        let file = self
            .folder
            .write(&format!("trust-{}.pem", files.len()), [&*system, &*more, self.own.pem()])?;
        files.push((extra.map(Path::to_owned), file.clone()));
        Ok(file)
    }
}
