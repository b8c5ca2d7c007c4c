//! What the newest self-test on this machine said, kept for the runs that come after it: a surestep that did not find what was broken on
//! purpose may promote nothing.
//!
//! The file lies with the user's state (`$XDG_STATE_HOME/surestep/self-test.json`), not beside a ledger: a self-test is about this program on this
//! machine, whatever it is used for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use judge::{Finding, Severity};
use serde::{Deserialize, Serialize};

use super::outcome::Report;
use crate::environment::Environment;

/// 1: the first version.
const SCHEMA_VERSION: u32 = 1;

/// What the newest self-test said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    schema_version: u32,
    /// The version of surestep that was tested.
    surestep: String,
    /// When it ended.
    at: Timestamp,
    /// The codes that were not found, with what was seen instead.
    failed: BTreeMap<String, String>,
}

/// Why what a self-test said could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandingError {
    /// There is no place for it.
    #[error("neither XDG_STATE_HOME nor HOME names a folder for it")]
    NoPlace,
    /// It could not be written.
    #[error("{} cannot be written", path.display())]
    NotWritten {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be read.
    #[error("{} cannot be read", path.display())]
    NotRead {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Standing {
    /// Returns what there is to keep after a self-test. One that made only some of the cases says nothing about the others: what failed before
    /// goes on failing until it is made again.
    fn after(earlier: Option<Self>, report: &Report, now: Timestamp) -> Self {
        let own = env!("CARGO_PKG_VERSION");
        let mut failed = match earlier {
            Some(earlier) if !report.is_whole && earlier.surestep == own => earlier.failed,
            Some(_) | None => BTreeMap::new(),
        };
        for made in &report.made {
            failed.remove(made.case.expect);
        }
        for made in report.failed() {
            let seen = made.problem.clone().unwrap_or_default();
            failed.insert(made.case.expect.to_owned(), seen);
        }
        Self { schema_version: SCHEMA_VERSION, surestep: own.to_owned(), at: now, failed }
    }

    /// Returns what a run has to be told. Another version's self-test says nothing about this one.
    fn finding(&self) -> Option<Finding> {
        if self.failed.is_empty() || self.surestep != env!("CARGO_PKG_VERSION") {
            return None;
        }
        let codes: Vec<&str> = self.failed.keys().map(String::as_str).collect();
        Some(failed(
            Severity::Fail,
            format!(
                "at {}, what was broken on purpose was not found: {}",
                self.at.strftime("%Y-%m-%d %H:%M UTC"),
                codes.join(", ")
            ),
        ))
    }
}

/// Keeps what a self-test said. Returns where.
pub(crate) fn keep(
    report: &Report,
    environment: &Environment,
    now: Timestamp,
) -> Result<PathBuf, StandingError> {
    let path = place(environment).ok_or(StandingError::NoPlace)?;
    // What cannot be read any more is replaced by what is known now.
    let earlier = read(&path).ok().flatten();
    let standing = Standing::after(earlier, report, now);
    let written = write(&path, &standing);
    written.map_err(|source| StandingError::NotWritten { path: path.clone(), source })?;
    Ok(path)
}

/// Returns what a run has to be told of the newest self-test on this machine: that it failed, or that nobody can tell. Nothing, where it
/// passed or was never made.
pub(crate) fn standing(environment: &Environment) -> Option<Finding> {
    match place(environment).map(|path| read(&path)) {
        Some(Ok(Some(standing))) => standing.finding(),
        Some(Ok(None)) | None => None,
        Some(Err(error)) => Some(failed(
            Severity::Ambiguous,
            format!("nobody can tell: {}", crate::failure::chain(&error)),
        )),
    }
}

fn failed(severity: Severity, seen: String) -> Finding {
    Finding::new(
        severity,
        "self-test-failed",
        "a self-test that found all that it broke, or none",
        seen,
        "Run `surestep self-test` again. If it passes, nothing is in the way; if it fails, trust no decision made here, and report what it prints.",
    )
}

fn place(environment: &Environment) -> Option<PathBuf> {
    let state = match environment.text("XDG_STATE_HOME") {
        // The specification has relative ones ignored.
        Ok(folder) if Path::new(folder).is_absolute() => PathBuf::from(folder),
        Ok(_) | Err(_) => PathBuf::from(environment.text("HOME").ok()?).join(".local/state"),
    };
    Some(state.join("surestep").join("self-test.json"))
}

fn read(path: &Path) -> Result<Option<Standing>, StandingError> {
    let not_read = |source| StandingError::NotRead { path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(not_read(error)),
    };
    let standing: Standing = serde_json::from_str(&text).map_err(|error| not_read(error.into()))?;
    if standing.schema_version > SCHEMA_VERSION {
        let newer = format!(
            "its format is {}, and this surestep knows up to {SCHEMA_VERSION}",
            standing.schema_version
        );
        return Err(not_read(io::Error::other(newer)));
    }
    Ok(Some(standing))
}

/// Writes beside and renames: a reader finds the earlier one or this one, whole.
fn write(path: &Path, standing: &Standing) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, standing)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use judge::Verdict;

    use super::super::made::Made;
    use super::super::table::cases;
    use super::*;

    fn report(made: &[(&str, bool)], is_whole: bool) -> Report {
        let made = made.iter().map(|(code, found)| Made {
            case: cases().find(|case| case.expect == *code).expect("a code that has a case"),
            verdict: Some(Verdict::Fail),
            seen: String::new(),
            problem: (!found).then(|| format!("no finding {code}")),
        });
        Report { made: made.collect(), is_whole }
    }

    fn codes(standing: &Standing) -> Vec<&str> {
        standing.failed.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_failed_goes_on_failing_until_it_is_made_again() {
        let at = Timestamp::UNIX_EPOCH;
        let first =
            Standing::after(None, &report(&[("hung", false), ("crashed", false)], true), at);
        assert_eq!(codes(&first), ["crashed", "hung"]);
        let second = Standing::after(Some(first), &report(&[("hung", true)], false), at);
        assert_eq!(codes(&second), ["crashed"]);
        assert_eq!(second.finding().map(|finding| finding.severity), Some(Severity::Fail));
        let third = Standing::after(Some(second), &report(&[("hung", true)], true), at);
        assert_eq!(third.finding(), None);
    }

    #[test]
    fn another_versions_failure_says_nothing() {
        let failed = report(&[("hung", false)], true);
        let other = Standing {
            surestep: "0.0.1".to_owned(),
            ..Standing::after(None, &failed, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(other.finding(), None);
        let own = Standing::after(
            Some(other),
            &report(&[("crashed", true)], false),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(codes(&own), Vec::<&str>::new());
    }

    #[test]
    fn what_cannot_be_read_is_ambiguous_and_what_is_not_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::from_iter([("XDG_STATE_HOME", folder.path())]);
        assert_eq!(standing(&environment), None);
        let path =
            keep(&report(&[("hung", false)], true), &environment, Timestamp::UNIX_EPOCH).unwrap();
        let finding = standing(&environment).unwrap();
        assert_eq!((finding.code.as_str(), finding.severity), ("self-test-failed", Severity::Fail));
        assert!(finding.seen.ends_with("not found: hung"), "{}", finding.seen);
        for text in
            ["{", r#"{"schema_version":2,"surestep":"9","at":"2026-01-01T00:00:00Z","failed":{}}"#]
        {
            fs::write(&path, text).unwrap();
            let severity = standing(&environment).map(|finding| finding.severity);
            assert_eq!(severity, Some(Severity::Ambiguous), "{text}");
        }
        assert!(matches!(
            keep(&report(&[], true), &Environment::default(), Timestamp::UNIX_EPOCH),
            Err(StandingError::NoPlace)
        ));
    }
}
