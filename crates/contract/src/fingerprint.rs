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
        let mut bytes = text;
        // Fill the word that was begun.
        while !self.n_bytes.is_multiple_of(8)
            && let Some((first, others)) = bytes.split_first()
        {
            self.byte(*first);
            bytes = others;
        }
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().unwrap_or_default()));
            self.n_bytes += 8;
        }
        for byte in words.remainder() {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        let place = self.n_bytes % 8;
        self.rest |= u64::from(byte) << (8 * place);
        self.n_bytes += 1;
        if place == 7 {
            let word = std::mem::take(&mut self.rest);
            self.word(word);
        }
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
