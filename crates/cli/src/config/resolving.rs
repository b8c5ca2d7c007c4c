//! Turns references into secrets. What goes wrong names the source, never the value.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use drill::settings::{Provider, ProviderEndpoint, SecretSource};
use evidence::Sensitive;

use crate::environment::Environment;

/// The longest secret: the longest known credentials (signed tokens) have a few kilobytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How long a command may take to hand over a secret: a vault across the network answers in one or two seconds.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);

/// The credential for surestep's own simulated provider when the configuration gives none. It opens nothing, and looks like those that do: what
/// a release leaves of it in its logs is then found as it would be of a real one.
const SIMULATED_KEY: &str = "sk-sim-9fKq2LxV7bTz4WmRc8YhNd3PgJ5s";

/// Why a reference gave no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret {source_name} {what}")]
pub(crate) struct SecretProblem {
    /// The source, as [`SecretSource::name`] writes it.
    pub(crate) source_name: String,
    /// What is wrong with it.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) help: String,
}

/// Something odd about a secret that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Blemish {
    /// White space before or after it.
    #[error("has blanks or line breaks at its beginning or end")]
    Surrounded,
    /// A line break in the middle.
    #[error("has a line break in it")]
    Lines,
    /// Characters that no HTTP header can carry.
    #[error("has characters that an HTTP header cannot carry")]
    NoHeader,
    /// Quotes round it, as shells and .env files leave them.
    #[error("stands in quotes, which are handed over with it")]
    Quoted,
}

/// Fetches a secret. Of a file and of a command's output, exactly one final line break (`\n` or `\r\n`) is left out; a variable is taken
/// as it is. `control`: what `{key}` stands for.
pub(crate) fn resolve(
    source: &SecretSource,
    environment: &Environment,
    base: &Path,
    control: Option<&Sensitive>,
) -> Result<Sensitive, SecretProblem> {
    let fail =
        |what: String, help: String| SecretProblem { source_name: source.name(), what, help };
    let text = match source {
        SecretSource::Control => {
            return control
                .cloned()
                .ok_or_else(|| fail("is not known".to_owned(), "set `provider.key`".to_owned()));
        }
        SecretSource::Env(name) => environment
            .text(name)
            .map_err(|problem| {
                fail(problem.to_string(), format!("set {name} in surestep's environment"))
            })?
            .to_owned(),
        SecretSource::File(path) => {
            let bytes = read_file(path)
                .map_err(|what| fail(what, "check the path and who may read it".to_owned()))?;
            text_of(bytes).map_err(|what| {
                fail(what, "the file must hold the secret and nothing else".to_owned())
            })?
        }
        SecretSource::Command(words) => {
            let help = || {
                format!(
                    "run it by hand in {}: it must print the secret and exit with 0",
                    base.display()
                )
            };
            let bytes = run(words, base).map_err(|what| fail(what, help()))?;
            text_of(bytes).map_err(|what| fail(what, help()))?
        }
    };
    Ok(Sensitive::new(text))
}

/// Fetches the control's credential; the simulated provider needs none and gets one that opens nothing.
pub(crate) fn resolve_control(
    provider: &Provider,
    environment: &Environment,
    base: &Path,
) -> Result<Sensitive, SecretProblem> {
    let made_up =
        provider.endpoint == ProviderEndpoint::Simulated && provider.key == SecretSource::Control;
    let made_up = made_up.then(|| Sensitive::new(SIMULATED_KEY));
    resolve(&provider.key, environment, base, made_up.as_ref())
}

/// Returns what is odd about a secret.
pub(crate) fn blemishes(secret: &Sensitive) -> Vec<Blemish> {
    let text = secret.expose();
    let inner = text.trim();
    let quoted = inner.len() > 1
        && ["\"", "'"].iter().any(|quote| inner.starts_with(quote) && inner.ends_with(quote));
    let found = [
        (inner.len() != text.len(), Blemish::Surrounded),
        (inner.contains(['\n', '\r']), Blemish::Lines),
        (
            inner.chars().any(|c| !(' '..='~').contains(&c) && !matches!(c, '\n' | '\r')),
            Blemish::NoHeader,
        ),
        (quoted, Blemish::Quoted),
    ];
    found.into_iter().filter_map(|(is_so, blemish)| is_so.then_some(blemish)).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("cannot be looked at: {error}"))?;
    if metadata.is_dir() {
        return Err("is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
}

fn text_of(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("is longer than {SECRET_BYTES_MAX} bytes"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    // The cause would carry the bytes.
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 text (byte {at})")
    })?;
    if text.trim().is_empty() { Err("is blank".to_owned()) } else { Ok(text) }
}

/// Runs a command in the configuration's folder with surestep's own environment, and returns what it printed.
fn run(words: &[String], base: &Path) -> Result<Vec<u8>, String> {
    let (program, arguments) = words.split_first().ok_or("names no program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = match child.stdout.take() {
            Some(output) => output.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes),
            None => Ok(0),
        };
        let ended: std::io::Result<ExitStatus> = read.and_then(|_| child.wait());
        // Nobody listens any more once the time is over: then the result is not wanted.
        drop(sender.send((ended, bytes)));
    });
    let Ok((ended, bytes)) = receiver.recv_timeout(COMMAND_WITHIN) else {
        if let Some(group) = group {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
                .map_err(|error| format!("did not end and could not be stopped: {error}"))?;
        }
        return Err(format!("did not end within {COMMAND_WITHIN:?}"));
    };
    let status = ended.map_err(|error| format!("could not be waited for: {error}"))?;
    // A command whose output was no longer read dies of it: that it said too much is the reason to name.
    let too_long = bytes.len() as u64 > SECRET_BYTES_MAX;
    if status.success() || too_long { Ok(bytes) } else { Err(format!("failed: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &SecretSource, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = Environment::from_iter([("SET", "value"), ("BLANK", " ")]);
        let shown = match resolve(source, &environment, folder.path(), None) {
            Ok(secret) => format!("{:?}", secret.expose()),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected);
    }

    fn shell(script: &str) -> SecretSource {
        SecretSource::Command(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    #[test]
    fn variables_are_taken_as_they_are() {
        check(&SecretSource::Env("SET".to_owned()), "\"value\"");
        check(&SecretSource::Env("BLANK".to_owned()), "the secret env:BLANK is set but blank");
        check(&SecretSource::Env("UNSET".to_owned()), "the secret env:UNSET is not set");
        check(&SecretSource::Control, "the secret control is not known");
    }

    #[test]
    fn commands_print_secrets() {
        check(&shell("echo value"), "\"value\"");
        check(&shell("printf 'value\\n\\n'"), "\"value\\n\"");
        check(&shell("echo value; exit 3"), "the secret command:sh failed: exit status: 3");
        check(&shell("true"), "the secret command:sh is blank");
        check(
            &SecretSource::Command(vec!["/no/such/program".to_owned()]),
            "the secret command:/no/such/program cannot be run: No such file or directory (os error 2)",
        );
        check(&shell("yes | head -c 100000"), "the secret command:sh is longer than 65536 bytes");
    }

    #[test]
    fn one_final_line_break_of_a_file_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (bytes, expected) in
            [("v", "v"), ("v\n", "v"), ("v\r\n", "v"), ("v\n\n", "v\n"), (" v ", " v ")]
        {
            std::fs::write(&path, bytes).expect("a file");
            let secret = resolve(
                &SecretSource::File(path.clone()),
                &Environment::default(),
                folder.path(),
                None,
            );
            assert_eq!(secret.expect("a secret").expose(), expected);
        }
        for bytes in [&b"\n"[..], b"", b"\xff\xfe"] {
            std::fs::write(&path, bytes).expect("a file");
            let secret = resolve(
                &SecretSource::File(path.clone()),
                &Environment::default(),
                folder.path(),
                None,
            );
            assert!(secret.is_err());
        }
    }

    #[test]
    fn odd_secrets_are_known() {
        let of = |text: &str| blemishes(&Sensitive::new(text));
        assert_eq!(of("plain-Key_1.2"), []);
        assert_eq!(of("key\n"), [Blemish::Surrounded]);
        assert_eq!(of("a\nb"), [Blemish::Lines]);
        assert_eq!(of("\"key\""), [Blemish::Quoted]);
        assert_eq!(of("schlüssel"), [Blemish::NoHeader]);
    }
}
