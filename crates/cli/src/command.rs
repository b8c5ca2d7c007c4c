//! Runs one subcommand: one file each below.

mod can;
mod check;
mod contract;
mod drill;
mod evidence;
mod provider;
mod route;
mod route_base;
mod self_test;
mod setup;
mod tap;

use std::process::ExitCode;
use std::sync::Arc;

use ::drill::Progress;
use ::drill::settings::Settings;
use ::evidence::Scanner;
use clap::Parser as _;

use crate::args::{Arguments, Command, Format};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::progress::{Bars, Lines};
use crate::result::Outcome;
use crate::terminal::{self, Paint, answer, say};
use crate::{config, exit_code, github, human};

/// What every subcommand is given.
pub(crate) struct Call {
    pub(crate) arguments: Arguments,
    pub(crate) environment: Environment,
}

/// Parses, runs, reports.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let call = Call { arguments, environment: Environment::from_process() };
    let code = match runtime(&call.arguments.command) {
        Ok(runtime) => runtime.block_on(run(&call)),
        Err(failure) => Err(failure),
    }
    .unwrap_or_else(|failure| call.report_failure(&failure));
    ExitCode::from(code)
}

fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match command {
        // Two threads that pass work to each other cost more than the work: one relays some fifty thousand calls a second.
        Command::Tap(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(2).enable_all().build().map_err(|error| {
        Failure::internal(
            format!("no thread could be started: {error}"),
            "Look at this machine's limits (ulimit -u).",
        )
    })
}

async fn run(call: &Call) -> Result<u8, Failure> {
    match &call.arguments.command {
        Command::Init(args) => setup::init(call, args),
        Command::Check(args) => check::run(call, args).await,
        Command::Drill(args) => Box::pin(drill::run(call, args)).await,
        Command::Can(question) => can::run(call, question).await,
        Command::Route(what) => route::run(call, what).await,
        Command::Contract(what) => contract::run(call, what).await,
        Command::Evidence(what) => evidence::run(call, what).await,
        Command::Tap(args) => tap::run(call, args).await,
        Command::Provider(args) => provider::run(call, args).await,
        Command::SelfTest(args) => self_test::run(call, args).await,
        Command::BuiltIn(args) => crate::built_in::run(&call.environment, args).await,
        Command::Doctor => setup::doctor(call).await,
        Command::Schema(args) => setup::schema(args),
    }
}

impl Call {
    /// Loads the configuration; its problems are shown whole, with file and line.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        match config::load_with_warnings(&self.arguments.config, &self.environment) {
            Ok(loaded) => {
                if !loaded.warnings.problems().is_empty() {
                    say(&loaded.warnings.render(config::Severity::Warning, false));
                }
                Ok(loaded.settings)
            }
            Err(errors) => Err(refused(&errors)),
        }
    }

    /// Returns who watches a run.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        if terminal::is_watched(&self.environment) {
            Arc::new(Bars::new())
        } else {
            Arc::new(Lines)
        }
    }

    /// Shows a result in the format that was asked for; everything shown was scanned.
    pub(crate) fn show(&self, outcome: &Outcome, scanner: &Scanner) -> u8 {
        let text = match self.arguments.format {
            Format::Human => {
                human::render(outcome, Paint::when(terminal::may_colour(&self.environment)))
            }
            Format::Json => pretty(&outcome.to_json()),
            Format::Github => github::render(outcome),
        };
        self.answer(&text, scanner);
        outcome.exit_code
    }

    /// Writes an answer, with everything taken out that must not leave memory.
    pub(crate) fn answer(&self, text: &str, scanner: &Scanner) {
        if scanner.scan(text.as_bytes()).is_empty() {
            answer(text);
        } else {
            answer(scanner.redact(text).as_str());
        }
    }

    fn report_failure(&self, failure: &Failure) -> u8 {
        match self.arguments.format {
            Format::Json => answer(&pretty(&failure.to_json())),
            Format::Github => answer(&github::failure(failure)),
            Format::Human => {}
        }
        let lead = if failure.message.starts_with("error") { "" } else { "error: " };
        say(&format!("{lead}{}", failure.message));
        if let Some(advice) = &failure.advice {
            say(&format!("  do: {advice}"));
        }
        failure.code
    }
}

/// Makes a failure of what is wrong in files: everything, each with its place.
pub(crate) fn refused(errors: &config::ConfigErrors) -> Failure {
    Failure {
        code: exit_code::USAGE,
        message: errors.render(false),
        advice: None,
        problems: Some(Box::new(problems_json(errors))),
    }
}

/// Returns each problem of a configuration with its place.
fn problems_json(errors: &config::ConfigErrors) -> serde_json::Value {
    let one = |report: &config::Report, problem: &config::Problem| {
        let place = report.position(problem);
        serde_json::json!({
            "file": report.file(),
            "message": problem.message,
            "help": problem.help,
            "line": place.map(|(line, _)| line),
            "column": place.map(|(_, column)| column),
        })
    };
    let of_file = |report| {
        let problems = config::Report::problems(report).iter();
        problems.map(|problem| one(report, problem)).collect::<Vec<_>>()
    };
    errors.reports().flat_map(of_file).collect()
}

/// Writes JSON for people and programs.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
