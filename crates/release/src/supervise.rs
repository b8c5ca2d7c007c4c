//! The process between surestep and a release's process: it outlives a killed surestep just long enough to end the release.
//!
//! It adopts every orphan of the release's process (subreaper), so it knows when really all have gone, and passes on the exit
//! status. It starts no runtime and reads no configuration: a few milliseconds for each ask.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getppid, getrlimit,
    kill_process, pidfd_open, set_child_subreaper, setrlimit, wait,
};

use crate::tree::{NOT_RUN, Tree, nap_ms, not_run_prefix};

/// How long processes that outlive their starter may take to end by themselves: `tee` behind a log needs a moment.
const LEFT_BEHIND_GRACE_MS: i64 = 200;

/// How often it is looked whether they have.
const LEFT_BEHIND_POLL_MS: i64 = 2;

/// How often the starter is looked for where its end cannot be waited for.
const PARENT_POLL_MS: i64 = 100;

/// Set once the starter has gone: what is reaped afterwards was killed by us.
static PARENT_GONE: AtomicBool = AtomicBool::new(false);

/// Runs `words` (the id of the surestep process, the mark, the program, its arguments) and ends it when surestep ends.
///
/// For the hidden subcommand named by [`RunnerConfig::supervisor`](crate::RunnerConfig): call it first thing in `main`, before
/// any thread or runtime exists, and return what it returns. Ends with the program's status, or by the signal that ended it.
pub fn supervise(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words = words.into_iter();
    let (Some(parent), Some(mark), Some(program)) =
        (words.next().and_then(|word| to_pid(&word)), words.next(), words.next())
    else {
        return ExitCode::from(NOT_RUN);
    };
    // Before the child exists: an orphan must find us. Without it (an old kernel) the mark still finds orphans.
    match set_child_subreaper(Some(getpid())) {
        Ok(()) | Err(_) => {}
    }
    let child = match Command::new(&program).args(words).process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => {
            // With nobody to read it there is nobody to tell.
            match writeln!(std::io::stderr(), "{}{error}", not_run_prefix(&mark)) {
                Ok(()) | Err(_) => return ExitCode::from(NOT_RUN),
            }
        }
    };
    let Some(child) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return ExitCode::from(NOT_RUN);
    };
    let tree = Tree { root: getpid(), mark, supervised: true };
    let watched = tree.clone();
    let watcher = std::thread::Builder::new().spawn(move || end_with_parent(parent, &watched));
    if watcher.is_err() {
        tree.kill();
        return ExitCode::from(NOT_RUN);
    }
    let status = reap_until(child);
    reap_left_behind(&tree);
    pass_on(status)
}

fn to_pid(word: &OsStr) -> Option<Pid> {
    word.to_str()?.parse().ok().and_then(Pid::from_raw)
}

/// Waits for the end of the process that started us, then kills the tree; the other thread sees its children end.
fn end_with_parent(parent: Pid, tree: &Tree) {
    match pidfd_open(parent, PidfdFlags::empty()) {
        // Looked at after opening: the id cannot have passed to another process in between.
        Ok(handle) if getppid() == Some(parent) => loop {
            match poll(&mut [PollFd::new(&handle, PollFlags::IN)], None) {
                Ok(1..) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => break,
            }
        },
        Ok(_) | Err(Errno::SRCH) => {}
        // No process handles here (an old kernel, a sandbox): look now and then.
        Err(_) => {
            while getppid() == Some(parent) {
                nap_ms(PARENT_POLL_MS);
            }
        }
    }
    PARENT_GONE.store(true, Ordering::SeqCst);
    tree.kill();
}

fn reap_until(child: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => return Some(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Gives the child's leftovers a moment, then kills them; returns when no descendant is left.
fn reap_left_behind(tree: &Tree) {
    let mut waited_ms = 0;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            // No child left.
            Err(_) => return,
            Ok(None) => {
                if waited_ms >= LEFT_BEHIND_GRACE_MS || PARENT_GONE.load(Ordering::SeqCst) {
                    tree.kill();
                }
                nap_ms(LEFT_BEHIND_POLL_MS);
                waited_ms += LEFT_BEHIND_POLL_MS;
                if waited_ms >= 25 * LEFT_BEHIND_GRACE_MS {
                    // A process in the kernel's hands cannot be killed now; it has its signal and dies when it returns.
                    return;
                }
            }
        }
    }
}

fn pass_on(status: Option<WaitStatus>) -> ExitCode {
    let Some(status) = status else { return ExitCode::from(NOT_RUN) };
    if let Some(code) = status.exit_status() {
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    let number = status.terminating_signal().unwrap_or_default();
    if let Some(signal) = Signal::from_named_raw(number) {
        // One core file is enough, and it is not ours.
        match setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) }) {
            Ok(()) | Err(_) => {}
        }
        match kill_process(getpid(), signal) {
            Ok(()) | Err(_) => nap_ms(50),
        }
    }
    // Reached for signals that we ignore: the shell's convention.
    ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
}
