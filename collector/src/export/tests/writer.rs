//! OTLP/JSON as it is written.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::Value;
use testkit::examples;
use testkit::otlp::{Generator, Options};

use crate::export::json;

fn written<M>(write: fn(&mut Vec<u8>, &M), request: &M) -> String {
    let mut out = Vec::new();
    write(&mut out, request);
    String::from_utf8(out).unwrap()
}

/// The text without blanks between tokens.
fn compact(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
                return true;
            }
            in_string = c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

#[test]
fn examples_are_written_to_the_byte() {
    assert_eq!(written(json::traces, &examples::traces()), compact(examples::TRACES_JSON));
    assert_eq!(written(json::logs, &examples::logs()), compact(examples::LOGS_JSON));
    assert_eq!(written(json::metrics, &examples::metrics()), compact(examples::METRICS_JSON));
}

#[test]
fn everything_written_is_one_line_of_json() {
    for seed in 0..30 {
        let mut generator = Generator::new(seed, Options::wild());
        for text in [
            written(json::traces, &generator.traces()),
            written(json::logs, &generator.logs()),
            written(json::metrics, &generator.metrics()),
        ] {
            assert!(serde_json::from_str::<Value>(&text).unwrap().is_object(), "seed {seed}");
            assert!(!text.contains('\n'), "seed {seed}");
        }
    }
    assert_eq!(written(json::traces, &ExportTraceServiceRequest::default()), "{}");
}
