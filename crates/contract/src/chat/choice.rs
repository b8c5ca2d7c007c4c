//! What one choice came to, however it was delivered.

use super::finish::{Finish, meaning};
use crate::json::Value;
use crate::report::Report;
use crate::scene::seen;
use crate::{Completion, Kind, rule};

/// What is known of the content of a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    #[default]
    Nothing,
    /// White space only.
    Blank,
    Text,
    /// No string.
    WrongType,
}

impl Content {
    /// Takes more text.
    pub(super) fn add(&mut self, text: &str) {
        match self {
            Self::Text | Self::WrongType => {}
            Self::Nothing | Self::Blank if text.is_empty() => {}
            Self::Nothing | Self::Blank if text.trim().is_empty() => *self = Self::Blank,
            Self::Nothing | Self::Blank => *self = Self::Text,
        }
    }
}

/// How a choice ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Open,
    /// `finish_reason` was there but of a wrong type.
    Unreadable,
    Finished(Finish),
}

/// The facts of one choice.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each set where it is met")]
pub(super) struct Choice {
    pub(super) content: Content,
    pub(super) end: End,
    pub(super) refused: bool,
    pub(super) has_tool_calls: bool,
    /// Audio, or anything else that a client can use in place of text.
    pub(super) has_other_content: bool,
    pub(super) failed: bool,
}

impl Choice {
    /// Reads a `finish_reason`; says how this one ended, if it did.
    pub(super) fn read_finish(
        choice: Value<'_>,
        report: &mut Report,
        at: std::fmt::Arguments<'_>,
    ) -> Option<End> {
        let reason = choice.get_some("finish_reason")?;
        let Some(text) = reason.text() else {
            report.add(&rule::FINISH_TYPE, at, format_args!("{}", reason.kind()));
            return Some(End::Unreadable);
        };
        if text.is_empty() {
            report.add(&rule::FINISH_EMPTY, at, format_args!("an empty string"));
            return None;
        }
        let declared =
            report.profile().custom().and_then(|custom| custom.finish_reasons.get(&*text));
        let (finish, is_documented) = match declared {
            Some(declared) => (Finish::from(*declared), true),
            None => meaning(&text),
        };
        if !is_documented && matches!(finish, Finish::Stop | Finish::Length | Finish::Tools) {
            report.add(&rule::FINISH_ALIAS, at, format_args!("a word for {finish:?}"));
        }
        Some(End::Finished(finish))
    }

    /// Whether a `refusal` is one: some providers document theirs as always empty.
    pub(super) fn is_refusal(refusal: Value<'_>) -> bool {
        !refusal.is_empty()
    }

    /// Notes a choice that carries an error.
    pub(super) fn read_error(choice: Value<'_>) -> bool {
        choice.get_some("error").is_some_and(|error| !error.is_empty())
    }

    /// Judges the choice. `at` is its place, `part` where its content is: `message` or `delta`.
    pub(super) fn judge(
        &self,
        report: &mut Report,
        at: std::fmt::Arguments<'_>,
        part: &str,
    ) -> Completion {
        if self.failed {
            return Completion::Error;
        }
        let has_something = self.content != Content::Nothing
            || self.has_tool_calls
            || self.has_other_content
            || self.refused;
        let reason = format_args!("{at}/finish_reason");
        let finish = match self.end {
            End::Finished(finish) => finish,
            End::Open | End::Unreadable => {
                report.add(&rule::FINISH_MISSING, reason, format_args!("none"));
                return if has_something { Completion::Truncated } else { Completion::Nothing };
            }
        };
        let at = format_args!("{at}/{part}");
        match finish {
            Finish::Error => {
                report.add(&rule::FINISH_ERROR, reason, format_args!("a word for a failure"));
                Completion::Error
            }
            Finish::Filter => {
                report.add(&rule::FINISH_FILTER, reason, format_args!("a word for a filter"));
                Completion::Filtered
            }
            Finish::Refusal => refuse(report, at),
            Finish::Unknown => {
                report.add(&rule::FINISH_UNKNOWN, reason, format_args!("an unknown word"));
                Completion::Truncated
            }
            Finish::Length => {
                report.add(
                    &rule::FINISH_LENGTH,
                    reason,
                    format_args!("a word for the token limit"),
                );
                // Without content the limit was spent on thinking: nothing to use, but the limit is the cause.
                match self.judge_content(report, at) {
                    Some(Completion::Refused) => Completion::Refused,
                    Some(_) | None => Completion::LengthLimit,
                }
            }
            Finish::Tools if !self.has_tool_calls => {
                report.add(
                    &rule::TOOLS_NOT_DELIVERED,
                    format_args!("{at}/tool_calls"),
                    format_args!("none"),
                );
                Completion::Nothing
            }
            Finish::Stop | Finish::Tools => {
                if finish == Finish::Stop && self.has_tool_calls {
                    report.add(&rule::FINISH_STOP_TOOLS, reason, format_args!("stop"));
                }
                self.judge_content(report, at).unwrap_or(Completion::Complete)
            }
        }
    }

    /// Returns what stands against the content, if anything.
    fn judge_content(
        &self,
        report: &mut Report,
        at: std::fmt::Arguments<'_>,
    ) -> Option<Completion> {
        if self.refused {
            return Some(refuse(report, at));
        }
        let what = match self.content {
            // The finding stands already, at the value.
            Content::WrongType => return Some(Completion::Nothing),
            Content::Text => return None,
            Content::Nothing | Content::Blank if self.has_tool_calls || self.has_other_content => {
                return None;
            }
            Content::Blank => "white space only",
            Content::Nothing => "neither text nor tool calls",
        };
        report.add(&rule::NO_USABLE_CONTENT, format_args!("{at}/content"), format_args!("{what}"));
        Some(Completion::Nothing)
    }
}

fn refuse(report: &mut Report, at: std::fmt::Arguments<'_>) -> Completion {
    report.add(&rule::REFUSAL, format_args!("{at}/refusal"), format_args!("a refusal"));
    Completion::Refused
}

/// Returns the worse of two.
pub(super) fn worse(a: Completion, b: Completion) -> Completion {
    let rank = |completion| match completion {
        Completion::Complete => 0,
        Completion::LengthLimit => 1,
        Completion::Refused => 2,
        Completion::Filtered => 3,
        Completion::Truncated => 4,
        Completion::Nothing => 5,
        Completion::Error => 6,
    };
    if rank(b) > rank(a) { b } else { a }
}

/// Checks a role that should be the assistant's.
pub(super) fn check_role(
    role: Option<Value<'_>>,
    report: &mut Report,
    at: std::fmt::Arguments<'_>,
) {
    match role {
        Some(role) if role.is("assistant") => {}
        Some(role) if role.kind() == Kind::STRING => {
            report.add(&rule::ROLE_ODD, at, format_args!("another role"));
        }
        Some(_) | None => report.add(&rule::ROLE_ODD, at, format_args!("{}", seen(role))),
    }
}

/// Checks `created`, in whole seconds.
pub(super) fn check_created(object: Value<'_>, report: &mut Report, at: std::fmt::Arguments<'_>) {
    /// Seconds until the year 5138; milliseconds are beyond.
    const SECONDS_MAX: i64 = 100_000_000_000;
    let created = object.get("created");
    match created.and_then(Value::integer) {
        Some(seconds) if (1..SECONDS_MAX).contains(&seconds) => {}
        Some(_) => report.add(
            &rule::CREATED_ODD,
            at,
            format_args!("an integer that is no time in seconds"),
        ),
        None => report.add(&rule::CREATED_ODD, at, format_args!("{}", seen(created))),
    }
}

/// Where a client finds what it can use in place of text: audio, and images as image models write them.
pub(super) const MEDIA: &[&str] = &["audio", "images"];
/// Where thoughts stand in a form whose length tells nothing of their tokens.
pub(super) const STRUCTURED_THOUGHTS: &[&str] =
    &["reasoning_details", "thinking_blocks", "thinking"];

/// Whether a value holds audio or images. Some write all fields of a reply, and leave those that are not used empty.
pub(super) fn is_media(value: Value<'_>) -> bool {
    (value.is_object() && value.fields().any(|(_, value)| !value.is_empty()))
        || (value.is_array() && !value.is_empty())
}

/// Whether a `function_call` calls anything: some write all fields of a reply, and leave those that are not used empty.
pub(super) fn is_call(call: Value<'_>) -> bool {
    let is_there = |key| call.get(key).is_some_and(|value| !value.is_empty());
    call.is_object() && (is_there("name") || is_there("arguments"))
}
