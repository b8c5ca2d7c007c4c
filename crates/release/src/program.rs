//! Says, before a program is run, exactly what would keep it from running.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use drill::ports::PortError;
use rustix::fs::{Access, access};

use crate::environment::Variables;

/// Where programs are looked for when the release has no `PATH`, as `execvp` does.
const PATH_WITHOUT_VARIABLE: &str = "/bin:/usr/bin";

/// The kernel reads no more than this of a `#!` line.
const INTERPRETER_LINE_MAX: u64 = 256;

/// Why a program cannot be run, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRunnable {
    pub(crate) what: String,
    pub(crate) advice: String,
}

impl NotRunnable {
    /// It was there to be run, and the system refused at the last moment.
    pub(crate) fn at_start(program: &str, error: &str) -> Self {
        Self::new(
            format!("the program `{program}` could not be started: {error}"),
            "correct the command; a script needs a first line like `#!/bin/sh`, and arguments have a greatest length",
        )
    }

    pub(crate) fn into_port_error(self) -> PortError {
        PortError::Release {
            code: "release-did-not-start",
            what: self.what,
            advice: self.advice,
            output: None,
        }
    }

    fn new(what: String, advice: impl Into<String>) -> Self {
        Self { what, advice: advice.into() }
    }
}

/// Checks the directory, the program and its interpreter, and returns the file that will be run.
pub(crate) fn check(
    program: &str,
    directory: &Path,
    variables: &Variables,
) -> Result<PathBuf, NotRunnable> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(NotRunnable::new(
                format!("the directory {} is a file", directory.display()),
                "correct `directory`: it is where the release runs",
            ));
        }
        Err(error) => {
            return Err(NotRunnable::new(
                format!("the directory {} cannot be entered: {error}", directory.display()),
                "correct `directory`, or make the release's folder: relative paths start at surestep.yaml",
            ));
        }
    }
    if program.is_empty() {
        return Err(NotRunnable::new(
            "the command is empty".to_owned(),
            "name a program, for example `command: [python3, app.py]`",
        ));
    }
    let file = if program.contains('/') {
        let file = directory.join(program);
        check_executable(program, &file)?;
        file
    } else {
        search(program, directory, variables)?
    };
    check_interpreter(program, &file, directory, variables)?;
    Ok(file)
}

fn search(program: &str, directory: &Path, variables: &Variables) -> Result<PathBuf, NotRunnable> {
    let path = variables
        .get(OsStr::new("PATH"))
        .map_or_else(|| PATH_WITHOUT_VARIABLE.into(), Clone::clone);
    let mut found_but_barred = None;
    for folder in std::env::split_paths(&path) {
        let file = directory.join(folder).join(program);
        match check_executable(program, &file) {
            Ok(()) => return Ok(file),
            Err(barred) if file.is_file() => found_but_barred = Some(barred),
            Err(_not_here) => {}
        }
    }
    if let Some(barred) = found_but_barred {
        return Err(barred);
    }
    let advice = if directory.join(program).is_file() {
        format!("did you mean `./{program}`? a program without a slash is looked for in PATH only")
    } else {
        format!("install `{program}`, or correct the command; PATH is {}", path.to_string_lossy())
    };
    Err(NotRunnable::new(format!("the program `{program}` is in no folder of PATH"), advice))
}

fn check_executable(program: &str, file: &Path) -> Result<(), NotRunnable> {
    let found = fs::metadata(file).map_err(|error| {
        NotRunnable::new(
            format!("the program `{program}` cannot be run: {}: {error}", file.display()),
            "correct the command: a path starts at the release's `directory`",
        )
    })?;
    if found.is_dir() {
        return Err(NotRunnable::new(
            format!("the program `{program}` is a directory: {}", file.display()),
            "name the program inside it",
        ));
    }
    if access(file, Access::EXEC_OK).is_err() {
        return Err(NotRunnable::new(
            format!("the program `{program}` is not executable: {}", file.display()),
            format!("run `chmod +x {}`, or put its interpreter first", file.display()),
        ));
    }
    Ok(())
}

/// A script whose interpreter is missing fails with "no such file", which names the wrong file.
fn check_interpreter(
    program: &str,
    file: &Path,
    directory: &Path,
    variables: &Variables,
) -> Result<(), NotRunnable> {
    let mut head = Vec::new();
    // A program that may be run but not read is no script: the kernel could not read it for its interpreter either.
    let Ok(script) = File::open(file) else { return Ok(()) };
    if script.take(INTERPRETER_LINE_MAX).read_to_end(&mut head).is_err() {
        return Ok(());
    }
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(()) };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line
        .split(|byte| *byte == b' ' || *byte == b'\t')
        .filter(|word| !word.is_empty())
        .map(OsStr::from_bytes);
    let Some(interpreter) = words.next() else { return Ok(()) };
    if !directory.join(interpreter).is_file() {
        let line_ending = interpreter.as_bytes().ends_with(b"\r");
        return Err(NotRunnable::new(
            format!(
                "the interpreter of `{program}` is missing: {}",
                Path::new(interpreter).display()
            ),
            if line_ending {
                format!("{} has Windows line endings: convert it", file.display())
            } else {
                format!("install it, or correct the first line of {}", file.display())
            },
        ));
    }
    if Path::new(interpreter).file_name() == Some(OsStr::new("env"))
        && let Some(name) = words.next().and_then(OsStr::to_str)
        && !name.starts_with('-')
        && !name.contains(['/', '='])
        && let Err(missing) = search(name, directory, variables)
    {
        return Err(NotRunnable::new(
            format!("the interpreter of `{program}` cannot be run: {}", missing.what),
            missing.advice,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str, mode: u32) {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn rejected(folder: &Path, program: &str) -> NotRunnable {
        let variables = Variables::from([("PATH".into(), "/usr/bin:/bin".into())]);
        check(program, folder, &variables).unwrap_err()
    }

    #[test]
    fn each_hindrance_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "plain", "#!/bin/sh\n", 0o644);
        write(folder, "script", "#!/nowhere/python9 -u\n", 0o755);
        write(folder, "dos", "#!/bin/sh\r\n", 0o755);
        write(folder, "by-env", "#!/usr/bin/env python99\n", 0o755);

        assert!(rejected(folder, "./nothing").what.contains("No such file"));
        assert!(rejected(folder, "./plain").what.contains("is not executable"));
        assert!(rejected(folder, "./plain").advice.contains("chmod +x"));
        assert!(rejected(folder, "./script").what.contains("missing: /nowhere/python9"));
        assert!(rejected(folder, "./dos").advice.contains("Windows line endings"));
        assert!(rejected(folder, "./by-env").what.contains("`python99` is in no folder of PATH"));
        assert!(rejected(folder, "plain").advice.contains("did you mean `./plain`"));
        assert!(rejected(folder, "").what.contains("empty"));
        assert!(rejected(&folder.join("absent"), "sh").what.contains("the directory"));
        assert!(rejected(&folder.join("plain"), "sh").what.contains("is a file"));
    }

    #[test]
    fn a_program_in_path_is_found() {
        let variables = Variables::from([("PATH".into(), "/usr/bin:/bin".into())]);
        assert!(check("sh", Path::new("/"), &variables).is_ok());
    }
}
