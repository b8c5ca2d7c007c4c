//! Which fields of a reply the documentation promises, which ones the answer hangs on, and how a required field is written down.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Serialize;

use crate::document::{ContractDocument, Field, FieldPresence};
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

/// Returns whether the documentation promises the field at a pointer, as the wire has it. A field counts as promised only when all
/// objects round it are; the text, and the proof that it is whole, always are.
pub fn presence(surface: Surface, mode: Mode, pointer: &str) -> Presence {
    let is_promised = promised(surface, mode).contains(&documented_path(pointer))
        || leaves_of_the_answer(surface, mode).contains(&pointer);
    if is_promised { Presence::Promised } else { Presence::Optional }
}

/// Returns how the contract's document names the place of a pointer.
fn documented_path(pointer: &str) -> String {
    let segment = |segment: &str| match segment.parse::<usize>() {
        Ok(_index) => "[]".to_owned(),
        Err(_name) => segment.to_owned(),
    };
    pointer.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Returns the paths that are required in the reply, or in some event, all objects round them included.
fn promised(surface: Surface, mode: Mode) -> &'static BTreeSet<String> {
    static PROMISED: LazyLock<[BTreeSet<String>; 4]> = LazyLock::new(|| {
        [
            of_reply(Surface::Chat),
            of_events(Surface::Chat),
            of_reply(Surface::Responses),
            of_events(Surface::Responses),
        ]
    });
    let [chat, chat_events, response, response_events] = &*PROMISED;
    match (surface, mode) {
        (Surface::Chat, Mode::Unary) => chat,
        (Surface::Chat, Mode::Stream) => chat_events,
        (Surface::Responses, Mode::Unary) => response,
        (Surface::Responses, Mode::Stream) => response_events,
    }
}

fn of_reply(surface: Surface) -> BTreeSet<String> {
    required_throughout(&ContractDocument::of(surface).reply)
}

fn of_events(surface: Surface) -> BTreeSet<String> {
    let document = ContractDocument::of(surface);
    let events = document.stream.events.iter();
    events.flat_map(|event| required_throughout(&document.event_fields(event))).collect()
}

fn required_throughout(fields: &[Field]) -> BTreeSet<String> {
    let required = fields.iter().filter(|field| field.presence == FieldPresence::Required);
    let required: BTreeSet<String> = required.map(Field::shape_path).collect();
    let is_throughout = |path: &&String| {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        ends.filter_map(|end| path.get(..end)).all(|object| required.contains(object))
    };
    required.iter().filter(is_throughout).cloned().collect()
}

/// Returns whether the documentation promises the events of a name; [`crate::reply::DONE`] is a convention only.
pub fn presence_of_event(name: &str) -> Presence {
    let is_optional = name == crate::reply::DONE || name == "response.in_progress";
    if is_optional { Presence::Optional } else { Presence::Promised }
}

/// Returns whether the text of the answer, or the proof that it is whole, stands at this pointer or below it: what every
/// application may be expected to need.
pub fn carries_the_answer(surface: Surface, mode: Mode, pointer: &str) -> bool {
    let leaves = leaves_of_the_answer(surface, mode);
    leaves.iter().any(|leaf| {
        leaf.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Returns where the text of the answer and the proof that it is whole stand.
fn leaves_of_the_answer(surface: Surface, mode: Mode) -> &'static [&'static str] {
    match (surface, mode) {
        (Surface::Chat, Mode::Unary) => &["/choices/0/message/content", "/choices/0/finish_reason"],
        (Surface::Chat, Mode::Stream) => &["/choices/0/delta/content", "/choices/0/finish_reason"],
        (Surface::Responses, Mode::Unary) => {
            &["/output/0/type", "/output/0/content/0/type", "/output/0/content/0/text", "/status"]
        }
        (Surface::Responses, Mode::Stream) => &["/type", "/delta", "/response/status"],
    }
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

    /// What is promised of a reply with a text is in the documented one, and is found there again by its name for the configuration.
    #[test]
    fn promised_fields_are_found_by_their_names_for_the_configuration() {
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
                let leaves = leaves_of_the_answer(surface, mode).iter().map(ToString::to_string);
                let paths = promised(surface, mode).iter().map(|path| path.replace("[]", "0"));
                // Items of another type have promised fields that a text has not.
                let found: Vec<_> =
                    paths.chain(leaves).filter(|pointer| shape.contains(pointer)).collect();
                assert!(found.len() > 8, "{surface} {mode} {found:?}");
                for pointer in &found {
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
    fn the_document_tells_what_is_promised() {
        let cases = [
            (Surface::Chat, Mode::Unary, "/choices/0/message/role", Presence::Promised),
            (Surface::Chat, Mode::Unary, "/choices/0/logprobs", Presence::Optional),
            (Surface::Chat, Mode::Unary, "/system_fingerprint", Presence::Optional),
            // Required in `usage`, which itself may be left out.
            (Surface::Chat, Mode::Unary, "/usage/total_tokens", Presence::Optional),
            (Surface::Chat, Mode::Stream, "/choices/0/delta", Presence::Promised),
            (Surface::Chat, Mode::Stream, "/choices/0/delta/content", Presence::Promised),
            (Surface::Chat, Mode::Stream, "/choices/0/delta/role", Presence::Optional),
            (Surface::Responses, Mode::Unary, "/status", Presence::Promised),
            (Surface::Responses, Mode::Unary, "/output/0/content/0/text", Presence::Promised),
            (Surface::Responses, Mode::Unary, "/usage", Presence::Optional),
            (Surface::Responses, Mode::Stream, "/sequence_number", Presence::Promised),
            (Surface::Responses, Mode::Stream, "/response/status", Presence::Promised),
            (Surface::Responses, Mode::Stream, "/response/metadata", Presence::Optional),
            (Surface::Responses, Mode::Stream, "/nowhere", Presence::Optional),
        ];
        for (surface, mode, pointer, expected) in cases {
            assert_eq!(presence(surface, mode, pointer), expected, "{surface} {mode} {pointer}");
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
