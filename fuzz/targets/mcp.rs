//! See `fuzzed::mcp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::mcp::holds(input));
