//! Cuts a text into the deltas of a stream.

/// The number of deltas that a text long enough gets: more than one, so that a client must really put them together.
const FEWEST: usize = 3;
/// No more than these: a stream is to be short.
const MOST: usize = 6;

/// White space that models send as a token of its own; who drops deltas that are "blank" loses paragraphs and indentation.
const ALONE: [char; 2] = ['\n', ' '];

/// Returns the text in pieces whose concatenation is the text: a few of about the same length, cut inside words as models do, and the first line break
/// and the first blank each a piece of its own.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = even_pieces(text);
    for alone in ALONE {
        let found = pieces.iter().enumerate().find_map(|(n, piece)| Some((n, piece.find(alone)?)));
        let Some((n, at)) = found else { continue };
        let Some((before, rest)) = pieces.get(n).and_then(|piece| piece.split_at_checked(at))
        else {
            continue;
        };
        let Some((blank, behind)) = rest.split_at_checked(alone.len_utf8()) else { continue };
        let parted = [before, blank, behind].into_iter().filter(|part| !part.is_empty());
        pieces.splice(n..=n, parted);
    }
    pieces
}

/// Returns the text in three to six pieces of about the same number of characters; fewer when it has fewer characters, none when it is empty.
fn even_pieces(text: &str) -> Vec<&str> {
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
        check(&"Grüße,世界🌍!\"quoted\"\\back".repeat(9), 6);
    }

    #[test]
    fn white_space_comes_alone_once() {
        let text = "first line of it\nand  the second";
        let pieces = pieces(text);
        assert_eq!(pieces.concat(), text);
        for alone in ["\n", " "] {
            assert_eq!(pieces.iter().filter(|piece| **piece == alone).count(), 1, "{pieces:?}");
        }
    }
}
