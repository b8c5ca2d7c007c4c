//! `${NAME}` in values, and the placeholders that are filled at run time.

use super::scalar;
use crate::environment::{Environment, VariableProblem};

/// The placeholders in commands and environment values.
pub(super) const PLACEHOLDERS: [&str; 6] = ["prompt", "tap", "port", "version", "model", "key"];

/// A variable that gives no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// As it is written: `${NAME}`.
    pub(super) written: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) help: String,
}

/// Puts variables into a text. `$${` stands for `${`.
pub(super) fn substitute(text: &str, environment: &Environment) -> (String, Vec<Fault>) {
    let mut result = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = &from[2..];
            continue;
        }
        result.push_str(before);
        let Some(end) = from.find('}') else {
            faults.push(Fault {
                written: from.to_owned(),
                message: "`${` without `}`".to_owned(),
                help: "write ${NAME}, or $${ for the characters themselves".to_owned(),
            });
            return (result, faults);
        };
        let name = &from[2..end];
        match value_of(name, environment) {
            Ok(value) => result.push_str(value),
            Err((message, help)) => {
                faults.push(Fault { written: from[..=end].to_owned(), message, help });
            }
        }
        rest = &from[end + 1..];
    }
    result.push_str(rest);
    (result, faults)
}

fn value_of<'e>(name: &str, environment: &'e Environment) -> Result<&'e str, scalar::Refusal> {
    if !is_variable_name(name) {
        return Err((
            format!("`${{{name}}}` does not name an environment variable"),
            "write ${NAME}: letters, digits and underscores, no default; or $${ for the characters themselves"
                .to_owned(),
        ));
    }
    environment.text(name).map_err(|problem| {
        let mut help = match problem {
            VariableProblem::Unset | VariableProblem::Blank => {
                format!("set {name} in the environment or write the value here")
            }
            VariableProblem::NotText => format!("set {name} to UTF-8 text"),
        };
        if problem == VariableProblem::Unset
            && let Some(close) = scalar::closest(name, environment.names())
        {
            help = format!("did you mean ${{{close}}}? Or {help}");
        }
        (format!("the environment variable {name} {problem}"), help)
    })
}

/// Tells whether a shell would take this for a variable's name.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns the names in braces that look like placeholders: `{name}`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|after| {
        let (name, _) = after.split_once('}')?;
        (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_'))
            .then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let environment = Environment::from_iter([("A", "1"), ("B", "two"), ("BLANK", " ")]);
        let (result, faults) = substitute(text, &environment);
        let shown = match faults.first() {
            Some(fault) => format!("{}: {}", fault.written, fault.message),
            None => result,
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn variables_are_put_in() {
        check("${A}", "1");
        check("x-${A}-${B}.", "x-1-two.");
        check("$A {A} $", "$A {A} $");
    }

    #[test]
    fn escapes_stay() {
        check("$${A}", "${A}");
        check("$$${A}", "$${A}");
    }

    #[test]
    fn what_gives_no_text_is_named() {
        check("a ${C}", "${C}: the environment variable C is not set");
        check("${BLANK}", "${BLANK}: the environment variable BLANK is set but blank");
        check("${A:-x}", "${A:-x}: `${A:-x}` does not name an environment variable");
        check("${A", "${A: `${` without `}`");
    }

    #[test]
    fn placeholders_are_found() {
        assert_eq!(
            placeholders("--url={tap} {promt} {\"a\": 1} {}").collect::<Vec<_>>(),
            ["tap", "promt"]
        );
    }
}
