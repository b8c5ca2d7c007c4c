//! Who speaks in a request: the roles of its messages in their order, as classes.

use serde::Serialize;

use crate::Surface;
use crate::json::Value;

/// Messages whose roles are kept: more than a service sends with a first question, and a history may be as long as it likes.
const ROLES_MAX: usize = 256;

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// The application: a message of `system` or of `developer`, which are two names of one thing, or the field `instructions`.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool, by what it returned.
    Tool,
    /// A role that is not documented, or an item that has none.
    Another,
}

impl MessageRole {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Another => "another role",
        }
    }

    fn of_item(item: Value<'_>) -> Self {
        let is = |field: &str, names: &[&str]| {
            item.get(field).is_some_and(|value| names.iter().any(|name| value.is(name)))
        };
        if is("role", &["system", "developer"]) {
            Self::System
        } else if is("role", &["user"]) {
            Self::User
        } else if is("role", &["assistant"]) || is("type", &["function_call"]) {
            Self::Assistant
        } else if is("role", &["tool", "function"]) || is("type", &["function_call_output"]) {
            Self::Tool
        } else {
            Self::Another
        }
    }
}

/// Reads who speaks in the body of a request to `surface`.
pub(super) fn read(surface: Surface, fields: Value<'_>) -> Vec<MessageRole> {
    let mut roles = Vec::new();
    if surface == Surface::Responses
        && fields.get_some("instructions").is_some_and(|value| !value.is_empty())
    {
        roles.push(MessageRole::System);
    }
    match fields.get(super::prompt_field(surface)) {
        Some(prompt) if prompt.is_array() => {
            roles.extend(prompt.items().map(MessageRole::of_item).take(ROLES_MAX));
        }
        // A text in place of messages is the user's.
        Some(prompt) if prompt.text().is_some() => roles.push(MessageRole::User),
        Some(_) | None => {}
    }
    roles
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::MessageRole::{Another, Assistant, System, Tool, User};
    use super::*;
    use crate::RequestFacts;

    #[track_caller]
    fn check(surface: Surface, body: &Value, expected: &[MessageRole]) {
        assert_eq!(RequestFacts::read(surface, body.to_string().as_bytes()).roles, expected);
    }

    #[test]
    fn messages_of_a_chat_are_read_in_their_order() {
        let chat = |roles: &[&str], expected: &[MessageRole]| {
            let messages: Vec<Value> =
                roles.iter().map(|role| json!({ "role": role, "content": "x" })).collect();
            check(Surface::Chat, &json!({ "model": "m", "messages": messages }), expected);
        };
        chat(&["system", "user"], &[System, User]);
        chat(&["developer", "user", "assistant", "tool"], &[System, User, Assistant, Tool]);
        chat(&["user", "System"], &[User, Another]);
        chat(&[], &[]);
        check(Surface::Chat, &json!({ "messages": [{ "content": "x" }] }), &[Another]);
        check(Surface::Chat, &json!({ "messages": "x" }), &[User]);
        check(Surface::Chat, &json!({ "instructions": "x" }), &[]);
    }

    #[test]
    fn instructions_of_a_response_come_first() {
        let responses = |body: Value, expected: &[MessageRole]| {
            check(Surface::Responses, &body, expected);
        };
        responses(json!({ "input": "x" }), &[User]);
        responses(json!({ "input": "x", "instructions": "y" }), &[System, User]);
        responses(json!({ "input": "x", "instructions": "" }), &[User]);
        responses(json!({ "input": "x", "instructions": null }), &[User]);
        let items = json!([
            { "role": "developer", "content": "y" },
            { "role": "user", "content": "x" },
            { "type": "function_call" },
            { "type": "function_call_output" },
            { "type": "reasoning" },
        ]);
        responses(json!({ "input": items }), &[System, User, Assistant, Tool, Another]);
    }

    #[test]
    fn a_history_without_end_is_not_kept() {
        let messages = vec![json!({ "role": "user" }); ROLES_MAX + 1];
        check(Surface::Chat, &json!({ "messages": messages }), &[User; ROLES_MAX]);
    }
}
