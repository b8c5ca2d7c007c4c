//! What of a source counts: the text that a reader sees, and not how a page was built today.
//!
//! Of HTML that is the visible text without white space: of `main` where there is one, else of `article`, else of the whole page.
//! Scripts, styles, navigation, forms, times and all attributes are left out: build ids, nonces and "updated two hours ago" say
//! nothing about the contract. Of everything else it is the bytes, with a byte order mark left out and line ends made equal.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// A page with less text than this is the shell of one that a browser fills: its digest would never change.
pub(super) const VISIBLE_MIN: usize = 200;

/// How far to look for the beginning of a page.
const HEAD_BYTES: usize = 512;

/// Elements whose content is no part of the documentation.
const LEFT_OUT: [&[u8]; 16] = [
    b"aside",
    b"button",
    b"dialog",
    b"footer",
    b"form",
    b"head",
    b"iframe",
    b"nav",
    b"noscript",
    b"object",
    b"script",
    b"select",
    b"style",
    b"svg",
    b"template",
    b"time",
];

/// Returns whether bytes that nobody calls HTML begin as it does.
pub(super) fn looks_like_html(bytes: &[u8]) -> bool {
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

/// Returns the bytes of a text as they would be on any machine.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut normal = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\r' {
            normal.push(byte);
        } else if rest.peek() != Some(&b'\n') {
            normal.push(b'\n');
        }
    }
    normal
}

/// Returns the visible text of a page.
pub(super) fn visible(html: &[u8]) -> String {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.open(&tag),
            Token::EndTag(tag) => page.close(&tag.name),
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    let Page { main, article, all, .. } = page;
    [main, article].into_iter().find(|text| text.chars().count() >= VISIBLE_MIN).unwrap_or(all)
}

/// A page while it is read.
#[derive(Default)]
struct Page {
    /// The element that is being left out, and how often it is open.
    left_out: Option<(Vec<u8>, usize)>,
    n_main: usize,
    n_article: usize,
    main: String,
    article: String,
    all: String,
}

impl Page {
    fn open(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        match &mut self.left_out {
            Some((open, depth)) if open == name => *depth += 1,
            Some(_) => {}
            // Only of foreign elements does `/` close anything.
            None if name == b"svg" && tag.self_closing => {}
            None if LEFT_OUT.contains(&name) => self.left_out = Some((name.to_vec(), 1)),
            None if name == b"main" => self.n_main += 1,
            None if name == b"article" => self.n_article += 1,
            None if name == b"body" => self.left_out = None,
            None => {}
        }
    }

    fn close(&mut self, name: &[u8]) {
        match &mut self.left_out {
            Some((open, depth)) if open == name => {
                *depth -= 1;
                if *depth == 0 {
                    self.left_out = None;
                }
            }
            Some(_) => {}
            None if name == b"main" => self.n_main = self.n_main.saturating_sub(1),
            None if name == b"article" => self.n_article = self.n_article.saturating_sub(1),
            None => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.left_out.is_some() {
            return;
        }
        let is_seen = |c: &char| !c.is_whitespace() && !c.is_control() && !is_invisible(*c);
        let seen: String = text.chars().filter(is_seen).collect();
        if self.n_main > 0 {
            self.main.push_str(&seen);
        }
        if self.n_article > 0 {
            self.article.push_str(&seen);
        }
        self.all.push_str(&seen);
    }
}

/// Soft hyphens, joiners and marks that generators put into headings.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}
