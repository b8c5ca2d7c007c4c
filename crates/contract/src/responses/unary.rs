//! One `response` document, and the same object inside a terminal event.

use super::output::Output;
use crate::json::Value;
use crate::scene::{Scene, foreign_document, seen, seen_word};
use crate::{Completion, Kind, Surface, rule, usage};

/// The documented statuses.
const STATUSES: &[&str] =
    &["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"];

/// Judges the document of a unary reply.
pub(crate) fn judge_document(body: Value<'_>, scene: &mut Scene) -> Completion {
    if let Some(completion) = foreign_document(Surface::Responses, body, scene) {
        return completion;
    }
    if body.get("choices").is_some() && body.get("output").is_none() {
        scene.report.add(
            &rule::WRONG_SURFACE,
            format_args!("/"),
            format_args!("a chat completion"),
        );
        return Completion::Nothing;
    }
    scene.identity(body, format_args!(""));
    check_head(body, "", scene);
    let output = body.get_some("output").filter(|output| output.is_array());
    let facts = output.map(|output| Output::read(output, "", true, scene));
    let status = status_completion(body, "", scene);
    check_usage(body, facts.as_ref().map_or(0, Output::measure), scene);
    let Some(facts) = facts else {
        // A failed or running response may well have none.
        if status.is_none_or(|completion| completion == Completion::Complete) {
            scene.report.add(
                &rule::OUTPUT_MISSING,
                format_args!("/output"),
                format_args!("{}", seen(body.get("output"))),
            );
            return Completion::Nothing;
        }
        return status.unwrap_or(Completion::Nothing);
    };
    match status {
        Some(Completion::Complete) => judge_output(&facts, "", scene),
        Some(completion) => completion,
        None if facts.is_proven => judge_output(&facts, "", scene),
        None => {
            scene.report.add(
                &rule::STATUS_UNPROVEN,
                format_args!("/status"),
                format_args!("absent, and no completed item"),
            );
            if facts.n_items == 0 { Completion::Nothing } else { Completion::Truncated }
        }
    }
}

/// Checks the fields that every response object has. `at` is where the object stands.
pub(super) fn check_head(response: Value<'_>, at: &str, scene: &mut Scene) {
    if !response.get("object").is_some_and(|object| object.is("response")) {
        scene.report.add(
            &rule::OBJECT_ODD,
            format_args!("{at}/object"),
            format_args!("{}", seen_word(response.get("object"))),
        );
    }
    /// Seconds until the year 5138; milliseconds are beyond.
    const SECONDS_MAX: i64 = 100_000_000_000;
    // Typed as a float, so a fraction is within the contract here.
    let created = response.get("created_at");
    let is_no_time = |created: Value<'_>| {
        created.integer().is_some_and(|seconds| !(1..SECONDS_MAX).contains(&seconds))
    };
    if created.is_some_and(is_no_time) {
        scene.report.add(
            &rule::CREATED_ODD,
            format_args!("{at}/created_at"),
            format_args!("an integer that is no time in seconds"),
        );
    } else if !seen(created).intersects(Kind::NUMBER) {
        scene.report.add(
            &rule::CREATED_ODD,
            format_args!("{at}/created_at"),
            format_args!("{}", seen(created)),
        );
    }
}

pub(super) fn check_usage(response: Value<'_>, delivered_bytes: u64, scene: &mut Scene) {
    match response.get_some("usage") {
        Some(found) => {
            let tokens = usage::check(Surface::Responses, found, &mut scene.report);
            usage::check_delivery(tokens, delivered_bytes, &mut scene.report);
        }
        None => scene.report.add(
            &rule::USAGE_MISSING,
            format_args!("/usage"),
            format_args!("{}", seen(response.get("usage"))),
        ),
    }
}

/// Returns what the status says, or nothing where there is none.
pub(super) fn status_completion(
    response: Value<'_>,
    at: &str,
    scene: &mut Scene,
) -> Option<Completion> {
    let found = response.get("status");
    if let Some(other) = found.filter(|status| !status.is_null() && status.text().is_none()) {
        let place = format_args!("{at}/status");
        scene.report.add(&rule::STATUS_UNKNOWN, place, format_args!("{}", other.kind()));
        return Some(Completion::Truncated);
    }
    let Some(status) =
        response.get("status").and_then(Value::text).filter(|status| !status.is_empty())
    else {
        scene.report.add(
            &rule::STATUS_MISSING,
            format_args!("{at}/status"),
            format_args!("{}", seen(response.get("status"))),
        );
        return None;
    };
    let place = format_args!("{at}/status");
    let word = status.to_ascii_lowercase();
    if word != *status && STATUSES.contains(&word.as_str()) {
        scene.report.add(&rule::STATUS_ALIAS, place, format_args!("{word} in another case"));
    }
    Some(match word.as_str() {
        "completed" => {
            if response.get("error").is_some_and(|error| !error.is_empty()) {
                scene.take_error(&rule::ERROR_IN_SUCCESS, response, format_args!("{at}/error"));
                return Some(Completion::Error);
            }
            if response
                .get("incomplete_details")
                .is_some_and(|details| details.get_some("reason").is_some())
            {
                let at = format_args!("{at}/incomplete_details");
                scene.report.add(&rule::DETAILS_DISAGREE, at, format_args!("a reason"));
                return Some(Completion::Truncated);
            }
            Completion::Complete
        }
        "failed" | "cancelled" => {
            if response.get_some("error").is_some() {
                scene.take_error(&rule::STATUS_FAILED, response, place);
            } else {
                scene.report.add(&rule::STATUS_FAILED, place, format_args!("{word}"));
            }
            Completion::Error
        }
        "incomplete" => {
            let reason = response
                .get("incomplete_details")
                .and_then(|details| details.get("reason"))
                .and_then(Value::text);
            let (completion, class) = match reason.as_deref() {
                Some("max_output_tokens") => {
                    (Completion::LengthLimit, "incomplete by the token limit")
                }
                Some("content_filter") => (Completion::Filtered, "incomplete by a filter"),
                Some(_) | None => (Completion::Truncated, "incomplete"),
            };
            scene.report.add(&rule::STATUS_INCOMPLETE, place, format_args!("{class}"));
            completion
        }
        "in_progress" | "queued" => {
            scene.report.add(&rule::STATUS_RUNNING, place, format_args!("{word}"));
            Completion::Nothing
        }
        _ => {
            scene.report.add(&rule::STATUS_UNKNOWN, place, format_args!("an unknown word"));
            Completion::Truncated
        }
    })
}

/// Judges the output of a response that says it is complete.
pub(super) fn judge_output(facts: &Output, at: &str, scene: &mut Scene) -> Completion {
    if facts.refused {
        scene.report.add(&rule::REFUSAL, format_args!("{at}/output"), format_args!("a refusal"));
        return Completion::Refused;
    }
    if facts.has_unfinished {
        scene.report.add(
            &rule::ITEM_UNFINISHED,
            format_args!("{at}/output"),
            format_args!("an item that is not completed"),
        );
        return Completion::Truncated;
    }
    if !facts.has_text && !facts.has_tool_calls {
        if !facts.has_wrong_type {
            scene.report.add(
                &rule::NO_USABLE_CONTENT,
                format_args!("{at}/output"),
                format_args!("neither text nor tool calls"),
            );
        }
        return Completion::Nothing;
    }
    Completion::Complete
}
