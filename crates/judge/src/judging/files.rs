//! What the files that a release writes must not hold: those beside it that nobody named as its logs.
//!
//! A file's name tells what it is. A log is collected, shipped and kept, whoever declares it: what must not be in the one must not be in
//! the other. Data may hold conversations, since an application may store them by design; a credential has no business there either.

use super::LeakKind;
use crate::{Finding, Severity};

/// Files that a finding names at most: the first ones say enough.
const FILES_NAMED_MAX: usize = 5;

/// Words that make a log of a file named by them: `debug`, `debug.txt`, `errors-2026.jsonl`.
const LOG_WORDS: [&str; 12] = [
    "log", "logs", "logfile", "logging", "debug", "trace", "error", "errors", "audit", "stdout",
    "stderr", "console",
];

/// Endings of logs, whatever comes before them.
const LOG_ENDINGS: [&str; 5] = ["log", "txt", "out", "err", "trace"];

/// Endings of files in rows, which are logs only by name or folder: `audit.jsonl`, `logs/2026.csv`.
const ROW_ENDINGS: [&str; 6] = ["jsonl", "ndjson", "csv", "tsv", "json", "xml"];

/// Endings of settings, by which some programs take a credential and in no other way (`curl -K`, nginx).
const SETTINGS_ENDINGS: [&str; 9] =
    ["conf", "cfg", "cnf", "ini", "yaml", "yml", "toml", "env", "properties"];

/// What a file is, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A log, also a rotated one.
    Log,
    /// Settings.
    Settings,
    /// Anything else: data, a cache, a database.
    Data,
}

impl FileKind {
    /// Tells what a file is by its path from the folder of its release.
    pub fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        // `app.log.2`, `app.log.gz`, `app.log-20261122`: what rotation has put behind.
        let mut parts: Vec<&str> = name.split('.').filter(|part| !part.is_empty()).collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| is_of_rotation(part)) {
            parts.pop();
        }
        let (stem, ending) = match parts.as_slice() {
            [] => ("", ""),
            [only] => (*only, ""),
            [stem, .., ending] => (*stem, *ending),
        };
        let ending = ending.split(['-', '_']).next().unwrap_or(ending);
        let named = stem.split(['-', '_', ' ']).any(|word| LOG_WORDS.contains(&word))
            || folders.split('/').any(|folder| matches!(folder, "log" | "logs"));
        if LOG_ENDINGS.contains(&ending)
            || (named && (ending.is_empty() || ROW_ENDINGS.contains(&ending)))
        {
            Self::Log
        } else if SETTINGS_ENDINGS.contains(&ending)
            || SETTINGS_ENDINGS.contains(&stem)
            || stem == "netrc"
        {
            Self::Settings
        } else {
            Self::Data
        }
    }
}

fn is_of_rotation(part: &str) -> bool {
    matches!(part, "gz" | "old" | "bak")
        || part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// When something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// In this run.
    Fresh,
    /// Before it: it stands in the part of a log to which the release has only added.
    Old,
}

/// Something sensitive that stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLeak {
    /// The file, from the folder of its release; redacted.
    pub file: String,
    /// What the file is.
    pub kind: FileKind,
    /// Whether nobody but its owner may read it.
    pub is_private: bool,
    /// Whether a process that is none of a release's has it open for writing.
    pub is_of_others: bool,
    /// What stands there.
    pub leak: LeakKind,
    /// What it is called.
    pub name: String,
    /// In which form.
    pub form: String,
    /// When it was written.
    pub age: Age,
}

impl FileLeak {
    fn severity(&self) -> Severity {
        let is_kept_on_purpose = self.kind == FileKind::Settings && self.is_private;
        let is_stored = self.kind != FileKind::Log && self.leak != LeakKind::Credential;
        if self.age == Age::Old || self.is_of_others || is_kept_on_purpose || is_stored {
            Severity::Warn
        } else {
            Severity::Fail
        }
    }

    fn code(&self) -> &'static str {
        match (self.kind, self.leak) {
            (FileKind::Log, LeakKind::Credential) => "log-leaks-credential",
            (FileKind::Log, LeakKind::Prompt) => "log-leaks-prompt",
            (FileKind::Log, LeakKind::Completion) => "log-leaks-completion",
            (FileKind::Settings | FileKind::Data, LeakKind::Credential) => "file-holds-credential",
            (FileKind::Settings | FileKind::Data, LeakKind::Prompt | LeakKind::Completion) => {
                "file-holds-conversation"
            }
        }
    }
}

/// Words what stands in files, one finding for each code and severity.
pub fn in_files(leaks: &[FileLeak]) -> Vec<Finding> {
    let mut found: Vec<(&'static str, Severity, Vec<&FileLeak>)> = Vec::new();
    for leak in leaks {
        let (code, severity) = (leak.code(), leak.severity());
        match found.iter_mut().find(|(c, s, _)| (*c, *s) == (code, severity)) {
            Some((_, _, same)) => same.push(leak),
            None => found.push((code, severity, vec![leak])),
        }
    }
    found.into_iter().map(|(code, severity, leaks)| finding(code, severity, &leaks)).collect()
}

fn finding(code: &'static str, severity: Severity, leaks: &[&FileLeak]) -> Finding {
    let (expected, advice) = match code {
        "log-leaks-credential" => (
            "no credential in a file that looks like a log, named under `logs` or not",
            "A key in a log has to be treated as stolen: rotate it, and delete the file. A debug log is a log: keep keys out of all of them.",
        ),
        "log-leaks-prompt" | "log-leaks-completion" => (
            "nothing of what users ask and models answer in a file that looks like a log, named under `logs` or not",
            "Log sizes, ids and classes instead. Where the application stores conversations on purpose, keep them in a file that is no log by its name.",
        ),
        "file-holds-credential" => (
            "no credential in the files that a release writes beside itself",
            "Rotate the key, and keep it out of caches, databases and dumps: store the answer of a call without its request. Settings that have to hold a key belong where only their owner may read them (mode 0600).",
        ),
        _ => (
            "files without what users ask and models answer, unless they are stored on purpose",
            "If the application stores conversations by design, see who may read the file and how long it is kept; if not, find out what keeps them: a cache, a session store, a dump.",
        ),
    };
    let mut named: Vec<String> = Vec::new();
    for leak in leaks.iter().take(FILES_NAMED_MAX) {
        let note = match (leak.age, leak.is_of_others) {
            (Age::Old, _) => ", from before this run",
            (Age::Fresh, true) => ", held open by a process that is no release's",
            (Age::Fresh, false) => "",
        };
        named.push(format!("{} has {} ({}{note})", leak.file, leak.name, leak.form));
    }
    let more = leaks.len().saturating_sub(FILES_NAMED_MAX);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Finding::new(severity, code, expected, named.join("; "), advice)
}

/// Says that files were not searched, or not whole.
pub fn not_searched(why: &[String]) -> Option<Finding> {
    (!why.is_empty()).then(|| {
        Finding::new(
            Severity::Info,
            "files-not-searched",
            "every file that a release has changed, searched for credentials and conversations",
            why.join("; "),
            "What was not searched is not shown to be clean. Run the release in a folder of its own, with its data elsewhere.",
        )
    })
}

/// Says that the search of files failed: nothing is shown of any of them.
pub fn search_broke_off() -> Finding {
    Finding::new(
        Severity::Ambiguous,
        "files-not-searched",
        "every file that a release has changed, searched for credentials and conversations",
        "none of them: the search broke off",
        "This is surestep's own fault. Run it again; where it stays, report it with the names of the files that the release writes.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_told_by_name() {
        for (kind, names) in [
            (
                FileKind::Log,
                "debug.log app.log.1 app.log.2.gz app.log-20261122 App-2026.LOG notes.txt log logs/2026.jsonl \
                 var/log/asks.json audit.jsonl error_2026.csv stderr nohup.out debug.2026-11-22.log .debug.log",
            ),
            (FileKind::Settings, "curl.conf .env .netrc config/provider.yaml app.toml.bak"),
            (
                FileKind::Data,
                "cache.json asks.jsonl state.db state.db-wal login.json logo.svg catalog.json blog/posts.json \
                 dialogs.sqlite 17 core.4711 terrors.bin",
            ),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(FileKind::of(name), kind, "{name}");
            }
        }
    }

    /// A key that was written into `debug.log` in this run.
    fn leak() -> FileLeak {
        FileLeak {
            file: "debug.log".to_owned(),
            kind: FileKind::Log,
            is_private: false,
            is_of_others: false,
            leak: LeakKind::Credential,
            name: "secret K".to_owned(),
            form: "plain".to_owned(),
            age: Age::Fresh,
        }
    }

    #[test]
    fn weight_is_by_file_and_by_what_stands_there() {
        use FileKind::{Data, Log, Settings};
        use LeakKind::{Completion, Credential, Prompt};
        use Severity::{Fail, Warn};
        for (kind, what, code, severity) in [
            (Log, Credential, "log-leaks-credential", Fail),
            (Log, Prompt, "log-leaks-prompt", Fail),
            (Log, Completion, "log-leaks-completion", Fail),
            (Data, Credential, "file-holds-credential", Fail),
            (Data, Prompt, "file-holds-conversation", Warn),
            (Data, Completion, "file-holds-conversation", Warn),
            (Settings, Credential, "file-holds-credential", Fail),
            (Settings, Prompt, "file-holds-conversation", Warn),
        ] {
            let fresh = FileLeak { kind, leak: what, ..leak() };
            let old = FileLeak { age: Age::Old, ..fresh.clone() };
            let of_others = FileLeak { is_of_others: true, ..fresh.clone() };
            let private = FileLeak { is_private: true, ..fresh.clone() };
            let of_private = if kind == Settings { Warn } else { severity };
            for (leak, severity) in
                [(fresh, severity), (old, Warn), (of_others, Warn), (private, of_private)]
            {
                let found = in_files(std::slice::from_ref(&leak));
                let given: Vec<_> = found.iter().map(|f| (f.code.as_str(), f.severity)).collect();
                assert_eq!(given, [(code, severity)], "{leak:?}");
            }
        }
    }

    #[test]
    fn many_files_are_one_finding() {
        let mut leaks: Vec<FileLeak> =
            (0..7).map(|n| FileLeak { file: format!("{n}.log"), ..leak() }).collect();
        leaks.push(FileLeak { age: Age::Old, ..leak() });
        let found = in_files(&leaks);
        let seen: Vec<&str> = found.iter().map(|finding| finding.seen.as_str()).collect();
        assert_eq!(
            seen,
            [
                "0.log has secret K (plain); 1.log has secret K (plain); 2.log has secret K (plain); \
                 3.log has secret K (plain); 4.log has secret K (plain); and 2 more",
                "debug.log has secret K (plain, from before this run)",
            ]
        );
    }

    #[test]
    fn a_bound_is_said() {
        assert_eq!(not_searched(&[]), None);
        let finding = not_searched(&["one".to_owned(), "two".to_owned()]).unwrap();
        assert_eq!((finding.severity, finding.seen.as_str()), (Severity::Info, "one; two"));
    }
}
