//! Follows the items of a responses stream: each is added, filled, done, and its final text must equal its deltas.

use crate::fingerprint::Fingerprint;
use crate::json::Value;
use crate::responses::output::Output;
use crate::scene::{Scene, seen};
use crate::tool_call::check_arguments_value;
use crate::{Kind, rule};

/// Most items, and most parts of items, followed.
const ITEMS_MAX: usize = 4096;

/// The texts of calls of the client's tools: in events, and in items.
const CALLS: [(&str, &str); 2] =
    [("function_call_arguments", "arguments"), ("custom_tool_call_input", "input")];

/// What the deltas of a stream told of the arguments of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// There were none.
    None,
    /// All of them, in any order.
    Told(u64),
    /// Some came only as a whole.
    Unknown,
}

/// Notes where an event does not say what it belongs to.
fn check_place(number: u64, kind: &str, event: Value<'_>, scene: &mut Scene) {
    let what = kind.rsplit_once('.').map_or(kind, |(what, _)| what);
    let fields: &[(&str, Kind)] = match what {
        "output_item" => &[OUTPUT_INDEX],
        "content_part" | "output_text" | "refusal" | "reasoning_text" => {
            &[ITEM_ID, OUTPUT_INDEX, ("content_index", Kind::INTEGER)]
        }
        "reasoning_summary_part" | "reasoning_summary_text" => {
            &[ITEM_ID, OUTPUT_INDEX, ("summary_index", Kind::INTEGER)]
        }
        "function_call_arguments"
        | "mcp_call_arguments"
        | "custom_tool_call_input"
        | "file_search_call"
        | "web_search_call"
        | "code_interpreter_call"
        | "code_interpreter_call_code"
        | "image_generation_call"
        | "mcp_call"
        | "mcp_list_tools" => &[ITEM_ID, OUTPUT_INDEX],
        // Others may belong to the response itself.
        _ => &[],
    };
    for (field, kind) in fields {
        let found = seen(event.get(field));
        if found != *kind {
            let at = format_args!("event {number} /{field}");
            scene.report.add(&rule::EVENT_PLACE, at, format_args!("{found}"));
        }
    }
}

const ITEM_ID: (&str, Kind) = ("item_id", Kind::STRING);
const OUTPUT_INDEX: (&str, Kind) = ("output_index", Kind::INTEGER);

fn is_call(what: &str) -> bool {
    CALLS.iter().any(|(call, _)| *call == what)
}

/// Returns the type of the items that have such a text.
fn what_calls(what: &str) -> &'static str {
    if what == "custom_tool_call_input" { "custom_tool_call" } else { "function_call" }
}

/// Returns the fingerprint of a field that holds text.
fn print_of(item: Value<'_>, key: &str) -> Option<Fingerprint> {
    let text = item.get(key).and_then(Value::text).filter(|text| !text.is_empty());
    text.map(|text| Fingerprint::of(text.as_bytes()))
}

/// Whether two fingerprints are there and differ.
fn differ(one: Option<Fingerprint>, other: Option<Fingerprint>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

#[derive(Debug, Default)]
struct Item {
    output_index: i64,
    id: Option<String>,
    /// Which function a call calls, and by which id its result comes back.
    name: Option<Fingerprint>,
    call_id: Option<Fingerprint>,
    was_added: bool,
    is_done: bool,
}

/// One text that grows by deltas: a text part, a refusal, arguments.
#[derive(Debug)]
struct Growing {
    /// `output_text`, `refusal`, `function_call_arguments`, …
    what: String,
    output_index: i64,
    /// `content_index` or `summary_index`.
    part_index: i64,
    print: Fingerprint,
    is_done: bool,
}

/// A text that a delta let grow, and its place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    is_answer: bool,
    place: usize,
}

/// The items of one stream.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: Vec<Item>,
    growing: Vec<Growing>,
    /// Parts that were added, by output and content index.
    parts: Vec<(i64, i64)>,
    facts: Output,
    /// The arguments of some call came only as a whole.
    has_calls_without_deltas: bool,
}

impl Items {
    /// Whether any part of an answer came.
    pub(super) fn has_delivered(&self) -> bool {
        self.facts.bytes > 0 || self.facts.has_tool_calls || self.facts.refused
    }

    /// Takes an event that is neither of the lifecycle nor an error. Returns what it let grow, if it was a delta of a text.
    pub(super) fn event(
        &mut self,
        number: u64,
        kind: &str,
        event: Value<'_>,
        scene: &mut Scene,
    ) -> Option<Growth> {
        let kind = kind.strip_prefix("response.")?;
        let index = |key: &str| event.get(key).and_then(Value::integer);
        let output_index = index("output_index").unwrap_or(0);
        check_place(number, kind, event, scene);
        match kind {
            "output_item.added" => self.added(number, output_index, event, scene),
            "output_item.done" => self.done(number, output_index, event, scene),
            "content_part.added" => {
                self.expect_item(number, output_index, event, scene);
                if self.parts.len() < ITEMS_MAX {
                    self.parts.push((output_index, index("content_index").unwrap_or(0)));
                }
            }
            "content_part.done" => {
                let part = event.get_some("part");
                let at = (output_index, index("content_index").unwrap_or(0));
                self.compare_part(number, at, part, scene);
            }
            _ => {
                let (what, stage) = kind.rsplit_once('.')?;
                let (is_text, field) = match what {
                    "output_text" => (true, "text"),
                    "refusal" => (true, "refusal"),
                    "function_call_arguments" | "mcp_call_arguments" => (false, "arguments"),
                    "custom_tool_call_input" => (false, "input"),
                    "reasoning_text" | "reasoning_summary_text" => (false, "text"),
                    // All others carry no text that must add up; new ones appear with each release.
                    _ => return None,
                };
                self.expect_item(number, output_index, event, scene);
                let part_index =
                    index("content_index").or_else(|| index("summary_index")).unwrap_or(0);
                if is_text && stage == "delta" && !self.parts.contains(&(output_index, part_index))
                {
                    scene.report.add(
                        &rule::PART_NOT_ADDED,
                        format_args!("event {number}"),
                        format_args!("a delta before its part"),
                    );
                }
                match stage {
                    "delta" => {
                        return self.grow(number, what, output_index, part_index, event, scene);
                    }
                    "done" => {
                        self.compare(number, what, field, (output_index, part_index), event, scene);
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Takes the text of a delta that repeats an earlier one, which let the same text grow.
    pub(super) fn repeat(&mut self, growth: Growth, text: &str, scene: &mut Scene) {
        self.facts.bytes += text.len() as u64;
        if growth.is_answer {
            self.answer(text, scene);
        }
        if let Some(growing) = self.growing.get_mut(growth.place) {
            growing.print.add(text.as_bytes());
        }
    }

    fn answer(&mut self, text: &str, scene: &mut Scene) {
        self.facts.has_text = self.facts.has_text || !text.trim().is_empty();
        self.facts.text.add(text.as_bytes());
        scene.text.append(text);
    }

    fn added(&mut self, number: u64, output_index: i64, event: Value<'_>, scene: &mut Scene) {
        let item = event.get_some("item").filter(|item| item.is_object());
        if item.is_none() {
            scene.report.add(
                &rule::ITEM_NOT_ADDED,
                format_args!("event {number} /item"),
                format_args!("{}", seen(event.get("item"))),
            );
        }
        let id = item
            .and_then(|item| item.get("id"))
            .and_then(Value::text)
            .filter(|id| !id.is_empty() && id.len() <= 4096);
        if self.items.iter().any(|item| item.output_index == output_index && item.was_added) {
            return scene.report.add(
                &rule::ITEM_ADDED_TWICE,
                format_args!("event {number} /output_index"),
                format_args!("an index added before"),
            );
        }
        if self.items.len() >= ITEMS_MAX {
            return scene.report.add(
                &rule::TOO_MANY_PARTS,
                format_args!("event {number}"),
                format_args!("more items"),
            );
        }
        self.items.push(Item {
            output_index,
            id: id.map(|id| id.into_owned()),
            name: item.and_then(|item| print_of(item, "name")),
            call_id: item.and_then(|item| print_of(item, "call_id")),
            was_added: true,
            is_done: false,
        });
    }

    /// Notes content for an item that was not added, and another id for one that was.
    fn expect_item(&mut self, number: u64, output_index: i64, event: Value<'_>, scene: &mut Scene) {
        match self.items.iter().find(|item| item.output_index == output_index) {
            Some(item) => {
                let id = event.get("item_id").and_then(Value::text);
                if item.id.as_deref().zip(id.as_deref()).is_some_and(|(known, id)| known != id) {
                    scene.report.add(
                        &rule::ITEM_ID_CHANGED,
                        format_args!("event {number} /item_id"),
                        format_args!("another id"),
                    );
                }
            }
            None => {
                scene.report.add(
                    &rule::ITEM_NOT_ADDED,
                    format_args!("event {number}"),
                    format_args!("content before its item"),
                );
                if self.items.len() < ITEMS_MAX {
                    self.items.push(Item { output_index, ..Item::default() });
                }
            }
        }
    }

    fn grow(
        &mut self,
        number: u64,
        what: &str,
        output_index: i64,
        part_index: i64,
        event: Value<'_>,
        scene: &mut Scene,
    ) -> Option<Growth> {
        let Some(delta) = event.get("delta").and_then(Value::text) else {
            let found = seen(event.get("delta"));
            scene.report.add(
                &rule::DELTA_TYPE,
                format_args!("event {number} /delta"),
                format_args!("{found}"),
            );
            return None;
        };
        self.facts.bytes += delta.len() as u64;
        match what {
            "output_text" => self.answer(&delta, scene),
            "refusal" => self.facts.refused = true,
            "function_call_arguments" | "custom_tool_call_input" => {
                self.facts.has_tool_calls = true;
            }
            _ => {}
        }
        let is_it = |g: &Growing| {
            g.output_index == output_index && g.part_index == part_index && g.what == what
        };
        let is_answer = what == "output_text";
        // Deltas mostly continue the newest text.
        if let Some(place) = self.growing.iter().rposition(is_it) {
            if let Some(growing) = self.growing.get_mut(place) {
                growing.print.add(delta.as_bytes());
                if growing.is_done && !delta.is_empty() {
                    scene.report.add(
                        &rule::DONE_DIFFERS,
                        format_args!("event {number} /delta"),
                        format_args!("a delta behind the final text"),
                    );
                }
            }
            return Some(Growth { is_answer, place });
        }
        if self.growing.len() < ITEMS_MAX {
            self.growing.push(Growing {
                what: what.to_owned(),
                output_index,
                part_index,
                print: Fingerprint::of(delta.as_bytes()),
                is_done: false,
            });
            return Some(Growth { is_answer, place: self.growing.len() - 1 });
        }
        scene.report.add(
            &rule::TOO_MANY_PARTS,
            format_args!("event {number}"),
            format_args!("more texts"),
        );
        None
    }

    fn compare(
        &mut self,
        number: u64,
        what: &str,
        field: &str,
        at: (i64, i64),
        event: Value<'_>,
        scene: &mut Scene,
    ) {
        let found = event.get(field);
        if what == "function_call_arguments" {
            self.facts.has_tool_calls = true;
            check_arguments_value(
                found,
                &mut scene.report,
                format_args!("event {number} /arguments"),
            );
        }
        if what == "refusal" {
            self.facts.refused = true;
        }
        let is_it = |g: &Growing| (g.output_index, g.part_index) == at && g.what == what;
        let growing = self.growing.iter_mut().rev().find(|g| is_it(g));
        let print = growing.map(|growing| {
            growing.is_done = true;
            growing.print
        });
        let Some(text) = found.and_then(Value::text) else {
            // A gateway that leaves the final text out has at least delivered the deltas.
            let is_other = found.is_some_and(|found| !found.is_null() && field == "text");
            return scene.report.add(
                if is_other { &rule::DONE_DIFFERS } else { &rule::DONE_TEXT_MISSING },
                format_args!("event {number} /{field}"),
                format_args!("{}", seen(found)),
            );
        };
        match print {
            Some(print) if print == Fingerprint::of(text.as_bytes()) => {}
            None if text.is_empty() => {}
            Some(_) => {
                scene.report.add(
                    &rule::DONE_DIFFERS,
                    format_args!("event {number} /{field}"),
                    format_args!("another text than the deltas"),
                );
            }
            None => {
                self.has_calls_without_deltas |= is_call(what);
                scene.report.add(
                    &rule::DELTAS_MISSING,
                    format_args!("event {number} /{field}"),
                    format_args!("no delta"),
                );
                if what == "output_text" {
                    self.facts.has_text |= !text.trim().is_empty();
                    self.facts.bytes += text.len() as u64;
                    self.facts.text.add(text.as_bytes());
                    scene.text.append(&text);
                }
            }
        }
    }

    fn done(&mut self, number: u64, output_index: i64, event: Value<'_>, scene: &mut Scene) {
        let Some(item) = event.get_some("item").filter(|item| item.is_object()) else {
            return scene.report.add(
                &rule::ITEM_TYPE,
                format_args!("event {number} /item"),
                format_args!("{}", seen(event.get("item"))),
            );
        };
        let id = item.get("id").and_then(Value::text);
        match self.items.iter_mut().find(|item| item.output_index == output_index) {
            Some(known) => {
                known.is_done = true;
                if known.id.as_deref().zip(id.as_deref()).is_some_and(|(known, id)| known != id) {
                    scene.report.add(
                        &rule::ITEM_ID_CHANGED,
                        format_args!("event {number} /item/id"),
                        format_args!("another id"),
                    );
                }
                // Searches for tools are known to get theirs when they are done.
                let is_call = item
                    .get("type")
                    .is_some_and(|kind| CALLS.iter().any(|(what, _)| kind.is(what_calls(what))));
                if is_call && differ(known.call_id, print_of(item, "call_id")) {
                    scene.report.add(
                        &rule::ITEM_ID_CHANGED,
                        format_args!("event {number} /item/call_id"),
                        format_args!("another id"),
                    );
                }
                if differ(known.name, print_of(item, "name")) {
                    scene.report.add(
                        &rule::DONE_DIFFERS,
                        format_args!("event {number} /item/name"),
                        format_args!("another name than it was added with"),
                    );
                }
            }
            None => {
                scene.report.add(
                    &rule::ITEM_NOT_ADDED,
                    format_args!("event {number}"),
                    format_args!("an item done that was not added"),
                );
                if self.items.len() < ITEMS_MAX {
                    self.items.push(Item { output_index, is_done: true, ..Item::default() });
                }
            }
        }
        let had_text = !self.facts.text.is_empty();
        let facts = Output::of_item(item, &format!("event {number} /item"), !had_text, scene);
        self.facts.take(&facts);
        self.compare_item(number, output_index, item, scene);
        if !had_text && facts.has_text {
            scene.report.add(
                &rule::DELTAS_MISSING,
                format_args!("event {number} /item"),
                format_args!("no delta"),
            );
            self.facts.has_text = true;
            self.facts.text = facts.text;
            self.facts.bytes += facts.bytes;
        }
    }

    /// Compares the texts of a final part with what its deltas came to.
    fn compare_part(
        &self,
        number: u64,
        at: (i64, i64),
        part: Option<Value<'_>>,
        scene: &mut Scene,
    ) {
        let is_answer = |part: &Value<'_>| {
            part.get("type")
                .is_none_or(|kind| !kind.is("reasoning_text") && !kind.is("summary_text"))
        };
        let part = part.filter(is_answer);
        for (what, field) in [("output_text", "text"), ("refusal", "refusal")] {
            let text = part.and_then(|part| part.get(field));
            self.compare_whole(number, what, at, text, scene);
        }
    }

    /// Compares the texts of a final item with what their deltas came to.
    fn compare_item(&mut self, number: u64, output_index: i64, item: Value<'_>, scene: &mut Scene) {
        let parts = item.get("content").into_iter().flat_map(Value::items);
        for (part, place) in parts.zip(0..) {
            self.compare_part(number, (output_index, place), Some(part), scene);
        }
        for (what, field) in CALLS {
            let text = item.get(field);
            let had_deltas = self.compare_whole(number, what, (output_index, 0), text, scene);
            let is_call = item.get("type").is_some_and(|kind| kind.is(what_calls(what)));
            self.has_calls_without_deltas |= is_call && !had_deltas;
        }
    }

    /// Compares a final text with what its deltas came to, and returns whether there were any. An empty one was left out.
    fn compare_whole(
        &self,
        number: u64,
        what: &str,
        at: (i64, i64),
        text: Option<Value<'_>>,
        scene: &mut Scene,
    ) -> bool {
        let is_it = |g: &&Growing| (g.output_index, g.part_index) == at && g.what == what;
        let Some(growing) = self.growing.iter().rfind(is_it) else { return false };
        let text = text.and_then(Value::text).filter(|text| !text.is_empty());
        if text.is_some_and(|text| growing.print != Fingerprint::of(text.as_bytes())) {
            scene.report.add(
                &rule::DONE_DIFFERS,
                format_args!("event {number} {what}"),
                format_args!("another text than the deltas"),
            );
        }
        true
    }

    /// Returns what the deltas told of the arguments of calls.
    pub(super) fn calls(&self) -> Calls {
        if self.has_calls_without_deltas {
            return Calls::Unknown;
        }
        let calls = self.growing.iter().filter(|g| is_call(&g.what) && !g.print.is_empty());
        let mut calls = calls.map(|growing| growing.print.mixed()).peekable();
        match calls.peek() {
            None => Calls::None,
            Some(_) => Calls::Told(calls.fold(0, u64::wrapping_add)),
        }
    }

    /// Returns what was delivered.
    pub(super) fn finish(&mut self, scene: &mut Scene) -> Output {
        let has_open_item = self.items.iter().any(|item| item.was_added && !item.is_done);
        if has_open_item || self.growing.iter().any(|growing| !growing.is_done) {
            scene.report.add(
                &rule::ITEM_NOT_DONE,
                format_args!("stream"),
                format_args!("an item or text without its done event"),
            );
        }
        let texts = self.growing.iter().filter(|growing| growing.what == "output_text");
        self.facts.parts = texts.fold(0, |sum, growing| sum.wrapping_add(growing.print.mixed()));
        std::mem::take(&mut self.facts)
    }
}
