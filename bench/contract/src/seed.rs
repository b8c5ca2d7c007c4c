//! A value-free reader on `serde_json`: (path, type) of everything, without a DOM. What one would write without an engine.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The paths seen so far.
#[derive(Default)]
pub(crate) struct Paths {
    nodes: Vec<(String, u16, Vec<usize>)>,
}

impl Paths {
    /// Reads one document.
    pub(crate) fn read(&mut self, document: &[u8]) -> serde_json::Result<()> {
        if self.nodes.is_empty() {
            self.nodes.push(Default::default());
        }
        let mut reader = serde_json::Deserializer::from_slice(document);
        Seed { paths: self, node: 0 }.deserialize(&mut reader)?;
        reader.end()
    }

    /// Returns how many paths there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn child(&mut self, node: usize, name: &str, guess: &mut usize) -> usize {
        let is_it = |nodes: &[(String, u16, Vec<usize>)], child: usize| nodes[child].0 == name;
        if let Some(&child) =
            self.nodes[node].2.get(*guess).filter(|child| is_it(&self.nodes, **child))
        {
            *guess += 1;
            return child;
        }
        if let Some(place) = self.nodes[node].2.iter().position(|child| is_it(&self.nodes, *child))
        {
            *guess = place + 1;
            return self.nodes[node].2[place];
        }
        self.nodes.push((name.to_owned(), 0, Vec::new()));
        let child = self.nodes.len() - 1;
        self.nodes[node].2.push(child);
        child
    }
}

struct Seed<'p> {
    paths: &'p mut Paths,
    node: usize,
}

impl Seed<'_> {
    fn note<E>(self, kind: u16) -> Result<(), E> {
        self.paths.nodes[self.node].1 |= 1 << kind;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

struct Key<'p, 'g> {
    paths: &'p mut Paths,
    node: usize,
    guess: &'g mut usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = usize;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.paths.child(self.node, name, self.guess))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.note(0)
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.note(1)
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.note(2)
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.note(2)
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.note(3)
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.note(if text.is_empty() { 4 } else { 5 })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.paths.nodes[self.node].1 |= 1 << 6;
        let child = self.paths.child(self.node, "[]", &mut 0);
        while items.next_element_seed(Seed { paths: self.paths, node: child })?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.paths.nodes[self.node].1 |= 1 << 7;
        let mut guess = 0;
        while let Some(child) =
            fields.next_key_seed(Key { paths: self.paths, node: self.node, guess: &mut guess })?
        {
            fields.next_value_seed(Seed { paths: self.paths, node: child })?;
        }
        Ok(())
    }
}
