//! OTLP/JSON in two ways. README.md says what is compared.
//!
//! The first byte chooses the signal and, by its highest bit, the way: bytes that prost reads as a
//! request become JSON, which must decode to the same batches as the bytes; or the bytes are the
//! text, any text.
#![no_main]

use std::cell::RefCell;

use collector::decode::{DecodeError, Decoded, Decoder, Limits};
use fuzz::request::Request;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use schemas::Signal;
use serde::de::IgnoredAny;
use storage::Encoding;

/// The bit of the first byte that says that protobuf follows.
const IS_PROTOBUF: u8 = 0x80;

thread_local! {
    static LEARNED: RefCell<Decoder> = RefCell::new(Decoder::new(Limits::default()));
}

fuzz_target!(|data: &[u8]| {
    let Some((signal, body)) = fuzz::split(data) else { return };
    LEARNED.with_borrow_mut(|learned| {
        if data[0] & IS_PROTOBUF == 0 {
            let decoded = fuzz::decode(learned, signal, Encoding::Json, body);
            check_syntax(body, &decoded);
        } else if let Some(request) = Request::read(signal, body) {
            check_protobuf(learned, signal, body, &request);
        }
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if size == 0 || max_size == 0 || data[0] & IS_PROTOBUF == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    1 + fuzz::mutate::protobuf(&mut data[1..], size - 1, max_size - 1, seed)
});

/// A message as JSON is the same as in protobuf.
fn check_protobuf(learned: &mut Decoder, signal: Signal, body: &[u8], request: &Request) {
    let json = request.json();
    let from_json = fuzz::decode(learned, signal, Encoding::Json, &json);
    let from_protobuf = fuzz::decode(learned, signal, Encoding::Protobuf, body);
    match (from_json, from_protobuf) {
        (Ok(a), Ok(b)) => fuzz::assert_same(&a, &b),
        (a, b) => panic!("{a:?} {b:?} {}", String::from_utf8_lossy(&json)),
    }
}

/// What we read is JSON, and what we call no JSON is none, says serde_json.
fn check_syntax(text: &[u8], decoded: &Result<Decoded, DecodeError>) {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    match decoded {
        Ok(_) => assert!(is_json || text.trim_ascii().is_empty()),
        Err(error) if !error.message.contains("is no valid JSON") => {}
        // Our own demands, beyond syntax.
        Err(error) if error.message.contains("must be a JSON object") => {}
        Err(error) if error.message.contains("brackets are open") => {}
        Err(error) => assert!(!is_json, "{error}"),
    }
}
