//! YAML as a tree whose every node knows its place in the source.
//!
//! A reader of our own and not serde: serde stops at the first problem, loses places under `flatten` and `untagged`, and makes
//! a number of `version: 2.10`.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::problem::Problem;

/// Nodes at most, copies made by aliases included: a hundred times what a large configuration has.
const NODES_MAX: usize = 20_000;

/// Nesting at most; the deepest documented key lies seven levels down, bodies of asks may go further.
const DEPTH_MAX: usize = 40;

/// How much of a document is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nodes at most, copies made by aliases included.
    pub(crate) nodes: usize,
    /// Nesting at most.
    pub(crate) depth: usize,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where the value itself is.
    pub(crate) span: Range<usize>,
    /// Where to point at when something is missing in it: its key if it has one.
    pub(crate) at: Range<usize>,
    /// What it is.
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text, a number, a boolean or nothing, by the reader's choice.
    Scalar {
        /// As written, after YAML's own escapes.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map {
        /// Its entries; keys are unique.
        entries: Vec<Entry>,
        /// Written with braces.
        braces: bool,
    },
}

/// One key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is.
    pub(crate) key_span: Range<usize>,
    /// The value.
    pub(crate) value: Node,
}

impl Node {
    /// Tells whether there is no value at all (`key:`, `~`, `null`).
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::List(_) | Value::Map { .. } => false,
        }
    }

    /// Returns the word for what it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map { .. } => "a mapping",
        }
    }

    /// Tells whether it is a mapping with such a key.
    pub(crate) fn has_key(&self, name: &str) -> bool {
        match &self.value {
            Value::Map { entries, .. } => entries.iter().any(|entry| entry.key == name),
            Value::Scalar { .. } | Value::List(_) => false,
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map { entries, .. } => 1 + entries.iter().map(|e| e.value.size()).sum::<usize>(),
        }
    }
}

/// Parses a source. The tree is `None` for a document without content. Duplicate keys are put to `problems`; a source that is
/// no YAML ends the work with its one problem.
pub(crate) fn parse(source: &str, problems: &mut Vec<Problem>) -> Result<Option<Node>, Problem> {
    parse_within(source, Limits { nodes: NODES_MAX, depth: DEPTH_MAX }, problems)
}

/// Like [`parse`], for documents of another size.
pub(crate) fn parse_within(
    source: &str,
    limits: Limits,
    problems: &mut Vec<Problem>,
) -> Result<Option<Node>, Problem> {
    let mut composer = Composer {
        parser: Parser::new_from_str(source),
        source,
        anchors: BTreeMap::new(),
        nodes: 0,
        limits,
        problems,
    };
    let mut root = None;
    while let Some(next) = composer.parser.next() {
        let (event, span) = next.map_err(|error| composer.syntax(&error))?;
        match event {
            Event::DocumentStart(..) if root.is_some() => {
                return Err(Problem::new(range(&span), "a second document begins here")
                    .help("a configuration is one YAML document: remove `---` and what follows"));
            }
            Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(_) => {
                root = Some(composer.node(event, &span, 0)?);
            }
            _ => {}
        }
    }
    Ok(root.filter(|node| !node.is_null()))
}

struct Composer<'s, 'p> {
    parser: Parser<'s, granit_parser::StrInput<'s>>,
    source: &'s str,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    limits: Limits,
    problems: &'p mut Vec<Problem>,
}

impl<'s> Composer<'s, '_> {
    fn node(&mut self, event: Event<'s>, span: &Span, depth: usize) -> Result<Node, Problem> {
        if depth > self.limits.depth {
            return Err(Problem::new(
                range(span),
                format!("nested more than {} levels deep", self.limits.depth),
            ));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let plain = matches!(style, ScalarStyle::Plain);
                let span = trimmed(self.source, range(span));
                let value = Value::Scalar { text: text.into_owned(), plain };
                (anchor, Node { at: span.clone(), span, value })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (anchor, self.list(span, depth)?)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (anchor, self.map(style, span, depth)?)
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let mut node = node.ok_or_else(|| {
                    Problem::new(range(span), "an alias inside the very value that it stands for")
                })?;
                node.at = range(span);
                self.nodes += node.size();
                (0, node)
            }
            _ => return Err(Problem::new(range(span), "expected a value here")),
        };
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message =
                format!("more than {} values, copies made by aliases included", self.limits.nodes);
            return Err(Problem::new(range(span), message));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, start: &Span, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next(start)?;
            if matches!(event, Event::SequenceEnd) {
                let span = trimmed(self.source, range(start).start..range(&span).end);
                return Ok(Node { at: span.clone(), span, value: Value::List(items) });
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, style: StructureStyle, start: &Span, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next(start)?;
            if matches!(event, Event::MappingEnd) {
                let span = trimmed(self.source, range(start).start..range(&span).end);
                merge(&mut entries, merged);
                let braces = matches!(style, StructureStyle::Flow);
                return Ok(Node { at: span.clone(), span, value: Value::Map { entries, braces } });
            }
            let key_node = self.node(event, &span, depth + 1)?;
            let key_span = key_node.span;
            let Value::Scalar { text: key, plain } = key_node.value else {
                return Err(Problem::new(key_span, "a key must be a plain word")
                    .help("values that begin with `{` or `[` need quotes: \"{prompt}\""));
            };
            let (event, span) = self.next(start)?;
            let mut value = self.node(event, &span, depth + 1)?;
            if plain && key == "<<" {
                merged.push(value);
                continue;
            }
            value.at = key_span.clone();
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let line = line_of(self.source, first.key_span.start);
                self.problems.push(
                    Problem::new(key_span, format!("`{key}` appears a second time"))
                        .help(format!("it is set on line {line} already: remove one of the two"))
                        // What it is was not looked at.
                        .hiding(value.span),
                );
                continue;
            }
            entries.push(Entry { key, key_span, value });
        }
    }

    fn next(&mut self, start: &Span) -> Result<(Event<'s>, Span), Problem> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(Problem::new(range(start), "what begins here does not end")),
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Span) {
        if tagged {
            self.problems.push(
                Problem::new(range(span), "a YAML tag (`!…`) has no meaning here")
                    .help("remove it"),
            );
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = error.marker().byte_offset().unwrap_or(self.source.len()).min(self.source.len());
        let line_start = self.source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.source[line_start..].lines().next().unwrap_or("");
        let indentation = &line[..line.len() - line.trim_start().len()];
        let width =
            self.source[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        let problem = Problem::new(at..at + width, format!("not YAML: {}", error.info()));
        if let Some(tab) = indentation.find('\t') {
            let tab = line_start + tab;
            return Problem::new(tab..tab + 1, "not YAML: a tab in the indentation")
                .help("indent with spaces");
        }
        if line.contains("${") && line.contains(['[', '{']) {
            return problem.help("inside `[…]` and `{…}`, put quotes round it: \"${NAME}\"");
        }
        if error.info().contains("simple key") {
            return problem.help("a key needs a colon and a blank behind it: `key: value`");
        }
        if line.contains(": \"") || line.contains(": '") {
            return problem.help("is a quote missing, on this line or above?");
        }
        problem.help(
            "look at the indentation, the colons and the quotes of this line and of the one above",
        )
    }
}

/// `<<` takes over the entries of other mappings that are not set here.
fn merge(entries: &mut Vec<Entry>, merged: Vec<Node>) {
    for node in merged {
        match node.value {
            Value::Map { entries: others, .. } => {
                for other in others {
                    if entries.iter().all(|entry| entry.key != other.key) {
                        entries.push(other);
                    }
                }
            }
            Value::List(items) => merge(entries, items),
            // Kept as an entry, so that the reader reports `<<` as a key that it does not know.
            Value::Scalar { .. } => {
                entries.push(Entry {
                    key: "<<".to_owned(),
                    key_span: node.span.clone(),
                    value: node,
                });
            }
        }
    }
}

fn range(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or(0);
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

/// Ends of blocks are found by the line after them: leave out what only separates.
fn trimmed(source: &str, span: Range<usize>) -> Range<usize> {
    let shown = source.get(span.clone()).unwrap_or("").trim_end();
    span.start..span.start + shown.len()
}

fn line_of(source: &str, at: usize) -> usize {
    source[..at].matches('\n').count() + 1
}
