//! A service: started once, ready before it is asked, its end noticed at once, its output read all the time.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drill::ports::{FileId, LogPosition, Logged, PortError};
use drill::settings::{Release, ServiceRun};
use evidence::Sensitive;
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::cpu::CpuWaits;
use crate::environment::{self, Variables};
use crate::files::holders;
use crate::http::{Http, Life};
use crate::logs::{LogSources, OutputLogs, PipeLog};
use crate::otlp::Receiver;
use crate::placeholders::Placeholders;
use crate::process::{Ended, KILLED_WITHIN, Process, Spawn, on_blocking_thread};
use crate::program;
use crate::tree::Tree;

/// Ports tried when the chosen one is taken before the service listens on it.
const PORTS_TRIED_MAX: u32 = 3;

/// The first wait between two looks at the ready path, and the longest: it grows by half each time.
const READY_POLL: Duration = Duration::from_millis(30);
const READY_POLL_MAX: Duration = Duration::from_millis(500);

/// A ready path that hangs is asked anew after this long.
const READY_ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long a service that has met errors may take until it calls itself ready again: a circuit breaker opens for some seconds.
const READY_AGAIN_WITHIN: Duration = Duration::from_secs(20);

/// How long a service may take to end after it was asked to.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Shown of a failed service's output: what fits a screen or two.
const SHOWN_BYTES_MAX: usize = 8 * 1024;

/// How long output may go on after the process has ended.
const OUTPUT_AFTER_END: Duration = Duration::from_millis(200);

/// What a service is started with.
#[derive(Clone, Copy)]
pub(crate) struct ServiceStart<'a> {
    pub(crate) run: &'a ServiceRun,
    pub(crate) release: &'a Release,
    pub(crate) secrets: &'a [(String, Sensitive)],
    pub(crate) own_environment: &'a Variables,
    pub(crate) supervisor: Option<&'a [OsString]>,
    pub(crate) placeholders: &'a Placeholders,
    pub(crate) http: &'a Http,
    pub(crate) receiver: Option<&'a Arc<Receiver>>,
}

/// A running service. Dropping it kills its processes.
#[derive(Debug)]
pub(crate) struct Service {
    tree: Tree,
    address: SocketAddr,
    ended: watch::Receiver<Option<Ended>>,
    logs: OutputLogs,
    sources: LogSources,
    /// Where it says that it is ready.
    ready: Option<String>,
    /// Its processes when it got ready.
    members: Vec<i32>,
    /// Where it exports to, as long as it runs.
    _receiver: Option<Arc<Receiver>>,
}

/// Why a service did not get ready, and what it answered last.
enum NotReady {
    Ended(Ended),
    TimedOut {
        last: String,
        /// How long one of its threads waited for a processor.
        starved: Duration,
    },
}

/// Waits for something as long as the service lives.
async fn unless_ended<T>(life: &Life, work: impl Future<Output = T>) -> Result<T, NotReady> {
    tokio::select! {
        biased;
        ended = life.ended() => Err(NotReady::Ended(ended)),
        done = work => Ok(done),
    }
}

/// Looks once whether a service says that it is ready; `Err` is what it says instead.
async fn look_at(http: &Http, address: SocketAddr, path: &str) -> Result<(), String> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let uri = format!("http://{address}{slash}{path}");
    match timeout(READY_ANSWER_WITHIN, http.status(&uri)).await {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{path} answered {}", status.as_u16())),
        Ok(Err(error)) => Err(format!("{path} did not answer: {error}")),
        Err(_) => Err(format!("{path} did not answer within {READY_ANSWER_WITHIN:?}")),
    }
}

impl Service {
    /// Starts a service and waits until it is ready; on another port where the chosen one was taken meanwhile.
    pub(crate) async fn start(start: ServiceStart<'_>) -> Result<Self, PortError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let port = free_port().await?;
            let mut service = Self::spawn(start, port)?;
            let not_ready = match service.get_ready(start, port).await {
                Ok(()) => return Ok(service),
                Err(not_ready) => not_ready,
            };
            service.stop().await;
            let may_try_again = tried < PORTS_TRIED_MAX && matches!(not_ready, NotReady::Ended(_));
            if !(may_try_again && is_taken(port).await) {
                return Err(service.error(start, not_ready));
            }
        }
    }

    /// Says why the service did not get ready. Of its command only the program is named: arguments may hold secrets.
    fn error(&self, start: ServiceStart<'_>, not_ready: NotReady) -> PortError {
        let program = start.run.command.first().map_or("", String::as_str);
        match not_ready {
            NotReady::Ended(ended) => {
                match self.tree.why_not_run(ended, &self.logs.stderr.text()) {
                    Some(error) => {
                        program::NotRunnable::at_start(program, &error).into_port_error()
                    }
                    None => PortError::Release {
                        code: "release-exited",
                        what: format!("the service `{program}` ended before it was ready: {ended}"),
                        advice: "look at the end of its output, and run it by hand with the same environment".to_owned(),
                        output: self.output_tail(),
                    },
                }
            }
            NotReady::TimedOut { last, starved } if starved * 2 >= start.run.ready_within => {
                PortError::Environment {
                    what: format!(
                        "the service `{program}` was not ready within {:?} and {starved:?} more, as long as it waited for a processor: {last}",
                        start.run.ready_within
                    ),
                    advice: "run again with less beside it, or on more processors; where it starts as slowly on an idle machine, raise `ready_within`".to_owned(),
                    source: None,
                }
            }
            NotReady::TimedOut { last, .. } => PortError::Release {
                code: "release-not-ready",
                what: format!(
                    "the service `{program}` was not ready within {:?}: {last}",
                    start.run.ready_within
                ),
                advice: "let it listen on the port that `env_port` or {port} names, correct `ready`, or raise `ready_within`".to_owned(),
                output: self.output_tail(),
            },
        }
    }

    fn spawn(start: ServiceStart<'_>, port: u16) -> Result<Self, PortError> {
        let mut placeholders = start.placeholders.clone();
        placeholders.port = Some(port);
        let mut variables =
            environment::build(start.own_environment, start.release, start.secrets, &placeholders);
        if let Some(name) = &start.run.env_port {
            variables.insert(name.into(), port.to_string().into());
        }
        if let Some(receiver) = start.receiver {
            receiver.expect(0);
            receiver.hand_over(0, &mut variables);
        }
        let words: Vec<String> =
            start.run.command.iter().map(|word| placeholders.expand(word)).collect();
        let directory = &start.release.directory;
        let program = words.first().map_or("", String::as_str);
        program::check(program, directory, &variables)
            .map_err(program::NotRunnable::into_port_error)?;
        // From their end now, before the process can write.
        let sources = LogSources::open(&start.release.logs, start.receiver.map(Arc::as_ref));
        let (process, output) = Process::spawn(&Spawn {
            words: &words,
            directory,
            variables: &variables,
            with_stdin: false,
            supervisor: start.supervisor,
        })
        .map_err(|error| {
            program::NotRunnable::at_start(program, &error.to_string()).into_port_error()
        })?;
        let tree = process.tree();
        let logs = OutputLogs {
            stdout: Arc::new(PipeLog::new(output.stdout)),
            stderr: Arc::new(PipeLog::new(output.stderr)),
        };
        let (report_end, ended) = watch::channel(None);
        tokio::spawn(watch_over(process, logs.clone(), report_end));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            tree,
            address,
            ended,
            logs,
            sources,
            ready: start.run.ready.clone(),
            members: Vec::new(),
            _receiver: start.receiver.cloned(),
        })
    }

    /// Waits until the service is ready, and finds out on which loopback address it listens. As long as it was kept from running it may take more.
    async fn get_ready(&mut self, start: ServiceStart<'_>, port: u16) -> Result<(), NotReady> {
        let mut last = "nothing listened on its port".to_owned();
        let until = Instant::now() + start.run.ready_within;
        let mut pause = READY_POLL;
        let life = self.life();
        let look = async {
            loop {
                // `localhost` is the one or the other, by the platform's mood.
                for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                    let address = SocketAddr::new(ip, port);
                    if TcpStream::connect(address).await.is_err() {
                        continue;
                    }
                    let Some(path) = &start.run.ready else { return address };
                    match look_at(start.http, address, path).await {
                        Ok(()) => return address,
                        Err(said) => last = said,
                    }
                }
                sleep(pause).await;
                pause = (pause * 3 / 2).min(READY_POLL_MAX);
            }
        };
        let mut look = Box::pin(look);
        let mut starved = Duration::ZERO;
        let mut address = unless_ended(&life, timeout_at(until, &mut look)).await?;
        if address.is_err() {
            let waits = self.tree.cpu_waits().await.1;
            starved = waits.longest_since(&CpuWaits::default()).unwrap_or_default();
            starved = starved.min(start.run.ready_within);
            address = unless_ended(&life, timeout(starved, &mut look)).await?;
        }
        drop(look);
        self.address = address.map_err(|_elapsed| NotReady::TimedOut { last, starved })?;
        self.members = self.tree.cpu_waits().await.0;
        Ok(())
    }

    /// Looks again whether it is ready, until it is or has had time enough.
    pub(crate) async fn still_ready(&self, http: &Http) -> Result<(), String> {
        let Some(path) = &self.ready else { return Ok(()) };
        let until = Instant::now() + READY_AGAIN_WITHIN;
        loop {
            match look_at(http, self.address, path).await {
                Err(said) if Instant::now() >= until => return Err(said),
                Err(_) => sleep(READY_POLL_MAX).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn life(&self) -> Life {
        Life(Some(self.ended.clone()))
    }

    /// Returns how long each thread of the processes that it had when it got ready has waited for a processor so far: a few small
    /// reads, as this is asked before each ask. A process that came later counts from its beginning.
    pub(crate) fn cpu_waits(&self) -> CpuWaits {
        CpuWaits::of(self.members.iter().copied())
    }

    /// The same of all that it has now.
    pub(crate) async fn cpu_waits_of_all(&self) -> CpuWaits {
        self.tree.cpu_waits().await.1
    }

    /// Tells whether one of its processes has a file open for writing.
    pub(crate) async fn writes_to(&self, file: FileId) -> bool {
        let members = self.tree.cpu_waits().await.0;
        let look = tokio::task::spawn_blocking(move || {
            members.into_iter().any(|pid| holders::writes(pid, file))
        });
        look.await.unwrap_or_default()
    }

    /// Returns what the log sources got since a position.
    pub(crate) fn logs_since(&self, since: &LogPosition) -> Logged {
        self.sources.since(since, Some(&self.logs))
    }

    /// Returns what it wrote to outputs that are no log source.
    pub(crate) fn beside_logs(&self) -> Sensitive {
        self.sources.beside(&self.logs)
    }

    /// Ends the service and waits until it has gone with all that it started.
    pub(crate) async fn stop(&self) {
        if self.ended.borrow().is_some() {
            return;
        }
        let life = self.life();
        let tree = self.tree.clone();
        on_blocking_thread(move || tree.signal(Signal::TERM)).await;
        if timeout(STOP_GRACE, life.ended()).await.is_ok() {
            return;
        }
        let tree = self.tree.clone();
        on_blocking_thread(move || tree.kill()).await;
        if timeout(KILLED_WITHIN, life.ended()).await.is_err() {
            let tree = self.tree.clone();
            on_blocking_thread(move || tree.kill_with_root()).await;
        }
    }

    /// Returns the end of what it wrote, standard output first.
    fn output_tail(&self) -> Option<Sensitive> {
        let mut bytes = self.logs.stdout.since(0).0;
        bytes.extend(self.logs.stderr.since(0).0);
        let tail = &bytes[bytes.len().saturating_sub(SHOWN_BYTES_MAX)..];
        let text = String::from_utf8_lossy(tail);
        (!text.trim().is_empty()).then(|| Sensitive::new(text))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.ended.borrow().is_none() {
            self.tree.kill_with_root();
        }
    }
}

/// Reads the service's output and reports its end, once all that it left behind has gone.
async fn watch_over(
    mut process: Process,
    logs: OutputLogs,
    report_end: watch::Sender<Option<Ended>>,
) {
    let reading = async { tokio::join!(logs.stdout.keep_reading(), logs.stderr.keep_reading()) };
    let mut reading = std::pin::pin!(reading);
    let mut output_has_ended = false;
    let ended = tokio::select! {
        ended = process.wait() => ended,
        _ = &mut reading => {
            output_has_ended = true;
            process.wait().await
        }
    };
    process.sweep().await;
    if !output_has_ended && timeout(OUTPUT_AFTER_END, reading).await.is_err() {
        // Somebody else holds the pipe; what was written so far is read by position.
    }
    report_end.send_replace(Some(ended));
}

/// Ports for services: below those that systems take for outgoing connections, one of which may have a port before the service listens on it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Chosen ports that turn out to be taken, before the system is left to choose.
const CHOICES_MAX: u32 = 100;

/// Ports that were given to services of this process. None is given twice: what is ready there would answer for a service that is still on its way.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Chooses a port that is free now. Whoever takes it before the service does is met by another try.
async fn free_port() -> Result<u16, PortError> {
    for _ in 0..CHOICES_MAX {
        let chance =
            RandomState::new().build_hasher().finish() % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(chance).unwrap_or_default();
        let is_new = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if is_new && !is_taken(port).await {
            return Ok(port);
        }
    }
    let environment = |error| PortError::Environment {
        what: "no free port could be found on 127.0.0.1".to_owned(),
        advice: "look at the limits on ports and open files".to_owned(),
        source: Some(Box::new(error)),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(environment)?;
    Ok(listener.local_addr().map_err(environment)?.port())
}

async fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_err()
        || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_port_is_given_twice() {
        let mut given = BTreeSet::new();
        for _ in 0..1_000 {
            let port = free_port().await.unwrap();
            assert!(given.insert(port), "{port} was given before");
        }
    }
}
