//! `contract judge`: saved responses in, a verdict each out.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use contract::{
    ContractVerdict, Dump, Judgement, Mode, Profile, Surface, broken_clients_line, judge_dump,
};
use evidence::Scanner;
use serde_json::{Value, json};

use crate::args::{Format, JudgeArgs};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;

/// A response longer than this is none of a text API.
const RESPONSE_MAX: u64 = 256 * 1024 * 1024;

/// Judges each file. The exit code is the worst verdict's: a hold fails; an error status is a hold.
pub(super) fn run(call: &Call, args: &JudgeArgs) -> Result<u8, Failure> {
    let profile = profile(&args.profile)?;
    let mut text = String::new();
    let mut worst = ContractVerdict::Pass;
    let place = (args.surface.into(), args.mode.into());
    let (files, many) = files(&args.files)?;
    if files.is_empty() {
        return Err(Failure::usage(
            "there is no file to judge",
            "Name a saved response; `-` is standard input.",
        ));
    }
    for file in &files {
        let dump = Dump::parse(&read(file)?);
        let judgement = judge_dump(place.0, place.1, profile, &dump);
        worst = worst.max(judgement.verdict);
        match call.arguments.format {
            Format::Json if many => {
                text.push_str(&format!("{}\n", public(file, &dump, &judgement, place)));
            }
            Format::Json => text.push_str(&pretty(&public(file, &dump, &judgement, place))),
            Format::Human | Format::Github => {
                text.push_str(&human(file, &dump, &judgement, place));
            }
        }
    }
    call.answer(&text, &Scanner::new([]));
    Ok(match worst {
        ContractVerdict::Pass | ContractVerdict::Warn => exit_code::PASS,
        ContractVerdict::Hold => exit_code::HOLD_FAILED,
    })
}

fn profile(name: &str) -> Result<Profile, Failure> {
    serde_json::from_value(json!(name)).map_err(|_unknown| {
        Failure::usage(
            format!("`{}` is no profile", name.chars().take(40).collect::<String>()),
            "Take one of openai, cometapi, azure, anthropic-compat, gemini-compat, deepseek, openrouter.",
        )
    })
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
                .filter(|path| path.is_file())
                .collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok((files, many))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
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

fn public(file: &Path, dump: &Dump, judgement: &Judgement, place: (Surface, Mode)) -> Value {
    let mut value = judgement.to_json(place);
    if let Value::Object(fields) = &mut value {
        fields.insert("file".to_owned(), json!(file.display().to_string()));
        fields.insert("status".to_owned(), json!(dump.status));
        fields.insert("schema_version".to_owned(), json!(crate::result::SCHEMA_VERSION));
    }
    value
}

fn human(file: &Path, dump: &Dump, judgement: &Judgement, place: (Surface, Mode)) -> String {
    let verdict = match judgement.verdict {
        ContractVerdict::Pass => "pass",
        ContractVerdict::Warn => "warn",
        ContractVerdict::Hold => "hold",
    };
    let mut text = format!("{verdict}  {}  (status {})\n", file.display(), dump.status);
    if let Some(error) = &judgement.error {
        let retry = if error.retry_safe { "a retry may help" } else { "a retry cannot help" };
        text.push_str(&format!(
            "      error class {}; {retry}\n",
            json!(error.class).as_str().unwrap_or("unknown")
        ));
    }
    for finding in &judgement.findings {
        text.push_str(&format!(
            "      {} at {}: expected {}, seen {}\n",
            finding.code, finding.at, finding.expected, finding.seen
        ));
        let breaks = broken_clients_line(&finding.breaks(place));
        if !breaks.is_empty() {
            text.push_str(&format!("        breaks {breaks}\n"));
        }
    }
    text
}
