#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hokusai_gateway::fuzzing::spans(bytes));
