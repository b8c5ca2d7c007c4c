//! The hash chain: each record's hash covers the one before it, its number and its bytes.
//!
//! The chain begins at a value made of the ledger's id and key, so that records cannot be carried over from another ledger.
//! Whoever can write the whole file can also compute a new chain from any point on; against that, an attestation keeps a
//! head outside of the file.

use sha2::{Digest as _, Sha256};

/// Names the way in which hashes are made.
const DOMAIN: &[u8] = b"surestep ledger 1";

/// Returns what the first record follows.
pub(super) fn genesis(id: &str, key: &[u8; 32]) -> String {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(id.len().to_be_bytes());
    hash.update(id);
    // Not the key itself: the genesis is exported, the key is not.
    hash.update(Sha256::digest(key));
    hex(&hash.finalize())
}

/// Returns the hash of a record. `prev` is 64 hexadecimal digits and the number eight bytes, so nothing can shift between them.
pub(super) fn next(prev: &str, seq: u64, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(prev);
    hash.update(seq.to_be_bytes());
    hash.update(body);
    hex(&hash.finalize())
}

/// Returns hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Reads 64 hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
