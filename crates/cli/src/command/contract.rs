//! `contract`: what must hold on the wire; a file for each of its commands.

mod diff;
mod judge;
mod learn;
mod review;
mod show;

use std::path::{Path, PathBuf};

use ::contract::{OpenApi, OpenApiProblem, Profile, Surface};

use crate::args::ContractCommand;
use crate::command::{Call, refused};
use crate::config;
use crate::failure::Failure;

/// A response longer than this is none of a text API.
const RESPONSE_MAX: u64 = 256 * 1024 * 1024;

pub(crate) async fn run(call: &Call, what: &ContractCommand) -> Result<u8, Failure> {
    match what {
        ContractCommand::Show(args) => show::run(call, args),
        ContractCommand::Judge(args) => judge::run(call, args),
        ContractCommand::Learn(args) => learn::run(call, args).await,
        ContractCommand::Review(args) => review::run(call, args).await,
        ContractCommand::Diff(args) => diff::run(call, args),
    }
}

/// Returns the profile that was named on the command line, by name or file.
pub(super) fn profile(call: &Call, named: &str) -> Result<Profile, Failure> {
    config::load_profile(named, Path::new(""), &call.environment).map_err(|errors| refused(&errors))
}

/// Reads what an OpenAPI document says of a surface.
fn openapi(path: &Path, surface: Surface) -> Result<OpenApi, Failure> {
    let document = config::load_openapi(path).map_err(|errors| refused(&errors))?;
    OpenApi::read(&document, surface).map_err(|problem| unusable(path, &problem))
}

fn unusable(path: &Path, problem: &OpenApiProblem) -> Failure {
    Failure::usage(format!("{}: {problem}", path.display()), problem.help.clone())
}

/// Returns the files, those in folders included, and whether each gets a line of its own.
fn files(named: &[PathBuf]) -> Result<(Vec<PathBuf>, bool), Failure> {
    let mut files = Vec::new();
    let mut many = named.len() > 1;
    for path in named {
        if path != Path::new("-") && path.is_dir() {
            many = true;
            let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| path.is_file() && !is_hidden(path))
                .collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok((files, many))
}

/// Whether a file is one that tools leave in folders, as `.DS_Store`.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(RESPONSE_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(RESPONSE_MAX).read_to_end(&mut bytes))
    };
    read.map(|_| bytes).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("{} cannot be read: {error}", path.display()),
        "Name a file with a saved response.",
    )
}
