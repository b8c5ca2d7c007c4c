//! How the simulated provider is to behave.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use contract::Profile;

/// Between two events of a stream: long enough that each one leaves alone, short enough that nobody waits.
const EVENT_GAP: Duration = Duration::from_millis(2);

/// The longest body of a request: the size that OpenAI names in its own 413.
const REQUEST_BYTES_MAX: usize = 26_214_400;

/// How the simulated provider is to behave.
#[derive(Clone)]
pub struct ProviderConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whose spelling and wording is copied.
    pub profile: Profile,
    /// The credentials that are valid. Empty: every one, but for what stands for a missing or an invalid one, see
    /// [`ProviderConfig::accepts`].
    pub keys: Vec<String>,
    /// The models that exist. Empty: every one.
    pub models: Vec<String>,
    /// JSON pointers of fields that replies lack (`/usage`, `/choices/0/finish_reason`): a provider that delivers less.
    /// In streams each event's document is meant, and the `response` inside it.
    pub drop_fields: Vec<String>,
    /// The wait before each reply.
    pub delay: Duration,
    /// The wait between two events of a stream.
    pub event_gap: Duration,
    /// The longest body of a request, in bytes.
    pub request_bytes_max: usize,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            profile: Profile::Cometapi,
            keys: Vec::new(),
            models: Vec::new(),
            drop_fields: Vec::new(),
            delay: Duration::ZERO,
            event_gap: EVENT_GAP,
            request_bytes_max: REQUEST_BYTES_MAX,
        }
    }
}

impl ProviderConfig {
    /// Returns whether a credential is valid.
    ///
    /// Without configured ones, all are but those which a broken configuration sends (`undefined`, `null`, `None`) and those
    /// that call themselves invalid, so that the invalid-credential probe has something to meet.
    pub fn accepts(&self, key: &str) -> bool {
        if self.keys.is_empty() {
            !matches!(key, "" | "undefined" | "null" | "None")
                && !key.to_ascii_lowercase().contains("invalid")
        } else {
            self.keys.iter().any(|accepted| accepted == key)
        }
    }

    /// Returns whether a model exists.
    pub fn has_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|existing| existing == model)
    }
}

/// Shows how many credentials there are, and none of them.
impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("listen", &self.listen)
            .field("profile", &self.profile)
            .field("n_keys", &self.keys.len())
            .field("models", &self.models)
            .field("drop_fields", &self.drop_fields)
            .field("delay", &self.delay)
            .field("event_gap", &self.event_gap)
            .field("request_bytes_max", &self.request_bytes_max)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_keys_are_accepted() {
        let config = ProviderConfig {
            keys: vec!["sk-one".to_owned(), "sk-two".to_owned()],
            ..Default::default()
        };
        assert!(config.accepts("sk-two"));
        assert!(!config.accepts("sk-three"));
        assert!(!config.accepts(""));
    }

    #[test]
    fn any_key_is_accepted_but_a_missing_or_an_invalid_one() {
        let config = ProviderConfig::default();
        assert!(config.accepts("sk-anything"));
        for key in ["", "undefined", "null", "None", "sk-surestep-INVALID-0"] {
            assert!(!config.accepts(key), "{key:?}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let config = ProviderConfig { keys: vec!["sk-planted".to_owned()], ..Default::default() };
        let shown = format!("{config:?}");
        assert!(!shown.contains("sk-planted") && shown.contains("n_keys: 1"), "{shown}");
    }
}
