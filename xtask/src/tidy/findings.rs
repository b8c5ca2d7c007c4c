//! Finding codes: each one that the judge gives is explained in docs/findings.

use std::collections::BTreeSet;

use super::TextFile;

/// Where codes are given.
const JUDGE: &str = "crates/judge/src/";
/// Whose literals are the ids of probes, which look like codes.
const CATALOGUE: &str = "crates/judge/src/catalogue";
/// What stands before a code's literal: `Finding::new(Severity::Fail, "code", …` and the like.
const BEFORE: &str = "Severity::";

pub(super) fn check(files: &[TextFile], problems: &mut Vec<String>) {
    let explained: String = files
        .iter()
        .filter(|file| file.path.starts_with("docs/findings/") && file.has_extension("md"))
        .map(|file| file.text.as_str())
        .collect();
    let judges: Vec<&TextFile> = files.iter().filter(|file| file.path.starts_with(JUDGE)).collect();
    let catalogue = judges.iter().filter(|file| file.path.starts_with(CATALOGUE));
    let probes: BTreeSet<&str> = catalogue.flat_map(|file| literals(&file.text)).collect();
    let mut codes = BTreeSet::new();
    for file in judges.iter().filter(|file| file.text.contains("Finding::new(")) {
        let text = without_tests(&file.text);
        codes.extend(codes_after_severities(text));
        // A code that is chosen first stands alone; with a hyphen in it it can hardly be anything else.
        codes.extend(literals(text).filter(|literal| is_code(literal) && literal.contains('-')));
    }
    for code in codes.difference(&probes) {
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

fn is_code(literal: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    literal.starts_with(|c: char| c.is_ascii_lowercase()) && literal.chars().all(fits)
}

/// Returns the string literals, near enough: comments with an odd number of quotes would shift them, so they are left out.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// Returns the string literals that follow a severity.
fn codes_after_severities(text: &str) -> Vec<&str> {
    let mut codes = Vec::new();
    for after in text.split(BEFORE).skip(1) {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim_start();
        let Some(rest) = rest.strip_prefix(',') else { continue };
        let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
        let Some((literal, _)) = rest.split_once('"') else { continue };
        if is_code(literal) {
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
    fn a_code_that_is_chosen_first_is_found_and_a_probe_is_not() {
        let judge = "let code = if late { \"retry-late\" } else { \"happy-live\" };\nFinding::new(severity, code)";
        let files = [
            file("crates/judge/src/attempts.rs", judge),
            file(
                "crates/judge/src/catalogue/good.rs",
                "pub const HAPPY_LIVE: &str = \"happy-live\";",
            ),
        ];
        let mut problems = Vec::new();
        check(&files, &mut problems);
        assert_eq!(problems, ["docs/findings: the finding `retry-late` is not explained"]);
    }

    #[test]
    fn codes_in_tests_need_no_explanation() {
        let text = "//! x\n#[cfg(test)]\nmod tests {\n(Severity::Fail, \"made-up\")\n}";
        assert!(codes_after_severities(without_tests(text)).is_empty());
    }
}
