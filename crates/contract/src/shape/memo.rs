//! Remembers the shapes of the last documents: the replies of one service repeat the same few structures.
//!
//! An entry is found by the whole structure of its document, byte for byte, so that no other document can take its shape.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Shape;

/// Most shapes remembered, in the order of their last use.
const SHAPES_MAX: usize = 128;
/// Longest paths of one shape together; nesting may make them much longer than the document.
const PATH_BYTES_MAX: usize = 16 * 1024;

static SHAPES: Mutex<Vec<(Vec<u8>, Shape)>> = Mutex::new(Vec::new());

fn shapes() -> MutexGuard<'static, Vec<(Vec<u8>, Shape)>> {
    SHAPES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the shape of the documents with this structure, if it is known.
pub(super) fn recall(signature: &[u8]) -> Option<Shape> {
    let mut shapes = shapes();
    let place = shapes.iter().position(|(known, _)| known == signature)?;
    if let Some(used) = shapes.get_mut(..=place) {
        used.rotate_right(1);
    }
    shapes.first().map(|(_, shape)| shape.clone())
}

/// Remembers a shape, in place of the one that was not used for longest.
pub(super) fn keep(signature: Vec<u8>, shape: &Shape) {
    if shape.paths.keys().map(String::len).sum::<usize>() > PATH_BYTES_MAX {
        return;
    }
    let mut shapes = shapes();
    let forgotten = (shapes.len() >= SHAPES_MAX).then(|| shapes.pop());
    shapes.insert(0, (signature, shape.clone()));
    drop(shapes);
    drop(forgotten);
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
        assert!(std::sync::Arc::ptr_eq(&first.paths, &again.paths));
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
        ];
        let shapes: Vec<_> = texts.iter().map(|text| shape_of(text)).collect();
        for (at, shape) in shapes.iter().enumerate() {
            assert_eq!(shape, &shape_of(texts[at]));
            assert!(shapes.iter().take(at).all(|other| other != shape), "{}", texts[at]);
        }
    }

    #[test]
    fn odd_names_are_not_remembered() {
        let text = r#"{"memo secret":1}"#;
        let mut tape = crate::json::Tape::default();
        let signature = tape.read(text.as_bytes()).unwrap().signature().unwrap();
        assert!(shape_of(text).contains("/*"));
        assert_eq!(recall(&signature), None);
    }

    #[test]
    fn only_so_many_are_remembered() {
        for number in 0..SHAPES_MAX * 2 {
            shape_of(&format!(r#"{{"memo_{number}":1}}"#));
        }
        assert!(shapes().len() <= SHAPES_MAX);
    }
}
