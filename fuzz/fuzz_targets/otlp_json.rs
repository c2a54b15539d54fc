//! Any text as OTLP/JSON: no panic, and the same answer twice.
//!
//! That JSON made from a message decodes like its protobuf is a test of the collector
//! (`json_becomes_the_same_batches`). The first byte chooses the signal.
#![no_main]

use collector::decode::{Decoder, Limits};
use libfuzzer_sys::fuzz_target;
use schemas::Signal;
use storage::Encoding;

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % 3];
    let answer = || {
        Decoder::new(Limits::default())
            .decode(signal, Encoding::Json, body, 1_790_000_000_000_000_000)
            .map(|d| (d.accepted, d.rejects.total()))
            .map_err(|e| (e.field, e.message))
    };
    assert_eq!(answer(), answer());
});
