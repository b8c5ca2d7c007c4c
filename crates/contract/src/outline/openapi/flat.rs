//! Follows a schema's references and joins its parts into one flat form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{OpenApiProblem, escaped};
use crate::outline::{ANY, Outline};
use crate::{Kind, Shape};

/// Schemas visited at most, references followed each time: the largest known reply has some ten thousand.
const SCHEMAS_MAX: usize = 200_000;
/// Nesting at most, of schemas in schemas.
const DEPTH_MAX: usize = 64;
/// Paths at most, ten times what is kept of a reply.
const PATHS_MAX: usize = 40_000;

/// What a schema allows.
#[derive(Clone, Debug)]
struct Flat {
    kinds: Kind,
    fields: BTreeMap<String, Self>,
    required: BTreeSet<String>,
    items: Option<Box<Self>>,
    rest: Rest,
}

/// What is said of fields that are not named.
#[derive(Clone, Debug)]
enum Rest {
    Open,
    Closed,
    Of(Box<Flat>),
}

impl Flat {
    fn of(kinds: Kind) -> Self {
        Self {
            kinds,
            fields: BTreeMap::new(),
            required: BTreeSet::new(),
            items: None,
            rest: Rest::Open,
        }
    }

    /// What both allow.
    fn and(mut self, other: Self) -> Self {
        self.kinds = self.kinds.intersection(other.kinds);
        for (name, field) in other.fields {
            let joined = match self.fields.remove(&name) {
                Some(mine) => mine.and(field),
                None => field,
            };
            self.fields.insert(name, joined);
        }
        self.required.extend(other.required);
        self.items = match (self.items, other.items) {
            (Some(mine), Some(other)) => Some(Box::new(mine.and(*other))),
            (mine, other) => mine.or(other),
        };
        // A part that is closed closes its own fields only; meant is that the whole has no others.
        self.rest = match (self.rest, other.rest) {
            (Rest::Open, rest) | (rest, Rest::Open) => rest,
            (Rest::Of(mine), Rest::Of(other)) => Rest::Of(Box::new(mine.and(*other))),
            (Rest::Closed, _) | (_, Rest::Closed) => Rest::Closed,
        };
        self
    }

    /// What one of them allows.
    fn or(mut self, other: Self) -> Self {
        // What is not an object has nothing to say about fields.
        match (self.kinds.intersects(Kind::OBJECT), other.kinds.intersects(Kind::OBJECT)) {
            (_, false) => {}
            (false, true) => {
                (self.fields, self.required, self.rest) =
                    (other.fields, other.required, other.rest);
            }
            (true, true) => {
                self.required = self.required.intersection(&other.required).cloned().collect();
                for (name, field) in other.fields {
                    let joined = match self.fields.remove(&name) {
                        Some(mine) => mine.or(field),
                        None => field,
                    };
                    self.fields.insert(name, joined);
                }
                self.rest = match (self.rest, other.rest) {
                    (Rest::Open, _) | (_, Rest::Open) => Rest::Open,
                    (Rest::Of(mine), Rest::Of(other)) => Rest::Of(Box::new(mine.or(*other))),
                    (Rest::Of(one), Rest::Closed) | (Rest::Closed, Rest::Of(one)) => Rest::Of(one),
                    (Rest::Closed, Rest::Closed) => Rest::Closed,
                };
            }
        }
        let (mine, its) =
            (self.kinds.intersects(Kind::ANY_ARRAY), other.kinds.intersects(Kind::ANY_ARRAY));
        self.items = match (self.items, other.items) {
            (Some(mine), Some(other)) => Some(Box::new(mine.or(*other))),
            (Some(items), None) if !its => Some(items),
            (None, Some(items)) if !mine => Some(items),
            // Where one of them says nothing of elements, all are allowed.
            _ => None,
        };
        self.kinds = self.kinds.union(other.kinds);
        self
    }
}

/// Follows the references of one document.
pub(super) struct Flattener<'d> {
    document: &'d Value,
    n_schemas: usize,
    /// The references being followed, with the depth at which each was met.
    open: Vec<(&'d str, usize)>,
    notes: BTreeSet<String>,
}

impl<'d> Flattener<'d> {
    pub(super) fn new(document: &'d Value) -> Self {
        Self { document, n_schemas: 0, open: Vec::new(), notes: BTreeSet::new() }
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes.into_iter().collect()
    }

    /// Returns what a reference stands for, or the value itself if it is none.
    pub(super) fn resolved(
        &self,
        mut value: &'d Value,
        at: &str,
    ) -> Result<&'d Value, OpenApiProblem> {
        for _ in 0..DEPTH_MAX {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            value = self.target(reference, at)?;
        }
        Err(circle(at))
    }

    fn target(&self, reference: &str, at: &str) -> Result<&'d Value, OpenApiProblem> {
        let Some(pointer) = reference.strip_prefix('#') else {
            let what = format!("`$ref: {}` leaves the document", shortened(reference));
            let help = "bundle the document into one file: only references that begin with `#` are followed";
            return Err(OpenApiProblem::new(at, what, help));
        };
        self.document.pointer(&unescaped_percent(pointer)).ok_or_else(|| {
            let what = format!("`$ref: {}` names nothing", shortened(reference));
            OpenApiProblem::new(at, what, "correct the reference, or add what it names")
        })
    }

    /// Returns the outline of a schema.
    pub(super) fn outline(
        &mut self,
        schema: &'d Value,
        at: &str,
    ) -> Result<Outline, OpenApiProblem> {
        let flat = self.flat(schema, at, 0)?;
        let (mut paths, mut closed) = (BTreeMap::new(), BTreeSet::new());
        lay_out(&flat, String::new(), Kind::NONE, &mut paths, &mut closed);
        if paths.len() > PATHS_MAX {
            let what = format!("the schema has more than {PATHS_MAX} fields");
            return Err(OpenApiProblem::new(
                at,
                what,
                "describe the reply without what it cannot hold",
            ));
        }
        Ok(Outline::new(Shape::of_paths(paths), closed))
    }

    fn flat(&mut self, schema: &'d Value, at: &str, depth: usize) -> Result<Flat, OpenApiProblem> {
        self.n_schemas += 1;
        if self.n_schemas > SCHEMAS_MAX {
            let what = format!("more than {SCHEMAS_MAX} schemas, references followed each time");
            return Err(OpenApiProblem::new(
                at,
                what,
                "describe the reply without what it cannot hold",
            ));
        }
        if depth > DEPTH_MAX {
            let what = format!("schemas are nested more than {DEPTH_MAX} levels deep");
            return Err(OpenApiProblem::new(
                at,
                what,
                "describe the reply without what it cannot hold",
            ));
        }
        if let Some(all) = schema.as_bool() {
            return Ok(Flat::of(if all { ANY } else { Kind::NONE }));
        }
        let Some(fields) = schema.as_object() else {
            return Err(OpenApiProblem::new(
                at,
                "a schema must be a mapping",
                "write a schema here",
            ));
        };
        let mut flat = self.own(schema, at, depth)?;
        for part in parts(schema, "allOf") {
            flat = flat.and(self.flat(part, &format!("{at}/allOf"), depth + 1)?);
        }
        for word in ["oneOf", "anyOf"] {
            let mut any = None::<Flat>;
            for part in parts(schema, word) {
                let part = self.flat(part, &format!("{at}/{word}"), depth + 1)?;
                any = Some(match any {
                    Some(any) => any.or(part),
                    None => part,
                });
            }
            flat = match any {
                Some(any) => flat.and(any),
                None => flat,
            };
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            flat = flat.and(self.referred(reference, at, depth)?);
        }
        for word in ["not", "if", "patternProperties", "dependentSchemas", "$dynamicRef"] {
            if fields.contains_key(word) {
                self.notes.insert(format!("`{word}` is not looked at"));
            }
        }
        if fields.get("nullable") == Some(&Value::Bool(true)) {
            flat.kinds = flat.kinds | Kind::NULL;
        }
        Ok(flat)
    }

    fn referred(
        &mut self,
        reference: &'d str,
        at: &str,
        depth: usize,
    ) -> Result<Flat, OpenApiProblem> {
        let target = self.target(reference, at)?;
        if let Some((_, before)) = self.open.iter().find(|(open, _)| *open == reference) {
            // Below a field or an element, a circle is a legal tree; of nothing but itself it is no schema at all.
            if self.descended_since(*before) {
                self.notes
                    .insert(format!("{} contains itself: looked at once", shortened(reference)));
                return Ok(Flat::of(ANY));
            }
            return Err(circle(at));
        }
        self.open.push((reference, self.descents()));
        let flat = self.flat(target, reference, depth + 1);
        self.open.pop();
        flat
    }

    /// How many fields and elements lie above: marked on the stack by an empty name.
    fn descents(&self) -> usize {
        self.open.iter().filter(|(open, _)| open.is_empty()).count()
    }

    fn descended_since(&self, before: usize) -> bool {
        self.descents() > before
    }

    fn below(&mut self, schema: &'d Value, at: &str, depth: usize) -> Result<Flat, OpenApiProblem> {
        self.open.push(("", 0));
        let flat = self.flat(schema, at, depth + 1);
        self.open.pop();
        flat
    }

    /// Reads what the schema itself says, without its parts and references.
    fn own(&mut self, schema: &'d Value, at: &str, depth: usize) -> Result<Flat, OpenApiProblem> {
        let mut flat = Flat::of(own_kinds(schema, at)?);
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let at = format!("{at}/properties/{}", escaped(name));
                let field = self.below(property, &at, depth)?;
                flat.fields.insert(name.clone(), field);
            }
        }
        let is_written_only = |name: &str| {
            schema.get("properties").and_then(|p| p.get(name)).and_then(|p| p.get("writeOnly"))
                == Some(&Value::Bool(true))
        };
        let required = parts(schema, "required").iter().filter_map(Value::as_str);
        flat.required = required.filter(|name| !is_written_only(name)).map(str::to_owned).collect();
        let closed = ["additionalProperties", "unevaluatedProperties"];
        for word in closed {
            flat.rest = match schema.get(word) {
                None | Some(Value::Bool(true)) => continue,
                Some(Value::Bool(false)) => Rest::Closed,
                Some(rest) => {
                    Rest::Of(Box::new(self.below(rest, &format!("{at}/{word}"), depth)?))
                }
            };
        }
        for part in parts(schema, "prefixItems").iter().chain(schema.get("items")) {
            let item = self.below(part, &format!("{at}/items"), depth)?;
            flat.items = Some(Box::new(match flat.items {
                Some(items) => items.or(item),
                None => item,
            }));
        }
        Ok(flat)
    }
}

/// Returns the types that a schema names or implies.
fn own_kinds(schema: &Value, at: &str) -> Result<Kind, OpenApiProblem> {
    let of_word = |word: &Value| {
        Ok(match word.as_str() {
            Some("string") => Kind::ANY_STRING,
            Some("integer") => Kind::INTEGER,
            Some("number") => Kind::NUMBER,
            Some("boolean") => Kind::BOOL,
            Some("object") => Kind::OBJECT,
            Some("array") => Kind::ANY_ARRAY,
            Some("null") => Kind::NULL,
            _ => {
                let help = "write string, integer, number, boolean, object, array or null";
                return Err(OpenApiProblem::new(
                    &format!("{at}/type"),
                    "no type of JSON Schema",
                    help,
                ));
            }
        })
    };
    let has = |key: &str| schema.get(key).is_some();
    let mut kinds = match schema.get("type") {
        Some(Value::Array(words)) => {
            words.iter().try_fold(Kind::NONE, |kinds, word| Ok(kinds | of_word(word)?))?
        }
        Some(word) => of_word(word)?,
        None if has("properties") || has("additionalProperties") => Kind::OBJECT,
        None if has("items") || has("prefixItems") => Kind::ANY_ARRAY,
        None => ANY,
    };
    let words = parts(schema, "enum").iter().chain(schema.get("const"));
    let of_values = words.fold(Kind::NONE, |kinds, value| {
        kinds
            | match value {
                Value::Null => Kind::NULL,
                Value::Bool(_) => Kind::BOOL,
                Value::Number(_) => Kind::NUMBER,
                Value::String(_) => Kind::ANY_STRING,
                Value::Array(_) => Kind::ANY_ARRAY,
                Value::Object(_) => Kind::OBJECT,
            }
    });
    if !of_values.is_none() {
        kinds = kinds.intersection(of_values);
    }
    Ok(kinds)
}

/// Writes the paths of a flat form.
fn lay_out(
    flat: &Flat,
    path: String,
    absent: Kind,
    paths: &mut BTreeMap<String, Kind>,
    closed: &mut BTreeSet<String>,
) {
    if paths.len() > PATHS_MAX {
        return;
    }
    let kinds = paths.entry(path.clone()).or_insert(Kind::NONE);
    *kinds = *kinds | flat.kinds | absent;
    if flat.kinds.intersects(Kind::OBJECT) {
        for (name, field) in &flat.fields {
            let absent = if flat.required.contains(name) { Kind::NONE } else { Kind::ABSENT };
            let segment = crate::shape::segment(name);
            lay_out(field, format!("{path}/{segment}"), absent, paths, closed);
        }
        let any = Flat::of(ANY);
        for name in flat.required.iter().filter(|name| !flat.fields.contains_key(*name)) {
            let segment = crate::shape::segment(name);
            lay_out(&any, format!("{path}/{segment}"), Kind::NONE, paths, closed);
        }
        match &flat.rest {
            Rest::Open => {}
            Rest::Closed => {
                closed.insert(path.clone());
            }
            Rest::Of(rest) => lay_out(rest, format!("{path}/*"), Kind::ABSENT, paths, closed),
        }
    }
    if let Some(items) = flat.items.as_ref().filter(|_| flat.kinds.intersects(Kind::ANY_ARRAY)) {
        lay_out(items, format!("{path}/[]"), Kind::NONE, paths, closed);
    }
}

/// Returns the elements of a list at a key.
fn parts<'d>(schema: &'d Value, key: &str) -> &'d [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn circle(at: &str) -> OpenApiProblem {
    OpenApiProblem::new(at, "the reference leads back to itself", "say what it stands for")
}

fn shortened(reference: &str) -> String {
    reference.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// References are URLs: `%7B` is `{`.
fn unescaped_percent(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
