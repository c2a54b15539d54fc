//! The decoder against prost and a plain oracle, on random requests that use every field.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use schemas::Signal;
use schemas::columns as c;
use storage::Encoding;

use super::super::messages::{self, Kind, Message};
use super::super::wire::{Field, Fields, begin_bytes, end_bytes, put_tag, put_varint};
use super::generate::Generator;
use super::{Row, decode, oracle, rows};

const SEEDS: u64 = 60;

/// Compares rows, leaving out columns that the oracle does not compute.
fn check(seed: u64, what: &str, actual: &[Row], expected: &[Row]) {
    let left_out = [c::SERIES_ID, c::EXCEPTION_TYPE, c::EXCEPTION_MESSAGE];
    assert_eq!(actual.len(), expected.len(), "rows of seed {seed}, {what}");
    for (actual, expected) in actual.iter().zip(expected) {
        let mut actual = actual.clone();
        actual.retain(|name, _| !left_out.contains(&name.as_str()));
        assert_eq!(&actual, expected, "seed {seed}, {what}");
    }
}

/// The request of a seed as protobuf.
fn request(signal: Signal, seed: u64) -> Vec<u8> {
    let mut generator = Generator::new(seed);
    match signal {
        Signal::Traces => generator.traces().encode_to_vec(),
        Signal::Logs => generator.logs().encode_to_vec(),
        Signal::Metrics => generator.metrics().encode_to_vec(),
    }
}

/// The rows that prost's reading of the bytes must become.
fn expected(signal: Signal, body: &[u8]) -> Vec<Row> {
    match signal {
        Signal::Traces => oracle::spans(&ExportTraceServiceRequest::decode(body).unwrap()),
        Signal::Logs => oracle::logs(&ExportLogsServiceRequest::decode(body).unwrap()),
        Signal::Metrics => oracle::metrics(&ExportMetricsServiceRequest::decode(body).unwrap()),
    }
}

pub(super) fn root(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &messages::TRACES,
        Signal::Logs => &messages::LOGS,
        Signal::Metrics => &messages::METRICS,
    }
}

#[test]
fn random_requests_become_the_rows_of_the_oracle() {
    for signal in Signal::ALL {
        for seed in 0..SEEDS {
            let body = request(signal, seed);
            let expected = expected(signal, &body);
            let decoded = decode(signal, Encoding::Protobuf, &body).unwrap();
            assert_eq!(decoded.rejects.message(), "", "seed {seed}");
            let points = expected.iter().filter(|r| r["table"] != "metric_exemplars").count();
            assert_eq!(decoded.accepted as usize, points);
            check(seed, "as prost writes it", &rows(&decoded.batches), &expected);
        }
    }
}

#[test]
fn other_forms_of_the_same_bytes_become_the_rows_of_prost() {
    for signal in Signal::ALL {
        for seed in 0..SEEDS {
            let body = request(signal, seed);
            let mut random = StdRng::seed_from_u64(seed);
            let mut scrambled = Vec::new();
            scramble(root(signal), &body, &mut random, &mut scrambled);
            let decoded = decode(signal, Encoding::Protobuf, &scrambled).unwrap();
            assert_eq!(decoded.rejects.message(), "", "seed {seed}");
            let expected = expected(signal, &scrambled);
            check(seed, "scrambled", &rows(&decoded.batches), &expected);
        }
    }
}

#[test]
fn json_becomes_the_same_batches() {
    for signal in Signal::ALL {
        for seed in 0..SEEDS {
            let body = request(signal, seed);
            let mut text = String::new();
            super::json::write(root(signal), &body, &mut text);
            let from_json = decode(signal, Encoding::Json, text.as_bytes())
                .unwrap_or_else(|e| panic!("seed {seed}: {e} in {text}"));
            let from_protobuf = decode(signal, Encoding::Protobuf, &body).unwrap();
            assert_eq!(from_json.rejects.message(), "", "seed {seed}: {text}");
            assert_eq!(from_json.batches.len(), from_protobuf.batches.len());
            for (json, protobuf) in from_json.batches.iter().zip(&from_protobuf.batches) {
                assert_eq!(json.rows, protobuf.rows, "seed {seed}: {text}");
                assert_eq!(json.keys, protobuf.keys, "seed {seed}");
            }
        }
    }
}

/// The same message in another form: fields shuffled (the order of repeated ones kept), embedded
/// messages split in two, numbers packed and unpacked, lengths padded, unknown fields between.
fn scramble(message: &'static Message, bytes: &[u8], random: &mut StdRng, out: &mut Vec<u8>) {
    let mut groups: Vec<(u32, Vec<Field<'_>>)> = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((number, field)) = fields.next().unwrap() {
        match groups.iter_mut().find(|(known, _)| *known == number) {
            Some((_, group)) => group.push(field),
            None => groups.push((number, vec![field])),
        }
    }
    groups.shuffle(random);
    for (number, group) in groups {
        if random.random_bool(0.2) {
            put_unknown(random, out);
        }
        let member = message.member(number).unwrap();
        for field in group {
            match (member.kind, field) {
                (Kind::Nested(inner), Field::Bytes(payload)) => {
                    let start = begin_bytes(out, number);
                    scramble(inner, payload, random, out);
                    end_bytes(out, start);
                    if !member.repeated && random.random_bool(0.2) {
                        split_last(out, start, number);
                    }
                }
                (Kind::Fixed64 | Kind::Double, Field::Bytes(packed)) if random.random() => {
                    for value in packed.chunks(8) {
                        put_tag(out, number, 1);
                        out.extend_from_slice(value);
                    }
                }
                (Kind::Uint64, Field::Bytes(packed)) if random.random() => {
                    let mut rest = packed;
                    while !rest.is_empty() {
                        put_tag(out, number, 0);
                        put_varint(out, super::super::wire::varint(&mut rest).unwrap());
                    }
                }
                (_, Field::Bytes(bytes)) => {
                    let start = begin_bytes(out, number);
                    out.extend_from_slice(bytes);
                    end_bytes(out, start);
                }
                (_, Field::Varint(value)) => {
                    put_tag(out, number, 0);
                    put_varint(out, value);
                }
                (_, Field::Fixed64(value)) => {
                    put_tag(out, number, 1);
                    out.extend_from_slice(&value.to_le_bytes());
                }
                (_, Field::Fixed32(value)) => {
                    put_tag(out, number, 5);
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
}

/// Splits the field written last into two occurrences at its first inner field.
fn split_last(out: &mut Vec<u8>, start: usize, number: u32) {
    let payload = out.split_off(start);
    let mut fields = Fields::new(&payload);
    if fields.next().unwrap().is_none() {
        out.extend_from_slice(&payload);
        return;
    }
    let (first, second) = payload.split_at(payload.len() - fields.rest().len());
    out.extend_from_slice(first);
    end_bytes(out, start);
    let start = begin_bytes(out, number);
    out.extend_from_slice(second);
    end_bytes(out, start);
}

fn put_unknown(random: &mut StdRng, out: &mut Vec<u8>) {
    match random.random_range(0..4) {
        0 => out.extend_from_slice(&[0xA0, 0x06, 0xFF, 0x01]),
        1 => out.extend_from_slice(&[0xA5, 0x06, 1, 2, 3, 4]),
        2 => out.extend_from_slice(&[0xA2, 0x06, 2, 9, 9]),
        // A group with a group in it.
        _ => out.extend_from_slice(&[0xA3, 0x06, 0xAB, 0x06, 0x08, 0x01, 0xAC, 0x06, 0xA4, 0x06]),
    }
}
