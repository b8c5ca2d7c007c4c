//! The seeds of the fuzz targets, run through the same oracles: split-invariance, no payload in any finding, one opinion with
//! `serde_json` on what JSON is, shapes that merge in any order.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its seeds has failed")]
#![expect(clippy::panic, unreachable_pub, reason = "the oracles are shared with the fuzz targets")]

#[path = "../../../fuzz/src/oracles.rs"]
mod oracles;

use std::fs;
use std::path::Path;

type Oracle = fn(&[u8]);

const TARGETS: &[(&str, Oracle)] = &[
    ("sse", oracles::sse),
    ("chat", oracles::chat),
    ("responses", oracles::responses),
    ("dump", oracles::dump),
    ("shape", oracles::shape),
    ("request", oracles::request),
    ("error", oracles::error),
];

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

#[test]
fn every_seed_holds() {
    for (target, oracle) in TARGETS {
        let seeds: Vec<_> = fs::read_dir(fuzz().join("seeds").join(target)).unwrap().collect();
        assert!(seeds.len() >= 4, "{target} has {} seeds", seeds.len());
        for seed in seeds {
            let path = seed.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            // Cutting a seed short is the commonest mutation, and the cheapest.
            for end in (0..=bytes.len()).rev().step_by(1 + bytes.len() / 40) {
                oracle(&bytes[..end]);
            }
        }
    }
}

#[test]
fn every_target_has_an_oracle_and_seeds() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let bins = manifest.split("[[bin]]").skip(1);
    let mut names: Vec<_> = bins.map(|bin| bin.split('"').nth(1).unwrap().to_owned()).collect();
    let mut ours: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort_unstable();
    ours.sort_unstable();
    assert_eq!(names, ours);
}
