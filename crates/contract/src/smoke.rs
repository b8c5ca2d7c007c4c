//! The smoke prompt: what every ask says, how the asked label is found again, and whether the prompt arrived as it was asked.
//!
//! The marker names the ask; it never comes back in an answer. The label is what a well-behaved model replies with.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Serialize;

use crate::json::Tape;

/// Begins the instruction.
const INSTRUCTION: &str = "Release check. Reply with exactly ";

/// The same in lower case, as far as it tells a question that was cut early.
const FIRST_WORDS: &str = "release check";

/// Stands between the instruction and the label.
const BEFORE_LABEL: &str = "this label and nothing else: ";

/// What people write and a careless client loses: letters of two, three and four bytes, a quote, a backslash, and what formats, templates, shells, forms
/// and web pages give a meaning to. Nothing of it changes when Unicode is normalised; no name, number or address is in it that
/// a service may mask, and no apostrophe, so that it survives a shell's single quotes.
const WRITTEN: &str = "(Written with care: naïve café, 文字, 🙂, \"quotes\" and here\\there, a % b, %dd, c+d, R&D, x < y, {name} and ${HOME}. And because questions of people are often longer than the places that were made for them, this one goes on for some words more: whoever keeps the first two hundred letters of it asks another one.)";

/// How a prompt is worded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wording {
    /// One line of ASCII.
    #[default]
    Plain,
    /// As people write: with a second line, and what ASCII and unquoted text cannot hold.
    Written,
    /// The same on one line, for those who read a question up to the end of its line.
    WrittenOnOneLine,
    /// One line of ASCII that begins as every other one of this wording: who keeps answers by the first words of a question mixes them up.
    Alike,
}

impl Wording {
    /// Returns the prompt of an ask in this wording.
    pub fn prompt(self, marker: &str, label: &str) -> String {
        let instruction = prompt(marker, label);
        match self {
            Self::Plain => instruction,
            Self::Written => format!("{instruction}\n{WRITTEN}"),
            Self::WrittenOnOneLine => format!("{instruction} {WRITTEN}"),
            Self::Alike => format!("{INSTRUCTION}{BEFORE_LABEL}{label} [{marker}]"),
        }
    }
}

/// Returns the plain prompt of an ask. `marker` comes first, so that a log which keeps only the first words of a prompt shows it.
pub fn prompt(marker: &str, label: &str) -> String {
    format!("[{marker}] {INSTRUCTION}{BEFORE_LABEL}{label}")
}

static BEFORE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BEFORE_LABEL));

/// Whether the text may ask for a label that is written so inside of a JSON string: what stands before a label needs no escape,
/// and may have those that any letter can have.
pub(crate) fn may_ask(written: &str) -> bool {
    static ESCAPED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u"));
    [&BEFORE, &ESCAPED].iter().any(|finder| finder.find(written.as_bytes()).is_some())
}

/// Returns the label that a prompt asks for.
pub fn label_asked(text: &str) -> Option<&str> {
    // It does not overlap itself, so the last one met from the left is the last one.
    let before = BEFORE.find_iter(text.as_bytes()).last()?;
    let rest = text.get(before + BEFORE_LABEL.len()..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
    rest.get(..end).filter(|label| !label.is_empty())
}

/// What became of a question on its way into a request: the one thing that is kept of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionSeen {
    /// It stands whole in one of the body's strings.
    Whole,
    /// There is something of it, and no string has all; or the body is no JSON, so that no provider finds one in it.
    Damaged,
    /// Nothing of it is there: the service asks in words of its own.
    Absent,
    /// Nobody can tell: the body is no text, or it was not looked for.
    #[default]
    Unread,
}

impl QuestionSeen {
    /// Looks for the question of this wording, of the ask of this marker, in the body of a request.
    ///
    /// Whatever stands round it is a template's. Marker and label are not compared: they are random, and a service may well mask
    /// numbers. White space may be folded, and the text may be escaped once more, as JSON or HTML, inside of a larger one.
    pub fn read(wording: Wording, marker: &str, body: &[u8]) -> Self {
        let Ok(text) = simdutf8::basic::from_utf8(body) else { return Self::Unread };
        // Most clients write plain text as it is: then there is nothing to decode.
        if matches!(wording, Wording::Plain | Wording::Alike) && stands_in(wording, text) {
            return Self::Whole;
        }
        let mut tape = Tape::unbounded();
        let Ok(document) = tape.read_text(text) else { return Self::Damaged };
        if document.texts().any(|text| stands_in(wording, &text)) {
            return Self::Whole;
        }
        // In any case of letters: that is a way to damage it.
        let text = text.to_ascii_lowercase();
        if text.contains(FIRST_WORDS) || text.contains(marker) {
            Self::Damaged
        } else {
            Self::Absent
        }
    }
}

/// Tells whether all of a question that is not random stands in a text, in its order.
pub(crate) fn stands_in(wording: Wording, text: &str) -> bool {
    // Most texts are as they were asked; of the others, few are worth folding.
    stands_as_it_is(wording, text)
        || (text.contains("Release")
            && stands_as_it_is(wording, &text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn stands_as_it_is(wording: Wording, text: &str) -> bool {
    static INSTRUCTED: LazyLock<String> =
        LazyLock::new(|| [INSTRUCTION, BEFORE_LABEL.trim_end()].concat());
    let Some((_, behind)) = text.split_once(INSTRUCTED.as_str()) else { return false };
    match wording {
        Wording::Plain | Wording::Alike => true,
        Wording::Written | Wording::WrittenOnOneLine => {
            WRITTEN_FORMS.iter().any(|form| behind.contains(form.as_str()))
        }
    }
}

/// What people write, as it is and as it stands inside of HTML, of a JSON document, or of one in that.
static WRITTEN_FORMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let json = in_json(WRITTEN);
    let in_documents = [
        escaped(&json, |c| !c.is_ascii(), |unit| format!("\\u{unit:04x}")),
        escaped(&json, |c| !c.is_ascii(), |unit| format!("\\u{unit:04X}")),
        // As Go writes it.
        escaped(&json, |c| matches!(c, '<' | '>' | '&'), |unit| format!("\\u{unit:04x}")),
        json,
    ];
    let in_html = WRITTEN.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let in_attributes = ["&quot;", "&#34;"].map(|quote| in_html.replace('"', quote));
    let twice = in_documents.iter().map(|form| in_json(form));
    let mut forms: Vec<String> = twice.collect();
    forms.extend(in_documents);
    forms.extend(in_attributes);
    forms.extend([in_html, WRITTEN.to_owned()]);
    forms
});

/// Returns how a text stands in a JSON string.
fn in_json(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Writes each character that is to be escaped by its UTF-16 code units.
fn escaped(text: &str, is_to_be: fn(char) -> bool, unit: fn(u16) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_to_be(c) {
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|code| unit(*code)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WORDINGS: [Wording; 4] =
        [Wording::Plain, Wording::Written, Wording::WrittenOnOneLine, Wording::Alike];

    #[test]
    fn label_is_found_also_inside_json() {
        for wording in WORDINGS {
            let prompt = wording.prompt("ssm-1", "SSL-22");
            assert_eq!(label_asked(&prompt), Some("SSL-22"));
            assert_eq!(label_asked(&json!({ "content": prompt }).to_string()), Some("SSL-22"));
        }
        assert_eq!(label_asked("hello"), None);
    }

    const MARKER: &str = "ssm-0123456789ab";

    fn asked(wording: Wording) -> String {
        wording.prompt(MARKER, "SSL-0123456789ab")
    }

    #[track_caller]
    fn check(expected: QuestionSeen, body: impl Fn(&str) -> String) {
        for wording in WORDINGS {
            let body = body(&asked(wording));
            assert_eq!(
                QuestionSeen::read(wording, MARKER, body.as_bytes()),
                expected,
                "{wording:?}: {body}"
            );
        }
    }

    fn ascii(document: &Value) -> String {
        escaped(&document.to_string(), |c| !c.is_ascii(), |unit| format!("\\u{unit:04X}"))
    }

    fn html(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;")
    }

    #[test]
    fn a_question_is_whole_however_it_is_wrapped() {
        let bodies: &[fn(&str) -> Value] = &[
            |q| json!({ "messages": [{ "role": "user", "content": q }] }),
            |q| json!({ "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": format!("Question: {q}\n\nAnswer:") }] }),
            |q| json!({ "messages": [{ "content": [{ "type": "text", "text": "Context" }, { "type": "text", "text": q }] }] }),
            |q| json!({ "input": q }),
            |q| json!({ "input": [{ "content": [{ "type": "input_text", "text": q }] }], "instructions": "Be brief." }),
            // Folded, wrapped, trimmed; and masked, as whoever masks numbers does.
            |q| json!({ "input": q.split_whitespace().collect::<Vec<_>>().join(" ") }),
            |q| json!({ "input": q.replace("exactly ", "exactly\n").replace("and ", "and  ") }),
            |q| json!({ "input": q.replace("0123456789", "[number]") }),
            // Inside of another document.
            |q| json!({ "input": json!({ "question": q }).to_string() }),
            |q| json!({ "input": ascii(&json!({ "question": q })) }),
            |q| json!({ "input": json!({ "body": json!({ "question": q }).to_string() }).to_string() }),
            |q| json!({ "input": json!({ "question": q }).to_string().replace('&', "\\u0026").replace('<', "\\u003c") }),
            |q| json!({ "input": format!("<question>{}</question>", html(q)) }),
            |q| json!({ "input": format!("<question>{}</question>", html(q).replace('"', "&quot;")) }),
        ];
        for body in bodies {
            check(QuestionSeen::Whole, |question| body(question).to_string());
            check(QuestionSeen::Whole, |question| ascii(&body(question)));
        }
    }

    #[test]
    fn a_question_that_is_cut_or_changed_is_damaged() {
        let changes: &[fn(&str) -> String] = &[
            |q| q.chars().take(60).collect(),
            str::to_uppercase,
            |q| q.replace("exactly", "about"),
            |q| q.chars().take(20).collect(),
            |q| q.replace(' ', ""),
            |q| q.replace(MARKER, "").replace(':', ";"),
        ];
        for change in changes {
            check(QuestionSeen::Damaged, |question| {
                json!({ "messages": [{ "role": "user", "content": change(question) }] }).to_string()
            });
        }
        // Half of it in one string and half in another is in none.
        check(QuestionSeen::Damaged, |question| {
            let (head, tail) = question.split_at(50);
            json!({ "messages": [{ "content": head }, { "content": tail }] }).to_string()
        });
    }

    #[test]
    fn a_question_in_other_words_is_absent() {
        for words in ["", "What is the weather?", "ssm-ffffffffffff: what is the weather?"] {
            check(QuestionSeen::Absent, |_| json!({ "input": words }).to_string());
        }
    }

    #[test]
    fn what_ascii_cannot_hold_is_missed() {
        let changes: &[fn(&str) -> String] = &[
            |q| q.replace(|c: char| !c.is_ascii_graphic() && c != ' ', "?"),
            |q| q.replace("文字", ""),
            |q| q.replace('é', "Ã©"),
            |q| q.replace('"', ""),
            |q| q.replace('\\', ""),
            |q| q.replace("\\t", "\t"),
            |q| q.replace('🙂', "?"),
            |q| q.replace("%dd", "%!d(MISSING)d"),
            |q| q.replace("% b", ""),
            |q| q.replace("c+d", "c d"),
            |q| q.replace("{name}", ""),
            |q| q.replace("${HOME}", "/home"),
            |q| q.replace(" < y", ""),
            |q| q.chars().take(120).collect(),
        ];
        for wording in [Wording::Written, Wording::WrittenOnOneLine] {
            for change in changes {
                let body = json!({ "input": change(&asked(wording)) }).to_string();
                assert_eq!(
                    QuestionSeen::read(wording, MARKER, body.as_bytes()),
                    QuestionSeen::Damaged,
                    "{body}"
                );
            }
        }
        let first_line = json!({ "input": asked(Wording::Written).lines().next() }).to_string();
        assert_eq!(
            QuestionSeen::read(Wording::Written, MARKER, first_line.as_bytes()),
            QuestionSeen::Damaged
        );
    }

    #[test]
    fn a_quote_breaks_json_that_is_put_together_by_hand() {
        for (wording, expected) in [
            (Wording::Plain, QuestionSeen::Whole),
            (Wording::Written, QuestionSeen::Damaged),
            (Wording::WrittenOnOneLine, QuestionSeen::Damaged),
        ] {
            let body = format!(r#"{{"model":"m","input":"{}"}}"#, asked(wording));
            assert_eq!(QuestionSeen::read(wording, MARKER, body.as_bytes()), expected, "{body}");
        }
        check(QuestionSeen::Damaged, |_| String::new());
    }

    #[test]
    fn of_what_is_no_text_nothing_is_said() {
        for body in [&b"\x1f\x8b\x08\x00"[..], b"\xff\xfe{\0}\0"] {
            for wording in WORDINGS {
                assert_eq!(QuestionSeen::read(wording, MARKER, body), QuestionSeen::Unread);
            }
        }
    }
}
