//! Reads `releases/catalogue.json`: every variant with what a drill should make of it.

use serde_json::Value;

use crate::place::releases_folder;
use crate::sdk_release::{Form, Stack};

/// What a drill should decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The next small step.
    Promote,
    /// Hold.
    Hold,
    /// The decision is not the point: the variant's note is.
    Any,
}

/// One variant of the releases.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The value of `DEFECT`; empty: healthy.
    pub defect: String,
    /// What it does.
    pub summary: String,
    /// The class of public defects that it stands for.
    pub class: Option<String>,
    /// The modes in which it shows.
    pub modes: Vec<String>,
    /// The forms that have it.
    pub forms: Vec<Form>,
    /// The stacks that it runs on.
    pub stacks: Vec<Stack>,
    /// Those of them whose SDK makes up for the defect: there a drill should promote.
    pub healthy_on: Vec<Stack>,
    /// `any`, `reverse` or `forward`: how the tap must be reached for it to show.
    pub tap: String,
    /// What a drill should decide when the other of the pair is healthy.
    pub expected: Expected,
    /// The exit codes that say so.
    pub exit_codes: Vec<i32>,
    /// The groups of probes any of which may catch it.
    pub caught_by: Vec<String>,
    /// Settings that the release's configuration needs, as `(key, JSON)`.
    pub release_settings: Vec<(String, Value)>,
}

impl Variant {
    /// Returns what a drill should decide, and the exit codes that say so, when the release runs on this stack.
    pub fn expected_on(&self, stack: Stack) -> (Expected, &[i32]) {
        if self.healthy_on.contains(&stack) {
            (Expected::Promote, &[0])
        } else {
            (self.expected, &self.exit_codes)
        }
    }
}

/// Returns every variant.
///
/// # Panics
///
/// When the catalogue is not what this reader expects: it is part of this crate.
pub fn catalogue() -> Vec<Variant> {
    let path = releases_folder().join("catalogue.json");
    let text = std::fs::read_to_string(&path).expect("the catalogue is part of this crate");
    let document: Value = serde_json::from_str(&text).expect("the catalogue is JSON");
    list(&document["variants"]).iter().map(variant).collect()
}

fn variant(value: &Value) -> Variant {
    let forms = texts(&value["forms"])
        .iter()
        .map(|form| Form::named(form).expect("a known form"))
        .collect();
    let stacks = texts(&value["stacks"])
        .iter()
        .flat_map(|family| Stack::of_family(family))
        .copied()
        .collect();
    Variant {
        defect: text(&value["defect"]),
        summary: text(&value["summary"]),
        class: value["class"].as_str().map(str::to_owned),
        modes: texts(&value["modes"]),
        forms,
        stacks,
        healthy_on: value["healthy_on"]
            .as_array()
            .map(|names| {
                let known = |name: &Value| {
                    Stack::named(name.as_str().unwrap_or_default()).expect("a known stack")
                };
                names.iter().map(known).collect()
            })
            .unwrap_or_default(),
        tap: text(&value["tap"]),
        expected: match value["expected"].as_str() {
            Some("promote") => Expected::Promote,
            Some("hold") => Expected::Hold,
            Some("any") => Expected::Any,
            other => panic!("{value} expects {other:?}"),
        },
        exit_codes: list(&value["exit_codes"])
            .iter()
            .map(|code| {
                code.as_i64().and_then(|code| i32::try_from(code).ok()).expect("an exit code")
            })
            .collect(),
        caught_by: texts(&value["caught_by"]),
        release_settings: value["release_settings"]
            .as_object()
            .map(|fields| fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
            .unwrap_or_default(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list").as_slice()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn python_knows_exactly_the_catalogued_variants() {
        check("python/core.py", "python", |source| {
            between(source, "DEFECTS = frozenset(\n    \"\"\"", "\"\"\"")
                + " "
                + &between(source, "VARIATIONS = frozenset(\"", "\"")
        });
    }

    #[test]
    fn node_knows_exactly_the_catalogued_variants() {
        check("node/core.mjs", "node", |source| {
            let healthy = between(source, "VARIATIONS = new Set([", "]").replace(['"', ','], " ");
            between(source, "DEFECTS = new Set(\n  `", "`") + " " + &healthy
        });
    }

    #[test]
    fn a_variant_that_must_be_held_says_what_catches_it() {
        for variant in catalogue() {
            assert_eq!(
                variant.expected == Expected::Promote,
                variant.caught_by.is_empty(),
                "{}",
                variant.defect
            );
            assert_eq!(
                variant.expected == Expected::Promote,
                variant.exit_codes == [0],
                "{}",
                variant.defect
            );
        }
    }

    /// The names in a program's own lists are the names that the catalogue gives to its family.
    #[track_caller]
    fn check(file: &str, family: &str, names: impl Fn(&str) -> String) {
        let source = std::fs::read_to_string(releases_folder().join(file)).unwrap();
        let names = names(&source);
        let in_program: BTreeSet<&str> = names.split_whitespace().collect();
        let stack = Stack::of_family(family)[0];
        let variants = catalogue();
        let in_catalogue: BTreeSet<&str> = variants
            .iter()
            .filter(|variant| variant.stacks.contains(&stack) && !variant.defect.is_empty())
            .map(|variant| variant.defect.as_str())
            .collect();
        assert_eq!(in_program, in_catalogue);
    }

    fn between(text: &str, from: &str, to: &str) -> String {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    }
}
