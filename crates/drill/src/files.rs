//! Searches the files that releases write beside themselves, and tells whose they are.
//!
//! A file is a release's where it lies in a folder that is this release's alone. Where both share one, it is the release's that has it
//! open for writing, or that alone has the credential in it; else no release is named, and the finding holds the pair all the same.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use evidence::{Form, Scanner};
use judge::catalogue::HAPPY_LIVE;
use judge::judging::{Age, FileKind, FileLeak, LeakKind, LeakSeen, in_files, not_searched};
use judge::{Finding, Role};
use tokio::time::Instant;

use crate::asking::{Probing, leaks_in};
use crate::bench::{Bench, ControlPort, Secrets};
use crate::ports::{ChangedFile, ChangedFiles, Folders, Releases, RunningRelease as _, Tap};
use crate::settings::{HttpAsk, LedgerUrl, LogSource, Release, Run, SecretSource, Settings};

/// How long files are searched: what a run reads of them at most takes less than that on a machine with nothing else to do.
const SCAN_WITHIN: Duration = Duration::from_secs(5);

/// Shown of a file's path: the end, as that tells most.
const PATH_SHOWN: usize = 120;

/// Folders for temporary files that all programs of a machine share.
const SHARED_TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/"];

/// What SQLite keeps beside a database.
const BESIDE_DATABASE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Lists what lies in the folders of these releases, before they are started.
pub(crate) async fn list<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    roles: &[Role],
) {
    let of_releases = folders(&bench.settings, roles).into_iter().map(|(_, path)| path).collect();
    let folders = Folders { of_releases, left_out: left_out(&bench.settings) };
    bench.releases.list_files(folders).await;
}

/// Searches what the files of these releases got since they were listed, or searched last.
pub(crate) async fn search<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    roles: &[Role],
    running: &[(Role, &R::Running)],
) -> Vec<Finding> {
    let folders = folders(&bench.settings, roles);
    let changed = bench.releases.changed_files().await;
    let scanner = bench.scanner.clone();
    // A scan of a large file takes a while: not on a thread that relays.
    let scanning = tokio::task::spawn_blocking(move || scan(changed, &scanner));
    let (found, not_read) = match scanning.await {
        Ok(scanned) => scanned,
        Err(_broken) => return vec![judge::judging::search_broke_off()],
    };
    let mut all: Vec<(Option<Role>, FileLeak)> = Vec::new();
    for (file, leaks) in found {
        let of: BTreeSet<Role> =
            file.folders.iter().filter_map(|at| folders.get(*at)).map(|(role, _)| *role).collect();
        let mut writers = Vec::new();
        for (role, running) in running {
            if of.contains(role) && running.writes_to(file.id).await {
                writers.push(*role);
            }
        }
        let is_of_others = writers.is_empty() && bench.releases.is_written_by_others(file.id).await;
        let role = author(&of, &writers, &leaks, &bench.secrets).filter(|_| !is_of_others);
        all.extend(leaks.into_iter().map(|(age, leak)| {
            let leak = FileLeak {
                file: shown(&file.path, &bench.scanner),
                kind: FileKind::of(&file.path),
                is_private: file.is_private,
                is_of_others,
                leak: leak.kind,
                name: named_for(role, leak.name, &bench.secrets),
                form: leak.form,
                age,
            };
            (role, leak)
        }));
    }
    let mut findings = Vec::new();
    for role in [Some(Role::New), Some(Role::Rollback), None] {
        let own: Vec<FileLeak> =
            all.iter().filter(|(of, _)| *of == role).map(|(_, leak)| leak.clone()).collect();
        findings.extend(in_files(&own).into_iter().map(|found| Finding { release: role, ..found }));
    }
    // With one release under test the bound is about this one's files.
    let only = if let [role] = roles { Some(*role) } else { None };
    findings.extend(not_searched(&not_read).map(|found| Finding { release: only, ..found }));
    findings
}

/// Puts a finding where its release's logs are judged; where no release can be named, beside the first one's.
pub(crate) fn attach(
    finding: Finding,
    probings: &mut [(Role, &mut Vec<Probing>)],
) -> Option<Finding> {
    let of = |role: &Role| finding.release.is_none_or(|own| own == *role);
    let probings = probings.iter_mut().filter(|(role, _)| of(role)).map(|(_, all)| all);
    let place = probings.filter(|all| !all.is_empty()).find_map(|all| {
        let at = all.iter().position(|probing| probing.probe.id == HAPPY_LIVE).unwrap_or(0);
        all.get_mut(at)
    });
    match place {
        Some(probing) => {
            probing.judged.log_findings.push(finding);
            None
        }
        None => Some(finding),
    }
}

/// Returns where releases run that surestep starts, and what their configuration names for their temporary files.
fn folders(settings: &Settings, roles: &[Role]) -> Vec<(Role, PathBuf)> {
    let mut folders = Vec::new();
    for role in roles {
        let release = settings.release(*role);
        // An instance that runs already has its folder elsewhere.
        if matches!(release.run, Run::Url { .. }) {
            continue;
        }
        folders.push((*role, release.directory.clone()));
        folders.extend(temporary(release).map(|path| (*role, path)));
    }
    folders
}

fn temporary(release: &Release) -> Option<PathBuf> {
    let path = release.env.get("TMPDIR")?.replace("{version}", &release.version);
    let is_shared = SHARED_TEMPORARY.contains(&path.trim_end_matches('/')) || path == "/";
    (!is_shared && !path.is_empty()).then(|| release.directory.join(path))
}

/// Returns what is no file of a release: the ledger, logs that are searched as such, and where secrets are kept on purpose.
fn left_out(settings: &Settings) -> Vec<PathBuf> {
    let LedgerUrl::Sqlite(ledger) = &settings.ledger;
    let mut paths: Vec<PathBuf> = BESIDE_DATABASE
        .iter()
        .map(|behind| {
            let mut path = ledger.clone().into_os_string();
            path.push(behind);
            path.into()
        })
        .collect();
    let file_of = |source: &SecretSource| match source {
        SecretSource::File(path) => Some(path.clone()),
        SecretSource::Env(_) | SecretSource::Command(_) | SecretSource::Control => None,
    };
    for role in Role::BOTH {
        let release = settings.release(role);
        paths.extend(file_of(&settings.provider_of(role).key));
        paths.extend(release.secrets.values().filter_map(file_of));
        paths.extend(release.logs.iter().filter_map(|source| match source {
            LogSource::File(path) => Some(path.clone()),
            LogSource::Stderr | LogSource::Stdout | LogSource::Otlp => None,
        }));
        if let Run::Service(crate::settings::ServiceRun {
            ask: HttpAsk::Openai { key, .. }, ..
        }) = &release.run
        {
            paths.extend(key.as_ref().and_then(file_of));
        }
    }
    paths
}

type Found = Vec<(ChangedFile, Vec<(Age, LeakSeen)>)>;

/// Searches files; returns those in which something was found, and what was not searched.
fn scan(changed: ChangedFiles, scanner: &Scanner) -> (Found, Vec<String>) {
    let ChangedFiles { files, mut not_read } = changed;
    let until = Instant::now() + SCAN_WITHIN;
    let mut n_left = 0;
    let mut found = Vec::new();
    for file in files {
        if Instant::now() > until {
            n_left += 1;
            continue;
        }
        let leaks = leaks_of(&file, scanner);
        if !leaks.is_empty() {
            found.push((file, leaks));
        }
    }
    if n_left > 0 {
        not_read.push(format!(
            "{n_left} changed files not at all: it took longer than {SCAN_WITHIN:?}"
        ));
    }
    (found, not_read)
}

/// Searches a file and its name, each thing once: what was written in this run hides the same from before it.
fn leaks_of(file: &ChangedFile, scanner: &Scanner) -> Vec<(Age, LeakSeen)> {
    // What only looks like a token is a user's session in a database, but no credential of ours; in logs neither belongs.
    let is_log = FileKind::of(&file.path) == FileKind::Log;
    let mut leaks: Vec<(Age, LeakSeen)> = Vec::new();
    for (age, text) in [
        (Age::Fresh, file.path.as_str()),
        (Age::Fresh, file.fresh.expose()),
        (Age::Old, file.old.expose()),
    ] {
        for leak in leaks_in(text, "", scanner) {
            let counts = is_log || leak.form != Form::TokenPattern.as_str();
            if counts && !leaks.iter().any(|(_, l)| l.kind == leak.kind && l.name == leak.name) {
                leaks.push((age, leak));
            }
        }
    }
    leaks
}

/// Tells whose a file is, where that can be told.
fn author(
    of: &BTreeSet<Role>,
    writers: &[Role],
    leaks: &[(Age, LeakSeen)],
    secrets: &Secrets,
) -> Option<Role> {
    if let [role] = writers {
        return Some(*role);
    }
    let mut all = of.iter();
    if let (Some(role), None) = (all.next(), all.next()) {
        return Some(*role);
    }
    let mut owners = leaks
        .iter()
        .filter(|(_, leak)| leak.kind == LeakKind::Credential)
        .map(|(_, leak)| owner(&leak.name, secrets));
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

/// Returns the release that alone has a credential, by the credential's name.
fn owner(name: &str, secrets: &Secrets) -> Option<Role> {
    let role = Role::BOTH.into_iter().find(|role| name.ends_with(&format!(" of {role}")))?;
    let value = |role: Role| {
        let found = secrets.of(role).values.iter().find(|(variable, _)| {
            name.strip_prefix("secret ").is_some_and(|rest| {
                rest.strip_suffix(&format!(" of {role}")) == Some(variable.as_str())
            })
        });
        found.map(|(_, value)| value.expose().trim())
    };
    let value = value(role)?;
    let others = &secrets.of(role.other());
    let is_shared = others
        .values
        .iter()
        .map(|(_, other)| other)
        .chain(&others.control)
        .any(|other| other.expose().trim() == value);
    (!is_shared).then_some(role)
}

/// Leaves the release out of a credential's name where both have it: the name is the one of whoever had it first.
fn named_for(role: Option<Role>, name: String, secrets: &Secrets) -> String {
    let of = Role::BOTH.into_iter().find(|role| name.ends_with(&format!(" of {role}")));
    match of {
        Some(of) if role != Some(of) && owner(&name, secrets).is_none() => {
            name.strip_suffix(&format!(" of {of}")).unwrap_or(&name).to_owned()
        }
        Some(_) | None => name,
    }
}

/// Returns a path as it may be shown: redacted, on one line, and not too long.
fn shown(path: &str, scanner: &Scanner) -> String {
    let redacted = scanner.redact(path).into_string();
    let plain: Vec<char> = redacted.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match plain.len().checked_sub(PATH_SHOWN) {
        None | Some(0) => plain.into_iter().collect(),
        Some(n_over) => plain.into_iter().skip(n_over).collect::<String>(),
    }
}

#[cfg(test)]
mod tests;
