//! `surestep init`: writes a commented configuration that fits the folder as far as one can tell from outside.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A project file is only looked at for names; the largest has some hundred kilobytes.
const PROJECT_FILE_BYTES_MAX: u64 = 1 << 20;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The new file.
    pub(crate) path: PathBuf,
    /// What the folder looked like.
    pub(crate) project: Project,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// There is a file already.
    #[error("{} exists already", path.display())]
    Exists {
        /// It.
        path: PathBuf,
    },
    /// The machine would not let us.
    #[error("writing {}", path.display())]
    Write {
        /// What we wanted to write.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl InitError {
    /// Returns what to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "`--force` replaces it; `--config FILE` writes another one",
            Self::Write { .. } => "check that the folder exists and may be written to",
        }
    }
}

/// What a folder looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Project {
    /// Python, with the script that seems to be the program.
    Python {
        /// `app.py` or another.
        script: String,
    },
    /// Node.js, with its main file.
    Node {
        /// `index.js` or another.
        script: String,
    },
    /// Rust, with its package.
    Rust {
        /// The package's name.
        package: String,
    },
    /// Nothing that we know.
    Unknown,
}

impl Project {
    /// Looks at a folder.
    pub(crate) fn detect(folder: &Path) -> Self {
        let is_file = |name: &str| folder.join(name).is_file();
        let first =
            |names: &[&str]| names.iter().find(|name| is_file(name)).map(|name| (*name).to_owned());
        if is_file("package.json") {
            let main = main_of_package(&folder.join("package.json")).filter(|main| is_file(main));
            let script =
                main.or_else(|| first(&["index.js", "server.js", "app.js", "src/index.js"]));
            return Self::Node { script: script.unwrap_or_else(|| "index.js".to_owned()) };
        }
        if is_file("pyproject.toml") || is_file("requirements.txt") {
            let script = first(&["app.py", "main.py", "src/main.py"]);
            return Self::Python { script: script.unwrap_or_else(|| "app.py".to_owned()) };
        }
        if is_file("Cargo.toml") {
            let package = package_of_manifest(&folder.join("Cargo.toml"));
            return Self::Rust { package: package.unwrap_or_else(|| "program".to_owned()) };
        }
        first(&["app.py", "main.py"]).map_or(Self::Unknown, |script| Self::Python { script })
    }

    /// Returns program and arguments of a one-shot ask.
    fn command(&self) -> Vec<String> {
        let words: Vec<&str> = match self {
            Self::Python { script } => vec!["python3", script, "{prompt}"],
            Self::Node { script } => vec!["node", script, "{prompt}"],
            Self::Rust { package } => {
                return vec![format!("target/release/{package}"), "{prompt}".to_owned()];
            }
            Self::Unknown => vec!["./your-program", "{prompt}"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// Names it for people.
    fn describe(&self) -> &'static str {
        match self {
            Self::Python { .. } => "a Python project",
            Self::Node { .. } => "a Node.js project",
            Self::Rust { .. } => "a Rust project",
            Self::Unknown => "nothing that surestep knows",
        }
    }
}

/// Writes the template. An existing file is replaced only with `force`.
pub(crate) fn init(path: &Path, force: bool) -> Result<Written, InitError> {
    let fail = |source| InitError::Write { path: path.to_owned(), source };
    let folder = std::path::absolute(path).map_err(fail)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let project = Project::detect(folder);
    let service = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let text = template(service.as_deref().unwrap_or("service"), &project);
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => fail(source),
    })?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    Ok(Written { path: path.to_owned(), project })
}

impl Written {
    /// Tells what comes next.
    pub(crate) fn next_steps(&self) -> String {
        let path = self.path.display();
        let found = self.project.describe();
        format!(
            "\
wrote {path} (found {found} here)

next:
  1. fill in both releases in {path}: version, how each runs, where its code is
  2. export LLM_MODEL=...  COMETAPI_API_KEY=...
  3. surestep doctor       can this configuration work here?
  4. surestep check        smoke probes of each release, before any traffic
  5. surestep drill        the rehearsal of the release and its rollback

evidence goes to .surestep/: put that folder into .gitignore
"
        )
    }
}

/// Makes the template's text.
fn template(service: &str, project: &Project) -> String {
    let command: Vec<String> = project.command().iter().map(|word| quoted(word)).collect();
    TEMPLATE.replace("@SERVICE@", &quoted(service)).replace("@COMMAND@", &command.join(", "))
}

/// JSON strings are YAML too. A folder's name is no place for variables.
fn quoted(word: &str) -> String {
    serde_json::Value::String(word.replace("${", "$${")).to_string()
}

fn main_of_package(path: &Path) -> Option<String> {
    let package: serde_json::Value = serde_json::from_str(&read(path)?).ok()?;
    package.get("main")?.as_str().map(|main| main.trim_start_matches("./").to_owned())
}

fn package_of_manifest(path: &Path) -> Option<String> {
    let text = read(path)?;
    let package = text.split("[package]").nth(1)?;
    let lines = package.lines().take_while(|line| !line.starts_with('['));
    let name =
        lines.filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "name")?.1;
    let name = name.trim().trim_matches('"');
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    (is_name && !name.is_empty()).then(|| name.to_owned())
}

/// A project file that cannot be read tells nothing; that is no reason to write no template.
fn read(path: &Path) -> Option<String> {
    let size = path.metadata().ok()?.len();
    (size <= PROJECT_FILE_BYTES_MAX).then(|| std::fs::read_to_string(path).ok()).flatten()
}

const TEMPLATE: &str = include_str!("init/template.yaml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::environment::Environment;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &str) {
        let folder = folder_with(files);
        let path = folder.path().join("surestep.yaml");
        let written = init(&path, false).expect("a template");
        assert!(written.next_steps().contains("surestep doctor"));
        let environment = Environment::from_iter([("LLM_MODEL", "m")]);
        let settings = config::load_with_warnings(&path, &environment)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .settings;
        let drill::settings::Run::Command(run) = &settings.new.run else { panic!("a command") };
        let unary = run.unary.as_ref().expect("a command for unary asks");
        assert_eq!(unary.command.join(" "), expected);
    }

    #[test]
    fn the_template_fits_the_project() {
        check(&[], "./your-program {prompt}");
        check(&[("requirements.txt", ""), ("main.py", "")], "python3 main.py {prompt}");
        check(
            &[("package.json", r#"{"main": "./bot.js"}"#), ("bot.js", "")],
            "node bot.js {prompt}",
        );
        check(&[("package.json", "no JSON")], "node index.js {prompt}");
        check(&[("Cargo.toml", "[package]\nname = \"bot\"\n")], "target/release/bot {prompt}");
    }

    #[test]
    fn the_template_lacks_only_the_model() {
        let folder = folder_with(&[]);
        let path = folder.path().join("surestep.yaml");
        init(&path, false).expect("a template");
        let errors =
            config::load_with_warnings(&path, &Environment::default()).expect_err("no model");
        let messages: Vec<_> = errors.problems().iter().map(|p| p.message.as_str()).collect();
        assert_eq!(messages, ["the environment variable LLM_MODEL is not set"]);
        let environment = Environment::from_iter([("LLM_MODEL", "m")]);
        let loaded = config::load_with_warnings(&path, &environment).expect("a configuration");
        assert_eq!(loaded.warnings.problems(), []);
    }

    #[test]
    fn a_file_that_exists_stays() {
        let folder = folder_with(&[("surestep.yaml", "mine")]);
        let path = folder.path().join("surestep.yaml");
        let error = init(&path, false).expect_err("it exists");
        assert!(matches!(error, InitError::Exists { .. }) && error.help().contains("--force"));
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), "mine");
        init(&path, true).expect("a template");
        assert!(std::fs::read_to_string(&path).expect("the file").starts_with("# What surestep"));
        let error =
            init(&folder.path().join("no/such/surestep.yaml"), false).expect_err("no folder");
        assert!(matches!(error, InitError::Write { .. }));
    }

    #[test]
    fn odd_folder_names_stay_text() {
        let text = template("my \"${HOME}\" bot", &Project::Unknown);
        assert!(text.contains(r#"service: "my \"$${HOME}\" bot""#), "{text}");
    }
}
