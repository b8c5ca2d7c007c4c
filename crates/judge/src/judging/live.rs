//! Whose trouble it is when a live call goes wrong: the release's, or the provider's and the network's.

use contract::{Completion, ContractVerdict, ErrorClass, Kind};

use super::{Case, is_from_provider, is_good_reply, last_call};
use crate::{AnsweredBy, End, Exchange, Expect, Finding, OutcomeKind, Severity, attempts};

/// How surestep's own call to the provider fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A good reply.
    Good,
    /// The provider reported an error of this class.
    Refused {
        /// The status.
        status: u16,
        /// The class.
        class: ErrorClass,
    },
    /// The reply was no usable completion.
    OffContract {
        /// The codes of what was wrong with it.
        codes: Vec<String>,
    },
    /// The provider could not be reached.
    Unreachable,
}

impl Control {
    /// Says how it fared, for a finding.
    pub fn describe(&self) -> String {
        match self {
            Self::Good => "surestep's own call got a good reply".to_owned(),
            Self::Refused { status, class } => {
                format!("surestep's own call got {status} ({})", class_word(*class))
            }
            Self::OffContract { codes } => {
                format!(
                    "surestep's own call got a reply that is no usable completion ({})",
                    codes.join(", ")
                )
            }
            Self::Unreachable => "surestep's own call did not reach the provider".to_owned(),
        }
    }
}

/// Returns the word for an error class.
pub(crate) fn class_word(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Auth => "auth",
        ErrorClass::Permission => "permission",
        ErrorClass::InvalidRequest => "invalid_request",
        ErrorClass::NotFound => "not_found",
        ErrorClass::RateLimit => "rate_limit",
        ErrorClass::Quota => "quota",
        ErrorClass::Overloaded => "overloaded",
        ErrorClass::Server => "server",
        ErrorClass::Timeout => "timeout",
        ErrorClass::Unknown => "unknown",
    }
}

/// Whether the release's outcome may be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The provider did its part, or the release is at fault: judge on.
    JudgeOn,
    /// It could not be told, or it is settled: judge no further.
    NotTheRelease,
}

/// Judges the provider's side of a live probe.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) -> Blame {
    let Some(call) = last_call(case) else { return Blame::JudgeOn };
    let Some((severity, code, seen, advice)) = trouble(case, call) else { return Blame::JudgeOn };
    let expected = match case.probe.expect {
        Expect::Refusal => "the provider refuses an invalid credential",
        Expect::Answer
        | Expect::AnswerOrWarn
        | Expect::RefusalOrWarn
        | Expect::AnyOutcome
        | Expect::Nobody => "a good reply from the provider",
    };
    let seen = match case.control {
        Some(control) => format!("{seen}; {}", control.describe()),
        None => seen,
    };
    findings.push(Finding::new(severity, code, expected, seen, advice));
    Blame::NotTheRelease
}

type Trouble = (Severity, &'static str, String, &'static str);

fn trouble(case: &Case<'_>, call: &Exchange) -> Option<Trouble> {
    if call.answered_by == AnsweredBy::ProviderUnreachable
        || (is_from_provider(call) && call.response.is_none())
    {
        return Some(unreachable());
    }
    if call.answered_by == AnsweredBy::Guard {
        return Some(live_calls_spent());
    }
    let response = call.response.as_ref()?;
    let wants_refusal = case.probe.expect == Expect::Refusal;
    if wants_refusal {
        return invalid_credential(response.status, response.judgement.verdict);
    }
    let status = response.status;
    if let Some(error) = &response.judgement.error {
        return refused(case, status, error.class);
    }
    if is_good_reply(call) || case.outcome.kind() == OutcomeKind::Answered && status < 300 {
        return off_contract(case, call);
    }
    if status >= 300 {
        return refused(case, status, ErrorClass::Unknown);
    }
    off_contract(case, call)
}

fn live_calls_spent() -> Trouble {
    (
        Severity::Ambiguous,
        "live-calls-spent",
        "the budget of live calls was spent".to_owned(),
        "Raise `provider.live_calls`, or see why the release makes so many calls. With `calls_per_ask` above 1 the calls that lead up to the answer reach the provider in each probe.",
    )
}

/// Returns what is to be said where a call that leads up to the answer was to reach the provider, and the budget was spent: then there was no ask of
/// this probe.
pub(super) fn lead_not_made(case: &Case<'_>) -> Option<Finding> {
    let refused = attempts::calls(&case.observation.exchanges).find(|call| {
        call.answered_by == AnsweredBy::Guard
            && call.response.as_ref().is_some_and(|response| response.status == 503)
    });
    let (severity, code, seen, advice) = refused.map(|_| live_calls_spent())?;
    let expected = "the calls that lead up to the answer, answered by the provider";
    Some(Finding::new(severity, code, expected, seen, advice))
}

fn unreachable() -> Trouble {
    (
        Severity::Ambiguous,
        "provider-unreachable",
        "the provider did not answer, or broke off".to_owned(),
        "This is the provider's or the network's trouble, not the release's. See `surestep doctor`; run again when the provider is back.",
    )
}

fn invalid_credential(status: u16, verdict: ContractVerdict) -> Option<Trouble> {
    match status {
        400..=428 | 430..=499 => None,
        200..=299 if verdict == ContractVerdict::Hold => None,
        200..=299 => Some((
            Severity::Ambiguous,
            "stimulus-not-applied",
            format!("status {status}: the provider takes an invalid credential"),
            "A provider that checks no keys cannot show how the release handles a refused one. Use the real provider, or give the test provider a key check.",
        )),
        _ => Some((
            Severity::Ambiguous,
            "provider-trouble",
            format!("status {status}"),
            "This is the provider's trouble, not the release's. Run again when it is over.",
        )),
    }
}

fn refused(case: &Case<'_>, status: u16, class: ErrorClass) -> Option<Trouble> {
    let seen = format!("status {status} ({})", class_word(class));
    let control_is_good = matches!(case.control, Some(Control::Good));
    let own_fault = |code, advice| {
        if control_is_good {
            Some((Severity::Fail, code, seen.clone(), advice))
        } else {
            Some((
                Severity::Ambiguous,
                "provider-trouble",
                seen.clone(),
                "surestep's own call fared no better, so this cannot be laid at the release's door. Check the key, the model and the base URL of `provider`, and the provider itself.",
            ))
        }
    };
    match class {
        ErrorClass::Auth | ErrorClass::Permission => own_fault(
            "credential-rejected",
            "The release's secret was rotated, deleted or never valid here, while surestep's own key works. Renew the secret of this release before anything is promoted or rolled back. A gateway may have sent another key than its own: the one that its users have for it.",
        ),
        ErrorClass::NotFound => own_fault(
            "model-or-path-rejected",
            "The provider does not know the model or the path that this release asks for, while surestep's own call with the configured model works.",
        ),
        ErrorClass::InvalidRequest => own_fault(
            "request-rejected",
            "The provider refuses what this release sends, while surestep's own minimal call works. Compare its request with the provider's documentation.",
        ),
        ErrorClass::RateLimit
        | ErrorClass::Quota
        | ErrorClass::Overloaded
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Unknown => Some((
            Severity::Ambiguous,
            "provider-trouble",
            seen,
            "This is the provider's trouble, not the release's. Run again when it is over.",
        )),
    }
}

/// The reply came with status 200: is it one?
fn off_contract(case: &Case<'_>, call: &Exchange) -> Option<Trouble> {
    if is_good_reply(call) {
        return None;
    }
    let judgement = &call.response.as_ref()?.judgement;
    // With no hold among the findings, the answer ended early (its token limit, a filter), and what is noted says so.
    let codes: Vec<&str> = judgement
        .findings
        .iter()
        .filter(|finding| finding.verdict == judgement.verdict)
        .map(|finding| finding.code)
        .collect();
    let taken = case.outcome.kind() == OutcomeKind::Answered;
    if taken && call.release_end == End::PeerLeft && call.provider_end != Some(End::PeerLeft) {
        return Some((
            Severity::Fail,
            "incomplete-reply-accepted",
            "the release left before the reply was whole, and took what it had for an answer"
                .to_owned(),
            "Read a stream until each choice has its `finish_reason` (chat) or the terminal event is there (responses); only then is there an answer.",
        ));
    }
    if judgement.completion == Completion::LengthLimit
        && matches!(case.control, Some(Control::Good))
        && sets_limit(case, call)
    {
        return Some(limited_by_itself(taken));
    }
    Some((
        Severity::Ambiguous,
        "provider-reply-off-contract",
        format!(
            "status 200 with a reply that is no usable completion ({}){}",
            codes.join(", "),
            if taken { ", which the release took for one" } else { "" }
        ),
        "The provider does not keep to the contract of this surface. `surestep contract judge` explains a saved reply; correct `provider.surface`, or ask the provider.",
    ))
}

/// Whether the request limits the tokens of its answer. Where it does not, the model's own limit has ended it.
fn sets_limit(case: &Case<'_>, call: &Exchange) -> bool {
    let names = contract::token_limits(case.policy.surface);
    names.iter().any(|name| call.request.shape.kind_at(&format!("/{name}")) == Kind::INTEGER)
}

/// The answer to the smoke prompt is one word; surestep's own call, which sets no limit, gets it.
fn limited_by_itself(taken: bool) -> Trouble {
    (
        Severity::Fail,
        "token-limit-too-small",
        format!(
            "it ended at the token limit{}",
            if taken { ", and the release took what there was for the answer" } else { "" }
        ),
        "The release asks for so few tokens that not even one word is answered whole. Raise `max_tokens` (`max_completion_tokens`, `max_output_tokens`); reasoning models spend tokens before the first word.",
    )
}
