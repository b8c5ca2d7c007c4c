//! Judging takes the same memory for a stream of any length. A binary of its own, because it counts all of the process.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use contract::{BodyEnd, ContractVerdict, Judgement, Mode, Profile, ResponseJudge, Surface};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a measurement may differ by: buffers double as they grow.
const SLACK_BYTES: usize = 96 * 1024;
/// What the largest judgement may take: a document of half a million values.
const JUDGE_BYTES_MAX: usize = 48 * 1024 * 1024;

/// A stream whose piece `n` can be made by itself, so that only the judge holds anything of it.
struct Stream {
    name: &'static str,
    surface: Surface,
    /// So many pieces fill whatever is kept up to a limit.
    n_pieces: usize,
    piece: fn(usize) -> String,
    /// The finding that says that a limit was reached, if one is.
    limit: Option<&'static str>,
}

fn chunk(index: usize, delta: &str) -> String {
    format!(
        "data: {{\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"m\",\"choices\":[{{\"index\":{index},\"delta\":{{{delta}}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn arguments(n: usize, text: &str) -> String {
    let index = n % 300;
    format!(
        r#""tool_calls":[{{"index":{index},"id":"call_{index}","type":"function","function":{{"name":"f","arguments":"{text}"}}}}]"#
    )
}

fn long(letter: &str) -> String {
    letter.repeat(4000)
}

const STREAMS: &[Stream] = &[
    Stream {
        name: "chat text",
        surface: Surface::Chat,
        n_pieces: 6000,
        piece: |n| chunk(0, &format!(r#""content":"w{n} and some more words that fill the text""#)),
        limit: None,
    },
    Stream {
        name: "text with escapes",
        surface: Surface::Chat,
        n_pieces: 1500,
        piece: |n| chunk(0, &format!(r#""content":"{n}\n{}""#, r"\u00e9".repeat(200))),
        limit: None,
    },
    Stream {
        name: "choices in turns",
        surface: Surface::Chat,
        n_pieces: 2000,
        piece: |n| chunk(n % 200, r#""content":"x""#),
        limit: Some("too-many-parts"),
    },
    Stream {
        name: "arguments of one call",
        surface: Surface::Chat,
        n_pieces: 1200,
        piece: |_| chunk(0, &arguments(0, &long("x"))),
        limit: Some("arguments-too-large"),
    },
    Stream {
        name: "arguments of many calls and choices",
        surface: Surface::Chat,
        n_pieces: 4000,
        piece: |n| chunk(n % 150, &arguments(n, &long("x"))),
        limit: Some("arguments-too-large"),
    },
    Stream {
        name: "new fields in each chunk",
        surface: Surface::Chat,
        n_pieces: 5000,
        piece: |n| format!("data: {{\"choices\":[],\"field_{n}\":1}}\n\n"),
        limit: Some("shape-too-wide"),
    },
    Stream {
        name: "another structure each time",
        surface: Surface::Chat,
        n_pieces: 300,
        piece: |n| {
            format!("data: {{\"choices\":[],\"a{}\":[[{n}]],\"b{}\":{{}}}}\n\n", n % 7, n % 11)
        },
        limit: None,
    },
    Stream {
        name: "comments",
        surface: Surface::Chat,
        n_pieces: 3000,
        piece: |n| format!(": {n} keeps the connection open\n\n"),
        limit: None,
    },
    Stream {
        name: "one line without end",
        surface: Surface::Chat,
        n_pieces: 1400,
        piece: |n| if n == 0 { "data: ".to_owned() } else { long("x") },
        limit: Some("event-too-large"),
    },
    Stream {
        name: "one event without end",
        surface: Surface::Chat,
        n_pieces: 1400,
        piece: |_| format!("data: {}\n", long("x")),
        limit: Some("event-too-large"),
    },
    Stream {
        name: "one document without end",
        surface: Surface::Chat,
        n_pieces: 5000,
        piece: |n| if n == 0 { "{\"a\":\"".to_owned() } else { long("x") },
        limit: Some("body-too-large"),
    },
    Stream {
        name: "new items",
        surface: Surface::Responses,
        n_pieces: 5000,
        piece: |n| {
            format!(
                "data: {{\"type\":\"response.output_item.added\",\"output_index\":{n},\"item\":{{\"id\":\"i{n}\"}},\"sequence_number\":{n}}}\n\n"
            )
        },
        limit: Some("too-many-parts"),
    },
    Stream {
        name: "new texts",
        surface: Surface::Responses,
        n_pieces: 5000,
        piece: |n| {
            format!(
                "data: {{\"type\":\"response.output_text.delta\",\"output_index\":{n},\"content_index\":0,\"delta\":\"x\",\"sequence_number\":{n}}}\n\n"
            )
        },
        limit: Some("too-many-parts"),
    },
    Stream {
        name: "responses text",
        surface: Surface::Responses,
        n_pieces: 6000,
        piece: |n| {
            format!(
                "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"some words that fill the text to its limit\",\"sequence_number\":{n}}}\n\n"
            )
        },
        limit: None,
    },
];

/// Returns the judgement, and how much memory it took at most.
fn judge(stream: &Stream, n_pieces: usize) -> (Judgement, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let mut judge = ResponseJudge::new(stream.surface, Mode::Stream, Profile::Openai);
    judge.head(200, [("content-type", &b"text/event-stream"[..])]);
    for n in 0..n_pieces {
        judge.push((stream.piece)(n).as_bytes());
    }
    let (judgement, _) = judge.finish(BodyEnd::Complete);
    (judgement, ALLOCATOR.peak_usage() - before)
}

#[test]
fn memory_does_not_grow_with_the_length_of_a_stream() {
    for stream in STREAMS {
        let name = stream.name;
        let (_, once) = judge(stream, stream.n_pieces);
        let (judgement, twice) = judge(stream, 2 * stream.n_pieces);
        assert!(twice <= once + SLACK_BYTES, "{name}: {once} bytes, and {twice} for twice as much");
        assert!(twice <= JUDGE_BYTES_MAX, "{name}: {twice} bytes");
        if let Some(code) = stream.limit {
            let found = judgement.findings.iter().find(|finding| finding.code == code);
            assert!(found.is_some(), "{name}: no {code} in {:?}", judgement.findings);
        }
    }
    a_limit_is_a_finding();
}

/// Depth, values, events: what memory alone does not show. Called by the one test, so that nothing else allocates meanwhile.
fn a_limit_is_a_finding() {
    let deep = format!("data: {}{}\n\n", r#"{"a":"#.repeat(200), "}".repeat(200));
    let wide = format!("data: [{}1]\n\n", "1,".repeat(600_000));
    let many = "data:\n\n".repeat(1_000_001);
    for (body, code, n_events) in [
        (deep, "json-too-complex", 1),
        (wide, "json-too-complex", 1),
        (many, "too-many-events", 1_000_000),
    ] {
        let mut judge = ResponseJudge::new(Surface::Chat, Mode::Stream, Profile::Openai);
        judge.head(200, [("content-type", &b"text/event-stream"[..])]);
        judge.push(body.as_bytes());
        let (judgement, _) = judge.finish(BodyEnd::Complete);
        let finding = judgement.findings.iter().find(|finding| finding.code == code).unwrap();
        assert_eq!(
            (finding.verdict, judgement.events),
            (ContractVerdict::Hold, n_events),
            "{code}"
        );
    }
}
