//! Says of which chunks a stream may repeat everything but the text, which is most of a stream.

use super::ChoiceState;
use crate::json::{Hole, Holes, Value};
use crate::scene::Scene;

/// What the text of a repeated chunk is, and the place of its choice (and call).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Content(usize),
    Reasoning(usize),
    Arguments(usize, usize),
}

/// Returns the holes of a chunk that was judged, if a repetition of it would do nothing but add text: one known choice, one text,
/// and nothing else that a stream's state depends on. The last of the three says whether chunks kept before stay repeatable.
pub(super) fn repeatable(
    chunk: Value<'_>,
    choices: &[ChoiceState],
    scene: &Scene,
) -> Option<(Holes, Part, bool)> {
    if chunk.has_duplicate_key() || chunk.has_lone_surrogate() {
        return None;
    }
    // Later chunks are compared with the first id and model: these must stand already.
    if scene.response_id.is_none() || scene.model.is_none() || chunk.get_some("usage").is_some() {
        return None;
    }
    let mut items = chunk.get("choices")?.items();
    let choice = items.next().filter(|_| items.next().is_none())?;
    if choice.get_some("finish_reason").is_some() || choice.get_some("error").is_some() {
        return None;
    }
    let index = choice.get("index").and_then(Value::integer)?;
    let place = choices.iter().position(|state| state.index == index)?;
    let state = choices.get(place)?;
    let mut holes = Holes::default();
    let mut part = None;
    let mut keeps_others = true;
    for (key, value) in choice.get_some("delta")?.fields() {
        let is_text = value.text().is_some_and(|text| !text.is_empty());
        let found = if key.is("content") && is_text {
            (value, Part::Content(place))
        } else if (key.is("reasoning_content") || key.is("reasoning")) && is_text {
            (value, Part::Reasoning(place))
        } else if key.is("tool_calls") && !value.is_null() {
            let (arguments, call, has_id) = state.tools.repeatable(value, scene)?;
            // An id may begin another call at an index that is known.
            keeps_others = !has_id;
            (arguments, Part::Arguments(place, call))
        } else if key.is("content") && !value.is_null() && value.text().is_none()
            || (key.is("refusal") || key.is("function_call") || key.is("audio")) && !value.is_null()
        {
            return None;
        } else {
            // Roles, empty strings and unknown fields say the same each time.
            continue;
        };
        if part.is_some() || !holes.add(found.0, Hole::Text) {
            return None;
        }
        part = Some(found.1);
    }
    if let Some(padding) = chunk.get("obfuscation") {
        holes.add(padding, Hole::Padding);
    }
    // Some providers write the time of each chunk.
    if let Some(created) = chunk.get("created") {
        holes.add(created, Hole::Time);
    }
    Some((holes, part?, keeps_others))
}
