//! See `fuzzed::forward_auth`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::forward_auth::holds(input));
