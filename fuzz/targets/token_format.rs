//! See `fuzzed::token_format`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::token_format::holds(input));
