//! Reads the `output` of a response object.

use std::collections::BTreeSet;

use crate::fingerprint::Fingerprint;
use crate::json::Value;
use crate::scene::{Scene, seen, seen_word};
use crate::tool_call::{check_arguments_value, check_custom_input};
use crate::{Kind, rule, usage};

/// What an `output` holds.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set where it is met")]
pub(super) struct Output {
    pub(super) n_items: usize,
    pub(super) has_text: bool,
    pub(super) has_tool_calls: bool,
    pub(super) refused: bool,
    /// Some item says that it is completed, and none says otherwise.
    pub(super) is_proven: bool,
    pub(super) has_unfinished: bool,
    pub(super) has_wrong_type: bool,
    pub(super) bytes: u64,
    /// All text in the order of the items.
    pub(super) text: Fingerprint,
    /// The texts of all parts in any order: streams may interleave items.
    pub(super) parts: u64,
    /// The arguments of all calls, in any order.
    pub(super) calls: u64,
    /// The names of all calls that have one, in any order, and how many they are.
    pub(super) names: (u64, usize),
    call_ids: BTreeSet<u64>,
    /// There are items whose length tells nothing of their tokens.
    is_unmeasured: bool,
}

/// Whether an item is a call that a program of the provider made: it is whole, and in progress until the client answers.
fn is_awaited(item: Value<'_>) -> bool {
    let kind = item.get("caller").and_then(|caller| caller.get("type"));
    kind.is_some_and(|kind| kind.is("program"))
        && item.get("type").is_some_and(|kind| kind.is("function_call"))
}

impl Output {
    /// Reads the items. With `deliver`, their text counts as delivered.
    pub(super) fn read(output: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) -> Self {
        let mut facts = Self::default();
        for (number, item) in output.items().enumerate() {
            facts.n_items += 1;
            facts.item(item, format_args!("{at}/output/{number}"), deliver, scene);
        }
        facts.is_proven &= !facts.has_unfinished;
        facts
    }

    /// Reads one item.
    pub(super) fn of_item(item: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) -> Self {
        let mut facts = Self { n_items: 1, ..Self::default() };
        facts.item(item, format_args!("{at}"), deliver, scene);
        facts
    }

    /// Adds what was found out of a further item.
    pub(super) fn take(&mut self, other: &Self) {
        self.n_items += other.n_items;
        self.has_tool_calls |= other.has_tool_calls;
        self.refused |= other.refused;
        self.is_proven |= other.is_proven;
        self.has_unfinished |= other.has_unfinished;
        self.has_wrong_type |= other.has_wrong_type;
        self.names.0 = self.names.0.wrapping_add(other.names.0);
        self.names.1 += other.names.1;
        self.is_unmeasured |= other.is_unmeasured;
    }

    /// Returns how many bytes are there to be compared with the tokens that were counted.
    pub(super) fn measure(&self) -> u64 {
        if self.is_unmeasured { usage::UNMEASURED } else { self.bytes }
    }

    fn item(
        &mut self,
        item: Value<'_>,
        at: std::fmt::Arguments<'_>,
        deliver: bool,
        scene: &mut Scene,
    ) {
        let kind = item.get("type").and_then(Value::text).filter(|kind| !kind.is_empty());
        let Some(kind) = kind else {
            self.has_wrong_type = true;
            return scene.report.add(
                &rule::ITEM_TYPE,
                format_args!("{at}/type"),
                format_args!("{}", seen(item.get("type"))),
            );
        };
        match item.get("status").and_then(Value::text).as_deref() {
            Some("completed") => self.is_proven = true,
            Some("in_progress") if is_awaited(item) => {}
            Some("in_progress" | "incomplete") => self.has_unfinished = true,
            // Not all items have one, and tools have words of their own.
            Some(_) | None => {}
        }
        match &*kind {
            "message" => self.message(item, at, deliver, scene),
            "function_call" => {
                let arguments = item.get("arguments");
                check_arguments_value(arguments, &mut scene.report, format_args!("{at}/arguments"));
                self.call(item, arguments, at, scene);
            }
            "custom_tool_call" => {
                let input = item.get("input");
                check_custom_input(input, &mut scene.report, format_args!("{at}/input"));
                self.call(item, input, at, scene);
            }
            // Thinking is no answer, and neither is the echo of a tool's result.
            "reasoning" | "compaction" => {}
            kind if kind.ends_with("_output") => {}
            // What the provider runs by itself is a step towards the answer, and asks nothing of the client.
            "web_search_call" | "file_search_call" | "code_interpreter_call" | "mcp_call" => {
                self.is_unmeasured = true;
            }
            "image_generation_call" => {
                self.is_unmeasured = true;
                self.has_tool_calls |= seen(item.get("result")) == Kind::STRING;
            }
            // An item that asks the client for something (approval, a shell or a computer action) is usable; the set grows.
            kind if kind.ends_with("_call") || kind.ends_with("_request") => {
                self.has_tool_calls = true;
                self.is_unmeasured = true;
            }
            _ => self.is_unmeasured = true,
        }
    }

    /// Takes the call of a tool of the client's, with its arguments or its input.
    fn call(
        &mut self,
        item: Value<'_>,
        input: Option<Value<'_>>,
        at: std::fmt::Arguments<'_>,
        scene: &mut Scene,
    ) {
        self.has_tool_calls = true;
        match item.get("call_id").and_then(Value::text).filter(|id| !id.is_empty()) {
            None => scene.report.add(
                &rule::TOOL_ID_MISSING,
                format_args!("{at}/call_id"),
                format_args!("{}", seen(item.get("call_id"))),
            ),
            Some(id) => {
                if !self.call_ids.insert(Fingerprint::of(id.as_bytes()).mixed()) {
                    scene.report.add(
                        &rule::TOOL_ID_REPEATED,
                        format_args!("{at}/call_id"),
                        format_args!("an id that another call has"),
                    );
                }
            }
        }
        match item.get("name").and_then(Value::text).filter(|name| !name.is_empty()) {
            None => scene.report.add(
                &rule::TOOL_NAME_MISSING,
                format_args!("{at}/name"),
                format_args!("{}", seen(item.get("name"))),
            ),
            Some(name) => {
                let print = Fingerprint::of(name.as_bytes()).mixed();
                self.names = (self.names.0.wrapping_add(print), self.names.1 + 1);
            }
        }
        if let Some(text) = input.and_then(Value::text).filter(|text| !text.is_empty()) {
            self.bytes += text.len() as u64;
            self.calls = self.calls.wrapping_add(Fingerprint::of(text.as_bytes()).mixed());
        }
    }

    fn message(
        &mut self,
        item: Value<'_>,
        at: std::fmt::Arguments<'_>,
        deliver: bool,
        scene: &mut Scene,
    ) {
        if !item.get("role").is_some_and(|role| role.is("assistant")) {
            scene.report.add(
                &rule::ROLE_ODD,
                format_args!("{at}/role"),
                format_args!("{}", seen_word(item.get("role"))),
            );
        }
        let Some(content) = item.get_some("content").filter(|content| content.is_array()) else {
            self.has_wrong_type = true;
            return scene.report.add(
                &rule::CONTENT_TYPE,
                format_args!("{at}/content"),
                format_args!("{}", seen(item.get("content"))),
            );
        };
        for (number, part) in content.items().enumerate() {
            match part.get("type").and_then(Value::text).as_deref() {
                Some("output_text" | "text") => {
                    let Some(text) = part.get("text").and_then(Value::text) else {
                        self.has_wrong_type = true;
                        let what = seen(part.get("text"));
                        scene.report.add(
                            &rule::CONTENT_TYPE,
                            format_args!("{at}/content/{number}/text"),
                            format_args!("{what}"),
                        );
                        continue;
                    };
                    self.has_text |= !text.trim().is_empty();
                    self.bytes += text.len() as u64;
                    let print = Fingerprint::of(text.as_bytes());
                    self.parts = self.parts.wrapping_add(print.mixed());
                    if self.text.is_empty() {
                        self.text = print;
                    } else {
                        self.text.add(text.as_bytes());
                    }
                    if deliver {
                        scene.text.take(text);
                    }
                }
                Some("refusal") => self.refused = true,
                // New part types are skipped, as clients must.
                Some(_) => {}
                None => {
                    self.has_wrong_type = true;
                    scene.report.add(
                        &rule::ITEM_TYPE,
                        format_args!("{at}/content/{number}/type"),
                        format_args!("{}", seen(part.get("type"))),
                    );
                }
            }
        }
    }
}
