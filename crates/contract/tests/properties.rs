//! What holds for any bytes: no panic, and where they are cut makes no difference.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use contract::{BodyEnd, ContractVerdict, Judgement, Mode, Profile, ResponseJudge, Surface};
use proptest::prelude::*;

/// Pieces of replies, good and bad, from which bodies are put together.
const PIECES: &[&str] = &[
    "data: ",
    "data:",
    "\n\n",
    "\n",
    "\r",
    "\r\n",
    "event: error\n",
    "event: response.completed\n",
    ": ping\n\n",
    "id: 1\n",
    "retry: 1\n",
    "[DONE]",
    "\u{feff}",
    "{",
    "}",
    "\"",
    "null",
    "NaN",
    " ",
    "😀",
    "{\"error\":{\"message\":\"x\",\"code\":429}}",
    "{\"choices\":[]}",
    "{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"世界\"}}]}",
    "{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"arguments\":\"{\"}}]}}]}",
    "{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
    "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"object\":\"response\",\"status\":\"in_progress\"}}",
    "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"x\"}",
    "{\"type\":\"response.output_text.done\",\"output_index\":0,\"content_index\":0,\"text\":\"x\"}",
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\"}}",
    "<html>",
    "\u{1f}\u{8b}",
];

fn judge(how: (Surface, Mode, u16, bool), encoding: &str, chunks: &[&[u8]]) -> (Judgement, String) {
    let (surface, mode, status, cut) = how;
    let mut judge = ResponseJudge::new(surface, mode, Profile::Cometapi);
    judge.head(
        status,
        [("content-type", &b"text/event-stream"[..]), ("content-encoding", encoding.as_bytes())],
    );
    for chunk in chunks {
        judge.push(chunk);
    }
    let (judgement, text) = judge.finish(if cut { BodyEnd::Cut } else { BodyEnd::Complete });
    (judgement, text.expose().to_owned())
}

fn how() -> impl Strategy<Value = (Surface, Mode, u16, bool)> {
    (
        prop_oneof![Just(Surface::Chat), Just(Surface::Responses)],
        prop_oneof![Just(Mode::Unary), Just(Mode::Stream)],
        prop_oneof![4 => Just(200), 1 => Just(500), 1 => Just(301)],
        any::<bool>(),
    )
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 0..16);
    prop_oneof![
        4 => pieces.prop_map(|pieces| pieces.concat().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cuts_between_chunks_make_no_difference(
        how in how(),
        body in bodies(),
        encoding in prop_oneof![4 => Just(""), 1 => Just("gzip"), 1 => Just("deflate")],
        cuts in proptest::collection::vec(0usize..400, 0..6),
    ) {
        let whole = judge(how, encoding, &[&body]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&judge(how, encoding, &chunks), &whole);
        let bytes: Vec<_> = body.chunks(1).collect();
        prop_assert_eq!(&judge(how, encoding, &bytes), &whole);
    }

    #[test]
    fn nothing_passes_by_accident(how in how(), body in bodies()) {
        let (judgement, _) = judge(how, "", &[&body]);
        let is_answer = judgement.shape.paths().keys().any(|path| path.starts_with("/choices") || path.contains("/response") || path == "/output");
        prop_assert!(judgement.verdict == ContractVerdict::Hold || is_answer && how.2 == 200 && !body.is_empty());
    }
}

/// A chunk with this text, padded so that no parser's shortcut can take it for a repetition.
fn chunk(text: &str, padding: &str, odd: bool) -> String {
    let space = if odd { " " } else { "" };
    let text = serde_json::to_string(text).unwrap();
    format!(
        "data: {{\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":{text}}},\"finish_reason\":null}}],{space}\"obfuscation\":\"{padding}\"}}\n\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A chunk that repeats its predecessor is not parsed again: that must not show.
    #[test]
    fn repeated_chunks_are_judged_as_if_each_were_parsed(texts in proptest::collection::vec(("[a-c \"\\\\\u{e9}\n]{0,3}", "[a-c]{0,3}"), 0..8)) {
        let body = |differ: bool| {
            let mut body: String = texts.iter().enumerate().map(|(i, (text, padding))| chunk(text, padding, differ && i % 2 == 1)).collect();
            body.push_str("data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
            body
        };
        let how = (Surface::Chat, Mode::Stream, 200, false);
        let (same, text) = judge(how, "", &[body(false).as_bytes()]);
        prop_assert_eq!(judge(how, "", &[body(true).as_bytes()]), (same, text.clone()));
        let expected: String = texts.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(text, expected);
    }
}
