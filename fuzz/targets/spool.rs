//! See `fuzzed::spool`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::spool::holds(input));
