//! Tells what changed between two shapes, and whether that breaks an application.

use serde::Serialize;

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
    /// Stable kebab-case rule, for example `field-removed`.
    pub rule: &'static str,
    /// How much it matters.
    pub level: ShapeChangeLevel,
    /// The path, for example `/choices/[]/message/content`.
    pub path: String,
    /// The types before; none where the path was not there.
    pub before: Kind,
    /// The types after; none where the path is not there.
    pub after: Kind,
}

/// Compares two shapes. `required` are the JSON pointers that the application reads, such as `/choices/0/message/content`:
/// a change of these, or of what they are in, may break it; a change elsewhere does not.
pub fn shape_diff(before: &Shape, after: &Shape, required: &[String]) -> Vec<ShapeChange> {
    let required: Vec<_> = required.iter().map(|pointer| fold(pointer)).collect();
    let mut paths: Vec<_> =
        before.paths.keys().chain(after.paths.keys()).map(String::as_str).collect();
    paths.extend(required.iter().map(String::as_str));
    paths.sort_unstable();
    paths.dedup();
    let kind = |shape: &Shape, path: &str| shape.paths.get(path).copied().unwrap_or(Kind::NONE);
    let mut changes = Vec::new();
    for path in paths {
        let (was, is) = (kind(before, path), kind(after, path));
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
                before: was,
                after: is,
            });
        };
        for (rule, level) in compare(was, is, is_required) {
            push(rule, level);
        }
    }
    changes
}

/// Returns the rules by which two sets of types of one path differ.
fn compare(was: Kind, is: Kind, is_required: bool) -> Vec<(&'static str, ShapeChangeLevel)> {
    use ShapeChangeLevel::{Breaking, Compatible, Info};
    let weigh = |otherwise| if is_required { Breaking } else { otherwise };
    let (old, new) = (was.without(Kind::ABSENT), is.without(Kind::ABSENT));
    match (old.is_none(), new.is_none()) {
        (true, true) if is_required => return vec![("required-field-absent", Breaking)],
        (true, true) => return Vec::new(),
        (true, false) => return vec![("field-added", Compatible)],
        (false, true) => return vec![("field-removed", weigh(Info))],
        (false, false) => {}
    }
    let mut rules = Vec::new();
    let value_types = |kind: Kind| kind.types().without(Kind::NULL);
    let (old_values, new_values) = (value_types(old), value_types(new));
    let is_widened_number =
        new_values.without(old_values) == Kind::FLOAT && old_values.intersects(Kind::INTEGER);
    if !old_values.is_none() && !new_values.is_none() && !old_values.intersects(new_values) {
        rules.push(("type-changed", weigh(Info)));
    } else if is_widened_number {
        rules.push(("integer-became-float", weigh(Info)));
    } else if !new_values.without(old_values).is_none() && !old_values.is_none() {
        rules.push(("type-added", weigh(Info)));
    } else if !old_values.without(new_values).is_none() && !new_values.is_none() {
        rules.push(("type-removed", Compatible));
    }
    if new.intersects(Kind::NULL) && !old.intersects(Kind::NULL) {
        rules.push((if new_values.is_none() { "became-null" } else { "null-added" }, weigh(Info)));
    } else if old.intersects(Kind::NULL) && !new.intersects(Kind::NULL) {
        rules.push(("null-removed", Compatible));
    }
    if is.intersects(Kind::ABSENT) && !was.intersects(Kind::ABSENT) {
        rules.push(("became-optional", weigh(Info)));
    } else if was.intersects(Kind::ABSENT) && !is.intersects(Kind::ABSENT) {
        rules.push(("became-present", Compatible));
    }
    for (empty, whole, rule) in [
        (Kind::EMPTY_STRING, Kind::STRING, "became-empty"),
        (Kind::EMPTY_ARRAY, Kind::ARRAY, "became-empty"),
    ] {
        if old.intersects(whole) && !new.intersects(whole) && new.intersects(empty) {
            rules.push((rule, weigh(Info)));
        }
    }
    rules
}

/// Writes a JSON pointer with all its indexes folded, as shapes have them.
fn fold(pointer: &str) -> String {
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
        check(good, r#"{"a":[{"b":"x","d":{"e":1}}],"c":1}"#, &["Compatible field-added /a/[]/d"]);
        check(good, r#"{"a":[{"b":"x"}]}"#, &["Info field-removed /c"]);
        check(good, r#"{"a":[{"b":"x"}],"c":1.5}"#, &["Info type-changed /c"]);
        check(good, r#"{"a":[{}],"c":1}"#, &["Breaking field-removed /a/[]/b"]);
        check(good, r#"{"a":[{"b":null}],"c":1}"#, &["Breaking became-null /a/[]/b"]);
        check(
            good,
            r#"{"a":[{"b":["x"]}],"c":1}"#,
            &["Breaking type-changed /a/[]/b", "Compatible field-added /a/[]/b/[]"],
        );
        check(good, r#"{"a":[{"b":"x"},{}],"c":1}"#, &["Breaking became-optional /a/[]/b"]);
        check(good, r#"{"a":[{"b":""}],"c":1}"#, &["Breaking became-empty /a/[]/b"]);
        check(good, r#"{"c":1}"#, &["Breaking field-removed /a", "Breaking field-removed /a/[]/b"]);
        check("{}", "{}", &["Breaking required-field-absent /a/[]/b"]);
    }
}
