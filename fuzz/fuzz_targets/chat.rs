//! Runs the oracle of the same name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracles::chat(data));
