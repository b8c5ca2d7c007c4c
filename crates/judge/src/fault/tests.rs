//! Scripts in, acts out; bodies in, pieces out.

use contract::reply::AnswerFormat;
use contract::{Mode, Profile, Surface};

use super::*;

fn request(mode: Mode) -> RequestContext {
    RequestContext {
        surface: Surface::Chat,
        mode,
        profile: Profile::Openai,
        model: "m".to_owned(),
        marker: "ssm-0".to_owned(),
        label: "SSL-1".to_owned(),
        format: AnswerFormat::Text,
        include_usage: false,
        accepts_gzip: true,
        authority: String::new(),
        beside: 0,
        attempt: 1,
        request_id: "req_1".to_owned(),
        created: 0,
    }
}

fn one(text: &str) -> Fault {
    Script::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}")).fault(1).clone()
}

fn answer(text: &str, mode: Mode) -> Answer {
    let act = one(text).act(&request(mode));
    let Act::Answer(answer) = act else { panic!("{text}: {act:?}") };
    answer
}

fn body(answer: &Answer) -> String {
    let bytes: Vec<u8> = answer
        .pieces
        .iter()
        .filter_map(|piece| if let Piece::Bytes(bytes) = piece { Some(&bytes[..]) } else { None })
        .flatten()
        .copied()
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn script_says_what_happens_to_each_attempt() {
    let script = Script::parse("429+header=retry-after:2, reset, live").unwrap();
    let status = |attempt| {
        let act = script.fault(attempt).act(&request(Mode::Unary));
        let Act::Answer(answer) = act else { return format!("{act:?}") };
        assert!(answer.headers.contains(&("retry-after".to_owned(), "2".to_owned())));
        answer.status.to_string()
    };
    assert_eq!([1, 2, 3, 4].map(status), ["429", "Reset", "Relay", "Relay"]);
    assert!(script.is_live() && !Script::parse("good").unwrap().is_live());
}

#[test]
fn what_cannot_be_read_is_named() {
    let cases = [
        ("", "fault 1: it is empty", "live"),
        ("good,", "fault 2: it is empty", "live"),
        ("goood", "fault 1: `goood` is neither", "good"),
        ("strem-silence", "neither", "stream-silence"),
        ("live+dorp=/usage", "no edit `dorp`; did you mean `+drop`", "--faults"),
        ("live+drop", "`drop` needs a value: drop=/POINTER", "--faults"),
        ("live+no-done=1", "`no-done` takes no value", "--faults"),
        ("live+drop=usage", "no JSON pointer", "--faults"),
        ("live+ttfb=2", "`2` is no time", "--faults"),
        ("live+ttfb=11m", "longer than ten minutes", "--faults"),
        ("live+reset-at=x", "no whole number", "--faults"),
        ("live+reset-at=4+fin-at=2e", "one place only", "--faults"),
        ("good+body=x", "`body` goes with a status", "200"),
        ("99", "neither", "--faults"),
    ];
    for (text, what, advice) in cases {
        let problem = Script::parse(text).expect_err(text);
        assert!(problem.to_string().contains(what), "{text}: {problem}");
        assert!(
            problem.advice.contains(advice) || problem.what.contains(advice),
            "{text}: {}",
            problem.advice
        );
    }
}

#[test]
fn every_word_of_the_list_can_be_written() {
    for (word, form, _) in words() {
        let value = match form {
            "" => "",
            "TIME" => "=1s",
            "NAME:VALUE" => "=a:b",
            "/POINTER" => "=/usage",
            "TEXT" => "=x",
            "TYPE" => "=text/html",
            _ => "=3",
        };
        let text = match word.as_str() {
            "STATUS" => "418".to_owned(),
            "+body" => "200+body=x".to_owned(),
            word if word.starts_with('+') => format!("live{word}{value}"),
            word => word.to_owned(),
        };
        assert!(Script::parse(&text).is_ok(), "{text}: {:?}", Script::parse(&text));
    }
}

#[test]
fn status_has_its_documented_error_or_the_given_body() {
    assert!(body(&answer("503", Mode::Unary)).contains("\"error\""));
    let given = answer("200+header=x:y+body=<html>a+b, c</html>", Mode::Unary);
    assert_eq!((given.status, body(&given)), (200, "<html>a+b".to_owned() + ", c</html>"));
}

#[test]
fn fields_are_changed_in_documents_and_in_each_event() {
    let document = body(&answer("good+drop=/usage+null=/choices/0/finish_reason", Mode::Unary));
    assert!(!document.contains("\"usage\"") && document.contains("\"finish_reason\":null"));
    let stream = body(&answer("good+no-finish+no-done", Mode::Stream));
    assert!(!stream.contains("[DONE]") && !stream.contains("\"stop\""), "{stream}");
    assert!(stream.contains("SSL"));
}

#[test]
fn a_reply_stops_where_and_how_it_is_told() {
    let whole = body(&answer("good", Mode::Stream));
    let cases = [
        ("good+truncate=50", whole[..50].to_owned(), AnswerEnd::Complete),
        ("good+reset-at=50", whole[..50].to_owned(), AnswerEnd::Reset),
        ("good+stall-at=0", String::new(), AnswerEnd::Hold),
        ("good+fin-at=0e", String::new(), AnswerEnd::Fin),
    ];
    for (text, expected, end) in cases {
        let answer = answer(text, Mode::Stream);
        assert_eq!((body(&answer), answer.end), (expected, end), "{text}");
        assert_eq!(answer.declared_length, None);
    }
    let two = body(&answer("good+fin-at=2e", Mode::Stream));
    assert!(whole.starts_with(&two) && two.matches("data:").count() == 2 && two.ends_with("\n\n"));
    let hidden = answer("good+comments-at=1e", Mode::Stream);
    assert!(
        matches!(hidden.pieces.last(), Some(Piece::Repeat { .. })) && hidden.end == AnswerEnd::Hold
    );
    // A cut document keeps the length that it had announced.
    let cut = answer("good+reset-at=20", Mode::Unary);
    assert!(cut.declared_length.is_some_and(|length| length > 20));
}

#[test]
fn a_character_is_cut_in_its_middle() {
    let answer = answer("good+cut-character", Mode::Unary);
    assert!(body(&answer).ends_with('\u{fffd}'), "{}", body(&answer));
    assert_eq!(answer.end, AnswerEnd::Fin);
}

#[test]
fn an_error_event_takes_the_place_of_the_nth() {
    let stream = body(&answer("good+error-event=2", Mode::Stream));
    assert_eq!(stream.matches("data:").count(), 2);
    assert!(stream.ends_with("\n\n") && stream.contains("\"error\":{"));
}

#[test]
fn pace_is_made_of_waits_and_small_writes() {
    let dribbled = answer("good+dribble=7+ttfb=250ms", Mode::Unary);
    assert_eq!(one("good+ttfb=250ms").edits.head_after, Duration::from_millis(250));
    assert!(
        dribbled
            .pieces
            .iter()
            .all(|piece| !matches!(piece, Piece::Bytes(bytes) if bytes.len() > 7))
    );
    assert_eq!(body(&dribbled), body(&answer("good", Mode::Unary)));
    let narrow = answer("good+bandwidth=1000", Mode::Unary);
    let waits: Duration = narrow
        .pieces
        .iter()
        .map(|piece| if let Piece::Pause(wait) = piece { *wait } else { Duration::ZERO })
        .sum();
    let seconds = body(&narrow).len() as f64 / 1000.0;
    assert!((waits.as_secs_f64() - seconds).abs() < 0.01, "{waits:?} for {seconds}");
}

#[test]
fn what_is_not_edited_passes_in_any_split() {
    let whole =
        "data: {\"a\":1}\r\n\r\n: comment\n\ndata:{\"b\":2}\n\nevent: x\rdata: 3\r\rdata: tail";
    for size in 1..whole.len() {
        let edits = Edits {
            changes: vec![Change::of_field(contract::change::ChangeKind::Delete, "/none")],
            ..Edits::default()
        };
        let mut editor = Editor::new(edits, Some(b"Text/Event-Stream; charset=utf-8"));
        whole.as_bytes().chunks(size).for_each(|part| editor.push(part));
        assert_eq!(editor.finish(), AnswerEnd::Complete);
        let pieces = editor.take();
        let out: Vec<u8> = pieces
            .into_iter()
            .flat_map(|piece| if let Piece::Bytes(bytes) = piece { bytes } else { Vec::new() })
            .collect();
        assert_eq!(String::from_utf8(out).unwrap(), whole, "split in {size}");
    }
}
