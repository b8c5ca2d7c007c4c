//! Log files that something else writes: made late, rotated, several under one pattern.
//!
//! A file is known by its inode, not by its name, and stays open: what was written to it before a rotation is still read when
//! another stands in its place, and a file that only got another name is not read twice. When a file shrinks, it was emptied in
//! place (`copytruncate`); what was written between our last look and that is taken from the copy beside it, also a compressed
//! one, and where there is none the log counts as cut.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::capture::lock;
use crate::logs::{Ring, is_cut};

/// Files under one pattern that are followed at once. More are no log of one release.
const FILES_MAX: usize = 64;

/// Read of one file at one look: what it got since the last one.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Files, one or as many as fit a pattern; read when asked, from where they ended when this was made.
#[derive(Debug)]
pub(crate) struct FileLog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Followed>,
    /// All that the files got, in the order in which it was found.
    ring: Ring,
    /// The file that wrote last: lines of two files do not run together.
    last: Option<Id>,
    cut: bool,
}

/// Device and inode.
type Id = (u64, u64);

#[derive(Debug)]
struct Followed {
    id: Id,
    path: PathBuf,
    file: File,
    /// Read up to here.
    offset: u64,
}

impl FileLog {
    /// Follows what the files get from now on. Those that are not there yet are read from their beginning.
    pub(crate) fn from_its_end(path: PathBuf) -> Self {
        let log = Self { path, state: Mutex::default() };
        let mut state = lock(&log.state);
        for path in log.matching() {
            state.open(path, |size| size);
        }
        drop(state);
        log
    }

    /// Returns all text since `position`, whether a part of it is lost, and the position of the end.
    pub(crate) fn since(&self, position: u64) -> (Vec<u8>, u64, bool) {
        let mut state = lock(&self.state);
        for path in self.matching() {
            state.open(path, |_| 0);
        }
        state.read_on();
        let (bytes, end) = state.ring.since(position);
        let is_cut = state.cut || is_cut(position, end, &bytes);
        (bytes, end, is_cut)
    }

    /// Returns the files that there are, in the order of their names.
    fn matching(&self) -> Vec<PathBuf> {
        let text = self.path.to_string_lossy();
        if !text.contains(['*', '?']) || self.path.exists() {
            return vec![self.path.clone()];
        }
        // What cannot be read as a pattern, or looked into, has no files.
        glob::glob(&text)
            .map_or_else(|_| Vec::new(), |found| found.flatten().take(FILES_MAX).collect())
    }
}

impl State {
    /// Opens a file that is not followed yet. A file that cannot be read gives no text, and logs without text are judged as such.
    fn open(&mut self, path: PathBuf, start: impl Fn(u64) -> u64) {
        let Ok(file) = File::open(&path) else { return };
        let Ok(found) = file.metadata() else { return };
        let id = (found.dev(), found.ino());
        if !found.is_file() {
            return;
        }
        if let Some(known) = self.files.iter_mut().find(|followed| followed.id == id) {
            known.path = path;
            return;
        }
        // What is compressed was read before it was.
        if is_compressed(&path) {
            return;
        }
        let is_copy = self.files.iter().any(|followed| is_copy(followed, &path));
        let offset = if is_copy { found.len() } else { start(found.len()) };
        if self.files.len() >= FILES_MAX {
            self.files.remove(0);
        }
        self.files.push(Followed { id, path, file, offset });
    }

    fn read_on(&mut self) {
        for followed in &mut self.files {
            let (bytes, is_whole) = followed.read_on();
            self.cut |= !is_whole;
            if bytes.is_empty() {
                continue;
            }
            if self.last.is_some_and(|last| last != followed.id) && !self.ring.ends_line() {
                self.ring.push(b"\n");
            }
            self.last = Some(followed.id);
            self.ring.push(&bytes);
        }
    }
}

impl Followed {
    /// Returns what the file got since the last look, and whether that is all of it.
    fn read_on(&mut self) -> (Vec<u8>, bool) {
        let (mut bytes, mut is_whole) = (Vec::new(), true);
        // A file that cannot be read any more keeps what it gave.
        let Ok(size) = self.file.metadata().map(|found| found.len()) else { return (bytes, true) };
        if size < self.offset {
            let copied = copied_away(&self.path, self.offset);
            is_whole = copied.is_some();
            bytes = copied.unwrap_or_default();
            self.offset = 0;
        }
        let mut fresh = Vec::new();
        if self.file.seek(SeekFrom::Start(self.offset)).is_ok()
            && (&self.file).take(READ_BYTES_MAX).read_to_end(&mut fresh).is_ok()
        {
            self.offset += u64::try_from(fresh.len()).unwrap_or(u64::MAX);
            bytes.append(&mut fresh);
        }
        (bytes, is_whole)
    }
}

/// Returns what stands behind `offset` in the newest copy of a file that was emptied in place.
fn copied_away(path: &Path, offset: u64) -> Option<Vec<u8>> {
    let newest = copies(path)
        .filter_map(|copy| Some((std::fs::metadata(&copy).ok()?.modified().ok()?, copy)))
        .max()?
        .1;
    let mut rest = Vec::new();
    let read = if is_compressed(&newest) {
        let mut file = flate2::read::MultiGzDecoder::new(File::open(&newest).ok()?);
        let skipped = io::copy(&mut (&mut file).take(offset), &mut io::sink()).ok()?;
        (skipped == offset).then(|| file.take(READ_BYTES_MAX).read_to_end(&mut rest))
    } else {
        let mut file = File::open(&newest).ok()?;
        let is_as_long = file.metadata().is_ok_and(|found| found.len() >= offset);
        file.seek(SeekFrom::Start(offset)).ok()?;
        is_as_long.then(|| file.take(READ_BYTES_MAX).read_to_end(&mut rest))
    };
    read?.ok()?;
    Some(rest)
}

/// Returns the files beside one that rotation may have named after it: `app.log.1`, `app.log-20261122.gz`, `app-1.log`.
fn copies(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    entries.into_iter().flatten().flatten().filter_map(move |entry| {
        let other = entry.file_name().to_string_lossy().into_owned();
        let is_named_after = other != name
            && [&name, &stem].iter().any(|start| {
                other.strip_prefix(start.as_str()).is_some_and(|rest| {
                    rest.starts_with(['.', '-', '_'])
                        && rest.contains(|c: char| c.is_ascii_digit() || c == 'o')
                })
            });
        is_named_after.then(|| entry.path())
    })
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "gz")
}

/// Tells whether a file that has just come up is the copy that was made of one that is followed, before that was emptied.
fn is_copy(followed: &Followed, path: &Path) -> bool {
    followed.file.metadata().is_ok_and(|found| found.len() < followed.offset)
        && copies(&followed.path).any(|copy| copy == path)
}

#[cfg(test)]
mod tests;
