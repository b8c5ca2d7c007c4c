//! Files as loggers and log rotation leave them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use tempfile::TempDir;

use super::*;

struct Bench {
    folder: TempDir,
    log: FileLog,
    position: u64,
}

impl Bench {
    fn new(pattern: &str, before: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in before {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let log = FileLog::from_its_end(folder.path().join(pattern));
        Self { folder, log, position: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// What came since the last time this was asked.
    #[track_caller]
    fn check(&mut self, text: &str, is_cut: bool) {
        let (bytes, end, cut) = self.log.since(self.position);
        self.position = end;
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), cut), (text, is_cut));
    }
}

#[test]
fn a_file_is_followed_from_its_end() {
    let mut bench = Bench::new("app.log", &[("app.log", "old\n")]);
    bench.check("", false);
    bench.append("app.log", "one\n");
    bench.check("one\n", false);
    bench.append("app.log", "two\n");
    bench.check("two\n", false);
    assert_eq!(bench.log.since(0).0, b"one\ntwo\n");
}

#[test]
fn a_file_that_comes_late_is_read_from_its_beginning() {
    let mut bench = Bench::new("app.log", &[]);
    bench.check("", false);
    bench.append("app.log", "one\n");
    bench.check("one\n", false);
}

#[test]
fn what_was_written_before_a_rename_is_still_read() {
    let mut bench = Bench::new("app.log", &[("app.log", "old\n")]);
    bench.append("app.log", "one\n");
    fs::rename(bench.path("app.log"), bench.path("app.log.1")).unwrap();
    bench.append("app.log", "two\n");
    bench.check("one\ntwo\n", false);
    // A writer that still has the old file open, and one more rotation.
    bench.append("app.log.1", "late\n");
    fs::rename(bench.path("app.log"), bench.path("app.log.2")).unwrap();
    fs::remove_file(bench.path("app.log.1")).unwrap();
    bench.check("late\n", false);
    bench.append("app.log", "three\n");
    bench.check("three\n", false);
}

#[test]
fn what_was_written_before_a_file_was_emptied_is_taken_from_its_copy() {
    let mut bench = Bench::new("app.log", &[("app.log", "old\n")]);
    bench.append("app.log", "one\n");
    bench.check("one\n", false);
    bench.append("app.log", "two\n");
    fs::copy(bench.path("app.log"), bench.path("app.log.1")).unwrap();
    OpenOptions::new().write(true).truncate(true).open(bench.path("app.log")).unwrap();
    bench.append("app.log", "3\n");
    bench.check("two\n3\n", false);
}

#[test]
fn the_copy_may_be_compressed() {
    let mut bench = Bench::new("app.log", &[]);
    bench.append("app.log", "one\n");
    bench.check("one\n", false);
    let file = fs::File::create(bench.path("app.log-20261122.gz")).unwrap();
    let mut zipped = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    zipped.write_all(b"one\ntwo\n").unwrap();
    zipped.finish().unwrap();
    OpenOptions::new().write(true).truncate(true).open(bench.path("app.log")).unwrap();
    bench.check("two\n", false);
}

#[test]
fn without_a_copy_an_emptied_file_is_cut() {
    let mut bench = Bench::new("app.log", &[]);
    bench.append("app.log", "one\n");
    bench.check("one\n", false);
    fs::write(bench.path("app.log"), "2\n").unwrap();
    bench.check("2\n", true);
}

#[test]
fn a_pattern_follows_all_its_files_once() {
    let mut bench = Bench::new("*.log*", &[("a.log", "old\n"), ("a.log.1", "older\n")]);
    bench.append("a.log", "one");
    bench.append("b.log", "other\n");
    bench.append("not-a-lo", "no\n");
    bench.check("one\nother\n", false);
    fs::rename(bench.path("a.log"), bench.path("a.log.2")).unwrap();
    bench.append("a.log", "two\n");
    bench.check("two\n", false);
}

#[test]
fn a_copy_that_fits_the_pattern_is_not_read_twice() {
    let mut bench = Bench::new("*.log*", &[("a.log", "old\n")]);
    bench.append("a.log", "one\n");
    bench.check("one\n", false);
    bench.append("a.log", "two\n");
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    fs::write(bench.path("a.log"), "3\n").unwrap();
    bench.check("two\n3\n", false);
}

#[test]
fn a_file_with_a_star_in_its_name_is_itself() {
    let mut bench = Bench::new("a*.log", &[("a*.log", "")]);
    bench.append("a*.log", "one\n");
    bench.append("ab.log", "no\n");
    bench.check("one\n", false);
}
