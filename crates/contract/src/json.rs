//! Reads one JSON document into a flat tape of spans, with full validation and no copy of any value.
//!
//! A tape is bounded by the document that it reads (at most [`NODES_MAX`] nodes) and is used again for the next one.
//! Faults are told apart: a document that stops early is something else than one that is wrong.

mod frame;
mod parser;
mod skeleton;
mod template;

use std::borrow::Cow;

pub(crate) use frame::Frame;
use parser::{NO_NODE, Parser, plain_bytes};
pub(crate) use skeleton::Skeleton;
pub(crate) use template::{Fit, Hole, Holes, Templates};

use crate::Kind;

/// Deepest nesting taken; the limit that `serde_json` has too.
const DEPTH_MAX: u32 = 128;
/// Most values and keys in one document: 16 bytes each, so a tape stays below 10 MiB.
const NODES_MAX: usize = 500_000;

/// Most values and keys for which there is room at once; a long text would take as much for nothing.
const NODES_RESERVED_MAX: usize = 16 * 1024;

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

/// A value, or a key: `start..end` is its span in the document (without quotes); of a container, nothing at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    start: u32,
    end: u32,
    /// The node after all that is in it; of a key, the node after its value.
    next: u32,
    tag: Tag,
    /// Of a key: a small hash of its name, which tells most keys apart.
    glance: u8,
    /// Of a container: it has the keys and types of one that stands where it could stand, so that its shape adds nothing.
    repeats: bool,
}

impl Node {
    /// Returns what the document has in its span.
    #[inline]
    fn raw(self, document: &str) -> &str {
        // Spans end at ASCII bytes, so they are never inside of a character.
        document.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether it is a string or a key, and says `text`.
    #[inline]
    fn is(self, document: &str, text: &str) -> bool {
        match self.tag {
            Tag::Text | Tag::Key => {
                let raw = document.as_bytes().get(self.start as usize..self.end as usize);
                raw.is_some_and(|raw| are_same(raw, text.as_bytes()))
            }
            Tag::TextEscaped | Tag::KeyEscaped => unescape(self.raw(document)) == text,
            Tag::Null | Tag::Bool | Tag::Integer | Tag::Float | Tag::Array | Tag::Object => false,
        }
    }
}

/// The nodes of one document.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set where it is met")]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    n_nodes_max: usize,
    /// Whether elements of arrays are compared with those before them.
    pub(crate) takes_shortcuts: bool,
    duplicate_key: bool,
    lone_surrogate: bool,
    /// Some number is so long, or has an exponent, that it may be beyond a double.
    has_large_number: bool,
    /// How many containers the innermost one is in.
    deepest: u32,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            n_nodes_max: NODES_MAX,
            takes_shortcuts: true,
            duplicate_key: false,
            lone_surrogate: false,
            has_large_number: false,
            deepest: 0,
        }
    }
}

impl Tape {
    /// Returns a tape for a document whose size the caller bounds.
    pub(crate) fn unbounded() -> Self {
        Self { n_nodes_max: usize::MAX, ..Self::default() }
    }

    /// Reads `bytes`, which must be one document with nothing but white space around it.
    pub(crate) fn read<'t>(&'t mut self, bytes: &'t [u8]) -> Result<Value<'t>, JsonFault> {
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
        self.read_text(text)
    }

    /// Like [`Self::read`], for what is known to be UTF-8.
    pub(crate) fn read_text<'t>(&'t mut self, text: &'t str) -> Result<Value<'t>, JsonFault> {
        self.clear();
        let bytes = text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonFault::TooManyValues);
        }
        // Replies have a key or value for each ten bytes at most: mostly one allocation holds them.
        self.nodes.reserve((bytes.len() / 8).min(NODES_RESERVED_MAX));
        let mut parser = Parser { text, bytes, tape: self };
        let start = parser.space(0);
        if parser.peek(start).is_none() {
            return Err(JsonFault::Empty);
        }
        let end = parser.value(start, 0, NO_NODE)?;
        let end = parser.space(end);
        if parser.peek(end).is_some() {
            // One more value is enough to name the fault; more of them must not deepen the stack.
            return Err(match parser.value(end, 0, NO_NODE) {
                Ok(_) => JsonFault::SecondDocument,
                Err(_) => JsonFault::Trailing,
            });
        }
        Ok(self.document(text))
    }

    /// Returns the document that was read from this text.
    pub(crate) fn document<'t>(&'t self, text: &'t str) -> Value<'t> {
        self.value(text, 0)
    }

    fn value<'t>(&'t self, text: &'t str, index: usize) -> Value<'t> {
        const NOTHING: Node =
            Node { start: 0, end: 0, next: u32::MAX, tag: Tag::Null, glance: 0, repeats: false };
        Value { text, tape: self, index, node: self.nodes.get(index).unwrap_or(&NOTHING) }
    }

    fn clear(&mut self) {
        self.nodes.clear();
        self.duplicate_key = false;
        self.lone_surrogate = false;
        self.has_large_number = false;
        self.deepest = 0;
    }

    #[inline(always)]
    fn push(&mut self, tag: Tag, start: u32, end: u32) -> Result<(), JsonFault> {
        if self.nodes.len() >= self.n_nodes_max {
            return Err(JsonFault::TooManyValues);
        }
        let next = self.n_nodes() + 1;
        self.nodes.push(Node { start, end, next, tag, glance: 0, repeats: false });
        Ok(())
    }

    fn n_nodes(&self) -> u32 {
        // A document has no more nodes than bytes.
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }
}

/// One value of a read document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    text: &'t str,
    tape: &'t Tape,
    index: usize,
    node: &'t Node,
}

impl<'t> Value<'t> {
    #[inline]
    fn at(self, index: usize) -> Self {
        self.tape.value(self.text, index)
    }

    fn raw(self) -> &'t str {
        self.node.raw(self.text)
    }

    fn raw_bytes(self) -> &'t [u8] {
        let node = self.node;
        self.text.as_bytes().get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// Returns where a string or an integer stands in the document, a string without its quotes.
    pub(crate) fn span(self) -> Option<std::ops::Range<usize>> {
        let node = self.node;
        matches!(node.tag, Tag::Text | Tag::TextEscaped | Tag::Integer)
            .then_some(node.start as usize..node.end as usize)
    }

    /// Returns a key as it is written; keys with escapes are rare, and get their own copy.
    pub(crate) fn key(self) -> Cow<'t, str> {
        if self.node.tag == Tag::Key {
            Cow::Borrowed(self.raw())
        } else {
            Cow::Owned(unescape(self.raw()))
        }
    }

    /// Returns a key as it is written, if it is written without escapes.
    pub(crate) fn plain_key(self) -> Option<&'t [u8]> {
        (self.node.tag == Tag::Key).then(|| self.raw_bytes())
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
        let is_infinite = |node: &Node| {
            matches!(node.tag, Tag::Integer | Tag::Float)
                && node.raw(self.text).parse().is_ok_and(f64::is_infinite)
        };
        !self.tape.lone_surrogate
            && self.tape.deepest < DEPTH_MAX - 1
            && !(self.tape.has_large_number && self.tape.nodes.iter().any(is_infinite))
    }

    /// Returns the type.
    pub(crate) fn kind(self) -> Kind {
        let node = self.node;
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
        self.node.tag == Tag::Null
    }

    /// Whether it says that there is nothing: `null`, `false`, `0`, and what is empty.
    pub(crate) fn is_empty(self) -> bool {
        match self.node.tag {
            Tag::Null => true,
            Tag::Bool => self.raw() == "false",
            Tag::Integer => self.raw() == "0",
            Tag::Text | Tag::TextEscaped => self.raw().is_empty(),
            Tag::Array | Tag::Object => self.node.next as usize == self.index + 1,
            Tag::Float | Tag::Key | Tag::KeyEscaped => false,
        }
    }

    pub(crate) fn is_object(self) -> bool {
        self.node.tag == Tag::Object
    }

    pub(crate) fn is_array(self) -> bool {
        self.node.tag == Tag::Array
    }

    /// Returns the text of a string; halves of surrogate pairs become U+FFFD.
    pub(crate) fn text(self) -> Option<Cow<'t, str>> {
        match self.node.tag {
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

    /// Returns what stands between the quotes of a string, and whether that has escapes.
    pub(crate) fn written(self) -> Option<(&'t str, bool)> {
        let tag = self.node.tag;
        matches!(tag, Tag::Text | Tag::TextEscaped).then(|| (self.raw(), tag == Tag::TextEscaped))
    }

    /// Returns all texts of the document, wherever they stand; keys are none.
    pub(crate) fn texts(self) -> impl Iterator<Item = Cow<'t, str>> {
        (0..self.tape.nodes.len()).filter_map(move |index| self.at(index).text())
    }

    /// Returns whether it is `true` or `false`.
    pub(crate) fn boolean(self) -> Option<bool> {
        (self.node.tag == Tag::Bool).then(|| self.raw() == "true")
    }

    /// Returns a number, integer or not.
    pub(crate) fn number(self) -> Option<f64> {
        matches!(self.node.tag, Tag::Integer | Tag::Float)
            .then(|| self.raw().parse().ok())
            .flatten()
    }

    /// Returns an integer, if it is one and fits.
    pub(crate) fn integer(self) -> Option<i64> {
        let raw = (self.node.tag == Tag::Integer).then(|| self.raw())?;
        // Counts and times are short, and no number of so few digits is beyond the type.
        if raw.len() <= 18 && !raw.starts_with('-') {
            let digit = |byte: u8| i64::from(byte.wrapping_sub(b'0'));
            return Some(raw.bytes().fold(0, |number, byte| number * 10 + digit(byte)));
        }
        raw.parse().ok()
    }

    /// Returns the value of the last field named `key`, which is the one that most parsers take.
    #[inline]
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        // Of a literal the compiler knows it.
        self.find(key, glance(key.as_bytes()))
    }

    fn find(self, key: &str, glance: u8) -> Option<Self> {
        if !self.is_object() {
            return None;
        }
        let nodes = self.tape.nodes.get(..self.node.next as usize)?;
        let mut index = self.index + 1;
        let mut found = None;
        while let Some(name) = nodes.get(index) {
            if name.glance == glance && name.is(self.text, key) {
                found = Some(self.at(index + 1));
                if !self.tape.duplicate_key {
                    break;
                }
            }
            index = name.next as usize;
        }
        found
    }

    /// Whether an object has the name of the key `later` in a key before it.
    fn has_before(self, later: usize) -> bool {
        let name = self.at(later);
        let mut index = self.index + 1;
        while index < later {
            let key = self.at(index);
            if key.node.glance == name.node.glance && key.key() == name.key() {
                return true;
            }
            index = key.node.next as usize;
        }
        false
    }

    /// Like [`Self::get`], but `null` counts as not there.
    #[inline]
    pub(crate) fn get_some(self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Returns keys and values of an object, nothing for other types.
    pub(crate) fn fields(self) -> impl Iterator<Item = (Self, Self)> {
        let mut index = self.index + 1;
        let end = if self.is_object() { self.node.next as usize } else { 0 };
        std::iter::from_fn(move || {
            (index + 1 < end).then(|| {
                let (key, value) = (self.at(index), self.at(index + 1));
                index = key.node.next as usize;
                (key, value)
            })
        })
    }

    /// Returns the elements of an array, nothing for other types.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        let mut index = self.index + 1;
        let end = if self.is_array() { self.node.next as usize } else { 0 };
        std::iter::from_fn(move || {
            (index < end).then(|| {
                let value = self.at(index);
                index = value.node.next as usize;
                value
            })
        })
    }

    /// Whether an array or object has the keys and types of one before it, in the element before or in the same field of that: what
    /// its shape says was said.
    pub(crate) fn repeats(self) -> bool {
        self.node.repeats
    }

    /// Whether this string or key is `text`.
    pub(crate) fn is(self, text: &str) -> bool {
        self.node.is(self.text, text)
    }

    /// Returns types and keys in the order of the document.
    #[cfg(test)]
    fn structure(self) -> Vec<(Kind, Option<Cow<'t, str>>)> {
        let of = |(index, node): (usize, &Node)| {
            let is_key = matches!(node.tag, Tag::Key | Tag::KeyEscaped);
            (self.at(index).kind(), is_key.then(|| self.at(index).key()))
        };
        self.tape.nodes.iter().enumerate().map(of).collect()
    }
}

/// Compares names, which are short: without the call that comparing slices is.
#[inline]
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // Both ends of them overlap, and are all there is, up to sixteen bytes; of shorter ones, up to eight.
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        let ends = (other.first_chunk(), other.last_chunk());
        return ends == (Some(first), Some(last)) && (one.len() <= 16 || one == other);
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>()) {
        return (other.first_chunk(), other.last_chunk()) == (Some(first), Some(last));
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Returns a small hash of a name, which tells most names apart.
#[inline]
const fn glance(name: &[u8]) -> u8 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    let [length, ..] = name.len().to_le_bytes();
    first.wrapping_mul(31).wrapping_add(*last).wrapping_mul(31).wrapping_add(length)
}

/// A name at a glance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance(u8);

impl Glance {
    pub(crate) const fn of(name: &str) -> Self {
        Self(glance(name.as_bytes()))
    }
}

/// A set of names, at a glance: whatever is not in it is told from most others that are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glances([u128; 2]);

impl Glances {
    pub(crate) const fn of(names: &[&str]) -> Self {
        let mut glances = Self([0; 2]);
        let mut rest = names;
        while let Some((name, others)) = rest.split_first() {
            glances.add(glance(name.as_bytes()));
            rest = others;
        }
        glances
    }

    /// Returns the names of the fields of an object.
    pub(crate) fn of_keys(object: Value<'_>) -> Self {
        let mut glances = Self([0; 2]);
        object.fields().for_each(|(key, _)| glances.add(key.node.glance));
        glances
    }

    const fn add(&mut self, glance: u8) {
        let [low, high] = &mut self.0;
        let half = if glance < 128 { low } else { high };
        *half |= 1 << (glance & 127);
    }

    /// Whether a key may be one of the names.
    pub(crate) fn may_hold_key(self, key: Value<'_>) -> bool {
        self.has(key.node.glance)
    }

    /// Whether a name may be one of them.
    pub(crate) fn may_hold(self, Glance(name): Glance) -> bool {
        self.has(name)
    }

    fn has(self, glance: u8) -> bool {
        let [low, high] = self.0;
        let half = if glance < 128 { low } else { high };
        half >> (glance & 127) & 1 != 0
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
