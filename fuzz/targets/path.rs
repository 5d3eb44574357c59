//! See `fuzzed::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::path::holds(input));
