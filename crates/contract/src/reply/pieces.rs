//! Cuts a text into the deltas of a stream.

/// The number of deltas that a text long enough gets: more than one, so that a client must really put them together.
const FEWEST: usize = 3;
/// No more than these: a stream is to be short.
const MOST: usize = 6;

/// Returns the text in three to six pieces of about the same number of characters, cut inside words as models do; fewer when
/// it has fewer characters, none when it is empty. Their concatenation is the text.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let n_pieces = (starts.len() / 4).clamp(FEWEST, MOST).min(starts.len());
    let mut pieces = Vec::with_capacity(n_pieces);
    let mut rest = text;
    for piece_index in (1..n_pieces).rev() {
        // Cut from the end: `starts` keeps its meaning while `rest` gets shorter.
        let cut = starts.get(starts.len() * piece_index / n_pieces).copied().unwrap_or(rest.len());
        let Some((head, tail)) = rest.split_at_checked(cut) else { continue };
        pieces.push(tail);
        rest = head;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces.reverse();
    pieces
}

/// Returns the text in two halves, by characters.
pub(super) fn halves(text: &str) -> [&str; 2] {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    <[&str; 2]>::from(text.split_at(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, n_pieces: usize) {
        let pieces = pieces(text);
        assert_eq!(pieces.concat(), text);
        assert_eq!(pieces.len(), n_pieces, "{pieces:?}");
        assert!(pieces.iter().all(|piece| !piece.is_empty()), "{pieces:?}");
    }

    #[test]
    fn text_is_cut_into_three_to_six() {
        check("", 0);
        check("a", 1);
        check("é日", 2);
        check("SSL-22", 3);
        check("SSL-22-4711-abcdefgh", 5);
        check(&"Grüße, 世界 🌍! \"quoted\" \\ back ".repeat(9), 6);
    }
}
