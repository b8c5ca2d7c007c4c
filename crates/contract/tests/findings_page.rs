//! The page of findings says what the table of rules says.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::fmt::Write as _;
use std::path::PathBuf;

use contract::{ContractVerdict, broken_clients, broken_clients_line, rules};

fn page() -> String {
    let mut page = String::from(
        "# Findings of the contract\n\n\
         What the judge of a response can find (`surestep contract judge`, the control, and every exchange at the tap).\n\
         **hold**: not a usable completion. **warn**: usable, but outside of the contract or known to break a client; a provider's\n\
         profile may document a warning, and then it is none. What is not listed passes.\n\n\
         Each finding names its place (`at`), what the contract asks for (`expected`) and what was there (`seen`): types and\n\
         classes, never values. A code stands once in a judgement, at the place where it was met first.\n\n\
         Who is known to break is measured: pinned versions of the official Python and Node SDKs and of async-openai read each of the\n\
         replies that we collected (`crates/contract/data/clients.tsv`), and a test compares. *Silent*: no error, and a wrong or\n\
         missing value. *In the caller's code*: the SDK returns something that breaks whoever reads it as documented. *None of its\n\
         own*: an error that a handler of the SDK's errors misses. *Ends the process*: by a promise that no caller can catch. Of an unusable reply an SDK's own error is as it should be, and\n\
         not listed.\n\n\
         This page is written from `crates/contract/src/rule.rs` and those data; a test compares them.\n\n\
         | code | verdict | the contract asks for | what to do | known to break |\n|---|---|---|---|---|\n",
    );
    for rule in rules() {
        let verdict = match rule.verdict {
            ContractVerdict::Pass => "pass",
            ContractVerdict::Warn => "warn",
            ContractVerdict::Hold => "hold",
        };
        let breaks = broken_clients_line(&broken_clients(rule.code, None, None));
        let breaks = if breaks.is_empty() { "–".to_owned() } else { breaks };
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
