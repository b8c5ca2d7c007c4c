//! Makes a change.

use serde_json::{Value, json};

use super::{Change, ChangeKind, Place, WholeReply};
use crate::reply::{DONE, StreamEvent};

/// The event that nobody documented.
const UNKNOWN_EVENT: &str = "response.x_unknown";

pub(super) fn apply(reply: &mut WholeReply, change: &Change) {
    match (&change.place, reply) {
        (Place::Field(pointer), WholeReply::Unary(document)) => {
            change_field(document, change.kind, pointer);
        }
        (Place::Field(pointer), WholeReply::Stream(events)) => {
            for event in events {
                if let Some(mut data) = event.json() {
                    change_field(&mut data, change.kind, pointer);
                    event.data = data.to_string();
                }
            }
        }
        (Place::Event(name), WholeReply::Stream(events)) => {
            change_event(events, change.kind, name);
        }
        // A unary reply has no events.
        (Place::Event(_), WholeReply::Unary(_)) => {}
    }
}

fn change_event(events: &mut Vec<StreamEvent>, kind: ChangeKind, name: &str) {
    let is_it = |event: &StreamEvent| {
        event.event.as_deref() == Some(name) || (name == DONE && event.data == DONE)
    };
    match kind {
        ChangeKind::Delete => events.retain(|event| !is_it(event)),
        ChangeKind::Rename => {
            for event in events.iter_mut().filter(|event| is_it(event)) {
                let renamed = format!("x.{name}");
                if let Some(mut data) = event.json() {
                    if let Some(kind) = data.pointer_mut("/type") {
                        *kind = Value::from(renamed.as_str());
                    }
                    event.data = data.to_string();
                }
                event.event = Some(renamed);
            }
        }
        ChangeKind::Add => events.insert(
            events.len() / 2,
            StreamEvent::named(name, json!({ "type": name, "sequence_number": 0 }).to_string()),
        ),
        // An event has no value of its own.
        ChangeKind::Null | ChangeKind::Retype => {}
    }
}

/// Returns the name of the event that is added where events have names.
pub(super) fn unknown_event() -> Place {
    Place::Event(UNKNOWN_EVENT.to_owned())
}

/// Changes a field, if it is there (or, for an added one, if its object is).
fn change_field(document: &mut Value, kind: ChangeKind, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let Some(parent) = document.pointer_mut(parent) else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match (parent, kind) {
        (Value::Object(fields), ChangeKind::Add) => {
            fields.insert(key, json!({ "note": "nobody documented this", "n": [1, null] }));
        }
        (Value::Object(fields), ChangeKind::Delete) => {
            fields.shift_remove(&key);
        }
        (Value::Object(fields), ChangeKind::Rename) => {
            if let Some(value) = fields.shift_remove(&key) {
                fields.insert(renamed(&key), value);
            }
        }
        (Value::Object(fields), ChangeKind::Null) => {
            if let Some(value) = fields.get_mut(&key) {
                *value = Value::Null;
            }
        }
        (Value::Object(fields), ChangeKind::Retype) => {
            if let Some(value) = fields.get_mut(&key) {
                retype(value);
            }
        }
        (Value::Array(elements), _) => {
            let Some(index) = key.parse().ok().filter(|index| *index < elements.len()) else {
                return;
            };
            match (kind, elements.get_mut(index)) {
                (ChangeKind::Delete, _) => {
                    elements.remove(index);
                }
                (ChangeKind::Null, Some(element)) => *element = Value::Null,
                (ChangeKind::Retype, Some(element)) => retype(element),
                // Elements have no names.
                (ChangeKind::Rename | ChangeKind::Add, _) | (_, None) => {}
            }
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {}
    }
}

/// Gives a value another JSON type, near to how gateways get it wrong: numbers in quotes, an object in a list, a list without
/// its brackets.
fn retype(value: &mut Value) {
    *value = match std::mem::take(value) {
        // There is no type to change.
        Value::Null => Value::Null,
        Value::Bool(value) => Value::from(value.to_string()),
        Value::Number(number) => Value::from(number.to_string()),
        Value::String(_) => Value::from(7),
        Value::Array(elements) => elements.into_iter().next().unwrap_or_else(|| json!({})),
        Value::Object(fields) => json!([fields]),
    };
    // An array of texts or numbers became its element: that is another type as well; an array of arrays would not be.
}

/// Returns a name that a careless serializer would take: camel case; where that is the same, with a prefix.
fn renamed(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut upper = false;
    for c in key.chars() {
        if c == '_' {
            upper = !camel.is_empty();
        } else if upper {
            camel.extend(c.to_uppercase());
            upper = false;
        } else {
            camel.push(c);
        }
    }
    if camel == key { format!("x_{key}") } else { camel }
}
