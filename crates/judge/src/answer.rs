//! How an answer relates to what the provider delivered. Texts are compared in memory; only the relation is kept.

/// How an answer relates to what was delivered to the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerRelation {
    /// There is no answer.
    None,
    /// It has no text.
    Empty,
    /// A delivered text stands in it as a whole.
    Whole,
    /// The label stands in it, but not the delivered text as a whole.
    Labelled,
    /// It is a part of a delivered text, without the label.
    Partial,
    /// Nothing of what was delivered stands in it, although that had the label that was asked for.
    Unrelated,
    /// Nothing of what was delivered stands in it; but the provider had not given the asked label either.
    UnrelatedToOffTopic,
}

/// Compares an answer with the texts that were delivered, white space folded.
pub fn relate(answer: Option<&str>, delivered: &[&str], label: &str) -> AnswerRelation {
    let Some(answer) = answer.map(fold) else { return AnswerRelation::None };
    if answer.is_empty() {
        return AnswerRelation::Empty;
    }
    let delivered: Vec<String> =
        delivered.iter().map(|text| fold(text)).filter(|text| !text.is_empty()).collect();
    if delivered.iter().any(|text| answer.contains(text.as_str())) {
        // Half a text is whole only as far as it was delivered: whether that was all is for the judge to say.
        AnswerRelation::Whole
    } else if answer.contains(label) {
        AnswerRelation::Labelled
    } else if delivered.iter().any(|text| text.contains(answer.as_str())) {
        AnswerRelation::Partial
    } else if delivered.is_empty() || delivered.iter().any(|text| text.contains(label)) {
        AnswerRelation::Unrelated
    } else {
        AnswerRelation::UnrelatedToOffTopic
    }
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: Option<&str>, delivered: &[&str], expected: AnswerRelation) {
        assert_eq!(relate(answer, delivered, "SSL-1"), expected);
    }

    #[test]
    fn white_space_does_not_matter() {
        check(Some(" SSL-1   is\nit \n"), &["SSL-1 is it"], AnswerRelation::Whole);
    }

    #[test]
    fn damaged_text_is_labelled_only() {
        check(Some("SSL-1 caf?"), &["SSL-1 café"], AnswerRelation::Labelled);
    }

    #[test]
    fn first_words_are_a_part() {
        check(Some("Hello"), &["Hello, this is SSL-1"], AnswerRelation::Partial);
    }

    #[test]
    fn placeholder_is_unrelated() {
        check(Some("Sorry, try again later"), &["SSL-1"], AnswerRelation::Unrelated);
        check(Some("Sorry, try again later"), &[], AnswerRelation::Unrelated);
        check(Some("Sorry"), &["a canned reply"], AnswerRelation::UnrelatedToOffTopic);
    }

    #[test]
    fn nothing_and_blank_differ() {
        check(None, &["SSL-1"], AnswerRelation::None);
        check(Some(" \n"), &["SSL-1"], AnswerRelation::Empty);
    }
}
