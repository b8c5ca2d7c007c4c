//! A typed reader over the tree that records every problem and goes on.
//!
//! Each method returns `None` both for an absent key and for one with a problem; since a problem ends in an error anyway, a caller may
//! put the default in either case.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{self, Kind, Section};
use super::problem::{Problem, Report};
use super::scalar::{self, Refusal};
use super::secret::begins_as_reference;
use super::tree::{self, Entry, Node, Value};
use super::{masking, substitution};
use crate::environment::Environment;

/// Characters of a value that a message quotes at most.
const QUOTED_CHARS_MAX: usize = 60;

/// Shorter texts under a key that is not known are settings, and shown.
const UNKNOWN_TEXT_MIN: usize = 8;

/// What reading needs and what it leaves behind.
pub(super) struct Reader<'a> {
    pub(super) source: &'a str,
    pub(super) environment: &'a Environment,
    /// The configuration's folder, absolute.
    pub(super) base: PathBuf,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Places that no excerpt may show.
    pub(super) hidden: Vec<Range<usize>>,
    /// What is wrong in the files that this one names.
    pub(super) others: Vec<Report>,
}

/// What is said when reading failed and left no reason.
pub(super) const UNEXPLAINED: &str =
    "surestep could not read this and does not know why: this is a bug of surestep";

/// Returns the text in which places are counted and shown: without the byte order mark, with plain line ends.
pub(super) fn plain_lines(source: &str) -> String {
    source.strip_prefix('\u{feff}').unwrap_or(source).replace("\r\n", "\n")
}

impl<'a> Reader<'a> {
    /// Starts on a text. Relative paths start at `base`.
    pub(super) fn new(source: &'a str, base: &Path, environment: &'a Environment) -> Self {
        Self {
            source,
            environment,
            base: base.to_owned(),
            problems: Vec::new(),
            warnings: Vec::new(),
            hidden: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Reads the whole text as one mapping with these keys. `empty` is what to say of a text with nothing in it.
    pub(super) fn whole<T>(
        &mut self,
        section: &'static Section,
        empty: Problem,
        read: impl FnOnce(&mut Self, &Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        match tree::parse(self.source, &mut self.problems) {
            Ok(Some(root)) => {
                let root = self.open(&root, section, String::new())?;
                read(self, &root)
            }
            Ok(None) => {
                self.report(empty);
                None
            }
            Err(problem) => {
                self.report(problem);
                None
            }
        }
    }
}

/// A mapping whose keys have been checked.
pub(super) struct Fields<'t> {
    section: &'static Section,
    /// How messages name it; empty at the top level.
    pub(super) path: String,
    /// Where to point at when something is missing.
    pub(super) at: Range<usize>,
    entries: BTreeMap<&'t str, &'t Node>,
    spans: BTreeMap<&'t str, Range<usize>>,
}

impl<'t> Fields<'t> {
    /// Returns a key's value.
    pub(super) fn get(&self, name: &str) -> Option<&'t Node> {
        debug_assert!(
            self.section.key(name).is_some(),
            "{name} is not in the table of {}",
            self.section.title
        );
        self.entries.get(name).copied()
    }

    /// Returns where a key stands, or else where it should.
    pub(super) fn span(&self, name: &str) -> Range<usize> {
        self.spans.get(name).cloned().unwrap_or_else(|| self.at.clone())
    }

    /// Tells whether the section has such a key at all.
    pub(super) fn accepts(&self, name: &str) -> bool {
        self.section.key(name).is_some()
    }

    /// Names a key in a message.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Reader<'_> {
    /// Records a problem.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Records something odd.
    pub(super) fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Joins a path to the configuration's folder.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.base.join(path).components().collect()
    }

    /// Opens a mapping: unknown keys, missing keys and keys without a value are problems.
    pub(super) fn open<'t>(
        &mut self,
        node: &'t Node,
        section: &'static Section,
        path: String,
    ) -> Option<Fields<'t>> {
        let Value::Map { entries, .. } = &node.value else {
            self.expected(node, &path, "a mapping", None);
            return None;
        };
        let mut fields = Fields {
            section,
            path,
            at: node.at.clone(),
            entries: BTreeMap::new(),
            spans: BTreeMap::new(),
        };
        let mut meant = BTreeSet::new();
        for entry in entries {
            let Some(key) = section.key(&entry.key) else {
                meant.extend(self.unknown_key(entry, &fields));
                continue;
            };
            if entry.value.is_null() && !matches!(key.kind, Kind::Json) {
                let message = format!("`{}` has no value", fields.path(&entry.key));
                let or =
                    if key.absent == keys::Absent::Required { "" } else { "remove the key, or " };
                let help = format!("{or}give it a value, for example `{}`", key.example);
                self.report(Problem::new(entry.key_span.clone(), message).help(help));
                fields.spans.insert(&entry.key, entry.key_span.clone());
            } else {
                fields.entries.insert(&entry.key, &entry.value);
                fields.spans.insert(&entry.key, entry.key_span.clone());
            }
        }
        for key in section.keys {
            let is_there = fields.spans.contains_key(key.name) || meant.contains(key.name);
            if key.absent == keys::Absent::Required && !is_there {
                let message = format!("`{}` is missing", fields.path(key.name));
                let help = format!("add it, for example `{}: {}`", key.name, key.example);
                // The top level has no key of its own to point at.
                let problem = if fields.path.is_empty() {
                    Problem::of_file(message)
                } else {
                    Problem::new(fields.at.clone(), message)
                };
                self.report(problem.help(help));
            }
        }
        Some(fields)
    }

    /// Reports a key that is not in the table, and returns the one that was meant, if it is absent.
    fn unknown_key(&mut self, entry: &Entry, fields: &Fields<'_>) -> Option<&'static str> {
        let place = if fields.path.is_empty() {
            "at the top level".to_owned()
        } else {
            format!("in `{}`", fields.path)
        };
        let message = format!("unknown key `{}` {place}", shortened(&entry.key));
        let names = || fields.section.keys.iter().map(|key| key.name);
        let close = scalar::closest(&entry.key, names());
        let meant = close.or_else(|| scalar::containing(&entry.key, names()));
        let help = match (meant, elsewhere(&entry.key)) {
            (Some(meant), None) => format!("did you mean `{meant}`?"),
            (Some(meant), Some(_)) if close.is_some() => format!("did you mean `{meant}`?"),
            (_, Some(title)) => format!("`{}` belongs into `{title}`", entry.key),
            (None, None) => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.report(Problem::new(entry.key_span.clone(), message).help(help));
        self.hide_texts(&entry.value);
        meant
    }

    /// Keeps a place out of every excerpt.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Hides the texts of something whose meaning is not known: they may be credentials. References to them are none.
    pub(super) fn hide_texts(&mut self, node: &Node) {
        match &node.value {
            Value::Map { entries, .. } => {
                entries.iter().for_each(|entry| self.hide_texts(&entry.value));
            }
            Value::List(items) => items.iter().for_each(|item| self.hide_texts(item)),
            Value::Scalar { text, .. } => {
                if text.chars().count() >= UNKNOWN_TEXT_MIN && !begins_as_reference(text) {
                    self.hide(node.span.clone());
                }
            }
        }
    }

    /// Opens the section at a key.
    pub(super) fn section<'t>(&mut self, fields: &Fields<'t>, name: &str) -> Option<Fields<'t>> {
        let node = fields.get(name)?;
        match fields.section.key(name).map(|key| &key.kind) {
            Some(Kind::Section(section)) => self.open(node, section, fields.path(name)),
            _ => None,
        }
    }

    /// Says that something else was expected.
    pub(super) fn expected(&mut self, node: &Node, path: &str, what: &str, help: Option<String>) {
        let name = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        let found = match &node.value {
            Value::Scalar { plain: true, .. } if !node.is_null() => {
                format!("`{}`", self.quote(node))
            }
            Value::Scalar { .. } if !node.is_null() => format!("the text `{}`", self.quote(node)),
            _ => node.kind().to_owned(),
        };
        let problem =
            Problem::new(node.span.clone(), format!("{name} must be {what}, not {found}"));
        let help = help.or_else(|| unquoted_placeholder(node));
        self.report(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    /// Quotes a value as it is written, not as it is after `${…}`: what a variable holds is not for messages.
    pub(super) fn quote(&self, node: &Node) -> String {
        shortened(self.source.get(node.span.clone()).unwrap_or("").trim_matches(['"', '\'']))
    }

    /// Reads a scalar as text, with its variables.
    pub(super) fn text_of(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if text.contains('\0') => {
                let message = format!("`{path}` has a NUL character in it");
                self.report(
                    Problem::new(node.span.clone(), message)
                        .help("no program takes one: remove it"),
                );
                None
            }
            Value::Scalar { text, .. } if !node.is_null() => self.substituted(text, node),
            _ => {
                self.expected(node, path, "text", None);
                None
            }
        }
    }

    fn substituted(&mut self, text: &str, node: &Node) -> Option<String> {
        let (result, faults) = substitution::substitute(text, self.environment);
        for fault in &faults {
            let written = self.source.get(node.span.clone()).unwrap_or("");
            let span = written.find(&fault.written).map_or(node.span.clone(), |at| {
                let start = node.span.start + at;
                start..start + fault.written.len()
            });
            self.report(Problem::new(span, fault.message.clone()).help(fault.help.clone()));
        }
        faults.is_empty().then_some(result)
    }

    /// Reads text that has something in it and no control characters.
    pub(super) fn text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        let node = fields.get(name)?;
        let text = self.text_of(node, &fields.path(name))?;
        if text.trim().is_empty() {
            self.report(Problem::new(
                node.span.clone(),
                format!("`{}` is empty", fields.path(name)),
            ));
            return None;
        }
        if text.contains(char::is_control) {
            let message = format!(
                "`{}` has a line break or another control character in it",
                fields.path(name)
            );
            self.report(Problem::new(node.span.clone(), message).help("write it on one line"));
            return None;
        }
        Some(text)
    }

    /// Reads text and checks it.
    pub(super) fn checked<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        check: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.text(fields, name)?;
        let node = fields.get(name)?;
        self.check(node, &fields.path(name), &text, check)
    }

    /// Applies a check to a text that was read from a node.
    pub(super) fn check<T>(
        &mut self,
        node: &Node,
        path: &str,
        text: &str,
        check: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match check(text) {
            Ok(value) => Some(value),
            Err((message, help)) => {
                // The check quotes what it saw; what a variable holds is not for messages.
                let written = self.quote(node);
                let message =
                    if written.contains("${") { message.replace(text, &written) } else { message };
                self.report(
                    Problem::new(node.span.clone(), format!("`{path}`: {message}")).help(help),
                );
                None
            }
        }
    }

    /// Reads a whole number within the table's limits.
    pub(super) fn integer(&mut self, fields: &Fields<'_>, name: &str) -> Option<u32> {
        let node = fields.get(name)?;
        let path = fields.path(name);
        let Some(kind @ Kind::Integer { min, max }) = fields.section.key(name).map(|key| &key.kind)
        else {
            return None;
        };
        let quoted =
            matches!(&node.value, Value::Scalar { text, plain: false } if !text.contains("${"));
        let number = match &node.value {
            Value::Scalar { .. } if !quoted && !node.is_null() => {
                let text = self.text_of(node, &path)?;
                text.parse::<u32>().ok().filter(|number| (min..=max).contains(&number))
            }
            _ => None,
        };
        if number.is_none() {
            let help = quoted.then(|| "write the number without quotes".to_owned());
            self.expected(node, &path, &kind.describe(), help);
        }
        number
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, fields: &Fields<'_>, name: &str) -> Option<bool> {
        let node = fields.get(name)?;
        let text = match &node.value {
            Value::Scalar { text, plain } if *plain || text.contains("${") => {
                self.substituted(text, node)?
            }
            _ => String::new(),
        };
        match text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.expected(node, &fields.path(name), &Kind::Boolean.describe(), None);
                None
            }
        }
    }

    /// Reads one of the table's words.
    pub(super) fn word(&mut self, fields: &Fields<'_>, name: &str) -> Option<&'static str> {
        let Some(Kind::Word(words)) = fields.section.key(name).map(|key| &key.kind) else {
            return None;
        };
        self.word_of(fields.get(name)?, &fields.path(name), words)
    }

    /// Reads one of these words.
    pub(super) fn word_of(
        &mut self,
        node: &Node,
        path: &str,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text_of(node, path)?;
        let known = words.iter().find(|word| **word == text);
        if known.is_none() {
            let all: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            let close = scalar::closest(&text, words.iter().copied());
            let help = close.map(|close| format!("did you mean `{close}`?"));
            self.expected(node, path, &all.join(" or "), help);
        }
        known.copied()
    }

    /// Reads a duration greater than nothing.
    pub(super) fn duration(&mut self, fields: &Fields<'_>, name: &str) -> Option<Duration> {
        self.checked(fields, name, |text| match scalar::duration(text)? {
            Duration::ZERO => {
                Err((format!("`{text}` is no time at all"), "write more than 0".to_owned()))
            }
            duration => Ok(duration),
        })
    }

    /// Reads an IP address with a port.
    pub(super) fn address(&mut self, fields: &Fields<'_>, name: &str) -> Option<SocketAddr> {
        self.checked(fields, name, |text| match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Err((
                "port 0 is no fixed port".to_owned(),
                "write the port itself, as in 127.0.0.1:8080".to_owned(),
            )),
            Ok(address) => Ok(address),
            // The cause says only "invalid socket address syntax".
            Err(_) => Err((
                format!("`{text}` is not an IP address with a port"),
                "write it as 127.0.0.1:8080 or [::1]:8080".to_owned(),
            )),
        })
    }

    /// Reads a path to a file or folder, absolute.
    pub(super) fn file(&mut self, fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
        let text = self.text(fields, name)?;
        Some(self.absolute(&text))
    }

    /// Returns the items of a list.
    pub(super) fn items<'t>(&mut self, fields: &Fields<'t>, name: &str) -> Option<&'t [Node]> {
        let node = fields.get(name)?;
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        let help = matches!(node.value, Value::Scalar { .. })
            .then(|| self.quote(node).split_whitespace().collect::<Vec<_>>().join(", "))
            .map(|words| format!("write it as a list: `{name}: [{words}]`"));
        self.expected(node, &fields.path(name), "a list", help);
        None
    }

    /// Reads a list of texts; doubles are odd and left out.
    pub(super) fn texts(&mut self, fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
        let path = fields.path(name);
        let mut seen = BTreeSet::new();
        let mut texts = Vec::new();
        for node in self.items(fields, name)? {
            let Some(text) = self.text_of(node, &path) else { continue };
            if text.trim().is_empty() {
                self.report(Problem::new(node.span.clone(), format!("an empty text in `{path}`")));
            } else if seen.insert(text.clone()) {
                texts.push(text);
            } else {
                let message = format!("`{}` stands twice in `{path}`", self.quote(node));
                self.warn(Problem::new(node.span.clone(), message));
            }
        }
        Some(texts)
    }

    /// Reads program and arguments.
    pub(super) fn command(&mut self, fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
        let path = fields.path(name);
        let node = fields.get(name)?;
        let mut words = Vec::new();
        let items = self.items(fields, name)?;
        for word in items {
            if let Some(text) = self.text_of(word, &path) {
                self.refuse_credential(word, &path, &text);
                self.look_at_placeholders(word, &text);
                words.push(text);
            }
        }
        if words.len() < items.len() {
            return None;
        }
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            self.report(
                Problem::new(node.span.clone(), format!("`{path}` names no program"))
                    .help("write program and arguments as a list: [python3, app.py, \"{prompt}\"]"),
            );
            return None;
        }
        Some(words)
    }

    /// Reads a mapping from free names to texts.
    pub(super) fn text_map(&mut self, fields: &Fields<'_>, name: &str) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for entry in self.free_entries(fields, name) {
            let path = format!("{}.{}", fields.path(name), entry.key);
            if let Some(text) = self.text_of(&entry.value, &path) {
                map.insert(entry.key.clone(), text);
            }
        }
        map
    }

    /// Returns the entries of a mapping with free names.
    pub(super) fn free_entries<'t>(&mut self, fields: &Fields<'t>, name: &str) -> &'t [Entry] {
        let Some(node) = fields.get(name) else { return &[] };
        if let Value::Map { entries, .. } = &node.value {
            return entries;
        }
        self.expected(node, &fields.path(name), "a mapping from names to values", None);
        &[]
    }

    /// A credential written down is a problem wherever it stands.
    pub(super) fn refuse_credential(&mut self, node: &Node, path: &str, text: &str) {
        if masking::looks_like_credential(text) {
            self.report(
                Problem::new(node.span.clone(), format!("`{path}` holds what looks like a credential"))
                    .help("move it to `secrets`, as env:NAME, file:PATH or command:[…]; and replace it at its maker, as it has been written down"),
            );
            self.hide(node.span.clone());
        }
    }

    /// A near miss of a placeholder is odd: it would reach the release as it stands.
    pub(super) fn look_at_placeholders(&mut self, node: &Node, text: &str) {
        for name in substitution::placeholders(text) {
            if substitution::PLACEHOLDERS.contains(&name) {
                if text.contains(&format!("{{{{{name}}}}}")) {
                    let message = format!("of `{{{{{name}}}}}` one pair of braces stays");
                    self.warn(
                        Problem::new(node.span.clone(), message)
                            .help(format!("write `{{{name}}}`")),
                    );
                }
                continue;
            }
            if let Some(close) = scalar::closest(name, substitution::PLACEHOLDERS) {
                let message =
                    format!("`{{{name}}}` is no placeholder and is handed over as it stands");
                self.warn(
                    Problem::new(node.span.clone(), message)
                        .help(format!("did you mean `{{{close}}}`?")),
                );
            }
        }
    }

    /// Tells whether a path is a folder; a problem if not.
    pub(super) fn require_folder(&mut self, path: &Path, node: &Node, name: &str) {
        if path.is_dir() {
            return;
        }
        let what = if path.exists() { "is not a folder" } else { "does not exist" };
        let message = format!("`{name}`: {} {what}", path.display());
        self.report(
            Problem::new(node.span.clone(), message)
                .help("relative paths start at the configuration's folder"),
        );
    }
}

/// `{prompt}` without quotes is a mapping to YAML.
fn unquoted_placeholder(node: &Node) -> Option<String> {
    let Value::Map { entries, braces: true } = &node.value else { return None };
    match entries.as_slice() {
        [entry] if entry.value.is_null() => {
            Some(format!("put quotes round it: \"{{{}}}\"", entry.key))
        }
        _ => None,
    }
}

/// Returns the section to which a key belongs that is unknown where it stands.
fn elsewhere(name: &str) -> Option<&'static str> {
    let mut open = vec![&keys::ROOT];
    let mut found = None;
    while let Some(section) = open.pop() {
        if section.key(name).is_some() {
            if found.is_some() {
                return None;
            }
            found = Some(section.title);
        }
        open.extend(section.keys.iter().flat_map(|key| key.kind.sections()));
    }
    found
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let cut = line.len() < text.len() || line.chars().count() > QUOTED_CHARS_MAX;
    let mut shown: String = line.chars().take(QUOTED_CHARS_MAX).collect();
    if cut {
        shown.push('…');
    }
    shown
}
