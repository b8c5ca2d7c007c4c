//! The only way out to the terminal: results to standard output, everything for people to standard error.

use std::io::{IsTerminal as _, Write as _};

use judge::Verdict;

/// Writes a result to standard output.
pub(crate) fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever closed the pipe does not want the rest; the exit code still tells.
    drop(
        out.write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
            .and_then(|()| out.flush()),
    );
}

/// Writes a line for people to standard error.
pub(crate) fn say(line: &str) {
    // Nobody reads it, then: that changes nothing.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Returns whether standard error is a terminal, and no continuous-integration job says that it is watched by a machine.
pub(crate) fn is_watched(environment: &crate::environment::Environment) -> bool {
    std::io::stderr().is_terminal() && environment.get("CI").is_none()
}

/// Returns whether standard output may have colour: on a terminal, unless `NO_COLOR` is set (no-color.org).
pub(crate) fn may_colour(environment: &crate::environment::Environment) -> bool {
    std::io::stdout().is_terminal()
        && environment.get("NO_COLOR").is_none_or(std::ffi::OsStr::is_empty)
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    pub(crate) fn colour() -> Self {
        Self(true)
    }

    pub(crate) fn when(colour: bool) -> Self {
        Self(colour)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Returns a verdict in a word of fixed width.
    pub(crate) fn verdict(self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Pass => self.green("pass   "),
            Verdict::Fail => self.red("FAIL   "),
            Verdict::Ambiguous => self.yellow("unsure "),
        }
    }
}
