//! A release's process: how it is spawned, waited for and ended.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::environment::Variables;
use crate::tree::{MARK_VARIABLE, Tree, new_mark};

/// How long a killed process may take to be gone; longer only in the kernel's hands.
pub(crate) const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// What to spawn.
pub(crate) struct Spawn<'a> {
    pub(crate) words: &'a [String],
    pub(crate) directory: &'a Path,
    pub(crate) variables: &'a Variables,
    pub(crate) with_stdin: bool,
    pub(crate) supervisor: Option<&'a [OsString]>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(number) => write!(f, "signal {number}"),
        }
    }
}

/// A running process and all that it starts. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Process {
    tree: Tree,
    child: Child,
    stdin: Option<ChildStdin>,
    ended: Option<Ended>,
}

/// The reading ends of a process's output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

impl Process {
    /// Starts a process in a group of its own, marked, and supervised where there is a supervisor.
    pub(crate) fn spawn(spawn: &Spawn<'_>) -> io::Result<(Self, Output)> {
        let mark = new_mark();
        let mut words: Vec<OsString> = Vec::new();
        if let Some(supervisor) = spawn.supervisor {
            words.extend(supervisor.iter().cloned());
            words.extend([std::process::id().to_string().into(), mark.clone()]);
        }
        words.extend(spawn.words.iter().map(OsString::from));
        let (program, arguments) =
            words.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(spawn.variables)
            .env(MARK_VARIABLE, &mark)
            .current_dir(spawn.directory)
            .stdin(if spawn.with_stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let root = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let tree = Tree { root, mark, supervised: spawn.supervisor.is_some() };
        // From here on a failure drops the process, which kills it.
        let process = Self { tree, child, stdin, ended: None };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(io::Error::other("the process has no output"));
        };
        let output = Output {
            stdout: pipe::Receiver::from_owned_fd(stdout.into_owned_fd()?)?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into_owned_fd()?)?,
        };
        Ok((process, output))
    }

    /// Returns what to signal; its process may have ended.
    pub(crate) fn tree(&self) -> Tree {
        self.tree.clone()
    }

    /// Takes its standard input, where it has one.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Waits until it has ended. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> Ended {
        if let Some(ended) = self.ended {
            return ended;
        }
        let ended = match self.child.wait().await {
            Ok(status) => status.signal().map_or_else(
                || Ended::Exited(status.code().unwrap_or(i32::from(u8::MAX))),
                Ended::Signalled,
            ),
            // Somebody else has taken its status: what is sure is that it has gone.
            Err(_) => Ended::Exited(i32::from(u8::MAX)),
        };
        self.ended = Some(ended);
        ended
    }

    /// Asks all its processes to end, kills those that have not after `grace`, and waits.
    pub(crate) async fn end(&mut self, grace: Duration) {
        if self.ended.is_none() {
            on_blocking_thread({
                let tree = self.tree();
                move || tree.signal(Signal::TERM)
            })
            .await;
            if timeout(grace, self.wait()).await.is_err() {
                self.kill().await;
            }
        }
        self.sweep().await;
    }

    /// Kills what a process that has ended left behind. A supervisor has done that before it ended, unless it was killed.
    pub(crate) async fn sweep(&mut self) {
        let swept_already = self.tree.supervised
            && self.ended.is_some_and(|ended| ended != Ended::Signalled(Signal::KILL.as_raw()));
        if !swept_already {
            let tree = self.tree();
            on_blocking_thread(move || tree.kill()).await;
        }
    }

    async fn kill(&mut self) {
        let tree = self.tree();
        on_blocking_thread(move || tree.kill()).await;
        if timeout(KILLED_WITHIN, self.wait()).await.is_err() {
            let tree = self.tree();
            on_blocking_thread(move || tree.kill_with_root()).await;
            // Beyond this it is in the kernel's hands, with its signal pending; the runtime reaps it.
            if timeout(KILLED_WITHIN, self.wait()).await.is_err() {
                self.ended = Some(Ended::Signalled(Signal::KILL.as_raw()));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.tree.kill_with_root();
        }
    }
}

/// Reading all of `/proc` takes milliseconds on a busy machine: not on a thread that relays.
pub(crate) async fn on_blocking_thread(work: impl FnOnce() + Send + 'static) {
    // A runtime that shuts down refuses the work; `Drop` does it then.
    match tokio::task::spawn_blocking(work).await {
        Ok(()) | Err(_) => {}
    }
}
