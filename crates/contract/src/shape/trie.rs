//! Gathers the shape of many documents quickly: a stream's chunk mostly repeats the structure of the one before.
//!
//! All names stand in one text and all nodes in one list, whatever the documents are.

use std::collections::BTreeMap;

use super::{Kind, Shape, memo};
use crate::json::{Skeleton, Value, are_same};

/// Most distinct paths kept; a reply of any surface has a few hundred.
const PATHS_MAX: usize = 4096;
/// Longest key that still counts as a field name.
const KEY_BYTES_MAX: u32 = 64;

/// The place of a node; the root's, which is no child, says that there is none.
type Place = u32;
const NONE: Place = 0;
/// The name of the elements of an array, which no key has.
const ELEMENT: &[u8] = b"[]";

#[derive(Clone, Copy, Debug, Default)]
struct TrieNode {
    /// Where its name ends in the text of all names; it begins where the name of the node before ends.
    name_end: u32,
    parent: Place,
    first_child: Place,
    next_sibling: Place,
    kinds: Kind,
    /// How often it was seen, and how often as an object: together they tell what was absent.
    n_seen: u64,
    n_objects: u64,
    /// The object in which it was counted last: a name that comes twice there, or is folded with another, counts once.
    counted_in: u64,
}

/// The union of the shapes of all documents absorbed.
#[derive(Debug, Default)]
pub(crate) struct ShapeTrie {
    /// As they stand in paths. ASCII.
    names: Vec<u8>,
    /// Empty before the first document; the root comes first, and no child before its parent.
    nodes: Vec<TrieNode>,
    overflowed: bool,
    /// How many objects were visited.
    n_visited: u64,
    /// The shape of the only document, where that need not be gathered.
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

    /// Takes the only document there is: its structure is all there is to keep, and is written out when somebody asks.
    pub(crate) fn absorb_sole(&mut self, document: Value<'_>) {
        // With so few values no limit is met.
        let skeleton = Skeleton::of(document, PATHS_MAX, 1..=KEY_BYTES_MAX)
            // A name that is folded may be payload, which is not kept.
            .filter(|skeleton| is_of_names(skeleton.names().as_bytes()));
        match skeleton {
            Some(skeleton) => self.sole = Some(memo::shared(skeleton, document)),
            None => self.absorb(document),
        }
    }

    /// Takes the shape of the only document there is.
    pub(crate) fn take_sole(&mut self, shape: Shape) {
        self.sole = Some(shape);
    }

    /// Whether there were more paths than are kept.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    fn node(&self, place: Place) -> TrieNode {
        self.nodes.get(place as usize).copied().unwrap_or_default()
    }

    fn name(&self, place: Place) -> &[u8] {
        let end = |place: Place| self.nodes.get(place as usize).map_or(0, |n| n.name_end as usize);
        self.names.get(end(place.saturating_sub(1))..end(place)).unwrap_or_default()
    }

    /// Adds types to those of a node.
    fn note(&mut self, place: Place, kinds: Kind) {
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.kinds = node.kinds | kinds;
        }
    }

    fn visit(&mut self, place: Place, value: Value<'_>) {
        self.note(place, value.kind());
        if value.is_object() {
            let Some(here) = self.nodes.get_mut(place as usize) else { return };
            here.n_objects += 1;
            // The names of a first object are all new, if none comes twice.
            let is_first = here.first_child == NONE && !value.has_duplicate_key();
            self.n_visited += 1;
            let visit = self.n_visited;
            let mut last = NONE;
            for (key, field) in value.fields() {
                let Some(child) = self.child_of_key(place, key, last, is_first) else { continue };
                last = child;
                let Some(below) = self.nodes.get_mut(child as usize) else { continue };
                if below.counted_in != visit {
                    below.counted_in = visit;
                    below.n_seen += 1;
                }
                if field.is_object() || field.is_array() {
                    // Of a long array most elements say the same.
                    if !field.repeats() {
                        self.visit(child, field);
                    }
                } else {
                    self.note(child, field.kind());
                }
            }
        } else if value.is_array()
            && value.items().next().is_some()
            && let Some(child) = self.child(place, ELEMENT, NONE)
        {
            let mut kinds = Kind::NONE;
            for item in value.items() {
                if item.is_object() || item.is_array() {
                    if !item.repeats() {
                        self.visit(child, item);
                    }
                } else {
                    kinds = kinds | item.kind();
                }
            }
            self.note(child, kinds);
        }
    }

    /// Returns the child with the name of a key. `last` is the child of the key before it: the children stand in the order of
    /// their first document, so the next key is mostly the next child.
    fn child_of_key(
        &mut self,
        parent: Place,
        key: Value<'_>,
        last: Place,
        is_first: bool,
    ) -> Option<Place> {
        if let Some(name) = key.plain_key() {
            let next = self.after(parent, last);
            // A key that is written `[]` is folded, so that it is not taken for an element.
            if next != NONE && are_same(self.name(next), name) && name != ELEMENT {
                return Some(next);
            }
            if is_first && is_name(name) {
                return self.insert(parent, name, last);
            }
        }
        self.child(parent, segment(&key.key()).as_bytes(), last)
    }

    /// Returns the child that follows another one; the first, if that is none.
    fn after(&self, parent: Place, last: Place) -> Place {
        if last == NONE { self.node(parent).first_child } else { self.node(last).next_sibling }
    }

    /// Returns the child of a name, which is put behind `last` if it is new.
    fn child(&mut self, parent: Place, name: &[u8], last: Place) -> Option<Place> {
        let mut child = self.node(parent).first_child;
        while child != NONE {
            if self.name(child) == name {
                return Some(child);
            }
            child = self.node(child).next_sibling;
        }
        self.insert(parent, name, last)
    }

    fn insert(&mut self, parent: Place, name: &[u8], last: Place) -> Option<Place> {
        if self.nodes.len() >= PATHS_MAX {
            self.overflowed = true;
            return None;
        }
        // So many nodes, each with so long a name: it fits.
        let child = u32::try_from(self.nodes.len()).ok()?;
        let next_sibling = self.after(parent, last);
        self.names.extend_from_slice(name);
        let name_end = u32::try_from(self.names.len()).ok()?;
        self.nodes.push(TrieNode { name_end, parent, next_sibling, ..TrieNode::default() });
        if last == NONE {
            self.nodes.get_mut(parent as usize)?.first_child = child;
        } else {
            self.nodes.get_mut(last as usize)?.next_sibling = child;
        }
        Some(child)
    }

    /// Returns the union as a [`Shape`].
    pub(crate) fn to_shape(&self) -> Shape {
        self.sole.clone().unwrap_or_else(|| Shape::of_paths(self.paths()))
    }

    /// Writes out all paths.
    pub(super) fn paths(&self) -> BTreeMap<String, Kind> {
        let mut paths: Vec<(String, Kind)> = Vec::with_capacity(self.nodes.len());
        for (place, node) in (0..).zip(&self.nodes) {
            let mut path = String::new();
            let mut kinds = node.kinds;
            if place != 0 {
                let name = self.name(place);
                path.push_str(paths.get(node.parent as usize).map_or("", |(path, _)| path));
                path.push('/');
                path.push_str(std::str::from_utf8(name).unwrap_or_default());
                if name != ELEMENT && node.n_seen < self.node(node.parent).n_objects {
                    kinds = kinds | Kind::ABSENT;
                }
            }
            paths.push((path, kinds));
        }
        paths.into_iter().collect()
    }
}

/// Returns a key as it may stand in a path.
pub(crate) fn segment(key: &str) -> &str {
    if is_name(key.as_bytes()) { key } else { "*" }
}

/// Whether a key looks like the name of a field.
fn is_name(key: &[u8]) -> bool {
    !key.is_empty() && key.len() <= KEY_BYTES_MAX as usize && is_of_names(key)
}

/// Whether all bytes are such as stand in the names of fields.
fn is_of_names(bytes: &[u8]) -> bool {
    // Without branches, so that many are looked at at once.
    bytes.iter().fold(true, |all, byte| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let is_digit_or_colon = byte.wrapping_sub(b'0') < 11;
        let is_dash_or_dot = byte.wrapping_sub(b'-') < 2;
        let is_other = (*byte == b'_') | (*byte == b'$') | (*byte == b'@');
        all & (is_letter | is_digit_or_colon | is_dash_or_dot | is_other)
    })
}
