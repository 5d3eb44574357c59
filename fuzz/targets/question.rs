//! See `fuzzed::question`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::question::holds(input));
