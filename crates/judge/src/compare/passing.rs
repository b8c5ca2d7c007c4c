//! Tells a stream that is passed on from one that is held back until its end.

/// Returns whether a release has passed a slow stream on: its caller got the first words while the provider was still sending. `None` where it
/// was too close to tell.
///
/// All times are milliseconds since the ask began: when the provider's head was sent, when its last piece was, and when the caller got the first words.
/// A release may pass on sentences or paragraphs, and it may take the last words for the end, which some bytes still follow.
pub fn passes_on(head_ms: u64, last_ms: u64, first_words_ms: u64) -> Option<bool> {
    let length = last_ms.saturating_sub(head_ms);
    let waited = first_words_ms.saturating_sub(head_ms);
    // It takes a stream that lasts: one that was over at once is passed on at once.
    if length < LASTS_MS {
        None
    } else if waited.saturating_mul(20) >= length.saturating_mul(17) {
        Some(false)
    } else if waited.saturating_mul(4) < length.saturating_mul(3) {
        Some(true)
    } else {
        None
    }
}

/// Shorter streams do not tell.
const LASTS_MS: u64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_come_before_the_end_were_passed_on() {
        for (head, last, first_words, expected) in [
            (50, 3_050, 150, Some(true)),
            (50, 3_050, 20, Some(true)),
            (50, 3_050, 2_290, Some(true)),
            (50, 3_050, 2_400, None),
            (50, 3_050, 2_610, Some(false)),
            (50, 3_050, 3_060, Some(false)),
            (50, 3_050, 9_000, Some(false)),
            // Given up, or too short.
            (50, 1_000, 1_010, None),
            (1_000, 500, 900, None),
        ] {
            assert_eq!(passes_on(head, last, first_words), expected, "{first_words} of {last}");
        }
    }
}
