#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fitwatch_fuzz::run_reader(data));
