//! The page of findings says what the table of rules says.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::fmt::Write as _;
use std::path::PathBuf;

use contract::{ContractVerdict, rules};

fn page() -> String {
    let mut page = String::from(
        "# Findings of the contract\n\n\
         What the judge of a response can find (`surestep contract judge`, the control, and every exchange at the tap).\n\
         **hold**: not a usable completion. **warn**: usable, but outside of the contract or known to break a client; a provider's\n\
         profile may document a warning, and then it is none. What is not listed passes.\n\n\
         Each finding names its place (`at`), what the contract asks for (`expected`) and what was there (`seen`): types and\n\
         classes, never values. A code stands once in a judgement, at the place where it was met first.\n\n\
         This page is written from the table in `crates/contract/src/rule.rs`; a test compares them.\n\n\
         | code | verdict | the contract asks for | what to do | known to break |\n|---|---|---|---|---|\n",
    );
    for rule in rules() {
        let verdict = match rule.verdict {
            ContractVerdict::Pass => "pass",
            ContractVerdict::Warn => "warn",
            ContractVerdict::Hold => "hold",
        };
        let breaks = if rule.breaks.is_empty() { "–".to_owned() } else { rule.breaks.join("; ") };
        writeln!(
            page,
            "| `{}` | {verdict} | {} | {} | {breaks} |",
            rule.code, rule.expected, rule.advice
        )
        .unwrap();
    }
    page
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings/contract.md")
}

#[test]
fn page_has_every_code() {
    let found = std::fs::read_to_string(path()).unwrap_or_default();
    if found != page() {
        std::fs::write(path().with_extension("md.new"), page()).unwrap();
        panic!(
            "docs/findings/contract.md is stale; the fresh page lies beside it as contract.md.new"
        );
    }
}

#[test]
fn codes_are_unique_and_kebab_case() {
    let mut codes: Vec<_> = rules().iter().map(|rule| rule.code).collect();
    let n_codes = codes.len();
    assert!(codes.iter().all(|code| {
        code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }));
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), n_codes);
}
