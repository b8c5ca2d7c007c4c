//! Recognises a document that repeats an earlier one but for a few strings and numbers, which is most of a stream.
//!
//! A template is a document that was read in full, with holes where its successors may differ. Whatever fits it is valid JSON of
//! the same structure: all bytes outside of the holes are the same, a string hole takes a string that is not empty and has no
//! half of a surrogate pair, a number hole takes digits. What does not fit is for the parser, so that a miss costs time only.

use std::ops::Range;

use super::parser::string_end;
use super::{Value, unescape_into};

/// Most templates kept: choices and items that come in turns have one each.
const TEMPLATES_MAX: usize = 8;
/// Longest document kept as a template.
const DOCUMENT_BYTES_MAX: usize = 4096;
/// Longest number taken by a hole; all of them fit an `i64`.
const DIGITS_MAX: usize = 18;

/// What a hole takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    /// The text that goes on.
    Text,
    /// A string that nobody reads, such as padding against traffic analysis.
    Padding,
    /// The number that goes on.
    Number,
    /// A time in whole seconds: ten digits, so that it stays within its limits.
    Time,
}

/// The holes of a document that may become a template.
#[derive(Debug, Default)]
pub(crate) struct Holes(Vec<(Range<usize>, Hole)>);

impl Holes {
    /// Adds a hole at a value; returns whether the value may be one.
    pub(crate) fn add(&mut self, value: Value<'_>, hole: Hole) -> bool {
        let Some(span) = value.span() else { return false };
        let fits = match hole {
            Hole::Text | Hole::Padding => value.text().is_some() && !span.is_empty(),
            Hole::Number => value.integer().is_some_and(|number| number >= 0),
            Hole::Time => span.len() == 10 && value.integer().is_some_and(|number| number > 0),
        };
        if fits {
            self.0.push((span, hole));
        }
        fits
    }
}

#[derive(Debug)]
struct Template<T> {
    name: String,
    data: Vec<u8>,
    /// In the order of the document.
    holes: Vec<(Range<usize>, Hole)>,
    meaning: T,
    /// Which template fitted after this one, the last time.
    next: usize,
}

/// The last few templates of a stream.
#[derive(Debug)]
pub(crate) struct Templates<T> {
    kept: Vec<Template<T>>,
    /// Which one fitted last.
    last: usize,
    /// Which one is replaced next.
    oldest: usize,
    unescaped: String,
}

impl<T> Default for Templates<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), last: 0, oldest: 0, unescaped: String::new() }
    }
}

/// What a document holds that fits a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fit<'f, T> {
    /// What the template was kept with.
    pub(crate) meaning: T,
    /// The text in the hole for it, unescaped.
    pub(crate) text: &'f str,
    /// The number in the hole for it.
    pub(crate) number: Option<i64>,
}

/// The insides of the holes.
struct Inside<'d> {
    text: &'d str,
    has_escape: bool,
    number: Option<i64>,
}

impl<T: Copy> Templates<T> {
    /// Forgets all: something happened on which the meaning of a repetition may depend.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        (self.last, self.oldest) = (0, 0);
    }

    /// Keeps a document that was read in full. It must have one text hole, no key twice, and no half of a surrogate pair.
    pub(crate) fn keep(&mut self, name: &str, data: &[u8], holes: Holes, meaning: T) {
        if data.len() > DOCUMENT_BYTES_MAX {
            return;
        }
        let mut holes = holes.0;
        holes.sort_unstable_by_key(|(span, _)| span.start);
        if self.kept.len() < TEMPLATES_MAX {
            self.last = self.kept.len();
            let next = self.last;
            let (name, data) = (name.to_owned(), data.to_owned());
            return self.kept.push(Template { name, data, holes, meaning, next });
        }
        self.last = self.oldest;
        self.oldest = (self.oldest + 1) % TEMPLATES_MAX;
        if let Some(template) = self.kept.get_mut(self.last) {
            name.clone_into(&mut template.name);
            template.data.clear();
            template.data.extend_from_slice(data);
            template.holes = holes;
            template.meaning = meaning;
            template.next = self.last;
        }
    }

    /// Returns what a document holds that fits one of the templates.
    pub(crate) fn fit<'f>(&'f mut self, name: &str, data: &'f [u8]) -> Option<Fit<'f, T>> {
        let guess = self.kept.get(self.last)?.next;
        let of = |place: usize| {
            let template = self.kept.get(place)?;
            Some((place, template.meaning, template.inside(name, data)?))
        };
        let others = (0..self.kept.len()).filter(|place| *place != guess);
        let (place, meaning, inside) = of(guess).or_else(|| others.into_iter().find_map(of))?;
        if place != guess
            && let Some(last) = self.kept.get_mut(self.last)
        {
            last.next = place;
        }
        self.last = place;
        let text = if inside.has_escape {
            self.unescaped.clear();
            unescape_into(&mut self.unescaped, inside.text);
            &self.unescaped
        } else {
            inside.text
        };
        Some(Fit { meaning, text, number: inside.number })
    }
}

impl<T> Template<T> {
    fn inside<'d>(&self, name: &str, data: &'d [u8]) -> Option<Inside<'d>> {
        let mut inside = Inside { text: "", has_escape: false, number: None };
        let mut rest = data;
        let mut from = 0;
        for (span, hole) in &self.holes {
            rest = rest.strip_prefix(self.data.get(from..span.start)?)?;
            from = span.end;
            let end = match hole {
                Hole::Text => {
                    let (end, has_escape) = string_end(rest)?;
                    inside.text = std::str::from_utf8(rest.get(..end)?).ok()?;
                    inside.has_escape = has_escape;
                    end
                }
                Hole::Padding => {
                    let (end, _) = string_end(rest)?;
                    let padding = rest.get(..end)?;
                    let is_text = padding.is_ascii() || std::str::from_utf8(padding).is_ok();
                    is_text.then_some(end)?
                }
                Hole::Number => {
                    let (end, number) = digits(rest)?;
                    inside.number = Some(number);
                    end
                }
                // Mostly the same, and then nothing is counted.
                Hole::Time if rest.starts_with(self.data.get(span.clone())?) => span.len(),
                Hole::Time => {
                    digits(rest).filter(|(end, number)| *end == span.len() && *number > 0)?.0
                }
            };
            // An empty string is of another kind, and no number is none.
            rest = rest.get(end..).filter(|_| end > 0)?;
        }
        (rest == self.data.get(from..)? && name == self.name).then_some(inside)
    }
}

/// Returns where the digits end that `bytes` begins with, and their number.
fn digits(bytes: &[u8]) -> Option<(usize, i64)> {
    let mut number = 0i64;
    let mut end = 0;
    while let Some(byte @ b'0'..=b'9') = bytes.get(end) {
        if end == DIGITS_MAX {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
        end += 1;
    }
    let has_leading_zero = end > 1 && bytes.first() == Some(&b'0');
    (end > 0 && !has_leading_zero).then_some((end, number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Tape;

    const DOCUMENT: &str = r#"{"n":7,"t":"a\n","at":1780000000,"p":"xx","c":[1,"é"]}"#;

    fn templates() -> Templates<u8> {
        let mut tape = Tape::default();
        let value = tape.read(DOCUMENT.as_bytes()).unwrap();
        let mut holes = Holes::default();
        for (key, hole) in
            [("t", Hole::Text), ("p", Hole::Padding), ("n", Hole::Number), ("at", Hole::Time)]
        {
            assert!(holes.add(value.get(key).unwrap(), hole));
        }
        let mut templates = Templates::default();
        templates.keep("x", DOCUMENT.as_bytes(), holes, 1);
        templates
    }

    #[track_caller]
    fn check(from: &str, to: &str, expected: Option<(&str, i64)>) {
        let text = DOCUMENT.replacen(from, to, 1);
        let mut templates = templates();
        let fit = templates.fit("x", text.as_bytes());
        assert_eq!(
            fit.map(|fit| (fit.text.to_owned(), fit.number.unwrap())),
            expected.map(|(t, n)| (t.to_owned(), n)),
            "{text}"
        );
    }

    #[test]
    fn only_holes_may_differ() {
        check("", "", Some(("a\n", 7)));
        check(r"a\n", "世界", Some(("世界", 7)));
        check(r"a\n", r"\u00e9\\", Some(("é\\", 7)));
        check(":7", ":1234567", Some(("a\n", 1_234_567)));
        check("xx", r"\t", Some(("a\n", 7)));
        check("1780000000", "1790000000", Some(("a\n", 7)));
    }

    #[test]
    fn all_else_is_for_the_parser() {
        for (from, to) in [
            (r"a\n", ""),
            (r"a\n", r"\ud83d"),
            (r"a\n", r"\ud83d\ude00"),
            (r"a\n", r"\x"),
            (r"a\n", "\n"),
            (r"a\n", r"\u00"),
            (":7", ":"),
            (":7", ":07"),
            (":7", ":-7"),
            (":7", ":7.0"),
            (":7", ":7e1"),
            (":7", ":1234567890123456789"),
            ("1780000000", "178000000"),
            ("1780000000", "17800000000"),
            ("1780000000", "0780000000"),
            ("xx", ""),
            ("[1", "[2"),
            ("}", ""),
            ("}", "} "),
            (r#""n""#, r#""m""#),
        ] {
            check(from, to, None);
        }
        assert_eq!(templates().fit("y", DOCUMENT.as_bytes()), None);
        assert_eq!(
            templates().fit(
                "x",
                b"{\"n\":7,\"t\":\"\xff\",\"at\":1780000000,\"p\":\"xx\",\"c\":[1,\"\xc3\xa9\"]}"
            ),
            None
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        /// The parser must find the same structure and the same text in whatever fits.
        #[test]
        fn what_fits_is_what_the_parser_reads(at in 0usize..DOCUMENT.len(), n in 0usize..6, put in r#"[0-9a-e"\\nu,.\-é{}]{0,6}"#) {
            let mut bytes = DOCUMENT.as_bytes().to_vec();
            bytes.splice(at..(at + n).min(DOCUMENT.len()), put.bytes());
            let mut templates = templates();
            let Some(fit) = templates.fit("x", &bytes) else { return Ok(()) };
            let (mut tape, mut original) = (Tape::default(), Tape::default());
            let value = tape.read(&bytes).unwrap();
            prop_assert!(!value.has_lone_surrogate() && !value.has_duplicate_key());
            prop_assert_eq!(value.structure(), original.read(DOCUMENT.as_bytes()).unwrap().structure());
            prop_assert_eq!(value.get("t").unwrap().text().unwrap(), fit.text);
            prop_assert_eq!(value.get("n").unwrap().integer(), fit.number);
        }
    }
}
