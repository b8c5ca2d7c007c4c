//! A written project: runs surestep in it, and looks for what must not be left behind.

use std::fmt;
use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clock::{Limit, wait_until};
use crate::leak::{Leak, Needle, scan_bytes, scan_folder};
use crate::orphan::{MARKER_VARIABLE, Orphan, orphans};

/// How long a run that was told to end may take to do so.
const END: Duration = Duration::from_secs(10);

/// A folder with a `surestep.yaml`, and the secrets that it refers to in another one.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
    secrets: TempDir,
    marker: String,
    keys: Vec<String>,
    route_port: u16,
}

impl Project {
    pub(crate) fn new(
        folder: TempDir,
        secrets: TempDir,
        marker: String,
        keys: Vec<String>,
        route_port: u16,
    ) -> Self {
        Self { folder, secrets, marker, keys, route_port }
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the secrets; it is no part of what must hold no secret.
    pub fn secrets(&self) -> &Path {
        self.secrets.path()
    }

    /// Returns the user-facing port.
    pub fn route_port(&self) -> u16 {
        self.route_port
    }

    /// Returns what every process of this project carries in [`MARKER_VARIABLE`].
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Runs surestep in the folder and waits for its end, but not longer than `limit`.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn run(&self, surestep: &Path, arguments: &[&str], limit: Duration) -> Finished {
        let clock = Limit::starting_now(limit);
        let mut child = self.spawn(surestep, arguments);
        let stdout = collect(child.stdout.take().expect("standard output is piped"));
        let stderr = collect(child.stderr.take().expect("standard error is piped"));
        let in_time = wait_until(limit, || matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
        if !in_time {
            signal(&child, rustix::process::Signal::TERM);
            if !wait_until(END, || matches!(child.try_wait(), Ok(Some(_)) | Err(_))) {
                signal(&child, rustix::process::Signal::KILL);
            }
        }
        let status = child.wait().expect("a child of ours can be waited for");
        Finished {
            exit_code: if in_time { status.code() } else { None },
            signal: status.signal(),
            in_time,
            elapsed: clock.elapsed(),
            stdout: finish(stdout),
            stderr: finish(stderr),
        }
    }

    /// Starts surestep in the folder, in a process group of its own, with its output piped. Whoever starts it ends it.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn spawn(&self, surestep: &Path, arguments: &[&str]) -> Child {
        Command::new(surestep)
            .args(arguments)
            .current_dir(self.folder())
            .env(MARKER_VARIABLE, &self.marker)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", surestep.display()))
    }

    /// Returns the processes of this project that still run, after a moment in which ending ones may end.
    pub fn orphans(&self) -> Vec<Orphan> {
        wait_until(Duration::from_secs(2), || orphans(&self.marker).is_empty());
        orphans(&self.marker)
    }

    /// Returns where the project's credentials, or these further needles, stand in its files or in what a run wrote.
    pub fn leaks(&self, finished: &Finished, further: &[Needle]) -> Vec<Leak> {
        let mut leaks = self.leaks_on_disk(further);
        let needles = self.needles(further);
        leaks.extend(scan_bytes("standard output", &finished.stdout, &needles));
        leaks.extend(scan_bytes("standard error", &finished.stderr, &needles));
        leaks
    }

    /// Returns where the project's credentials, or these further needles, stand in its files.
    ///
    /// # Panics
    ///
    /// When a file of the project cannot be read: what was not looked at is not clean.
    pub fn leaks_on_disk(&self, further: &[Needle]) -> Vec<Leak> {
        scan_folder(self.folder(), &self.needles(further))
            .expect("the files of a finished run can be read")
    }

    fn needles(&self, further: &[Needle]) -> Vec<Needle> {
        self.keys
            .iter()
            .map(|key| Needle::new("credential", key))
            .chain(further.iter().cloned())
            .collect()
    }
}

/// A run of surestep that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it or the limit did.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it ended within the limit.
    pub in_time: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// What it wrote on standard output.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Returns standard output as one JSON document.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on standard output ({error}): {self}"))
    }

    /// Returns each failing or ambiguous finding as `(code, release, probe)`, without doubles; empty texts where there is none.
    pub fn blocking_findings(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        collect_findings(&self.json(), &mut found);
        found.sort();
        found.dedup();
        found
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "exit code {:?}, signal {:?}, in time: {}, {:?}",
            self.exit_code, self.signal, self.in_time, self.elapsed
        )?;
        writeln!(f, "--- standard output\n{}", String::from_utf8_lossy(&self.stdout))?;
        write!(f, "--- standard error\n{}", String::from_utf8_lossy(&self.stderr))
    }
}

fn collect_findings(value: &Value, found: &mut Vec<(String, String, String)>) {
    match value {
        Value::Object(fields) => {
            let text =
                |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            if matches!(text("severity").as_str(), "fail" | "ambiguous") && !text("code").is_empty()
            {
                found.push((text("code"), text("release"), text("probe")));
            }
            fields.values().for_each(|value| collect_findings(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_findings(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has given what it had.
        pipe.read_to_end(&mut bytes).ok();
        bytes
    })
}

fn finish(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    // A left-over child may hold the pipe open for ever: that is the orphan check's business, and no reason to hang here.
    if wait_until(END, || reader.is_finished()) {
        reader.join().expect("reading a pipe does not panic")
    } else {
        Vec::new()
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in between.
        rustix::process::kill_process_group(group, signal).ok();
    }
}
