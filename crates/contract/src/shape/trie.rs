//! Gathers the shape of many documents quickly: a stream's chunk mostly repeats the structure of the one before.

use std::sync::Arc;

use super::{Kind, Shape, memo};
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
    /// The object in which it was counted last: a name that comes twice there, or is folded with another, counts once.
    counted_in: u64,
    children: Vec<usize>,
}

/// The union of the shapes of all documents absorbed.
#[derive(Debug, Default)]
pub(crate) struct ShapeTrie {
    /// Empty before the first document; the root comes first.
    nodes: Vec<TrieNode>,
    overflowed: bool,
    /// How many objects were visited.
    n_visited: u64,
    /// The shape of the only document, where it was known already.
    sole: Option<Shape>,
}

impl ShapeTrie {
    /// Adds one document of several.
    pub(crate) fn absorb(&mut self, document: Value<'_>) {
        if self.nodes.is_empty() {
            self.nodes.push(TrieNode::default());
        }
        self.visit(0, document);
    }

    /// Takes the only document there is.
    pub(crate) fn absorb_sole(&mut self, document: Value<'_>) {
        let Some(signature) = document.signature() else { return self.absorb(document) };
        self.sole = memo::recall(&signature);
        if self.sole.is_none() {
            self.absorb(document);
            // A name that was folded may be payload, which is not kept.
            if !self.overflowed && document.keys().all(|key| segment(&key) == &*key) {
                let shape = self.to_shape();
                memo::keep(signature, &shape);
                self.sole = Some(shape);
            }
        }
    }

    /// Whether there were more paths than are kept.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    fn visit(&mut self, node: usize, value: Value<'_>) {
        let Some(here) = self.nodes.get_mut(node) else { return };
        here.kinds = here.kinds | value.kind();
        if value.is_object() {
            here.n_objects += 1;
            self.n_visited += 1;
            let visit = self.n_visited;
            // The children stand in the order of their first document, so the next key is mostly the next child.
            let mut guess = 0;
            for (key, field) in value.fields() {
                let child = match self.guessed(node, key, guess) {
                    Some(child) => {
                        guess += 1;
                        Some(child)
                    }
                    None => self.child(node, segment(&key.key()), &mut guess),
                };
                let Some(child) = child else { continue };
                if let Some(below) = self.nodes.get_mut(child)
                    && std::mem::replace(&mut below.counted_in, visit) != visit
                {
                    below.n_seen += 1;
                }
                self.visit(child, field);
            }
        } else if value.is_array()
            && value.items().next().is_some()
            && let Some(child) = self.child(node, "[]", &mut 0)
        {
            for item in value.items() {
                self.visit(child, item);
            }
        }
    }

    /// Returns the child at a place, if it has the name of this key as it is written.
    fn guessed(&self, node: usize, key: Value<'_>, guess: usize) -> Option<usize> {
        let child = *self.nodes.get(node)?.children.get(guess)?;
        let segment = &*self.nodes.get(child)?.segment;
        // A key that is written `[]` is folded, so that it is not taken for an element.
        (key.is_plain_key(segment) && segment != "[]").then_some(child)
    }

    fn child(&mut self, node: usize, segment: &str, guess: &mut usize) -> Option<usize> {
        let children = &self.nodes.get(node)?.children;
        let is_it =
            |child: &usize| self.nodes.get(*child).is_some_and(|child| &*child.segment == segment);
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
        if let Some(shape) = &self.sole {
            return shape.clone();
        }
        let mut paths = Vec::with_capacity(self.nodes.len());
        self.write(0, &mut String::new(), Kind::NONE, &mut paths);
        Shape { paths: Arc::new(paths.into_iter().collect()) }
    }

    fn write(&self, node: usize, path: &mut String, absent: Kind, paths: &mut Vec<(String, Kind)>) {
        let Some(here) = self.nodes.get(node) else { return };
        paths.push((path.clone(), here.kinds | absent));
        for child in &here.children {
            let Some(below) = self.nodes.get(*child) else { continue };
            let is_sometimes_absent = &*below.segment != "[]" && below.n_seen < here.n_objects;
            let absent = if is_sometimes_absent { Kind::ABSENT } else { Kind::NONE };
            let length = path.len();
            path.push('/');
            path.push_str(&below.segment);
            self.write(*child, path, absent, paths);
            path.truncate(length);
        }
    }
}

/// Returns a key as it may stand in a path.
pub(crate) fn segment(key: &str) -> &str {
    let is_name =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'$' | b'@');
    if !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(is_name) {
        key
    } else {
        "*"
    }
}
