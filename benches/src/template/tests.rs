//! Renewed requests decode, and no id or time of the template is left in them.
#![allow(clippy::unwrap_used)] // a failing test may panic

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::*;

const NOW_NS: u64 = 1_700_000_000_000_000_000;

fn spans(template: &Template) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(template.message()).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
    scopes.flat_map(|s| s.spans).collect()
}

#[test]
fn every_request_is_new() {
    let mut template = Template::new(Signal::Traces, 512, 1, "run");
    let (mut traces, mut ids) = (HashSet::new(), HashSet::new());
    for number in 0..3 {
        template.renew(7, number, NOW_NS);
        for span in spans(&template) {
            traces.insert(span.trace_id);
            assert!(ids.insert(span.span_id), "a span id came twice");
        }
    }
    assert_eq!((ids.len(), traces.len()), (3 * 512, 3 * 64));
}

#[test]
fn parents_exist_and_children_lie_within_the_last_second() {
    let mut template = Template::new(Signal::Traces, 512, 1, "run");
    template.renew(7, 1, NOW_NS);
    let spans = spans(&template);
    let known: HashSet<_> = spans.iter().map(|s| (&s.trace_id, &s.span_id)).collect();
    for span in &spans {
        let parent = (&span.trace_id, &span.parent_span_id);
        assert!(span.parent_span_id.is_empty() || known.contains(&parent));
        assert!(span.start_time_unix_nano > NOW_NS - 1_000_000_000);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= NOW_NS);
        assert_eq!(span.attributes.len(), 10);
        assert!(span.events.iter().all(|e| e.time_unix_nano > NOW_NS - 1_000_000_000));
    }
    let events = spans.iter().filter(|s| !s.events.is_empty()).count();
    assert!((25..80).contains(&events), "{events} of 512 spans have events");
}

#[test]
fn logs_and_points_carry_the_time_of_sending() {
    let mut template = Template::new(Signal::Logs, 512, 1, "run");
    template.renew(7, 1, NOW_NS);
    let request = ExportLogsServiceRequest::decode(template.message()).unwrap();
    let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
    let times: Vec<u64> = scopes.flat_map(|s| &s.log_records).map(|l| l.time_unix_nano).collect();
    assert_eq!(times.len(), 512);
    assert!(times.iter().all(|t| (NOW_NS - 1_000_000_000..=NOW_NS).contains(t)));

    let mut template = Template::new(Signal::Metrics, 512, 1, "run");
    template.renew(7, 1, NOW_NS);
    let request = ExportMetricsServiceRequest::decode(template.message()).unwrap();
    assert_eq!(template.records(), model::points(&request));
    assert!(template.message().windows(8).any(|w| w == NOW_NS.to_le_bytes()));
}

#[test]
fn equal_seeds_give_equal_requests() {
    for signal in Signal::ALL {
        let template = |seed| Template::new(signal, 64, seed, "run");
        assert_eq!(template(1).message(), template(1).message());
        assert_ne!(template(1).message(), template(2).message());
    }
}
