//! Gathers the shape of many documents quickly: a stream's chunk mostly repeats the structure of the one before.

use super::{Kind, Shape};
use crate::json::Value;

/// Most distinct paths kept; a reply of any surface has a few hundred.
const PATHS_MAX: usize = 4096;
/// Longest key that still counts as a field name.
const KEY_BYTES_MAX: usize = 64;

#[derive(Debug, Default)]
struct TrieNode {
    /// As it stands in a path; `[]` for elements.
    segment: Box<str>,
    kinds: Kind,
    /// How often this was seen, and how often as an object: together they tell what was absent.
    n_seen: u64,
    n_objects: u64,
    children: Vec<usize>,
}

/// The union of the shapes of all documents absorbed.
#[derive(Debug)]
pub(crate) struct ShapeTrie {
    nodes: Vec<TrieNode>,
    overflowed: bool,
}

impl Default for ShapeTrie {
    fn default() -> Self {
        Self { nodes: vec![TrieNode::default()], overflowed: false }
    }
}

impl ShapeTrie {
    /// Adds one document.
    pub(crate) fn absorb(&mut self, document: Value<'_>) {
        self.visit(0, document);
    }

    /// Whether there were more paths than are kept.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    fn visit(&mut self, node: usize, value: Value<'_>) {
        let Some(here) = self.nodes.get_mut(node) else { return };
        here.kinds = here.kinds | value.kind();
        here.n_seen += 1;
        if value.is_object() {
            here.n_objects += 1;
            // The children stand in the order of their first document, so the next key is mostly the next child.
            let mut guess = 0;
            for (key, field) in value.fields() {
                let key = key.key();
                if let Some(child) = self.child(node, segment(&key), &mut guess) {
                    self.visit(child, field);
                }
            }
        } else if value.is_array() {
            for item in value.items() {
                if let Some(child) = self.child(node, "[]", &mut 0) {
                    self.visit(child, item);
                }
            }
        }
    }

    fn child(&mut self, node: usize, segment: &str, guess: &mut usize) -> Option<usize> {
        let children = &self.nodes.get(node)?.children;
        let is_it =
            |child: &usize| self.nodes.get(*child).is_some_and(|child| &*child.segment == segment);
        if let Some(child) = children.get(*guess).filter(|child| is_it(child)) {
            *guess += 1;
            return Some(*child);
        }
        if let Some(place) = children.iter().position(is_it) {
            *guess = place + 1;
            return children.get(place).copied();
        }
        if self.nodes.len() >= PATHS_MAX {
            self.overflowed = true;
            return None;
        }
        let child = self.nodes.len();
        self.nodes.push(TrieNode { segment: segment.into(), ..TrieNode::default() });
        self.nodes.get_mut(node)?.children.push(child);
        Some(child)
    }

    /// Returns the union as a [`Shape`].
    pub(crate) fn to_shape(&self) -> Shape {
        let mut shape = Shape::default();
        if self.nodes.first().is_some_and(|root| root.n_seen > 0) {
            self.write(0, String::new(), Kind::NONE, &mut shape);
        }
        shape
    }

    fn write(&self, node: usize, path: String, absent: Kind, shape: &mut Shape) {
        let Some(here) = self.nodes.get(node) else { return };
        for child in &here.children {
            let Some(below) = self.nodes.get(*child) else { continue };
            let is_sometimes_absent = &*below.segment != "[]" && below.n_seen < here.n_objects;
            let absent = if is_sometimes_absent { Kind::ABSENT } else { Kind::NONE };
            self.write(*child, format!("{path}/{}", below.segment), absent, shape);
        }
        shape.paths.insert(path, here.kinds | absent);
    }
}

/// Returns a key as it may stand in a path.
fn segment(key: &str) -> &str {
    let is_name =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'$' | b'@');
    if !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(is_name) {
        key
    } else {
        "*"
    }
}
