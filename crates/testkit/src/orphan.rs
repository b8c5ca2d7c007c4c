//! Finds processes that a run has left behind, by a mark in their environment.

use std::fs;

/// The environment variable by which a run's processes are found; children inherit it.
pub const MARKER_VARIABLE: &str = "SURESTEP_TEST_RUN";

/// A process that still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Returns all running processes whose environment carries this marker. Zombies do not count: they wait for their parent only.
pub fn orphans(marker: &str) -> Vec<Orphan> {
    let wanted = format!("{MARKER_VARIABLE}={marker}").into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid: u32| {
            // A process that ends while we look, or belongs to somebody else, is none of ours.
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let marked = environment.split(|byte| *byte == 0).any(|variable| variable == wanted);
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            marked.then(|| Orphan {
                pid,
                command: String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::clock::wait_until;

    #[test]
    fn marked_process_is_found_until_it_ends() {
        let marker = format!("orphan-test-{}", std::process::id());
        let mut child =
            Command::new("sleep").arg("60").env(MARKER_VARIABLE, &marker).spawn().unwrap();
        assert!(wait_until(Duration::from_secs(5), || {
            orphans(&marker)
                .iter()
                .any(|orphan| orphan.pid == child.id() && orphan.command == "sleep 60")
        }));
        assert_eq!(orphans("another-marker"), vec![]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(orphans(&marker), vec![]);
    }
}
