//! Remembers the shapes of the last documents: the replies of one service repeat the same few structures.
//!
//! An entry is found by the whole structure of its document, so that no other document can take its shape.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Seen, Shape};
use crate::json::{Frame, Skeleton, Tape, Value};

/// Most shapes remembered, in the order of their last use.
const SHAPES_MAX: usize = 128;
/// Longest paths of one shape together, written out; nesting may make them much longer than the document.
const PATH_BYTES_MAX: usize = 16 * 1024;

/// Most frames tried on a document: the requests and replies of one surface or two take turns.
const TRIES_MAX: usize = 4;
/// After so many documents in a row that had no known frame, only one in so many is tried: a try may read most of a document in vain.
const MISSES_MAX: u32 = 16;

static MEMO: Mutex<Memo> = Mutex::new(Memo { shapes: Vec::new(), n_misses: 0 });

struct Memo {
    /// Each with a number that differs for most structures, in the order of their last use.
    shapes: Vec<(u64, Shape)>,
    n_misses: u32,
}

fn memo() -> MutexGuard<'static, Memo> {
    MEMO.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memo {
    /// Puts the shape at a place first: it was used last.
    fn touch(&mut self, place: usize) {
        if let Some(used) = self.shapes.get_mut(..=place) {
            used.rotate_right(1);
        }
    }
}

/// Reads a document that has the frame of an earlier one into the tape, and returns its shape.
pub(super) fn read_along(text: &str, tape: &mut Tape) -> Option<Shape> {
    let mut memo = memo();
    if memo.n_misses >= MISSES_MAX {
        memo.n_misses += 1;
        if !memo.n_misses.is_multiple_of(MISSES_MAX) {
            return None;
        }
        memo.n_misses = MISSES_MAX;
    }
    for place in 0..TRIES_MAX {
        let Some(shape) = memo.shapes.get(place).map(|(_, shape)| shape.clone()) else { break };
        let is_usual = place == 0 && memo.n_misses == 0;
        // Nobody waits while a document is read.
        drop(memo);
        let frame = shape.seen.frame.get().and_then(Option::as_ref);
        let fits = frame.is_some_and(|frame| frame.read(text, tape).is_some());
        if fits && is_usual {
            return Some(shape);
        }
        memo = self::memo();
        if fits {
            memo.n_misses = 0;
            // Another document may have changed the order meanwhile; then this one stays where it is.
            if memo
                .shapes
                .get(place)
                .is_some_and(|(_, other)| Arc::ptr_eq(&other.seen, &shape.seen))
            {
                memo.touch(place);
            }
            return Some(shape);
        }
    }
    memo.n_misses += 1;
    None
}

/// Returns the shape of a document that was read: an earlier one, if its structure is remembered.
pub(super) fn shared(skeleton: Skeleton, document: Value<'_>) -> Shape {
    let fingerprint = skeleton.fingerprint();
    let is_it = |(known, shape): &(u64, Shape)| {
        *known == fingerprint && shape.seen.skeleton.as_ref() == Some(&skeleton)
    };
    let mut memo = memo();
    if let Some((place, shape)) = memo.shapes.iter().enumerate().find(|(_, known)| is_it(known)) {
        let shape = shape.1.clone();
        memo.touch(place);
        drop(memo);
        // It comes again, so that its frame is worth keeping.
        shape.seen.frame.get_or_init(|| Frame::of(document));
        return shape;
    }
    let is_small = skeleton.n_path_bytes() <= PATH_BYTES_MAX;
    let shape = Shape { seen: Arc::new(Seen { skeleton: Some(skeleton), ..Seen::default() }) };
    if is_small {
        // In place of the one that was not used for longest.
        let forgotten = (memo.shapes.len() >= SHAPES_MAX).then(|| memo.shapes.pop());
        memo.shapes.insert(0, (fingerprint, shape.clone()));
        drop(memo);
        drop(forgotten);
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(text: &str) -> Shape {
        Shape::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_structure_shares_its_paths() {
        let first = shape_of(r#"{"memo_a":[{"b":1,"c":"x"},{"b":2}]}"#);
        let again = shape_of(r#"{ "memo_a": [ {"b": 77, "c": "other"}, {"b": 3} ] }"#);
        assert!(Arc::ptr_eq(&first.seen, &again.seen));
    }

    #[test]
    fn another_structure_has_its_own_paths() {
        let texts = [
            r#"{"memo_d":[{"b":1},{"c":2}]}"#,
            r#"{"memo_d":[{"b":1,"c":2}]}"#,
            r#"{"memo_d":[{"b":1},{"c":2.5}]}"#,
            r#"{"memo_d":[{"b":1},{"c":""}]}"#,
            r#"{"memo_d":[{"b":1}],"c":2}"#,
            r#"{"memo_d":[{"b":1},"c",2]}"#,
            r#"{"memo_d":[{"b":1},["c",2]]}"#,
            r#"{"memo_d":[{"b":1},{}]}"#,
            r#"{"memo_":[{"db":1},{}]}"#,
        ];
        let shapes: Vec<_> = texts.iter().map(|text| shape_of(text)).collect();
        for (at, shape) in shapes.iter().enumerate() {
            assert_eq!(shape, &shape_of(texts[at]));
            assert!(shapes.iter().take(at).all(|other| other != shape), "{}", texts[at]);
        }
    }

    #[test]
    fn the_third_document_of_a_structure_is_read_along_its_frame() {
        let document = |n: u32| format!(r#"{{"memo_e":[{{"n":{n},"text":"{n}"}}]}}"#);
        shape_of(&document(1));
        let shape = shape_of(&document(22));
        // Others that are read meanwhile may come before it, so that it is not tried at once.
        let found = (0..1000).find_map(|n| {
            shape_of(&document(n));
            read_along(&document(333), &mut Tape::default())
        });
        assert!(Arc::ptr_eq(&found.unwrap().seen, &shape.seen));
    }

    #[test]
    fn odd_names_are_not_remembered() {
        let shape = shape_of(r#"{"memo secret":1}"#);
        assert!(shape.contains("/*"));
        assert!(!format!("{:?}", memo().shapes).contains("secret"));
    }

    #[test]
    fn only_so_many_are_remembered() {
        for number in 0..SHAPES_MAX * 2 {
            shape_of(&format!(r#"{{"memo_{number}":1}}"#));
        }
        assert!(memo().shapes.len() <= SHAPES_MAX);
    }
}
