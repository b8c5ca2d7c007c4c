//! Measures the judge of responses beside parsers and a schema validator, in one run on one thread.
//!
//! `cargo run --release` prints the table of `bench/contract.md`. Whoever parses gets the documents split off already; the
//! judge gets the raw body in pieces of 16 KiB, splits, validates, judges, and gathers the shape.

mod corpus;
mod seed;

use std::hint::black_box;

use contract::{BodyEnd, ContractVerdict, Judgement, Profile, ResponseJudge};
use corpus::Corpus;
use rustix::time::{ClockId, clock_gettime};

/// Rounds of each peer, in turns; the best counts, as a busy machine only ever adds.
const ROUNDS: usize = 15;
/// Seconds of one round.
const ROUND_SECONDS: f64 = 0.03;

/// A peer: reads all documents of a corpus, or the bodies themselves.
struct Peer {
    name: &'static str,
    read: fn(&Corpus, &[&[u8]], &jsonschema::Validator) -> usize,
}

const PEERS: &[Peer] = &[
    Peer { name: "surestep: judged", read: |corpus, _, _| judge(corpus, |_| 1) },
    Peer {
        name: "surestep: judged, and the shape written out",
        read: |corpus, _, _| judge(corpus, n_paths),
    },
    Peer { name: "serde_json, syntax only", read: syntax },
    Peer { name: "serde_json, own seed (paths and types)", read: own_seed },
    Peer { name: "serde_json::Value", read: serde_value },
    Peer { name: "sonic-rs Value", read: sonic },
    Peer { name: "simd-json tape (copy included)", read: simd },
    Peer { name: "jiter JsonValue", read: jiter_value },
    Peer { name: "serde_json::Value + jsonschema", read: schema },
];

fn judge(corpus: &Corpus, then: fn(&Judgement) -> usize) -> usize {
    let content_type: &[u8] = match corpus.mode {
        contract::Mode::Unary => b"application/json",
        contract::Mode::Stream => b"text/event-stream",
    };
    let mut n = 0;
    for body in &corpus.bodies {
        let mut judge = ResponseJudge::new(corpus.surface, corpus.mode, Profile::Openai);
        judge.head(200, [("content-type", content_type)]);
        for piece in body.chunks(16 * 1024) {
            judge.push(piece);
        }
        let (judgement, text) = black_box(judge.finish(BodyEnd::Complete));
        let findings = &judgement.findings;
        assert_ne!(judgement.verdict, ContractVerdict::Hold, "{}: {findings:?}", corpus.name);
        n += then(&judgement) + text.expose().len();
    }
    n
}

/// Writes out the paths of the shape, which the judge leaves to whoever reads them.
fn n_paths(judgement: &Judgement) -> usize {
    judgement.shape.paths().len()
}

fn syntax(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    documents.iter().filter(|d| serde_json::from_slice::<serde::de::IgnoredAny>(d).is_ok()).count()
}

fn own_seed(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    let mut paths = seed::Paths::default();
    documents.iter().for_each(|document| paths.read(document).unwrap());
    paths.len()
}

fn serde_value(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    let read = |d: &&&[u8]| black_box(serde_json::from_slice::<serde_json::Value>(d)).is_ok();
    documents.iter().filter(read).count()
}

fn sonic(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    documents
        .iter()
        .filter(|d| black_box(sonic_rs::from_slice::<sonic_rs::Value>(d)).is_ok())
        .count()
}

fn simd(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    let mut buffers = simd_json::Buffers::default();
    let mut scratch = Vec::new();
    let mut n = 0;
    for document in documents {
        scratch.clear();
        scratch.extend_from_slice(document);
        n += usize::from(
            black_box(simd_json::to_tape_with_buffers(&mut scratch, &mut buffers)).is_ok(),
        );
    }
    n
}

fn jiter_value(_: &Corpus, documents: &[&[u8]], _: &jsonschema::Validator) -> usize {
    documents.iter().filter(|d| black_box(jiter::JsonValue::parse(d, false)).is_ok()).count()
}

fn schema(_: &Corpus, documents: &[&[u8]], validator: &jsonschema::Validator) -> usize {
    let valid = |d: &&&[u8]| {
        serde_json::from_slice::<serde_json::Value>(d).is_ok_and(|value| validator.is_valid(&value))
    };
    documents.iter().filter(valid).count()
}

/// A schema of about what the judge requires of a document of either surface.
fn validator() -> jsonschema::Validator {
    let choice = serde_json::json!({"type": "object", "required": ["index", "finish_reason"], "properties": {
        "index": {"type": "integer", "minimum": 0}, "finish_reason": {"enum": [null, "stop", "length", "tool_calls", "content_filter"]},
        "message": {"type": "object", "required": ["role", "content"], "properties": {
            "role": {"const": "assistant"}, "content": {"type": ["string", "null"]}}},
        "delta": {"type": "object", "properties": {"role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
            "tool_calls": {"type": "array", "items": {"type": "object", "required": ["index"]}}}}}});
    let schema = serde_json::json!({"type": "object", "properties": {
        "id": {"type": "string"}, "object": {"enum": ["chat.completion", "chat.completion.chunk", "response"]},
        "created": {"type": "integer"}, "model": {"type": "string"}, "choices": {"type": "array", "items": choice},
        "usage": {"type": ["object", "null"], "required": ["total_tokens"]},
        "type": {"type": "string"}, "sequence_number": {"type": "integer"}, "delta": {"type": "string"},
        "output": {"type": "array", "items": {"type": "object", "required": ["type"]}},
        "response": {"type": "object", "required": ["id", "object", "status"]}}});
    jsonschema::validator_for(&schema).unwrap()
}

/// Seconds of this thread's own work: what others do on the machine is not in it.
fn seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns the seconds that one reading takes, at best.
fn measure(corpus: &Corpus, only: Option<&str>) -> Vec<(&'static str, f64)> {
    let documents = corpus.documents();
    let validator = validator();
    let peers: Vec<_> =
        PEERS.iter().filter(|peer| only.is_none_or(|only| peer.name.contains(only))).collect();
    let mut best: Vec<_> = peers.iter().map(|peer| (peer.name, f64::INFINITY)).collect();
    // The first turn only says how often to read in one round: the clock is a system call, which short bodies would feel.
    let mut n_times = vec![1; peers.len()];
    for round in 0..=ROUNDS {
        for ((peer, best), n_times) in peers.iter().zip(&mut best).zip(&mut n_times) {
            let start = seconds();
            for _ in 0..*n_times {
                assert!(black_box((peer.read)(black_box(corpus), &documents, &validator)) > 0);
            }
            let taken = (seconds() - start) / f64::from(*n_times);
            if round == 0 {
                *n_times = (ROUND_SECONDS / taken).clamp(2.0, 1e6) as u32;
            } else {
                best.1 = best.1.min(taken);
            }
        }
    }
    best
}

/// Reads each corpus so many times, and measures nothing.
fn repeat(wanted: Option<&str>, only: Option<&str>, n_times: u32) {
    let validator = validator();
    for corpus in corpus::corpora(wanted) {
        let documents = corpus.documents();
        for peer in PEERS.iter().filter(|peer| only.is_none_or(|only| peer.name.contains(only))) {
            for _ in 0..n_times {
                black_box((peer.read)(black_box(&corpus), &documents, &validator));
            }
        }
    }
}

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (wanted, only) = (words.first().map(String::as_str), words.get(1).map(String::as_str));
    if let Some(n_times) = words.get(2).and_then(|word| word.parse::<u32>().ok()) {
        // For a profiler: nothing but readings.
        return repeat(wanted, only, n_times);
    }
    for corpus in corpus::corpora(wanted) {
        let n_documents = corpus.documents().len();
        let size: usize = corpus.bodies.iter().map(Vec::len).sum();
        let each = match corpus.mode {
            contract::Mode::Unary => "documents",
            contract::Mode::Stream => "events of one stream",
        };
        println!("\n## {}: {n_documents} {each}, {} bytes each\n", corpus.name, size / n_documents);
        println!("| reader | GB/s | ns a document | times the judge's |\n|---|---|---|---|");
        let measured = measure(&corpus, only);
        let ours = measured.first().map_or(1.0, |(_, seconds)| *seconds);
        for (name, seconds) in measured {
            println!(
                "| {name} | {:.2} | {:.0} | {:.2} |",
                size as f64 / seconds / 1e9,
                seconds * 1e9 / n_documents as f64,
                seconds / ours
            );
        }
    }
}
