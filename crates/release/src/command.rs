//! A one-shot command: a process for each ask, which is gone with all that it started when the ask is over.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contract::Mode;
use drill::ports::{Ask, Asked, LogPosition, Logged, PortError};
use drill::settings::{CommandRun, LogSource, OneShot, PromptBy, Release};
use evidence::Sensitive;
use judge::CrashKind;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::capture::{HeadAndTail, lock, read_available, read_to_end};
use crate::cpu::CpuWaits;
use crate::environment::{self, Variables};
use crate::log_files::FileLog;
use crate::logs::{Ring, is_cut};
use crate::mapped::text_at;
use crate::otlp::{Receiver, Token};
use crate::outcome::{Reply, crash_kind, crashed, timed_out};
use crate::placeholders::Placeholders;
use crate::process::{Ended, Output, Process, Spawn};
use crate::program;
use crate::tree::NOT_RUN;

/// Kept of standard output for the answer. The longest documented completions are below 1 MiB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Kept of each log at its beginning and at its end: an ask's log lines are few, a stack trace's end tells the most.
const LOG_HEAD_BYTES_MAX: usize = 512 * 1024;
const LOG_TAIL_BYTES_MAX: usize = 512 * 1024;

/// How long a process may take to end after it was asked to.
const END_GRACE: Duration = Duration::from_secs(1);

/// How long output may go on after the process has ended: a child that lives on and holds the pipe must not hold us.
const OUTPUT_AFTER_END: Duration = Duration::from_millis(200);

/// Exit statuses by which a shell says that a signal ended its command, for the signals of aborts and faults: ILL, TRAP, ABRT,
/// BUS, FPE, KILL (out of memory), SEGV, SYS. Others (INT, TERM, PIPE) are how programs are told to end.
const SHELL_CRASH_STATUSES: [i32; 8] = [132, 133, 134, 135, 136, 137, 139, 159];

/// A release that is a command.
pub(crate) struct Commands {
    run: CommandRun,
    release: Release,
    secrets: Vec<(String, Sensitive)>,
    own_environment: Variables,
    supervisor: Option<Vec<OsString>>,
    placeholders: Placeholders,
    /// What the processes behind a front have logged.
    front_logs: Mutex<Ring>,
    /// Where they export to, and the token of the next one.
    receiver: Option<Receiver>,
    next_token: AtomicU64,
}

impl Commands {
    pub(crate) fn new(
        run: CommandRun,
        release: Release,
        secrets: Vec<(String, Sensitive)>,
        own_environment: Variables,
        supervisor: Option<Vec<OsString>>,
        placeholders: Placeholders,
        receiver: Option<Receiver>,
    ) -> Self {
        Self {
            run,
            release,
            secrets,
            own_environment,
            supervisor,
            placeholders,
            front_logs: Mutex::default(),
            receiver,
            next_token: AtomicU64::new(0),
        }
    }

    /// Checks that the programs can be run at all.
    pub(crate) fn check(&self) -> Result<(), PortError> {
        let variables = self.variables(&self.placeholders);
        for one_shot in [&self.run.unary, &self.run.stream].into_iter().flatten() {
            let name = one_shot.command.first().map(|word| self.placeholders.expand(word));
            program::check(&name.unwrap_or_default(), &self.release.directory, &variables)
                .map_err(program::NotRunnable::into_port_error)?;
        }
        Ok(())
    }

    /// Runs the command for one ask.
    pub(crate) async fn ask(&self, ask: &Ask) -> Asked {
        let start = Instant::now();
        let one_shot = match ask.mode {
            Mode::Unary => &self.run.unary,
            Mode::Stream => &self.run.stream,
        };
        let Some(one_shot) = one_shot else {
            let how = format!("no {} command is configured", ask.mode.as_str());
            return Reply::refused(how).into_asked(start.elapsed());
        };
        let mut placeholders = self.placeholders.clone();
        placeholders.prompt = Some(ask.prompt.clone());
        if ask.tap.is_some() {
            placeholders.tap.clone_from(&ask.tap);
        }
        let mut variables = self.variables(&placeholders);
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        if let Some(receiver) = &self.receiver {
            receiver.expect(token);
            receiver.hand_over(token, &mut variables);
        }
        let words: Vec<String> =
            one_shot.command.iter().map(|word| placeholders.expand(word)).collect();
        let files = FileMarks::set(&self.release.logs);

        let spawned = program::check(
            words.first().map_or("", String::as_str),
            &self.release.directory,
            &variables,
        )
        .map_err(|hindrance| hindrance.what)
        .and_then(|_| {
            Process::spawn(&Spawn {
                words: &words,
                directory: &self.release.directory,
                variables: &variables,
                with_stdin: one_shot.prompt == PromptBy::StandardInput,
                supervisor: self.supervisor.as_deref(),
            })
            .map_err(|error| error.to_string())
        });
        let (mut process, output) = match spawned {
            Ok(spawned) => spawned,
            Err(what) => return never_ran(start.elapsed(), what),
        };
        let writer = process.take_stdin().map(|mut stdin| {
            let prompt = ask.prompt.clone();
            tokio::spawn(async move {
                // A command that does not read its prompt shows in what it answers.
                match stdin.write_all(prompt.expose().as_bytes()).await {
                    Ok(()) | Err(_) => {}
                }
            })
        });
        let capture = Capture::start(output);
        let ended = timeout_at(start + ask.deadline, process.wait()).await;
        let elapsed = start.elapsed();
        if let Ok(ended) = ended {
            capture.finish().await;
            process.sweep().await;
            let mut asked = match process.tree().why_not_run(ended, &capture.stderr().0) {
                Some(what) => never_ran(elapsed, what),
                None => judge_end(one_shot, ended, &capture, elapsed),
            };
            self.attach_logs(&mut asked, &capture, &files, token);
            stop_writing(writer);
            return asked;
        }
        let cpu_wait = process.tree().cpu_waits().await.1.longest_since(&CpuWaits::default());
        process.end(END_GRACE).await;
        capture.finish().await;
        stop_writing(writer);
        let mut asked = Asked { cpu_wait, ..timed_out(elapsed, capture.partial_answer(one_shot)) };
        self.attach_logs(&mut asked, &capture, &files, token);
        asked
    }

    /// Keeps the logs of an ask that came through a front, to be read by position.
    pub(crate) fn keep_front_logs(&self, logs: &Sensitive) {
        lock(&self.front_logs).push(logs.expose().as_bytes());
    }

    pub(crate) fn logs_since(&self, since: &LogPosition) -> Logged {
        let position = since.0.first().copied().unwrap_or_default();
        let (bytes, end) = lock(&self.front_logs).since(position);
        Logged {
            cut: is_cut(position, end, &bytes),
            text: Sensitive::new(String::from_utf8_lossy(&bytes)),
            end: LogPosition(vec![end]),
        }
    }

    /// Returns what the process of an ask exported.
    fn exported(&self, token: Token) -> (String, bool) {
        let Some(receiver) = &self.receiver else { return Default::default() };
        let (bytes, is_cut) = receiver.take(token);
        (String::from_utf8_lossy(&bytes).into_owned(), is_cut)
    }

    fn variables(&self, placeholders: &Placeholders) -> Variables {
        environment::build(&self.own_environment, &self.release, &self.secrets, placeholders)
    }

    fn attach_logs(&self, asked: &mut Asked, capture: &Capture, files: &FileMarks, token: Token) {
        let mut text = String::new();
        let mut cut = capture.answer_is_cut();
        for source in &self.release.logs {
            let (piece, piece_is_cut) = match source {
                LogSource::Stderr => capture.stderr(),
                LogSource::Stdout => capture.stdout_as_log(),
                LogSource::File(path) => files.since(path),
                LogSource::Otlp => self.exported(token),
            };
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&piece);
            cut |= piece_is_cut;
        }
        asked.logs = Some(Sensitive::new(text));
        asked.cut = cut;
        // Standard output is the answer, or what its user is shown.
        asked.beside = (!self.release.logs.contains(&LogSource::Stderr))
            .then(|| Sensitive::new(capture.stderr().0));
    }
}

fn stop_writing(writer: Option<JoinHandle<()>>) {
    if let Some(writer) = writer {
        writer.abort();
    }
}

/// It could be run when it was checked, so this is the end of a release, and no answer of it.
fn never_ran(elapsed: Duration, what: String) -> Asked {
    let how = CrashKind::Exited { status: i32::from(NOT_RUN) };
    let asked = crashed(elapsed, how, None);
    Asked { shown: Some(Sensitive::new(what)), ..asked }
}

fn judge_end(one_shot: &OneShot, ended: Ended, capture: &Capture, elapsed: Duration) -> Asked {
    match ended {
        Ended::Exited(0) => answer_of(one_shot, capture).into_asked(elapsed),
        Ended::Exited(status) if SHELL_CRASH_STATUSES.contains(&status) => {
            let how = CrashKind::Signal { number: status - 128 };
            crashed(elapsed, how, capture.partial_answer(one_shot))
        }
        Ended::Exited(_) => {
            let stdout = capture.stdout();
            Reply::refused(ended.to_string())
                .after(capture.partial_answer(one_shot))
                .showing((!stdout.trim().is_empty()).then_some(stdout))
                .into_asked(elapsed)
        }
        Ended::Signalled(_) => {
            crashed(elapsed, crash_kind(ended), capture.partial_answer(one_shot))
        }
    }
}

fn answer_of(one_shot: &OneShot, capture: &Capture) -> Reply {
    let stdout = capture.stdout();
    let Some(pointer) = &one_shot.answer_pointer else {
        return Reply::Answered(without_line_end(stdout));
    };
    let answer = serde_json::from_str::<Value>(stdout.trim())
        .ok()
        .and_then(|document| text_at(&document, pointer));
    match answer {
        Some(answer) => Reply::Answered(answer),
        None => Reply::refused(format!("no answer at {pointer}")).showing(Some(stdout)),
    }
}

/// The one line end behind the answer is the terminal's, not the answer's: an empty answer must show as empty.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// What one process writes.
#[derive(Debug)]
struct Capture {
    stdout: Captured<(HeadAndTail, HeadAndTail)>,
    stderr: Captured<HeadAndTail>,
}

#[derive(Debug)]
struct Captured<T> {
    pipe: Arc<pipe::Receiver>,
    kept: Arc<Mutex<T>>,
    reader: Mutex<Option<JoinHandle<()>>>,
    take: fn(&mut T, &[u8]),
}

impl<T: Send + 'static> Captured<T> {
    fn start(pipe: pipe::Receiver, kept: T, take: fn(&mut T, &[u8])) -> Self {
        let (pipe, kept) = (Arc::new(pipe), Arc::new(Mutex::new(kept)));
        let reader = tokio::spawn({
            let (pipe, kept) = (Arc::clone(&pipe), Arc::clone(&kept));
            async move { read_to_end(&pipe, &kept, take).await }
        });
        Self { pipe, kept, reader: Mutex::new(Some(reader)), take }
    }

    /// Reads what is left, for a limited time, and stops reading.
    async fn finish(&self, until: Instant) {
        let Some(mut reader) = lock(&self.reader).take() else { return };
        if timeout_at(until, &mut reader).await.is_err() {
            reader.abort();
            read_available(&self.pipe, &self.kept, self.take);
        }
    }
}

impl<T> Drop for Captured<T> {
    fn drop(&mut self) {
        if let Some(reader) = lock(&self.reader).take() {
            reader.abort();
        }
    }
}

impl Capture {
    fn start(output: Output) -> Self {
        let log = || HeadAndTail::new(LOG_HEAD_BYTES_MAX, LOG_TAIL_BYTES_MAX);
        Self {
            stdout: Captured::start(
                output.stdout,
                (HeadAndTail::new(ANSWER_BYTES_MAX, 0), log()),
                |(answer, log), bytes| {
                    answer.push(bytes);
                    log.push(bytes);
                },
            ),
            stderr: Captured::start(output.stderr, log(), HeadAndTail::push),
        }
    }

    async fn finish(&self) {
        let until = Instant::now() + OUTPUT_AFTER_END;
        self.stdout.finish(until).await;
        self.stderr.finish(until).await;
    }

    fn stdout(&self) -> String {
        lock(&self.stdout.kept).0.text()
    }

    fn answer_is_cut(&self) -> bool {
        lock(&self.stdout.kept).0.is_cut()
    }

    fn stdout_as_log(&self) -> (String, bool) {
        let kept = lock(&self.stdout.kept);
        (kept.1.text(), kept.1.is_cut())
    }

    fn stderr(&self) -> (String, bool) {
        let kept = lock(&self.stderr.kept);
        (kept.text(), kept.is_cut())
    }

    /// What stands on standard output of a command that did not end well; a half document has no answer to point at.
    fn partial_answer(&self, one_shot: &OneShot) -> Option<String> {
        let stdout = self.stdout();
        (one_shot.answer_pointer.is_none() && !stdout.trim().is_empty()).then_some(stdout)
    }
}

/// Where log files ended when an ask began.
#[derive(Debug)]
struct FileMarks(Vec<(PathBuf, FileLog)>);

impl FileMarks {
    fn set(sources: &[LogSource]) -> Self {
        Self(
            sources
                .iter()
                .filter_map(|source| match source {
                    LogSource::File(path) => {
                        Some((path.clone(), FileLog::from_its_end(path.clone())))
                    }
                    LogSource::Stderr | LogSource::Stdout | LogSource::Otlp => None,
                })
                .collect(),
        )
    }

    fn since(&self, wanted: &std::path::Path) -> (String, bool) {
        self.0.iter().find(|(path, _)| path == wanted).map_or_else(Default::default, |(_, log)| {
            let (bytes, _, cut) = log.since(0);
            (String::from_utf8_lossy(&bytes).into_owned(), cut)
        })
    }
}
