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
        let mut n_name_bytes = 0;
        let mut is_whole = true;
        let bare = whole.nodes.iter().map(|node| {
            let start = n_name_bytes;
            match node.tag {
                Tag::Key => {
                    let name = document.text.get(node.start as usize..node.end as usize);
                    names.push_str(name.unwrap_or_default());
                    n_name_bytes += node.end - node.start;
                    is_whole &= key_bytes.contains(&(node.end - node.start));
                    Node { start, end: n_name_bytes, ..*node }
                }
                Tag::KeyEscaped => {
                    is_whole = false;
                    *node
                }
                // Whether a string is empty is a part of its type.
                Tag::Text | Tag::TextEscaped => {
                    Node { start, end: start + u32::from(node.end > node.start), ..*node }
                }
                Tag::Null | Tag::Bool | Tag::Integer | Tag::Float | Tag::Array | Tag::Object => {
                    Node { start, end: start, ..*node }
                }
            }
        });
        let nodes = bare.collect();
        let tape = Tape { nodes, duplicate_key: whole.duplicate_key, ..Tape::default() };
        is_whole.then_some(Self { names, tape })
    }

    /// Returns all keys, one after the other.
    pub(crate) fn names(&self) -> &str {
        &self.names
    }

    /// Returns it as a document, whose values say nothing but their types.
    pub(crate) fn document(&self) -> Value<'_> {
        self.tape.document(&self.names)
    }

    /// Returns a number that differs for most skeletons.
    pub(crate) fn fingerprint(&self) -> u64 {
        let (words, rest) = self.names.as_bytes().as_chunks();
        let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
        words.iter().fold(rest, |print, word| {
            (print.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// Returns how many bytes all paths may take, written out: nesting makes them much longer than the names.
    pub(crate) fn n_path_bytes(&self) -> usize {
        let keys = (0..).zip(&self.tape.nodes).filter(|(_, node)| node.tag == Tag::Key);
        // A name stands in its own path and in those of all that is in its value.
        keys.map(|(index, key)| (key.end - key.start + 1) as usize * (key.next as usize - index))
            .sum()
    }
}

impl PartialEq for Skeleton {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names && self.tape.nodes == other.tape.nodes
    }
}
