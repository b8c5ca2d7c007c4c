//! The build of a release as it lies on disk: the files that its command names, the sources beside them, and which libraries are
//! installed. Whoever changes one of these under the same version has another release, and no evidence about it.
//!
//! What a program writes while it runs is no source: only files with the extensions of sources count, in the release's own folder, and not in folders that are
//! hidden, or that hold libraries or what was built.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use drill::settings::{Release, Run};
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

/// A file larger than this is told by its size and time of change instead of by its content.
const CONTENT_MAX: u64 = 64 * 1024 * 1024;

/// With more sources than this the folder is a whole repository, or a home: then only what the command names is read.
const SOURCES_MAX: usize = 4_000;

/// Nor is a folder one release's in which there is more than this, sources or not: the question is to be answered at once.
const ENTRIES_MAX: usize = 40_000;

/// How deep sources are looked for.
const DEPTH_MAX: usize = 8;

/// Extensions of sources, and of what pins libraries.
const SOURCES: [&str; 26] = [
    "py", "pyi", "js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "rb", "php", "pl", "pm",
    "sh", "bash", "go", "rs", "java", "kt", "scala", "cs", "fs", "ex", "exs", "lua",
];

/// Files that pin libraries, whatever their extension.
const PINS: [&str; 18] = [
    "requirements.txt",
    "constraints.txt",
    "pyproject.toml",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "Gemfile.lock",
    "composer.lock",
    "go.mod",
    "go.sum",
    "Cargo.lock",
    "gradle.lockfile",
];

/// Folders of libraries, and of what was built or is cached.
const NO_SOURCES: [&str; 8] =
    ["node_modules", "__pycache__", "site-packages", "target", "venv", "env", "vendor", "build"];

/// Adds what a release is on disk.
pub(super) fn add(release: &Release, digest: &mut Vec<u8>) {
    if matches!(release.run, Run::Url { .. }) {
        return;
    }
    let words = words(release);
    for word in &words {
        add_file(digest, word, &release.directory.join(word));
    }
    for source in sources(&release.directory).unwrap_or_default() {
        let name = source.strip_prefix(&release.directory).unwrap_or(&source);
        add_file(digest, &name.to_string_lossy(), &source);
    }
    for library in libraries(release, &words) {
        digest.extend_from_slice(library.as_bytes());
        digest.push(0);
    }
}

/// Returns the words of a release's commands: those that name files are a part of what it is.
fn words(release: &Release) -> Vec<&String> {
    match &release.run {
        Run::Command(command) => [&command.unary, &command.stream]
            .into_iter()
            .flatten()
            .flat_map(|one| &one.command)
            .collect(),
        Run::Service(service) => service.command.iter().collect(),
        Run::Url { .. } => Vec::new(),
    }
}

fn add_file(digest: &mut Vec<u8>, name: &str, path: &Path) {
    if let Some(content) = content_of(path) {
        digest.extend_from_slice(name.as_bytes());
        digest.push(0);
        digest.extend_from_slice(&content);
    }
}

/// Returns the sources in a folder, sorted; `None` where there are too many of them to be one release's.
fn sources(folder: &Path) -> Option<Vec<PathBuf>> {
    let walk = WalkDir::new(folder).max_depth(DEPTH_MAX).sort_by_file_name();
    let mut found = Vec::new();
    // What cannot be read has no content that could be told from another.
    let entries = walk.into_iter().filter_entry(may_hold_sources).filter_map(Result::ok);
    for (n_before, entry) in entries.enumerate() {
        if n_before == ENTRIES_MAX {
            return None;
        }
        if entry.file_type().is_file() && is_source(entry.path()) {
            if found.len() == SOURCES_MAX {
                return None;
            }
            found.push(entry.into_path());
        }
    }
    Some(found)
}

fn may_hold_sources(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_left_out = name.starts_with('.') || NO_SOURCES.contains(&&*name);
    entry.depth() == 0 || !(entry.file_type().is_dir() && is_left_out)
}

fn is_source(path: &Path) -> bool {
    let is_one_of = |known: &[&str], part: Option<&std::ffi::OsStr>| {
        part.and_then(|part| part.to_str()).is_some_and(|part| known.contains(&part))
    };
    is_one_of(&SOURCES, path.extension()) || is_one_of(&PINS, path.file_name())
}

/// Returns what is installed: the names and versions of a virtual environment's packages whose interpreter the command names, and what npm
/// says of the folder that it filled.
fn libraries(release: &Release, words: &[&String]) -> Vec<String> {
    let mut libraries = Vec::new();
    for word in words {
        let program = release.directory.join(word);
        let environment = program.parent().and_then(Path::parent);
        if let Some(environment) = environment.filter(|at| at.join("pyvenv.cfg").is_file()) {
            libraries.extend(packages(environment).unwrap_or_default());
        }
    }
    let mut roots: Vec<&Path> = vec![&release.directory];
    let named: Vec<PathBuf> = words.iter().map(|word| release.directory.join(word)).collect();
    roots.extend(named.iter().filter_map(|file| file.parent()));
    for root in roots {
        // npm's own list of what it has installed there.
        let installed = root.join("node_modules/.package-lock.json");
        libraries.extend(fs::read_to_string(installed).ok());
    }
    libraries
}

/// Returns the packages of a virtual environment, as their metadata folders are named: `openai-3.57.0.dist-info`.
fn packages(environment: &Path) -> io::Result<Vec<String>> {
    let mut packages = Vec::new();
    for version in fs::read_dir(environment.join("lib"))? {
        let Ok(installed) = fs::read_dir(version?.path().join("site-packages")) else { continue };
        for entry in installed {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|e| e == "dist-info" || e == "egg-info") {
                packages.push(name);
            }
        }
    }
    packages.sort();
    Ok(packages)
}

/// Returns a digest of a file's content; `None` for what is no file, and for what cannot be read: whether it can be run, its start will
/// show.
fn content_of(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    if metadata.len() > CONTENT_MAX {
        return Some(format!("{} {:?}", metadata.len(), metadata.modified().ok()).into_bytes());
    }
    let mut file = File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(hasher.finalize().to_vec()),
            Ok(n) => hasher.update(buffer.get(..n)?),
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_from_what_is_written_installed_or_built() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "service.py",
            "lib/provider.py",
            "requirements.txt",
            "web/app.mjs",
            "state.json",
            "release.log",
            ".git/hooks/pre-push.sh",
            "node_modules/openai/index.js",
            "venv/lib/python3.11/site-packages/openai/__init__.py",
            "lib/__pycache__/provider.py",
        ];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = sources(folder.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["lib/provider.py", "requirements.txt", "service.py", "web/app.mjs"]);
    }

    #[test]
    fn too_many_sources_are_no_releases() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..=SOURCES_MAX {
            fs::write(folder.path().join(format!("{n}.py")), "").unwrap();
        }
        assert_eq!(sources(folder.path()), None);
    }

    #[test]
    fn installed_packages_are_told_by_name_and_version() {
        let environment = tempfile::tempdir().unwrap();
        let site = environment.path().join("lib/python3.11/site-packages");
        for name in ["openai-3.57.0.dist-info", "openai", "httpx-0.28.1.dist-info"] {
            fs::create_dir_all(site.join(name)).unwrap();
        }
        let found = packages(environment.path()).unwrap();
        assert_eq!(found, ["httpx-0.28.1.dist-info", "openai-3.57.0.dist-info"]);
    }
}
