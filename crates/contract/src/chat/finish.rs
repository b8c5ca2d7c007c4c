//! The words by which answers end.

use crate::FinishMeaning;

/// What a `finish_reason` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    Tools,
    Filter,
    Refusal,
    Error,
    Unknown,
}

impl From<FinishMeaning> for Finish {
    fn from(meaning: FinishMeaning) -> Self {
        match meaning {
            FinishMeaning::Stop => Self::Stop,
            FinishMeaning::Length => Self::Length,
            FinishMeaning::ToolCalls => Self::Tools,
            FinishMeaning::ContentFilter => Self::Filter,
            FinishMeaning::Error => Self::Error,
        }
    }
}

/// Whether a profile may declare that a reason means this: what the contract knows keeps its meaning.
pub(crate) fn may_mean(reason: &str, declared: FinishMeaning) -> bool {
    let (known, _) = meaning(reason);
    known == Finish::Unknown || known == Finish::from(declared)
}

/// Returns the meaning of a reason, and whether the reason is in the contract.
pub(super) fn meaning(reason: &str) -> (Finish, bool) {
    match reason {
        "stop" => return (Finish::Stop, true),
        "length" => return (Finish::Length, true),
        "tool_calls" | "function_call" => return (Finish::Tools, true),
        "content_filter" => return (Finish::Filter, true),
        _ => {}
    }
    let finish = match reason.trim().to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "eos" | "eos_token" | "end" | "complete"
        | "completed" | "done" | "finished" => Finish::Stop,
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "model_context_window_exceeded"
        | "token_limit" => Finish::Length,
        "tool_calls" | "tool_use" | "tool_call" | "function_call" | "function_calls" => {
            Finish::Tools
        }
        "content_filter" | "content_filtered" | "filtered" | "safety" | "sensitive"
        | "recitation" | "blocklist" | "prohibited_content" | "spii" | "image_safety"
        | "language" => Finish::Filter,
        "refusal" => Finish::Refusal,
        "error"
        | "abort"
        | "aborted"
        | "network_error"
        | "cancelled"
        | "canceled"
        | "failed"
        | "failure"
        | "timeout"
        | "malformed_function_call"
        | "insufficient_system_resource"
        | "server_error"
        | "interrupted" => Finish::Error,
        _ => Finish::Unknown,
    };
    (finish, false)
}
