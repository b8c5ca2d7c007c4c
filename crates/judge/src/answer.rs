//! How an answer relates to what the provider delivered. Texts are compared in memory; only the relation is kept.

use serde_json::Value;

use crate::stimulus::THOUGHT;

/// How an answer relates to what was delivered to the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerRelation {
    /// There is no answer.
    None,
    /// It has no text.
    Empty,
    /// A delivered text stands in it as a whole.
    Whole,
    /// A delivered text stands in it more often than it was delivered.
    Repeated,
    /// A delivered text stands in it as a whole, but for its white space.
    Respaced,
    /// A text stands in it that was asked for by another ask of this run.
    OfAnother,
    /// A delivered text stands in it as a whole, and beside it nothing but the name of an empty value or a piece of itself.
    Littered,
    /// What the simulated model thought before it answered stands in it too.
    Thought,
    /// The label stands in it, with other text than was delivered.
    Labelled,
    /// It is a part of a delivered text, with the label or without.
    Partial,
    /// It is what a language prints in place of a value that is no text, and nothing else.
    TypeName,
    /// Nothing of what was delivered stands in it, although that had the label that was asked for.
    Unrelated,
    /// Nothing of what was delivered stands in it; but the provider had not given the asked label either.
    UnrelatedToOffTopic,
}

/// Shorter texts may well be said twice: a greeting, a label.
const REPEATED_MIN: usize = 24;

/// What a language prints in place of a value that is no text: JavaScript of an object, PHP of a list. openai-node's `output_text` joins
/// whatever it finds, so that its callers get this for a string.
const TYPE_NAMES: [&str; 2] = ["[object Object]", "Array"];

/// Compares an answer with the texts that were delivered: white space round them does not matter, nor how lines end. An answer that was rendered
/// as HTML counts as its text.
pub fn relate(answer: Option<&str>, delivered: &[&str], label: &str) -> AnswerRelation {
    let Some(as_given) = answer else { return AnswerRelation::None };
    let answer = fold(as_given);
    if answer.is_empty() {
        return AnswerRelation::Empty;
    }
    // Structured output: an application takes strings out of the document.
    let strings = delivered.iter().flat_map(|text| strings_of(text));
    let as_delivered: Vec<String> = delivered
        .iter()
        .map(|text| (*text).to_owned())
        .chain(strings)
        .map(|text| unix_lines(&text).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let as_given = unix_lines(as_given);
    let is_unchanged = as_delivered.iter().any(|text| as_given.contains(text.as_str()));
    let delivered: Vec<String> = as_delivered.iter().map(|text| fold(text)).collect();
    let stands_in = |answer: &str| delivered.iter().any(|text| answer.contains(text.as_str()));
    if is_of_another(&answer, label) {
        AnswerRelation::OfAnother
    } else if answer.contains(THOUGHT) && !delivered.iter().any(|text| text.contains(THOUGHT)) {
        AnswerRelation::Thought
    } else if delivered.iter().any(|text| is_repeated(&answer, text, &delivered)) {
        AnswerRelation::Repeated
    } else if delivered.iter().any(|text| is_littered(&answer, text)) {
        AnswerRelation::Littered
    } else if stands_in(&answer) && !is_unchanged {
        AnswerRelation::Respaced
    } else if is_unchanged || stands_in(&without_markup(&answer)) {
        // Half a text is whole only as far as it was delivered: whether that was all is for the judge to say.
        AnswerRelation::Whole
    } else if delivered.iter().any(|text| text.contains(answer.as_str())) {
        AnswerRelation::Partial
    } else if answer.contains(label) {
        AnswerRelation::Labelled
    } else if TYPE_NAMES.contains(&answer.trim_matches('"')) {
        AnswerRelation::TypeName
    } else if delivered.is_empty() || delivered.iter().any(|text| text.contains(label)) {
        AnswerRelation::Unrelated
    } else {
        AnswerRelation::UnrelatedToOffTopic
    }
}

/// In which form a delivered text stands in an answer as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// The text and nothing else.
    Bare,
    /// The text, and more beside it.
    Dressed,
    /// The text with the escapes of HTML in it, and no tag.
    Escaped,
    /// The text laid out as HTML: it stands there only once tags are taken out.
    Rendered,
}

/// Returns the form in which a delivered text stands in an answer; `None` where none does as a whole.
pub fn form_of(answer: Option<&str>, delivered: &[&str]) -> Option<AnswerForm> {
    let answer = fold(answer?);
    let delivered: Vec<String> =
        delivered.iter().map(|text| fold(text)).filter(|text| !text.is_empty()).collect();
    let stands_in = |answer: &str| delivered.iter().any(|text| answer.contains(text.as_str()));
    if delivered.contains(&answer) {
        Some(AnswerForm::Bare)
    } else if stands_in(&answer) {
        Some(AnswerForm::Dressed)
    } else {
        let has_tags = answer.contains('<');
        let form = if has_tags { AnswerForm::Rendered } else { AnswerForm::Escaped };
        stands_in(&without_markup(&answer)).then_some(form)
    }
}

/// Digits at the end of a label that count the asks of a run; those before them are the run's.
const COUNTING_DIGITS: usize = 6;

/// Returns whether the label of another ask of the same run stands in the answer.
fn is_of_another(answer: &str, label: &str) -> bool {
    let of_run = label.len().checked_sub(COUNTING_DIGITS).and_then(|end| label.get(..end));
    let Some(of_run) = of_run.filter(|of_run| !of_run.is_empty()) else { return false };
    answer.match_indices(of_run).any(|(at, _)| {
        let found = answer.get(at..at + label.len()).unwrap_or(label);
        let digits = found.get(of_run.len()..).unwrap_or_default();
        found != label && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// What languages print for a value that is not there, and what a stream says at its end.
const EMPTY_VALUES: [&str; 7] =
    ["undefined", "null", "None", "nil", "NaN", "[object Object]", "[DONE]"];

/// Shorter pieces may stand before an answer for another reason.
const PIECE_MIN: usize = 4;

/// Returns whether an answer is a delivered text with the name of an empty value before or behind it, or with its own beginning before it.
fn is_littered(answer: &str, text: &str) -> bool {
    let Some((before, behind)) = answer.split_once(text) else { return false };
    let (before, behind) = (before.trim(), behind.trim());
    let is_piece = before.len() >= PIECE_MIN && behind.is_empty() && text.starts_with(before);
    let are_empty = |part: &str| part.is_empty() || EMPTY_VALUES.contains(&part);
    let has_some = !(before.is_empty() && behind.is_empty());
    is_piece || (has_some && are_empty(before) && are_empty(behind))
}

/// Returns the strings in a delivered JSON document that say something: words of an enumeration do not.
fn strings_of(text: &str) -> Vec<String> {
    fn collect(value: &Value, strings: &mut Vec<String>) {
        match value {
            Value::String(text) => strings.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, strings)),
            Value::Object(fields) => fields.values().for_each(|field| collect(field, strings)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut strings = Vec::new();
    if let Ok(document @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        collect(&document, &mut strings);
        let longest = strings.iter().map(String::len).max().unwrap_or_default();
        strings.retain(|text| text.len() * 2 >= longest);
    }
    strings
}

/// Returns whether a text stands in the answer more often than it was delivered.
fn is_repeated(answer: &str, text: &str, delivered: &[String]) -> bool {
    text.len() >= REPEATED_MIN
        && answer.matches(text).count()
            > delivered.iter().filter(|other| other.contains(text)).count()
}

/// Returns the text of an HTML fragment: without tags, the escapes of HTML undone, white space folded.
fn without_markup(answer: &str) -> String {
    let mut text = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        text.push_str(before);
        let Some(close) = tag.find('>') else {
            rest = tag;
            break;
        };
        text.push(' ');
        rest = tag.get(close + 1..).unwrap_or_default();
    }
    text.push_str(rest);
    const ESCAPES: [(&str, &str); 7] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ];
    let text = ESCAPES.iter().fold(text, |text, (escape, plain)| text.replace(escape, plain));
    fold(&text)
}

fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
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
    fn an_answer_is_bare_or_dressed_or_neither() {
        assert_eq!(form_of(Some("SSL-1 is\nit \n"), &["SSL-1 is it"]), Some(AnswerForm::Bare));
        let noted = form_of(Some("retrying ...\nSSL-1 is it"), &["", "SSL-1 is it"]);
        assert_eq!(noted, Some(AnswerForm::Dressed));
        assert_eq!(form_of(Some("no"), &["SSL-1 is it"]), None);
        assert_eq!(form_of(None, &["SSL-1 is it"]), None);
    }

    #[test]
    fn white_space_round_a_text_does_not_matter_and_in_it_it_does() {
        check(Some(" SSL-1  is\r\nit \n"), &["SSL-1  is\nit"], AnswerRelation::Whole);
        check(Some("SSL-1  is\nit"), &["\nSSL-1  is\r\nit "], AnswerRelation::Whole);
        check(Some("SSL-1 is it"), &["SSL-1  is\nit"], AnswerRelation::Respaced);
        check(Some("SSL-1  is it"), &["SSL-1  is\nit"], AnswerRelation::Respaced);
    }

    #[test]
    fn damaged_text_is_labelled_only() {
        check(Some("SSL-1 caf?"), &["SSL-1 café"], AnswerRelation::Labelled);
    }

    #[test]
    fn first_words_are_a_part() {
        check(Some("Hello"), &["Hello, this is SSL-1"], AnswerRelation::Partial);
        check(Some("SSL-1 is"), &["SSL-1 is it"], AnswerRelation::Partial);
    }

    #[test]
    fn placeholder_is_unrelated() {
        check(Some("Sorry, try again later"), &["SSL-1"], AnswerRelation::Unrelated);
        check(Some("Sorry, try again later"), &[], AnswerRelation::Unrelated);
        check(Some("Sorry"), &["a canned reply"], AnswerRelation::UnrelatedToOffTopic);
    }

    #[test]
    fn name_of_a_type_is_told_from_a_placeholder() {
        check(Some(" [object Object]\n"), &[], AnswerRelation::TypeName);
        check(Some("[object Object]"), &["SSL-1"], AnswerRelation::TypeName);
        check(Some("Sorry: [object Object]"), &[], AnswerRelation::Unrelated);
    }

    #[test]
    fn text_that_comes_twice_is_repeated() {
        let text = "SSL-1 is a label, and this is what stands behind it";
        check(Some(&format!("{text}{text}")), &[text], AnswerRelation::Repeated);
        check(Some(&format!("{text} {text}")), &[text, text], AnswerRelation::Whole);
        check(Some("SSL-1 SSL-1"), &["SSL-1"], AnswerRelation::Whole);
    }

    #[test]
    fn text_of_another_ask_is_told() {
        let (own, other) = ("SSL-f01234000002", "SSL-f01234000001");
        let relate = |answer: &str| relate(Some(answer), &["SSL-f01234000002 is it"], own);
        assert_eq!(relate(&format!("{other} is it\n{own} is it")), AnswerRelation::OfAnother);
        assert_eq!(relate(&format!("{own} is it")), AnswerRelation::Whole);
        // Of another run, or cut: nobody knows whose.
        assert_eq!(relate(&format!("SSL-aaaaaa000001 {own} is it")), AnswerRelation::Whole);
        assert_eq!(relate(&format!("{own} is it SSL-f012340000")), AnswerRelation::Whole);
    }

    #[test]
    fn what_is_left_beside_a_text_is_told_from_decoration() {
        let text = "SSL-1 is a label";
        let check = |answer: &str, expected| check(Some(answer), &[text], expected);
        check("SSL-1 is a labelundefined", AnswerRelation::Littered);
        check("None SSL-1 is a label", AnswerRelation::Littered);
        check("SSL-1 SSL-1 is a label", AnswerRelation::Littered);
        check("Answer: SSL-1 is a label", AnswerRelation::Whole);
        check("SSL-1 is a label. Is it None?", AnswerRelation::Whole);
        check("S SSL-1 is a label", AnswerRelation::Whole);
    }

    #[test]
    fn thoughts_are_no_part_of_an_answer() {
        let text = "SSL-1 is a label";
        check(Some(&format!("{THOUGHT}\n{text}")), &[text], AnswerRelation::Thought);
        // Whoever asks for thoughts as the answer gets them.
        check(Some(&format!("{THOUGHT} {text}")), &[THOUGHT, text], AnswerRelation::Whole);
    }

    #[test]
    fn rendered_text_is_whole() {
        let text = "SSL-1 says \"a < b\" &\nleaves";
        let html = "<p>SSL-1 says &quot;a &lt; b&quot; &amp;<br>leaves</p>";
        check(Some(html), &[text], AnswerRelation::Whole);
        check(Some(&html.replace("leaves", "")), &[text], AnswerRelation::Labelled);
        check(Some("SSL-1 <"), &["SSL-1 < 2"], AnswerRelation::Partial);
    }

    #[test]
    fn form_of_an_answer_is_told() {
        let text = "SSL-1 says \"a < b\" &\nleaves";
        let check = |answer: &str, expected| {
            assert_eq!(form_of(Some(answer), &[text]), expected, "{answer}");
        };
        check(text, Some(AnswerForm::Bare));
        check(&format!(" {text}\n"), Some(AnswerForm::Bare));
        check(&format!("Answer: {text}"), Some(AnswerForm::Dressed));
        check(&format!("<p>{text}</p>"), Some(AnswerForm::Dressed));
        let escaped = "SSL-1 says &quot;a &lt; b&quot; &amp;\nleaves";
        check(escaped, Some(AnswerForm::Escaped));
        check(&format!("<p>{}</p>", escaped.replace('\n', "<br>")), Some(AnswerForm::Rendered));
        check("SSL-1 says &quot;a", None);
        assert_eq!(form_of(None, &[text]), None);
        assert_eq!(form_of(Some("SSL-1"), &[]), None);
    }

    #[test]
    fn a_string_out_of_a_structured_reply_is_whole() {
        let reply = r#"{"mood":"calm","answer":"SSL-1 says \u00e9, and more"}"#;
        check(Some("SSL-1 says é, and more"), &[reply], AnswerRelation::Whole);
        check(Some(reply), &[reply], AnswerRelation::Whole);
        check(Some("SSL-1 says"), &[reply], AnswerRelation::Partial);
        check(Some("calm"), &[reply], AnswerRelation::Partial);
        check(Some("Sorry"), &[reply], AnswerRelation::Unrelated);
    }

    #[test]
    fn nothing_and_blank_differ() {
        check(None, &["SSL-1"], AnswerRelation::None);
        check(Some(" \n"), &["SSL-1"], AnswerRelation::Empty);
    }
}
