//! Finds and ends every process that a release's process has started, also those that left its group or its session.
//!
//! A process belongs to a tree when it descends from the root, when it carries the tree's mark in its environment, or when it
//! is in the root's group. No single one is enough: orphans lose their ancestor, a clean environment loses the mark, and
//! `setsid` leaves the group.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cpu::CpuWaits;
use crate::process::Ended;

/// What a supervisor, like a shell, exits with when its program cannot be run.
pub(crate) const NOT_RUN: u8 = 127;

/// The variable that carries a tree's mark.
pub(crate) const MARK_VARIABLE: &str = "SURESTEP_PROCESS";

/// Rounds of looking and killing before giving up; between two, processes may fork. A tree that outruns this many is a fork
/// bomb that only a container can end.
const KILL_ROUNDS_MAX: u32 = 200;

/// What a tree's processes have in common.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// The first process; also the id of its group.
    pub(crate) root: Pid,
    /// The value of [`MARK_VARIABLE`].
    pub(crate) mark: OsString,
    /// Whether the root is a supervisor, which ends by itself when all others have, and passes their status on.
    pub(crate) supervised: bool,
}

/// Returns a mark that no other process has.
pub(crate) fn new_mark() -> OsString {
    let chance = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{}-{chance:016x}", std::process::id()).into()
}

/// What a supervisor that cannot run its program writes before the reason: the mark makes it nobody else's line.
pub(crate) fn not_run_prefix(mark: &OsStr) -> String {
    format!("surestep {}: not run: ", mark.display())
}

/// One process as `/proc` shows it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    parent: i32,
    group: i32,
    started: u64,
}

impl Tree {
    /// Returns why a program was never run, where its supervisor has said so on standard error.
    pub(crate) fn why_not_run(&self, ended: Ended, stderr: &str) -> Option<String> {
        if !self.supervised || ended != Ended::Exited(i32::from(NOT_RUN)) {
            return None;
        }
        let (_, said) = stderr.split_once(&not_run_prefix(&self.mark))?;
        said.lines().next().map(str::to_owned)
    }

    /// Sends a signal once to every process of the tree but a supervising root.
    pub(crate) fn signal(&self, signal: Signal) {
        self.signal_members(signal);
    }

    /// Kills every process of the tree but a supervising root, again until none is left.
    pub(crate) fn kill(&self) {
        for round in 0..KILL_ROUNDS_MAX {
            if self.signal_members(Signal::KILL) == 0 {
                return;
            }
            if round > 0 {
                // The killed ones need a moment to go.
                nap_ms(1);
            }
        }
    }

    /// Returns the tree's processes, and how long each of their threads has waited for a processor so far; none where the system does
    /// not tell.
    pub(crate) async fn cpu_waits(&self) -> (Vec<i32>, CpuWaits) {
        let tree = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let processes = list().unwrap_or_default();
            let members: Vec<i32> = tree.members(&processes).into_iter().collect();
            let waits = CpuWaits::of(members.iter().copied());
            (members, waits)
        });
        // A runtime that shuts down has no use for it.
        read.await.unwrap_or_default()
    }

    /// Kills everything, a supervising root included.
    pub(crate) fn kill_with_root(&self) {
        self.kill();
        signal_exactly(self.root, None, Signal::KILL);
    }

    /// Returns how many processes there were to signal.
    fn signal_members(&self, signal: Signal) -> usize {
        let Ok(processes) = list() else {
            // Without /proc there is still the group.
            return match rustix::process::kill_process_group(self.root, signal) {
                Ok(()) | Err(_) => 0,
            };
        };
        let members = self.members(&processes);
        for pid in &members {
            if let (Some(pid), Some(entry)) = (Pid::from_raw(*pid), processes.get(pid)) {
                signal_exactly(pid, Some(entry.started), signal);
            }
        }
        members.len()
    }

    fn members(&self, processes: &BTreeMap<i32, Entry>) -> BTreeSet<i32> {
        let root = self.root.as_raw_nonzero().get();
        let ourselves = rustix::process::getpid().as_raw_nonzero().get();
        let mut members: BTreeSet<i32> = processes
            .iter()
            .filter(|(pid, entry)| **pid == root || entry.group == root || self.is_marked(**pid))
            .map(|(pid, _)| *pid)
            .collect();
        loop {
            let children: Vec<i32> = processes
                .iter()
                .filter(|(pid, entry)| members.contains(&entry.parent) && !members.contains(pid))
                .map(|(pid, _)| *pid)
                .collect();
            if children.is_empty() {
                break;
            }
            members.extend(children);
        }
        members.remove(&ourselves);
        if self.supervised {
            members.remove(&root);
        }
        members
    }

    fn is_marked(&self, pid: i32) -> bool {
        // Unreadable: another user's process, or it has just gone. Neither is ours to end.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let wanted = [MARK_VARIABLE.as_bytes(), b"=", self.mark.as_bytes()].concat();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    }
}

/// Signals a process by a handle, after making sure that the handle is on the process that was looked at.
fn signal_exactly(pid: Pid, started: Option<u64>, signal: Signal) {
    let handle = pidfd_open(pid, PidfdFlags::empty());
    if let Some(started) = started
        && entry(pid.as_raw_nonzero().get()).is_none_or(|now| now.started != started)
    {
        return;
    }
    let sent = match handle {
        Ok(handle) => pidfd_send_signal(handle, signal),
        // No process handles here (an old kernel, a sandbox).
        Err(_) => rustix::process::kill_process(pid, signal),
    };
    match sent {
        // It may have gone in between, which is what we want.
        Ok(()) | Err(_) => {}
    }
}

/// Lists all processes but zombies.
fn list() -> std::io::Result<BTreeMap<i32, Entry>> {
    let mut processes = BTreeMap::new();
    for file in fs::read_dir("/proc")? {
        if let Some(pid) = file?.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(entry) = entry(pid)
        {
            processes.insert(pid, entry);
        }
    }
    Ok(processes)
}

fn entry(pid: i32) -> Option<Entry> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `pid (name) state parent group … started`; the name may hold blanks and parentheses.
fn parse(stat: &str) -> Option<Entry> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = behind_name.split(' ').collect();
    let state = *fields.first()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    Some(Entry {
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        // Field 22 of the file, the 20th behind the name.
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Waits a little where no event can be waited for.
pub(crate) fn nap_ms(milliseconds: i64) {
    let length = rustix::event::Timespec {
        tv_sec: milliseconds / 1000,
        tv_nsec: milliseconds % 1000 * 1_000_000,
    };
    // An interrupted nap is shorter, which its callers' loops bear.
    match rustix::event::poll(&mut [], Some(&length)) {
        Ok(_) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read() {
        let stat = "7 (a) R 1 (b) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9876 0";
        let entry = parse(stat).unwrap();
        assert_eq!((entry.parent, entry.group, entry.started), (3, 4, 9876));
    }

    #[test]
    fn zombies_are_no_members() {
        assert!(parse("7 (a) Z 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9876 0").is_none());
    }

    #[test]
    fn this_process_is_listed() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(list().unwrap().contains_key(&pid));
    }
}
