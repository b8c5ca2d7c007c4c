//! What is demanded of a gateway only: that its callers' requests arrive as they were made, that the tools which a reply calls come back whole, and
//! that an error is one to the clients of the API that it offers.

use contract::Completion;
use contract::conversation::{AskedWith, PartLost};

use super::{Case, ReleaseKind, last_call};
use crate::probe::HAPPY_TOOL_CALLS;
use crate::{
    CallsRelation, DONE_WITHOUT_FINISH, End, Exchange, Finding, Outcome, Severity, Stimulus,
    StreamFault,
};

/// Statuses by which a request is turned down for what it asks.
const TURNED_DOWN: [&str; 4] = ["status 400", "status 415", "status 422", "status 501"];

/// Returns what was lost of all that a gateway was asked, in the call that has most of it: a guard call before it need not have all.
pub(crate) fn lost<'a>(calls: &[&'a Exchange], model: &str) -> Option<&'a [PartLost]> {
    let with = |is_asked: &dyn Fn(&Exchange) -> bool| {
        calls
            .iter()
            .filter(|call| is_asked(call))
            .filter_map(|call| call.request.lost.as_deref())
            .min_by_key(|lost| lost.len())
    };
    with(&|call| call.request.model.as_deref() == Some(model)).or_else(|| with(&|_| true))
}

/// What did not arrive as it was sent.
pub(super) fn request(case: &Case<'_>, calls: &[&Exchange], findings: &mut Vec<Finding>) {
    let lost = lost(calls, &case.policy.model).unwrap_or_default();
    let name_all = |is_parameter: bool| {
        let of_kind = lost.iter().filter(|lost| lost.part.is_parameter() == is_parameter);
        let names = of_kind
            .map(|lost| format!("{} {}", lost.part.name(case.policy.surface), lost.loss.as_str()));
        names.collect::<Vec<_>>().join(", ")
    };
    let (parts, parameters) = (name_all(false), name_all(true));
    if !parts.is_empty() {
        findings.push(Finding::new(
            Severity::Fail,
            "request-part-lost",
            "each message of the caller's request in its place and role, and its tools",
            parts,
            "Callers get an answer to another question, with status 200. Pass `messages` (`instructions` and `input`) and `tools` on as they came; what is not passed on is to be refused with a 400.",
        ));
    }
    if !parameters.is_empty() {
        findings.push(Finding::new(
            Severity::Warn,
            PARAMETER_LOST,
            "the parameters of the caller's request",
            parameters,
            PARAMETER_ADVICE,
        ));
    }
}

pub(crate) const PARAMETER_LOST: &str = "request-parameter-lost";
pub(crate) const PARAMETER_ADVICE: &str = "The model answers otherwise than the caller asked for, and nobody is told: longer, in another form, without its usage. Pass the parameter on, or refuse what is not supported with a 400.";

/// Returns whether a gateway turned a request down without a call, and said so.
pub(crate) fn turns_down(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { how, .. } if TURNED_DOWN.contains(&how.as_str()))
}

pub(crate) const TURNED_DOWN_CODE: &str = "request-turned-down";
pub(crate) const TURNED_DOWN_ADVICE: &str = "Whoever sends a history, tools or these parameters cannot use this gateway. It says so, and nobody is misled; see that no caller needs them.";

/// It was asked all that callers ask, and said that it does not take it.
pub(super) fn turned_down(case: &Case<'_>) -> Option<Finding> {
    let is_asked_all = case.policy.kind == ReleaseKind::Gateway
        && case.probe.asked_with() == AskedWith::Conversation;
    let Outcome::Refused { how, .. } = case.outcome else { return None };
    (is_asked_all && turns_down(case.outcome)).then(|| {
        Finding::new(
            Severity::Warn,
            TURNED_DOWN_CODE,
            "a call for a request with instructions, a history, a tool and parameters",
            format!("refused ({how}), without a call"),
            TURNED_DOWN_ADVICE,
        )
    })
}

pub(super) fn is_to_call_tools(case: &Case<'_>) -> bool {
    case.probe.id == HAPPY_TOOL_CALLS
}

/// The provider's reply called tools: so must the gateway's.
pub(super) fn tool_calls(case: &Case<'_>) -> Option<Finding> {
    let (severity, seen) = match case.calls {
        CallsRelation::Whole => return None,
        CallsRelation::None => (Severity::Fail, "none of the calls"),
        CallsRelation::OtherNumber => (Severity::Fail, "another number of calls"),
        CallsRelation::OtherArguments => (Severity::Fail, "other arguments"),
        CallsRelation::OtherName => (Severity::Fail, "another name"),
        CallsRelation::WithoutId => (Severity::Fail, "a call without an id"),
        // Callers only hand it back; what it is matters to nobody but the one who made it.
        CallsRelation::OtherIds => (Severity::Warn, "other ids"),
        CallsRelation::EndsAsAnswer => {
            (Severity::Fail, "all calls, and another `finish_reason` than `tool_calls`")
        }
    };
    Some(Finding::new(
        severity,
        "tool-call-lost",
        "the two tool calls of the provider's reply: names, ids and arguments",
        seen,
        "Agents stop, or call a tool with the wrong arguments. Pass `tool_calls` (`function_call` items) on as they come, also where `content` is null; in streams each piece belongs to the call of its `index`.",
    ))
}

/// Whether a gateway ends a stream as if it were whole, which its provider had not.
pub(super) fn hides_the_end(case: &Case<'_>) -> bool {
    let says_done =
        matches!(case.outcome, Outcome::Refused { how, .. } if how == DONE_WITHOUT_FINISH);
    let is_as_delivered =
        matches!(case.probe.stimulus, Stimulus::Stream(StreamFault::DoneAfterCut));
    case.policy.kind == ReleaseKind::Gateway && says_done && !is_as_delivered
}

pub(super) fn hidden_end(case: &Case<'_>) -> Finding {
    // Where the provider's stream ended without an error, only its missing finish reason told.
    let had_no_error = matches!(case.probe.stimulus, Stimulus::Stream(StreamFault::NoFinishReason));
    Finding::new(
        if had_no_error { Severity::Warn } else { Severity::Fail },
        "incomplete-reply-accepted",
        "an error event, or an end that shows that something broke",
        "`[DONE]` without a finish reason, as if the answer were whole",
        "Whoever asks this gateway takes what there was for the answer: SDKs end a stream at `[DONE]` without a look at `finish_reason`. Send `[DONE]` only when the provider has; else pass its error on, or break the connection.",
    )
}

/// Whether a gateway makes of an error what no client of its API takes for one. What the provider itself had sent so is passed on as it came.
pub(super) fn sends_success(case: &Case<'_>) -> bool {
    case.policy.kind == ReleaseKind::Gateway
        && case.unsaid
        && last_call(case).is_some_and(has_failed)
}

/// Whether a call failed in a way that its client sees: by a status, a broken connection, an error event, or a silence that it gave up on.
fn has_failed(call: &Exchange) -> bool {
    call.response.as_ref().is_none_or(|response| {
        // A document in place of a stream was sent so by the provider.
        let is_stream = response.content_type.as_deref() == Some("text/event-stream");
        let has_error_event = is_stream && response.judgement.completion == Completion::Error;
        response.status >= 300 || call.release_end != End::Complete || has_error_event
    })
}

pub(super) fn sent_as_success(case: &Case<'_>) -> Finding {
    let how = match case.outcome {
        Outcome::Refused { how, .. } => how.as_str(),
        Outcome::Answered { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Crashed { .. }
        | Outcome::Left { .. } => "",
    };
    Finding::new(
        Severity::Fail,
        "error-sent-as-success",
        "a status of 400 and up; in a stream that has begun, an error event or a broken connection",
        format!("status 200 ({how})"),
        "The SDKs of whoever asks this gateway go by the status and by error events: they raise nothing, do not retry, and hand over an empty reply. Pass the provider's status on, or answer 502 or 504.",
    )
}
