//! The grammar of RFC 8259, which fills the tape.
//!
//! Each function reads one thing at a place and returns the place behind it, so that the place stays in a register.

use wide::u8x16;

use super::{DEPTH_MAX, JsonFault, Tag, Tape, Value, glance, unescape};

/// Most keys of one object that are told apart at a glance.
const GLANCED_KEYS_MAX: usize = 64;

/// The keys of the object that is being read, at a glance.
#[derive(Default)]
struct KeysSeen {
    /// A bit for each glance that came.
    glances: [u64; 4],
    n_keys: usize,
}

/// Reads one value after the other from a text, which is shorter than 4 GiB.
pub(super) struct Parser<'p> {
    pub(super) text: &'p str,
    pub(super) bytes: &'p [u8],
    pub(super) tape: &'p mut Tape,
}

impl Parser<'_> {
    #[inline]
    pub(super) fn peek(&self, at: u32) -> Option<u8> {
        self.bytes.get(at as usize).copied()
    }

    fn rest(&self, at: u32) -> &[u8] {
        self.bytes.get(at as usize..).unwrap_or_default()
    }

    /// Returns the place behind the white space at a place.
    #[inline]
    pub(super) fn space(&self, mut at: u32) -> u32 {
        while matches!(self.peek(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            at += 1;
        }
        at
    }

    /// Returns the first byte that is no white space, and its place.
    #[inline]
    fn token(&self, at: u32) -> (Option<u8>, u32) {
        match self.peek(at) {
            Some(byte) if byte > b' ' => (Some(byte), at),
            Some(_) | None => {
                let at = self.space(at);
                (self.peek(at), at)
            }
        }
    }

    #[inline(always)]
    pub(super) fn value(&mut self, at: u32, depth: u32) -> Result<u32, JsonFault> {
        let (byte, at) = self.token(at);
        match byte {
            None => Err(JsonFault::Truncated),
            Some(b'"') => self.string(at + 1, Tag::Text, Tag::TextEscaped),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b'{') => self.object(at, depth),
            Some(b'[') => self.array(at, depth),
            Some(b't') => self.word(at, b"true", Tag::Bool),
            Some(b'f') => self.word(at, b"false", Tag::Bool),
            Some(b'n') => self.word(at, b"null", Tag::Null),
            Some(b'N' | b'I') => Err(self.not_a_number(at)),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    #[inline(never)]
    fn object(&mut self, at: u32, depth: u32) -> Result<u32, JsonFault> {
        let opened = self.open(Tag::Object, at, depth)?;
        let mut seen = KeysSeen::default();
        let (mut byte, mut at) = self.token(at + 1);
        if byte == Some(b'}') {
            return Ok(self.close(opened, at));
        }
        if depth == DEPTH_MAX {
            return Err(JsonFault::TooDeep);
        }
        loop {
            if byte != Some(b'"') {
                return Err(Self::unexpected(byte));
            }
            let key = self.tape.nodes.len();
            at = self.string(at + 1, Tag::Key, Tag::KeyEscaped)?;
            self.note_key(key, opened, &mut seen);
            (byte, at) = self.token(at);
            if byte != Some(b':') {
                return Err(Self::unexpected(byte));
            }
            at = self.value(at + 1, depth + 1)?;
            self.end_node(key);
            (byte, at) = self.token(at);
            match byte {
                Some(b',') => (byte, at) = self.token(at + 1),
                Some(b'}') => {
                    if seen.n_keys > GLANCED_KEYS_MAX {
                        self.check_keys(opened);
                    }
                    return Ok(self.close(opened, at));
                }
                Some(_) | None => return Err(Self::unexpected(byte)),
            }
        }
    }

    #[inline(never)]
    fn array(&mut self, at: u32, depth: u32) -> Result<u32, JsonFault> {
        let opened = self.open(Tag::Array, at, depth)?;
        let (mut byte, mut at) = self.token(at + 1);
        if byte == Some(b']') {
            return Ok(self.close(opened, at));
        }
        if depth == DEPTH_MAX {
            return Err(JsonFault::TooDeep);
        }
        loop {
            at = self.value(at, depth + 1)?;
            (byte, at) = self.token(at);
            match byte {
                Some(b',') => at += 1,
                Some(b']') => return Ok(self.close(opened, at)),
                Some(_) | None => return Err(Self::unexpected(byte)),
            }
        }
    }

    fn unexpected(byte: Option<u8>) -> JsonFault {
        if byte.is_some() { JsonFault::Malformed } else { JsonFault::Truncated }
    }

    fn open(&mut self, tag: Tag, at: u32, depth: u32) -> Result<usize, JsonFault> {
        let opened = self.tape.nodes.len();
        self.tape.deepest = self.tape.deepest.max(depth);
        self.tape.push(tag, at, at)?;
        Ok(opened)
    }

    fn close(&mut self, opened: usize, at: u32) -> u32 {
        self.end_node(opened);
        at + 1
    }

    /// Says that the nodes read since `index` are all that is in it.
    fn end_node(&mut self, index: usize) {
        let next = self.tape.n_nodes();
        if let Some(node) = self.tape.nodes.get_mut(index) {
            node.next = next;
        }
    }

    /// Notes the key that was just read, and whether the object has it already.
    #[inline]
    fn note_key(&mut self, key: usize, opened: usize, seen: &mut KeysSeen) {
        seen.n_keys += 1;
        let Some(node) = self.tape.nodes.get_mut(key) else { return };
        let name = self.bytes.get(node.start as usize..node.end as usize).unwrap_or_default();
        node.glance = if node.tag == Tag::KeyEscaped {
            let raw = self.text.get(node.start as usize..node.end as usize);
            glance(unescape(raw.unwrap_or_default()).as_bytes())
        } else {
            glance(name)
        };
        let glance = node.glance;
        let Some(word) = seen.glances.get_mut(usize::from(glance >> 6)) else { return };
        let bit = 1 << (glance & 63);
        // Most keys are told apart by that. The others are compared with those before them; of very many keys, all at the end.
        if std::mem::replace(word, *word | bit) & bit != 0 && seen.n_keys <= GLANCED_KEYS_MAX {
            let object = Value { text: self.text, tape: &*self.tape, index: opened };
            let is_there = object.has_before(key);
            self.tape.duplicate_key |= is_there;
        }
    }

    /// Notes whether two of the keys of an object, whose nodes are the last ones, are the same.
    fn check_keys(&mut self, opened: usize) {
        self.end_node(opened);
        let object = Value { text: self.text, tape: &*self.tape, index: opened };
        let mut seen = std::collections::HashSet::new();
        let is_there = object.fields().any(|(key, _)| !seen.insert(key.key()));
        self.tape.duplicate_key |= is_there;
    }

    #[inline]
    fn word<const N: usize>(
        &mut self,
        at: u32,
        word: &[u8; N],
        tag: Tag,
    ) -> Result<u32, JsonFault> {
        let rest = self.rest(at);
        if rest.first_chunk() == Some(word) {
            let end = at + place(N);
            return self.tape.push(tag, at, end).map(|()| end);
        }
        if rest.starts_with(b"nan") {
            return Err(JsonFault::NotANumber);
        }
        Err(if word.starts_with(rest) { JsonFault::Truncated } else { JsonFault::Malformed })
    }

    fn not_a_number(&self, at: u32) -> JsonFault {
        let rest = self.rest(at);
        if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
            JsonFault::NotANumber
        } else {
            JsonFault::Malformed
        }
    }

    /// Reads one digit or more.
    fn digits(&self, at: u32) -> Result<u32, JsonFault> {
        let mut end = at;
        while matches!(self.peek(end), Some(b'0'..=b'9')) {
            end += 1;
        }
        match self.peek(at) {
            _ if end > at => Ok(end),
            None => Err(JsonFault::Truncated),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    #[inline(always)]
    fn number(&mut self, start: u32) -> Result<u32, JsonFault> {
        let is_negative = self.peek(start) == Some(b'-');
        let first = start + u32::from(is_negative);
        if self.peek(first) == Some(b'I') {
            return Err(self.not_a_number(first));
        }
        let mut at = self.digits(first)?;
        if at > first + 1 && self.peek(first) == Some(b'0') {
            return Err(JsonFault::Malformed);
        }
        let mut tag = Tag::Integer;
        if self.peek(at) == Some(b'.') {
            tag = Tag::Float;
            at = self.digits(at + 1)?;
        }
        if matches!(self.peek(at), Some(b'e' | b'E')) {
            tag = Tag::Float;
            at += 1;
            if matches!(self.peek(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        self.tape.push(tag, start, at).map(|()| at)
    }

    /// Reads a string whose inside begins at `start`.
    #[inline]
    fn string(&mut self, start: u32, plain: Tag, escaped: Tag) -> Result<u32, JsonFault> {
        // Most keys and many values are short, and have no escapes.
        if let Some(block) = self.rest(start).first_chunk() {
            let ends = run_ends(*block);
            let end = start + ends.trailing_zeros();
            if ends != 0 && self.peek(end) == Some(b'"') {
                return self.tape.push(plain, start, end).map(|()| end + 1);
            }
        }
        self.any_string(start, plain, escaped)
    }

    #[inline(never)]
    fn any_string(&mut self, start: u32, plain: Tag, escaped: Tag) -> Result<u32, JsonFault> {
        let mut at = start;
        let mut tag = plain;
        loop {
            at += place(plain_bytes(self.rest(at)));
            match self.peek(at) {
                None => return Err(JsonFault::Truncated),
                Some(b'"') => break,
                Some(b'\\') => {
                    tag = escaped;
                    at = self.escape(at + 1)?;
                }
                Some(_) => return Err(JsonFault::Malformed),
            }
        }
        self.tape.push(tag, start, at).map(|()| at + 1)
    }

    /// Reads what stands behind a backslash.
    fn escape(&mut self, at: u32) -> Result<u32, JsonFault> {
        match self.peek(at) {
            None => Err(JsonFault::Truncated),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
            Some(b'u') => {
                let (unit, end) = self.unit(at + 1)?;
                if !(0xd800..0xe000).contains(&unit) {
                    return Ok(end);
                }
                let rest = self.rest(end);
                let is_high = unit < 0xdc00;
                if is_high && (rest == b"\\" || rest.is_empty()) {
                    return Err(JsonFault::Truncated);
                }
                if is_high && rest.starts_with(b"\\u") {
                    let (low, end) = self.unit(end + 2)?;
                    if (0xdc00..0xe000).contains(&low) {
                        return Ok(end);
                    }
                }
                self.tape.lone_surrogate = true;
                Ok(end)
            }
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    /// Reads four hexadecimal digits.
    fn unit(&self, at: u32) -> Result<(u32, u32), JsonFault> {
        let mut unit = 0;
        for place in at..at + 4 {
            let byte = self.peek(place).ok_or(JsonFault::Truncated)?;
            let digit = char::from(byte).to_digit(16).ok_or(JsonFault::Malformed)?;
            unit = unit * 16 + digit;
        }
        Ok((unit, at + 4))
    }
}

/// Returns a number of bytes as a place; the text is shorter than what a place can say.
fn place(n_bytes: usize) -> u32 {
    u32::try_from(n_bytes).unwrap_or(u32::MAX)
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
