//! Responses as people save them, made from what the providers document, each with the verdict that a careful reader would defend.
//!
//! The cases are files of text in `crafted/`: `=== EXPECTED | SURFACE MODE [PROFILE] [HOW IT WAS SAVED] | WHAT IT IS`, then the
//! response, then a blank line. `EXPECTED` is a verdict and a finding that must be there, or for an error status its class and
//! whether a retry may help. A `pass` has no finding at all. `{{name}}` stands for a part in `macros.txt`.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its cases has failed")]

use std::collections::BTreeMap;
use std::io::Write as _;

use contract::{
    BodyEnd, ContractVerdict, Dump, Judgement, Mode, Profile, ResponseJudge, Surface, judge_dump,
};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

const MACROS: &str = include_str!("crafted/macros.txt");
const CASES: &[(&str, &str)] = &[
    ("chat-unary", include_str!("crafted/chat-unary.txt")),
    ("chat-stream", include_str!("crafted/chat-stream.txt")),
    ("responses", include_str!("crafted/responses.txt")),
    ("errors", include_str!("crafted/errors.txt")),
    ("dumps", include_str!("crafted/dumps.txt")),
];

struct Case {
    name: String,
    expected: Vec<String>,
    surface: Surface,
    mode: Mode,
    profile: Profile,
    bytes: Vec<u8>,
}

/// Splits a file into titles and what follows each.
fn blocks(file: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    for line in file.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            blocks.push((title.to_owned(), String::new()));
        } else if let Some((_, text)) = blocks.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    blocks
}

fn macros() -> BTreeMap<String, String> {
    let mut macros: BTreeMap<_, _> = blocks(MACROS)
        .into_iter()
        .map(|(name, text)| (name, text.strip_suffix('\n').unwrap_or(&text).to_owned()))
        .collect();
    macros.insert("bom".to_owned(), "\u{feff}".to_owned());
    macros
}

fn expand(mut text: String, macros: &BTreeMap<String, String>) -> String {
    // The deepest macro holds one that holds one.
    for _ in 0..4 {
        for (name, part) in macros {
            text = text.replace(&format!("{{{{{name}}}}}"), part);
        }
    }
    text
}

/// Returns where the body begins: behind the last of the heads.
fn body_start(text: &str) -> usize {
    let mut start = 0;
    loop {
        let rest = text.get(start..).unwrap();
        if !rest.trim_start_matches(['\n', '\u{feff}']).starts_with("HTTP/") {
            return start;
        }
        let first = rest.find("HTTP/").unwrap();
        match rest.get(first..).unwrap().find("\n\n") {
            Some(end) => start += first + end + 2,
            None => return text.len(),
        }
    }
}

/// Puts a body into the frames of HTTP/1.1.
fn framed(body: &[u8], is_cut: bool) -> Vec<u8> {
    let mut frames = Vec::new();
    for frame in body.chunks(97) {
        frames.extend_from_slice(format!("{:x}\r\n", frame.len()).as_bytes());
        frames.extend_from_slice(frame);
        frames.extend_from_slice(b"\r\n");
    }
    if !is_cut {
        frames.extend_from_slice(b"0\r\n\r\n");
    }
    frames
}

/// Writes a response as it was saved.
fn saved(text: &str, how: &[&str]) -> Vec<u8> {
    let has = |word| how.contains(&word);
    let (head, body) = text.split_at(body_start(text));
    let mut head = head.to_owned();
    let mut body = body.to_owned();
    if has("crlf") {
        body = body.replace('\n', "\r\n");
    }
    if has("cr") {
        body = body.replace('\n', "\r");
    }
    if has("crlf") || has("head-crlf") || has("chunked") {
        head = head.replace('\n', "\r\n");
    }
    if has("utf16") {
        let text = format!("\u{feff}{head}{body}").replace('\n', "\r\n");
        return text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    let mut body = body.into_bytes();
    if has("gzip") || has("gzip-chunked") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).unwrap();
        body = encoder.finish().unwrap();
    }
    if has("deflate") {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).unwrap();
        body = encoder.finish().unwrap();
    }
    if has("deflate-raw") {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).unwrap();
        body = encoder.finish().unwrap();
    }
    if has("chunked") || has("chunked-cut") || has("gzip-chunked") {
        body = framed(&body, has("chunked-cut"));
    }
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn cases() -> Vec<Case> {
    let macros = macros();
    let mut cases = Vec::new();
    for (file, text) in CASES {
        for (title, text) in blocks(text) {
            let mut parts = title.splitn(3, " | ");
            let expected = parts.next().unwrap().split(' ').map(str::to_owned).collect();
            let mut how: Vec<_> = parts.next().unwrap().split(' ').collect();
            let what = parts.next().unwrap();
            let surface = if how.remove(0) == "chat" { Surface::Chat } else { Surface::Responses };
            let mode = if how.remove(0) == "unary" { Mode::Unary } else { Mode::Stream };
            let profile = how.iter().find_map(|word| Profile::built_in(word));
            let mut text = expand(text, &macros);
            // The blank line between cases is not theirs; the last event of a stream has its own.
            text.truncate(text.trim_end_matches('\n').len());
            if !how.contains(&"noeol") {
                text.push_str("\n\n");
            }
            assert!(!text.contains("{{"), "{file}: {what}: an unknown macro");
            cases.push(Case {
                name: format!("{file}: {what}"),
                expected,
                surface,
                mode,
                profile: profile.unwrap_or(Profile::Openai),
                bytes: saved(&text, &how),
            });
        }
    }
    cases
}

fn judge(case: &Case) -> Judgement {
    judge_dump(case.surface, case.mode, case.profile, &Dump::parse(&case.bytes))
}

/// Whether a judgement is the expected one.
fn agrees(expected: &[String], judgement: &Judgement) -> bool {
    let has = |code: &String| judgement.findings.iter().any(|finding| finding.code == code);
    let verdict = match expected[0].as_str() {
        "pass" => {
            return judgement.verdict == ContractVerdict::Pass && judgement.findings.is_empty();
        }
        "warn" => ContractVerdict::Warn,
        "hold" => ContractVerdict::Hold,
        class => {
            let form = judgement.to_json((Surface::Chat, Mode::Unary));
            return judgement.verdict == ContractVerdict::Hold
                && form["error_class"] == class
                && form["retry_safe"] == (expected[1] == "retry");
        }
    };
    judgement.verdict == verdict && expected.iter().skip(1).all(has)
}

#[test]
fn every_saved_response_is_judged_as_its_source_says() {
    let cases = cases();
    assert!(cases.len() > 600, "{}", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        let judgement = judge(case);
        if !agrees(&case.expected, &judgement) {
            let codes: Vec<_> = judgement.findings.iter().map(|finding| finding.code).collect();
            faults.push(format!(
                "{}: want {}, got {:?} {:?} {codes:?}",
                case.name,
                case.expected.join(" "),
                judgement.verdict,
                judgement.error
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_saved_response_tells_its_text() {
    for case in cases() {
        let judgement = judge(&case);
        let told =
            format!("{} {:?}", judgement.to_json((case.surface, case.mode)), judgement.shape);
        assert!(!told.contains("Hello"), "{}: {told}", case.name);
    }
}

/// Judges the body of a case, with and without what is remembered of earlier ones.
fn judge_body(case: &Case, dump: &Dump, in_full: bool) -> (Judgement, String) {
    let mut judge = ResponseJudge::new(case.surface, case.mode, case.profile);
    if in_full {
        judge = judge.without_shortcuts();
    }
    judge.head(
        dump.status,
        dump.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
    );
    judge.push(&dump.body);
    let (judgement, text) = judge.finish(BodyEnd::Complete);
    (judgement, text.expose().to_owned())
}

/// Whatever was judged before, in whatever order: a document is judged as if it were the first.
#[test]
fn what_was_judged_before_makes_no_difference() {
    let cases = cases();
    let dumps: Vec<_> = cases.iter().map(|case| Dump::parse(&case.bytes)).collect();
    let judge = |place: usize, in_full| judge_body(&cases[place], &dumps[place], in_full);
    let expected: Vec<_> = (0..cases.len()).map(|place| judge(place, true)).collect();
    let mut order: Vec<_> = (0..cases.len()).collect();
    let mut state = 1u64;
    for round in 0..6 {
        for place in order.iter().copied() {
            let name = &cases[place].name;
            assert_eq!(judge(place, false), expected[place], "round {round}: {name}");
        }
        for place in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
    }
}

/// Each document of a unary reply after each other one, whose frame is known and tried.
#[test]
fn each_document_is_judged_the_same_after_each_other() {
    let with_dump = |case: Case| {
        let dump = Dump::parse(&case.bytes);
        (case, dump)
    };
    let mut cases: Vec<_> = cases().into_iter().map(with_dump).collect();
    cases.retain(|(case, dump)| {
        case.mode == Mode::Unary && dump.status == 200 && dump.body.starts_with(b"{")
    });
    assert!(cases.len() > 100, "{}", cases.len());
    let expected: Vec<_> = cases.iter().map(|(case, dump)| judge_body(case, dump, true)).collect();
    for (before, dump_before) in &cases {
        judge_body(before, dump_before, false);
        for ((case, dump), expected) in cases.iter().zip(&expected) {
            judge_body(before, dump_before, false);
            let name = format_args!("{} after {}", case.name, before.name);
            assert_eq!(&judge_body(case, dump, false), expected, "{name}");
        }
    }
}
