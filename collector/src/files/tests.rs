//! What is written is read back; damage is named with its place.
// A panic is the failure of the test.
#![allow(clippy::unwrap_used)]

use std::io::{self, BufReader, Read};

use prost::Message;
use schemas::Signal;
use storage::Encoding;
use testkit::examples;

use super::{Format, Reader, Writer, json};

/// All that a reader yields: `signal encoding @place bytes`, or the error.
fn read(input: &[u8], format: Format, record_bytes_max: usize) -> Vec<String> {
    // A tiny buffer, so that records span several of its fillings.
    let input = BufReader::with_capacity(7, input);
    let reader = Reader { record_bytes_max, ..Reader::new(input, format) };
    let shown = reader.map(|record| match record {
        Ok(r) => format!("{} {:?} @{} {}", r.signal.name(), r.encoding, r.at, r.body.len()),
        Err(error) => error.to_string(),
    });
    shown.collect()
}

#[track_caller]
fn check(input: impl AsRef<[u8]>, format: Format, expected: &[&str]) {
    assert_eq!(read(input.as_ref(), format, 100), expected);
}

fn json_file() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Encoding::Json);
    writer.traces(&examples::traces()).unwrap();
    writer.logs(&examples::logs()).unwrap();
    writer.metrics(&examples::metrics()).unwrap();
    writer.logs(&Default::default()).unwrap();
    writer.finish().unwrap()
}

#[test]
fn written_json_lines_are_read_back() {
    let file = json_file();
    let records: Vec<_> = Reader::new(&file[..], Format::JsonLines).map(Result::unwrap).collect();
    let signals: Vec<_> = records.iter().map(|r| r.signal).collect();
    assert_eq!(signals, [Signal::Traces, Signal::Logs, Signal::Metrics]);
    let lines: Vec<_> = records.iter().map(|r| [&r.body[..], b"\n"].concat()).collect();
    assert_eq!(lines.concat(), file);
}

#[test]
fn written_protobuf_is_read_back() {
    let mut writer = Writer::new(Vec::new(), Encoding::Protobuf);
    for _ in 0..3 {
        writer.logs(&examples::logs()).unwrap();
    }
    writer.logs(&Default::default()).unwrap();
    let file = writer.finish().unwrap();
    let records: Vec<_> = Reader::new(&file[..], Format::Protobuf(Signal::Logs)).collect();
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(record.unwrap().body, examples::logs().encode_to_vec());
    }
}

#[test]
fn lines_are_told_apart() {
    check("", Format::JsonLines, &[]);
    check("\n \r\n", Format::JsonLines, &[]);
    check("{\"resourceLogs\":[]}", Format::JsonLines, &["logs Json @line 1 19"]);
    check(
        "\u{feff}{\"resourceLogs\":[]}\r\n\n  {\"resourceSpans\":[]}\n",
        Format::JsonLines,
        &["logs Json @line 1 19", "traces Json @line 3 20"],
    );
}

#[test]
fn a_bad_line_does_not_end_the_file() {
    let unknown = "line 1: neither resourceSpans nor resourceLogs nor resourceMetrics at the top of \
                   the line; is the file OTLP JSON with one object a line?";
    let good = "{\"resourceLogs\":[]}";
    for bad in ["{}", "[]", "x", "{\"a\":1", "\u{0}"] {
        let file = format!("{bad}\n{good}\n");
        check(file, Format::JsonLines, &[unknown, "logs Json @line 2 19"]);
    }
    check("x".repeat(100) + "\n", Format::JsonLines, &[unknown]);
    let large = "line 1: the record has more than 100 bytes; split it into smaller ones";
    for bytes in [101, 102, 1000] {
        let file = format!("{}\n{good}", "x".repeat(bytes));
        check(file, Format::JsonLines, &[large, "logs Json @line 2 19"]);
    }
}

#[test]
fn signals_are_seen_from_their_keys() {
    let check = |text: &str, expected: Option<Signal>| {
        assert_eq!(json::signal(text.as_bytes()), expected, "{text}");
    };
    check(r#"{"resourceMetrics":[]}"#, Some(Signal::Metrics));
    check(r#"{ "x" : {"resourceLogs":["}"]} , "resourceSpans" : [] }"#, Some(Signal::Traces));
    check(
        r#"{"a":"\"resourceLogs\":","b":-1.5,"c":null,"resourceSpans":[]}"#,
        Some(Signal::Traces),
    );
    check(r#"{"a":{"resourceLogs":[]}}"#, None);
    check(r#"{"a":"resourceLogs"}"#, None);
    check(r#"{"a":[1,2"#, None);
    check(r#"{"a\"#, None);
    check(r#"{"a":]]]"#, None);
}

#[test]
fn lengths_are_varints_or_four_bytes() {
    let traces = Format::Protobuf(Signal::Traces);
    check([], traces, &[]);
    check([2, 7, 7, 1, 7], traces, &["traces Protobuf @byte 0 2", "traces Protobuf @byte 3 1"]);
    check([&[0x80, 0x00][..]].concat(), traces, &["traces Protobuf @byte 0 0"]);
    check(
        [0, 0, 0, 2, 7, 7, 0, 0, 0, 1, 7],
        traces,
        &["traces Protobuf @byte 0 2", "traces Protobuf @byte 6 1"],
    );
    let first = "traces Protobuf @byte 0 1";
    let cut = "byte 2: the file ends inside this record; the records before it are complete";
    check([1, 7, 2, 7], traces, &[first, cut]);
    check([1, 7, 0x82], traces, &[first, cut]);
    let large = "byte 2: the record has more than 100 bytes; split it into smaller ones";
    check([1, 7, 0xff, 0xff, 0xff, 0xff, 0x0f], traces, &[first, large]);
    check(
        [1, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        traces,
        &[first, "byte 2: no record length here; is the file length-delimited protobuf?"],
    );
}

#[test]
fn a_failing_file_ends_the_records() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    for format in [Format::JsonLines, Format::Protobuf(Signal::Logs)] {
        let records: Vec<_> = Reader::new(BufReader::new(Broken), format).take(3).collect();
        assert_eq!(records.len(), 1);
        let error = records[0].as_ref().unwrap_err().to_string();
        assert!(error.ends_with("reading failed: disk on fire"), "{error}");
    }
}
