//! The only way out to the terminal: results to standard output, everything for people to standard error.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use judge::Verdict;

/// The sequences that [`Paint`] writes.
const OWN_SEQUENCES: [&str; 6] =
    ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// Writes a result to standard output.
pub(crate) fn answer(text: &str) {
    let text = harmless(text);
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
        .and_then(|()| out.flush());
    // Whoever closed the pipe does not want the rest; the exit code still tells.
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        say(&format!("error: the answer could not be written: {error}"));
    }
}

/// Writes a line for people to standard error.
pub(crate) fn say(line: &str) {
    // Nobody reads it, then: that changes nothing.
    drop(writeln!(std::io::stderr().lock(), "{}", harmless(line)));
}

/// Makes visible what would steer a terminal: what a release or a provider says must not paint a decision over ours.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.as_bytes().iter().all(is_plain) || !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(steers) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(own) = OWN_SEQUENCES.iter().find(|own| from.starts_with(**own)) {
            out.push_str(own);
            rest = &from[own.len()..];
        } else {
            out.push(char::REPLACEMENT_CHARACTER);
            rest = from.get(from.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Tells whether a terminal obeys this character, or lays text out by it.
fn steers(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        for (said, shown) in [
            (
                "plain, with \u{e9} and \u{1f916}\n\tand more",
                "plain, with \u{e9} and \u{1f916}\n\tand more",
            ),
            ("\x1b[2J\x1b[Hpromote_small_step", "\u{fffd}[2J\u{fffd}[Hpromote_small_step"),
            ("\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}"),
            ("hold\rpromote", "hold\u{fffd}promote"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("a\x7fb", "a\u{fffd}b"),
            ("\u{202e}pets\u{2066}", "\u{fffd}pets\u{fffd}"),
        ] {
            assert_eq!(harmless(said), shown);
        }
    }

    #[test]
    fn own_colours_stay() {
        let paint = Paint::colour();
        for painted in [
            paint.bold("a"),
            paint.dim("a"),
            paint.red("a"),
            paint.verdict(Verdict::Pass),
            paint.verdict(Verdict::Ambiguous),
        ] {
            assert_eq!(harmless(&painted), painted);
        }
    }
}
