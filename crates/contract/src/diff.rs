//! Tells what changed between two shapes, and whether that breaks an application.

use serde::Serialize;

use crate::outline::ANY;
use crate::{Kind, Shape};

/// How much a change matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShapeChangeLevel {
    /// Worth knowing only.
    Info,
    /// A client that follows the contract takes it.
    Compatible,
    /// The application reads this field, and can no longer rely on it.
    Breaking,
}

/// One change of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShapeChange {
    /// Stable kebab-case rule, for example `response-property-removed`.
    pub rule: &'static str,
    /// How much it matters.
    pub level: ShapeChangeLevel,
    /// The path, for example `/choices/[]/message/content`.
    pub path: String,
    /// The types before; none where the path was not there.
    pub before: Kind,
    /// The types after; none where the path is not there.
    pub after: Kind,
    /// Whether the application reads it, or something in it.
    pub required: bool,
}

/// Compares two shapes. `required` are the JSON pointers that the application reads, such as `/choices/0/message/content`:
/// a change of these, or of what they are in, may break it; a change elsewhere does not.
pub fn shape_diff(before: &Shape, after: &Shape, required: &[String]) -> Vec<ShapeChange> {
    let required: Vec<_> = required.iter().map(|pointer| folded(pointer)).collect();
    let mut paths: Vec<_> =
        before.paths().keys().chain(after.paths().keys()).map(String::as_str).collect();
    paths.extend(required.iter().map(String::as_str));
    paths.sort_unstable();
    paths.dedup();
    let kind = |shape: &Shape, path: &str| shape.paths().get(path).copied().unwrap_or(Kind::NONE);
    let mut changes = Vec::new();
    for path in paths {
        let (was, is) = said(kind(before, path), kind(after, path));
        // A change below a path that came or went is told at that path.
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        let has_parent = |shape: &Shape| {
            parent.is_none_or(|parent| !kind(shape, parent).without(Kind::ABSENT).is_none())
        };
        let is_required = required.iter().any(|pointer| {
            pointer == path || pointer.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        let is_required_itself = required.iter().any(|pointer| pointer == path);
        let is_told_here = is_required_itself || has_parent(before) && has_parent(after);
        if !is_told_here {
            continue;
        }
        let mut push = |rule, level| {
            changes.push(ShapeChange {
                rule,
                level,
                path: path.to_owned(),
                before: shown(was),
                after: shown(is),
                required: is_required,
            });
        };
        for (rule, level) in compare(was, is, is_required) {
            push(rule, level);
        }
    }
    changes
}

/// Leaves out that a text or a list may be empty, where it need not be.
fn shown(kind: Kind) -> Kind {
    let mut shown = kind;
    for (empty, whole) in [(Kind::EMPTY_STRING, Kind::STRING), (Kind::EMPTY_ARRAY, Kind::ARRAY)] {
        if kind.intersects(whole) {
            shown = shown.without(empty);
        }
    }
    shown
}

/// Where a document says nothing of the types, there is no difference between them.
fn said(was: Kind, is: Kind) -> (Kind, Kind) {
    let types = |of: Kind, of_other: Kind| {
        if of.contains(ANY) && !of_other.without(Kind::ABSENT).is_none() {
            of_other.without(Kind::ABSENT) | of.intersection(Kind::ABSENT)
        } else {
            of
        }
    };
    (types(was, is), types(is, was))
}

/// Returns the rules by which two sets of types of one path differ.
fn compare(was: Kind, is: Kind, is_required: bool) -> Vec<(&'static str, ShapeChangeLevel)> {
    use ShapeChangeLevel::{Breaking, Compatible, Info};
    let weigh = |otherwise| if is_required { Breaking } else { otherwise };
    let (old, new) = (was.without(Kind::ABSENT), is.without(Kind::ABSENT));
    match (old.is_none(), new.is_none()) {
        (true, true) if is_required => {
            return vec![("response-required-property-absent", Breaking)];
        }
        (true, true) => return Vec::new(),
        (true, false) => return vec![("response-property-added", Compatible)],
        (false, true) => return vec![("response-property-removed", weigh(Info))],
        (false, false) => {}
    }
    let mut rules = Vec::new();
    let value_types = |kind: Kind| kind.types().without(Kind::NULL);
    let (old_values, new_values) = (value_types(old), value_types(new));
    let is_widened_number =
        new_values.without(old_values) == Kind::FLOAT && old_values.intersects(Kind::INTEGER);
    if !old_values.is_none() && !new_values.is_none() && !old_values.intersects(new_values) {
        rules.push(("response-property-type-changed", weigh(Info)));
    } else if is_widened_number
        || !new_values.without(old_values).is_none() && !old_values.is_none()
    {
        rules.push(("response-property-type-widened", weigh(Info)));
    } else if !old_values.without(new_values).is_none() && !new_values.is_none() {
        rules.push(("response-property-type-narrowed", Compatible));
    }
    if new.intersects(Kind::NULL) && !old.intersects(Kind::NULL) {
        rules.push((
            if new_values.is_none() {
                "response-property-became-null"
            } else {
                "response-property-became-nullable"
            },
            weigh(Info),
        ));
    } else if old.intersects(Kind::NULL) && !new.intersects(Kind::NULL) {
        rules.push(("response-property-became-not-nullable", Compatible));
    }
    if is.intersects(Kind::ABSENT) && !was.intersects(Kind::ABSENT) {
        rules.push(("response-property-became-optional", weigh(Info)));
    } else if was.intersects(Kind::ABSENT) && !is.intersects(Kind::ABSENT) {
        rules.push(("response-property-became-required", Compatible));
    }
    for (empty, whole, rule) in [
        (Kind::EMPTY_STRING, Kind::STRING, "response-property-became-empty"),
        (Kind::EMPTY_ARRAY, Kind::ARRAY, "response-property-became-empty"),
    ] {
        if old.intersects(whole) && !new.intersects(whole) && new.intersects(empty) {
            rules.push((rule, weigh(Info)));
        }
    }
    rules
}

/// Writes a JSON pointer with all its indexes folded, as shapes have them.
pub fn folded(pointer: &str) -> String {
    let is_index =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    pointer
        .split('/')
        .map(|segment| if is_index(segment) { "[]" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        let [before, after] = [before, after].map(|text| Shape::of(text.as_bytes()).unwrap());
        let changes = shape_diff(&before, &after, &["/a/0/b".to_owned()]);
        let told: Vec<_> =
            changes.iter().map(|c| format!("{:?} {} {}", c.level, c.rule, c.path)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn changes_are_told_against_required_fields() {
        let good = r#"{"a":[{"b":"x"}],"c":1}"#;
        check(good, good, &[]);
        check(
            good,
            r#"{"a":[{"b":"x","d":{"e":1}}],"c":1}"#,
            &["Compatible response-property-added /a/[]/d"],
        );
        check(good, r#"{"a":[{"b":"x"}]}"#, &["Info response-property-removed /c"]);
        check(good, r#"{"a":[{"b":"x"}],"c":1.5}"#, &["Info response-property-type-changed /c"]);
        check(good, r#"{"a":[{}],"c":1}"#, &["Breaking response-property-removed /a/[]/b"]);
        check(
            good,
            r#"{"a":[{"b":null}],"c":1}"#,
            &["Breaking response-property-became-null /a/[]/b"],
        );
        check(
            good,
            r#"{"a":[{"b":["x"]}],"c":1}"#,
            &[
                "Breaking response-property-type-changed /a/[]/b",
                "Compatible response-property-added /a/[]/b/[]",
            ],
        );
        check(
            good,
            r#"{"a":[{"b":"x"},{}],"c":1}"#,
            &["Breaking response-property-became-optional /a/[]/b"],
        );
        check(
            good,
            r#"{"a":[{"b":""}],"c":1}"#,
            &["Breaking response-property-became-empty /a/[]/b"],
        );
        check(
            good,
            r#"{"c":1}"#,
            &[
                "Breaking response-property-removed /a",
                "Breaking response-property-removed /a/[]/b",
            ],
        );
        check("{}", "{}", &["Breaking response-required-property-absent /a/[]/b"]);
    }
}
