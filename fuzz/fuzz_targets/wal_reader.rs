//! Arbitrary bytes as segment, payload and fingerprint file: errors, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| storage::fuzzing::wal_reader(data));
