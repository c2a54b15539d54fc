//! Broken and hostile bytes: never a panic, damage stays where it is, nothing grows without bound.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::Signal;
use storage::Encoding;

use super::differential::root;
use super::generate::Generator;
use super::{check_rejects, decode, rows};
use crate::decode::wire::{begin_bytes, end_bytes, put_tag, put_varint};
use crate::rejects::Reason;

fn body(signal: Signal, seed: u64) -> Vec<u8> {
    let mut generator = Generator::new(seed);
    match signal {
        Signal::Traces => generator.traces().encode_to_vec(),
        Signal::Logs => generator.logs().encode_to_vec(),
        Signal::Metrics => generator.metrics().encode_to_vec(),
    }
}

/// Decodes mutations of a body; all that is asked is an answer, and the same one twice.
fn check_mutations(signal: Signal, encoding: Encoding, body: &[u8], random: &mut StdRng) {
    for _ in 0..12 {
        let mut mutated = body.to_vec();
        match random.random_range(0..3) {
            0 => mutated.truncate(random.random_range(0..=body.len())),
            _ if body.is_empty() => {}
            1 => mutated[random.random_range(0..body.len())] = random.random(),
            _ => {
                let at = random.random_range(0..body.len());
                mutated.insert(at, random.random());
            }
        }
        let first = decode(signal, encoding, &mutated).map(|d| (d.accepted, rows(&d.batches)));
        let again = decode(signal, encoding, &mutated).map(|d| (d.accepted, rows(&d.batches)));
        assert_eq!(first.is_ok(), again.is_ok());
        if let (Ok(first), Ok(again)) = (first, again) {
            assert_eq!(first, again);
        }
    }
}

#[test]
fn mutated_requests_never_panic_and_decode_the_same_twice() {
    for signal in Signal::ALL {
        for seed in 0..12 {
            let mut random = StdRng::seed_from_u64(seed);
            let protobuf = body(signal, seed);
            check_mutations(signal, Encoding::Protobuf, &protobuf, &mut random);
            let mut json = String::new();
            super::json::write(root(signal), &protobuf, &mut json);
            check_mutations(signal, Encoding::Json, json.as_bytes(), &mut random);
        }
    }
}

/// A message field around content.
pub(super) fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin_bytes(&mut out, number);
    out.extend_from_slice(content);
    end_bytes(&mut out, start);
    out
}

fn fixed64(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(&mut out, number, 1);
    out.extend_from_slice(&value.to_le_bytes());
    out
}

/// A request of one log record with these fields beside its time.
fn log(fields: &[u8]) -> Vec<u8> {
    let record = [fixed64(1, super::TIME_NS).as_slice(), fields].concat();
    field(1, &field(2, &field(2, &record)))
}

/// A request of one span with valid ids and these fields.
fn span(fields: &[u8]) -> Vec<u8> {
    let ids = [field(1, &[1; 16]), field(2, &[1; 8]), fixed64(7, super::TIME_NS)].concat();
    field(1, &field(2, &field(2, &[ids.as_slice(), fields].concat())))
}

#[test]
fn broken_records_cost_themselves_broken_envelopes_the_request() {
    let cases: [(&str, Vec<u8>, Result<u32, &str>); 9] = [
        ("empty", vec![], Ok(0)),
        ("empty envelopes", field(1, &field(2, &[])), Ok(0)),
        ("truncated at the top", vec![0x0A, 5, 1], Err("byte 0")),
        ("field number 0 at the top", vec![0x02, 0], Err("byte 0")),
        ("wire type 7 at the top", vec![0x0F], Err("byte 0")),
        ("varint of 11 bytes", [vec![0x10], vec![0xFF; 10], vec![1]].concat(), Err("byte 0")),
        ("group without end", vec![0x13, 0x08, 1], Err("byte 0")),
        ("group with another's end", vec![0x13, 0x1C], Err("byte 0")),
        ("only malformed records", span(&[0x0D, 0, 0, 0, 0]), Err("spans")),
    ];
    for (what, body, expected) in cases {
        let actual = decode(Signal::Traces, Encoding::Protobuf, &body);
        match (actual, expected) {
            (Ok(decoded), Ok(accepted)) => assert_eq!(decoded.accepted, accepted, "{what}"),
            (Err(error), Err(field)) => assert_eq!(error.field, field, "{what}: {error}"),
            (actual, _) => panic!("{what}: {actual:?}"),
        }
    }
    let mixed = [span(&[]), span(&[0x0D, 0, 0, 0, 0]), span(&[])].concat();
    let decoded = decode(Signal::Traces, Encoding::Protobuf, &mixed).unwrap();
    assert_eq!(decoded.accepted, 2);
    check_rejects(&decoded, &[(Reason::Malformed, 1)]);
}

#[test]
fn groups_are_skipped_as_deep_as_prost_follows() {
    for levels in [1, 64, 65, 100, 101, 1_000] {
        let body = [vec![0x7B; levels], vec![0x7C; levels]].concat();
        let expected = ExportTraceServiceRequest::decode(body.as_slice()).is_ok();
        let actual = decode(Signal::Traces, Encoding::Protobuf, &body).is_ok();
        assert_eq!(actual, expected, "{levels}");
    }
}

#[test]
fn a_rejected_resource_costs_every_point_of_its_metrics() {
    let key = field(1, &[field(1, &[b'k'; 257]), field(2, &field(1, b"v"))].concat());
    let gauge = field(5, &field(1, &fixed64(3, super::TIME_NS)));
    let cases: [(&str, Vec<u8>, u32); 4] = [
        ("one point", gauge.clone(), 1),
        ("two points in two occurrences", [gauge.clone(), gauge].concat(), 2),
        ("no data", vec![], 1),
        ("broken", vec![0x0D], 1),
    ];
    for (what, metric, expected) in cases {
        let below = field(2, &field(2, &metric));
        let body = field(1, &[field(1, &key), below].concat());
        let decoded = decode(Signal::Metrics, Encoding::Protobuf, &body).unwrap();
        assert_eq!(decoded.rejects.total(), u64::from(expected), "{what}");
        check_rejects(&decoded, &[(Reason::RecordTooLarge, expected)]);
    }
}

#[test]
fn a_reference_into_a_string_table_replaces_the_list_before_it() {
    let list = |text| field(5, &field(1, &field(1, text)));
    let value = [list(b"a"), vec![0x40, 1], list(b"b")].concat();
    let attribute = field(9, &[field(1, b"k"), field(2, &value)].concat());
    // A status that comes twice makes the whole span be merged first.
    for status in [vec![], [field(15, &[]), field(15, &[])].concat()] {
        let body = span(&[attribute.as_slice(), &status].concat());
        let decoded = decode(Signal::Traces, Encoding::Protobuf, &body).unwrap();
        assert_eq!(rows(&decoded.batches)[0]["attributes_rest"], r#"{"k":["b"]}"#);
    }
}

#[test]
fn another_signals_request_gets_one_clear_sentence() {
    let error = decode(Signal::Traces, Encoding::Protobuf, &log(&[])).unwrap_err();
    assert!(error.message.contains("check that the path"), "{error}");
}

/// Lists in lists as an AnyValue.
fn nested_lists(levels: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..levels {
        value = field(5, &field(1, &value));
    }
    value
}

#[test]
fn values_below_64_levels_become_text() {
    for (levels, quality) in [(63, "0"), (64, "0"), (65, "2"), (2_000, "2")] {
        let decoded =
            decode(Signal::Logs, Encoding::Protobuf, &log(&field(5, &nested_lists(levels))))
                .unwrap();
        let row = &rows(&decoded.batches)[0];
        assert_eq!(row["quality"], quality, "{levels}");
        let open = row["body"].bytes().take_while(|b| *b == b'[').count();
        assert_eq!(open, levels.min(64));
        assert_eq!(row["body"].contains("[\"["), levels > 64, "{}", row["body"]);
    }
}

#[test]
fn deep_json_is_refused_or_kept_and_never_recursed_into() {
    let deep = |levels: usize, open: &str, close: &str, inner: &str| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    let list = deep(65, r#"{"arrayValue":{"values":["#, "]}}", "{}");
    let request = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{}","body":{list}}}]}}]}}]}}"#,
        super::TIME_NS
    );
    let decoded = decode(Signal::Logs, Encoding::Json, request.as_bytes()).unwrap();
    assert_eq!(rows(&decoded.batches)[0]["quality"], "2");
    let unknown = format!("{{\"x\":{}}}", deep(100_000, "[", "]", ""));
    assert!(decode(Signal::Logs, Encoding::Json, unknown.as_bytes()).is_err());
}

fn attribute(key: &[u8], text: &[u8]) -> Vec<u8> {
    field(9, &[field(1, key), field(2, &field(1, text))].concat())
}

#[test]
fn sizes_beyond_the_limits_are_cut_or_rejected() {
    let kib = 1 << 10;
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("a value of 64 KiB", attribute(b"k", &vec![b'x'; 64 * kib]), "quality 0"),
        ("a longer value", attribute(b"k", &vec![b'x'; 64 * kib + 1]), "quality 2"),
        ("a key of 256 bytes", attribute(&[b'k'; 256], b"v"), "quality 0"),
        ("a longer key", attribute(&[b'k'; 257], b"v"), "record_too_large"),
        ("a record above 4 MiB", attribute(b"k", &vec![b'x'; 4096 * kib]), "record_too_large"),
    ];
    for (what, fields, expected) in cases {
        let decoded = decode(Signal::Traces, Encoding::Protobuf, &span(&fields)).unwrap();
        let actual = match rows(&decoded.batches).first() {
            Some(row) => format!("quality {}", row["quality"]),
            None => decoded.rejects.counts().map(|(reason, _)| reason.name()).collect(),
        };
        assert_eq!(actual, expected, "{what}");
    }
    let cut = "é".repeat(40 * kib);
    let decoded =
        decode(Signal::Traces, Encoding::Protobuf, &span(&attribute(b"k", cut.as_bytes())))
            .unwrap();
    let rest = &rows(&decoded.batches)[0]["attributes_rest"];
    assert_eq!(rest.len(), r#"{"k":""}"#.len() + 64 * kib);
}

#[test]
fn broken_text_is_repaired_and_marked() {
    for (what, fields, column, expected) in [
        ("name", field(5, b"a\xFFb"), "name", "a\u{fffd}b"),
        ("value", attribute(b"k", b"\xC3"), "attributes_rest", "{\"k\":\"\u{fffd}\"}"),
        ("promoted", attribute(b"http.route", b"/\xFF"), "a.http.route", "/\u{fffd}"),
        ("key", attribute(b"\xFE", b"v"), "attributes_rest", "{\"\u{fffd}\":\"v\"}"),
    ] {
        let decoded = decode(Signal::Traces, Encoding::Protobuf, &span(&fields)).unwrap();
        let row = &rows(&decoded.batches)[0];
        assert_eq!((row[column].as_str(), row["quality"].as_str()), (expected, "1"), "{what}");
        assert_eq!(decoded.warnings.len(), 1, "{what}");
    }
    // Differently broken keys repair to one key: the last value wins, in every record.
    let keys = [attribute(b"\xFE", b"1"), attribute(b"\xFF", b"2")].concat();
    let decoded =
        decode(Signal::Traces, Encoding::Protobuf, &[span(&keys), span(&keys)].concat()).unwrap();
    for row in rows(&decoded.batches) {
        assert_eq!((&*row["attributes_rest"], &*row["quality"]), ("{\"\u{fffd}\":\"2\"}", "33"));
    }
}

fn varint_field(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(&mut out, number, 0);
    put_varint(&mut out, value);
    out
}

/// What profiles and senders of before 2022 put into a request counts as absent, with a word to the
/// client. Items 45 and 47 of the protocol's checklist.
#[test]
fn foreign_fields_are_skipped_and_told() {
    let value_index = field(9, &[field(1, b"k"), field(2, &varint_field(8, 7))].concat());
    let key_index = field(9, &[varint_field(3, 7), field(2, &field(1, b"v"))].concat());
    let old_spans = field(1, &[field(2, &[]), field(1000, &field(2, b"old"))].concat());
    for (what, body, rest, warning) in [
        ("value", span(&value_index), r#"{"k":{"$empty":true}}"#, "1 records refer to a string"),
        ("key", span(&key_index), r#"{"":"v"}"#, "1 records refer to a string table"),
        ("old", [old_spans, span(&[])].concat(), "", "1 lists of the OTLP version before 2022"),
    ] {
        let decoded = decode(Signal::Traces, Encoding::Protobuf, &body).unwrap();
        let row = &rows(&decoded.batches)[0];
        let actual = row.get("attributes_rest").map_or("", |json| json);
        assert_eq!((actual, row["quality"].as_str()), (rest, "0"), "{what}");
        assert!(decoded.warnings[0].starts_with(warning), "{what}: {:?}", decoded.warnings);
    }
}

#[test]
fn seventy_thousand_values_of_one_key_and_many_keys_fit() {
    let values: Vec<u8> = (0..70_000)
        .flat_map(|i| span(&attribute(b"http.route", format!("/{i}").as_bytes())))
        .collect();
    let decoded = decode(Signal::Traces, Encoding::Protobuf, &values).unwrap();
    assert_eq!(decoded.accepted, 70_000);
    let keys: Vec<u8> =
        (0..5_000).flat_map(|i| span(&attribute(format!("k{i}").as_bytes(), b"v"))).collect();
    let decoded = decode(Signal::Traces, Encoding::Protobuf, &keys).unwrap();
    assert_eq!(decoded.batches[0].keys.record.len(), 5_000);
}
