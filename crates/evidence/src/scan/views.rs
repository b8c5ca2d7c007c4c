//! A text as it is, and with its escapes undone; each byte knows where it came from.

use std::borrow::Cow;
use std::ops::Range;

use super::Form;

/// A text to search in, with the way back to the bytes as they stand.
pub(super) struct View<'b> {
    bytes: Cow<'b, [u8]>,
    /// For each byte where it came from, and at the end the length of the raw text; empty for the raw text itself.
    from: Vec<usize>,
    form: Form,
}

/// Undoes the escape at the beginning of these bytes: how many bytes it takes, and what it stands for.
type Undo = fn(&[u8]) -> Option<(usize, Unescaped)>;

/// Up to four bytes of UTF-8.
type Unescaped = ([u8; 4], usize);

impl View<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Returns where a range of this view stands in the raw text.
    pub(super) fn raw(&self, range: Range<usize>) -> Range<usize> {
        if self.from.is_empty() {
            return range;
        }
        // What only leaves bytes out ends behind its last byte, and not before the next one that was kept.
        let leaves_out = matches!(self.form, Form::Wrapped | Form::Wide);
        let end = match range.end.checked_sub(1) {
            Some(last) if leaves_out && !range.is_empty() => self.from[last] + 1,
            Some(_) | None => self.from[range.end],
        };
        self.from[range.start]..end
    }

    /// Undoes one kind of escape; `None` when there is none.
    fn undone(&self, undo: Undo, form: Form) -> Option<View<'static>> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut from = Vec::with_capacity(self.bytes.len() + 1);
        let mut at = 0;
        let mut any = false;
        while let Some(&byte) = self.bytes.get(at) {
            let raw = self.raw(at..at).start;
            if let Some((taken, (text, n_text))) = undo(&self.bytes[at..]) {
                any = true;
                bytes.extend_from_slice(&text[..n_text]);
                from.extend(std::iter::repeat_n(raw, n_text));
                at += taken;
            } else {
                bytes.push(byte);
                from.push(raw);
                at += 1;
            }
        }
        from.push(self.raw(at..at).start);
        any.then_some(View { bytes: Cow::Owned(bytes), from, form })
    }
}

/// Units that follow each other before they count as bytes that were printed one by one: six numbers in a row are no accident.
const UNITS_MIN: usize = 6;

impl View<'_> {
    /// Reads rows of units, such as `73 6b 2d`, as the bytes that they stand for; `None` when there is none.
    fn rows(&self, unit: Undo, form: Form) -> Option<View<'static>> {
        let mut bytes = Vec::new();
        let mut from = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let is_start = at == 0 || !self.bytes[at - 1].is_ascii_alphanumeric();
            let mut row = Vec::new();
            let mut end = at;
            while is_start && let Some((taken, (text, _))) = unit(&self.bytes[end..]) {
                row.push((end, text[0]));
                end += taken;
            }
            if row.len() >= UNITS_MIN {
                for (place, byte) in row {
                    bytes.push(byte);
                    from.push(self.raw(place..place).start);
                }
                // What follows is not a part of it.
                bytes.push(b' ');
                from.push(self.raw(end..end).start);
            }
            at = end.max(at + 1);
        }
        from.push(self.raw(self.bytes.len()..self.bytes.len()).start);
        (!bytes.is_empty()).then_some(View { bytes: Cow::Owned(bytes), from, form })
    }
}

/// Looks at a text through every view that differs from the others, one after the other: of a long log, few copies exist at
/// a time.
pub(super) fn each(raw: &[u8], mut look: impl FnMut(&View<'_>)) {
    let plain = View { bytes: Cow::Borrowed(raw), from: Vec::new(), form: Form::Plain };
    look(&plain);
    if let Some(percent) = plain.undone(percent, Form::Percent) {
        look(&percent);
        percent.undone(backslash, Form::EscapedTwice).iter().for_each(&mut look);
        percent.undone(form_field, Form::EscapedTwice).iter().for_each(&mut look);
    }
    plain.undone(form_field, Form::Percent).iter().for_each(&mut look);
    if let Some(once) = plain.undone(backslash, Form::Escaped) {
        look(&once);
        for undo in [percent, form_field, entity] {
            once.undone(undo, Form::EscapedTwice).iter().for_each(&mut look);
        }
        if let Some(twice) = once.undone(backslash, Form::EscapedTwice) {
            look(&twice);
            // Three times over: a log line in a JSON log in a JSON report.
            twice.undone(backslash, Form::EscapedTwice).iter().for_each(&mut look);
        }
    }
    plain.undone(entity, Form::Html).iter().for_each(&mut look);
    plain.undone(line_break, Form::Wrapped).iter().for_each(&mut look);
    if raw.contains(&0) {
        plain.undone(nul, Form::Wide).iter().for_each(&mut look);
    }
    plain.rows(hex_byte, Form::Hex).iter().for_each(&mut look);
    plain.rows(decimal_byte, Form::Numbers).iter().for_each(&mut look);
}

/// A line break with the white space round it; where a text was broken in two, also the quotes that end and begin its parts
/// (`'one' +\n  'two'`).
fn line_break(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    let quote = bytes.first().filter(|byte| matches!(byte, b'"' | b'\'')).copied();
    let mut at = usize::from(quote.is_some());
    while matches!(bytes.get(at), Some(b' ' | b'+' | b'\\' | b'\r')) && at <= LINE_END_MAX {
        at += 1;
    }
    if bytes.get(at) != Some(&b'\n') {
        return None;
    }
    at += 1 + bytes[at + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match quote {
        None => Some((at, ([0; 4], 0))),
        Some(quote) => (bytes.get(at) == Some(&quote)).then_some((at + 1, ([0; 4], 0))),
    }
}

/// What may stand between the end of a part and its line break.
const LINE_END_MAX: usize = 4;

/// The other half of what is ASCII in UTF-16.
fn nul(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    (bytes.first() == Some(&0)).then_some((1, ([0; 4], 0)))
}

/// `73 `, `73:`, `0x73, `: one of a row of bytes.
fn hex_byte(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    let prefix = if bytes.starts_with(b"0x") { 2 } else { 0 };
    let byte = number(bytes.get(prefix..prefix + 2)?, 16)?.try_into().ok()?;
    Some((prefix + 2 + separator(&bytes[prefix + 2..])?, one(byte)))
}

/// `115, `, `115 `: one of a row of bytes.
fn decimal_byte(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    let digits = bytes.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let byte = number(&bytes[..digits], 10)?.try_into().ok()?;
    Some((digits + separator(&bytes[digits..])?, one(byte)))
}

/// Returns how long what stands between two bytes of a row is; nothing at its end.
fn separator(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take(LINE_END_MAX)
        .take_while(|byte| matches!(byte, b' ' | b',' | b':' | b'-' | b'\n'))
        .count();
    let is_end = bytes.first().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (length > 0 || is_end).then_some(length)
}

/// `%2F`.
fn percent(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    let [b'%', high, low, ..] = *bytes else { return None };
    Some((3, one(number(&[high, low], 16)?.try_into().ok()?)))
}

/// `%2F`, and `+` for a space.
fn form_field(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    if bytes.first() == Some(&b'+') { Some((1, one(b' '))) } else { percent(bytes) }
}

/// `\n`, `\"`, `\/`, `\x41`, `\u0041`, `\ud83d\ude00`, `\u{1f600}`.
fn backslash(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    let [b'\\', kind, rest @ ..] = bytes else { return None };
    Some(match kind {
        b'n' => (2, one(b'\n')),
        b'r' => (2, one(b'\r')),
        b't' => (2, one(b'\t')),
        b'b' => (2, one(8)),
        b'f' => (2, one(12)),
        b'"' | b'\'' | b'\\' | b'/' => (2, one(*kind)),
        b'x' => (4, one(number(rest.get(..2)?, 16)?.try_into().ok()?)),
        b'u' if rest.first() == Some(&b'{') => {
            let n_digits = rest.iter().take(DIGITS_MAX + 2).position(|byte| *byte == b'}')? - 1;
            (4 + n_digits, utf8(number(&rest[1..=n_digits], 16)?)?)
        }
        b'u' => unicode(rest)?,
        // `\303\251`, as C and Protocol Buffers' text format write it.
        b'0'..=b'3' => {
            let digits = [*kind, *rest.first()?, *rest.get(1)?];
            (4, one(number(&digits, 8)?.try_into().ok()?))
        }
        _ => return None,
    })
}

/// What follows `\u`, with a second escape where it takes two.
fn unicode(rest: &[u8]) -> Option<(usize, Unescaped)> {
    let first = number(rest.get(..4)?, 16)?;
    if let Some(text) = utf8(first) {
        return Some((6, text));
    }
    let [b'\\', b'u', second @ ..] = rest.get(4..)? else { return None };
    let second = number(second.get(..4)?, 16)?;
    let high = first.checked_sub(0xd800).filter(|high| *high < 0x400)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((12, utf8(0x1_0000 + high * 0x400 + low)?))
}

/// `&amp;`, `&#39;`, `&#x27;`.
fn entity(bytes: &[u8]) -> Option<(usize, Unescaped)> {
    /// The longest of ours: `&#x10ffff;`.
    const LEN_MAX: usize = 10;
    let [b'&', rest @ ..] = bytes else { return None };
    let end = rest.iter().take(LEN_MAX).position(|byte| *byte == b';')?;
    let text = match &rest[..end] {
        b"amp" => one(b'&'),
        b"lt" => one(b'<'),
        b"gt" => one(b'>'),
        b"quot" => one(b'"'),
        b"apos" => one(b'\''),
        b"nbsp" => one(b' '),
        [b'#', b'x' | b'X', digits @ ..] => utf8(number(digits, 16)?)?,
        [b'#', digits @ ..] => utf8(number(digits, 10)?)?,
        _ => return None,
    };
    Some((end + 2, text))
}

/// No escape has more digits than that.
const DIGITS_MAX: usize = 8;

/// Reads a number of at most [`DIGITS_MAX`] digits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    })
}

fn one(byte: u8) -> Unescaped {
    ([byte, 0, 0, 0], 1)
}

fn utf8(code: u32) -> Option<Unescaped> {
    let mut text = [0; 4];
    let n_text = char::from_u32(code)?.encode_utf8(&mut text).len();
    Some((text, n_text))
}
