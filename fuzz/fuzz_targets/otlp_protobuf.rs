//! Any bytes as OTLP protobuf: no panic, and where prost accepts the request so do we, with the
//! same records. README.md says what is compared.
//!
//! The first byte chooses the signal. Known differences: prost refuses a request for text that is
//! not UTF-8 and for deep values, we repair and cut.
#![no_main]

use std::cell::RefCell;

use collector::decode::{Decoded, Decoder, Limits};
use collector::rejects::Reason;
use fuzz::records::{self, Records};
use fuzz::request::Request;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use storage::Encoding;

thread_local! {
    static LEARNED: RefCell<Decoder> = RefCell::new(Decoder::new(Limits::default()));
}

fuzz_target!(|data: &[u8]| {
    let Some((signal, body)) = fuzz::split(data) else { return };
    let decoded =
        LEARNED.with_borrow_mut(|learned| fuzz::decode(learned, signal, Encoding::Protobuf, body));
    if let Some(request) = Request::read(signal, body) {
        let decoded = decoded.expect("prost accepts these bytes");
        let (sent, metrics_without_points) = records::sent(&request);
        check_counts(&decoded, &sent, metrics_without_points);
        sent.iter().for_each(|sent| check_records(&decoded, sent));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if size == 0 || max_size == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    1 + fuzz::mutate::protobuf(&mut data[1..], size - 1, max_size - 1, seed)
});

/// What prost reads is not malformed, and every record is either accepted or rejected. A metric
/// without data points has nothing to accept; it is a reject if something else is wrong with it.
fn check_counts(decoded: &Decoded, sent: &[Records], metrics_without_points: u64) {
    assert_eq!(decoded.rejects.count(Reason::Malformed), 0, "{:?}", decoded.rejects);
    let expected: u64 = sent.iter().map(|table| table.records.len() as u64).sum();
    let found = u64::from(decoded.accepted) + decoded.rejects.total();
    let possible = expected..=expected + metrics_without_points;
    assert!(possible.contains(&found), "{found} of {possible:?}, {:?}", decoded.rejects);
}

/// The stored rows of a table are those of prost, in their order, but for the rejected ones.
fn check_records(decoded: &Decoded, sent: &Records) {
    let stored = decoded.batches.iter().find(|batch| batch.table == sent.table);
    let Some(stored) = stored.map(records::stored) else {
        assert!(decoded.rejects.total() > 0 || sent.records.is_empty());
        return;
    };
    if decoded.rejects.total() == 0 {
        assert_eq!(stored.records, sent.records);
        assert_eq!(stored.keys, sent.keys);
        return;
    }
    let mut left = sent.records.iter();
    for record in &stored.records {
        assert!(left.any(|sent| sent == record), "{record:?} is not in {:?}", sent.records);
    }
}
