//! What the tests run as a supervisor, and as a surestep that gets killed.
//!
//! `supervise __supervise PARENT MARK PROGRAM …` supervises; `supervise hold FOLDER` asks a command that never ends, in FOLDER.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use drill::ports::{Ask, Releases as _, RunningRelease as _, Start};
use drill::settings::{
    CommandRun, LogSource, OneShot, PromptBy, Release, RetryPolicy, Run, TapMode,
};
use release::{ReleaseRunner, RunnerConfig};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    match words.next().and_then(|word| word.into_string().ok()).as_deref() {
        Some("__supervise") => release::supervise(words),
        Some("hold") => hold(words.next().unwrap_or_default()),
        _ => ExitCode::from(2),
    }
}

/// Writes the ids of a child, of a grandchild in a session of its own and of one without an environment to `pids`.
const PROGRAM: &str = "setsid sh -c 'echo $$ >> pids; exec sleep 600' & \
    (exec env -i setsid sh -c 'echo $$ >> pids; sleep 600; :') & \
    echo $$ >> pids; trap '' TERM; while :; do sleep 1; done";

#[tokio::main(flavor = "current_thread")]
async fn hold(folder: OsString) -> ExitCode {
    let Ok(executable) = std::env::current_exe() else { return ExitCode::FAILURE };
    let runner = ReleaseRunner::new(RunnerConfig {
        environment: std::env::vars_os().collect(),
        supervisor: Some(vec![executable.into(), "__supervise".into()]),
    });
    let release = Release {
        version: "1".to_owned(),
        image: None,
        run: Run::Command(CommandRun {
            unary: Some(OneShot {
                command: ["sh", "-c", PROGRAM].map(str::to_owned).to_vec(),
                prompt: PromptBy::Argument,
                answer_pointer: None,
            }),
            stream: None,
        }),
        provider: None,
        model: None,
        directory: folder.into(),
        env: [].into(),
        secrets: [].into(),
        inherit: Vec::new(),
        tap: TapMode::Reverse { listen: None },
        deadline: Duration::from_secs(600),
        retry: RetryPolicy {
            max_attempts: 1,
            max_elapsed: Duration::from_secs(1),
            is_declared: true,
        },
        calls_per_ask: 1,
        models: Vec::new(),
        fallback_models: Vec::new(),
        logs: vec![LogSource::Stderr],
        log_fields: Default::default(),
    };
    let start = Start {
        role: judge::Role::New,
        surface: contract::Surface::Chat,
        tap: drill::ports::Way::direct("http://127.0.0.1:9/v1".to_owned()),
        model: "m".to_owned(),
        control_key: None,
        secrets: Vec::new(),
        gateway_key: None,
    };
    let Ok(running) = runner.start(&release, start).await else { return ExitCode::FAILURE };
    running
        .ask(Ask {
            prompt: evidence::Sensitive::new("p"),
            asked_with: contract::conversation::AskedWith::Question,
            mode: contract::Mode::Unary,
            deadline: Duration::from_secs(600),
            tap: None,
        })
        .await;
    ExitCode::SUCCESS
}
