//! The grammar of a chat stream: role, deltas, one finish for each choice, usage, [DONE].

mod repeat;
mod tools;

use std::collections::BTreeSet;

use repeat::{Part, repeatable};
use tools::ToolCalls;

use super::choice::{
    Choice, Content, End, MEDIA, STRUCTURED_THOUGHTS, check_created, check_role, is_call, is_media,
    worse,
};
use crate::json::{Fit, Templates, Value};
use crate::scene::{Scene, seen, seen_word};
use crate::{Completion, Kind, Surface, rule, usage};

/// Most choices followed; more than any provider gives.
const CHOICES_MAX: usize = 128;

/// The call of a function in the legacy form.
#[derive(Debug, Default)]
struct FunctionCall {
    has_name: bool,
    arguments: Vec<u8>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: i64,
    facts: Choice,
    has_role: bool,
    tools: ToolCalls,
    function_call: Option<FunctionCall>,
    /// Some delta came with something in it.
    delivered_bytes: u64,
    /// Some came whose length tells nothing of their tokens.
    is_unmeasured: bool,
}

/// Follows one chat stream.
#[derive(Debug, Default)]
pub(crate) struct ChatStream {
    choices: Vec<ChoiceState>,
    n_chunks: u64,
    tokens: Option<i64>,
    failed: bool,
    /// The stream is of another surface, or carries unary replies.
    is_foreign: bool,
    /// The last chunks, where the next ones may differ from them in their text only.
    templates: Templates<Part>,
}

impl ChatStream {
    /// Whether every choice that began has ended.
    pub(crate) fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.facts.end != End::Open)
    }

    /// Whether any part of an answer came.
    pub(crate) fn has_delivered(&self) -> bool {
        self.choices.iter().any(|choice| {
            let facts = &choice.facts;
            choice.delivered_bytes > 0 || facts.has_tool_calls || facts.has_other_content
        })
    }

    /// Takes a chunk that differs from an earlier one in its text only, without parsing it. Returns whether it did.
    ///
    /// Such a chunk has the same shape and the same deviations as the earlier one, and each is noted once only. Nothing between
    /// the two changed how it is judged: whatever could, forgets the earlier one.
    pub(crate) fn take_repeat(
        &mut self,
        number: u64,
        name: &str,
        data: &[u8],
        scene: &mut Scene,
    ) -> bool {
        let Some(Fit { meaning, text, .. }) = self.templates.fit(name, data) else { return false };
        let (Part::Content(choice) | Part::Reasoning(choice) | Part::Arguments(choice, _)) =
            meaning;
        let Some(state) = self.choices.get_mut(choice) else { return false };
        self.n_chunks += 1;
        match meaning {
            Part::Content(_) => {
                state.facts.content.add(text);
                state.delivered_bytes += text.len() as u64;
                if state.index == 0 {
                    scene.text.append(text);
                }
            }
            Part::Reasoning(_) => state.delivered_bytes += text.len() as u64,
            Part::Arguments(_, call) => {
                state.delivered_bytes += state.tools.more_arguments(call, text, number, scene);
            }
        }
        true
    }

    /// Takes one chunk. `number` counts events from 1.
    pub(crate) fn chunk(
        &mut self,
        number: u64,
        name: &str,
        data: &[u8],
        chunk: Value<'_>,
        scene: &mut Scene,
    ) {
        self.chunk_in_full(number, name, chunk, scene);
        match repeatable(chunk, &self.choices, scene).filter(|_| !self.failed) {
            Some((holes, part, keeps_others)) => {
                if !keeps_others {
                    self.templates.clear();
                }
                self.templates.keep(name, data, holes, part);
            }
            None => self.templates.clear(),
        }
    }

    fn chunk_in_full(&mut self, number: u64, name: &str, chunk: Value<'_>, scene: &mut Scene) {
        if name == "error" || scene.is_error_body(chunk) {
            scene.take_error(&rule::STREAM_ERROR, chunk, format_args!("event {number}"));
            self.failed = true;
            return;
        }
        let Some(choices) = chunk.get_some("choices") else {
            return self.without_choices(number, name, chunk, scene);
        };
        if !choices.is_array() {
            scene.report.add(
                &rule::CHOICES_TYPE,
                format_args!("event {number} /choices"),
                format_args!("{}", choices.kind()),
            );
            return;
        }
        self.n_chunks += 1;
        let n_choices = choices.items().count();
        let is_usage_chunk = n_choices == 0;
        if is_usage_chunk {
            // Azure's first chunk has empty names; a gateway's bookkeeping has none at all.
            if chunk.get("id").is_none() && chunk.get("object").is_none() {
                scene.report.add(
                    &rule::CHUNK_BOOKKEEPING,
                    format_args!("event {number}"),
                    format_args!("neither id nor object"),
                );
            } else if chunk.get_some("usage").is_some() {
                Self::check_names(number, chunk, scene);
            }
        } else {
            Self::check_names(number, chunk, scene);
        }
        self.read_usage(number, chunk, is_usage_chunk, scene);
        for (place, choice) in choices.items().take(CHOICES_MAX).enumerate() {
            self.choice(number, place, n_choices, choice, scene);
        }
    }

    fn without_choices(&mut self, number: u64, name: &str, chunk: Value<'_>, scene: &mut Scene) {
        let kind = chunk.get("type").and_then(Value::text).unwrap_or_default();
        let is_responses = kind.starts_with("response.");
        let is_anthropic = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "message_delta",
            "message_stop",
        ]
        .contains(&&*kind);
        let is_gemini = chunk.get("candidates").is_some();
        if is_responses || is_anthropic || is_gemini {
            self.is_foreign = true;
            let what = "an event of another endpoint";
            return scene.report.add(
                &rule::WRONG_SURFACE,
                format_args!("event {number}"),
                format_args!("{what}"),
            );
        }
        let is_named = !name.is_empty() && name != "message";
        let is_declared =
            |events: &BTreeSet<String>| events.contains(name) || events.contains(&*kind);
        if scene.report.profile().custom().is_some_and(|custom| is_declared(&custom.events)) {
            return;
        }
        let at = format_args!("event {number}");
        if is_named || !kind.is_empty() {
            scene.report.add(&rule::EVENT_UNKNOWN, at, format_args!("an event of another kind"));
        } else {
            let choices = seen(chunk.get("choices"));
            scene.report.add(&rule::CHUNK_CHOICES_MISSING, at, format_args!("{choices}"));
        }
        self.read_usage(number, chunk, true, scene);
    }

    fn check_names(number: u64, chunk: Value<'_>, scene: &mut Scene) {
        // The common case first: a chunk repeats the id of the one before.
        let id = chunk.get("id").and_then(Value::text).filter(|id| !id.is_empty());
        if let (Some(id), Some(before)) = (&id, &scene.response_id)
            && **id != **before
        {
            scene.report.add(
                &rule::ID_CHANGED,
                format_args!("event {number} /id"),
                format_args!("another id"),
            );
        }
        let model = chunk.get("model").and_then(Value::text).filter(|model| !model.is_empty());
        if let (Some(model), Some(before)) = (&model, &scene.model)
            && **model != **before
        {
            let what = "another model";
            scene.report.add(
                &rule::MODEL_CHANGED,
                format_args!("event {number} /model"),
                format_args!("{what}"),
            );
        }
        if id.is_none() || scene.response_id.is_none() || scene.model.is_none() {
            scene.identity(chunk, format_args!("event {number} "));
        } else if seen(chunk.get("model")) != Kind::STRING {
            scene.report.add(
                &rule::MODEL_ODD,
                format_args!("event {number} /model"),
                format_args!("{}", seen(chunk.get("model"))),
            );
        }
        if !chunk.get("object").is_some_and(|object| object.is("chat.completion.chunk")) {
            scene.report.add(
                &rule::OBJECT_ODD,
                format_args!("event {number} /object"),
                format_args!("{}", seen_word(chunk.get("object"))),
            );
        }
        check_created(chunk, &mut scene.report, format_args!("event {number} /created"));
    }

    fn read_usage(
        &mut self,
        number: u64,
        chunk: Value<'_>,
        is_usage_chunk: bool,
        scene: &mut Scene,
    ) {
        let Some(found) = chunk.get_some("usage") else { return };
        let tokens = usage::check(Surface::Chat, found, &mut scene.report);
        if tokens.is_some() {
            self.tokens = tokens;
        }
        let is_empty = found.is_object() && found.fields().next().is_none();
        if !is_empty && (!is_usage_chunk || !self.is_finished()) {
            scene.report.add(
                &rule::USAGE_PLACE,
                format_args!("event {number} /usage"),
                format_args!("usage beside or before the end"),
            );
        }
    }

    fn choice(
        &mut self,
        number: u64,
        place: usize,
        n_choices: usize,
        choice: Value<'_>,
        scene: &mut Scene,
    ) {
        if !choice.is_object() {
            return scene.report.add(
                &rule::CHOICES_TYPE,
                format_args!("event {number} /choices/{place}"),
                format_args!("{}", choice.kind()),
            );
        }
        let index = choice.get("index").and_then(Value::integer).unwrap_or_else(|| {
            let rule = if n_choices == 1 && self.choices.len() <= 1 {
                &rule::INDEX_ODD
            } else {
                &rule::INDEX_AMBIGUOUS
            };
            scene.report.add(
                rule,
                format_args!("event {number} /choices/{place}/index"),
                format_args!("{}", seen(choice.get("index"))),
            );
            i64::try_from(place).unwrap_or(i64::MAX)
        });
        let Some(state) = self.state(index, scene, number) else { return };
        if Choice::read_error(choice) {
            scene.take_error(
                &rule::CHOICE_ERROR,
                choice,
                format_args!("event {number} /choices/{place}/error"),
            );
            state.facts.failed = true;
        }
        match choice.get_some("delta") {
            Some(delta) if delta.is_object() => state.delta(number, delta, scene),
            Some(delta) => {
                scene.report.add(
                    &rule::DELTA_TYPE,
                    format_args!("event {number} /choices/{place}/delta"),
                    format_args!("{}", delta.kind()),
                );
            }
            None if choice.get_some("message").is_some() => {
                self.is_foreign = true;
                return scene.report.add(
                    &rule::MESSAGE_IN_STREAM,
                    format_args!("event {number} /choices/{place}"),
                    format_args!("message without delta"),
                );
            }
            None if choice.get_some("text").is_some() => {
                self.is_foreign = true;
                return scene.report.add(
                    &rule::LEGACY_TEXT,
                    format_args!("event {number} /choices/{place}"),
                    format_args!("text without delta"),
                );
            }
            None => {
                scene.report.add(
                    &rule::DELTA_MISSING,
                    format_args!("event {number} /choices/{place}/delta"),
                    format_args!("{}", seen(choice.get("delta"))),
                );
            }
        }
        let at = format_args!("event {number} /choices/{place}/finish_reason");
        if let Some(end) = Choice::read_finish(choice, &mut scene.report, at) {
            match state.facts.end {
                End::Open => state.facts.end = end,
                before @ (End::Finished(_) | End::Unreadable) => {
                    let rule =
                        if before == end { &rule::FINISH_TWICE } else { &rule::FINISH_CONFLICT };
                    scene.report.add(
                        rule,
                        format_args!("event {number} /choices/{place}/finish_reason"),
                        format_args!("a second one"),
                    );
                }
            }
        }
    }

    fn state(&mut self, index: i64, scene: &mut Scene, number: u64) -> Option<&mut ChoiceState> {
        let place = match self.choices.iter().position(|choice| choice.index == index) {
            Some(place) => place,
            None if self.choices.len() >= CHOICES_MAX => {
                scene.report.add(
                    &rule::TOO_MANY_PARTS,
                    format_args!("event {number} /choices"),
                    format_args!("more choices"),
                );
                return None;
            }
            None => {
                if index < 0 || index != i64::try_from(self.choices.len()).unwrap_or(i64::MAX) {
                    // Choices may begin in any order; only the first of a stream must be 0 for those who look at it alone.
                    if self.choices.is_empty() || index < 0 {
                        scene.report.add(
                            &rule::INDEX_ODD,
                            format_args!("event {number} /choices/index"),
                            format_args!("another first index"),
                        );
                    }
                }
                if !self.choices.is_empty() {
                    scene.report.add(
                        &rule::CHOICES_EXTRA,
                        format_args!("event {number} /choices"),
                        format_args!("a further choice"),
                    );
                }
                self.choices.push(ChoiceState { index, ..ChoiceState::default() });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(place)
    }

    /// Ends the stream and says how far the answer came.
    pub(crate) fn finish(mut self, scene: &mut Scene) -> Completion {
        let delivered: u64 = self.choices.iter().map(|choice| choice.delivered_bytes).sum();
        if self.failed {
            return Completion::Error;
        }
        if self.choices.is_empty() {
            if !self.is_foreign {
                scene.report.add(
                    &rule::STREAM_EMPTY,
                    format_args!("stream"),
                    format_args!("no choice in {} chunks", self.n_chunks),
                );
            }
            return Completion::Nothing;
        }
        let mut completion = Completion::Complete;
        for choice in &mut self.choices {
            if self.is_foreign
                && choice.facts.content == Content::Nothing
                && !choice.facts.has_tool_calls
            {
                completion = worse(completion, Completion::Nothing);
                continue;
            }
            let at = format!("/choices/{}", choice.index);
            if !choice.has_role {
                scene.report.add(
                    &rule::ROLE_MISSING,
                    format_args!("{at}/delta/role"),
                    format_args!("absent"),
                );
            }
            choice.tools.finish(&at, scene);
            if let Some(call) = &choice.function_call {
                let at = format_args!("{at}/delta/function_call");
                if !call.has_name {
                    scene.report.add(
                        &rule::TOOL_NAME_MISSING,
                        format_args!("{at}/name"),
                        format_args!("absent, null or empty"),
                    );
                }
                crate::tool_call::check_arguments(
                    &call.arguments,
                    &mut scene.report,
                    format_args!("{at}/arguments"),
                );
            }
            completion = worse(
                completion,
                choice.facts.judge(&mut scene.report, format_args!("{at}"), "delta"),
            );
        }
        let is_unmeasured = self.choices.iter().any(|choice| choice.is_unmeasured);
        let delivered = if is_unmeasured { usage::UNMEASURED } else { delivered };
        usage::check_delivery(self.tokens, delivered, &mut scene.report);
        completion
    }
}

impl ChoiceState {
    fn delta(&mut self, number: u64, delta: Value<'_>, scene: &mut Scene) {
        let mut has_more = false;
        for (key, value) in delta.fields() {
            if value.is_null() && !key.is("role") {
                continue;
            }
            if key.is("role") {
                check_role(
                    Some(value),
                    &mut scene.report,
                    format_args!("event {number} /choices/{}/delta/role", self.index),
                );
                self.has_role = true;
            } else if key.is("content") {
                let Some(text) = value.text() else {
                    self.facts.content = Content::WrongType;
                    scene.report.add(
                        &rule::CONTENT_TYPE,
                        format_args!("event {number} /choices/{}/delta/content", self.index),
                        format_args!("{}", value.kind()),
                    );
                    continue;
                };
                has_more |= !text.is_empty();
                self.facts.content.add(&text);
                self.delivered_bytes += text.len() as u64;
                if self.index == 0 {
                    scene.text.append(&text);
                }
            } else if key.is("refusal") {
                self.facts.refused |= Choice::is_refusal(value);
                self.delivered_bytes += value.text().map_or(0, |text| text.len()) as u64;
            } else if key.is("tool_calls") {
                if !value.is_array() {
                    scene.report.add(
                        &rule::TOOLS_TYPE,
                        format_args!("event {number} /choices/{}/delta/tool_calls", self.index),
                        format_args!("{}", value.kind()),
                    );
                    continue;
                }
                for call in value.items() {
                    has_more = true;
                    self.facts.has_tool_calls = true;
                    self.delivered_bytes += self.tools.delta(number, call, scene);
                }
            } else if key.is("function_call") && is_call(value) {
                has_more = true;
                self.facts.has_tool_calls = true;
                let call = self.function_call.get_or_insert_default();
                call.has_name |= seen(value.get("name")) == Kind::STRING;
                if let Some(text) = value.get("arguments").and_then(Value::text) {
                    self.delivered_bytes += text.len() as u64;
                    tools::append(&mut call.arguments, &text, number, scene);
                }
            } else if MEDIA.iter().any(|media| key.is(media)) && is_media(value) {
                has_more = true;
                self.facts.has_other_content = true;
                self.is_unmeasured = true;
            } else if STRUCTURED_THOUGHTS.iter().any(|thoughts| key.is(thoughts)) {
                self.is_unmeasured |= !value.is_empty();
            } else if key.is("reasoning_content") || key.is("reasoning") {
                self.delivered_bytes += value.text().map_or(0, |text| text.len()) as u64;
            }
        }
        if has_more && self.facts.end != End::Open {
            scene.report.add(
                &rule::CONTENT_AFTER_FINISH,
                format_args!("event {number} /choices/{}/delta", self.index),
                format_args!("more of the answer"),
            );
        }
    }
}
