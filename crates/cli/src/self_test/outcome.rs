//! What a self-test amounts to, for people and for programs.

use judge::Verdict;
use serde_json::{Value, json};

use super::made::Made;
use super::table::NOT_MADE;
use crate::exit_code;
use crate::result::SCHEMA_VERSION;
use crate::terminal::Paint;

/// The result of a self-test.
#[derive(Debug)]
pub(crate) struct Report {
    /// Each case, in the table's order.
    pub(crate) made: Vec<Made>,
    /// Whether all cases were made.
    pub(crate) is_whole: bool,
}

impl Report {
    /// Returns the cases that did not turn out as expected.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Made> {
        self.made.iter().filter(|made| made.problem.is_some())
    }

    /// Returns 0, or 70: a surestep that does not find what was broken cannot be trusted.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.made.is_empty() || self.failed().next().is_some() {
            exit_code::INTERNAL
        } else {
            exit_code::PASS
        }
    }

    /// Writes it for people.
    pub(crate) fn human(&self, paint: Paint) -> String {
        let mut text = String::new();
        for made in &self.made {
            let case = made.case;
            let (gate, expected) = (case.gate.as_str(), colour_of(case.verdict));
            let word = if made.problem.is_some() { paint.red("FAIL") } else { paint.green("pass") };
            text.push_str(&format!("  {word}  {:<30} {}\n", case.expect, case.broken));
            match &made.problem {
                None => text.push_str(
                    &paint.dim(&format!("        {gate} {expected}{}\n", because(&made.seen))),
                ),
                Some(problem) => text.push_str(&format!(
                    "        expected: {gate} {expected} by {}\n        seen: {problem}{}\n",
                    case.expect,
                    if made.seen.is_empty() { String::new() } else { format!(" ({})", made.seen) }
                )),
            }
        }
        for (code, why) in NOT_MADE.iter().filter(|_| self.is_whole) {
            text.push_str(&format!("  not made: {code} ({why})\n"));
        }
        let (n, failed) = (self.made.len(), self.failed().count());
        text.push_str(&match failed {
            0 => format!("\n{n} things broken on purpose, and each was found at its gate\n"),
            _ => format!("\n{failed} of {n} things broken on purpose were NOT found as they have to be: do not trust this surestep here\n"),
        });
        text
    }

    /// Returns it for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schema_version": SCHEMA_VERSION,
            "command": "self-test",
            "surestep": env!("CARGO_PKG_VERSION"),
            "passed": self.exit_code() == exit_code::PASS,
            "whole": self.is_whole,
            "exit_code": self.exit_code(),
            "cases": self.made.iter().map(|made| json!({
                "code": made.case.expect,
                "broken": made.case.broken,
                "expected": { "gate": made.case.gate, "verdict": made.case.verdict },
                "seen": { "verdict": made.verdict, "reason": made.seen },
                "passed": made.problem.is_none(),
                "problem": made.problem,
            })).collect::<Vec<_>>(),
            "not_made": NOT_MADE.iter().map(|(code, why)| json!({ "code": code, "why": why })).collect::<Vec<_>>(),
        })
    }
}

/// A reason behind a verdict, if there is one.
fn because(seen: &str) -> String {
    if seen.is_empty() { String::new() } else { format!(": {seen}") }
}

/// What a verdict is called here.
fn colour_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "stays green",
        Verdict::Fail => "turns red",
        Verdict::Ambiguous => "turns ambiguous",
    }
}
