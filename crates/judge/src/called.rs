//! Tools that a gateway's reply calls, against those that the provider's reply called.

use contract::reply::ToolCall;
use serde_json::Value;

/// What a reply calls in place of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// The calls in their order.
    pub calls: Vec<ToolCall>,
    /// Whether the reply ends by saying so: `finish_reason: "tool_calls"`. Where nothing has to be said, it is.
    pub is_said: bool,
}

/// How the calls that came relate to those that were delivered; the worst is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallsRelation {
    /// Nobody called anything, or nobody was to.
    None,
    /// All came whole.
    Whole,
    /// All came whole, and the reply ends as if it were an answer.
    EndsAsAnswer,
    /// All came whole, under other ids.
    OtherIds,
    /// Some have no id, by which their results could be told.
    WithoutId,
    /// Some call a tool of another name, or of none.
    OtherName,
    /// Some have other arguments.
    OtherArguments,
    /// Some are lost, or there are more than were made.
    OtherNumber,
}

/// Compares the calls that came with those that were delivered.
pub fn relate_calls(came: Option<&Called>, delivered: &[ToolCall]) -> CallsRelation {
    let Some(came) = came.filter(|came| !came.calls.is_empty()) else { return CallsRelation::None };
    let any = |differs: fn(&ToolCall, &ToolCall) -> bool| {
        came.calls.iter().zip(delivered).any(|(came, delivered)| differs(came, delivered))
    };
    if came.calls.len() != delivered.len() {
        CallsRelation::OtherNumber
    } else if any(|came, delivered| !is_same_document(&came.arguments, &delivered.arguments)) {
        CallsRelation::OtherArguments
    } else if any(|came, delivered| came.name != delivered.name) {
        CallsRelation::OtherName
    } else if any(|came, _| came.id.is_empty()) {
        CallsRelation::WithoutId
    } else if any(|came, delivered| came.id != delivered.id) {
        CallsRelation::OtherIds
    } else if !came.is_said {
        CallsRelation::EndsAsAnswer
    } else {
        CallsRelation::Whole
    }
}

/// Whoever writes the arguments anew may space them otherwise.
fn is_same_document(came: &str, delivered: &str) -> bool {
    let read = |text| serde_json::from_str::<Value>(text).ok();
    came == delivered || read(came).is_some_and(|came| Some(came) == read(delivered))
}

#[cfg(test)]
mod tests {
    use contract::reply::tool_calls;

    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Called), expected: CallsRelation) {
        let delivered = tool_calls("SSL-1 \"é\"");
        let mut came = Called { calls: delivered.clone(), is_said: true };
        change(&mut came);
        assert_eq!(relate_calls(Some(&came), &delivered), expected);
    }

    #[test]
    fn calls_are_compared() {
        check(|_| {}, CallsRelation::Whole);
        check(|came| came.is_said = false, CallsRelation::EndsAsAnswer);
        check(
            |came| {
                came.calls[0].arguments = came.calls[0].arguments.replace(':', " : ");
                came.calls[1].arguments = came.calls[1].arguments.replace('é', "\\u00e9");
            },
            CallsRelation::Whole,
        );
        check(|came| came.calls.clear(), CallsRelation::None);
        check(|came| drop(came.calls.pop()), CallsRelation::OtherNumber);
        check(|came| came.calls.swap(0, 1), CallsRelation::OtherArguments);
        check(|came| came.calls[1].arguments.truncate(9), CallsRelation::OtherArguments);
        check(|came| came.calls[1].arguments.clear(), CallsRelation::OtherArguments);
        check(|came| came.calls[1].name.clear(), CallsRelation::OtherName);
        check(|came| came.calls[0].id.clear(), CallsRelation::WithoutId);
        check(|came| came.calls[0].id.push('x'), CallsRelation::OtherIds);
        assert_eq!(relate_calls(None, &tool_calls("x")), CallsRelation::None);
    }
}
