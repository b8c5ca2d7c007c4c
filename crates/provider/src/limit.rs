//! The token limit of a request: an answer that is longer ends there, as real providers end it.

use contract::{Surface, token_limits};
use serde_json::Value;

/// Characters of a token. What is asked for here is a label of random digits, which tokenizers cut short; a text of words has about four.
const CHARACTERS: usize = 2;

/// How many tokens an answer may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenLimit(u64);

impl TokenLimit {
    /// Reads the limit that a request sets, by the names of its surface.
    pub(crate) fn read(surface: Surface, body: &[u8]) -> Option<Self> {
        let request: Value = serde_json::from_slice(body).ok()?;
        token_limits(surface).iter().find_map(|name| request.get(name)?.as_u64()).map(Self)
    }

    /// Returns as much of an answer as the limit allows.
    pub(crate) fn applied_to(self, answer: &str) -> &str {
        let allowed = usize::try_from(self.0).unwrap_or(usize::MAX).saturating_mul(CHARACTERS);
        answer.char_indices().nth(allowed).map_or(answer, |(end, _)| answer.split_at(end).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_at_the_limit_of_its_surface() {
        let read = |surface, body: &str| TokenLimit::read(surface, body.as_bytes());
        assert_eq!(read(Surface::Chat, r#"{"max_tokens":5}"#), Some(TokenLimit(5)));
        assert_eq!(
            read(Surface::Chat, r#"{"max_tokens":5,"max_completion_tokens":9}"#),
            Some(TokenLimit(9))
        );
        assert_eq!(read(Surface::Responses, r#"{"max_output_tokens":16}"#), Some(TokenLimit(16)));
        assert_eq!(read(Surface::Responses, r#"{"max_tokens":5}"#), None);
        assert_eq!(read(Surface::Chat, r#"{"max_tokens":null}"#), None);
        assert_eq!(TokenLimit(2).applied_to("日本語で話す"), "日本語で");
        assert_eq!(TokenLimit(3).applied_to("日本語で話す"), "日本語で話す");
        assert_eq!(TokenLimit(u64::MAX).applied_to("SSL-1"), "SSL-1");
    }
}
