//! Who holds a lease, in words by which a dead process of this machine is known.

use std::fmt;
use std::fs;

/// Who holds a lease: a process, or a name.
///
/// A process is `boot/namespace/pid/start`: the machine's boot, the PID namespace, the number, and the time of its start, since
/// numbers are used again. Only where boot and namespace are our own can anything be said about a process; of another
/// machine's or container's we know nothing and wait for the lease's end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder(String);

impl Holder {
    /// Returns this process. Where the system does not tell (it is no Linux), a name with its number, which is never taken for
    /// dead.
    pub fn this_process() -> Self {
        let pid = std::process::id();
        match (place(), start_of(pid)) {
            (Some(place), Some(Some(start))) => Self(format!("{place}/{pid}/{start}")),
            _ => Self(format!("pid {pid}")),
        }
    }

    /// Takes any other name that is unique to the holder, for example of a CI job.
    pub fn named(name: &str) -> Self {
        Self(format!("name {name}"))
    }

    pub(super) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the text that is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether this is a process of this machine that is no more. When in doubt it lives.
    pub fn is_dead(&self) -> bool {
        let Some((place, process)) = place().zip(self.process()) else { return false };
        let (stored_place, pid, start) = process;
        stored_place == place
            && match start_of(pid) {
                Some(Some(now)) => now != start,
                Some(None) => true,
                None => false,
            }
    }

    /// Returns the place, the number and the start of a process.
    fn process(&self) -> Option<(&str, u32, u64)> {
        let (rest, start) = self.0.rsplit_once('/')?;
        let (place, pid) = rest.rsplit_once('/')?;
        Some((place, pid.parse().ok()?, start.parse().ok()?))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process() {
            Some((_, pid, _)) => write!(f, "process {pid}"),
            None => f.write_str(&self.0),
        }
    }
}

/// Returns where process numbers mean what they mean here: this boot, this PID namespace.
fn place() -> Option<String> {
    // Elsewhere than on Linux there is no such file: then no process is ever taken for dead.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_str()?))
}

/// Returns when a process started, in ticks since boot; `Some(None)` when there is none, or only what waits to be reaped;
/// `None` when it cannot be told.
fn start_of(pid: u32) -> Option<Option<u64>> {
    /// Fields behind the program's name, counted from 0, of `man 5 proc_pid_stat`.
    const STATE: usize = 0;
    const START: usize = 19;
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(None),
        // Hidden or gone in this moment: it may live.
        Err(_) => return None,
    };
    // The name stands in brackets and may itself hold brackets and spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    match *fields.get(STATE)? {
        "Z" | "X" | "x" => Some(None),
        _ => Some(fields.get(START)?.parse().ok()),
    }
}

/// Returns when a living process started.
#[cfg(test)]
pub(super) fn tests_start_of(pid: u32) -> u64 {
    start_of(pid).flatten().expect("the process lives, and /proc is there")
}
