//! Lists the changes that can be made to a reply.

use serde_json::Value;

use super::{Change, ChangeKind, Place, WholeReply, apply};
use crate::Surface;
use crate::reply::DONE;

/// The name of a field that nobody documented.
const UNKNOWN_FIELD: &str = "x_unknown";

/// What is known of one pointer over all documents of a reply.
struct Seen {
    pointer: String,
    /// Somewhere it has a value.
    has_value: bool,
    /// Somewhere that value is an object.
    is_object: bool,
    is_element: bool,
}

/// Returns every change that can be made to a reply, field by field in the order of the reply.
pub fn changes(surface: Surface, reply: &WholeReply) -> Vec<Change> {
    let mut seen = vec![];
    let mut events = vec![];
    match reply {
        WholeReply::Unary(document) => visit("", document, false, &mut seen),
        WholeReply::Stream(stream) => {
            for event in stream {
                if let Some(data) = event.json() {
                    visit("", &data, false, &mut seen);
                }
                let name = event.event.as_deref().or((event.data == DONE).then_some(DONE));
                if let Some(name) = name
                    && !events.iter().any(|known| known == name)
                {
                    events.push(name.to_owned());
                }
            }
        }
    }
    let mut changes = Vec::new();
    for field in seen.iter().filter(|field| !field.pointer.is_empty()) {
        let mut add = |kind| changes.push(Change::of_field(kind, &field.pointer));
        add(ChangeKind::Delete);
        if field.has_value {
            add(ChangeKind::Null);
            add(ChangeKind::Retype);
        }
        if !field.is_element {
            add(ChangeKind::Rename);
        }
    }
    for object in seen.iter().filter(|field| field.is_object) {
        let pointer = format!("{}/{UNKNOWN_FIELD}", object.pointer);
        changes.push(Change::of_field(ChangeKind::Add, &pointer));
    }
    for name in events {
        let place = Place::Event(name);
        changes.push(Change { kind: ChangeKind::Delete, place: place.clone() });
        if place != Place::Event(DONE.to_owned()) {
            changes.push(Change { kind: ChangeKind::Rename, place });
        }
    }
    // Events have names on this surface, so that a reader may meet one that it does not know.
    if matches!(reply, WholeReply::Stream(_)) && surface == Surface::Responses {
        changes.push(Change { kind: ChangeKind::Add, place: apply::unknown_event() });
    }
    changes
}

fn visit(pointer: &str, value: &Value, is_element: bool, seen: &mut Vec<Seen>) {
    let index = seen.iter().position(|known| known.pointer == pointer).unwrap_or_else(|| {
        seen.push(Seen {
            pointer: pointer.to_owned(),
            has_value: false,
            is_object: false,
            is_element,
        });
        seen.len() - 1
    });
    if let Some(known) = seen.get_mut(index) {
        known.has_value |= !value.is_null();
        known.is_object |= value.is_object();
    }
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                visit(&format!("{pointer}/{key}"), inner, false, seen);
            }
        }
        Value::Array(elements) => {
            if let Some(first) = elements.first() {
                visit(&format!("{pointer}/0"), first, true, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
