//! Tells whether an application's required field is in a shape.

use super::{Kind, Shape};
use crate::{Mode, Surface};

/// What became of a field that an application requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldState {
    /// There, with the documented type (or any type, where none is documented).
    Present,
    /// There, but only as `null`.
    Null,
    /// There, with these types instead of the documented one.
    OtherType(Kind),
    /// There in some of the array's elements only (unary replies).
    Sometimes,
    /// Not there.
    Absent,
}

impl Shape {
    /// Tells about a field that the application requires. `pointer` is written for the unary reply, such as
    /// `/choices/0/message/content`; for a stream it is looked up where the stream has it.
    pub fn field(&self, surface: Surface, mode: Mode, pointer: &str) -> FieldState {
        let places = places_of(surface, mode, pointer);
        let kinds = places.iter().fold(Kind::NONE, |kinds, place| kinds | self.kind_at(place));
        let there = kinds.without(Kind::ABSENT);
        let values = there.without(Kind::NULL);
        let documented = documented(surface, pointer);
        if there.is_none() {
            FieldState::Absent
        } else if values.is_none() {
            FieldState::Null
        } else if !documented.is_none() && !documented.contains(values.types()) {
            FieldState::OtherType(values)
        } else if mode == Mode::Unary && kinds.intersects(Kind::ABSENT) {
            FieldState::Sometimes
        } else {
            FieldState::Present
        }
    }
}

/// Returns the places where a reply of a mode carries a field, which is written for the unary reply.
pub fn places_of(surface: Surface, mode: Mode, pointer: &str) -> Vec<String> {
    match mode {
        Mode::Unary => vec![pointer.to_owned()],
        Mode::Stream => in_stream(surface, pointer),
    }
}

/// Returns the places where a stream carries a field of the unary reply.
fn in_stream(surface: Surface, pointer: &str) -> Vec<String> {
    match surface {
        Surface::Chat => {
            let mut segments: Vec<_> = pointer.split('/').collect();
            if segments.get(1) == Some(&"choices") && segments.get(3) == Some(&"message") {
                segments.splice(3..4, ["delta"]);
            }
            vec![segments.join("/")]
        }
        Surface::Responses => {
            // The terminal event carries the whole response; a gateway that leaves `output` out of it has sent the items before.
            let mut places = vec![format!("/response{pointer}")];
            let mut segments = pointer.splitn(4, '/').skip(1);
            if segments.next() == Some("output")
                && let (Some(_), Some(rest)) = (segments.next(), segments.next())
            {
                places.push(format!("/item/{rest}"));
            }
            places
        }
    }
}

/// Returns the documented types of the fields that applications read; none where this table does not know.
fn documented(surface: Surface, pointer: &str) -> Kind {
    let folded: Vec<_> = pointer
        .split('/')
        .map(|s| if s.bytes().all(|b| b.is_ascii_digit()) && !s.is_empty() { "[]" } else { s })
        .collect();
    let path = folded.join("/");
    match (surface, path.as_str()) {
        (_, "/id" | "/object" | "/model" | "/service_tier")
        | (
            Surface::Responses,
            "/status" | "/output/[]/type" | "/output/[]/role" | "/output/[]/content/[]/text",
        )
        | (Surface::Responses, "/output/[]/arguments" | "/output/[]/name" | "/output/[]/call_id") => {
            Kind::STRING
        }
        (
            Surface::Chat,
            "/system_fingerprint"
            | "/choices/[]/finish_reason"
            | "/choices/[]/message/role"
            | "/choices/[]/message/content"
            | "/choices/[]/message/refusal"
            | "/choices/[]/message/tool_calls/[]/id"
            | "/choices/[]/message/tool_calls/[]/type"
            | "/choices/[]/message/tool_calls/[]/function/name"
            | "/choices/[]/message/tool_calls/[]/function/arguments",
        ) => Kind::STRING,
        (Surface::Chat, "/created" | "/choices/[]/index")
        | (Surface::Chat, "/usage/prompt_tokens" | "/usage/completion_tokens")
        | (Surface::Responses, "/usage/input_tokens" | "/usage/output_tokens")
        | (_, "/usage/total_tokens") => Kind::INTEGER,
        (Surface::Responses, "/created_at") => Kind::NUMBER,
        (Surface::Chat, "/choices" | "/choices/[]/message/tool_calls")
        | (Surface::Responses, "/output" | "/output/[]/content") => Kind::ARRAY,
        (Surface::Chat, "/choices/[]/message" | "/choices/[]")
        | (Surface::Responses, "/output/[]")
        | (_, "/usage") => Kind::OBJECT,
        _ => Kind::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mode: Mode, document: &str, pointer: &str, expected: FieldState) {
        let surface = if document.contains("choices") { Surface::Chat } else { Surface::Responses };
        let shape = Shape::of(document.as_bytes()).unwrap();
        assert_eq!(shape.field(surface, mode, pointer), expected);
    }

    #[test]
    fn required_field_is_found_in_both_modes() {
        let content = "/choices/0/message/content";
        check(
            Mode::Unary,
            r#"{"choices":[{"message":{"content":"x"}}]}"#,
            content,
            FieldState::Present,
        );
        check(
            Mode::Unary,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            content,
            FieldState::Null,
        );
        check(Mode::Unary, r#"{"choices":[{"message":{}}]}"#, content, FieldState::Absent);
        check(
            Mode::Unary,
            r#"{"choices":[{"message":{"content":[1]}}]}"#,
            content,
            FieldState::OtherType(Kind::ARRAY),
        );
        check(
            Mode::Unary,
            r#"{"choices":[{"message":{"content":"x"}},{"message":{}}]}"#,
            content,
            FieldState::Sometimes,
        );
        check(
            Mode::Stream,
            r#"{"choices":[{"delta":{"content":"x"}}]}"#,
            content,
            FieldState::Present,
        );
        check(
            Mode::Stream,
            r#"{"choices":[{"message":{"content":"x"}}]}"#,
            content,
            FieldState::Absent,
        );
        let text = "/output/0/content/0/text";
        check(Mode::Unary, r#"{"output":[{"content":[{"text":"x"}]}]}"#, text, FieldState::Present);
        check(
            Mode::Stream,
            r#"{"response":{"output":[{"content":[{"text":"x"}]}]}}"#,
            text,
            FieldState::Present,
        );
        check(Mode::Stream, r#"{"item":{"content":[{"text":"x"}]}}"#, text, FieldState::Present);
    }
}
