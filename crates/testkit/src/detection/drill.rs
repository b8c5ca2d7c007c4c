//! Makes a row's pair of releases, and drills it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::manifest::{Change, Manifest, Row, Side, pairs, plain, sources_folder};
use super::state::Done;
use crate::pair::Pair;
use crate::place::{environment, workspace_root};
use crate::project::{Finished, Project};
use crate::sdk_release::{Form, SdkRelease, Stack};

/// How long one drill may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(900);

/// Drills one row. Releases that are binaries of this workspace lie beside surestep.
pub(crate) fn drill(surestep: &Path, manifest: &Manifest, row: &Row) -> Done {
    match try_drill(surestep, manifest, row) {
        Ok(done) => done,
        Err(trouble) => Done {
            decision: "not drilled".into(),
            found: std::collections::BTreeSet::new(),
            trouble,
            seconds: 0,
            version: version_of(surestep),
            earlier: Vec::new(),
        },
    }
}

fn try_drill(surestep: &Path, manifest: &Manifest, row: &Row) -> Result<Done, String> {
    let folder = changed_sources()?;
    let project = project(surestep, manifest, row, &folder)?;
    let done = project.run(surestep, &["drill", "--yes", "--format", "json"], LIMIT);
    let mut trouble = String::new();
    for orphan in project.orphans() {
        trouble.push_str(&format!("left behind: {}; ", orphan.command));
    }
    if !project.leaks(&done, &[]).is_empty() {
        trouble.push_str("a credential was written; ");
    }
    let found = serde_json::from_slice::<Value>(&done.stdout).map(|_| done.blocking_findings());
    let found = found.unwrap_or_default().into_iter();
    Ok(Done {
        decision: decision(&done),
        found: found.map(|(code, release, _probe)| (code, release)).collect(),
        trouble,
        seconds: done.elapsed.as_secs(),
        version: version_of(surestep),
        earlier: Vec::new(),
    })
}

/// Returns a folder for the sources of a release that is changed. They go with it.
pub(crate) fn changed_sources() -> Result<TempDir, String> {
    let folder = tempfile::Builder::new().prefix("surestep-detect-").tempdir();
    folder.map_err(|error| format!("cannot make a temporary folder: {error}"))
}

/// Writes a row's pair of releases down as a project.
pub(crate) fn project(
    surestep: &Path,
    manifest: &Manifest,
    row: &Row,
    folder: &TempDir,
) -> Result<Project, String> {
    let binaries = surestep.parent().unwrap_or(Path::new("."));
    let changed = release(manifest, &row.release, row.side, row.change.as_ref(), folder, binaries)?;
    let healthy = release(manifest, &row.other, row.side.other(), None, folder, binaries)?;
    let pair = match row.side {
        Side::New => Pair::new(changed, healthy),
        Side::Rollback => Pair::new(healthy, changed),
    };
    pair.surface(manifest.surface(&row.release)).write()
}

/// The decision counts only together with the exit code that says the same.
fn decision(done: &Finished) -> String {
    let said = serde_json::from_slice::<Value>(&done.stdout).unwrap_or_default();
    let said = plain(&said["decision"]);
    match (done.exit_code, said.as_str()) {
        (Some(0), "promote_small_step") | (Some(10 | 11), "hold") | (Some(20), "rollback") => said,
        (code, _) => {
            let trouble = String::from_utf8_lossy(&done.stderr);
            format!("exit {code:?}: {}", trouble.lines().next().unwrap_or_default())
        }
    }
}

/// Returns a release that is written `stack/form`, with a change or without.
fn release(
    manifest: &Manifest,
    name: &str,
    side: Side,
    change: Option<&Change>,
    folder: &TempDir,
    binaries: &Path,
) -> Result<SdkRelease, String> {
    let stack = manifest.stack(name);
    let (stack_name, form_name) = name.split_once('/').unwrap_or((name, ""));
    let form = Form::named(form_name).unwrap_or(Form::Service);
    let mut release = match Stack::named(stack_name) {
        Some(known) => SdkRelease::new(known, form),
        None => own(stack, &stack["forms"][form_name], side, change, folder, binaries)?,
    };
    let form_env = pairs(&stack["forms"][form_name]["env"]);
    for (key, value) in pairs(&stack["env"]).iter().chain(&form_env) {
        release = release.env(key, &placed(value, stack, change)?);
    }
    for (key, value) in pairs(&stack["settings"]) {
        release = release.setting(&key, &value);
    }
    let Some(change) = change else { return Ok(release) };
    if let Some(name) = &change.built_in {
        release = release.defect(name);
    }
    for (key, value) in &change.env {
        release = release.env(key, value);
    }
    for (key, value) in &change.settings {
        release = release.setting(key, value);
    }
    if let Some(key) = &change.key {
        let path = folder.path().join("another-key");
        std::fs::write(&path, key).map_err(|error| format!("cannot write a key: {error}"))?;
        let variable = stack["key_variable"].as_str().unwrap_or("COMETAPI_API_KEY");
        let source = Value::from(format!("file:{}", path.display()));
        release = release.setting("secrets", &format!("{{ {variable}: {source} }}"));
    }
    Ok(release)
}

/// Returns a release whose program lies beside the manifest, or is one of our own binaries. A change's edits go into a copy.
fn own(
    stack: &Value,
    form: &Value,
    side: Side,
    change: Option<&Change>,
    folder: &TempDir,
    binaries: &Path,
) -> Result<SdkRelease, String> {
    let sources = sources_folder(&plain(&stack["folder"]));
    let directory = match change {
        Some(change) if !change.edits.is_empty() => {
            let copy = folder.path().join("release");
            copy_with(&sources, &copy, change)?;
            copy
        }
        _ => sources,
    };
    let run = placed(&plain(&form["run"]), stack, change)?
        .replace("<side>", side.word())
        .replace("<bin>", &binaries.display().to_string());
    Ok(SdkRelease::new(Stack::PythonNaive, Form::Service)
        .setting("run", &run)
        .setting("directory", &Value::from(directory.display().to_string()).to_string()))
}

/// Puts the places of the environment that a release runs in into a text of the manifest.
fn placed(text: &str, stack: &Value, change: Option<&Change>) -> Result<String, String> {
    if !text.contains("<python>") && !text.contains("<environment>") {
        return Ok(text.to_owned());
    }
    let name = change.and_then(|change| change.environment.as_deref());
    let name = name.or(stack["environment"].as_str()).ok_or("the stack has no environment")?;
    let folder = environment(name)?;
    Ok(text
        .replace("<python>", &folder.join("bin/python").display().to_string())
        .replace("<environment>", &folder.display().to_string()))
}

/// Copies a folder of sources and makes the edits; each old text must stand there exactly once.
fn copy_with(from: &Path, to: &Path, change: &Change) -> Result<(), String> {
    let trouble = |error: std::io::Error| format!("cannot copy {}: {error}", from.display());
    std::fs::create_dir_all(to).map_err(trouble)?;
    for entry in std::fs::read_dir(from).map_err(trouble)? {
        let path = entry.map_err(trouble)?.path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap_or_default())).map_err(trouble)?;
        }
    }
    for (file, old, new) in &change.edits {
        let path = to.join(file);
        let text = std::fs::read_to_string(&path).map_err(trouble)?;
        if text.matches(old).count() != 1 {
            return Err(format!("{file} has {} times {old:?}", text.matches(old).count()));
        }
        std::fs::write(&path, text.replace(old, new)).map_err(trouble)?;
    }
    Ok(())
}

/// Returns the commit that the workspace is at, and whether its program is newer: what a result is about.
fn version_of(surestep: &Path) -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(workspace_root()).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
    };
    let version = first_line(&surestep.display().to_string(), &["--version"]);
    format!("{version}, {}", first_line("git", &["rev-parse", "--short", "HEAD"]))
}

/// Returns what was tested with what, as `(name, version)`.
pub fn versions(surestep: &Path, manifest: &Manifest) -> Vec<(String, String)> {
    let mut versions = vec![("surestep".to_owned(), version_of(surestep))];
    for (name, stack) in &manifest.stacks {
        let library = plain(&stack["library"]);
        let version = match stack["environment"].as_str() {
            Some(place) => installed(place, &library).unwrap_or_else(|| "not installed".into()),
            None => program_version(&plain(&stack["version_of"])),
        };
        versions.push((name.clone(), format!("{library} {version}").trim().to_owned()));
    }
    for row in &manifest.rows {
        let place = row.change.as_ref().and_then(|change| change.environment.as_deref());
        let Some(place) = place else { continue };
        let library = plain(&manifest.stack(&row.release)["library"]);
        let version = installed(place, &library).unwrap_or_else(|| "not installed".into());
        let shown = (row.change_name.clone(), format!("{library} {version}"));
        if !versions.contains(&shown) {
            versions.push(shown);
        }
    }
    versions
}

pub(crate) fn installed(place: &str, library: &str) -> Option<String> {
    let folder = environment(place).ok()?;
    let package = folder.join("node_modules").join(library).join("package.json");
    if let Ok(text) = std::fs::read_to_string(package) {
        return Some(plain(&serde_json::from_str::<Value>(&text).ok()?["version"]));
    }
    for python in std::fs::read_dir(folder.join("lib")).ok()?.flatten() {
        let packages = std::fs::read_dir(python.path().join("site-packages")).ok()?;
        for package in packages.flatten() {
            let name = package.file_name().to_string_lossy().into_owned();
            let version = name.strip_suffix(".dist-info").and_then(|name| name.split_once('-'));
            if let Some((found, version)) = version
                && found == library
            {
                return Some(version.to_owned());
            }
        }
    }
    None
}

fn program_version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.split_whitespace().find(|word| word.contains('.')).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_edit_of_the_manifests_can_be_made() {
        for name in ["manifest.json", "mutants.json"] {
            let manifest = Manifest::read(&workspace_root().join("bench/detection").join(name));
            let manifest = manifest.unwrap();
            let folder = tempfile::tempdir().unwrap();
            for (number, row) in manifest.rows.iter().enumerate() {
                let Some(change) = &row.change else { continue };
                if change.edits.is_empty() {
                    continue;
                }
                let sources = plain(&manifest.stack(&row.release)["folder"]);
                let sources = sources_folder(&sources);
                let copy = folder.path().join(number.to_string());
                copy_with(&sources, &copy, change)
                    .unwrap_or_else(|why| panic!("{}: {why}", row.name));
            }
        }
    }

    #[test]
    fn edit_that_fits_nowhere_or_twice_is_refused() {
        for (text, fits) in [("one", true), ("two", false), ("one one", false)] {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            std::fs::create_dir(&from).unwrap();
            std::fs::write(from.join("f"), text).unwrap();
            let change = Change {
                summary: String::new(),
                class: None,
                codes: BTreeSet::new(),
                built_in: None,
                edits: vec![("f".into(), "one".into(), "three".into())],
                env: Vec::new(),
                settings: Vec::new(),
                key: None,
                environment: None,
                case: None,
            };
            assert_eq!(copy_with(&from, &to, &change).is_ok(), fits, "{text}");
        }
    }
}
