//! The smoke prompt: what every ask says, and how the asked label is found again.
//!
//! The marker names the ask; it never comes back in an answer. The label is what a well-behaved model replies with.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Stands between the instruction and the label.
const BEFORE_LABEL: &str = "this label and nothing else: ";

/// Returns the prompt of an ask. `marker` comes first, so that a log which keeps only the first words of a prompt shows it.
pub fn prompt(marker: &str, label: &str) -> String {
    format!("[{marker}] Release check. Reply with exactly {BEFORE_LABEL}{label}")
}

/// Returns the label that a prompt asks for.
pub fn label_asked(text: &str) -> Option<&str> {
    static BEFORE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BEFORE_LABEL));
    // It does not overlap itself, so the last one met from the left is the last one.
    let before = BEFORE.find_iter(text.as_bytes()).last()?;
    let rest = text.get(before + BEFORE_LABEL.len()..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
    rest.get(..end).filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_found_also_inside_json() {
        let prompt = prompt("ssm-1", "SSL-22");
        assert_eq!(label_asked(&prompt), Some("SSL-22"));
        assert_eq!(label_asked(&format!("{{\"content\":\"{prompt}\"}}")), Some("SSL-22"));
        assert_eq!(label_asked("hello"), None);
    }
}
