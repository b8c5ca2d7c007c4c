//! The catalogue of 156 known violations and near-violations, each as bytes in and verdict and code out.
//!
//! Where a row's verdict differs from the catalogue's, the reason stands at the row. Rows that are no property of one response
//! are in [`ELSEWHERE`], with the reason.
#![expect(clippy::too_many_lines, reason = "tables")]
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

#[path = "violations/beyond.rs"]
mod beyond;
#[path = "violations/body.rs"]
mod body;
#[path = "violations/build.rs"]
mod build;
#[path = "violations/chat_object.rs"]
mod chat_object;
#[path = "violations/chat_stream.rs"]
mod chat_stream;
#[path = "violations/clients.rs"]
mod clients;
#[path = "violations/errors.rs"]
mod errors;
#[path = "violations/framing.rs"]
mod framing;
#[path = "violations/responses.rs"]
mod responses;
#[path = "violations/tool_calls.rs"]
mod tool_calls;

use build::{Reply, Row};
use contract::{ContractVerdict, DeliveredText, Judgement, Profile, ResponseJudge};

/// Rows that the bytes of one response cannot show.
const ELSEWHERE: &[(u16, &str)] = &[
    (
        4,
        "the judge sees the 307 (as row 3); that a client followed it with its key is seen by the tap",
    ),
    (
        28,
        "a client built without inflate: the warning is that of row 108, the rest is seen at the client",
    ),
    (
        58,
        "usage that a gateway invented cannot be told from usage that a provider counted; it is never taken as proof",
    ),
    (
        87,
        "a socket kept open has no bytes; the tap's idle limit ends it, and what came until then is judged",
    ),
    (110, "bytes carry no times; the tap compares those of the first and last byte"),
];

fn judge(reply: &Reply, chunk_bytes: usize) -> Judgement {
    judge_with_text(reply, chunk_bytes).0
}

fn judge_with_text(reply: &Reply, chunk_bytes: usize) -> (Judgement, DeliveredText) {
    let mut judge = ResponseJudge::new(reply.surface, reply.mode, Profile::Openai);
    judge.head(
        reply.status,
        reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    for chunk in reply.body.chunks(chunk_bytes) {
        judge.push(chunk);
    }
    judge.finish(reply.end)
}

/// Judges a row whole and byte by byte; returns what is wrong about it.
fn check(row: &Row) -> Option<String> {
    let judgement = judge(&row.reply, usize::MAX);
    let found: Vec<_> =
        judgement.findings.iter().map(|f| (f.code, f.verdict, f.at.as_str())).collect();
    let has_code = row.code.is_empty() || found.iter().any(|(code, ..)| *code == row.code);
    let is_silent = row.gate != ContractVerdict::Pass || found.is_empty();
    if judgement.verdict != row.gate || !has_code || !is_silent {
        return Some(format!(
            "row {}: want {:?} {}, got {:?} {:?} {found:?}",
            row.number, row.gate, row.code, judgement.verdict, judgement.completion
        ));
    }
    if judge(&row.reply, 1) != judgement {
        return Some(format!("row {}: chunk boundaries make a difference", row.number));
    }
    None
}

fn rows() -> Vec<Row> {
    let tables = [
        body::rows(),
        chat_object::rows(),
        tool_calls::rows(),
        framing::rows(),
        chat_stream::rows(),
        responses::rows(),
        errors::rows(),
        beyond::rows(),
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn every_row_is_judged_as_the_catalogue_says() {
    let faults: Vec<_> = rows().iter().filter_map(check).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_is_there() {
    let rows = rows();
    let missing: Vec<_> = (1..=156)
        .filter(|number| {
            !rows.iter().any(|row| row.number == *number)
                && !ELSEWHERE.iter().any(|(other, _)| other == number)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_base_replies_pass() {
    for reply in [
        build::chat(|_| {}),
        build::chat_tools(|_| {}),
        build::stream(|_| {}),
        build::stream_tools(|_| {}),
        build::responses(|_| {}),
        build::responses_stream(|_| {}),
    ] {
        let judgement = judge(&reply, usize::MAX);
        assert_eq!(judgement.verdict, ContractVerdict::Pass, "{:?}", judgement.findings);
    }
}
