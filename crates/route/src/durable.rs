//! The share that survives a restart: `route.json`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use drill::ports::PortError;
use serde::{Deserialize, Serialize};

use crate::{Percent, failure};

/// The file's format. 1: `{"format":1,"percent_new":N}`.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    format: u32,
    percent_new: Percent,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// The file `route.json` of a state folder.
#[derive(Clone, Debug)]
pub(crate) struct DurableShare(PathBuf);

impl DurableShare {
    /// Names the file; it need not exist.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("route.json"))
    }

    /// Reads the share: all on the rollback release while nothing was ever set.
    pub(crate) fn read(&self) -> Result<Percent, PortError> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Percent::ROLLBACK),
            Err(error) => return Err(failure::state("read", &self.0, error)),
        };
        let found = serde_json::from_slice(&bytes).map(|FormatOnly { format }| format);
        if let Ok(newer) = found
            && newer > FORMAT
        {
            let what =
                format!("{} has format {newer}, this surestep knows {FORMAT}", self.0.display());
            return Err(failure::refused(what, "use the newer surestep that wrote it"));
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            let what = format!("{} cannot be understood", self.0.display());
            failure::failed(
                what,
                "remove the file; the route then starts on the rollback release",
                error,
            )
        })?;
        Ok(document.percent_new)
    }

    /// Writes the share: beside, synced, renamed, and the folder synced too, so that a crash or a power cut leaves the old
    /// share or the new one. A file that cannot be read is not overwritten.
    pub(crate) fn write(&self, percent_new: Percent) -> Result<(), PortError> {
        self.read()?;
        let written = || -> io::Result<()> {
            let beside = self.0.with_extension("json.tmp");
            let mut file = File::create(&beside)?;
            serde_json::to_writer(&mut file, &Document { format: FORMAT, percent_new })?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&beside, &self.0)?;
            match self.0.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        written().map_err(|error| failure::state("written", &self.0, error))?;
        // What a drill will return to must be what was asked for.
        let read_back = self.read()?;
        if read_back == percent_new {
            Ok(())
        } else {
            let what = format!("{} holds another share than was just written", self.0.display());
            Err(failure::refused(what, "does another program write this file?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_with(text: &str) -> (tempfile::TempDir, DurableShare) {
        let folder = tempfile::tempdir().unwrap();
        let share = DurableShare::new(folder.path());
        fs::write(&share.0, text).unwrap();
        (folder, share)
    }

    #[test]
    fn nothing_set_is_rollback_and_what_was_set_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let share = DurableShare::new(folder.path());
        assert_eq!(share.read().unwrap(), Percent::ROLLBACK);
        let five = Percent::try_from(5).unwrap();
        share.write(five).unwrap();
        assert_eq!(share.read().unwrap(), five);
        assert_eq!(fs::read_to_string(&share.0).unwrap(), "{\"format\":1,\"percent_new\":5}\n");
    }

    #[test]
    fn a_newer_format_is_neither_read_nor_overwritten() {
        let newer = "{\"format\":2,\"shares\":[]}";
        let (_folder, share) = share_with(newer);
        let error = share.read().unwrap_err().to_string();
        assert!(error.ends_with("has format 2, this surestep knows 1"), "{error}");
        assert!(share.write(Percent::ROLLBACK).is_err());
        assert_eq!(fs::read_to_string(&share.0).unwrap(), newer);
    }

    #[test]
    fn a_broken_file_is_an_error_and_not_a_share() {
        for broken in ["", "{\"format\":1,", "{\"format\":1,\"percent_new\":101}"] {
            let (_folder, share) = share_with(broken);
            assert!(share.read().unwrap_err().to_string().ends_with("cannot be understood"));
        }
    }
}
