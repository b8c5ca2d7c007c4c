//! Fingerprints of text: enough to tell whether two texts are the same, and they hold neither.

/// A running fingerprint of text: enough to tell whether two texts are the same, and it holds neither (but for the last
/// seven bytes). How a text was cut into parts makes no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    hash: u64,
    /// The bytes behind the last whole word.
    rest: u64,
    n_bytes: u64,
}

impl Fingerprint {
    pub(crate) fn add(&mut self, text: &[u8]) {
        let n_before = self.n_bytes % 8;
        // What is left of earlier text comes first: a word is put together from it and the next eight bytes.
        let (up, down) = (8 * n_before, 63 - 8 * n_before);
        let (words, rest) = text.as_chunks();
        for word in words {
            let word = u64::from_le_bytes(*word);
            self.word(self.rest | word << up);
            self.rest = word >> 1 >> down;
        }
        let word = little_endian(rest);
        self.rest |= word << up;
        if n_before + rest.len() as u64 >= 8 {
            self.word(self.rest);
            self.rest = word >> 1 >> down;
        }
        self.n_bytes += text.len() as u64;
    }

    fn word(&mut self, word: u64) {
        // Both halves of the product, so that every bit of the word reaches every bit of the hash.
        let product = u128::from(self.hash ^ word ^ 0xcbf2_9ce4_8422_2325) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = [product, product >> 64]
            .map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
        self.hash = low.rotate_left(23) ^ high;
    }

    pub(crate) fn of(text: &[u8]) -> Self {
        let mut print = Self::default();
        print.add(text);
        print
    }

    /// Returns one number of it, which sums do not cancel out.
    pub(crate) fn mixed(mut self) -> u64 {
        self.word(self.rest);
        self.word(self.n_bytes);
        self.hash
    }

    pub(crate) fn is_empty(self) -> bool {
        self.n_bytes == 0
    }
}

/// Returns up to seven bytes as a number.
fn little_endian(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Where they overlap they say the same.
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << (8 * (bytes.len() - 4));
    }
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cuts_make_no_difference(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6)) {
            let mut print = Fingerprint::default();
            parts.iter().for_each(|part| print.add(part));
            let mut by_bytes = Fingerprint::default();
            let text = parts.concat();
            text.iter().for_each(|byte| by_bytes.add(&[*byte]));
            prop_assert_eq!(print, by_bytes);
            prop_assert_eq!(print, Fingerprint::of(&text));
        }

        #[test]
        fn one_byte_makes_a_difference(text in proptest::collection::vec(any::<u8>(), 1..40), at: proptest::sample::Index) {
            let mut other = text.clone();
            other[at.index(text.len())] ^= 1;
            prop_assert_ne!(Fingerprint::of(&text), Fingerprint::of(&other));
            prop_assert_ne!(Fingerprint::of(&text).mixed(), Fingerprint::of(&other).mixed());
        }
    }
}
