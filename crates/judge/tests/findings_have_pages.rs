//! Every finding code has a page under docs/findings, every page a code.
//!
//! A user who gets a code looks for its page: a code without one, or a page for a code that is never given, sends them nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use contract::{Mode, Surface};
use judge::PlanContext;
use judge::catalogue::{Depth, plan};
use judge::judging::ReleaseKind;

/// The crates that give findings.
const GIVING: &[&str] = &["judge", "drill", "cli", "release"];

/// Pages that are about no single code: the index, and the table of the contract's own findings.
const OTHER_PAGES: &[&str] = &["README", "contract"];

/// What stands before a code: it is the second argument of a call, or a field.
const CALL: &str = "Finding::new(";
const OF_A_SIDE: &str = "side.finding(";
const FIELD: &str = "code: \"";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Collects the Rust files below a folder, test modules in files of their own left out.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a crate has src") {
        let path = entry.expect("a folder can be listed").path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _tests)| code)
}

/// Returns the text behind the first comma that belongs to no inner bracket.
fn second_argument(arguments: &str) -> Option<&str> {
    let mut depth = 0_i32;
    for (at, c) in arguments.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => return arguments.get(at + 1..).map(str::trim_start),
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

fn literal(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

fn is_kebab(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Returns the codes that a source gives: as an argument, as a field, or chosen before (kebab-case literals beside a finding).
fn codes_in(text: &str, probes: &BTreeSet<String>) -> BTreeSet<String> {
    let code = without_tests(text);
    let calls = code.split(CALL).skip(1).chain(code.split(OF_A_SIDE).skip(1));
    let given = calls.filter_map(second_argument).filter_map(literal);
    let fields = code.split(FIELD).skip(1).filter_map(|rest| rest.split('"').next());
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let chosen = literals.filter(|literal| {
        code.contains(CALL) && literal.contains('-') && !probes.contains(*literal)
    });
    given.chain(fields).chain(chosen).filter(|code| is_kebab(code)).map(str::to_owned).collect()
}

/// Returns the ids of every probe that any plan has.
fn probe_ids() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for surface in [Surface::Chat, Surface::Responses] {
        for (mode, own_port) in
            [(Mode::Unary, true), (Mode::Unary, false), (Mode::Stream, true), (Mode::Stream, false)]
        {
            for kind in [ReleaseKind::Application, ReleaseKind::Gateway] {
                let widest = PlanContext::widest(surface);
                let context = PlanContext { own_port, unary_as_well: true, kind, ..widest };
                let probes = plan(Depth::Thorough, mode, &context);
                ids.extend(probes.into_iter().map(|probe| probe.id.to_owned()));
            }
        }
    }
    ids
}

fn pages() -> BTreeSet<String> {
    let folder = root().join("docs/findings");
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(&folder).expect("docs/findings is there") {
        let path = entry.expect("a folder can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        if !OTHER_PAGES.contains(&name.as_str()) {
            pages.insert(name);
        }
    }
    pages
}

fn codes() -> BTreeSet<String> {
    let probes = probe_ids();
    let mut files = Vec::new();
    for name in GIVING {
        sources(&root().join("crates").join(name).join("src"), &mut files);
    }
    files.iter().flat_map(|file| codes_in(&read(file), &probes)).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let (codes, pages) = (codes(), pages());
    assert!(codes.len() > 50, "the search for codes has gone blind: {codes:?}");
    let without_page: Vec<_> = codes.difference(&pages).collect();
    assert!(without_page.is_empty(), "codes without a page in docs/findings: {without_page:?}");
    let without_code: Vec<_> = pages.difference(&codes).collect();
    assert!(
        without_code.is_empty(),
        "pages in docs/findings whose code is never given: {without_code:?}"
    );
}

#[test]
fn every_page_is_headed_by_its_code_and_stands_in_the_index() {
    let folder = root().join("docs/findings");
    let index = read(&folder.join("README.md"));
    for page in pages() {
        let text = read(&folder.join(format!("{page}.md")));
        assert!(text.starts_with(&format!("# {page}\n")), "{page}.md is not headed `# {page}`");
        assert!(text.contains("**Severity**: "), "{page}.md does not say how much it weighs");
        assert!(index.contains(&format!("({page}.md)")), "the index does not link {page}.md");
    }
}

#[test]
fn codes_are_found_however_they_are_given() {
    let text = "Finding::new(Severity::Fail, \"hung\", a, b)\n\
        Finding::new(if x { Severity::Fail } else { Severity::Warn },\n\"cut\", a)\n\
        let code = if y { \"late-reply\" } else { \"happy-live\" };\nPortError::Release { code: \"gone\" }\n\
        #[cfg(test)]\nmod tests {\nFinding::new(Severity::Fail, \"made-up\")";
    let found: Vec<String> = codes_in(text, &probe_ids()).into_iter().collect();
    assert_eq!(found, ["cut", "gone", "hung", "late-reply"]);
}
