//! Text that must never be written down.

use std::fmt;

use zeroize::Zeroizing;

/// Text that must never be written down: a credential, a prompt, a completion, an answer, a raw log.
///
/// It has no `Serialize`, its `Debug` shows the length only, and its memory is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for use in memory only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sensitive({} bytes)", self.0.len())
    }
}
