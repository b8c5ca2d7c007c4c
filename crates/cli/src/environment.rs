//! The process environment, read once. Everything else takes an [`Environment`] as an argument.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// The variables that surestep was started with.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn from_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Returns a variable's value as it is.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns a variable's value as text.
    pub(crate) fn text(&self, name: &str) -> Result<&str, VariableProblem> {
        let value = self.get(name).ok_or(VariableProblem::Unset)?;
        let text = value.to_str().ok_or(VariableProblem::NotText)?;
        if text.trim().is_empty() {
            return Err(VariableProblem::Blank);
        }
        Ok(text)
    }

    /// Returns all variables, for those who hand some of them on.
    pub(crate) fn all(&self) -> BTreeMap<OsString, OsString> {
        self.0.clone()
    }

    /// Returns the names of all variables that are text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|name| name.to_str())
    }
}

/// Values may be secrets: only their number is shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Why a variable gives no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableProblem {
    /// It is not there.
    #[error("is not set")]
    Unset,
    /// It is there, with nothing but blanks in it.
    #[error("is set but blank")]
    Blank,
    /// Its bytes are not UTF-8.
    #[error("does not hold UTF-8 text")]
    NotText,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_not_a_value() {
        let environment = Environment::from_iter([("A", "x"), ("B", " ")]);
        assert_eq!(environment.text("A"), Ok("x"));
        assert_eq!(environment.text("B"), Err(VariableProblem::Blank));
        assert_eq!(environment.text("C"), Err(VariableProblem::Unset));
        assert_eq!(environment.names().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::from_iter([("KEY", "value-to-hide")]);
        assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
    }
}
