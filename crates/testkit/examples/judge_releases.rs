//! Puts the catalogued releases before a `surestep` and prints where it decides otherwise than the catalogue expects.
//!
//! `judge_releases SURESTEP check|drill [stack=python-openai-3] [form=command] [defect=swallows-error] [role=new]`
//! `judge_releases SURESTEP check|drill other=naive|gateway`
//!
//! Without a filter, everything: that takes hours. A filter may be given more than once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use testkit::{Expected, Finished, Form, Pair, Project, SdkRelease, Stack, Variant, catalogue};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(surestep), Some(command)) = (arguments.next(), arguments.next()) else {
        say(
            "usage: judge_releases SURESTEP check|drill [stack=NAME] [form=command|service] [defect=NAME] [role=new|rollback]",
        );
        return ExitCode::from(2);
    };
    let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for argument in arguments {
        let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
        filters.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    let wanted = |key: &str, value: &str| {
        filters.get(key).is_none_or(|values| values.iter().any(|v| v == value))
    };
    let role = filters.get("role").and_then(|roles| roles.first()).map_or("new", String::as_str);
    let surestep =
        std::fs::canonicalize(&surestep).unwrap_or_else(|_missing| PathBuf::from(surestep));
    let mut mismatches = 0;
    for other in filters.get("other").into_iter().flatten() {
        mismatches += u32::from(!judge_other(&surestep, &command, other));
    }
    for variant in catalogue() {
        for stack in &variant.stacks {
            for form in &variant.forms {
                let asked_for = wanted("stack", stack.environment_name().unwrap_or_default())
                    && wanted("form", word(*form))
                    && wanted("defect", &variant.defect)
                    && variant.tap != "forward"
                    && !filters.contains_key("other");
                if asked_for && !judge(&surestep, &command, &variant, *stack, *form, role) {
                    mismatches += 1;
                }
            }
        }
    }
    say(&format!("{mismatches} mismatches"));
    ExitCode::from(u8::from(mismatches > 0))
}

/// Runs one variant; tells whether the decision is the expected one and nothing was left behind.
fn judge(
    surestep: &std::path::Path,
    command: &str,
    variant: &Variant,
    stack: Stack,
    form: Form,
    role: &str,
) -> bool {
    let mut release = SdkRelease::new(stack, form).defect(&variant.defect);
    for (key, value) in &variant.release_settings {
        release = release.setting(key, &value.to_string());
    }
    let healthy = SdkRelease::new(stack, form);
    let pair =
        if role == "new" { Pair::new(release, healthy) } else { Pair::new(healthy, release) };
    let name = format!(
        "{}/{}/{}",
        stack.environment_name().unwrap_or_default(),
        word(form),
        or_healthy(&variant.defect)
    );
    let (expected, codes) = variant.expected_on(stack);
    let Some((finished, project)) = run(surestep, command, role, &pair, &name) else {
        return false;
    };
    report(
        &name,
        finished.exit_code.is_some_and(|code| codes.contains(&code)),
        expected,
        &finished,
        &project,
    )
}

/// Runs what is on no official SDK: it must be held.
fn judge_other(surestep: &std::path::Path, command: &str, other: &str) -> bool {
    let pair = match other {
        "naive" => {
            let naive = SdkRelease::new(Stack::PythonNaive, Form::Command);
            Pair::new(naive, SdkRelease::new(Stack::PythonOpenai3, Form::Service)).modes(&["unary"])
        }
        _ => {
            let gateway =
                SdkRelease::new(Stack::PythonLitellm, Form::Service).setting("deadline", "30s");
            Pair::new(gateway.clone(), gateway)
        }
    };
    let Some((finished, project)) = run(surestep, command, "new", &pair, other) else {
        return false;
    };
    report(other, finished.exit_code == Some(10), Expected::Hold, &finished, &project)
}

fn run(
    surestep: &std::path::Path,
    command: &str,
    role: &str,
    pair: &Pair,
    name: &str,
) -> Option<(Finished, Project)> {
    let project = match pair.write() {
        Ok(project) => project,
        Err(error) => {
            say(&format!("MISMATCH {name}: {error}"));
            return None;
        }
    };
    let arguments: &[&str] = match command {
        "check" => &["check", "--release", role, "--format", "json"],
        _ => &["drill", "--yes", "--format", "json"],
    };
    let finished = project.run(surestep, arguments, LIMIT);
    Some((finished, project))
}

fn report(
    name: &str,
    decided: bool,
    expected: Expected,
    finished: &Finished,
    project: &Project,
) -> bool {
    let orphans = project.orphans();
    let leaks = project.leaks(finished, &[]);
    let fine = decided && orphans.is_empty() && leaks.is_empty();
    let word = if fine { "as expected" } else { "MISMATCH" };
    say(&format!(
        "{word} {name}: exit {:?}, expected {expected:?}, {:.0?}",
        finished.exit_code, finished.elapsed
    ));
    if serde_json::from_slice::<serde_json::Value>(&finished.stdout).is_ok() {
        let mut by_code: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (code, release, probe) in finished.blocking_findings() {
            by_code.entry(format!("{code} ({release})")).or_default().push(probe);
        }
        for (code, probes) in by_code {
            say(&format!("    {code}: {}", probes.join(" ")));
        }
    } else {
        say(&format!("{finished}"));
    }
    for orphan in orphans {
        say(&format!("    left behind: {} {}", orphan.pid, orphan.command));
    }
    for leak in leaks {
        say(&format!("    leaked: {leak:?}"));
    }
    fine
}

fn word(form: Form) -> &'static str {
    match form {
        Form::Command => "command",
        Form::Service => "service",
    }
}

fn or_healthy(defect: &str) -> &str {
    if defect.is_empty() { "healthy" } else { defect }
}

#[expect(clippy::print_stdout, reason = "a program for people, not for machines")]
fn say(line: &str) {
    println!("{line}");
}
