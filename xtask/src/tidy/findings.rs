//! Finding codes: each one that the judge gives is explained in docs/findings.

use std::collections::BTreeSet;

use super::TextFile;

/// Where codes are given.
const JUDGE: &str = "crates/judge/src/";
/// What stands before a code's literal: `Finding::new(Severity::Fail, "code", …` and the like.
const BEFORE: &str = "Severity::";

pub(super) fn check(files: &[TextFile], problems: &mut Vec<String>) {
    let explained: String = files
        .iter()
        .filter(|file| file.path.starts_with("docs/findings/") && file.has_extension("md"))
        .map(|file| file.text.as_str())
        .collect();
    let judges = files.iter().filter(|file| file.path.starts_with(JUDGE));
    let codes: BTreeSet<&str> =
        judges.flat_map(|file| codes_in(without_tests(&file.text))).collect();
    for code in codes {
        if !explained.contains(&format!("`{code}`")) && !has_heading(&explained, code) {
            problems.push(format!("docs/findings: the finding `{code}` is not explained"));
        }
    }
}

fn has_heading(text: &str, code: &str) -> bool {
    text.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == code)
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _tests)| code)
}

/// Returns the string literals that follow a severity.
fn codes_in(text: &str) -> Vec<&str> {
    let mut codes = Vec::new();
    for after in text.split(BEFORE).skip(1) {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim_start();
        let Some(rest) = rest.strip_prefix(',') else { continue };
        let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
        let Some((literal, _)) = rest.split_once('"') else { continue };
        let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !literal.is_empty() && literal.chars().all(is_code) {
            codes.push(literal);
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_code_without_a_word_on_it_is_found() {
        let code = "Finding::new(\n    Severity::Fail,\n    \"retry-storm\",\n    x)\n(Severity::Warn, \"hung\", y)";
        let judge = || file("crates/judge/src/attempts.rs", code);
        let page = file("docs/findings/a.md", "## retry-storm\n\ntext\n\n| `hung` | text |\n");
        let mut problems = Vec::new();
        check(&[judge(), page], &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        check(&[judge()], &mut problems);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn codes_in_tests_need_no_explanation() {
        let text = "//! x\n#[cfg(test)]\nmod tests {\n(Severity::Fail, \"made-up\")\n}";
        assert!(codes_in(without_tests(text)).is_empty());
    }
}
