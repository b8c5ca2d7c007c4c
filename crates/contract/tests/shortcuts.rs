//! A shortcut must not show: chunks, events and documents that repeat earlier ones are recognised instead of parsed, and the judgement
//! has to be the one that reading each in full gives.

use contract::{BodyEnd, Judgement, Mode, Profile, ResponseJudge, Surface};
use proptest::prelude::*;

fn judge(surface: Surface, body: &[u8], cuts: &[usize], in_full: bool) -> (Judgement, String) {
    judge_as((surface, Mode::Stream, "text/event-stream"), body, cuts, in_full)
}

fn judge_document(surface: Surface, body: &str, in_full: bool) -> (Judgement, String) {
    judge_as((surface, Mode::Unary, "application/json"), body.as_bytes(), &[], in_full)
}

fn judge_as(
    (surface, mode, content_type): (Surface, Mode, &str),
    body: &[u8],
    cuts: &[usize],
    in_full: bool,
) -> (Judgement, String) {
    let mut judge = ResponseJudge::new(surface, mode, Profile::Openai);
    if in_full {
        judge = judge.without_shortcuts();
    }
    judge.head(200, [("content-type", content_type.as_bytes())]);
    let mut from = 0;
    for at in cuts.iter().copied().chain([body.len()]) {
        let at = at.clamp(from, body.len());
        judge.push(&body[from..at]);
        from = at;
    }
    let (judgement, text) = judge.finish(BodyEnd::Complete);
    (judgement, text.expose().to_owned())
}

/// Text as it stands inside of JSON quotes, good and bad.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => "[a-z 世é]{1,6}",
        3 => proptest::sample::select(vec![r"\n", r#"\""#, r"\\", r"\u00e9", r"a\tb", " ", r"\ufffd", r#"{\"k\":"#, "1}", r"\/"])
            .prop_map(str::to_owned),
        1 => proptest::sample::select(vec!["", r"\ud83d", r"\ud83d\ude00", r"\x", "\u{1}", r"\u00"]).prop_map(str::to_owned),
    ]
}

/// What stands in a delta around its text.
const DELTAS: &[&str] = &[
    r#""content":"TEXT""#,
    r#""role":"assistant","content":"TEXT""#,
    r#""content":"","reasoning_content":"TEXT""#,
    r#""content":null,"reasoning":"TEXT""#,
    r#""content":"TEXT","reasoning_content":"TEXT""#,
    r#""content":"TEXT","content":"TEXT""#,
    r#""content":"TEXT","refusal":null"#,
    r#""refusal":"TEXT""#,
    r#""content":["TEXT"]"#,
    r#""function_call":{"arguments":"TEXT"}"#,
    r#""tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"index":0,"function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"index":0,"id":"c1","function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"index":1,"function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"index":1,"id":"","function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"id":"c2","function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"function":{"arguments":"TEXT"}}]"#,
    r#""tool_calls":[{"index":0,"custom":{"input":"TEXT"}}]"#,
    r#""tool_calls":[{"index":0,"function":{"arguments":"TEXT"}},{"index":1,"function":{"arguments":"TEXT"}}]"#,
    "",
];
const INDEXES: &[&str] = &["0", "1", "7", "null"];
const HEADS: &[&str] = &[
    r#""id":"a","object":"chat.completion.chunk","created":1780000000,"model":"m""#,
    r#""id":"a","object":"chat.completion.chunk","created":1780000009,"model":"m""#,
    r#""id":"b","object":"chat.completion.chunk","created":1780000000,"model":"n""#,
    r#""id":"","model":"m","created":0"#,
    r#""odd key":1,"other key":2,"id":"a","model":"m""#,
];
const TAILS: &[&str] = &[
    "",
    "",
    "",
    r#","obfuscation":"xyz""#,
    r#","obfuscation":"""#,
    r#","usage":null"#,
    r#","usage":{}"#,
];
const CHUNK_ENDS: &[&str] = &["null", "null", "null", "null", "null", "null", r#""stop""#];
const BETWEEN: &[&str] = &[
    "data: {\"id\":\"a\",\"choices\":[]}\n\n",
    "data: [DONE]\n\n",
    ": c\n\n",
    "event: x\n",
    "data: {\n\n",
    "data: {}\n\n",
    "data: {\"error\":{\"message\":\"x\"}}\n\n",
    "id: 1\n",
    "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":null}]}\n\n",
];

/// A few kinds of chunks, which come again and again with other texts.
fn chat_bodies() -> impl Strategy<Value = String> {
    let select = |words: &'static [&'static str]| proptest::sample::select(words);
    let kind = (select(HEADS), select(INDEXES), select(DELTAS), select(CHUNK_ENDS), select(TAILS));
    let kinds = proptest::collection::vec(kind, 1..4);
    let item = prop_oneof![
        12 => (any::<proptest::sample::Index>(), text()).prop_map(Ok),
        1 => select(BETWEEN).prop_map(Err),
    ];
    (kinds, proptest::collection::vec(item, 0..16)).prop_map(|(kinds, items)| {
        let write = |item: Result<(proptest::sample::Index, String), &str>| match item {
            Ok((kind, text)) => {
                let (head, index, delta, end, tail) = kind.get(&kinds);
                let delta = delta.replace("TEXT", &text);
                format!("data: {{{head},\"choices\":[{{\"index\":{index},\"delta\":{{{delta}}},\"finish_reason\":{end}}}]{tail}}}\n\n")
            }
            Err(other) => other.to_owned(),
        };
        items.into_iter().map(write).collect()
    })
}

const EVENTS: &[(&str, &str)] = &[
    (
        "response.created",
        r#""response":{"id":"r","object":"response","status":"in_progress","model":"m"}"#,
    ),
    (
        "response.output_item.added",
        r#""output_index":PLACE,"item":{"id":"i","type":"message","role":"assistant","content":[]}"#,
    ),
    (
        "response.content_part.added",
        r#""output_index":PLACE,"content_index":0,"part":{"type":"output_text","text":""}"#,
    ),
    (
        "response.output_text.delta",
        r#""item_id":"i","output_index":PLACE,"content_index":0,"delta":"TEXT""#,
    ),
    (
        "response.output_text.delta",
        r#""item_id":"j","output_index":PLACE,"content_index":0,"delta":"TEXT","obfuscation":"xx""#,
    ),
    ("response.refusal.delta", r#""output_index":PLACE,"content_index":0,"delta":"TEXT""#),
    ("response.function_call_arguments.delta", r#""output_index":PLACE,"delta":"TEXT""#),
    (
        "response.reasoning_summary_text.delta",
        r#""output_index":PLACE,"summary_index":0,"delta":"TEXT""#,
    ),
    ("response.mystery.delta", r#""delta":"TEXT""#),
    ("response.output_text.done", r#""output_index":PLACE,"content_index":0,"text":"TEXT""#),
    (
        "response.output_item.done",
        r#""output_index":PLACE,"item":{"id":"i","type":"message","role":"assistant","status":"completed","content":[]}"#,
    ),
    (
        "response.completed",
        r#""response":{"id":"r","object":"response","status":"completed","model":"m","output":[]}"#,
    ),
];

fn responses_bodies() -> impl Strategy<Value = String> {
    let kind = (proptest::sample::select(EVENTS), 0..3u8, any::<bool>());
    let kinds = proptest::collection::vec(kind, 1..6);
    let item = (
        any::<proptest::sample::Index>(),
        text(),
        prop_oneof![8 => Just(1u64), 1 => Just(0), 1 => Just(7)],
    );
    (kinds, proptest::collection::vec(item, 0..20), any::<bool>()).prop_map(
        |(kinds, items, is_numbered)| {
            let mut number = 0;
            let write = |(kind, text, step): (proptest::sample::Index, String, u64)| {
                let ((name, fields), place, is_named) = kind.get(&kinds);
                let fields = fields.replace("PLACE", &place.to_string()).replace("TEXT", &text);
                let sequence = if is_numbered {
                    format!(",\"sequence_number\":{number}")
                } else {
                    String::new()
                };
                number += step;
                let line = if *is_named { format!("event: {name}\n") } else { String::new() };
                format!("{line}data: {{\"type\":\"{name}\",{fields}{sequence}}}\n\n")
            };
            items.into_iter().map(write).collect()
        },
    )
}

/// Documents, with what is different in each.
const DOCUMENTS: &[&str] = &[
    r#"{"id":TEXT,"object":"chat.completion","created":NUMBER,"model":TEXT,"choices":[{"index":0,"message":{"role":"assistant","content":TEXT},"finish_reason":"stop"}],"usage":{"prompt_tokens":NUMBER,"completion_tokens":NUMBER,"total_tokens":NUMBER}}"#,
    r#"{"id":"a","object":TEXT,"created":1780000000,"model":"m","choices":[{"index":NUMBER,"message":{"role":TEXT,"content":"x","refusal":TEXT},"finish_reason":TEXT}],"usage":null}"#,
    r#"{"id":"a","object":"chat.completion","created":1780000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":TEXT,"type":TEXT,"function":{"name":TEXT,"arguments":TEXT}}]},"finish_reason":"tool_calls"}],"usage":{"total_tokens":NUMBER}}"#,
    r#"{"id":"a","choices":[{"index":NUMBER,"message":{"content":TEXT},"finish_reason":"stop","logprobs":{"content":[{"logprob":NUMBER},{"logprob":NUMBER}]}},{"index":NUMBER,"message":{"content":TEXT},"finish_reason":"stop"}]}"#,
    r#"{"error":{"message":TEXT,"type":TEXT,"code":TEXT},"success":NUMBER}"#,
    r#"{"id":TEXT,"object":"response","created_at":NUMBER,"status":TEXT,"model":"m","output":[{"type":"message","role":"assistant","status":TEXT,"content":[{"type":TEXT,"text":TEXT}]}],"usage":{"input_tokens":NUMBER,"output_tokens":NUMBER,"total_tokens":NUMBER}}"#,
    r#"{"id":"a","object":"response","created_at":1,"status":"incomplete","incomplete_details":{"reason":TEXT},"model":"m","output":[{"type":TEXT,"call_id":TEXT,"name":TEXT,"arguments":TEXT}],"store":NUMBER}"#,
    r#"{"id":"a","id":TEXT,"choices":[], "odd key":NUMBER,"\u0061":TEXT}"#,
    r#"{"id":"a","choices":[{"index":0,"message":{"content":TEXT},"finish_reason":"stop","logprobs":{"content":[{"token":TEXT,"logprob":NUMBER,"bytes":[97,NUMBER],"top_logprobs":[]},{"token":TEXT,"logprob":NUMBER,"bytes":[NUMBER,98]},{"token":TEXT,"logprob":NUMBER,"token":TEXT,"top_logprobs":[{}]}]}}]}"#,
    "[NUMBER,TEXT,{}]",
    "NUMBER",
];
const NUMBERS: &[&str] = &[
    "0",
    "3",
    "15",
    "18",
    "1780000000",
    "-1",
    "1.5",
    "2e3",
    "99999999999999999999",
    "true",
    "false",
    "null",
    "[]",
    r#""3""#,
    " 3",
    "03",
    "-",
];
const WORDS: &[&str] = &[
    "assistant",
    "stop",
    "length",
    "completed",
    "failed",
    "output_text",
    "message",
    "function_call",
    "chat.completion",
    "rate_limit_exceeded",
    "{}",
    r#"{\"a\":1}"#,
    "Rate limit exceeded, please try again later",
];

/// Documents of a few kinds, which come again and again with other values.
fn documents() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![
        4 => text().prop_map(|text| format!("\"{text}\"")),
        4 => proptest::sample::select(WORDS).prop_map(|word| format!("\"{word}\"")),
        1 => Just("null".to_owned()),
    ];
    let values = proptest::collection::vec((value, proptest::sample::select(NUMBERS)), 4);
    let kinds = proptest::collection::vec(proptest::sample::select(DOCUMENTS), 1..4);
    let document = (any::<proptest::sample::Index>(), values);
    (kinds, proptest::collection::vec(document, 0..16)).prop_map(|(kinds, documents)| {
        let write = |(kind, values): (proptest::sample::Index, Vec<(String, &str)>)| {
            let mut document = (*kind.get(&kinds)).to_owned();
            // In turns, so that values of one kind differ within a document.
            for (text, number) in values.iter().cycle().take(24) {
                document = document.replacen("TEXT", text, 1).replacen("NUMBER", number, 1);
            }
            document
        };
        documents.into_iter().map(write).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn repeated_documents_are_judged_as_if_nothing_was_remembered(bodies in documents()) {
        for body in &bodies {
            for surface in [Surface::Chat, Surface::Responses] {
                prop_assert_eq!(judge_document(surface, body, false), judge_document(surface, body, true), "{}", body);
            }
        }
    }

    #[test]
    fn repeated_chat_chunks_are_judged_as_if_read_in_full(body in chat_bodies(), cuts in proptest::collection::vec(0usize..3000, 0..4)) {
        let expected = judge(Surface::Chat, body.as_bytes(), &[], true);
        prop_assert_eq!(&judge(Surface::Chat, body.as_bytes(), &[], false), &expected);
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(&judge(Surface::Chat, body.as_bytes(), &cuts, false), &expected);
    }

    #[test]
    fn repeated_events_are_judged_as_if_read_in_full(body in responses_bodies(), cuts in proptest::collection::vec(0usize..3000, 0..4)) {
        let expected = judge(Surface::Responses, body.as_bytes(), &[], true);
        prop_assert_eq!(&judge(Surface::Responses, body.as_bytes(), &[], false), &expected);
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(&judge(Surface::Responses, body.as_bytes(), &cuts, false), &expected);
    }
}

/// A test of shortcuts that takes none would be worthless: what a shortcut skips shows as time only, so the sizes of the
/// pieces are compared by the text that comes out of a stream of repetitions.
#[test]
fn texts_of_repetitions_are_whole() {
    let texts = ["a", r"\n", "世", r#"\""#, "b"];
    let chunk = |text: &&str| {
        format!(
            "data: {{\"id\":\"a\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let body: String = texts.iter().map(chunk).collect();
    let expected: String = texts
        .iter()
        .map(|text| serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap())
        .collect();
    assert_eq!(judge(Surface::Chat, body.as_bytes(), &[], false).1, expected);
}
