//! Checks `usage`, which is for accounting only: gateways invent it, so it proves nothing.

use crate::json::Value;
use crate::report::Report;
use crate::scene::seen;
use crate::{Kind, Surface, rule};

/// Text this much shorter than its tokens is suspicious; a token is at least one byte but for the ends of a reply.
const TOKENS_SLACK: i64 = 64;

/// Checks a `usage` that is not null. Returns the tokens that should be visible as text, where it tells them.
pub(crate) fn check(surface: Surface, usage: Value<'_>, report: &mut Report) -> Option<i64> {
    let (names, aliases) = match surface {
        Surface::Chat => (
            ["prompt_tokens", "completion_tokens", "total_tokens"],
            ["input_tokens", "output_tokens"],
        ),
        Surface::Responses => (
            ["input_tokens", "output_tokens", "total_tokens"],
            ["prompt_tokens", "completion_tokens"],
        ),
    };
    if !usage.is_object() {
        report.add(&rule::USAGE_ODD, format_args!("/usage"), format_args!("{}", usage.kind()));
        return None;
    }
    if usage.fields().next().is_none() {
        report.add(&rule::USAGE_EMPTY, format_args!("/usage"), format_args!("an empty object"));
        return None;
    }
    let values = names.map(|name| usage.get(name));
    if values.iter().take(2).any(Option::is_none)
        && aliases.iter().any(|name| usage.get(name).is_some())
    {
        report.add(
            &rule::USAGE_ALIAS,
            format_args!("/usage"),
            format_args!("the names of another surface"),
        );
        return None;
    }
    for (name, value) in names.iter().zip(values) {
        if seen(value) != Kind::INTEGER {
            report.add(
                &rule::USAGE_ODD,
                format_args!("/usage/{name}"),
                format_args!("{}", seen(value)),
            );
        }
    }
    let numbers = values.map(|value| value.and_then(Value::integer));
    let is_beyond = |(value, number): (&Option<Value<'_>>, &Option<i64>)| {
        seen(*value) == Kind::INTEGER && number.is_none()
    };
    if values.iter().zip(&numbers).any(is_beyond) {
        // Parsers overflow, or take it as a float.
        let what = "an integer beyond 64 bits";
        report.add(&rule::USAGE_ODD, format_args!("/usage"), format_args!("{what}"));
    }
    let [input, output, total] = numbers;
    let (input, output, total) = (input?, output?, total?);
    if input < 0 || output < 0 || total < 0 {
        report.add(&rule::USAGE_ODD, format_args!("/usage"), format_args!("a negative count"));
    } else if input.checked_add(output) != Some(total) {
        report.add(
            &rule::USAGE_ODD,
            format_args!("/usage/total_tokens"),
            format_args!("not the sum"),
        );
    }
    let details = match surface {
        Surface::Chat => "completion_tokens_details",
        Surface::Responses => "output_tokens_details",
    };
    let reasoning = usage
        .get(details)
        .and_then(|d| d.get("reasoning_tokens"))
        .and_then(Value::integer)
        .unwrap_or(0);
    Some(output.saturating_sub(reasoning))
}

/// Compares the tokens that should be visible with what was delivered.
pub(crate) fn check_delivery(tokens: Option<i64>, delivered_bytes: u64, report: &mut Report) {
    let delivered = i64::try_from(delivered_bytes).unwrap_or(i64::MAX);
    if tokens.is_some_and(|tokens| tokens > delivered.saturating_add(TOKENS_SLACK)) {
        report.add(
            &rule::USAGE_UNDELIVERED,
            format_args!("/usage"),
            format_args!("many more tokens than text"),
        );
    }
}
