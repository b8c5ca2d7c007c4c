//! Reads one JSON document into a flat tape of spans, with full validation and no copy of any value.
//!
//! A tape is bounded by the document that it reads (at most [`NODES_MAX`] nodes) and is used again for the next one.
//! Faults are told apart: a document that stops early is something else than one that is wrong.

mod parser;
mod template;

use std::borrow::Cow;

use parser::{Parser, plain_bytes};
pub(crate) use template::{Fit, Hole, Holes, Templates};

use crate::Kind;

/// Deepest nesting taken; the limit that `serde_json` has too.
const DEPTH_MAX: u32 = 128;
/// Most values and keys in one document: 20 bytes each, so a tape stays below 10 MiB.
const NODES_MAX: usize = 500_000;
/// Longest structure that is written down; a reply with a few tool calls has a kilobyte.
const SIGNATURE_BYTES_MAX: usize = 4096;

/// Why a text is not one JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// No value at all.
    Empty,
    /// It stops before its end.
    Truncated,
    /// It breaks the grammar.
    Malformed,
    /// It holds `NaN` or `Infinity`.
    NotANumber,
    /// It is not UTF-8.
    Utf8,
    /// A second document follows.
    SecondDocument,
    /// Something else follows.
    Trailing,
    /// It is nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// It has more than [`NODES_MAX`] values.
    TooManyValues,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Key,
    KeyEscaped,
    Null,
    Bool,
    Integer,
    Float,
    Text,
    TextEscaped,
    Array,
    Object,
}

/// A value, or a key: `start..end` is its span in the document (without quotes), `next` the node after all that is in it.
#[derive(Clone, Copy, Debug)]
struct Node {
    tag: Tag,
    start: u32,
    end: u32,
    next: u32,
}

/// A key of an object in the reading.
#[derive(Clone, Copy, Debug)]
struct Key {
    index: u32,
    /// A small hash, which tells most keys apart.
    glance: u8,
}

/// The nodes of one document.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    keys: Vec<Key>,
    duplicate_key: bool,
    lone_surrogate: bool,
    /// How many containers the innermost one is in.
    deepest: u32,
    /// Whoever reads has bounded the document: its values are not counted.
    is_unbounded: bool,
}

impl Tape {
    /// Returns a tape for a document whose size the caller bounds.
    pub(crate) fn unbounded() -> Self {
        Self { is_unbounded: true, ..Self::default() }
    }

    /// Reads `bytes`, which must be one document with nothing but white space around it.
    pub(crate) fn read<'t>(&'t mut self, bytes: &'t [u8]) -> Result<Value<'t>, JsonFault> {
        self.nodes.clear();
        self.keys.clear();
        self.duplicate_key = false;
        self.lone_surrogate = false;
        self.deepest = 0;
        let text = match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => text,
            // A character that the end cuts is truncation, if all before it is fine.
            Err(error) => {
                return Err(match error.error_len() {
                    Some(_) => JsonFault::Utf8,
                    None => match self.read(bytes.get(..error.valid_up_to()).unwrap_or_default()) {
                        Err(JsonFault::Truncated | JsonFault::Empty) => JsonFault::Truncated,
                        Err(fault) => fault,
                        Ok(_) => JsonFault::Trailing,
                    },
                });
            }
        };
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonFault::TooManyValues);
        }
        // A reply without tool calls has some fifty values: mostly one allocation holds them.
        self.nodes.reserve((bytes.len() / 8).min(64));
        self.keys.reserve((bytes.len() / 8).min(16));
        let mut parser = Parser { text, bytes, at: 0, tape: self };
        parser.skip_space();
        if parser.peek().is_none() {
            return Err(JsonFault::Empty);
        }
        parser.value(0)?;
        parser.skip_space();
        if parser.peek().is_some() {
            // One more value is enough to name the fault; more of them must not deepen the stack.
            return Err(match parser.value(0) {
                Ok(()) => JsonFault::SecondDocument,
                Err(_) => JsonFault::Trailing,
            });
        }
        Ok(Value { text, tape: self, index: 0 })
    }

    fn push(&mut self, tag: Tag, start: usize, end: usize) -> Result<usize, JsonFault> {
        let index = self.nodes.len();
        if index >= NODES_MAX && !self.is_unbounded {
            return Err(JsonFault::TooManyValues);
        }
        // Both fit: `read` refuses documents longer than `u32`.
        let [start, end, next] =
            [start, end, index + 1].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        self.nodes.push(Node { tag, start, end, next });
        Ok(index)
    }
}

/// One value of a read document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    text: &'t str,
    tape: &'t Tape,
    index: usize,
}

impl<'t> Value<'t> {
    fn node(self) -> Node {
        let nothing = Node { tag: Tag::Null, start: 0, end: 0, next: u32::MAX };
        self.tape.nodes.get(self.index).copied().unwrap_or(nothing)
    }

    fn at(self, index: usize) -> Self {
        Self { index, ..self }
    }

    fn raw(self) -> &'t str {
        let node = self.node();
        // Spans end at ASCII bytes, so they are never inside of a character.
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// Returns where a string or an integer stands in the document, a string without its quotes.
    pub(crate) fn span(self) -> Option<std::ops::Range<usize>> {
        let node = self.node();
        matches!(node.tag, Tag::Text | Tag::TextEscaped | Tag::Integer)
            .then_some(node.start as usize..node.end as usize)
    }

    /// Returns a key as it is written; keys with escapes are rare, and get their own copy.
    pub(crate) fn key(self) -> Cow<'t, str> {
        if self.node().tag == Tag::Key {
            Cow::Borrowed(self.raw())
        } else {
            Cow::Owned(unescape(self.raw()))
        }
    }

    /// Whether any object of the document has a key twice.
    pub(crate) fn has_duplicate_key(self) -> bool {
        self.tape.duplicate_key
    }

    /// Whether any string of the document holds half of a surrogate pair.
    pub(crate) fn has_lone_surrogate(self) -> bool {
        self.tape.lone_surrogate
    }

    /// Whether the document has as many values as a tape takes that is not unbounded.
    pub(crate) fn has_too_many_values(self) -> bool {
        self.tape.nodes.len() > NODES_MAX
    }

    /// Whether a parser takes the document that keeps numbers in doubles and strings in UTF-8, as `serde_json` does.
    pub(crate) fn is_strict(self) -> bool {
        let is_infinite = |index: usize, node: &Node| {
            matches!(node.tag, Tag::Integer | Tag::Float) && {
                let number = self.at(index).raw();
                // Others are too short to be that large.
                (number.len() > 300 || number.bytes().any(|byte| matches!(byte, b'e' | b'E')))
                    && number.parse().is_ok_and(f64::is_infinite)
            }
        };
        !self.tape.lone_surrogate
            && self.tape.deepest < DEPTH_MAX - 1
            && !self.tape.nodes.iter().enumerate().any(|(index, node)| is_infinite(index, node))
    }

    /// Returns the type.
    pub(crate) fn kind(self) -> Kind {
        let node = self.node();
        match node.tag {
            Tag::Null => Kind::NULL,
            Tag::Bool => Kind::BOOL,
            Tag::Integer => Kind::INTEGER,
            Tag::Float => Kind::FLOAT,
            Tag::Text | Tag::TextEscaped if node.start == node.end => Kind::EMPTY_STRING,
            Tag::Text | Tag::TextEscaped | Tag::Key | Tag::KeyEscaped => Kind::STRING,
            Tag::Array if node.next as usize == self.index + 1 => Kind::EMPTY_ARRAY,
            Tag::Array => Kind::ARRAY,
            Tag::Object => Kind::OBJECT,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.node().tag == Tag::Null
    }

    /// Whether it says that there is nothing: `null`, `false`, `0`, and what is empty.
    pub(crate) fn is_empty(self) -> bool {
        match self.node().tag {
            Tag::Null => true,
            Tag::Bool => self.raw() == "false",
            Tag::Integer => self.raw() == "0",
            Tag::Text | Tag::TextEscaped => self.raw().is_empty(),
            Tag::Array | Tag::Object => self.node().next as usize == self.index + 1,
            Tag::Float | Tag::Key | Tag::KeyEscaped => false,
        }
    }

    pub(crate) fn is_object(self) -> bool {
        self.node().tag == Tag::Object
    }

    pub(crate) fn is_array(self) -> bool {
        self.node().tag == Tag::Array
    }

    /// Returns the text of a string; halves of surrogate pairs become U+FFFD.
    pub(crate) fn text(self) -> Option<Cow<'t, str>> {
        match self.node().tag {
            Tag::Text => Some(Cow::Borrowed(self.raw())),
            Tag::TextEscaped => Some(Cow::Owned(unescape(self.raw()))),
            Tag::Key
            | Tag::KeyEscaped
            | Tag::Null
            | Tag::Bool
            | Tag::Integer
            | Tag::Float
            | Tag::Array
            | Tag::Object => None,
        }
    }

    /// Returns whether it is `true` or `false`.
    pub(crate) fn boolean(self) -> Option<bool> {
        (self.node().tag == Tag::Bool).then(|| self.raw() == "true")
    }

    /// Returns a number, integer or not.
    pub(crate) fn number(self) -> Option<f64> {
        matches!(self.node().tag, Tag::Integer | Tag::Float)
            .then(|| self.raw().parse().ok())
            .flatten()
    }

    /// Returns an integer, if it is one and fits.
    pub(crate) fn integer(self) -> Option<i64> {
        (self.node().tag == Tag::Integer).then(|| self.raw().parse().ok())?
    }

    /// Returns the value of the last field named `key`, which is the one that most parsers take.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        if !self.is_object() {
            return None;
        }
        let nodes = &self.tape.nodes;
        let end = self.node().next as usize;
        let mut index = self.index + 1;
        let mut found = None;
        while index + 1 < end {
            let name = nodes.get(index)?;
            // Most keys differ in length already.
            let may_be =
                name.tag == Tag::KeyEscaped || (name.end - name.start) as usize == key.len();
            if may_be && self.at(index).is(key) {
                found = Some(self.at(index + 1));
                if !self.tape.duplicate_key {
                    break;
                }
            }
            index = nodes.get(index + 1)?.next as usize;
        }
        found
    }

    /// Like [`Self::get`], but `null` counts as not there.
    pub(crate) fn get_some(self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Returns keys and values of an object, nothing for other types.
    pub(crate) fn fields(self) -> impl Iterator<Item = (Self, Self)> {
        let mut index = self.index + 1;
        let end = if self.is_object() { self.node().next as usize } else { 0 };
        std::iter::from_fn(move || {
            (index + 1 < end).then(|| {
                let (key, value) = (self.at(index), self.at(index + 1));
                index = value.node().next as usize;
                (key, value)
            })
        })
    }

    /// Returns the elements of an array, nothing for other types.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        let mut index = self.index + 1;
        let end = if self.is_array() { self.node().next as usize } else { 0 };
        std::iter::from_fn(move || {
            (index < end).then(|| {
                let value = self.at(index);
                index = value.node().next as usize;
                value
            })
        })
    }

    /// Whether this key is written as `name`, without escapes.
    pub(crate) fn is_plain_key(self, name: &str) -> bool {
        self.node().tag == Tag::Key && self.raw() == name
    }

    /// Whether this string or key is `text`.
    pub(crate) fn is(self, text: &str) -> bool {
        match self.node().tag {
            Tag::Text | Tag::Key => self.raw() == text,
            Tag::TextEscaped | Tag::KeyEscaped => unescape(self.raw()) == text,
            Tag::Null | Tag::Bool | Tag::Integer | Tag::Float | Tag::Array | Tag::Object => false,
        }
    }

    /// Returns every key of the document, in any depth.
    pub(crate) fn keys(self) -> impl Iterator<Item = Cow<'t, str>> {
        let nodes = self.tape.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| matches!(node.tag, Tag::Key | Tag::KeyEscaped))
            .map(move |(index, _)| self.at(index).key())
    }

    /// Returns the structure of the whole document in bytes: two documents with the same bytes have the same keys and types
    /// at the same places. `None`: it is too large for that.
    pub(crate) fn signature(self) -> Option<Vec<u8>> {
        let nodes = &self.tape.nodes;
        if nodes.len() > SIGNATURE_BYTES_MAX {
            return None;
        }
        let mut signature = Vec::with_capacity(512);
        for (index, node) in nodes.iter().enumerate() {
            match node.tag {
                Tag::Key | Tag::KeyEscaped => {
                    // A quote ends it: as written, no key holds one without a backslash before it.
                    signature.push(b'k');
                    let name = self.text.as_bytes().get(node.start as usize..node.end as usize)?;
                    signature.extend_from_slice(name);
                    signature.push(b'"');
                }
                Tag::Array | Tag::Object => {
                    signature.push(if node.tag == Tag::Array { b'a' } else { b'o' });
                    // How many nodes are in it: that says where it ends.
                    let size = u16::try_from(node.next as usize - index).ok()?;
                    signature.extend_from_slice(&size.to_le_bytes());
                }
                Tag::Text | Tag::TextEscaped if node.start == node.end => signature.push(b'e'),
                Tag::Text | Tag::TextEscaped => signature.push(b's'),
                Tag::Null => signature.push(b'n'),
                Tag::Bool => signature.push(b'b'),
                Tag::Integer => signature.push(b'i'),
                Tag::Float => signature.push(b'f'),
            }
            if signature.len() > SIGNATURE_BYTES_MAX {
                return None;
            }
        }
        Some(signature)
    }
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    unescape_into(&mut text, raw);
    text
}

/// Appends what the inside of a JSON string says; halves of surrogate pairs become U+FFFD.
pub(crate) fn unescape_into(text: &mut String, raw: &str) {
    let mut rest = raw;
    loop {
        // Quotes and control characters stand behind backslashes only, so a run ends at one.
        let at = plain_bytes(rest.as_bytes());
        text.push_str(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at + 1..).unwrap_or_default();
        let mut length = 1;
        match escape.as_bytes().first() {
            Some(b'b') => text.push('\u{8}'),
            Some(b'f') => text.push('\u{c}'),
            Some(b'n') => text.push('\n'),
            Some(b'r') => text.push('\r'),
            Some(b't') => text.push('\t'),
            Some(b'u') => {
                let high = hex(escape.get(1..5));
                length = 5;
                let low =
                    escape.get(5..7).filter(|s| *s == "\\u").map_or(0, |_| hex(escape.get(7..11)));
                let code = if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) {
                    length = 11;
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(&other) => text.push(char::from(other)),
            None => return,
        }
        rest = escape.get(length..).unwrap_or_default();
    }
}

fn hex(digits: Option<&str>) -> u32 {
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
