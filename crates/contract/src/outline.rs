//! What a document says about a body, without the body: which paths there may be, of which types, and which must be there.

mod openapi;

use std::collections::BTreeSet;

pub use openapi::{OpenApi, OpenApiProblem};

use crate::document::Field;
use crate::{Kind, Shape};

/// Any type at all: the document says nothing.
pub(crate) const ANY: Kind = Kind::NULL
    .union(Kind::BOOL)
    .union(Kind::NUMBER)
    .union(Kind::ANY_STRING)
    .union(Kind::ANY_ARRAY)
    .union(Kind::OBJECT);

/// The documented form of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The types at each path; [`Kind::ABSENT`] among them where the field may be left out.
    shape: Shape,
    /// The objects that may have no other fields.
    closed: BTreeSet<String>,
}

/// One way in which a body is not as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// It is not there.
    Missing,
    /// It has another type.
    Type,
    /// It is there, and is not documented.
    Unknown,
}

impl Outline {
    /// Returns the outline of documented fields.
    pub(crate) fn of_fields(fields: &[Field]) -> Self {
        let mut paths = std::collections::BTreeMap::from([(String::new(), Kind::OBJECT)]);
        for field in fields {
            let may_miss = !field.is_required() || field.is_of_a_variant();
            let is_element = field.path.ends_with("[]");
            let absent = if may_miss && !is_element { Kind::ABSENT } else { Kind::NONE };
            let kind = paths.entry(field.shape_path()).or_insert(Kind::NONE);
            *kind = *kind | field.types.kind() | absent;
        }
        Self { shape: Shape::of_paths(paths), closed: BTreeSet::new() }
    }

    pub(crate) fn new(shape: Shape, closed: BTreeSet<String>) -> Self {
        Self { shape, closed }
    }

    /// Returns it as the shape that a body would have which uses all of it.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Takes in another outline for the same place: what one of them allows is allowed.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.shape.merge(&other.shape);
        self.closed = self.closed.intersection(&other.closed).cloned().collect();
    }

    /// Compares a body with it: each path, what is wrong there, and what was seen.
    pub(crate) fn violations(&self, body: &Shape) -> Vec<(String, Violation, Kind)> {
        let mut found = Vec::new();
        for (path, kind) in body.paths() {
            let Some(allowed) = self.allowed(path) else {
                if parent(path).is_some_and(|parent| self.closed.contains(&self.documented(parent)))
                {
                    found.push((path.clone(), Violation::Unknown, kind.without(Kind::ABSENT)));
                }
                continue;
            };
            if kind.intersects(Kind::ABSENT) && !allowed.intersects(Kind::ABSENT) {
                found.push((path.clone(), Violation::Missing, Kind::ABSENT));
            }
            let odd = kind.without(Kind::ABSENT).types().without(allowed.types());
            if !odd.is_none() {
                found.push((path.clone(), Violation::Type, odd));
            }
        }
        for (path, allowed) in self.shape.paths() {
            let is_required = !allowed.intersects(Kind::ABSENT)
                && !path.ends_with("/[]")
                && !path.ends_with("/*");
            let has_object =
                || parent(path).is_some_and(|parent| body.kind_at(parent).intersects(Kind::OBJECT));
            if is_required && !body.paths().contains_key(path) && has_object() {
                found.push((path.clone(), Violation::Missing, Kind::ABSENT));
            }
        }
        found
    }

    /// Returns the types allowed at a path of a body, or nothing where it is not documented.
    fn allowed(&self, path: &str) -> Option<Kind> {
        self.shape.paths().get(&self.documented(path)).copied()
    }

    /// Returns a path of a body as the document has it, where `*` stands for names of anyone's choice.
    fn documented(&self, path: &str) -> String {
        if self.shape.paths().contains_key(path) {
            return path.to_owned();
        }
        let mut known = String::new();
        for segment in path.split('/').skip(1) {
            let exact = format!("{known}/{segment}");
            let any = format!("{known}/*");
            known = if !self.shape.paths().contains_key(&exact)
                && self.shape.paths().contains_key(&any)
            {
                any
            } else {
                exact
            };
        }
        known
    }
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}
