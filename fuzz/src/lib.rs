//! What the fuzz targets share: prost's reading of a request, records as text, mutation.

use collector::decode::{DecodeError, Decoded, Decoder, Limits};
use schemas::Signal;
use storage::Encoding;

pub mod mutate;
pub mod records;
pub mod request;

/// When all requests arrive.
pub const RECEIVED_NS: i64 = 1_790_000_000_000_000_000;

/// The signal that an input is about, and the rest of it.
pub fn split(data: &[u8]) -> Option<(Signal, &[u8])> {
    let (first, body) = data.split_first()?;
    Some((Signal::ALL[usize::from(*first) % Signal::ALL.len()], body))
}

/// Decodes with a new decoder, and with one that has learned from every input before: what it
/// learned must change nothing.
pub fn decode(
    learned: &mut Decoder,
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let first = Decoder::new(Limits::default()).decode(signal, encoding, body, RECEIVED_NS);
    let again = learned.decode(signal, encoding, body, RECEIVED_NS);
    match (&first, &again) {
        (Ok(first), Ok(again)) => assert_same(first, again),
        (Err(first), Err(again)) => {
            assert_eq!((&first.field, &first.message), (&again.field, &again.message));
        }
        _ => panic!("a new decoder and a used one disagree: {first:?} {again:?}"),
    }
    first
}

/// Asserts that two answers hold the same rows, keys, rejects and warnings.
pub fn assert_same(a: &Decoded, b: &Decoded) {
    assert_eq!(a.accepted, b.accepted);
    assert!(a.rejects.counts().eq(b.rejects.counts()), "{:?} {:?}", a.rejects, b.rejects);
    assert_eq!(a.warnings, b.warnings);
    assert_eq!(a.batches.len(), b.batches.len());
    for (a, b) in a.batches.iter().zip(&b.batches) {
        assert_eq!(a.table, b.table);
        assert_eq!(a.keys, b.keys);
        // As text only where needed: it is slow, and NaNs of different bits are the same there.
        if a.rows != b.rows {
            assert_eq!(records::text(&a.rows), records::text(&b.rows));
        }
    }
}
