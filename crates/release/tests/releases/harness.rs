//! Builds releases and asks them in one line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::conversation::AskedWith;
use contract::{Mode, Surface};
use drill::ports::{Ask, Asked, PortError, Releases as _, RunningRelease as _, Start, Way};
use drill::settings::{
    AnswerAt, AskMapping, CommandRun, HttpAsk, LogSource, OneShot, PromptBy, Release, RetryPolicy,
    Run, ServiceRun, TapMode,
};
use evidence::Sensitive;
use judge::Outcome;
use release::{ReleaseRunner, RunnerConfig, Running};
use serde_json::json;
use tempfile::TempDir;

/// Longer than anything takes here when it works, machine load included.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A folder for a release, and a runner.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) runner: ReleaseRunner,
}

impl Bench {
    /// As in production: every process has a supervisor.
    pub(crate) fn supervised() -> Self {
        Self::with(Some(vec![supervisor().into(), "__supervise".into()]))
    }

    pub(crate) fn unsupervised() -> Self {
        Self::with(None)
    }

    fn with(supervisor: Option<Vec<OsString>>) -> Self {
        let environment = std::env::vars_os()
            .chain([("LEAKED_BY_SURESTEP".into(), "yes".into())])
            .chain([("TAKEN_OVER".into(), "kept".into())])
            .collect();
        Self {
            folder: tempfile::tempdir().unwrap(),
            runner: ReleaseRunner::new(RunnerConfig { environment, supervisor }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn release(&self, run: Run) -> Release {
        Release {
            version: "2.4.0".to_owned(),
            image: None,
            run,
            provider: None,
            model: None,
            directory: self.path().to_owned(),
            env: [].into(),
            secrets: [].into(),
            inherit: Vec::new(),
            tap: TapMode::Reverse { listen: None },
            deadline: LONG,
            retry: RetryPolicy {
                max_attempts: 3,
                max_elapsed: Duration::from_secs(20),
                is_declared: false,
            },
            calls_per_ask: 1,
            models: Vec::new(),
            fallback_models: Vec::new(),
            logs: vec![LogSource::Stderr],
            log_fields: Default::default(),
        }
    }

    pub(crate) fn shell(&self, script: &str) -> Release {
        self.release(shell(script, PromptBy::Argument, None))
    }

    pub(crate) async fn start(&self, release: &Release) -> Result<Running, PortError> {
        self.runner.start(release, start()).await
    }

    /// Starts a release and asks it once.
    pub(crate) async fn ask(&self, release: &Release, ask: Ask) -> Asked {
        self.start(release).await.unwrap().ask(ask).await
    }
}

/// The example that is built with the tests.
pub(crate) fn supervisor() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().with_file_name("examples").join("supervise");
    assert!(program.is_file(), "build {} first: a plain `cargo test` does", program.display());
    program
}

pub(crate) fn start() -> Start {
    Start {
        role: judge::Role::New,
        surface: Surface::Chat,
        tap: Way::direct("http://127.0.0.1:9/v1".to_owned()),
        model: "model-7".to_owned(),
        control_key: Some(Sensitive::new("sk-control")),
        secrets: vec![("API_KEY".to_owned(), Sensitive::new("sk-own"))],
        gateway_key: Some(Sensitive::new("sk-gateway")),
    }
}

pub(crate) fn shell(script: &str, prompt: PromptBy, answer_pointer: Option<&str>) -> Run {
    let mut command = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    if prompt == PromptBy::Argument {
        command.push("{prompt}".to_owned());
    }
    Run::Command(CommandRun {
        unary: Some(OneShot { command, prompt, answer_pointer: answer_pointer.map(str::to_owned) }),
        stream: None,
    })
}

pub(crate) fn unary(prompt: &str) -> Ask {
    let asked_with = AskedWith::Question;
    Ask { prompt: Sensitive::new(prompt), asked_with, mode: Mode::Unary, deadline: LONG, tap: None }
}

pub(crate) fn stream(prompt: &str) -> Ask {
    Ask { mode: Mode::Stream, ..unary(prompt) }
}

pub(crate) fn within(deadline: Duration, ask: Ask) -> Ask {
    Ask { deadline, ..ask }
}

/// The service that these tests start: it does what the prompt says.
pub(crate) const SERVICE: &str = include_str!("service.py");

pub(crate) fn service(bench: &Bench, ask: HttpAsk) -> ServiceRun {
    std::fs::write(bench.path().join("service.py"), SERVICE).unwrap();
    ServiceRun {
        command: ["python3", "service.py"].map(str::to_owned).to_vec(),
        env_port: Some("PORT".to_owned()),
        ready: Some("/healthz".to_owned()),
        ready_within: LONG,
        ask,
    }
}

pub(crate) fn mapped() -> HttpAsk {
    HttpAsk::Mapped {
        unary: Some(mapping("/ask", AnswerAt::Pointer("/answer".to_owned()))),
        stream: Some(mapping("/stream", AnswerAt::EventPointer("/delta".to_owned()))),
    }
}

pub(crate) fn mapping(path: &str, answer: AnswerAt) -> AskMapping {
    AskMapping {
        path: path.to_owned(),
        json: json!({ "question": "{prompt}" }),
        headers: [("x-tenant".to_owned(), "t1".to_owned())].into(),
        answer,
        done: None,
        refused: None,
    }
}

/// Says what came of an ask in a few words, without times.
pub(crate) fn said(asked: &Asked) -> String {
    let answer = asked.answer.as_ref().map(|answer| answer.expose().to_owned());
    match &asked.outcome {
        Outcome::Answered { answer_bytes, .. } => {
            let answer = answer.unwrap_or_else(|| "nothing".to_owned());
            assert_eq!(u64::try_from(answer.len()).unwrap(), *answer_bytes);
            format!("answered {answer}")
        }
        Outcome::Refused { how, .. } => format!("refused: {how}"),
        Outcome::TimedOut { .. } => "timed out".to_owned(),
        Outcome::Crashed { how, .. } => format!("crashed: {how:?}"),
        Outcome::Left { .. } => "left".to_owned(),
    }
}

pub(crate) fn exposed(text: Option<&Sensitive>) -> &str {
    text.map_or("", Sensitive::expose)
}

pub(crate) fn is_alive(pid: i32) -> bool {
    // A zombie is as good as gone.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

pub(crate) fn pids(folder: &Path) -> Vec<i32> {
    std::fs::read_to_string(folder.join("pids"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let mut looks = 0;
        while !holds() {
            looks += 1;
            assert!(looks < 3000, "{caller}: not within 30 s: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
