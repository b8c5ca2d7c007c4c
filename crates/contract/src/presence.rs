//! Which fields of a reply the documentation promises, which ones the answer hangs on, and how a required field is written down.

use serde::Serialize;

use crate::{Mode, Surface};

/// Whether the documentation promises a field of a reply with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// A reply without it is off the contract.
    Promised,
    /// Providers and gateways may leave it out, as may the object that it stands in.
    Optional,
}

/// Promised fields. A field counts as promised only when all objects round it are (contracts.md sections 1.3, 1.4, 2.2, 2.3).
const CHAT_UNARY: &[&str] = &[
    "/id",
    "/object",
    "/created",
    "/model",
    "/choices",
    "/choices/0",
    "/choices/0/index",
    "/choices/0/finish_reason",
    "/choices/0/message",
    "/choices/0/message/role",
    "/choices/0/message/content",
];

const CHAT_STREAM: &[&str] = &[
    "/id",
    "/object",
    "/created",
    "/model",
    "/choices",
    "/choices/0",
    "/choices/0/index",
    "/choices/0/finish_reason",
    "/choices/0/delta",
    "/choices/0/delta/content",
];

const RESPONSE: &[&str] = &[
    "/id",
    "/object",
    "/created_at",
    "/model",
    "/output",
    "/output/0",
    "/output/0/id",
    "/output/0/type",
    "/output/0/role",
    "/output/0/status",
    "/output/0/content",
    "/output/0/content/0",
    "/output/0/content/0/type",
    "/output/0/content/0/text",
    "/output/0/content/0/annotations",
    "/parallel_tool_calls",
    "/tool_choice",
    "/tools",
];

const RESPONSES_EVENT: &[&str] = &[
    "/type",
    "/sequence_number",
    "/response",
    "/item",
    "/item/id",
    "/item/type",
    "/item/role",
    "/item/status",
    "/item/content",
    "/item/content/0",
    "/item/content/0/type",
    "/item/content/0/text",
    "/item/content/0/annotations",
    "/part",
    "/part/type",
    "/part/text",
    "/part/annotations",
    "/item_id",
    "/output_index",
    "/content_index",
    "/delta",
    "/text",
];

/// Returns whether the documentation promises the field at a pointer, as the wire has it.
pub fn presence(surface: Surface, mode: Mode, pointer: &str) -> Presence {
    let promised = match (surface, mode) {
        (Surface::Chat, Mode::Unary) => CHAT_UNARY.contains(&pointer),
        (Surface::Chat, Mode::Stream) => CHAT_STREAM.contains(&pointer),
        (Surface::Responses, Mode::Unary) => RESPONSE.contains(&pointer),
        (Surface::Responses, Mode::Stream) => match pointer.strip_prefix("/response/") {
            Some(inner) => RESPONSE.contains(&format!("/{inner}").as_str()),
            None => RESPONSES_EVENT.contains(&pointer),
        },
    };
    if promised { Presence::Promised } else { Presence::Optional }
}

/// Returns whether the documentation promises the events of a name; [`crate::reply::DONE`] is a convention only.
pub fn presence_of_event(name: &str) -> Presence {
    let is_optional = name == crate::reply::DONE || name == "response.in_progress";
    if is_optional { Presence::Optional } else { Presence::Promised }
}

/// Returns whether the text of the answer, or the proof that it is whole, stands at this pointer or below it: what every
/// application may be expected to need.
pub fn carries_the_answer(surface: Surface, mode: Mode, pointer: &str) -> bool {
    let leaves: &[&str] = match (surface, mode) {
        (Surface::Chat, Mode::Unary) => &["/choices/0/message/content", "/choices/0/finish_reason"],
        (Surface::Chat, Mode::Stream) => &["/choices/0/delta/content", "/choices/0/finish_reason"],
        (Surface::Responses, Mode::Unary) => {
            &["/output/0/type", "/output/0/content/0/type", "/output/0/content/0/text", "/status"]
        }
        (Surface::Responses, Mode::Stream) => &["/type", "/delta", "/response/status"],
    };
    leaves.iter().any(|leaf| {
        leaf.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Returns how `contract.required_fields` names a field that the wire has at this pointer: as the unary reply has it. `None`
/// where that has no such field, as for the parts of a single event.
pub fn required_field(surface: Surface, mode: Mode, pointer: &str) -> Option<String> {
    match (surface, mode) {
        (_, Mode::Unary) => Some(pointer.to_owned()),
        (Surface::Chat, Mode::Stream) => {
            let mut segments: Vec<_> = pointer.split('/').collect();
            if segments.get(1) == Some(&"choices") && segments.get(3) == Some(&"delta") {
                segments.splice(3..4, ["message"]);
            }
            Some(segments.join("/"))
        }
        (Surface::Responses, Mode::Stream) => {
            if let Some(inner) = pointer.strip_prefix("/response/") {
                return Some(format!("/{inner}"));
            }
            pointer.strip_prefix("/item/").map(|inner| format!("/output/0/{inner}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyContext;
    use crate::{FieldState, Profile, Shape, reply};

    /// Every promised field is in the documented reply, and its name for the configuration is found in that reply again.
    #[test]
    fn promised_fields_are_in_the_documented_reply() {
        for surface in [Surface::Chat, Surface::Responses] {
            let ctx = ReplyContext {
                surface,
                profile: Profile::Cometapi,
                model: "m",
                text: "some text",
                id: "id",
                request_id: "r",
                created: 0,
                include_usage: true,
            };
            let mut stream = Shape::default();
            for event in reply::stream(&ctx).iter().filter(|event| event.json().is_some()) {
                stream.merge(&Shape::of(event.data.as_bytes()).unwrap());
            }
            let unary = Shape::of(reply::unary(&ctx).to_string().as_bytes()).unwrap();
            for (mode, shape) in [(Mode::Unary, &unary), (Mode::Stream, &stream)] {
                let promised: &[&str] = match (surface, mode) {
                    (Surface::Chat, Mode::Unary) => CHAT_UNARY,
                    (Surface::Chat, Mode::Stream) => CHAT_STREAM,
                    (Surface::Responses, Mode::Unary) => RESPONSE,
                    (Surface::Responses, Mode::Stream) => RESPONSES_EVENT,
                };
                for pointer in promised {
                    assert!(shape.contains(pointer), "{surface} {mode} {pointer}");
                    assert_eq!(presence(surface, mode, pointer), Presence::Promised);
                    if let Some(field) = required_field(surface, mode, pointer) {
                        let state = shape.field(surface, mode, &field);
                        assert_eq!(state, FieldState::Present, "{surface} {mode} {field}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_carries_the_answer_is_the_text_and_all_round_it() {
        let carries = |pointer| carries_the_answer(Surface::Chat, Mode::Unary, pointer);
        for pointer in ["/choices", "/choices/0/message", "/choices/0/message/content"] {
            assert!(carries(pointer), "{pointer}");
        }
        for pointer in ["/choice", "/id", "/choices/0/message/contents", "/usage"] {
            assert!(!carries(pointer), "{pointer}");
        }
    }
}
