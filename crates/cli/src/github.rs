//! A result as GitHub Actions workflow commands: an annotation for each finding, then the decision.
//!
//! The escapes are those of the workflow-command syntax: `%`, CR and LF in messages; `:` and `,` in properties as well.

use judge::{Finding, Severity};

use crate::result::Outcome;

/// Renders a result.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    for finding in &outcome.findings {
        text.push_str(&annotation(finding));
    }
    let level = if outcome.exit_code == crate::exit_code::PASS { "notice" } else { "error" };
    text.push_str(&format!(
        "::{level} title=surestep {}::{}\n",
        property(outcome.decided.decision.as_str()),
        message(&outcome.headline)
    ));
    text
}

fn annotation(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Fail | Severity::Ambiguous => "error",
        Severity::Warn => "warning",
        Severity::Info => "notice",
    };
    let mut place: Vec<&str> = Vec::new();
    place.extend(finding.release.map(judge::Role::as_str));
    place.extend(finding.probe.as_deref());
    place.extend(finding.mode.map(contract::Mode::as_str));
    let breaks = contract::broken_clients_line(&finding.breaks());
    let breaks = if breaks.is_empty() { breaks } else { format!("breaks: {breaks}\n") };
    let text = format!(
        "{}\nexpected: {}\nseen: {}\n{breaks}{}",
        place.join(", "),
        finding.expected,
        finding.seen,
        finding.advice
    );
    format!("::{level} title={}::{}\n", property(&finding.code), message(text.trim()))
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_annotation_early() {
        let finding = Finding::new(Severity::Fail, "hung", "100% sure\nof it", "a,b:c", "wait");
        assert_eq!(
            annotation(&finding),
            "::error title=hung::expected: 100%25 sure%0Aof it%0Aseen: a,b:c%0Await\n"
        );
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }
}
