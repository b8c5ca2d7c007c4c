//! A document without its values: keys and types in the order of the document, and nothing else.

use std::ops::RangeInclusive;

use super::{Node, Tag, Tape, Value};

/// Keys and types of a document.
#[derive(Debug)]
pub(crate) struct Skeleton {
    /// All keys, one after the other.
    names: String,
    /// Its keys span names; of values only the type says something.
    tape: Tape,
    fingerprint: u64,
    n_path_bytes: usize,
}

impl Skeleton {
    /// Takes the skeleton off a document of few values; nothing where a key is written with escapes, or is not of such a length.
    pub(crate) fn of(
        document: Value<'_>,
        n_nodes_max: usize,
        key_bytes: RangeInclusive<u32>,
    ) -> Option<Self> {
        let whole = document.tape;
        if whole.nodes.len() > n_nodes_max {
            return None;
        }
        let mut names = String::with_capacity(1024.min(document.text.len()));
        let mut nodes = Vec::with_capacity(whole.nodes.len());
        let mut fingerprint = 0u64;
        let mut n_name_bytes = 0;
        let mut n_path_bytes = 0;
        for (index, node) in whole.nodes.iter().enumerate() {
            let (start, end) = match node.tag {
                Tag::Key => {
                    let length = node.end - node.start;
                    if !key_bytes.contains(&length) {
                        return None;
                    }
                    names.push_str(document.at(index).raw());
                    // It stands in its own path and in those of all that is in its value.
                    n_path_bytes += (length as usize + 1) * (node.next as usize - index);
                    n_name_bytes += length;
                    (n_name_bytes - length, n_name_bytes)
                }
                Tag::KeyEscaped => return None,
                // Whether a string is empty is a part of its type.
                Tag::Text | Tag::TextEscaped => (0, u32::from(node.end > node.start)),
                Tag::Null | Tag::Bool | Tag::Integer | Tag::Float | Tag::Array | Tag::Object => {
                    (0, 0)
                }
            };
            let node = Node { start, end, ..*node };
            fingerprint =
                (fingerprint.rotate_left(5) ^ node.mixed()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            nodes.push(node);
        }
        let tape = Tape { nodes, duplicate_key: whole.duplicate_key, ..Tape::default() };
        Some(Self { names, tape, fingerprint, n_path_bytes })
    }

    /// Returns all keys, one after the other.
    pub(crate) fn names(&self) -> &str {
        &self.names
    }

    /// Returns it as a document, whose values say nothing but their types.
    pub(crate) fn document(&self) -> Value<'_> {
        Value { text: &self.names, tape: &self.tape, index: 0 }
    }

    /// Returns a number that differs for most skeletons.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns how many bytes all paths may take, written out: nesting makes them much longer than the names.
    pub(crate) fn n_path_bytes(&self) -> usize {
        self.n_path_bytes
    }
}

impl PartialEq for Skeleton {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names && self.tape.nodes == other.tape.nodes
    }
}

impl Node {
    fn mixed(self) -> u64 {
        let [start, end, next] = [self.start, self.end, self.next].map(u64::from);
        let kind = u64::from(self.glance) << 8 | self.tag as u64;
        (start | end << 16) ^ (next << 32 | kind << 48)
    }
}
