//! Compares what two gateways take of their callers' requests.

use contract::conversation::{AskedWith, RequestPart};
use contract::{Mode, Surface};

use crate::judging::Policy;
use crate::judging::gateway::{
    PARAMETER_ADVICE, PARAMETER_LOST, TURNED_DOWN_ADVICE, TURNED_DOWN_CODE, lost, turns_down,
};
use crate::probe::HAPPY_CONVERSATION;
use crate::{Exchange, Finding, Observation, Outcome, Probe, Severity, attempts};

/// What a gateway took of a request that asked all that callers ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTaken {
    /// In which mode.
    pub mode: Mode,
    /// On which surface.
    pub surface: Surface,
    /// The parameters that it lost; `None` where it turned the request down.
    pub lost: Option<Vec<RequestPart>>,
}

impl RequestTaken {
    /// Reads it from what was seen of a probe; `None` where that tells nothing.
    pub fn of(
        probe: &Probe,
        policy: &Policy,
        observation: &Observation,
        outcome: &Outcome,
    ) -> Option<Self> {
        if probe.id != HAPPY_CONVERSATION || probe.asked_with() != AskedWith::Conversation {
            return None;
        }
        let calls: Vec<&Exchange> = attempts::calls(&observation.exchanges).collect();
        let parameters = lost(&calls, &policy.model).map(|lost| {
            lost.iter().map(|lost| lost.part).filter(|part| part.is_parameter()).collect()
        });
        if parameters.is_none() && !(calls.is_empty() && turns_down(outcome)) {
            return None;
        }
        Some(Self { mode: probe.mode, surface: policy.surface, lost: parameters })
    }
}

/// Returns how `new` takes less than the release before it: what nobody had is told at its probe only, and what comes new is no loss.
pub(super) fn compare(new: &RequestTaken, rollback: &RequestTaken) -> Option<Finding> {
    let kept = rollback.lost.as_ref()?;
    let Some(lost) = &new.lost else {
        return Some(Finding::new(
            Severity::Fail,
            TURNED_DOWN_CODE,
            "a call for a request with instructions, a history, a tool and parameters, as the other release makes it",
            "refused without a call",
            TURNED_DOWN_ADVICE,
        ));
    };
    let only_here = lost.iter().filter(|part| !kept.contains(part));
    let names: Vec<&str> = only_here.map(|part| part.name(new.surface)).collect();
    (!names.is_empty()).then(|| {
        Finding::new(
            Severity::Fail,
            PARAMETER_LOST,
            "the parameters that the other release passes on",
            format!("without {}, or with another value", names.join(", ")),
            PARAMETER_ADVICE,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lost: Option<&[RequestPart]>) -> RequestTaken {
        let (mode, surface) = (Mode::Unary, Surface::Chat);
        RequestTaken { mode, surface, lost: lost.map(<[RequestPart]>::to_vec) }
    }

    #[track_caller]
    fn check(
        new: Option<&[RequestPart]>,
        rollback: Option<&[RequestPart]>,
        expected: Option<(&str, &str)>,
    ) {
        let found = compare(&taken(new), &taken(rollback));
        let seen = found.as_ref().map(|found| (found.code.as_str(), found.seen.as_str()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_new_takes_less_of_fails() {
        use RequestPart::{Stop, TopP};
        let lost = "request-parameter-lost";
        check(Some(&[]), Some(&[]), None);
        check(Some(&[Stop]), Some(&[Stop]), None);
        check(Some(&[]), Some(&[Stop]), None);
        check(
            Some(&[Stop, TopP]),
            Some(&[TopP]),
            Some((lost, "without `stop`, or with another value")),
        );
        check(None, None, None);
        check(Some(&[]), None, None);
        check(Some(&[Stop]), None, None);
        check(None, Some(&[Stop]), Some(("request-turned-down", "refused without a call")));
    }
}
