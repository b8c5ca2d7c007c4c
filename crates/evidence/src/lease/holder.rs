//! Who holds a lease, in words by which a dead process of this machine is known.

use std::{fmt, fs};

use jiff::Timestamp;

/// What `/proc` counts times in (`USER_HZ`): the same on every Linux, whatever its kernel's own beat.
const TICKS_PER_SECOND: u64 = 100;

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
            (Some(place), Process::Since(start)) => Self(format!("{place}/{pid}/{start}")),
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
                Process::Since(now) => now != start,
                Process::Gone => true,
                Process::Unknown => false,
            }
    }

    /// Returns the number of a process of this boot and namespace: one that can be ended from here.
    pub fn pid_here(&self) -> Option<u32> {
        let (stored_place, pid, _) = self.process()?;
        (place()? == stored_place).then_some(pid)
    }

    /// Returns since when a process of this boot and namespace runs, to the second.
    pub fn since(&self) -> Option<Timestamp> {
        self.pid_here()?;
        let (_, _, start) = self.process()?;
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot =
            stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let since_boot = i64::try_from(start / TICKS_PER_SECOND).ok()?;
        Timestamp::from_second(since_boot.checked_add(boot)?).ok()
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

/// What can be told of a process number.
enum Process {
    /// It lives since then, in ticks since boot.
    Since(u64),
    /// There is none, or only what waits to be reaped.
    Gone,
    /// It cannot be told.
    Unknown,
}

fn start_of(pid: u32) -> Process {
    /// Fields behind the program's name, counted from 0, of `man 5 proc_pid_stat`.
    const STATE: usize = 0;
    const START: usize = 19;
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Process::Gone,
        // Hidden or gone in this moment: it may live.
        Err(_) => return Process::Unknown,
    };
    // The name stands in brackets and may itself hold brackets and spaces.
    let fields = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    match (fields.get(STATE), fields.get(START).map(|start| start.parse())) {
        (Some(&("Z" | "X" | "x")), _) => Process::Gone,
        (Some(_), Some(Ok(start))) => Process::Since(start),
        _ => Process::Unknown,
    }
}

/// Returns when a living process started.
#[cfg(test)]
pub(super) fn tests_start_of(pid: u32) -> u64 {
    match start_of(pid) {
        Process::Since(start) => start,
        Process::Gone | Process::Unknown => panic!("the process lives, and /proc is there"),
    }
}
