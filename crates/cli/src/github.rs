//! A result as GitHub Actions workflow commands: an annotation for each finding, then the decision.
//!
//! The escapes are those of the workflow-command syntax: `%`, CR and LF in messages; `:` and `,` in properties as well.

use judge::{Finding, Severity};
use serde_json::Value;

use crate::failure::Failure;
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

/// Renders work that could not be done: an annotation at each problem of a file; one without a place where there is none.
pub(crate) fn failure(failure: &Failure) -> String {
    let problems = failure.problems.as_deref().and_then(Value::as_array);
    if let Some(problems) = problems.filter(|problems| !problems.is_empty()) {
        return problems.iter().map(problem).collect();
    }
    let advice = failure.advice.as_deref().unwrap_or_default();
    let text = format!("{}\n{advice}", failure.message);
    format!("::error title=surestep::{}\n", message(text.trim()))
}

fn problem(problem: &Value) -> String {
    let mut properties = "title=surestep".to_owned();
    for (name, key) in [("file", "file"), ("line", "line"), ("col", "column")] {
        let value = match &problem[key] {
            Value::String(text) => property(text),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => continue,
        };
        properties.push_str(&format!(",{name}={value}"));
    }
    let text = |key: &str| problem[key].as_str().unwrap_or_default();
    let text = format!("{}\n{}", text("message"), text("help"));
    format!("::error {properties}::{}\n", message(text.trim()))
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
    use serde_json::json;

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

    #[test]
    fn a_failure_is_annotated_where_it_is() {
        let refused = Failure {
            code: 2,
            message: "error: all of it".to_owned(),
            advice: None,
            problems: Some(Box::new(json!([
                { "file": "a,b.yaml", "message": "unknown key `modle`", "help": "did you mean `model`?", "line": 7, "column": 1 },
                { "file": "c.yaml", "message": "the file is empty", "help": null, "line": null, "column": null },
            ]))),
        };
        assert_eq!(
            failure(&refused),
            "::error title=surestep,file=a%2Cb.yaml,line=7,col=1::unknown key `modle`%0Adid you mean `model`?\n\
             ::error title=surestep,file=c.yaml::the file is empty\n"
        );
        assert_eq!(
            failure(&Failure::internal("the disk\nis full", "make room")),
            "::error title=surestep::the disk%0Ais full%0Amake room\n"
        );
    }
}
