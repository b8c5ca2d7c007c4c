//! Has llmock judge the releases of the benchmark too, and writes its verdicts beside surestep's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::drill::{changed_sources, installed, project};
use super::manifest::{Manifest, Row, Side};
use super::state::State;
use crate::place::{environment, workspace_root};

/// A release of the benchmark: its name, its side, the name of its change.
type Release = (String, Side, String);

/// What llmock says of one release, over all scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// `code, scenario, mode` of each error; any of them fails its verdict.
    pub errors: BTreeSet<String>,
    /// The same of each warning; they fail its verdict only where it is told to be strict.
    pub warnings: BTreeSet<String>,
    /// The calls that it counted.
    pub calls: u64,
}

impl Judged {
    fn read(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let mut judged = Self { calls: document["calls"].as_u64()?, ..Self::default() };
        for finding in document["findings"].as_array()? {
            let [severity, code, scenario, mode] = finding.as_array()?.as_slice() else {
                return None;
            };
            let about = format!("{} ({}, {})", code.as_str()?, scenario.as_str()?, mode.as_str()?);
            match severity.as_str()? {
                "error" => judged.errors.insert(about),
                _ => judged.warnings.insert(about),
            };
        }
        Some(judged)
    }
}

/// Has llmock judge both releases of each row, each release once. What was judged before is kept in a folder and not judged again.
///
/// # Errors
///
/// When llmock is not installed or a result could not be kept. A release that could not be judged is told, and left out.
pub fn judge_by_llmock(
    surestep: &Path,
    manifest: &Manifest,
    rows: &[&Row],
    folder: &Path,
    jobs: usize,
    tell: impl Fn(&str) + Sync,
) -> Result<BTreeMap<Release, Judged>, String> {
    environment("python-llmock")?;
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut waiting: BTreeMap<Release, &Row> = BTreeMap::new();
    // It is started as a provider of chat completions.
    for row in rows.iter().filter(|row| manifest.surface(&row.release) == "chat") {
        for release in of(row) {
            waiting.entry(release).or_insert(row);
        }
    }
    let waiting: Mutex<VecDeque<_>> = Mutex::new(waiting.into_iter().collect());
    let judged: Mutex<BTreeMap<Release, Judged>> = Mutex::default();
    let work = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((release, row)) = next else { return Ok(()) };
            let path = place_of(folder, &release);
            let known = std::fs::read_to_string(&path).ok().and_then(|text| Judged::read(&text));
            let verdict = match known {
                Some(known) => known,
                None => match judge(surestep, manifest, row, release.1) {
                    Ok(text) => {
                        std::fs::write(&path, &text)
                            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                        Judged::read(&text).ok_or_else(|| format!("not understood: {text}"))?
                    }
                    Err(why) => {
                        tell(&format!("not judged: {}: {why}", path.display()));
                        continue;
                    }
                },
            };
            tell(&format!("{}: {} errors", path.display(), verdict.errors.len()));
            judged.lock().unwrap_or_else(PoisonError::into_inner).insert(release, verdict);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_panic| "judging panicked".to_owned()).flatten()
        })
    })?;
    Ok(judged.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the one case that a row is about, if it is about one.
fn case_of(row: &Row) -> Option<&str> {
    row.change.as_ref()?.case.as_deref()
}

/// Returns the name of llmock and its version.
pub fn llmock_version() -> (String, String) {
    let version = installed("python-llmock", "llmock").unwrap_or_else(|| "not installed".into());
    ("llmock".to_owned(), format!("llmock {version}"))
}

/// Returns both releases of a row; the changed one comes first.
fn of(row: &Row) -> [Release; 2] {
    [
        (row.release.clone(), row.side, row.change_name.clone()),
        (row.other.clone(), row.side.other(), String::new()),
    ]
}

fn place_of(folder: &Path, (name, side, change): &Release) -> PathBuf {
    let change = if change.is_empty() { "healthy" } else { change };
    folder.join(format!("{}-{}-{change}.json", name.replace('/', "-"), side.word()))
}

/// Returns what the script beside the manifest prints.
fn judge(surestep: &Path, manifest: &Manifest, row: &Row, side: Side) -> Result<String, String> {
    let sources = changed_sources()?;
    let project = project(surestep, manifest, row, &sources)?;
    let output = Command::new(environment("python-llmock")?.join("bin/python"))
        .arg(workspace_root().join("bench/detection/llmock.py"))
        .args([project.folder().as_os_str(), side.word().as_ref()])
        .args(case_of(row).filter(|_| side == row.side))
        .env(crate::MARKER_VARIABLE, project.marker())
        .output()
        .map_err(|error| format!("cannot start Python: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let trouble = String::from_utf8_lossy(&output.stderr);
        Err(trouble.lines().last().unwrap_or_default().to_owned())
    }
}

/// Counts of rows.
#[derive(Default)]
struct Count {
    rows: u32,
    /// Decided as they must be by surestep.
    ours: u32,
    /// Failed by llmock, for either release.
    failed: u32,
    /// The same with warnings.
    strict: u32,
    /// Of those: with a finding about the changed release that its healthy twin does not get.
    told_apart: u32,
}

/// Returns the table in Markdown: rows of which llmock judged both releases.
pub fn table_beside(
    manifest: &Manifest,
    state: &State,
    judged: &BTreeMap<Release, Judged>,
    versions: &[(String, String)],
) -> String {
    let mut classes: BTreeMap<&str, Count> = BTreeMap::new();
    let mut healthy = Count::default();
    let mut codes: BTreeMap<&str, (BTreeSet<&Release>, BTreeSet<&Release>)> = BTreeMap::new();
    for row in &manifest.rows {
        let [changed, other] = of(row);
        let (Some(own), Some(beside)) = (judged.get(&changed), judged.get(&other)) else {
            continue;
        };
        let count = row.class().map_or(&mut healthy, |class| classes.entry(class).or_default());
        count.rows += 1;
        count.ours += u32::from(state.of(row).is_some_and(|done| done.as_expected(row)));
        count.failed += u32::from(!(own.errors.is_empty() && beside.errors.is_empty()));
        let is_quiet = |judged: &Judged| judged.errors.is_empty() && judged.warnings.is_empty();
        count.strict += u32::from(!(is_quiet(own) && is_quiet(beside)));
        let twin = judged
            .iter()
            .find(|((name, _, change), _)| *name == row.release && change.is_empty())
            .map(|(_, twin)| twin);
        let all = |judged: &Judged| -> BTreeSet<String> {
            judged.errors.union(&judged.warnings).cloned().collect()
        };
        count.told_apart += u32::from(twin.is_some_and(|twin| !all(own).is_subset(&all(twin))));
    }
    for (release, judged) in judged {
        for about in judged.errors.iter().chain(&judged.warnings) {
            let code = about.split_whitespace().next().unwrap_or_default();
            let (defective, fine) = codes.entry(code).or_default();
            let is_defective =
                manifest.rows.iter().any(|row| of(row)[0] == *release && row.is_defective());
            if is_defective {
                defective.insert(release)
            } else {
                fine.insert(release)
            };
        }
    }
    if manifest.rows.iter().any(|row| case_of(row).is_some()) {
        return write_cases(manifest, state, judged, versions);
    }
    write(manifest, &classes, &healthy, &codes, versions)
}

/// Rows that are about one case each: what both say of it.
fn write_cases(
    manifest: &Manifest,
    state: &State,
    judged: &BTreeMap<Release, Judged>,
    versions: &[(String, String)],
) -> String {
    let mut out = String::from(
        "# Cases that are hard to judge\n\nWritten by `cargo xtask detect --beside llmock --manifest bench/detection/cases.json`. Each is a small client in one \
         situation. [llmock](https://pypi.org/project/llmock/) was given just that situation ([llmock.py](llmock.py)); surestep drilled the release beside \
         a healthy one with its default plan. **Bold** is what is wrong.\n\n| | what should be said | surestep | llmock |\n|---|---|---|---|\n",
    );
    for row in &manifest.rows {
        let summary = row.change.as_ref().map_or("", |change| change.summary.as_str());
        let ours = match state.of(row) {
            None => "not run".to_owned(),
            Some(done) => {
                let own = done.found.iter().filter(|(_, side)| side == row.side.word());
                let codes: Vec<String> = own.map(|(code, _)| format!("`{code}`")).collect();
                let text = format!("{} {}", done.decision, codes.join(", "));
                marked(text.trim(), done.as_expected(row))
            }
        };
        let theirs = match judged.get(&of(row)[0]) {
            None => "not run".to_owned(),
            Some(Judged { errors, warnings, calls }) => {
                let code =
                    |about: &String| format!("`{}`", about.split(' ').next().unwrap_or_default());
                let codes: Vec<String> = errors.iter().chain(warnings).map(code).collect();
                let word = if errors.is_empty() { "pass" } else { "fail" };
                let text = format!("{word} {} ({calls} calls)", codes.join(", "));
                marked(&text, errors.is_empty() != row.is_defective())
            }
        };
        let wanted = if row.is_defective() { "fail" } else { "pass" };
        _ = writeln!(out, "| {summary} | {wanted} | {ours} | {theirs} |");
    }
    _ = writeln!(out, "\n| | |\n|---|---|");
    for (name, version) in versions {
        _ = writeln!(out, "| {name} | {version} |");
    }
    out
}

fn marked(text: &str, is_right: bool) -> String {
    if is_right { text.to_owned() } else { format!("**{text}**") }
}

fn write(
    manifest: &Manifest,
    classes: &BTreeMap<&str, Count>,
    healthy: &Count,
    codes: &BTreeMap<&str, (BTreeSet<&Release>, BTreeSet<&Release>)>,
    versions: &[(String, String)],
) -> String {
    let mut out = String::from(
        "# Beside llmock\n\nWritten by `cargo xtask detect --beside llmock`. [llmock](https://pypi.org/project/llmock/) is the one public tool \
         that gives a verdict on a client; it sees the wire and has rules about retries and streams. It was given each release of the benchmark, \
         with every fault that it can make and has a rule about, in both modes ([llmock.py](llmock.py)); surestep was given the pair. A row is \
         *failed* by llmock when it finds an error in either release; *strictly* counts its warnings as well, as it can be told to. *Told apart*: \
         it finds something in the defective release that it does not find in the healthy release on the same stack.\n\n\
         | class | | rows | surestep: held | llmock: failed | strictly | told apart |\n|---|---|---|---|---|---|---|\n",
    );
    let mut all = Count::default();
    for (class, count) in classes {
        let name = manifest.classes.get(*class).map_or("", String::as_str);
        _ = writeln!(
            out,
            "| {class} | {name} | {} | {} | {} | {} | {} |",
            count.rows, count.ours, count.failed, count.strict, count.told_apart
        );
        all.rows += count.rows;
        all.ours += count.ours;
        all.failed += count.failed;
        all.strict += count.strict;
        all.told_apart += count.told_apart;
    }
    _ = writeln!(
        out,
        "| | **all defective** | {} | {} | {} | {} | {} |\n\n\
         | | rows | surestep: promoted | llmock: passed | strictly |\n|---|---|---|---|---|\n\
         | **healthy** | {} | {} | {} | {} |\n",
        all.rows,
        all.ours,
        all.failed,
        all.strict,
        all.told_apart,
        healthy.rows,
        healthy.ours,
        healthy.rows - healthy.failed,
        healthy.rows - healthy.strict
    );
    _ = writeln!(
        out,
        "## What llmock found\n\n| finding | defective releases | healthy releases |\n|---|---|---|"
    );
    for (code, (defective, fine)) in codes {
        _ = writeln!(out, "| `{code}` | {} | {} |", defective.len(), fine.len());
    }
    _ = writeln!(out, "\n## Versions\n\n| | |\n|---|---|");
    for (name, version) in versions {
        _ = writeln!(out, "| {name} | {version} |");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_or_refused() {
        let text = r#"{"calls": 3, "findings": [["error", "retry_storm", "503, lasting", "unary"], ["warning", "gave_up", "500, lasting", "stream"]]}"#;
        let judged = Judged::read(text).unwrap();
        assert_eq!(judged.errors.len() + judged.warnings.len(), 2);
        assert!(judged.errors.contains("retry_storm (503, lasting, unary)"), "{judged:?}");
        assert_eq!(Judged::read(r#"{"findings": []}"#), None);
        assert_eq!(Judged::read(r#"{"calls": 1, "findings": [["error", "x"]]}"#), None);
    }
}
