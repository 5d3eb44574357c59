//! See `fuzzed::import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::import::holds(input));
