//! The grammar of RFC 8259, which fills the tape.

use wide::u8x16;

use super::{DEPTH_MAX, JsonFault, Key, Tag, Tape, Value};

/// Most keys of one object that are told apart at a glance.
const GLANCED_KEYS_MAX: usize = 64;

/// The keys of the object that is being read, at a glance.
#[derive(Default)]
struct KeysSeen {
    /// A bit for each glance that came.
    glances: [u64; 4],
    /// They need a closer look: some have escapes, or there are too many.
    is_unclear: bool,
}

/// Reads one value after the other from a text.
pub(super) struct Parser<'p> {
    pub(super) text: &'p str,
    pub(super) bytes: &'p [u8],
    pub(super) at: usize,
    pub(super) tape: &'p mut Tape,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn value(&mut self, depth: u32) -> Result<(), JsonFault> {
        if depth > DEPTH_MAX {
            return Err(JsonFault::TooDeep);
        }
        match self.peek() {
            None => Err(JsonFault::Truncated),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(Tag::Text, Tag::TextEscaped).map(|_| ()),
            Some(b't') => self.word(b"true", Tag::Bool),
            Some(b'f') => self.word(b"false", Tag::Bool),
            Some(b'n') => self.word(b"null", Tag::Null),
            Some(b'N' | b'I') => Err(self.not_a_number()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    fn object(&mut self, depth: u32) -> Result<(), JsonFault> {
        let opened = self.tape.push(Tag::Object, self.at, self.at)?;
        self.tape.deepest = self.tape.deepest.max(depth);
        let keys_before = self.tape.keys.len();
        let mut seen = KeysSeen::default();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            return self.close(opened);
        }
        loop {
            match self.peek() {
                None => return Err(JsonFault::Truncated),
                Some(b'"') => {}
                Some(_) => return Err(JsonFault::Malformed),
            }
            let start = self.at + 1;
            let key = self.string(Tag::Key, Tag::KeyEscaped)?;
            self.note_key(key, start, keys_before, &mut seen);
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            self.value(depth + 1)?;
            self.skip_space();
            match self.peek() {
                None => return Err(JsonFault::Truncated),
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                }
                Some(b'}') => {
                    if seen.is_unclear {
                        self.check_keys(keys_before);
                    }
                    self.tape.keys.truncate(keys_before);
                    return self.close(opened);
                }
                Some(_) => return Err(JsonFault::Malformed),
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), JsonFault> {
        let opened = self.tape.push(Tag::Array, self.at, self.at)?;
        self.tape.deepest = self.tape.deepest.max(depth);
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            return self.close(opened);
        }
        loop {
            self.value(depth + 1)?;
            self.skip_space();
            match self.peek() {
                None => return Err(JsonFault::Truncated),
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                }
                Some(b']') => return self.close(opened),
                Some(_) => return Err(JsonFault::Malformed),
            }
        }
    }

    fn close(&mut self, opened: usize) -> Result<(), JsonFault> {
        self.at += 1;
        let [end, next] =
            [self.at, self.tape.nodes.len()].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        if let Some(node) = self.tape.nodes.get_mut(opened) {
            node.end = end;
            node.next = next;
        }
        Ok(())
    }

    /// Notes a key that was just read, and whether the object has it already.
    fn note_key(&mut self, index: usize, start: usize, from: usize, seen: &mut KeysSeen) {
        // The closing quote is the last byte read.
        let name = self.bytes.get(start..self.at - 1).unwrap_or_default();
        let has_escape = self.tape.nodes.get(index).is_none_or(|node| node.tag == Tag::KeyEscaped);
        let n_keys = self.tape.keys.len() - from;
        seen.is_unclear |= has_escape || n_keys >= GLANCED_KEYS_MAX;
        let glance = glance(name);
        if !seen.is_unclear {
            let bit = 1 << (glance & 63);
            let word = seen.glances.get_mut(usize::from(glance >> 6));
            let is_known = word.is_none_or(|word| std::mem::replace(word, *word | bit) & bit != 0);
            // Most keys are told apart by that; of the others, those with the same glance are compared.
            if is_known {
                let keys = self.tape.keys.get(from..).unwrap_or_default();
                let value = |index: u32| Value {
                    text: self.text,
                    tape: &*self.tape,
                    index: index as usize,
                };
                let is_there = keys
                    .iter()
                    .any(|key| key.glance == glance && value(key.index).raw().as_bytes() == name);
                self.tape.duplicate_key |= is_there;
            }
        }
        self.tape.keys.push(Key { index: u32::try_from(index).unwrap_or(u32::MAX), glance });
    }

    /// Notes whether two of the keys since `from` are the same, escapes undone.
    fn check_keys(&mut self, from: usize) {
        if self.tape.duplicate_key {
            return;
        }
        let keys = self.tape.keys.get(from..).unwrap_or_default();
        let name = |key: &Key| {
            Value { text: self.text, tape: &*self.tape, index: key.index as usize }.key()
        };
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        self.tape.duplicate_key = keys.iter().any(|key| !seen.insert(name(key)));
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonFault> {
        match self.peek() {
            None => Err(JsonFault::Truncated),
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    fn word(&mut self, word: &[u8], tag: Tag) -> Result<(), JsonFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.tape.push(tag, self.at, self.at + word.len())?;
            self.at += word.len();
            return Ok(());
        }
        if rest.starts_with(b"nan") {
            return Err(JsonFault::NotANumber);
        }
        Err(if word.starts_with(rest) { JsonFault::Truncated } else { JsonFault::Malformed })
    }

    fn not_a_number(&self) -> JsonFault {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
            JsonFault::NotANumber
        } else {
            JsonFault::Malformed
        }
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        match self.peek() {
            None => return Err(JsonFault::Truncated),
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(JsonFault::Malformed),
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return Err(self.not_a_number());
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(JsonFault::Malformed);
            }
        } else {
            self.digits()?;
        }
        let mut tag = Tag::Integer;
        if self.peek() == Some(b'.') {
            tag = Tag::Float;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            tag = Tag::Float;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.tape.push(tag, start, self.at).map(|_| ())
    }

    fn string(&mut self, plain: Tag, escaped: Tag) -> Result<usize, JsonFault> {
        self.at += 1;
        let start = self.at;
        let mut tag = plain;
        loop {
            self.at += plain_bytes(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                None => return Err(JsonFault::Truncated),
                Some(b'"') => break,
                Some(b'\\') => {
                    tag = escaped;
                    self.escape()?;
                }
                Some(_) => return Err(JsonFault::Malformed),
            }
        }
        let index = self.tape.push(tag, start, self.at)?;
        self.at += 1;
        Ok(index)
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        match self.peek() {
            None => return Err(JsonFault::Truncated),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let unit = self.unit()?;
                if (0xdc00..0xe000).contains(&unit) {
                    self.tape.lone_surrogate = true;
                } else if (0xd800..0xdc00).contains(&unit) {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    if rest == b"\\" || rest.is_empty() {
                        return Err(JsonFault::Truncated);
                    }
                    let before = self.at;
                    let low = if rest.starts_with(b"\\u") {
                        self.at += 1;
                        self.unit()?
                    } else {
                        0
                    };
                    if !(0xdc00..0xe000).contains(&low) {
                        self.tape.lone_surrogate = true;
                        self.at = before;
                    }
                }
            }
            Some(_) => return Err(JsonFault::Malformed),
        }
        Ok(())
    }

    /// Reads `uXXXX`.
    fn unit(&mut self) -> Result<u32, JsonFault> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or(JsonFault::Truncated)?;
            let digit = char::from(byte).to_digit(16).ok_or(JsonFault::Malformed)?;
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Returns a small hash of a key.
fn glance(name: &[u8]) -> u8 {
    let byte = |at: usize| name.get(at).copied().unwrap_or_default();
    let [length, ..] = name.len().to_le_bytes();
    [byte(0), byte(name.len() / 2), byte(name.len().saturating_sub(1))]
        .iter()
        .fold(length, |glance, byte| glance.wrapping_mul(31).wrapping_add(*byte))
}

/// Returns where the string ends whose inside `bytes` begins with, and whether it has escapes. `None` for all that a shortcut
/// must leave to the parser: no end, broken escapes, control characters, halves of surrogate pairs.
pub(crate) fn string_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut has_escape = false;
    loop {
        at += plain_bytes(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some((at, has_escape)),
            b'\\' => has_escape = true,
            _ => return None,
        }
        match bytes.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
            b'u' => {
                let unit = bytes.get(at + 2..at + 6)?;
                // Surrogates begin with D8 to DF; the few texts that write them so take the long way.
                let is_surrogate = unit.starts_with(b"d") || unit.starts_with(b"D");
                if is_surrogate || !unit.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                at += 6;
            }
            _ => return None,
        }
    }
}

/// Counts the bytes before the first quote, backslash or control character.
pub(crate) fn plain_bytes(bytes: &[u8]) -> usize {
    let mut done = 0;
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk() {
        let found = run_ends(*block);
        if found != 0 {
            return done + found.trailing_zeros() as usize;
        }
        done += block.len();
        rest = after;
    }
    // Quotes behind the end end the run there.
    let mut block = [b'"'; 16];
    block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    done + run_ends(block).trailing_zeros().min(16) as usize
}

/// Returns a bit for each byte that ends a run of plain bytes in a string.
fn run_ends(block: [u8; 16]) -> u32 {
    let block = u8x16::new(block);
    let last_control = u8x16::splat(0x1f);
    let ends = block.simd_eq(u8x16::splat(b'"'))
        | block.simd_eq(u8x16::splat(b'\\'))
        | block.max(last_control).simd_eq(last_control);
    ends.to_bitmask()
}
