//! Finds what must not be written down, in every form in which it could hide, and redacts text.
//!
//! One search automaton holds each needle plain, in base64 and in hexadecimal (`pieces`). Escapes (percent, JSON, HTML) are
//! not searched but undone: the text is looked at through several *views* (`views`), each mapped back to the bytes as they
//! stand. So a prompt that is JSON-escaped twice, or percent-encoded letter by letter, is found like a plain one.
//!
//! Matches may overlap: what is redacted is the union of all of them. Replacing one by one would leave the tail of the longer
//! of two secrets with a common beginning.
//!
//! The automaton necessarily keeps the needles in memory, and that memory is not wiped; nothing of it is ever formatted.

mod pieces;
mod tokens;
mod views;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};

use self::pieces::{Piece, Stands};
use self::views::View;
use crate::Sensitive;

/// Hits of one scan that are reported at most: one is enough to withhold a record, and a report of more helps nobody.
const HITS_MAX: usize = 10_000;

/// What a needle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NeedleKind {
    /// A credential: also looked for badly masked.
    Credential,
    /// A prompt: also looked for in parts.
    Prompt,
    /// A completion: also looked for in parts.
    Completion,
}

impl NeedleKind {
    /// Returns the word used in reports and in place of what was redacted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Prompt => "prompt",
            Self::Completion => "completion",
        }
    }
}

/// A text that must not be written down.
#[derive(Clone, Debug)]
pub struct Needle {
    /// What it is.
    pub kind: NeedleKind,
    /// Its name for reports, for example `secret COMETAPI_API_KEY of rollback`.
    pub name: String,
    /// The text.
    pub value: Sensitive,
}

impl Needle {
    /// Makes a needle.
    pub fn new(kind: NeedleKind, name: impl Into<String>, value: Sensitive) -> Self {
        Self { kind, name: name.into(), value }
    }
}

/// In which form a needle was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64, standard or URL-safe, at any alignment.
    Base64,
    /// In hexadecimal.
    Hex,
    /// With percent escapes.
    Percent,
    /// With JSON or similar backslash escapes.
    Escaped,
    /// With backslash escapes twice over, or together with percent escapes.
    EscapedTwice,
    /// With HTML entities.
    Html,
    /// Broken over several lines.
    Wrapped,
    /// In UTF-16.
    Wide,
    /// As the numbers of its bytes.
    Numbers,
    /// A part of it as it is: of a credential, what a bad mask left; of a text, some words.
    Part,
    /// Not one of the needles, but it looks like a token: `sk-…`, a bearer token, a JWT.
    TokenPattern,
}

impl Form {
    /// Returns the words used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Part => "in part or badly masked",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Percent => "percent-encoded",
            Self::Escaped => "escaped",
            Self::EscapedTwice => "escaped twice",
            Self::Html => "HTML-escaped",
            Self::Wrapped => "over several lines",
            Self::Wide => "in UTF-16",
            Self::Numbers => "as numbers of bytes",
            Self::TokenPattern => "looks like a token",
        }
    }
}

/// A place where a needle stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What the needle is.
    pub kind: NeedleKind,
    /// The needle's name.
    pub name: String,
    /// In which form.
    pub form: Form,
    /// Where, in bytes.
    pub at: Range<usize>,
}

/// Text out of which everything that must not be written down was taken. Only [`Scanner::redact`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as a `String`.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Finds needles and redacts them. Cloning is cheap; adding builds only what is new.
#[derive(Clone, Default)]
pub struct Scanner {
    /// Sorted by size, the largest first, each more than twice as large as the next: see [`Scanner::add`].
    segments: Vec<Arc<Segment>>,
    unsearchable: Vec<String>,
}

/// A place where a needle stands.
struct Found {
    /// The indices of its segment and of itself in it.
    needle: (usize, usize),
    form: Form,
    at: Range<usize>,
}

/// Some needles with their automaton.
struct Segment {
    needles: Vec<Needle>,
    pieces: Vec<Piece>,
    automaton: AhoCorasick,
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_needles: usize = self.segments.iter().map(|segment| segment.needles.len()).sum();
        write!(f, "Scanner({n_needles} needles)")
    }
}

impl Scanner {
    /// Makes a scanner for these needles.
    pub fn new(needles: impl IntoIterator<Item = Needle>) -> Self {
        let mut scanner = Self::default();
        scanner.add(needles);
        scanner
    }

    /// Adds needles. Segments of like size are merged, so that a run with a thousand asks neither rebuilds everything for each
    /// of them nor scans a thousand times.
    pub fn add(&mut self, needles: impl IntoIterator<Item = Needle>) {
        let mut fresh = Vec::new();
        for needle in needles {
            if pieces::of(&needle).is_empty() {
                if !needle.value.expose().trim().is_empty()
                    && !self.unsearchable.contains(&needle.name)
                {
                    self.unsearchable.push(needle.name);
                }
            } else {
                fresh.push(needle);
            }
        }
        if fresh.is_empty() {
            return;
        }
        while let Some(last) = self.segments.pop_if(|last| last.needles.len() <= 2 * fresh.len()) {
            fresh.splice(0..0, last.needles.iter().cloned());
        }
        self.segments.push(Arc::new(Segment::new(fresh)));
    }

    /// Returns the names of needles that are too short or too ordinary to be looked for: searching for them would flood every
    /// report. What holds such a credential cannot be shown to be free of it.
    pub fn unsearchable(&self) -> &[String] {
        &self.unsearchable
    }

    /// Returns where needles stand in these bytes, in order. Overlapping hits of one needle are one hit; of very many, the first
    /// ten thousand are returned.
    pub fn scan(&self, bytes: &[u8]) -> Vec<Hit> {
        self.find(bytes)
            .into_iter()
            .take(HITS_MAX)
            .map(|found| {
                let needle = self.needle(&found);
                Hit { kind: needle.kind, name: needle.name.clone(), form: found.form, at: found.at }
            })
            .collect()
    }

    /// Finds all needles, however many.
    fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut all = Vec::new();
        views::each(bytes, |view| {
            for (index, segment) in self.segments.iter().enumerate() {
                segment.find(index, view, &mut all);
            }
        });
        // By needle first, so that the hits of each can be joined where they touch.
        all.sort_unstable_by_key(|found| (found.needle, found.at.start, found.at.end));
        all.dedup_by(|later, found| {
            let touches = later.needle == found.needle && later.at.start <= found.at.end;
            if touches {
                found.at.end = found.at.end.max(later.at.end);
                found.form = found.form.min(later.form);
            }
            touches
        });
        all.sort_by_key(|found| (found.at.start, found.at.end));
        all
    }

    fn needle(&self, found: &Found) -> &Needle {
        let (segment, needle) = found.needle;
        &self.segments[segment].needles[needle]
    }

    /// Returns where unknown tokens stand in these bytes, known by their looks: `sk-…`, bearer tokens, JWTs.
    pub fn tokens(&self, bytes: &[u8]) -> Vec<Hit> {
        tokens::certain(bytes)
            .into_iter()
            .map(|at| Hit {
                kind: NeedleKind::Credential,
                name: "an unknown token".to_owned(),
                form: Form::TokenPattern,
                at,
            })
            .collect()
    }

    /// Replaces everything that must not be written down, and whatever looks like a token.
    pub fn redact(&self, text: &str) -> Redacted {
        let mut holes: Vec<(Range<usize>, &'static str)> = self
            .find(text.as_bytes())
            .into_iter()
            .map(|found| {
                let word = self.needle(&found).kind.as_str();
                (found.at, word)
            })
            .chain(tokens::likely(text.as_bytes()).into_iter().map(|at| (at, "token")))
            .map(|(at, word)| (on_boundaries(text, at), word))
            .collect();
        holes.sort_by_key(|(at, _)| (at.start, at.end));
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        let mut holes = holes.into_iter().peekable();
        while let Some((mut at, mut word)) = holes.next() {
            while let Some((next, next_word)) = holes.next_if(|(next, _)| next.start < at.end) {
                at.end = at.end.max(next.end);
                // A credential inside of a prompt is named as what is worse.
                if next_word == NeedleKind::Credential.as_str() || word == "token" {
                    word = next_word;
                }
            }
            out.push_str(&text[done..at.start]);
            out.push_str("[redacted:");
            out.push_str(word);
            out.push(']');
            done = at.end;
        }
        out.push_str(&text[done..]);
        Redacted(out)
    }
}

impl Segment {
    fn new(needles: Vec<Needle>) -> Self {
        let pieces = pieces::of_all(&needles);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // Texts are found in capitals too; whatever has to be exact is compared once more.
            .ascii_case_insensitive(true)
            .build(pieces.iter().map(|piece| piece.bytes.as_slice()))
            .expect("the number and length of pieces is capped far below 2^31 states");
        Self { needles, pieces, automaton }
    }

    fn find(&self, segment: usize, view: &View<'_>, all: &mut Vec<Found>) {
        for found in self.automaton.find_overlapping_iter(view.bytes()) {
            let piece = &self.pieces[found.pattern().as_usize()];
            let mut range = found.start()..found.end();
            let is_it = !piece.is_exact || view.bytes()[range.clone()] == *piece.bytes;
            if !is_it || !stands(piece.stands, view.bytes(), &range) {
                continue;
            }
            if let Some(offset) = piece.offset {
                let text = self.needles[piece.needle].value.expose().trim().as_bytes();
                range = extended(view.bytes(), range, text, offset);
            }
            let form = if piece.form == Form::Plain { view.form() } else { piece.form };
            let (at, needle) = (view.raw(range), (segment, piece.needle));
            // The pieces of one text follow each other; without this, each of them would be kept.
            if let Some(last) = all.last_mut()
                && last.needle == needle
                && last.at.start <= at.start
                && at.start <= last.at.end
            {
                last.at.end = last.at.end.max(at.end);
                last.form = last.form.min(form);
                continue;
            }
            all.push(Found { needle, form, at });
        }
    }
}

/// Widens a match of a part as far as the text goes on as the needle does, so that no rest of it stays.
fn extended(bytes: &[u8], range: Range<usize>, needle: &[u8], offset: usize) -> Range<usize> {
    let before = bytes[..range.start].iter().rev().zip(needle[..offset].iter().rev());
    let start = range.start - before.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let rest = needle.get(offset + range.len()..).unwrap_or_default();
    let after = bytes[range.end..].iter().zip(rest);
    let end = range.end + after.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    start..end
}

/// Tells whether a match stands where it counts.
fn stands(wanted: Stands, bytes: &[u8], range: &Range<usize>) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let before = range.start.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(is_word);
    let behind = bytes.get(range.end).is_some_and(is_word);
    match wanted {
        Stands::Anywhere => true,
        Stands::AtStart => !before,
        Stands::Alone => !before && !behind,
    }
}

/// Widens a range to whole characters.
fn on_boundaries(text: &str, at: Range<usize>) -> Range<usize> {
    let start = (0..=at.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (at.end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    start..end
}

/// A scanner that is added to while a run goes on: each ask brings its prompt and its label, each answer its completion.
#[derive(Clone, Debug, Default)]
pub struct SharedScanner(Arc<RwLock<Scanner>>);

impl SharedScanner {
    /// Shares a scanner.
    pub fn new(scanner: Scanner) -> Self {
        Self(Arc::new(RwLock::new(scanner)))
    }

    /// Adds needles; every snapshot taken from now on has them.
    pub fn add(&self, needles: impl IntoIterator<Item = Needle>) {
        // A scanner is whole between its statements: a panic elsewhere has not spoilt it.
        self.0.write().unwrap_or_else(PoisonError::into_inner).add(needles);
    }

    /// Returns the scanner as it is now.
    pub fn snapshot(&self) -> Scanner {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Scans with what is known now.
    pub fn scan(&self, bytes: &[u8]) -> Vec<Hit> {
        self.snapshot().scan(bytes)
    }

    /// Redacts with what is known now.
    pub fn redact(&self, text: &str) -> Redacted {
        self.snapshot().redact(text)
    }
}

#[cfg(test)]
mod tests;
