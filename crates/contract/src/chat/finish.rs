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
    // `MAX_TOKENS`, `maxTokens`, `max-tokens` and `FINISH_REASON_MAX_TOKENS` are one word.
    let letters = reason.bytes().filter(u8::is_ascii_alphanumeric);
    let word: String = letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let finish = match word.strip_prefix("finishreason").unwrap_or(&word) {
        "stop" | "endturn" | "endofturn" | "stoptoken" | "stopsequence" | "eos" | "eostoken"
        | "end" | "complete" | "completed" | "done" | "finished" => Finish::Stop,
        "length"
        | "maxtokens"
        | "maxlength"
        | "maxoutputtokens"
        | "modellength"
        | "modelcontextwindowexceeded"
        | "tokenlimit" => Finish::Length,
        "toolcalls" | "tooluse" | "toolcall" | "functioncall" | "functioncalls" => Finish::Tools,
        "contentfilter"
        | "contentfiltered"
        | "filtered"
        | "guardrailintervened"
        | "safety"
        | "sensitive"
        | "recitation"
        | "blocklist"
        | "prohibitedcontent"
        | "spii"
        | "imagesafety"
        | "language" => Finish::Filter,
        "refusal" => Finish::Refusal,
        "error"
        | "abort"
        | "aborted"
        | "networkerror"
        | "cancelled"
        | "canceled"
        | "failed"
        | "failure"
        | "timeout"
        | "malformedfunctioncall"
        | "unexpectedtoolcall"
        | "insufficientsystemresource"
        | "servererror"
        | "interrupted" => Finish::Error,
        _ => Finish::Unknown,
    };
    (finish, false)
}
