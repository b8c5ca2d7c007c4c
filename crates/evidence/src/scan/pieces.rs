//! What of a needle is searched for: the whole, telling parts, and their encodings.
//!
//! Credentials
//! - shorter than [`CREDENTIAL_MIN`] characters: not at all, see `Scanner::unsearchable`;
//! - shorter than [`SUBSTRING_MIN`], or one short word in small letters (`postgres`): only standing alone, as a whole word;
//! - else: the whole anywhere, and *badly masked*: the first and the last [`LEFT_BY_MASK`] characters of its body, each alone.
//!   The body is what follows a public prefix such as `sk-proj-`: that says nothing. A mask that leaves up to seven characters
//!   of the body at either end is accepted (providers themselves echo keys as `sk-abcd****wxyz`). Where these characters
//!   look like words and not like chance, twice as many are asked for, so that a test key named `simulated-provider-key` does
//!   not match ordinary prose.
//!
//! Prompts and completions
//! - windows of [`WINDOW`] characters, from the beginning of the text and of each line and sentence, and the last ones: any
//!   log that keeps twice that many characters in a row, or the first [`WINDOW`], is found. A match is then widened as far as
//!   it goes.
//! - shorter texts: whole from [`TEXT_MIN`] characters on; when they look like a label (`ssm-f01234`), from [`LABEL_MIN`] on, as the
//!   beginning of a word: what all markers of a run begin with is a needle for all of them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{Form, Needle, NeedleKind};

/// Four or five characters stand in half of all log lines by chance or by language (`test`, `dummy`).
const CREDENTIAL_MIN: usize = 6;
/// From here on a credential is looked for inside of words, too.
const SUBSTRING_MIN: usize = 8;
/// Eight characters of chance are 47 bits and do not occur by accident; seven at each end are still a usual mask.
const LEFT_BY_MASK: usize = 8;
/// A row of so many characters that begins at every sixth: what leaves seventeen in a row is no mask.
const LEFT_IN_MIDDLE: usize = 12;
/// A body has to be this much longer than a part of it: else the part is as good as the whole.
const HIDDEN_MIN: usize = 4;
/// Shorter wordings ("Release check.") occur in logs that quote no prompt.
const WINDOW: usize = 24;
/// The shortest text that is looked for whatever it says.
const TEXT_MIN: usize = 12;
/// The shortest label: a digit in it, no white space.
const LABEL_MIN: usize = 6;
/// Windows of one text at most: 24 KiB of it; who logs a long text logs its beginning.
const WINDOWS_MAX: usize = 1024;
/// Different letters and digits that a window must have: a ruler of dashes is no prompt.
const WINDOW_DISTINCT_MIN: usize = 6;

/// Bytes that are searched for.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// The index of the needle.
    pub(super) needle: usize,
    pub(super) form: Form,
    /// Where these bytes stand in the needle (trimmed), for pieces that are not encoded.
    pub(super) offset: Option<usize>,
    pub(super) stands: Stands,
    /// Whether capitals matter: those of a prompt do not.
    pub(super) is_exact: bool,
}

/// Where a piece counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stands {
    /// Anywhere.
    Anywhere,
    /// Where no letter, digit, `-` or `_` comes before it.
    AtStart,
    /// Where none comes before or behind it.
    Alone,
}

/// A part of a needle's text.
pub(super) struct Part<'t> {
    text: &'t str,
    offset: usize,
    form: Form,
    stands: Stands,
    encoded: bool,
}

/// Returns the parts of a needle that are searched for; none when it is too short.
pub(super) fn of(needle: &Needle) -> Vec<Part<'_>> {
    let text = needle.value.expose().trim();
    match needle.kind {
        NeedleKind::Credential => credential(text),
        NeedleKind::Prompt | NeedleKind::Completion => wording(text),
    }
}

/// Returns the pieces of all needles with their encodings. Equal bytes are one piece; the first needle has them.
pub(super) fn of_all(needles: &[Needle]) -> Vec<Piece> {
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut pieces: Vec<Piece> = Vec::new();
    for (index, needle) in needles.iter().enumerate() {
        for part in of(needle) {
            let plain = (part.text.as_bytes().to_vec(), part.form, Some(part.offset), part.stands);
            let encoded = if part.encoded { encodings(part.text) } else { Vec::new() };
            let encoded =
                encoded.into_iter().map(|(bytes, form)| (bytes, form, None, Stands::Anywhere));
            for (bytes, form, offset, stands) in std::iter::once(plain).chain(encoded) {
                if let Some(&at) = known.get(&bytes) {
                    // Two needles ask for it: the one that asks for more wins.
                    pieces[at].stands = pieces[at].stands.min(stands);
                    continue;
                }
                known.insert(bytes.clone(), pieces.len());
                let is_exact = form == Form::Base64 || needle.kind == NeedleKind::Credential;
                pieces.push(Piece { bytes, needle: index, form, offset, stands, is_exact });
            }
        }
    }
    pieces
}

fn credential(text: &str) -> Vec<Part<'_>> {
    let n_chars = text.chars().count();
    if n_chars < CREDENTIAL_MIN {
        return Vec::new();
    }
    let is_word = n_chars < 2 * LEFT_BY_MASK && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let encoded = n_chars >= SUBSTRING_MIN;
    let stands = if is_word || !encoded { Stands::Alone } else { Stands::Anywhere };
    let mut parts = vec![Part { text, offset: 0, form: Form::Plain, stands, encoded }];
    // The lines of a key file; a line alone is as bad as all of them.
    if text.contains('\n') {
        parts.extend(
            text.lines()
                .filter(|line| line.trim().len() >= WINDOW && !line.starts_with("-----"))
                .map(|line| part(text, line.trim(), Form::Part)),
        );
        return parts;
    }
    let body = body(text);
    for from_end in [false, true] {
        let telling = cut(body, LEFT_BY_MASK, from_end);
        let n_left =
            if looks_random(telling) { LEFT_BY_MASK } else { LEFT_BY_MASK.saturating_mul(2) };
        if body.chars().count() >= n_left + HIDDEN_MIN {
            parts.push(part(text, cut(body, n_left, from_end), Form::Part));
        }
    }
    parts.extend(middle(body).map(|window| part(text, window, Form::Part)));
    parts
}

/// Returns windows over a long body, for masks that hide both ends and leave what is between.
fn middle(body: &str) -> impl Iterator<Item = &str> {
    let is_long = body.len() >= 2 * LEFT_IN_MIDDLE && body.is_ascii();
    let starts = (LEFT_IN_MIDDLE / 2..body.len()).step_by(LEFT_IN_MIDDLE / 2);
    starts
        .filter_map(|start| body.get(start..start + LEFT_IN_MIDDLE))
        .filter(move |window| is_long && looks_random(window))
        .take(WINDOWS_MAX)
}

fn wording(text: &str) -> Vec<Part<'_>> {
    let n_chars = text.chars().count();
    if n_chars < WINDOW {
        let is_label = !text.contains(char::is_whitespace)
            && ((n_chars >= LABEL_MIN && text.contains(|c: char| c.is_ascii_digit()))
                || (n_chars >= SUBSTRING_MIN && text.contains(['-', '_'])));
        let is_text = n_chars >= TEXT_MIN && is_telling(text, LABEL_MIN);
        if !is_label && !is_text {
            return Vec::new();
        }
        // At the start only: a label may be what many labels begin with.
        let stands = if n_chars < TEXT_MIN { Stands::AtStart } else { Stands::Anywhere };
        let encoded = n_chars >= SUBSTRING_MIN;
        return vec![Part { text, offset: 0, form: Form::Plain, stands, encoded }];
    }
    let mut windows: Vec<&str> = windows(text).collect();
    windows.push(cut(text, WINDOW, true));
    for sentence in text.split(['\n', '.', '!', '?', ';']).map(str::trim) {
        if sentence.chars().count() >= WINDOW {
            windows.push(cut(sentence, WINDOW, false));
            windows.push(cut(sentence, WINDOW, true));
        }
    }
    windows
        .into_iter()
        .filter(|window| is_telling(window, WINDOW_DISTINCT_MIN))
        .take(WINDOWS_MAX)
        .map(|window| part(text, window, Form::Part))
        .collect()
}

/// Cuts a text into windows, one after the other; a shorter rest is left out.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let window = cut(rest, WINDOW, false);
        rest = &rest[window.len()..];
        (window.chars().count() == WINDOW).then_some(window)
    })
}

fn part<'t>(whole: &'t str, text: &'t str, form: Form) -> Part<'t> {
    // Both are slices of one string, so the difference of their places is the offset.
    let offset = text.as_ptr().addr() - whole.as_ptr().addr();
    Part { text, offset, form, stands: Stands::Anywhere, encoded: true }
}

/// Returns the first or the last characters.
fn cut(text: &str, n_chars: usize, from_end: bool) -> &str {
    if from_end {
        let at = text.char_indices().rev().take(n_chars).last().map_or(text.len(), |(at, _)| at);
        &text[at..]
    } else {
        let end = text.char_indices().nth(n_chars).map_or(text.len(), |(at, _)| at);
        &text[..end]
    }
}

/// Returns a credential without its public prefix: up to three short groups such as `sk-`, `proj-`, `api03-`, while enough is
/// left behind them.
fn body(text: &str) -> &str {
    const GROUPS_MAX: usize = 3;
    const GROUP_LEN_MAX: usize = 7;
    let mut body = text.strip_prefix("Bearer ").unwrap_or(text);
    for _ in 0..GROUPS_MAX {
        let Some((group, rest)) = body.split_once(['-', '_']) else { break };
        let is_public = group.len() <= GROUP_LEN_MAX
            && group.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_public || rest.chars().count() < LEFT_BY_MASK + HIDDEN_MIN {
            break;
        }
        body = rest;
    }
    body
}

/// Tells whether a text has the looks of chance: digits among letters, or capitals inside of a word.
pub(super) fn looks_random(text: &str) -> bool {
    let has = |test: fn(char) -> bool| text.contains(test);
    let has_letter = has(|c| c.is_ascii_alphabetic());
    let inner_capital = text.chars().skip(1).any(|c| c.is_ascii_uppercase());
    (has_letter && has(|c| c.is_ascii_digit()))
        || (inner_capital && has(|c| c.is_ascii_lowercase()))
}

/// Tells whether a text has enough different letters and digits to be found by. What is not ASCII counts as well: who prints it
/// by chance?
fn is_telling(text: &str, n_distinct_min: usize) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    seen.extend(text.chars().filter(|c| c.is_alphanumeric() || !c.is_ascii()));
    seen.len() >= n_distinct_min
}

/// Returns the encodings of a text: base64 in both alphabets at the three alignments, and hexadecimal in both cases.
fn encodings(text: &str) -> Vec<(Vec<u8>, Form)> {
    let mut out = Vec::with_capacity(8);
    for alignment in 0..3 {
        let mut padded = Zeroizing::new(vec![0_u8; alignment]);
        padded.extend_from_slice(text.as_bytes());
        // Characters that also depend on neighbours are left out: six bits each, so the first ones and at most one last.
        let first = [0, 2, 3][alignment];
        let end = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&*padded);
            out.push((encoded.as_bytes()[first..end].to_vec(), Form::Base64));
        }
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let hex = text
            .bytes()
            .flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        out.push((hex.collect(), Form::Hex));
    }
    out
}
