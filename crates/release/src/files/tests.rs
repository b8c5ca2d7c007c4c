//! What counts as changed, what of it is new, and what is never opened.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn append(folder: &Path, name: &str, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(folder.join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn list(folder: &TempDir, left_out: &[&str]) -> Files {
    Files::list(Folders {
        of_releases: vec![folder.path().to_owned()],
        left_out: left_out.iter().map(|name| folder.path().join(name)).collect(),
    })
}

/// Returns path, new text and earlier text of what has changed.
fn changed(files: &mut Files) -> Vec<(String, String, String)> {
    let found = files.changed();
    assert_eq!(found.not_read, Vec::<String>::new());
    let text = |text: &Sensitive| text.expose().to_owned();
    let mut found: Vec<_> = found
        .files
        .iter()
        .map(|file| (file.path.clone(), text(&file.fresh), text(&file.old)))
        .collect();
    found.sort();
    found
}

#[track_caller]
fn assert_changed(files: &mut Files, expected: &[(&str, &str, &str)]) {
    let own = |(path, fresh, old): &(&str, &str, &str)| {
        ((*path).to_owned(), (*fresh).to_owned(), (*old).to_owned())
    };
    assert_eq!(changed(files), expected.iter().map(own).collect::<Vec<_>>());
}

#[test]
fn new_and_changed_files_are_read() {
    let folder = folder(&[("app.py", "source"), ("state.json", "{}"), ("a.log", "before\n")]);
    let mut files = list(&folder, &[]);
    assert_changed(&mut files, &[]);
    write(folder.path(), "cache/one.json", "new");
    write(folder.path(), "state.json", "{1}");
    append(folder.path(), "a.log", "behind\n");
    assert_changed(
        &mut files,
        &[
            ("a.log", "behind\n", "before\n"),
            ("cache/one.json", "new", ""),
            ("state.json", "{1}", ""),
        ],
    );
    // What was read is not read again.
    append(folder.path(), "a.log", "last\n");
    assert_changed(&mut files, &[("a.log", "last\n", "")]);
}

#[test]
fn log_that_was_written_anew_is_all_of_this_run() {
    let folder = folder(&[("a.log", "before\n")]);
    let mut files = list(&folder, &[]);
    write(folder.path(), "a.log", "begun anew, and longer\n");
    assert_changed(&mut files, &[("a.log", "begun anew, and longer\n", "")]);
}

#[test]
fn rotated_log_is_known_by_its_inode() {
    let folder = folder(&[("a.log", "before\n")]);
    let mut files = list(&folder, &[]);
    append(folder.path(), "a.log", "behind\n");
    fs::rename(folder.path().join("a.log"), folder.path().join("a.log.1")).unwrap();
    write(folder.path(), "a.log", "next\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"packed\n").unwrap();
    fs::write(folder.path().join("a.log.2.gz"), packed.finish().unwrap()).unwrap();
    assert_changed(
        &mut files,
        &[
            ("a.log", "next\n", ""),
            ("a.log.1", "behind\n", "before\n"),
            ("a.log.2.gz", "packed\n", ""),
        ],
    );
}

#[test]
fn what_is_no_releases_is_left_out() {
    let folder = folder(&[]);
    let mut files = list(&folder, &["own.log", "logs/*.log"]);
    for name in [
        "own.log",
        "logs/a.log",
        ".git/index",
        ".surestep/ledger.db",
        "node_modules/.cache/x.json",
        "lib/__pycache__/a.pyc",
        "target/debug/a",
    ] {
        write(folder.path(), name, "x");
    }
    write(folder.path(), "target/CACHEDIR.TAG", "x");
    write(folder.path(), "py/pyvenv.cfg", "x");
    write(folder.path(), "logs/a.txt", "x");
    assert_changed(&mut files, &[("logs/a.txt", "x", "")]);
}

#[test]
fn links_and_pipes_are_not_opened() {
    let outside = folder(&[("secret.log", "outside")]);
    let folder = folder(&[]);
    let mut files = list(&folder, &[]);
    symlink(outside.path().join("secret.log"), folder.path().join("a.log")).unwrap();
    symlink(outside.path(), folder.path().join("logs")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("b.log")).status();
    assert!(pipe.unwrap().success());
    assert_changed(&mut files, &[]);
    // Nor what was put in the place of a file that was met.
    write(folder.path(), "c.log", "inside");
    let path = folder.path().join("c.log");
    let found = fs::metadata(&path).unwrap();
    let met = Met {
        root: 0,
        path: path.clone(),
        id: id_of(&found),
        size: found.len(),
        modified: (0, 0),
        mode: 0,
    };
    assert!(open(&met).is_some());
    fs::remove_file(&path).unwrap();
    symlink(outside.path().join("secret.log"), &path).unwrap();
    assert!(open(&met).is_none());
}

#[test]
fn folders_that_are_one_or_lie_in_each_other_are_read_once() {
    let folder = folder(&[("new/app.py", "x"), ("app.py", "x")]);
    let inner = folder.path().join("new");
    let of_releases = vec![folder.path().to_owned(), inner.clone(), inner.join(".")];
    let mut files = Files::list(Folders { of_releases, left_out: Vec::new() });
    write(&inner, "a.log", "x");
    write(folder.path(), "b.log", "x");
    let mut found: Vec<_> =
        files.changed().files.into_iter().map(|file| (file.path, file.folders)).collect();
    found.sort();
    assert_eq!(found, [("a.log".to_owned(), vec![1, 2]), ("b.log".to_owned(), vec![0])]);
}

#[test]
fn large_file_is_read_in_part_and_that_is_said() {
    let folder = folder(&[]);
    let mut files = list(&folder, &[]);
    let half = usize::try_from(FILE_BYTES_MAX / 2).unwrap();
    let text = format!("begin{}end", "x".repeat(2 * half));
    write(folder.path(), "a.log", &text);
    let found = files.changed();
    let read = found.files[0].fresh.expose();
    assert_eq!(read.len(), 2 * half);
    assert!(read.starts_with("begin") && read.ends_with("end"));
    assert_eq!(
        found.not_read,
        [
            "of 1 files only the beginning and the end, as they are larger than 4 MiB or than what was left of 32 MiB"
        ]
    );
}

#[test]
fn more_files_than_are_read_are_counted() {
    let folder = folder(&[]);
    let mut files = list(&folder, &[]);
    for n in 0..FILES_MAX + 2 {
        write(folder.path(), &format!("{n}.json"), "x");
    }
    let found = files.changed();
    assert_eq!(found.files.len(), FILES_MAX);
    assert_eq!(
        found.not_read,
        ["2 changed files not at all: a thousand files, 32 MiB and 3s are the bounds"]
    );
}

#[test]
fn file_that_we_have_open_is_held_by_no_other() {
    let folder = folder(&[("a.log", "x")]);
    let open = fs::OpenOptions::new().append(true).open(folder.path().join("a.log")).unwrap();
    let id = id_of(&open.metadata().unwrap());
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(holders::writes(own, id));
    assert!(!holders::is_written_by_others(id));
    let other = std::process::Command::new("sleep").arg("60").stdout(open).spawn();
    let mut other = other.unwrap();
    assert!(!holders::writes(own, id));
    assert!(holders::is_written_by_others(id));
    other.kill().unwrap();
    other.wait().unwrap();
}
