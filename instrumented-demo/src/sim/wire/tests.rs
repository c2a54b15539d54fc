//! What is written is what any reader of protobuf understands.
// A message that cannot be read should fail the test there.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use super::*;

/// Lengths around the places where a varint gets longer.
const LENGTHS: [usize; 9] = [0, 1, 100, 127, 128, 129, 16_300, 16_384, 20_000];

#[test]
fn unit_texts_of_all_lengths_come_back() {
    for len in LENGTHS {
        let long = "x".repeat(len);
        let mut out = vec![0xff];
        text_attribute(&mut out, 1, "key", [&long, "-7"]);
        // Behind the tag and the length of the attribute.
        let mut rest = &out[2..];
        let inner = prost::encoding::decode_varint(&mut rest).unwrap() as usize;
        assert_eq!(inner, rest.len());
        let attribute = KeyValue::decode(rest).unwrap();
        let value = attribute.value.and_then(|value| value.value);
        assert_eq!(value, Some(Value::StringValue(format!("{long}-7"))));
    }
}

#[test]
fn unit_a_wrong_guess_of_a_length_does_no_harm() {
    for len in LENGTHS {
        let body = vec![7; len];
        let mut expected = Vec::new();
        bytes(&mut expected, 2, &body);
        let (mut short, mut long) = (Vec::new(), Vec::new());
        message(&mut short, 2, |out| out.extend_from_slice(&body));
        long_message(&mut long, 2, |out| out.extend_from_slice(&body));
        assert_eq!((&short, &long), (&expected, &expected), "{len}");
        assert_eq!(field_len(2, len), expected.len());
    }
}

#[test]
fn unit_numbers_come_back() {
    for value in [0, 1, 9, 10, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(Digits::new(value).as_str(), value.to_string());
        let mut out = Vec::new();
        varint(&mut out, value);
        assert_eq!(out.len(), varint_len(value));
        assert_eq!(prost::encoding::decode_varint(&mut out.as_slice()).unwrap(), value);
    }
}
