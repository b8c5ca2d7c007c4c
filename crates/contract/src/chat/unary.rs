//! One `chat.completion` document.

use std::collections::BTreeSet;

use super::choice::{
    Choice, Content, MEDIA, STRUCTURED_THOUGHTS, check_created, check_role, is_call, is_media,
    worse,
};
use crate::json::Value;
use crate::scene::{Scene, foreign_document, seen, seen_word};
use crate::tool_call::{check_arguments_value, check_custom_input};
use crate::{Completion, Kind, Surface, rule, usage};

/// Most choices looked at.
const CHOICES_MAX: usize = 128;

/// Judges the document and says how far the answer came.
pub(crate) fn judge_document(body: Value<'_>, scene: &mut Scene) -> Completion {
    if let Some(completion) = foreign_document(Surface::Chat, body, scene) {
        return completion;
    }
    let Some(choices) = body.get_some("choices") else {
        scene.report.add(
            &rule::CHOICES_MISSING,
            format_args!("/choices"),
            format_args!("{}", seen(body.get("choices"))),
        );
        return Completion::Nothing;
    };
    if !choices.is_array() {
        scene.report.add(
            &rule::CHOICES_TYPE,
            format_args!("/choices"),
            format_args!("{}", choices.kind()),
        );
        return Completion::Nothing;
    }
    let n_choices = choices.items().count();
    if n_choices == 0 {
        scene.report.add(
            &rule::CHOICES_EMPTY,
            format_args!("/choices"),
            format_args!("an empty array"),
        );
        return Completion::Nothing;
    }
    if n_choices > CHOICES_MAX {
        scene.report.add(
            &rule::TOO_MANY_PARTS,
            format_args!("/choices"),
            format_args!("more choices"),
        );
    }
    scene.identity(body, format_args!(""));
    if !body.get("object").is_some_and(|object| object.is("chat.completion")) {
        scene.report.add(
            &rule::OBJECT_ODD,
            format_args!("/object"),
            format_args!("{}", seen_word(body.get("object"))),
        );
    }
    check_created(body, &mut scene.report, format_args!("/created"));
    let mut completion = Completion::Complete;
    let mut delivered_bytes = 0;
    for (place, choice) in choices.items().take(CHOICES_MAX).enumerate() {
        completion =
            worse(completion, judge_choice(choice, place, n_choices, scene, &mut delivered_bytes));
    }
    if n_choices > 1 {
        scene.report.add(
            &rule::CHOICES_EXTRA,
            format_args!("/choices"),
            format_args!("{n_choices} choices"),
        );
    }
    match body.get_some("usage") {
        Some(found) => {
            let tokens = usage::check(Surface::Chat, found, &mut scene.report);
            usage::check_delivery(tokens, delivered_bytes, &mut scene.report);
        }
        None => scene.report.add(
            &rule::USAGE_MISSING,
            format_args!("/usage"),
            format_args!("{}", seen(body.get("usage"))),
        ),
    }
    completion
}

fn judge_choice(
    choice: Value<'_>,
    place: usize,
    n_choices: usize,
    scene: &mut Scene,
    delivered_bytes: &mut u64,
) -> Completion {
    if !choice.is_object() {
        scene.report.add(
            &rule::CHOICES_TYPE,
            format_args!("/choices/{place}"),
            format_args!("{}", choice.kind()),
        );
        return Completion::Nothing;
    }
    if choice.get("index").and_then(Value::integer) != i64::try_from(place).ok() {
        let rule = if n_choices == 1 || choice.get("index").and_then(Value::integer).is_some() {
            &rule::INDEX_ODD
        } else {
            &rule::INDEX_AMBIGUOUS
        };
        let what = match seen(choice.get("index")) {
            Kind::INTEGER => "another integer".to_owned(),
            kind => kind.to_string(),
        };
        scene.report.add(rule, format_args!("/choices/{place}/index"), format_args!("{what}"));
    }
    let mut facts = Choice::default();
    if Choice::read_error(choice) {
        scene.take_error(&rule::CHOICE_ERROR, choice, format_args!("/choices/{place}/error"));
        facts.failed = true;
    }
    if let Some(end) = Choice::read_finish(
        choice,
        &mut scene.report,
        format_args!("/choices/{place}/finish_reason"),
    ) {
        facts.end = end;
    }
    let Some(message) = choice.get_some("message") else {
        let (rule, what) = if choice.get_some("delta").is_some() {
            (&rule::DELTA_ON_UNARY, "delta")
        } else if choice.get("text").is_some() {
            (&rule::LEGACY_TEXT, "text")
        } else {
            (&rule::MESSAGE_MISSING, "message")
        };
        scene.report.add(
            rule,
            format_args!("/choices/{place}/{what}"),
            format_args!("{}", seen(choice.get(what))),
        );
        return if facts.failed { Completion::Error } else { Completion::Nothing };
    };
    if !message.is_object() {
        scene.report.add(
            &rule::MESSAGE_MISSING,
            format_args!("/choices/{place}/message"),
            format_args!("{}", message.kind()),
        );
        return Completion::Nothing;
    }
    *delivered_bytes =
        delivered_bytes.saturating_add(read_message(message, place, &mut facts, scene));
    facts.judge(&mut scene.report, format_args!("/choices/{place}"), "message")
}

/// Reads a message and returns how many bytes of answer it holds.
fn read_message(message: Value<'_>, place: usize, facts: &mut Choice, scene: &mut Scene) -> u64 {
    let report = &mut scene.report;
    check_role(message.get("role"), report, format_args!("/choices/{place}/message/role"));
    let mut delivered = 0;
    let content = message.get("content");
    if let Some(text) = content.and_then(Value::text) {
        facts.content.add(&text);
        delivered += text.len();
        if place == 0 {
            scene.text.take(text);
        }
    } else if content.is_some_and(|content| !content.is_null()) {
        facts.content = Content::WrongType;
        report.add(
            &rule::CONTENT_TYPE,
            format_args!("/choices/{place}/message/content"),
            format_args!("{}", seen(content)),
        );
    } else if content.is_none() {
        report.add(
            &rule::CONTENT_KEY_MISSING,
            format_args!("/choices/{place}/message/content"),
            format_args!("absent"),
        );
    }
    facts.refused = message.get("refusal").is_some_and(Choice::is_refusal);
    let some = |keys: &[&str], is_it: fn(Value<'_>) -> bool| {
        keys.iter().filter_map(|key| message.get_some(key)).any(is_it)
    };
    facts.has_other_content = some(MEDIA, is_media);
    let is_measured =
        !facts.has_other_content && !some(STRUCTURED_THOUGHTS, |thoughts| !thoughts.is_empty());
    for reasoning in ["reasoning_content", "reasoning", "refusal"] {
        delivered += message.get(reasoning).and_then(Value::text).map_or(0, |text| text.len());
    }
    if let Some(call) = message.get_some("function_call").filter(|call| is_call(*call)) {
        facts.has_tool_calls = true;
        if seen(call.get("name")) != Kind::STRING {
            report.add(
                &rule::TOOL_NAME_MISSING,
                format_args!("/choices/{place}/message/function_call/name"),
                format_args!("{}", seen(call.get("name"))),
            );
        }
        delivered += call.get("arguments").and_then(Value::text).map_or(0, |text| text.len());
        check_arguments_value(
            call.get("arguments"),
            report,
            format_args!("/choices/{place}/message/function_call/arguments"),
        );
    }
    let delivered = if is_measured { delivered as u64 } else { usage::UNMEASURED };
    let Some(calls) = message.get_some("tool_calls") else { return delivered };
    if !calls.is_array() {
        report.add(
            &rule::TOOLS_TYPE,
            format_args!("/choices/{place}/message/tool_calls"),
            format_args!("{}", calls.kind()),
        );
        return delivered;
    }
    let mut of_calls = 0;
    let mut ids = BTreeSet::new();
    for (number, call) in calls.items().enumerate() {
        facts.has_tool_calls = true;
        let at = format_args!("/choices/{place}/message/tool_calls/{number}");
        of_calls += read_tool_call(call, at, scene) as u64;
        let id = call.get("id").and_then(Value::text).filter(|id| !id.is_empty());
        if id.is_some_and(|id| !ids.insert(id)) {
            scene.report.add(
                &rule::TOOL_ID_REPEATED,
                format_args!("{at}/id"),
                format_args!("an id that another call has"),
            );
        }
    }
    delivered.saturating_add(of_calls)
}

fn read_tool_call(call: Value<'_>, at: std::fmt::Arguments<'_>, scene: &mut Scene) -> usize {
    let report = &mut scene.report;
    if !call.is_object() {
        report.add(&rule::TOOLS_TYPE, format_args!("{at}"), format_args!("{}", call.kind()));
        return 0;
    }
    if seen(call.get("id")) != Kind::STRING {
        report.add(
            &rule::TOOL_ID_MISSING,
            format_args!("{at}/id"),
            format_args!("{}", seen(call.get("id"))),
        );
    }
    if seen(call.get("type")) != Kind::STRING {
        report.add(
            &rule::TOOL_TYPE_MISSING,
            format_args!("{at}/type"),
            format_args!("{}", seen(call.get("type"))),
        );
    }
    let (part, input) = match call.get_some("custom") {
        Some(custom) => (custom, custom.get("input")),
        None => match call.get_some("function") {
            Some(function) => (function, function.get("arguments")),
            None => {
                report.add(
                    &rule::TOOLS_TYPE,
                    format_args!("{at}/function"),
                    format_args!("{}", seen(call.get("function"))),
                );
                return 0;
            }
        },
    };
    let is_custom = call.get_some("custom").is_some();
    if seen(part.get("name")) != Kind::STRING {
        let kind = if is_custom { "custom" } else { "function" };
        report.add(
            &rule::TOOL_NAME_MISSING,
            format_args!("{at}/{kind}/name"),
            format_args!("{}", seen(part.get("name"))),
        );
    }
    if is_custom {
        check_custom_input(input, report, format_args!("{at}/custom/input"));
    } else {
        check_arguments_value(input, report, format_args!("{at}/function/arguments"));
    }
    input.and_then(Value::text).map_or(0, |text| text.len())
}
