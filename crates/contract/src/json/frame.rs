//! Recognises a whole document that repeats an earlier one but for its values.
//!
//! A frame is what stands between the values of a document: keys, punctuation, white space. Documents of one service mostly have
//! the frame of the one before, and then only the values between are read, by the parser itself. So a tape that was filled along a
//! frame is the one that the parser would have filled, and what does not fit is for the parser. A frame holds no value but `null`
//! and what is empty.

use super::parser::Parser;
use super::{Node, Tag, Tape, Value};

/// Longest frame kept; a reply with a few tool calls has two kilobytes.
const FRAME_BYTES_MAX: usize = 8 * 1024;

/// What a document has besides its values.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What stands around the holes, one piece after the other.
    pieces: Vec<u8>,
    holes: Vec<Hole>,
    /// Of the document that it was taken from.
    nodes: Vec<Node>,
    deepest: u32,
}

/// A value that may be another one of the same type.
#[derive(Clone, Copy, Debug)]
struct Hole {
    node: u32,
    tag: Tag,
    /// Where the piece before it ends, and its value began and ended.
    piece_end: u32,
    end: u32,
}

impl Frame {
    /// Takes the frame off a document that has no key twice.
    pub(crate) fn of(document: Value<'_>) -> Option<Self> {
        let (text, tape) = (document.text.as_bytes(), document.tape);
        let mut pieces = Vec::with_capacity(1024);
        let mut holes = Vec::with_capacity(32);
        let mut from = 0;
        for (index, node) in (0..).zip(&tape.nodes) {
            let quote = match node.tag {
                Tag::Text | Tag::TextEscaped if node.end > node.start => 1,
                Tag::Bool | Tag::Integer | Tag::Float => 0,
                Tag::Key
                | Tag::KeyEscaped
                | Tag::Null
                | Tag::Text
                | Tag::TextEscaped
                | Tag::Array
                | Tag::Object => continue,
            };
            let (start, end) = (node.start - quote, node.end + quote);
            pieces.extend_from_slice(text.get(from..start as usize)?);
            if pieces.len() > FRAME_BYTES_MAX {
                return None;
            }
            from = end as usize;
            let piece_end = u32::try_from(pieces.len()).ok()?;
            holes.push(Hole { node: index, tag: node.tag, piece_end, end });
        }
        pieces.extend_from_slice(text.get(from..)?);
        let is_kept = pieces.len() <= FRAME_BYTES_MAX && !tape.duplicate_key;
        is_kept.then(|| Self { pieces, holes, nodes: tape.nodes.clone(), deepest: tape.deepest })
    }

    /// Fills the tape from a text, if that has this frame.
    pub(crate) fn read(&self, text: &str, tape: &mut Tape) -> Option<()> {
        tape.clear();
        tape.nodes.extend_from_slice(&self.nodes);
        tape.deepest = self.deepest;
        let bytes = text.as_bytes();
        u32::try_from(bytes.len()).ok()?;
        let mut parser = Parser { text, bytes, tape };
        let mut place = Place { text: 0, piece: 0, node: 0, shift: 0 };
        for hole in &self.holes {
            place = self.piece(place, hole.piece_end, hole.node, &mut parser)?;
            let (tag, span, end) = parser.alike(place.text, hole.tag)?;
            let node = parser.tape.nodes.get_mut(hole.node as usize)?;
            (node.tag, node.start, node.end) = (tag, span.start, span.end);
            place.text = end;
            place.node += 1;
            place.shift = end.wrapping_sub(hole.end);
        }
        let n_nodes = u32::try_from(self.nodes.len()).ok()?;
        let piece_end = u32::try_from(self.pieces.len()).ok()?;
        let end = self.piece(place, piece_end, n_nodes, &mut parser)?;
        (end.text as usize == bytes.len()).then_some(())
    }

    /// Takes what is the same: the text of a piece, and the nodes in it, which only stand at another place.
    #[inline]
    fn piece(&self, from: Place, end: u32, node: u32, parser: &mut Parser<'_>) -> Option<Place> {
        let piece = self.pieces.get(from.piece as usize..end as usize)?;
        let rest = parser.bytes.get(from.text as usize..)?;
        if !rest.starts_with(piece) {
            return None;
        }
        for node in parser.tape.nodes.get_mut(from.node as usize..node as usize)? {
            node.start = node.start.wrapping_add(from.shift);
            node.end = node.end.wrapping_add(from.shift);
        }
        Some(Place { text: from.text + (end - from.piece), piece: end, node, shift: from.shift })
    }
}

/// How far a document and a frame have been compared.
#[derive(Clone, Copy, Debug)]
struct Place {
    text: u32,
    piece: u32,
    node: u32,
    /// How much later the document is than the one that the frame was taken from.
    shift: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: &str =
        r#"{"n":7,"t":"a\n", "f":-1.5e3,"b":true,"e":"","c":[1,"é",{}],"z":null} "#;

    /// Fills a tape along the frame of [`DOCUMENT`] and by the parser, and returns whether the frame fitted.
    fn check(text: &str) -> bool {
        let (mut original, mut along, mut by_parser) =
            (Tape::default(), Tape::default(), Tape::default());
        let frame = Frame::of(original.read(DOCUMENT.as_bytes()).unwrap()).unwrap();
        let fits = frame.read(text, &mut along).is_some();
        if fits {
            by_parser.read(text.as_bytes()).unwrap();
            assert_eq!(along.nodes, by_parser.nodes, "{text}");
            assert_eq!(along.lone_surrogate, by_parser.lone_surrogate, "{text}");
            assert_eq!(along.deepest, by_parser.deepest, "{text}");
            assert!(!by_parser.duplicate_key, "{text}");
        }
        fits
    }

    #[track_caller]
    fn check_change(from: &str, to: &str, expected: bool) {
        assert_eq!(check(&DOCUMENT.replacen(from, to, 1)), expected, "{from} {to}");
    }

    #[test]
    fn values_may_differ() {
        check_change("", "", true);
        for (from, to) in [
            (r"a\n", "世界"),
            (r"a\n", r"\ud83d\ude00 and \ud83d"),
            (":7", ":-1234567890123456789012"),
            ("-1.5e3", "0.25"),
            ("true", "false"),
            ("é", "plain and much longer than one block of bytes"),
        ] {
            check_change(from, to, true);
        }
    }

    #[test]
    fn all_else_is_for_the_parser() {
        for (from, to) in [
            (r"a\n", ""),
            (r"a\n", r"\x"),
            (":7", ":07"),
            (":7", ":7.0"),
            (":7", r#":"7""#),
            ("-1.5e3", "15"),
            ("true", "null"),
            ("true", "[]"),
            (r#""""#, r#""x""#),
            ("{}", r#"{"a":1}"#),
            ("[1,", "[1,2,"),
            ("null", "true"),
            ("\"n\"", "\"m\""),
            ("} ", "}"),
            ("} ", "} 1"),
        ] {
            check_change(from, to, false);
        }
    }

    #[test]
    fn a_frame_holds_no_value() {
        let mut tape = Tape::default();
        let frame = Frame::of(tape.read(DOCUMENT.as_bytes()).unwrap()).unwrap();
        let pieces = String::from_utf8_lossy(&frame.pieces);
        assert_eq!(pieces, r#"{"n":,"t":, "f":,"b":,"e":"","c":[,,{}],"z":null} "#);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn a_tape_along_a_frame_is_the_parsers(at in 0usize..DOCUMENT.len(), n in 0usize..6, put in r#"[0-9a-e"\\nu,.\-é{}\[\] ]{0,6}"#) {
            let mut bytes = DOCUMENT.as_bytes().to_vec();
            bytes.splice(at..(at + n).min(DOCUMENT.len()), put.bytes());
            check(&String::from_utf8_lossy(&bytes));
        }
    }
}
