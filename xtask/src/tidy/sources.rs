//! Source files: a word on what each is for, a size that can be read, nothing of the machine it was written on.

use super::TextFile;

/// Lines past which a file has a second thing in it.
const LINES_MAX: usize = 1000;
/// What is written by hand, and so counted.
const BY_HAND: [&str; 6] = ["rs", "py", "mjs", "js", "sh", "toml"];

/// Places that exist on one machine only, and marks of unfinished work. In two parts each, so that this file passes.
const FORBIDDEN: [(&str, &str); 7] = [
    ("/wo", "rk/main"),
    ("/wo", "rk/shared"),
    ("/wo", "rk/target"),
    ("/ro", "ot/"),
    ("todo", "!("),
    ("<<<<", "<<< "),
    (">>>>", ">>> "),
];

pub(super) fn check(files: &[TextFile], problems: &mut Vec<String>) {
    let forbidden = FORBIDDEN.map(|(start, end)| format!("{start}{end}"));
    for file in files {
        let TextFile { path, text } = file;
        if file.has_extension("rs") && !text.trim_start().starts_with("//!") {
            problems.push(format!("{path}: does not start with `//!`: what is it for?"));
        }
        let n_lines = text.lines().count();
        if n_lines > LINES_MAX && BY_HAND.iter().any(|extension| file.has_extension(extension)) {
            problems.push(format!("{path}: {n_lines} lines; {LINES_MAX} are the limit"));
        }
        for (index, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(format!("{path}:{}: `{word}` must not be committed", index + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(path: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check(&[TextFile { path: path.to_owned(), text: text.to_owned() }], &mut problems);
        problems
    }

    #[test]
    fn a_file_without_a_word_on_itself_is_found() {
        assert!(problems_of("a.rs", "\n//! Says it.\n").is_empty());
        assert_eq!(problems_of("a.rs", "use std::fs;\n").len(), 1);
        assert!(problems_of("a.py", "import os\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let lines = |n: usize| format!("//! Long.\n{}", "\n".repeat(n));
        assert!(problems_of("a.rs", &lines(999)).is_empty());
        assert_eq!(problems_of("a.rs", &lines(1000)), ["a.rs: 1001 lines; 1000 are the limit"]);
        assert!(problems_of("fixtures/a.json", &lines(5000)).is_empty());
    }

    #[test]
    fn a_place_on_one_machine_is_found_with_its_line() {
        let (start, end) = FORBIDDEN[3];
        let problems = problems_of("a.md", &format!("fine\nsee {start}{end}x\n"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("a.md:2: "), "{problems:?}");
    }
}
