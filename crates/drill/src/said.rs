//! What a release wrote, as far as it is shown: short, redacted, and nothing that steers a terminal.

use evidence::{Scanner, Sensitive};
use judge::Finding;

/// Characters that are shown at most.
const SHOWN: usize = 400;

/// How loaders say that a part of the program is not there: Python, Node, Ruby, the dynamic linker, Java, a shell.
const MISSING_PARTS: [&str; 9] = [
    "ModuleNotFoundError",
    "ImportError",
    "Cannot find module",
    "Cannot find package",
    "ERR_MODULE_NOT_FOUND",
    "cannot load such file",
    "error while loading shared libraries",
    "ClassNotFoundException",
    "command not found",
];

/// What is said of those asks of a release that came to nothing because a part of it is not there.
const OF_NOTHING: [&str; 3] = ["not-observed", "crashed", "happy-path-refused"];

/// Names what a release misses of itself first, where it said so: every other cause is beside the point then.
pub(crate) fn name_missing_part(
    findings: &mut [Finding],
    said: &[Option<&Sensitive>],
    scanner: &Scanner,
) {
    if !findings.iter().any(|finding| OF_NOTHING.contains(&finding.code.as_str())) {
        return;
    }
    let Some(line) = said.iter().flatten().find_map(|text| missing_part(scanner, text)) else {
        return;
    };
    for finding in findings.iter_mut().filter(|one| OF_NOTHING.contains(&one.code.as_str())) {
        finding.seen = format!("it said: {line}; {}", finding.seen);
        finding.advice = "A part of the program is not there where it runs. Install what its lock file or image names, with the interpreter that its command names, and look at `directory` and `env` of this release.".to_owned();
    }
}

/// Returns the line that says that a part of the program is not there.
fn missing_part(scanner: &Scanner, output: &Sensitive) -> Option<String> {
    let redacted = scanner.redact(&without_escapes(output.expose())).into_string();
    let line = redacted.lines().map(str::trim).find(|line| names_missing_part(line))?;
    Some(line.chars().take(SHOWN).collect())
}

fn names_missing_part(line: &str) -> bool {
    MISSING_PARTS.iter().any(|word| line.contains(word))
}

/// What a release said that tells most, redacted and short: first what it misses of itself, then lines that name an error, wherever they
/// stand (Node puts the message above the stack, Python below it), else the last ones.
pub(crate) fn telling_lines(scanner: &Scanner, output: &Sensitive) -> String {
    const LINES: usize = 3;
    // First: what colours or hides characters would hide a credential from the scanner as well.
    let redacted = scanner.redact(&without_escapes(output.expose())).into_string();
    let lines: Vec<&str> =
        redacted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let names_error = |line: &&&str| {
        ["Error", "error", "Exception", "panicked", "fatal", "not found", "denied"]
            .iter()
            .any(|word| line.contains(word))
    };
    let mut telling: Vec<&str> = lines.iter().filter(names_error).copied().collect();
    telling.sort_by_key(|line| !names_missing_part(line));
    telling.truncate(LINES);
    if telling.is_empty() {
        telling = lines.iter().skip(lines.len().saturating_sub(LINES)).copied().collect();
    }
    telling.join(" / ").chars().take(SHOWN).collect()
}

/// Takes out what moves the cursor, colours or hides: terminal sequences, control characters, and characters without width.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => skip_sequence(&mut rest),
            '\n' | '\t' => out.push(c),
            // A line that is written over.
            '\r' => out.push(' '),
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Leaves out what follows an escape: `[` up to a letter or the like, `]` up to a bell or another escape, else one character.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => {
            rest.find(|c| matches!(c, '@'..='~'));
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            if rest.find(|c| matches!(c, '\x07' | '\x1b' | '\u{9c}')) == Some('\x1b') {
                rest.next();
            }
        }
        Some(_) | None => {}
    }
}

/// Tells whether a character takes no room, or turns the direction of text.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use evidence::{Needle, NeedleKind};

    use super::*;

    const KEY: &str = "sk-Zq8vT3nLw5XyR2kPd9QmB7hJ";

    #[track_caller]
    fn check(said: &str, shown: &str) {
        let needle = Needle::new(NeedleKind::Credential, "key", Sensitive::new(KEY));
        let scanner = Scanner::new([needle]);
        assert_eq!(telling_lines(&scanner, &Sensitive::new(said)), shown);
    }

    #[test]
    fn lines_that_name_an_error_are_shown() {
        check("starting\nTypeError: no url\n  at boot\n", "TypeError: no url");
        check("one\ntwo\nthree\nfour", "two / three / four");
    }

    #[test]
    fn what_is_missing_of_a_program_comes_first() {
        check(
            "error 1\nerror 2\nerror 3\nModuleNotFoundError: No module named 'openai'\n",
            "ModuleNotFoundError: No module named 'openai' / error 1 / error 2",
        );
    }

    #[test]
    fn what_is_missing_of_a_program_is_what_an_ask_came_to_nothing_for() {
        let scanner = Scanner::new([]);
        let named = |code: &str, said: &str| {
            let mut findings =
                [Finding::new(judge::Severity::Ambiguous, code, "", "no connection", "")];
            name_missing_part(&mut findings, &[None, Some(&Sensitive::new(said))], &scanner);
            findings[0].seen.clone()
        };
        for said in [
            "ModuleNotFoundError: No module named 'openai'",
            "ImportError: cannot import name 'OpenAI' from 'openai' (unknown location)",
            "Error: Cannot find module 'openai'",
            "app: error while loading shared libraries: libssl.so.3: cannot open shared object file",
        ] {
            let text = format!("Traceback (most recent call last):\n  {said}\n");
            assert_eq!(named("not-observed", &text), format!("it said: {said}; no connection"));
            assert_eq!(named("hung", &text), "no connection", "it came to something");
        }
        assert_eq!(named("not-observed", "KeyError: 'KEY'"), "no connection");
    }

    #[test]
    fn nothing_steers_a_terminal() {
        check("\x1b[31;1mTypeError\x1b[0m: no url", "TypeError: no url");
        check("\x1b]0;title\x07an error", "an error");
        check("\x1b]8;;http://a\x1b\\an error", "an error");
        check("10 %\rerror: \x1b[2Jpromote\u{9b}1m", "10 % error: promote1m");
        check("ends in an error \x1b", "ends in an error");
        check("an error\x1b[31", "an error");
        check("\u{202e}an\u{2066} error", "an error");
    }

    #[test]
    fn what_hides_a_credential_is_seen_through() {
        check("error: sk-Zq8vT3nL\x1b[31mw5XyR2kPd9QmB7hJ", "error: [redacted:credential]");
        let spaced: Vec<String> = KEY.chars().map(String::from).collect();
        check(&format!("error: {}", spaced.join("\u{200b}")), "error: [redacted:credential]");
        check(&format!("error: {}", spaced.join("\u{ad}")), "error: [redacted:credential]");
    }
}
