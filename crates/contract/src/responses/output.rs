//! Reads the `output` of a response object.

use crate::json::Value;
use crate::scene::{Scene, seen};
use crate::tool_call::check_arguments_value;
use crate::{Kind, rule};

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
}

/// A running fingerprint of text: enough to tell whether two texts are the same, and it holds neither (but for the last
/// seven bytes). How a text was cut into parts makes no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    hash: u64,
    /// The bytes behind the last whole word.
    rest: u64,
    n_bytes: u64,
}

impl Fingerprint {
    pub(super) fn add(&mut self, text: &str) {
        let mut bytes = text.as_bytes();
        // Fill the word that was begun.
        while !self.n_bytes.is_multiple_of(8)
            && let Some((first, others)) = bytes.split_first()
        {
            self.byte(*first);
            bytes = others;
        }
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().unwrap_or_default()));
            self.n_bytes += 8;
        }
        for byte in words.remainder() {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        let place = self.n_bytes % 8;
        self.rest |= u64::from(byte) << (8 * place);
        self.n_bytes += 1;
        if place == 7 {
            let word = std::mem::take(&mut self.rest);
            self.word(word);
        }
    }

    fn word(&mut self, word: u64) {
        // Both halves of the product, so that every bit of the word reaches every bit of the hash.
        let product = u128::from(self.hash ^ word ^ 0xcbf2_9ce4_8422_2325) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = [product, product >> 64]
            .map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
        self.hash = low.rotate_left(23) ^ high;
    }

    pub(super) fn of(text: &str) -> Self {
        let mut print = Self::default();
        print.add(text);
        print
    }

    /// Returns one number of it, which sums do not cancel out.
    pub(super) fn mixed(mut self) -> u64 {
        self.word(self.rest);
        self.word(self.n_bytes);
        self.hash
    }

    pub(super) fn is_empty(self) -> bool {
        self.n_bytes == 0
    }
}

impl Output {
    /// Reads the items. With `deliver`, their text counts as delivered.
    pub(super) fn read(output: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) -> Self {
        let mut facts = Self::default();
        for (number, item) in output.items().enumerate() {
            facts.n_items += 1;
            facts.item(item, &format!("{at}/output/{number}"), deliver, scene);
        }
        facts.is_proven &= !facts.has_unfinished;
        facts
    }

    /// Reads one item.
    pub(super) fn of_item(item: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) -> Self {
        let mut facts = Self { n_items: 1, ..Self::default() };
        facts.item(item, at, deliver, scene);
        facts
    }

    fn item(&mut self, item: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) {
        let Some(kind) = item.get("type").and_then(Value::text) else {
            self.has_wrong_type = true;
            return scene.report.add(
                &rule::ITEM_TYPE,
                format_args!("{at}/type"),
                format_args!("{}", seen(item.get("type"))),
            );
        };
        match item.get("status").and_then(Value::text).as_deref() {
            Some("completed") => self.is_proven = true,
            Some("in_progress" | "incomplete") => self.has_unfinished = true,
            // Not all items have one, and tools have words of their own.
            Some(_) | None => {}
        }
        match &*kind {
            "message" => self.message(item, at, deliver, scene),
            "function_call" => {
                self.has_tool_calls = true;
                if seen(item.get("call_id")) != Kind::STRING {
                    scene.report.add(
                        &rule::TOOL_ID_MISSING,
                        format_args!("{at}/call_id"),
                        format_args!("{}", seen(item.get("call_id"))),
                    );
                }
                if seen(item.get("name")) != Kind::STRING {
                    scene.report.add(
                        &rule::TOOL_NAME_MISSING,
                        format_args!("{at}/name"),
                        format_args!("{}", seen(item.get("name"))),
                    );
                }
                check_arguments_value(
                    item.get("arguments"),
                    &mut scene.report,
                    format_args!("{at}/arguments"),
                );
                self.bytes +=
                    item.get("arguments").and_then(Value::text).map_or(0, |text| text.len()) as u64;
            }
            // Thinking is no answer, and neither is the echo of a tool's result.
            "reasoning" | "compaction" => {}
            kind if kind.ends_with("_output") => {}
            // An item that asks the client for something (approval, a shell or a computer action) is usable; the set grows.
            kind if kind.ends_with("_call") || kind.ends_with("_request") => {
                self.has_tool_calls = true;
            }
            _ => {}
        }
    }

    fn message(&mut self, item: Value<'_>, at: &str, deliver: bool, scene: &mut Scene) {
        if !item.get("role").is_some_and(|role| role.is("assistant")) {
            scene.report.add(
                &rule::ROLE_ODD,
                format_args!("{at}/role"),
                format_args!("{}", seen(item.get("role"))),
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
                    self.text.add(&text);
                    self.parts = self.parts.wrapping_add(Fingerprint::of(&text).mixed());
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
