//! Checks the arguments of tool calls, which are JSON inside of a string.

use crate::json::{JsonFault, Tape, Value};
use crate::report::Report;
use crate::{Kind, rule};

/// Checks arguments as text. `at` says where they are.
pub(crate) fn check_arguments(text: &[u8], report: &mut Report, at: std::fmt::Arguments<'_>) {
    let mut tape = Tape::default();
    match tape.read(text).map(Value::kind) {
        Ok(Kind::OBJECT) => {}
        Ok(kind) => report.add(&rule::ARGUMENTS_NOT_OBJECT, at, format_args!("{kind}")),
        Err(JsonFault::Empty) => {
            report.add(&rule::ARGUMENTS_EMPTY, at, format_args!("an empty string"));
        }
        Err(JsonFault::Truncated) => {
            report.add(&rule::ARGUMENTS_BROKEN, at, format_args!("JSON that stops early"));
        }
        Err(_) => report.add(&rule::ARGUMENTS_BROKEN, at, format_args!("no JSON")),
    }
}

/// Checks a value that should be a string of arguments.
pub(crate) fn check_arguments_value(
    arguments: Option<Value<'_>>,
    report: &mut Report,
    at: std::fmt::Arguments<'_>,
) {
    let Some(arguments) = arguments.filter(|arguments| !arguments.is_null()) else {
        // Not there is the same to a caller as an empty string: both must be read as `{}`.
        return report.add(&rule::ARGUMENTS_EMPTY, at, format_args!("absent or null"));
    };
    if let Some(text) = arguments.text() {
        check_arguments(text.as_bytes(), report, at);
    } else if arguments.is_object() {
        report.add(&rule::ARGUMENTS_OBJECT, at, format_args!("object"));
    } else {
        report.add(&rule::ARGUMENTS_TYPE, at, format_args!("{}", arguments.kind()));
    }
}

/// Checks the input of a custom tool, which is free text.
pub(crate) fn check_custom_input(
    input: Option<Value<'_>>,
    report: &mut Report,
    at: std::fmt::Arguments<'_>,
) {
    match input.filter(|input| !input.is_null()) {
        None => report.add(&rule::ARGUMENTS_EMPTY, at, format_args!("absent or null")),
        Some(input) if input.text().is_none() => {
            report.add(&rule::ARGUMENTS_TYPE, at, format_args!("{}", input.kind()));
        }
        Some(_) => {}
    }
}
