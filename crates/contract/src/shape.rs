//! The value-free structure of a JSON document.

mod fields;
mod memo;
mod trie;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

pub use fields::{FieldState, places_of};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
pub(crate) use trie::{ShapeTrie, segment};

use crate::json::{Frame, Skeleton, Tape, Value};

/// The type of a JSON value, as a set: a path may hold several types over several documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(u16);

impl Kind {
    /// No type.
    pub const NONE: Self = Self(0);
    /// `null`.
    pub const NULL: Self = Self(1);
    /// `true` or `false`.
    pub const BOOL: Self = Self(1 << 1);
    /// A number without fraction or exponent.
    pub const INTEGER: Self = Self(1 << 2);
    /// Any other number.
    pub const FLOAT: Self = Self(1 << 3);
    /// A string with something in it.
    pub const STRING: Self = Self(1 << 4);
    /// `""`.
    pub const EMPTY_STRING: Self = Self(1 << 5);
    /// An array with something in it.
    pub const ARRAY: Self = Self(1 << 6);
    /// `[]`.
    pub const EMPTY_ARRAY: Self = Self(1 << 7);
    /// An object.
    pub const OBJECT: Self = Self(1 << 8);
    /// Not there, although the object that should hold it is.
    pub const ABSENT: Self = Self(1 << 9);

    /// Any string.
    pub const ANY_STRING: Self = Self(Self::STRING.0 | Self::EMPTY_STRING.0);
    /// Any number.
    pub const NUMBER: Self = Self(Self::INTEGER.0 | Self::FLOAT.0);
    /// Any array.
    pub const ANY_ARRAY: Self = Self(Self::ARRAY.0 | Self::EMPTY_ARRAY.0);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::NULL, "null"),
        (Self::BOOL, "boolean"),
        (Self::INTEGER, "integer"),
        (Self::FLOAT, "float"),
        (Self::STRING, "string"),
        (Self::EMPTY_STRING, "empty-string"),
        (Self::ARRAY, "array"),
        (Self::EMPTY_ARRAY, "empty-array"),
        (Self::OBJECT, "object"),
        (Self::ABSENT, "absent"),
    ];

    /// Returns the types of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the types that both have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the types that only this one has.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all types of `other` are in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some type is in both.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no type in it.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Returns the same types with no regard to emptiness: `""` is a string, `[]` is an array.
    #[must_use]
    pub fn types(self) -> Self {
        let mut types = self;
        for (empty, whole) in [(Self::EMPTY_STRING, Self::STRING), (Self::EMPTY_ARRAY, Self::ARRAY)]
        {
            if types.intersects(empty) {
                types = types.without(empty).union(whole);
            }
        }
        types
    }
}

impl std::ops::BitOr for Kind {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for Kind {
    /// Writes the names joined with `|`, for example `string|null`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Self::NAMES
            .iter()
            .filter(|(kind, _)| self.intersects(*kind))
            .map(|(_, name)| *name)
            .collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join("|") }.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        text.split('|').try_fold(Self::NONE, |kinds, name| {
            let known = Self::NAMES.iter().find(|(_, known)| *known == name);
            known.map(|(kind, _)| kinds.union(*kind)).ok_or_else(|| UnknownKind(name.to_owned()))
        })
    }
}

/// A type name that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no type of a JSON value")]
pub struct UnknownKind(String);

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A set of (path, types); array indexes are folded into `[]`.
///
/// The root has the path `""`. A key that does not look like a field name (too long, or with odd characters) is folded
/// into `*`, so that no payload can become a path.
///
/// A clone shares its paths with the original: the exchanges of one service repeat the same few shapes.
#[derive(Clone, Default)]
pub struct Shape {
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The document, where there is one and the paths can be read off it.
    skeleton: Option<Skeleton>,
    /// Taken off the second document of this skeleton; nothing where it is too long.
    frame: OnceLock<Option<Frame>>,
    /// Written when somebody asks: most shapes are gathered while an exchange waits, and are read later or never.
    paths: OnceLock<BTreeMap<String, Kind>>,
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shape").field(self.paths()).finish()
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seen, &other.seen) || self.paths() == other.paths()
    }
}

impl Eq for Shape {}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.paths().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::of_paths)
    }
}

impl Shape {
    /// Reads one JSON document; `None` if it is none.
    pub fn of(document: &[u8]) -> Option<Self> {
        let mut tape = crate::json::Tape::default();
        let document = tape.read(document).ok()?;
        Some(Self::of_value(document))
    }

    /// Returns the shape of one document.
    pub(crate) fn of_value(document: Value<'_>) -> Self {
        let mut trie = ShapeTrie::default();
        trie.absorb_sole(document);
        trie.to_shape()
    }

    /// Reads a document that has the frame of an earlier one into the tape, and returns its shape.
    pub(crate) fn read_along(text: &str, tape: &mut Tape) -> Option<Self> {
        memo::read_along(text, tape)
    }

    pub(crate) fn of_paths(paths: BTreeMap<String, Kind>) -> Self {
        Self { seen: Arc::new(Seen { paths: paths.into(), ..Seen::default() }) }
    }

    /// Returns all paths, such as `/choices/[]/message/content`, and the types seen at each.
    pub fn paths(&self) -> &BTreeMap<String, Kind> {
        self.seen.paths.get_or_init(|| {
            let mut trie = ShapeTrie::default();
            if let Some(skeleton) = &self.seen.skeleton {
                trie.absorb(skeleton.document());
            }
            trie.paths()
        })
    }

    /// Adds what `other` has. The order of merging makes no difference.
    ///
    /// A path that only one side has becomes [`Kind::ABSENT`] as well, if the other side has the object for it.
    pub fn merge(&mut self, other: &Self) {
        if Arc::ptr_eq(&self.seen, &other.seen) {
            return;
        }
        let lacking = |shape: &Self, path: &str| {
            let parent =
                path.rsplit_once('/').filter(|(_, name)| *name != "[]").map(|(parent, _)| parent);
            parent.is_some_and(|parent| shape.kind_at(parent).intersects(Kind::OBJECT))
        };
        let mut additions = Vec::new();
        for (path, kind) in other.paths() {
            match self.paths().get(path) {
                Some(mine) => additions.push((path.clone(), mine.union(*kind))),
                None if lacking(self, path) => {
                    additions.push((path.clone(), kind.union(Kind::ABSENT)));
                }
                None => additions.push((path.clone(), *kind)),
            }
        }
        for (path, kind) in self.paths() {
            if !other.paths().contains_key(path) && lacking(other, path) {
                additions.push((path.clone(), kind.union(Kind::ABSENT)));
            }
        }
        let mut paths = match Arc::get_mut(&mut self.seen) {
            Some(seen) => seen.paths.take().unwrap_or_default(),
            None => self.paths().clone(),
        };
        paths.extend(additions);
        *self = Self::of_paths(paths);
    }

    /// Returns the types at a path or JSON pointer: `/choices/0/index` means `/choices/[]/index` where `choices` is an array.
    pub fn kind_at(&self, pointer: &str) -> Kind {
        let paths = self.paths();
        paths.get(pointer).or_else(|| paths.get(&self.fold(pointer))).copied().unwrap_or(Kind::NONE)
    }

    /// Whether the path was there in some document, also as `null`.
    pub fn contains(&self, pointer: &str) -> bool {
        !self.kind_at(pointer).without(Kind::ABSENT).is_none()
    }

    /// Writes a JSON pointer with its array indexes folded into `[]`.
    fn fold(&self, pointer: &str) -> String {
        let mut path = String::with_capacity(pointer.len() + 4);
        for segment in pointer.split('/').skip(1) {
            let is_index = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
            let in_array =
                self.paths().get(&path).is_none_or(|kind| kind.intersects(Kind::ANY_ARRAY));
            path.push('/');
            path.push_str(if is_index && in_array { "[]" } else { segment });
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(documents: &[&str]) -> Shape {
        let mut shape = Shape::default();
        for document in documents {
            shape.merge(&Shape::of(document.as_bytes()).unwrap());
        }
        shape
    }

    #[test]
    fn paths_fold_indexes_and_hide_odd_keys() {
        let shape = Shape::of(br#"{"a":[{"b":1},{"b":"x","c":null}],"sk-a b":{}}"#).unwrap();
        let json = serde_json::to_string(&shape).unwrap();
        assert_eq!(
            json,
            r#"{"":"object","/*":"object","/a":"array","/a/[]":"object","/a/[]/b":"integer|string","/a/[]/c":"null|absent"}"#
        );
        assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape);
        assert_eq!(shape.kind_at("/a/1/b"), Kind::INTEGER | Kind::STRING);
        assert!(!shape.contains("/a/0/d"));
    }

    #[test]
    fn merging_tells_what_is_sometimes_absent() {
        let shape = merged(&[r#"{"o":{"x":1}}"#, r#"{"o":null}"#]);
        assert_eq!(shape.kind_at("/o/x"), Kind::INTEGER);
        let shape = merged(&[r#"{"o":{"x":1}}"#, r#"{"o":null}"#, r#"{"o":{}}"#]);
        assert_eq!(shape.kind_at("/o/x"), Kind::INTEGER | Kind::ABSENT);
    }

    fn documents() -> impl Strategy<Value = Shape> {
        let leaf = prop_oneof![Just("1"), Just("null"), Just("\"x\""), Just("[]"), Just("{}")]
            .prop_map(str::to_owned);
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3)
                    .prop_map(|v| format!("[{}]", v.join(","))),
                proptest::collection::btree_map("[abc]", inner, 0..3).prop_map(|m| {
                    let fields: Vec<_> = m.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
        .prop_map(|text| Shape::of(text.as_bytes()).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn merge_is_associative_and_commutative(a in documents(), b in documents(), c in documents()) {
            let merge = |x: &Shape, y: &Shape| { let mut x = x.clone(); x.merge(y); x };
            prop_assert_eq!(merge(&a, &b), merge(&b, &a));
            prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
            prop_assert_eq!(merge(&a, &a), a);
        }
    }
}
