//! Puts the tool calls of a stream together, as far as judging them needs.

use std::collections::BTreeSet;

use crate::json::Value;
use crate::scene::{Scene, seen};
use crate::tool_call::{check_arguments, check_arguments_value, check_custom_input};
use crate::{Kind, rule};

/// Most calls of one choice followed.
const CALLS_MAX: usize = 256;
/// Most bytes of arguments kept of one call, and the reason why memory stays bounded: they are JSON only as a whole.
const ARGUMENTS_BYTES_MAX: usize = 1024 * 1024;
/// Longest id kept: some providers put a signature into it.
const ID_BYTES_MAX: usize = 4096;
/// Most bytes of arguments and ids kept of all calls of all choices.
const ALL_ARGUMENTS_BYTES_MAX: usize = 4 * ARGUMENTS_BYTES_MAX;

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set where it is met")]
struct Call {
    index: Option<i64>,
    id: Option<String>,
    has_type: bool,
    has_name: bool,
    is_custom: bool,
    /// They came as something else than text, which was judged where it came.
    is_not_text: bool,
    arguments: Vec<u8>,
}

/// The tool calls of one choice.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    calls: Vec<Call>,
}

impl ToolCalls {
    /// Takes one delta and returns how many bytes of arguments it has.
    pub(super) fn delta(&mut self, number: u64, delta: Value<'_>, scene: &mut Scene) -> u64 {
        if !delta.is_object() {
            scene.report.add(
                &rule::TOOLS_TYPE,
                format_args!("event {number} /tool_calls"),
                format_args!("{}", delta.kind()),
            );
            return 0;
        }
        let id = delta.get("id").and_then(Value::text).filter(|id| !id.is_empty());
        let index = delta.get("index").and_then(Value::integer);
        if index.is_none() {
            scene.report.add(
                &rule::TOOL_INDEX_MISSING,
                format_args!("event {number} /tool_calls/index"),
                format_args!("{}", seen(delta.get("index"))),
            );
        }
        let place = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            // Without an index, a new id is a new call, and all else belongs to the last one.
            None if id.is_some() => {
                self.calls.iter().position(|call| call.id.as_deref() == id.as_deref())
            }
            None => self.calls.len().checked_sub(1),
        };
        let place = match place {
            Some(place) if self.is_other_call(place, id.as_deref()) && index.is_some() => {
                scene.report.add(
                    &rule::TOOL_INDEX_SHARED,
                    format_args!("event {number} /tool_calls/index"),
                    format_args!("another id"),
                );
                None
            }
            place => place,
        };
        let place = place.unwrap_or_else(|| {
            if index.is_some_and(|index| usize::try_from(index).ok() != Some(self.calls.len()))
                && !scene.report.has(&rule::TOOL_INDEX_SHARED)
            {
                scene.report.add(
                    &rule::TOOL_INDEX_GAP,
                    format_args!("event {number} /tool_calls/index"),
                    format_args!("a gap"),
                );
            }
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        });
        if place >= CALLS_MAX {
            self.calls.truncate(CALLS_MAX);
            scene.report.add(
                &rule::TOO_MANY_PARTS,
                format_args!("event {number} /tool_calls"),
                format_args!("more tool calls"),
            );
            return 0;
        }
        self.calls.get_mut(place).map_or(0, |call| call.delta(number, delta, id.as_deref(), scene))
    }

    /// Returns the arguments of a delta that was judged, the place of its call, and whether it has an id, if a repetition of
    /// it would add to these arguments and do nothing else.
    pub(super) fn repeatable<'v>(
        &self,
        deltas: Value<'v>,
        scene: &Scene,
    ) -> Option<(Value<'v>, usize, bool)> {
        let mut deltas = deltas.items();
        let delta = deltas.next().filter(|_| deltas.next().is_none())?;
        let index = delta.get("index").and_then(Value::integer)?;
        let place = self.calls.iter().rposition(|call| call.index == Some(index))?;
        let call = self.calls.get(place)?;
        let id = delta.get("id").and_then(Value::text).filter(|id| !id.is_empty());
        // An id that was too long to be kept cannot be compared.
        let is_known = id.is_none() || call.id.as_deref() == id.as_deref();
        if !is_known || call.is_custom || delta.get_some("custom").is_some() {
            return None;
        }
        let function = delta.get_some("function")?;
        let has_head = id.is_some() || seen(function.get("name")) == Kind::STRING;
        // The first repetition of a head is a finding, and no more than text only after it.
        if has_head && !scene.report.has(&rule::TOOL_HEAD_REPEATED) {
            return None;
        }
        Some((function.get("arguments")?, place, id.is_some()))
    }

    /// Adds arguments to a call and returns how many bytes they have.
    pub(super) fn more_arguments(
        &mut self,
        place: usize,
        text: &str,
        number: u64,
        scene: &mut Scene,
    ) -> u64 {
        self.calls.get_mut(place).map_or(0, |call| call.more_arguments(text, number, scene))
    }

    fn is_other_call(&self, place: usize, id: Option<&str>) -> bool {
        let known = self.calls.get(place).and_then(|call| call.id.as_deref());
        known.zip(id).is_some_and(|(known, id)| known != id)
    }

    /// Judges the calls as wholes.
    pub(super) fn finish(&mut self, at: &str, scene: &mut Scene) {
        let mut ids = BTreeSet::new();
        for (number, call) in self.calls.iter().enumerate() {
            let at = format!("{at}/delta/tool_calls/{number}");
            let report = &mut scene.report;
            match call.id.as_deref() {
                None => report.add(
                    &rule::TOOL_ID_MISSING,
                    format_args!("{at}/id"),
                    format_args!("absent, null or empty"),
                ),
                Some(id) if !ids.insert(id) => report.add(
                    &rule::TOOL_ID_REPEATED,
                    format_args!("{at}/id"),
                    format_args!("an id that another call has"),
                ),
                Some(_) => {}
            }
            if !call.has_type {
                report.add(
                    &rule::TOOL_TYPE_MISSING,
                    format_args!("{at}/type"),
                    format_args!("absent, null or empty"),
                );
            }
            if !call.has_name {
                report.add(
                    &rule::TOOL_NAME_MISSING,
                    format_args!("{at}/function/name"),
                    format_args!("absent, null or empty"),
                );
            }
            if !call.is_custom && !call.is_not_text {
                check_arguments(&call.arguments, report, format_args!("{at}/function/arguments"));
            }
        }
    }
}

impl Call {
    fn delta(&mut self, number: u64, delta: Value<'_>, id: Option<&str>, scene: &mut Scene) -> u64 {
        let mut is_repeated = id.is_some() && self.id.is_some();
        if let Some(id) = id.filter(|id| self.id.is_none() && id.len() <= ID_BYTES_MAX)
            && is_within_budget(id, number, scene)
        {
            self.id = Some(id.to_owned());
        }
        self.has_type |= seen(delta.get("type")) == Kind::STRING;
        let part = match delta.get_some("custom") {
            Some(custom) => {
                self.is_custom = true;
                custom
            }
            None => match delta.get_some("function") {
                Some(function) => function,
                None => return 0,
            },
        };
        let has_name = seen(part.get("name")) == Kind::STRING;
        is_repeated |= has_name && self.has_name;
        self.has_name |= has_name;
        if is_repeated {
            let at = format_args!("event {number} /tool_calls");
            scene.report.add(&rule::TOOL_HEAD_REPEATED, at, format_args!("id or name again"));
        }
        let Some(arguments) = part.get_some(if self.is_custom { "input" } else { "arguments" })
        else {
            return 0;
        };
        let Some(text) = arguments.text() else {
            self.is_not_text = true;
            let at = format_args!("event {number} /tool_calls/function/arguments");
            if self.is_custom {
                check_custom_input(Some(arguments), &mut scene.report, at);
            } else {
                check_arguments_value(Some(arguments), &mut scene.report, at);
            }
            return 0;
        };
        self.more_arguments(&text, number, scene)
    }

    fn more_arguments(&mut self, text: &str, number: u64, scene: &mut Scene) -> u64 {
        if !self.is_custom {
            append(&mut self.arguments, text, number, scene);
        }
        text.len() as u64
    }
}

/// Appends arguments up to the limits.
pub(super) fn append(arguments: &mut Vec<u8>, text: &str, number: u64, scene: &mut Scene) {
    if !is_within_budget(text, number, scene) {
        return;
    }
    if arguments.len() + text.len() > ARGUMENTS_BYTES_MAX {
        let what = "more than 1 MiB";
        return scene.report.add(
            &rule::ARGUMENTS_UNCHECKED,
            format_args!("event {number} /tool_calls"),
            format_args!("{what}"),
        );
    }
    arguments.extend_from_slice(text.as_bytes());
}

/// Whether a part of a call may be kept. Choices and calls are many: without a common budget their sum would be half a gigabyte.
fn is_within_budget(text: &str, number: u64, scene: &mut Scene) -> bool {
    scene.n_argument_bytes = scene.n_argument_bytes.saturating_add(text.len());
    let fits = scene.n_argument_bytes <= ALL_ARGUMENTS_BYTES_MAX;
    if !fits {
        scene.report.add(
            &rule::ARGUMENTS_UNCHECKED,
            format_args!("event {number} /tool_calls"),
            format_args!("more than 4 MiB"),
        );
    }
    fits
}
