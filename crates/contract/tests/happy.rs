//! What is documented passes without a finding.

use contract::{
    BodyEnd, Completion, ContractVerdict, Judgement, Mode, Profile, ResponseJudge, Surface,
};

fn judge(surface: Surface, mode: Mode, body: &str) -> (Judgement, String) {
    let content_type: &[u8] = match mode {
        Mode::Unary => b"application/json",
        Mode::Stream => b"text/event-stream; charset=utf-8",
    };
    let mut judge = ResponseJudge::new(surface, mode, Profile::Openai);
    judge.head(200, [("Content-Type", content_type)]);
    judge.push(body.as_bytes());
    let (judgement, text) = judge.finish(BodyEnd::Complete);
    (judgement, text.expose().to_owned())
}

#[track_caller]
fn check(surface: Surface, mode: Mode, body: &str, expected_text: &str) {
    let (judgement, text) = judge(surface, mode, body);
    let codes: Vec<_> =
        judgement.findings.iter().map(|finding| (finding.code, &finding.at)).collect();
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(
        (judgement.verdict, judgement.completion),
        (ContractVerdict::Pass, Completion::Complete)
    );
    assert_eq!(text, expected_text);
    assert!(judgement.response_id.is_some() && judgement.model.is_some());
}

#[test]
fn documented_replies_pass() {
    check(Surface::Chat, Mode::Unary, include_str!("bodies/chat.json"), "Hello there");
    check(Surface::Chat, Mode::Stream, include_str!("bodies/chat.sse"), "Hello there");
    check(Surface::Chat, Mode::Stream, include_str!("bodies/chat-tools.sse"), "");
    check(Surface::Responses, Mode::Unary, include_str!("bodies/responses.json"), "Hello there");
    check(Surface::Responses, Mode::Stream, include_str!("bodies/responses.sse"), "Hello there");
}
