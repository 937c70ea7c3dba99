//! libFuzzer's driver; the invariant stands in `src/path.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_core_fuzz::path(data));
