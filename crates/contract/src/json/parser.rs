//! The grammar of RFC 8259, which fills the tape.
//!
//! Each function reads one thing at a place and returns the place behind it, so that the place stays in a register.
//!
//! An element of an array mostly has the keys and types of the one before it. So its keys are first compared with those, and where all are the
//! same, and the types of the values too, it is marked: what its shape says was said.

use std::ops::Range;

use wide::u8x16;

use super::{DEPTH_MAX, JsonFault, Node, Tag, Tape, are_same, glance, unescape};

/// Most keys of one object that are told apart at a glance.
const GLANCED_KEYS_MAX: usize = 64;

/// Shortest number without an exponent that may be beyond a double, which ends at 309 digits.
const LONG_NUMBER: u32 = 300;

/// Where there is no node that a value is like.
pub(super) const NO_NODE: usize = usize::MAX;

/// The keys of the object that is being read.
struct Keys {
    /// A bit for each glance that came, as far as the keys were not the other object's.
    glances: [u64; 4],
    n_seen: usize,
    /// All keys so far are those of the object that this one is like.
    are_same: bool,
    /// So are the types of their values.
    are_alike: bool,
    /// The node of the other object's next key, and the one behind all of them.
    next: usize,
    end: usize,
}

impl Keys {
    fn like(other: Option<&Node>, place: usize) -> Self {
        let other = other.filter(|node| node.tag == Tag::Object);
        let is_there = other.is_some();
        let (next, end) = other.map_or((NO_NODE, 0), |node| (place + 1, node.next as usize));
        Self { glances: [0; 4], n_seen: 0, are_same: is_there, are_alike: is_there, next, end }
    }

    /// Whether the keys, and the types of their values, were those of the other object.
    fn all_came(&self) -> bool {
        self.are_same && self.are_alike && self.next == self.end
    }

    /// Notes a key at a glance, and returns whether one like it came before.
    fn note(&mut self, glance: u8) -> bool {
        self.n_seen += 1;
        let Some(word) = self.glances.get_mut(usize::from(glance >> 6)) else { return false };
        let bit = 1 << (glance & 63);
        std::mem::replace(word, *word | bit) & bit != 0
    }
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

    /// Reads a value. `like` is the node of the value where this one would stand in the element before.
    #[inline(always)]
    pub(super) fn value(&mut self, at: u32, depth: u32, like: usize) -> Result<u32, JsonFault> {
        let (byte, at) = self.token(at);
        match byte {
            None => Err(JsonFault::Truncated),
            Some(b'"') => {
                let (tag, end) = self.string(at + 1, Tag::Text, Tag::TextEscaped)?;
                self.tape.push(tag, at + 1, end).map(|()| end + 1)
            }
            Some(b'-' | b'0'..=b'9') => {
                let (tag, end) = self.number(at)?;
                self.tape.push(tag, at, end).map(|()| end)
            }
            Some(b'{') => self.object(at, depth, like),
            Some(b'[') => self.array(at, depth, like),
            Some(first @ (b't' | b'f' | b'n')) => {
                let (tag, end) = match first {
                    b't' => (Tag::Bool, self.word(at, b"true")?),
                    b'f' => (Tag::Bool, self.word(at, b"false")?),
                    _ => (Tag::Null, self.word(at, b"null")?),
                };
                self.tape.push(tag, at, end).map(|()| end)
            }
            Some(b'N' | b'I') => Err(self.not_a_number(at)),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    #[inline(never)]
    fn object(&mut self, at: u32, depth: u32, like: usize) -> Result<u32, JsonFault> {
        let opened = self.open(Tag::Object, at, depth)?;
        let mut keys = Keys::like(self.tape.nodes.get(like), like);
        let (mut byte, mut at) = self.token(at + 1);
        if byte == Some(b'}') {
            return Ok(self.close(opened, at, keys.all_came()));
        }
        if depth == DEPTH_MAX {
            return Err(JsonFault::TooDeep);
        }
        loop {
            if byte != Some(b'"') {
                return Err(Self::unexpected(byte));
            }
            let key = self.tape.nodes.len();
            let (end, like) = self.key(at + 1, opened, &mut keys)?;
            (byte, at) = self.token(end);
            if byte != Some(b':') {
                return Err(Self::unexpected(byte));
            }
            at = self.value(at + 1, depth + 1, like)?;
            keys.are_alike = keys.are_alike && self.is_alike(key + 1, like);
            self.end_node(key);
            (byte, at) = self.token(at);
            match byte {
                Some(b',') => (byte, at) = self.token(at + 1),
                Some(b'}') => {
                    if keys.n_seen > GLANCED_KEYS_MAX {
                        self.check_keys(opened);
                    }
                    return Ok(self.close(opened, at, keys.all_came()));
                }
                Some(_) | None => return Err(Self::unexpected(byte)),
            }
        }
    }

    #[inline(never)]
    fn array(&mut self, at: u32, depth: u32, like: usize) -> Result<u32, JsonFault> {
        let opened = self.open(Tag::Array, at, depth)?;
        let other = self.tape.nodes.get(like).filter(|node| node.tag == Tag::Array);
        let is_other_empty = other.is_some_and(|node| node.next as usize == like + 1);
        // The first element is like the first one of the other array, and each further one like the one before.
        let mut like = if other.is_some() && !is_other_empty { like + 1 } else { NO_NODE };
        let (mut byte, mut at) = self.token(at + 1);
        if byte == Some(b']') {
            return Ok(self.close(opened, at, is_other_empty));
        }
        if depth == DEPTH_MAX {
            return Err(JsonFault::TooDeep);
        }
        let mut repeats = true;
        loop {
            let element = self.tape.nodes.len();
            let is_end;
            (at, is_end) = self.short_integers(at)?;
            if self.tape.nodes.len() > element {
                repeats = repeats && self.is_alike(element, like);
                like = if self.tape.takes_shortcuts { element } else { NO_NODE };
            }
            if !is_end {
                let element = self.tape.nodes.len();
                at = self.value(at, depth + 1, like)?;
                repeats = repeats && self.is_alike(element, like);
                like = if self.tape.takes_shortcuts { element } else { NO_NODE };
            }
            (byte, at) = self.token(at);
            match byte {
                Some(b',') => at += 1,
                Some(b']') => return Ok(self.close(opened, at, repeats)),
                Some(_) | None => return Err(Self::unexpected(byte)),
            }
        }
    }

    /// Whether the shape of a value that was read says nothing that the one it is like does not say.
    #[inline]
    fn is_alike(&self, value: usize, like: usize) -> bool {
        let nodes = &self.tape.nodes;
        let (Some(value), Some(like)) = (nodes.get(value), nodes.get(like)) else { return false };
        let is_text = |node: &Node| matches!(node.tag, Tag::Text | Tag::TextEscaped);
        let is_empty = |node: &Node| node.start == node.end;
        match value.tag {
            Tag::Array | Tag::Object => value.repeats,
            Tag::Text | Tag::TextEscaped => is_text(like) && is_empty(value) == is_empty(like),
            Tag::Null | Tag::Bool | Tag::Integer | Tag::Float | Tag::Key | Tag::KeyEscaped => {
                value.tag == like.tag
            }
        }
    }

    /// Reads the key whose inside begins at `start`, and returns the place behind it, and the node that its value is like.
    #[inline]
    fn key(
        &mut self,
        start: u32,
        opened: usize,
        keys: &mut Keys,
    ) -> Result<(u32, usize), JsonFault> {
        if keys.are_same
            && keys.next < keys.end
            && let Some(&known) = self.tape.nodes.get(keys.next)
            && known.tag == Tag::Key
            // With its last quote, so that the key ends where that one does.
            && let Some(name) = self.bytes.get(known.start as usize..=known.end as usize)
            && self.rest(start).get(..name.len()).is_some_and(|here| are_same(here, name))
        {
            let end = start + (known.end - known.start);
            self.tape.push(Tag::Key, start, end)?;
            if let Some(node) = self.tape.nodes.last_mut() {
                node.glance = known.glance;
            }
            let like = std::mem::replace(&mut keys.next, known.next as usize) + 1;
            return Ok((end + 1, like));
        }
        if std::mem::replace(&mut keys.are_same, false) {
            // Up to here, none came twice that did not do so in the other object, too.
            let mut place = opened + 1;
            while let Some(earlier) = self.tape.nodes.get(place) {
                keys.note(earlier.glance);
                place = earlier.next as usize;
            }
        }
        let (tag, end) = self.string(start, Tag::Key, Tag::KeyEscaped)?;
        self.tape.push(tag, start, end)?;
        self.note_key(opened, keys);
        Ok((end + 1, NO_NODE))
    }

    /// Reads short whole numbers, which arrays hold by the thousand, as long as each has a comma directly behind it, or the end of the array.
    /// Returns the place where something else begins, and whether that is the end. All else is left to [`Self::value`].
    #[inline]
    fn short_integers(&mut self, start: u32) -> Result<(u32, bool), JsonFault> {
        let mut at = start;
        while let Some(block) = self.rest(at).first_chunk::<8>() {
            let n = leading_digits(*block);
            let has_leading_zero = n > 1 && block.first() == Some(&b'0');
            let behind = block.get(n as usize).copied();
            if n == 0 || has_leading_zero || !matches!(behind, Some(b',' | b']')) {
                break;
            }
            self.tape.push(Tag::Integer, at, at + n)?;
            at += n;
            if behind == Some(b']') {
                return Ok((at, true));
            }
            at += 1;
        }
        Ok((at, false))
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

    fn close(&mut self, opened: usize, at: u32, repeats: bool) -> u32 {
        let next = self.tape.n_nodes();
        if let Some(node) = self.tape.nodes.get_mut(opened) {
            (node.next, node.repeats) = (next, repeats);
        }
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
    fn note_key(&mut self, opened: usize, keys: &mut Keys) {
        let key = self.tape.nodes.len() - 1;
        let Some(node) = self.tape.nodes.get_mut(key) else { return };
        let name = self.bytes.get(node.start as usize..node.end as usize).unwrap_or_default();
        node.glance = if node.tag == Tag::KeyEscaped {
            let raw = self.text.get(node.start as usize..node.end as usize);
            glance(unescape(raw.unwrap_or_default()).as_bytes())
        } else {
            glance(name)
        };
        // Most keys are told apart by that. The others are compared with those before them; of very many keys, all at the end.
        if keys.note(node.glance) && keys.n_seen <= GLANCED_KEYS_MAX {
            let object = self.tape.value(self.text, opened);
            let is_there = object.has_before(key);
            self.tape.duplicate_key |= is_there;
        }
    }

    /// Notes whether two of the keys of an object, whose nodes are the last ones, are the same.
    fn check_keys(&mut self, opened: usize) {
        self.end_node(opened);
        let object = self.tape.value(self.text, opened);
        let mut seen = std::collections::HashSet::new();
        let is_there = object.fields().any(|(key, _)| !seen.insert(key.key()));
        self.tape.duplicate_key |= is_there;
    }

    /// Returns the place behind a word that should stand at a place.
    #[inline]
    fn word<const N: usize>(&self, at: u32, word: &[u8; N]) -> Result<u32, JsonFault> {
        let rest = self.rest(at);
        if rest.first_chunk() == Some(word) {
            return Ok(at + place(N));
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

    /// Returns the place behind one digit or more.
    #[inline]
    fn digits(&self, at: u32) -> Result<u32, JsonFault> {
        let mut end = at;
        while let Some(block) = self.rest(end).first_chunk() {
            let n = leading_digits(*block);
            end += n;
            if n < 8 {
                break;
            }
        }
        // The last few bytes of a document are no whole block.
        while matches!(self.peek(end), Some(b'0'..=b'9')) {
            end += 1;
        }
        match self.peek(at) {
            _ if end > at => Ok(end),
            None => Err(JsonFault::Truncated),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    /// Returns the type of the number at a place, and the place behind it.
    #[inline(always)]
    fn number(&mut self, start: u32) -> Result<(Tag, u32), JsonFault> {
        // Most numbers are short and whole.
        if let Some(block) = self.rest(start).first_chunk::<8>() {
            let n = leading_digits(*block);
            let has_leading_zero = n > 1 && block.first() == Some(&b'0');
            let next = u64::from_le_bytes(*block).wrapping_shr(8 * n).to_le_bytes();
            if (1..8).contains(&n)
                && !has_leading_zero
                && !matches!(next.first(), Some(b'.' | b'e' | b'E'))
            {
                return Ok((Tag::Integer, start + n));
            }
        }
        self.any_number(start)
    }

    #[inline(never)]
    fn any_number(&mut self, start: u32) -> Result<(Tag, u32), JsonFault> {
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
            self.tape.has_large_number = true;
            at += 1;
            if matches!(self.peek(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        self.tape.has_large_number |= at - start > LONG_NUMBER;
        Ok((tag, at))
    }

    /// Returns the tag of the string whose inside begins at `start`, and the place of its last quote.
    #[inline]
    fn string(&mut self, start: u32, plain: Tag, escaped: Tag) -> Result<(Tag, u32), JsonFault> {
        // Most keys and many values are short, and have no escapes.
        if let Some(block) = self.rest(start).first_chunk() {
            let ends = run_ends(*block);
            let end = start + ends.trailing_zeros();
            if ends != 0 && self.peek(end) == Some(b'"') {
                return Ok((plain, end));
            }
        }
        self.any_string(start, plain, escaped)
    }

    #[inline(never)]
    fn any_string(
        &mut self,
        start: u32,
        plain: Tag,
        escaped: Tag,
    ) -> Result<(Tag, u32), JsonFault> {
        let mut at = start;
        let mut tag = plain;
        loop {
            at += place(plain_bytes(self.rest(at)));
            match self.peek(at) {
                None => return Err(JsonFault::Truncated),
                Some(b'"') => return Ok((tag, at)),
                Some(b'\\') => {
                    tag = escaped;
                    at = self.escape(at + 1)?;
                }
                Some(_) => return Err(JsonFault::Malformed),
            }
        }
    }

    /// Reads a value of the type of another one at a place, and returns its tag, its span and the place behind it. What is of another
    /// type, or is not such a value, is for [`Self::value`].
    #[inline]
    pub(super) fn alike(&mut self, at: u32, like: Tag) -> Option<(Tag, Range<u32>, u32)> {
        match like {
            Tag::Text | Tag::TextEscaped => {
                let start = at + 1;
                self.peek(at).filter(|byte| *byte == b'"')?;
                let (tag, end) = self.string(start, Tag::Text, Tag::TextEscaped).ok()?;
                // An empty string is of another type.
                (end > start).then_some((tag, start..end, end + 1))
            }
            Tag::Integer | Tag::Float => {
                let (tag, end) = self.number(at).ok()?;
                (tag == like).then_some((tag, at..end, end))
            }
            Tag::Bool => {
                let end = self.word(at, b"true").or_else(|_| self.word(at, b"false")).ok()?;
                Some((like, at..end, end))
            }
            Tag::Key | Tag::KeyEscaped | Tag::Null | Tag::Array | Tag::Object => None,
        }
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

/// Counts the digits that a block begins with.
fn leading_digits(block: [u8; 8]) -> u32 {
    // A digit becomes its number; adding 0x76 sets the highest bit of all that is more than nine, and what that carries over
    // changes bytes behind it only.
    let numbers = u64::from_le_bytes(block) ^ 0x3030_3030_3030_3030;
    let others = (numbers.wrapping_add(0x7676_7676_7676_7676) | numbers) & 0x8080_8080_8080_8080;
    others.trailing_zeros() / 8
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
