//! `surestep doctor`: can this configuration work here? Each finding comes with its fix.
//!
//! It looks and touches nothing: no call is made to a provider, no process of a release is started, no file is written.

mod machine;
mod programs;
mod reach;
mod secrets;

use drill::settings::Settings;
use serde_json::{Value, json};

use crate::config::{ConfigErrors, Report};
use crate::environment::Environment;
use crate::self_test::standing;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkup {
    /// How it is.
    pub(crate) state: State,
    /// What was found.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// As it should be.
    Fine,
    /// It may be meant so.
    Odd,
    /// No run can succeed with it.
    Broken,
}

impl State {
    /// Returns the word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Odd => "odd",
            Self::Broken => "broken",
        }
    }
}

impl Checkup {
    fn fine(what: impl Into<String>) -> Self {
        Self { state: State::Fine, what: what.into(), fix: None }
    }

    fn odd(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Odd, what: what.into(), fix: Some(fix.into()) }
    }

    fn broken(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Broken, what: what.into(), fix: Some(fix.into()) }
    }
}

/// Looks at everything that a run will need. `now`: the clock's time.
pub(crate) async fn doctor(
    settings: &Settings,
    warnings: &Report,
    environment: &Environment,
    now: jiff::Timestamp,
) -> Vec<Checkup> {
    let mut found = vec![Checkup::fine("the configuration has no problems")];
    found.extend(warnings.problems().iter().map(|warning| {
        let line = warnings.position(warning).map(|(line, _)| format!(" (line {line})"));
        Checkup {
            state: State::Odd,
            what: format!("{}{}", warning.message, line.unwrap_or_default()),
            fix: warning.help.clone(),
        }
    }));
    found.extend(standing(environment).map(|finding| {
        Checkup::broken(format!("the self-test: {}", finding.seen), finding.advice)
    }));
    found.extend(machine::clock(settings, now));
    found.extend(machine::ledger(settings));
    found.extend(machine::addresses(settings));
    found.extend(secrets::look(settings, environment).await);
    found.extend(programs::look(settings, environment));
    found.extend(reach::look(settings).await);
    found
}

/// What there is to say when the configuration cannot be read.
pub(crate) fn of_errors(errors: &ConfigErrors) -> Vec<Checkup> {
    let one = |report: &Report, problem: &crate::config::Problem| {
        let what = match report.position(problem) {
            Some((line, column)) => format!("line {line}, column {column}: {}", problem.message),
            None => problem.message.clone(),
        };
        let is_own = std::ptr::eq(report, &raw const errors.0);
        let what = if is_own { what } else { format!("{}: {what}", report.file()) };
        Checkup { state: State::Broken, what, fix: problem.help.clone() }
    };
    let of_file =
        |report| Report::problems(report).iter().map(|p| one(report, p)).collect::<Vec<_>>();
    errors.reports().flat_map(of_file).collect()
}

/// Returns the worst state.
pub(crate) fn worst(found: &[Checkup]) -> State {
    found.iter().map(|checkup| checkup.state).max().unwrap_or(State::Broken)
}

/// Shows the findings to people.
pub(crate) fn render(found: &[Checkup], colour: bool) -> String {
    let mut text = String::new();
    for checkup in found {
        let (mark, code) = match checkup.state {
            State::Fine => ("ok    ", "32"),
            State::Odd => ("odd   ", "33"),
            State::Broken => ("BROKEN", "31"),
        };
        let mark = if colour { format!("\u{1b}[{code}m{mark}\u{1b}[0m") } else { mark.to_owned() };
        text.push_str(&format!("{mark} {}\n", checkup.what));
        if let Some(fix) = &checkup.fix {
            text.push_str(&format!("       -> {fix}\n"));
        }
    }
    let count = |state| found.iter().filter(|checkup| checkup.state == state).count();
    let (odd, broken) = (count(State::Odd), count(State::Broken));
    let conclusion = match worst(found) {
        State::Broken => "this configuration cannot work here yet",
        State::Odd => "this configuration can work here; look at what is odd",
        State::Fine => "this configuration can work here",
    };
    text.push_str(&format!(
        "\n{conclusion} ({} looked at, {odd} odd, {broken} broken)\n",
        found.len()
    ));
    text
}

/// Returns the findings for machines.
pub(crate) fn to_json(found: &[Checkup]) -> Value {
    let one = |checkup: &Checkup| json!({"state": checkup.state.as_str(), "what": checkup.what, "fix": checkup.fix});
    json!({
        "schema_version": 1,
        "state": worst(found).as_str(),
        "findings": found.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
