//! The grammar of RFC 8259, which fills the tape.

use super::{DEPTH_MAX, JsonFault, Tag, Tape, Value};

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
            let key = self.string(Tag::Key, Tag::KeyEscaped)?;
            self.tape.keys.push(u32::try_from(key).unwrap_or(u32::MAX));
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
                    self.check_keys(keys_before);
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

    /// Notes whether two of the keys since `from` are the same, and forgets them.
    fn check_keys(&mut self, from: usize) {
        let n_keys = self.tape.keys.len() - from;
        if !self.tape.duplicate_key && n_keys > 1 {
            let name =
                |index: &u32| Value { text: self.text, tape: &*self.tape, index: *index as usize };
            let keys = self.tape.keys.get(from..).unwrap_or_default();
            let has_escape = keys.iter().any(|key| name(key).glance().is_none());
            let duplicate = if n_keys <= 24 {
                // Most objects: a glance at each key tells most of them apart.
                let mut glances = [0u64; 4];
                keys.iter().enumerate().any(|(i, key)| {
                    let key = name(key);
                    let is_new = key.glance().is_some_and(|glance| {
                        let bit = 1 << (glance & 63);
                        glances
                            .get_mut(usize::from(glance >> 6))
                            .is_some_and(|word| std::mem::replace(word, *word | bit) & bit == 0)
                    });
                    // A key with escapes has no glance: it is compared with all, and all behind it with it.
                    (!is_new || has_escape)
                        && keys.iter().take(i).any(|other| name(other).is_same_key(key))
                })
            } else {
                let mut seen = std::collections::HashSet::with_capacity(n_keys);
                keys.iter().any(|key| !seen.insert(name(key).key()))
            };
            self.tape.duplicate_key = duplicate;
        }
        self.tape.keys.truncate(from);
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

/// Counts the bytes before the first quote, backslash or control character.
pub(crate) fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut done = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let has_zero = |x: u64| x.wrapping_sub(ONES) & !x & TOPS;
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
        let found = has_zero(word ^ (ONES * u64::from(b'"')))
            | has_zero(word ^ (ONES * u64::from(b'\\')))
            | below_space;
        if found != 0 {
            // Borrows only disturb bytes above the first hit, so the lowest hit is exact.
            return done + (found.trailing_zeros() / 8) as usize;
        }
        done += 8;
    }
    let rest = bytes.get(done..).unwrap_or_default();
    done + rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len())
}
