//! docs/configuration.md, from the table of keys.

use std::fmt::Write as _;

use super::{Absent, ROOT, Section};

const HEAD: &str = include_str!("document/head.md");
const TAIL: &str = include_str!("document/tail.md");
const EXAMPLE: &str = include_str!("../tests/example.yaml");

/// Writes the whole page.
fn document() -> String {
    let mut page = HEAD.to_owned();
    let mut written: Vec<&str> = Vec::new();
    write_section(&ROOT, &mut written, &mut page);
    write_section(&super::PROFILE, &mut written, &mut page);
    page.push_str(TAIL);
    page.push_str("\n## The whole example\n\n```yaml\n");
    page.push_str(EXAMPLE);
    page.push_str("```\n");
    page
}

/// Sections come in the order in which keys lead to them, each once.
fn write_section(section: &'static Section, written: &mut Vec<&'static str>, page: &mut String) {
    if written.contains(&section.title) {
        return;
    }
    written.push(section.title);
    write!(page, "\n## {}\n\n{}\n\n", section.title, section.about).expect("text takes text");
    page.push_str("| key | value | without it | meaning |\n|---|---|---|---|\n");
    for key in section.keys {
        let absent = match key.absent {
            Absent::Required => "*required*".to_owned(),
            Absent::Value(value) => format!("`{value}`"),
            Absent::Otherwise(otherwise) => otherwise.to_owned(),
        };
        writeln!(
            page,
            "| `{}` | {} | {} | {} Example: `{}` |",
            key.name,
            cell(&key.kind.describe()),
            cell(&absent),
            cell(key.means),
            cell(key.example)
        )
        .expect("text takes text");
    }
    for inner in section.keys.iter().flat_map(|key| key.kind.sections()) {
        write_section(inner, written, page);
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md")
}

#[test]
fn the_page_is_up_to_date() {
    let page = std::fs::read_to_string(path()).unwrap_or_default();
    if page != document() {
        let fresh = path().with_extension("md.new");
        std::fs::write(&fresh, document()).expect("the fresh page");
        panic!(
            "docs/configuration.md is stale; the fresh page lies beside it as configuration.md.new"
        );
    }
}
