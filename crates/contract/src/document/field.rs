//! One field of a documented body.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Kind;

/// One field of a documented body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its path: `/choices/[]/index`. `[]{word}` stands for those elements whose `type` is the word.
    pub path: String,
    /// Its types.
    pub types: Types,
    /// Whether it must be there.
    pub presence: FieldPresence,
    /// The only documented words; none where any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The finding of a reply that has it not or otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Why a reply without it gets no finding although the documentation requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerated: Option<String>,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Field {
    /// Whether the contract cannot do without it: documented as required, and its absence a finding.
    pub fn is_required(&self) -> bool {
        self.presence == FieldPresence::Required && self.tolerated.is_none()
    }

    /// Returns the path as shapes have it, without the words of `type`.
    pub fn shape_path(&self) -> String {
        let segment = |segment: &'_ str| segment.split('{').next().unwrap_or_default().to_owned();
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// Whether it is there in some elements of its array only, by their `type`.
    pub(crate) fn is_of_a_variant(&self) -> bool {
        self.path.contains('{')
    }
}

/// Whether a documented field must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldPresence {
    /// It must, wherever the object is that holds it.
    Required,
    /// It may be left out.
    Optional,
}

/// The types of a documented field, written as `string|null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Types(Kind);

impl Types {
    const WORDS: [(&'static str, Kind); 7] = [
        ("string", Kind::ANY_STRING),
        ("integer", Kind::INTEGER),
        ("number", Kind::NUMBER),
        ("boolean", Kind::BOOL),
        ("object", Kind::OBJECT),
        ("array", Kind::ANY_ARRAY),
        ("null", Kind::NULL),
    ];

    /// Returns them as a set.
    pub fn kind(self) -> Kind {
        self.0
    }

    /// Whether `null` is among them.
    pub fn is_nullable(self) -> bool {
        self.0.intersects(Kind::NULL)
    }

    /// Returns the words of JSON Schema.
    pub fn words(self) -> Vec<&'static str> {
        words_of(self.0)
    }
}

/// Returns a set of types in the words of JSON Schema: an integer is a number there.
pub(crate) fn words_of(kind: Kind) -> Vec<&'static str> {
    let has_float = kind.intersects(Kind::FLOAT);
    let fits = |word: &str, of: Kind| match word {
        "integer" => !has_float && kind.intersects(Kind::INTEGER),
        "number" => has_float,
        _ => kind.intersects(of),
    };
    Types::WORDS.iter().filter(|(word, of)| fits(word, *of)).map(|(word, _)| *word).collect()
}

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words().join("|"))
    }
}

impl Serialize for Types {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let kind = text.split('|').try_fold(Kind::NONE, |kinds, name| {
            let known = Self::WORDS.iter().find(|(word, _)| *word == name);
            known.map(|(_, kind)| kinds | *kind).ok_or_else(|| {
                de::Error::custom(format_args!("`{name}` is no type of a documented field"))
            })
        })?;
        Ok(Self(kind))
    }
}
