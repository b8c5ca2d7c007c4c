//! Which processes have a file open for writing: whose file it is, where its folder does not tell.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use drill::ports::FileId;

use crate::tree::MARK_VARIABLE;

/// Tells whether a process has a file open for writing. Of another user's process that cannot be known.
pub(crate) fn writes(pid: i32, file: FileId) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| {
        let is_it = fs::metadata(entry.path())
            .is_ok_and(|found| (found.dev(), found.ino()) == (file.device, file.inode));
        is_it && is_for_writing(pid, &entry.file_name().to_string_lossy())
    })
}

/// Tells whether a process that surestep has not started, and is not itself, has a file open for writing.
pub(crate) fn is_written_by_others(file: FileId) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let ourselves = std::process::id();
    let mark = format!("{MARK_VARIABLE}={ourselves}-");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
        .filter(|pid: &i32| u32::try_from(*pid) != Ok(ourselves) && writes(*pid, file))
        .any(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            !environment.split(|byte| *byte == 0).any(|one| one.starts_with(mark.as_bytes()))
        })
}

/// Reads the access mode out of a line such as `flags: 0100001`, which is octal: its last two bits are zero where nothing can be written.
fn is_for_writing(pid: i32, descriptor: &str) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")) else {
        return false;
    };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 3 != 0)
}
