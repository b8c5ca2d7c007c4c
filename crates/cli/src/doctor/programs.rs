//! The programs of releases, their scripts, folders, variables and log files.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use drill::settings::{LogSource, Release, Run, Settings};
use judge::Role;
use rustix::fs::Access;

use super::Checkup;
use crate::environment::Environment;

/// Endings of scripts that an interpreter is handed as an argument.
const SCRIPT_ENDINGS: [&str; 8] = ["py", "js", "mjs", "cjs", "ts", "rb", "sh", "jar"];

/// Variables that lead a release's calls away from the tap.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// Looks at both releases.
pub(super) fn look(settings: &Settings, environment: &Environment) -> Vec<Checkup> {
    let mut found = Vec::new();
    for role in Role::BOTH {
        let release = settings.release(role);
        let name = format!("`releases.{role}`");
        for (key, command) in commands(release) {
            found.push(program(
                &format!("`releases.{role}.run.{key}`"),
                command,
                release,
                environment,
            ));
            found.extend(script(&format!("`releases.{role}.run.{key}`"), command, release));
        }
        for log in &release.logs {
            let LogSource::File(path) = log else { continue };
            if !path.parent().is_some_and(Path::is_dir) {
                found.push(Checkup::odd(
                    format!("{name}: the folder of the log file {} does not exist", path.display()),
                    "correct `logs`, or let the release create it",
                ));
            }
        }
        for variable in &release.inherit {
            if environment.get(variable).is_none() {
                found.push(Checkup::odd(
                    format!("{name} inherits {variable}, which is not set"),
                    format!("set {variable}, or remove it from `inherit`"),
                ));
            }
        }
        for variable in PROXY_VARIABLES {
            if release.env.contains_key(variable)
                || release.inherit.iter().any(|name| name == variable)
            {
                found.push(Checkup::odd(
                    format!("{name} gets {variable}: its calls may go round the tap"),
                    "add `NO_PROXY: 127.0.0.1,localhost` to its `env`, or leave the proxy to `provider.proxy`",
                ));
            }
        }
    }
    found
}

fn commands(release: &Release) -> Vec<(&'static str, &[String])> {
    match &release.run {
        Run::Command(run) => {
            let unary = run.unary.iter().map(|one| ("command", &*one.command));
            unary.chain(run.stream.iter().map(|one| ("stream.command", &*one.command))).collect()
        }
        Run::Service(run) => vec![("service", &run.command)],
        Run::Url { .. } => Vec::new(),
    }
}

fn program(
    name: &str,
    command: &[String],
    release: &Release,
    environment: &Environment,
) -> Checkup {
    let Some(word) = command.first() else {
        return Checkup::broken(format!("{name} is empty"), "name a program");
    };
    if word.contains('/') {
        let path = release.directory.join(word);
        return match executable(&path) {
            Ok(()) => Checkup::fine(format!("{name}: {} can be run", path.display())),
            Err(what) => Checkup::broken(
                format!("{name}: {} {what}", path.display()),
                "relative programs start at the release's `directory`; build or install it, or make it executable",
            ),
        };
    }
    let own_path = release.env.get("PATH").map(|path| path.as_bytes());
    let path = own_path.or_else(|| environment.get("PATH").map(std::ffi::OsStr::as_bytes));
    let folders = std::env::split_paths(std::ffi::OsStr::from_bytes(path.unwrap_or_default()));
    let candidates: Vec<PathBuf> =
        folders.map(|folder| release.directory.join(folder).join(word)).collect();
    match candidates.iter().find(|path| executable(path).is_ok()) {
        Some(path) => Checkup::fine(format!("{name}: {word} is {}", path.display())),
        None => Checkup::broken(
            format!("{name}: there is no program {word} in PATH"),
            format!(
                "install it, or name it by its path; ./{word} if it lies in the release's `directory`"
            ),
        ),
    }
}

fn executable(path: &Path) -> Result<(), &'static str> {
    if path.is_dir() {
        return Err("is a folder");
    }
    if !path.exists() {
        return Err("does not exist");
    }
    rustix::fs::access(path, Access::EXEC_OK).map_err(|_denied| {
        // Whatever the cause is called, this is what it means.
        "may not be executed"
    })
}

/// An interpreter that does not find its script is the commonest mistake of all.
fn script(name: &str, command: &[String], release: &Release) -> Option<Checkup> {
    let script = command.iter().skip(1).find(|word| {
        let ending = Path::new(word).extension().and_then(|ending| ending.to_str());
        !word.starts_with('-')
            && !word.contains('{')
            && ending.is_some_and(|e| SCRIPT_ENDINGS.contains(&e))
    })?;
    let path = release.directory.join(script);
    (!path.exists()).then(|| {
        Checkup::broken(
            format!("{name}: there is no {}", path.display()),
            "commands run in the release's `directory`; correct one of the two",
        )
    })
}
