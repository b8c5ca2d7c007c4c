//! Whether a live reply has the fields that the application requires.

use contract::{BodyKind, ContractVerdict, FieldState};

use super::{Case, last_call};
use crate::{Exchange, Finding, Severity, catalogue};

/// Returns which of the required fields a call's reply has; `None` when there was no reply to look at, or nothing is required.
pub fn required_fields_found(required: &[String], call: Option<&Exchange>) -> Option<Vec<String>> {
    let call = call?;
    if required.is_empty() {
        return None;
    }
    let found = required.iter().filter(|pointer| state(call, pointer) == Some(FieldState::Present));
    state(call, required.first()?)?;
    Some(found.cloned().collect())
}

/// Looks a field up in a reply with status 2xx.
fn state(call: &Exchange, pointer: &str) -> Option<FieldState> {
    let response =
        call.response.as_ref().filter(|response| (200..300).contains(&response.status))?;
    let mode = if call.request.stream { contract::Mode::Stream } else { contract::Mode::Unary };
    let surface = if call.request.resource.ends_with("/responses") {
        contract::Surface::Responses
    } else {
        contract::Surface::Chat
    };
    // Usage rides on a stream only when it is asked for: its absence there says nothing about the provider.
    if mode == contract::Mode::Stream
        && surface == contract::Surface::Chat
        && pointer.starts_with("/usage")
    {
        return Some(FieldState::Present);
    }
    Some(response.judgement.shape.field(surface, mode, pointer))
}

/// Judges the fields of the live happy path.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.probe.id != catalogue::HAPPY_LIVE {
        return;
    }
    let Some(call) = last_call(case) else { return };
    // A reply that is no usable completion is the provider's trouble, which is told elsewhere; the field is named all the same.
    let severity = match &call.response {
        Some(response) if response.judgement.verdict == ContractVerdict::Hold => {
            match response.judgement.body {
                BodyKind::Json | BodyKind::Sse => Severity::Ambiguous,
                BodyKind::Empty | BodyKind::Html | BodyKind::Other => return,
            }
        }
        Some(_) | None => Severity::Fail,
    };
    for pointer in &case.policy.required_fields {
        let seen = match state(call, pointer) {
            None | Some(FieldState::Present) => continue,
            Some(FieldState::Null) => format!("`{pointer}` is null"),
            Some(FieldState::OtherType(kind)) => format!("`{pointer}` is {kind}"),
            Some(FieldState::Sometimes) => format!("`{pointer}` is there in some elements only"),
            Some(FieldState::Absent) => format!("`{pointer}` is absent"),
        };
        findings.push(Finding::new(
            severity,
            "required-field-missing",
            format!("`{pointer}` in the provider's reply, since the application requires it"),
            seen,
            "This provider does not send what the application needs. Keep traffic away from it, or change the application (then `contract.required_fields`).",
        ));
    }
}
