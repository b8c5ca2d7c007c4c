//! `contract judge`: saved responses in, a verdict each out.

use std::path::Path;

use contract::{ContractVerdict, Dump, Judgement, Mode, Surface, broken_clients_line, judge_dump};
use evidence::Scanner;
use serde_json::{Value, json};

use crate::args::{Format, JudgeArgs};
use crate::command::{Call, pretty};
use crate::failure::Failure;
use crate::{config, exit_code};

/// Judges each file. The exit code is the worst verdict's: a hold fails; an error status is a hold.
pub(super) fn run(call: &Call, args: &JudgeArgs) -> Result<u8, Failure> {
    let mut profile = super::profile(call, &args.profile)?;
    if let Some(path) = &args.openapi {
        let read = super::openapi(path, args.surface.into())?;
        if read.outline(args.mode.into()).is_none() {
            return Err(Failure::usage(
                format!("{} says nothing of this mode's replies at {}", path.display(), read.path),
                "Leave --openapi out, or describe application/json for unary, text/event-stream for stream.",
            ));
        }
        profile = config::with_requirement(profile, read, args.surface.into());
    }
    let mut text = String::new();
    let mut worst = ContractVerdict::Pass;
    let place = (args.surface.into(), args.mode.into());
    let (files, many) = super::files(&args.files)?;
    if files.is_empty() {
        return Err(Failure::usage(
            "there is no file to judge",
            "Name a saved response; `-` is standard input.",
        ));
    }
    for file in &files {
        let dump = Dump::parse(&super::read(file)?);
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

fn public(file: &Path, dump: &Dump, judgement: &Judgement, place: (Surface, Mode)) -> Value {
    let mut value = judgement.to_json(place);
    if let Value::Object(fields) = &mut value {
        fields.insert("file".to_owned(), json!(file.display().to_string()));
        fields.insert("status".to_owned(), json!(dump.status));
        fields.insert("bare".to_owned(), json!(dump.bare));
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
    let status = if dump.bare {
        "a body without its head, taken as status 200".to_owned()
    } else {
        format!("status {}", dump.status)
    };
    let mut text = format!("{verdict}  {}  ({status})\n", file.display());
    if let Some(error) = &judgement.error {
        let retry = if error.retry_safe { "a retry may help" } else { "a retry cannot help" };
        text.push_str(&format!("      error class {}; {retry}\n", error.class.as_str()));
    }
    for finding in &judgement.findings {
        // A place may say by itself how it lies: `after event 3`.
        let at = if finding.at.starts_with("after ") { "" } else { "at " };
        text.push_str(&format!(
            "      {} {at}{}: expected {}, seen {}\n        do: {}\n",
            finding.code,
            finding.at,
            finding.expected,
            finding.seen,
            finding.advice()
        ));
        let breaks = broken_clients_line(&finding.breaks(place));
        if !breaks.is_empty() {
            text.push_str(&format!("        breaks {breaks}\n"));
        }
    }
    text
}
