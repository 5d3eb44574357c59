//! See `fuzzed::ext_authz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::ext_authz::holds(input));
