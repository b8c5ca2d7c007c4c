//! Recognises a chunk that repeats the one before but for its text, which is most of a stream.

use std::ops::Range;

use crate::json::{Value, plain_bytes};

/// Longest chunk kept for comparison.
const CHUNK_BYTES_MAX: usize = 4096;

/// A chunk whose only changing parts are its text and, where there is one, the padding against traffic analysis.
#[derive(Debug)]
pub(super) struct Repeat {
    name: String,
    data: Vec<u8>,
    /// The text, and the padding before or after it, in the order of the document.
    holes: Vec<Range<usize>>,
    /// Which of the holes is the text.
    text: usize,
}

impl Repeat {
    /// Keeps a chunk, if it is one choice with some text and nothing else that a stream's state depends on.
    pub(super) fn of(name: &str, data: &[u8], chunk: Value<'_>) -> Option<Self> {
        if data.len() > CHUNK_BYTES_MAX || chunk.has_duplicate_key() || chunk.has_lone_surrogate() {
            return None;
        }
        let mut choices = chunk.get("choices")?.items();
        let choice = choices.next().filter(|_| choices.next().is_none())?;
        if choice.get_some("finish_reason").is_some()
            || choice.get_some("error").is_some()
            || chunk.get_some("usage").is_some()
        {
            return None;
        }
        let delta = choice.get("delta")?;
        let has_more = delta
            .fields()
            .any(|(key, value)| !value.is_null() && !key.is("content") && !key.is("role"));
        if has_more {
            return None;
        }
        let content = delta.get("content")?.plain_span().filter(|span| !span.is_empty())?;
        let padding =
            chunk.get("obfuscation").and_then(Value::plain_span).filter(|span| !span.is_empty());
        let mut holes = vec![content.clone()];
        holes.extend(padding);
        holes.sort_unstable_by_key(|hole| hole.start);
        let text = holes.iter().position(|hole| *hole == content)?;
        Some(Self { name: name.to_owned(), data: data.to_owned(), holes, text })
    }

    /// Returns the text of a chunk that differs from this one in the holes only.
    pub(super) fn text_of<'d>(&self, name: &str, data: &'d [u8]) -> Option<&'d str> {
        if name != self.name {
            return None;
        }
        let mut text = None;
        let mut rest = data;
        let mut from = 0;
        for (number, hole) in self.holes.iter().enumerate() {
            rest = rest.strip_prefix(self.data.get(from..hole.start)?)?;
            let (inside, after) = rest.split_at(plain_bytes(rest));
            // An empty string is of another kind, and whatever else ends the run is none of a string.
            if inside.is_empty() || after.first() != Some(&b'"') {
                return None;
            }
            let inside = std::str::from_utf8(inside).ok()?;
            if number == self.text {
                text = Some(inside);
            }
            rest = after;
            from = hole.end;
        }
        if rest == self.data.get(from..)? { text } else { None }
    }
}
