//! Reads a manifest: the stacks, the defects, and the rows that put one of them into one release of a pair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::workspace_root;

/// Which of the pair has the defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The release that is about to get traffic.
    New,
    /// The one to return to.
    Rollback,
}

impl Side {
    /// Returns how results and manifests call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Rollback => "rollback",
        }
    }

    /// Returns the other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::New => Self::Rollback,
            Self::Rollback => Self::New,
        }
    }
}

/// One thing that is wrong, or in a healthy variation only different.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it is, for people.
    pub(crate) summary: String,
    /// The class of public defects; none: healthy.
    pub(crate) class: Option<String>,
    /// The findings any of which is the right reason to hold; none: any finding about that release.
    pub(crate) codes: BTreeSet<String>,
    /// The `DEFECT` of a program that has them built in.
    pub(crate) built_in: Option<String>,
    /// `(file, old text, new text)`; the old text stands there once.
    pub(crate) edits: Vec<(String, String, String)>,
    pub(crate) env: Vec<(String, String)>,
    /// Keys of the release's configuration, in YAML on one line.
    pub(crate) settings: Vec<(String, String)>,
    /// The content of a credential file that the release gets instead of the right one.
    pub(crate) key: Option<String>,
    /// The one case that llmock judges the release in, as its script reads it; none: all of its cases.
    pub(crate) case: Option<String>,
    /// The environment that it runs in instead of its stack's: the same program on other versions of its libraries.
    pub(crate) environment: Option<String>,
}

/// One drill: a release with at most one change, beside a healthy one.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name, unique in the manifest.
    pub name: String,
    /// `stack/form`.
    pub(crate) release: String,
    pub(crate) other: String,
    /// Which of the pair has the change.
    pub side: Side,
    /// The name of the change; empty: healthy.
    pub(crate) change_name: String,
    pub(crate) change: Option<Change>,
    /// Whether it is part of the slice that every test run makes.
    pub ci: bool,
    /// What the row says, to tell whether an earlier run was about the same.
    pub(crate) text: String,
}

impl Row {
    /// Returns whether it has a defect; otherwise both releases are healthy.
    pub fn is_defective(&self) -> bool {
        self.class().is_some()
    }

    /// Returns the findings any of which is the right reason to hold it.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.change.iter().flat_map(|change| change.codes.iter().map(String::as_str))
    }

    /// Returns the same drill under a name of its own, for a run that makes it many times.
    #[must_use]
    pub fn repetition(&self, number: usize, how: &str) -> Self {
        Self { name: format!("{} #{number}{how}", self.name), ..self.clone() }
    }

    /// Returns the class of its defect.
    pub fn class(&self) -> Option<&str> {
        self.change.as_ref().and_then(|change| change.class.as_deref())
    }
}

/// The whole benchmark.
#[derive(Debug)]
pub struct Manifest {
    /// What each stack is built of, by name.
    pub(crate) stacks: BTreeMap<String, Value>,
    /// The name of each class.
    pub(crate) classes: BTreeMap<String, String>,
    /// The drills.
    pub rows: Vec<Row>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no JSON, or a row names what is not there: the text says which.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let document: Value = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
        let stacks = object(&document, "stacks")?;
        let classes: BTreeMap<String, String> =
            object(&document, "classes")?.into_iter().map(|(k, v)| (k, plain(&v))).collect();
        let changes = object(&document, "changes")?;
        let mut rows: Vec<Row> = Vec::new();
        for value in document["rows"].as_array().ok_or("the manifest has no list `rows`")? {
            let row = row(value, &stacks, &changes).map_err(|why| format!("row {value}: {why}"))?;
            if let Some(class) = row.class()
                && !classes.contains_key(class)
            {
                return Err(format!("row {}: the class {class} is not known", row.name));
            }
            if rows.iter().any(|known| known.name == row.name) {
                return Err(format!("the row {} is there twice", row.name));
            }
            rows.push(row);
        }
        Ok(Self { stacks, classes, rows })
    }

    /// Returns `family:change` of each row that has a change.
    pub fn changes(&self) -> BTreeSet<String> {
        let changed = self.rows.iter().filter(|row| !row.change_name.is_empty());
        let named = |row: &Row| {
            format!("{}:{}", plain(&self.stack(&row.release)["family"]), row.change_name)
        };
        changed.map(named).collect()
    }

    /// Returns the endpoint family that a release, written `stack/form`, calls.
    pub(crate) fn surface(&self, release: &str) -> &str {
        surface(self.stack(release))
    }

    /// Returns the stack of a release that is written `stack/form`.
    pub(crate) fn stack(&self, release: &str) -> &Value {
        let (stack, _) = release.split_once('/').unwrap_or((release, ""));
        self.stacks.get(stack).unwrap_or(&Value::Null)
    }
}

fn surface(stack: &Value) -> &str {
    stack["surface"].as_str().unwrap_or("chat")
}

fn row(
    value: &Value,
    stacks: &BTreeMap<String, Value>,
    changes: &BTreeMap<String, Value>,
) -> Result<Row, String> {
    let release = plain(&value["release"]);
    let other = plain(&value["other"]);
    let mut about = value.to_string();
    for name in [&release, &other] {
        let (stack, form) = name.split_once('/').ok_or("a release is written stack/form")?;
        let stack = stacks.get(stack).ok_or_else(|| format!("there is no stack {stack}"))?;
        if !stack["forms"].get(form).is_some_and(|form| form.is_object() || form.is_boolean()) {
            return Err(format!("{name}: the stack has no such form"));
        }
        about.push_str(&stack.to_string());
        about.push_str(&sources(&plain(&stack["folder"]))?);
    }
    let calls = |name: &str| stacks.get(name.split('/').next().unwrap_or_default()).map(surface);
    if calls(&release) != calls(&other) {
        return Err("a pair calls one surface".to_owned());
    }
    let side = match value["side"].as_str() {
        Some("rollback") => Side::Rollback,
        Some("new") => Side::New,
        other => return Err(format!("side: new or rollback, not {other:?}")),
    };
    let change_name = value["change"].as_str().unwrap_or_default().to_owned();
    let change = if change_name.is_empty() {
        None
    } else {
        let (stack, _) = release.split_once('/').unwrap_or_default();
        let family = stacks.get(stack).map(|stack| plain(&stack["family"])).unwrap_or_default();
        let found = changes.get(&family).and_then(|family| family.get(&change_name));
        let found = found.ok_or_else(|| format!("the family {family} has no such change"))?;
        about.push_str(&found.to_string());
        Some(read_change(found)?)
    };
    let shown = if change_name.is_empty() { "healthy" } else { &change_name };
    let name = format!("{release}/{shown}@{} beside {other}", side.word());
    let ci = value["ci"].as_bool().unwrap_or(false);
    Ok(Row { name, release, other, side, change_name, change, ci, text: about })
}

/// Returns the folder in which the programs of a stack lie; one that is a binary of ours has none.
pub(crate) fn sources_folder(name: &str) -> PathBuf {
    workspace_root().join("bench/detection/releases").join(name)
}

/// Returns the text of all programs in the folder: another text is another release.
fn sources(name: &str) -> Result<String, String> {
    let mut texts = Vec::new();
    if !name.is_empty() {
        let folder = sources_folder(name);
        let trouble = |error| format!("cannot read {}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(trouble)? {
            let path = entry.map_err(trouble)?.path();
            if path.is_file() {
                texts.push(std::fs::read_to_string(&path).map_err(trouble)?);
            }
        }
    }
    texts.sort();
    Ok(texts.concat())
}

fn read_change(value: &Value) -> Result<Change, String> {
    let class = value["class"].as_str().map(str::to_owned);
    let codes: BTreeSet<String> =
        value["codes"].as_array().into_iter().flatten().map(plain).collect();
    let mut edits = Vec::new();
    for edit in value["edits"].as_array().into_iter().flatten() {
        let [file, old, new] = edit.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err("an edit is [file, old, new]".into());
        };
        edits.push((plain(file), plain(old), plain(new)));
    }
    Ok(Change {
        summary: plain(&value["summary"]),
        class,
        codes,
        built_in: value["built_in"].as_str().map(str::to_owned),
        edits,
        env: pairs(&value["env"]),
        settings: pairs(&value["settings"]),
        key: value["key"].as_str().map(str::to_owned),
        case: value.get("case").map(Value::to_string),
        environment: value["environment"].as_str().map(str::to_owned),
    })
}

/// Returns the fields of an object of texts.
pub(crate) fn pairs(value: &Value) -> Vec<(String, String)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), plain(value)))
        .collect()
}

/// Returns a text; empty when it is none.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn object(document: &Value, key: &str) -> Result<BTreeMap<String, Value>, String> {
    let fields = document[key].as_object().ok_or_else(|| format!("the manifest has no `{key}`"))?;
    Ok(fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a manifest with one healthy pair of two stacks, the second of which calls this surface.
    fn pair_beside(surface: &str) -> Result<Manifest, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            r#"{{"stacks": {{"a": {{"forms": {{"service": true}}}}, "b": {{"surface": "{surface}", "forms": {{"service": true}}}}}},
                "classes": {{}}, "changes": {{}}, "rows": [{{"release": "a/service", "side": "new", "other": "b/service"}}]}}"#
        );
        std::fs::write(file.path(), text).unwrap();
        Manifest::read(file.path())
    }

    #[test]
    fn pair_calls_one_surface() {
        assert_eq!(pair_beside("chat").unwrap().surface("b/service"), "chat");
        assert!(pair_beside("responses").unwrap_err().contains("one surface"));
    }
}
