//! The files that releases make or change in their own folders while a run goes on.
//!
//! What lies there is listed before a release is started, and looked at again when it has been asked: a file counts when it is new, or
//! when its size or its time of change is another. It is known by its inode, so that one which only got another name has not changed. Of
//! a log that was added to, what was there before is told apart, by a digest of its last bytes; any other file that changed may
//! have been written anew, and counts as a whole.
//!
//! Nothing here may cost a run much, and a release must not lead us anywhere: every number has a bound, a bound that was met is said,
//! and no link is followed.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drill::ports::{ChangedFile, ChangedFiles, FileId, Folders};
use evidence::Sensitive;
use judge::judging::FileKind;
use rustix::fs::{Mode, OFlags};
use tokio::time::Instant;
use walkdir::{DirEntry, WalkDir};

pub(crate) mod holders;

/// With more in it a folder is no release's own: a home, or a disk of data.
const ENTRIES_MAX: usize = 100_000;

/// How long one walk may take: a hundred thousand entries take a second where a disk is slow.
const WALK_WITHIN: Duration = Duration::from_secs(3);

/// How long reading may take.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// Files that are read: who writes more has a cache, of which these show what is in it.
const FILES_MAX: usize = 1_000;

/// Read of one file: as much as is kept of a log.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Read of all files.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Logs whose end is remembered, and how much of it: two logs do not end in the same page.
const TAILS_MAX: usize = 256;
const TAIL_BYTES: u64 = 4 * 1024;

/// Folders of tools and of libraries, and surestep's own: what lies there is none of a release's data.
const LEFT_OUT: [&str; 14] = [
    ".git",
    ".hg",
    ".svn",
    ".surestep",
    ".idea",
    ".vscode",
    ".venv",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "node_modules",
    "site-packages",
];

/// The files of a run's releases as they were when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Files {
    roots: Vec<Root>,
    left_out: Vec<PathBuf>,
    ids_left_out: HashSet<FileId>,
    listed: HashMap<FileId, Listed>,
    /// Why nothing can be told from what was there before.
    not_listed: Option<String>,
}

/// A folder, and which of the folders that were named it is.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    named: Vec<usize>,
}

/// What is remembered of a file.
#[derive(Clone, Copy, Debug)]
struct Listed {
    size: u64,
    modified: (i64, i64),
    /// A digest of the end, of a log.
    tail: Option<u64>,
    /// Whether what it holds has been returned before.
    was_read: bool,
}

/// A file that was met on a walk.
struct Met {
    root: usize,
    path: PathBuf,
    id: FileId,
    size: u64,
    modified: (i64, i64),
    mode: u32,
}

impl Files {
    /// Lists what there is.
    pub(crate) fn list(folders: Folders) -> Self {
        let mut files = Self { left_out: folders.left_out, ..Self::default() };
        for (index, folder) in folders.of_releases.iter().enumerate() {
            // What is not there will be said by the release's start.
            let Ok(path) = folder.canonicalize() else { continue };
            match files.roots.iter_mut().find(|root| root.path == path) {
                Some(known) => known.named.push(index),
                None => files.roots.push(Root { path, named: vec![index] }),
            }
        }
        files.learn_left_out();
        match files.walk() {
            Ok(met) => {
                let mut tails = 0;
                for one in met {
                    let tail = (tails < TAILS_MAX && files.is_log(&one))
                        .then(|| tail_of(&one, one.size))
                        .flatten();
                    tails += usize::from(tail.is_some());
                    files.remember(&one, tail, false);
                }
            }
            Err(why) => files.not_listed = Some(why),
        }
        files
    }

    /// Returns what has changed since, and remembers it.
    pub(crate) fn changed(&mut self) -> ChangedFiles {
        if let Some(why) = &self.not_listed {
            return ChangedFiles { files: Vec::new(), not_read: vec![why.clone()] };
        }
        self.learn_left_out();
        let mut changed = match self.walk() {
            Ok(met) => met,
            Err(why) => return ChangedFiles { files: Vec::new(), not_read: vec![why] },
        };
        changed.retain(|met| met.size > 0 && self.has_changed(met));
        // Logs and what is small first: where not all can be read, these tell the most.
        changed.sort_by_cached_key(|met| (!self.is_log(met), met.size, met.path.clone()));
        let mut reading = Reading::new();
        let mut found = ChangedFiles::default();
        for met in changed {
            if reading.is_over() {
                reading.n_left += 1;
                continue;
            }
            if let Some((file, tail)) = self.read(&met, &mut reading) {
                found.files.push(file);
                self.remember(&met, tail, true);
            }
        }
        found.not_read = reading.said();
        found
    }

    /// Walks all folders. `Err` says which bound was met.
    fn walk(&self) -> Result<Vec<Met>, String> {
        let until = Instant::now() + WALK_WITHIN;
        let mut met = Vec::new();
        let mut n_entries = 0;
        for (index, root) in self.roots.iter().enumerate() {
            let is_other =
                |path: &Path| self.roots.iter().any(|r| r.path != root.path && r.path == path);
            let walk = WalkDir::new(&root.path).into_iter();
            // What cannot be looked into has nothing that we could read.
            for entry in walk
                .filter_entry(|entry| may_hold_files(entry) && !is_other(entry.path()))
                .filter_map(Result::ok)
            {
                n_entries += 1;
                if n_entries > ENTRIES_MAX {
                    return Err(format!(
                        "no file was searched: more than {ENTRIES_MAX} lie in the folder"
                    ));
                }
                if n_entries % 1_024 == 0 && Instant::now() > until {
                    return Err(format!(
                        "no file was searched: the folder could not be listed within {WALK_WITHIN:?}"
                    ));
                }
                if !entry.file_type().is_file() {
                    continue;
                }
                let Ok(found) = entry.metadata() else { continue };
                let id = id_of(&found);
                if !self.ids_left_out.contains(&id) {
                    met.push(Met {
                        root: index,
                        path: entry.into_path(),
                        id,
                        size: found.len(),
                        modified: (found.mtime(), found.mtime_nsec()),
                        mode: found.mode(),
                    });
                }
            }
        }
        Ok(met)
    }

    /// Looks for what is left out, also where it has come up meanwhile or got another name.
    fn learn_left_out(&mut self) {
        for path in &self.left_out {
            let text = path.to_string_lossy();
            let is_pattern = text.contains(['*', '?']) && !path.exists();
            let matching = if is_pattern { glob::glob(&text).ok() } else { None };
            let paths = matching.into_iter().flatten().flatten().take(ENTRIES_MAX);
            for path in paths.chain((!is_pattern).then(|| path.clone())) {
                if let Ok(found) = path.metadata() {
                    self.ids_left_out.insert(id_of(&found));
                }
            }
        }
    }

    fn has_changed(&self, met: &Met) -> bool {
        self.listed
            .get(&met.id)
            .is_none_or(|known| (known.size, known.modified) != (met.size, met.modified))
    }

    fn is_log(&self, met: &Met) -> bool {
        FileKind::of(&self.name(met)) == FileKind::Log
    }

    fn name(&self, met: &Met) -> String {
        let root = self.roots.get(met.root).map_or(Path::new(""), |root| &root.path);
        met.path.strip_prefix(root).unwrap_or(&met.path).to_string_lossy().into_owned()
    }

    fn remember(&mut self, met: &Met, tail: Option<u64>, was_read: bool) {
        let listed = Listed { size: met.size, modified: met.modified, tail, was_read };
        self.listed.insert(met.id, listed);
    }

    /// Reads a file, and a digest of its end.
    fn read(&self, met: &Met, reading: &mut Reading) -> Option<(ChangedFile, Option<u64>)> {
        let mut file = open(met)?;
        let known = self.listed.get(&met.id).copied();
        // What a log held before is told apart only where it was not written anew.
        let before = known.filter(|known| {
            known.size < met.size && known.tail.is_some() && known.tail == tail_of(met, known.size)
        });
        let start = before.map_or(0, |known| known.size);
        let fresh = reading.take(&mut file, start, met.size)?;
        let old = match before {
            Some(known) if !known.was_read => {
                let from = known.size.saturating_sub(FILE_BYTES_MAX);
                reading.take(&mut file, from, known.size).unwrap_or_default()
            }
            Some(_) | None => Vec::new(),
        };
        let named = self.roots.get(met.root).map(|root| root.named.clone());
        let changed = ChangedFile {
            folders: named.unwrap_or_default(),
            path: self.name(met),
            id: met.id,
            is_private: met.mode & 0o077 == 0,
            fresh: Sensitive::new(String::from_utf8_lossy(&fresh)),
            old: Sensitive::new(String::from_utf8_lossy(&old)),
        };
        let tail = self.is_log(met).then(|| tail_of(met, met.size)).flatten();
        Some((changed, tail))
    }
}

/// What may still be read.
struct Reading {
    until: Instant,
    files_left: usize,
    bytes_left: u64,
    n_left: usize,
    n_cut: usize,
}

impl Reading {
    fn new() -> Self {
        Self {
            until: Instant::now() + READ_WITHIN,
            files_left: FILES_MAX,
            bytes_left: BYTES_MAX,
            n_left: 0,
            n_cut: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.files_left == 0 || self.bytes_left == 0 || Instant::now() > self.until
    }

    /// Reads from one place to another; of too much, the beginning and the end.
    fn take(&mut self, file: &mut File, start: u64, end: u64) -> Option<Vec<u8>> {
        let length = end.saturating_sub(start);
        let most = FILE_BYTES_MAX.min(self.bytes_left);
        let mut bytes = Vec::new();
        let is_read = if length <= most {
            read_at(file, start, length, &mut bytes)
        } else {
            self.n_cut += 1;
            read_at(file, start, most / 2, &mut bytes)
                .and_then(|()| read_at(file, end - most / 2, most / 2, &mut bytes))
        };
        // A file that cannot be read any more is one that was deleted or locked: there is nothing to be said of it.
        is_read.ok()?;
        self.files_left = self.files_left.saturating_sub(1);
        self.bytes_left =
            self.bytes_left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Some(unpacked(bytes))
    }

    fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.n_cut > 0 {
            said.push(format!(
                "of {} files only the beginning and the end, as they are larger than 4 MiB or than what was left of 32 MiB",
                self.n_cut
            ));
        }
        if self.n_left > 0 {
            said.push(format!(
                "{} changed files not at all: a thousand files, 32 MiB and {READ_WITHIN:?} are the bounds",
                self.n_left
            ));
        }
        said
    }
}

fn read_at(file: &mut File, start: u64, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    file.take(length).read_to_end(bytes).map(drop)
}

/// Unpacks what a rotation has compressed; what cannot be unpacked stays as it is.
fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    if !bytes.starts_with(&GZIP) {
        return bytes;
    }
    let mut text = Vec::new();
    let unpacking = flate2::read::MultiGzDecoder::new(bytes.as_slice());
    // What came before an error is as good.
    match unpacking.take(FILE_BYTES_MAX).read_to_end(&mut text) {
        Ok(_) | Err(_) => {}
    }
    if text.is_empty() { bytes } else { text }
}

/// Opens a file that was met, and no other one that stands in its place by now; waits for nobody.
fn open(met: &Met) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&met.path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    (found.is_file() && id_of(&found) == met.id).then_some(file)
}

/// Returns a digest of the bytes before a place.
fn tail_of(met: &Met, end: u64) -> Option<u64> {
    let mut bytes = Vec::new();
    let start = end.saturating_sub(TAIL_BYTES);
    read_at(&mut open(met)?, start, end - start, &mut bytes).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Some(hasher.finish())
}

fn id_of(found: &Metadata) -> FileId {
    FileId { device: found.dev(), inode: found.ino() }
}

fn may_hold_files(entry: &DirEntry) -> bool {
    if entry.depth() == 0 || !entry.file_type().is_dir() {
        return true;
    }
    let name = entry.file_name().to_string_lossy();
    let is_built = || name == "target" && entry.path().join("CACHEDIR.TAG").exists();
    let is_environment = || entry.path().join("pyvenv.cfg").exists();
    !LEFT_OUT.contains(&&*name) && !is_built() && !is_environment()
}

#[cfg(test)]
mod tests;
