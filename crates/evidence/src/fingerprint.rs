//! Keyed fingerprints: equal inputs are equal, and nothing else can be told.
//!
//! The key is drawn once per ledger and kept in the ledger's own file. So two credentials can be compared over all runs of one
//! ledger, while exported records alone, without the key, cannot be searched by guessing: a plain digest of a short key or of
//! `staging` could. Whoever has the whole ledger file has the key, too, and could test guesses; credentials worth the name
//! have too many bits for that.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use judge::Fingerprint;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Makes fingerprints under one key.
#[derive(Clone)]
pub struct Fingerprinter(Zeroizing<[u8; 32]>);

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(key not shown)")
    }
}

impl Fingerprinter {
    /// Takes the key; see `Ledger::fingerprinter` for the one of a ledger.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Returns the fingerprint of these bytes. The domain (`credential`, `configuration`, …) keeps equal bytes of different
    /// meaning apart.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn fingerprint(&self, domain: &str, bytes: &[u8]) -> Fingerprint {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        // With its length before it, no domain can be continued into the bytes of another.
        mac.update(&domain.len().to_be_bytes());
        mac.update(domain.as_bytes());
        mac.update(bytes);
        Fingerprint::from_digest(&mac.finalize().into_bytes())
    }
}

/// Draws bytes of chance from the operating system: the one place where chance enters this crate.
pub(crate) fn chance() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_depends_on_key_domain_and_bytes() {
        let one = Fingerprinter::new([1; 32]);
        assert_eq!(one.fingerprint("credential", b"a"), one.fingerprint("credential", b"a"));
        assert_ne!(one.fingerprint("credential", b"a"), one.fingerprint("credential", b"b"));
        assert_ne!(one.fingerprint("credential", b"a"), one.fingerprint("environment", b"a"));
        assert_ne!(one.fingerprint("ab", b"c"), one.fingerprint("a", b"bc"));
        let other = Fingerprinter::new([2; 32]);
        assert_ne!(one.fingerprint("credential", b"a"), other.fingerprint("credential", b"a"));
        assert_eq!(format!("{one:?}"), "Fingerprinter(key not shown)");
    }
}
