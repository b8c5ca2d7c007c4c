//! Takes fields out of documents by JSON pointer.

use serde_json::Value;

/// Removes what the pointer names; what is not there stays not there.
pub(crate) fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, token)) = pointer.rsplit_once('/') else { return };
    let token = token.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.shift_remove(&token);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = token.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pointer: &str, expected: &Value) {
        let mut document = json!({ "a": [{ "b": 1, "c/d": 2 }, 3], "e": 4 });
        remove(&mut document, pointer);
        assert_eq!(&document, expected);
    }

    #[test]
    fn fields_and_items_are_removed() {
        check("/e", &json!({ "a": [{ "b": 1, "c/d": 2 }, 3] }));
        check("/a/0/b", &json!({ "a": [{ "c/d": 2 }, 3], "e": 4 }));
        check("/a/0/c~1d", &json!({ "a": [{ "b": 1 }, 3], "e": 4 }));
        check("/a/1", &json!({ "a": [{ "b": 1, "c/d": 2 }], "e": 4 }));
    }

    #[test]
    fn what_is_not_there_is_ignored() {
        for pointer in ["", "/x", "/a/7", "/a/0/b/c", "e"] {
            check(pointer, &json!({ "a": [{ "b": 1, "c/d": 2 }, 3], "e": 4 }));
        }
    }
}
