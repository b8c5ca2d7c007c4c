//! Checks `usage`, which is for accounting only: gateways invent it, so it proves nothing.

use crate::json::Value;
use crate::report::Report;
use crate::scene::seen;
use crate::{Kind, Profile, Surface, rule};

/// How much was delivered of what tokens cannot be compared with: images, audio, programs that the provider ran.
pub(crate) const UNMEASURED: u64 = u64::MAX;
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
    let counts = Counts { input: input?, output: output?, total: total? };
    Some(counts.check(surface, usage, report))
}

/// The counts of a `usage`.
struct Counts {
    input: i64,
    output: i64,
    total: i64,
}

impl Counts {
    /// Checks that they fit each other and their details. Returns the tokens that should be visible as text.
    fn check(&self, surface: Surface, usage: Value<'_>, report: &mut Report) -> i64 {
        let &Self { input, output, total } = self;
        let (of_input, of_output) = match surface {
            Surface::Chat => ("prompt_tokens_details", "completion_tokens_details"),
            Surface::Responses => ("input_tokens_details", "output_tokens_details"),
        };
        let (of_input, of_output) = (usage.get(of_input), usage.get(of_output));
        let detail = |details: Option<Value<'_>>, name: &str| {
            let count = details.and_then(|details| details.get(name));
            count.and_then(Value::integer).unwrap_or(0)
        };
        let reasoning = detail(of_output, "reasoning_tokens");
        let cached = detail(of_input, "cached_tokens");
        let sum = i128::from(input) + i128::from(output);
        let beyond = i128::from(total) - sum;
        // Some providers count the thoughts in the total only.
        let has_thoughts_beside = reasoning > 0 && i128::from(reasoning) == beyond;
        // Gemini does, and does not tell how many they are.
        let is_gemini = report.profile().base() == Profile::GeminiCompat && beyond > 0;
        let (at, what) = if input < 0 || output < 0 || total < 0 {
            ("/usage", "a negative count")
        } else if beyond != 0 && !has_thoughts_beside && !is_gemini {
            ("/usage/total_tokens", "not the sum")
        } else if cached < 0 || reasoning < 0 {
            ("/usage", "a negative count in the details")
        } else if cached > input || reasoning > output && !has_thoughts_beside {
            ("/usage", "a part that is more than the whole")
        } else {
            ("", "")
        };
        if !what.is_empty() {
            report.add(&rule::USAGE_ODD, format_args!("{at}"), format_args!("{what}"));
        }
        if has_thoughts_beside {
            return output;
        }
        // Predicted text that did not fit is counted, and not delivered.
        let rejected = detail(of_output, "rejected_prediction_tokens").max(0);
        output.saturating_sub(reasoning).saturating_sub(rejected)
    }
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
