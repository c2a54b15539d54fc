//! Which differences count.
// A request that lacks what the generator always makes should fail the test there.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span, Status};

use super::Records;
use crate::examples;

type Change = fn(&mut ScopeSpans);

fn changed(change: Change) -> ExportTraceServiceRequest {
    let mut request = examples::traces();
    change(&mut request.resource_spans[0].scope_spans[0]);
    request
}

fn first(scope: &mut ScopeSpans) -> &mut Span {
    &mut scope.spans[0]
}

#[test]
fn differences_without_a_meaning_do_not_count() {
    let changes: &[Change] = &[
        |_| {},
        |s| s.spans.reverse(),
        |s| first(s).attributes.reverse(),
        |s| {
            let twice = first(s).attributes[0].clone();
            first(s).attributes.push(twice);
        },
        |s| first(s).parent_span_id = vec![0; 8],
        |s| s.spans.iter_mut().for_each(|s| _ = s.status.get_or_insert(Status::default())),
    ];
    for (i, change) in changes.iter().enumerate() {
        let base = Records::of_traces(&examples::traces());
        // The first span of the example is a root.
        assert_eq!(base.difference(&Records::of_traces(&changed(*change))), None, "{i}");
    }
}

#[test]
fn every_other_difference_counts() {
    let changes: &[Change] = &[
        |s| _ = s.spans.pop(),
        |s| {
            let twice = first(s).clone();
            s.spans.push(twice);
        },
        |s| _ = first(s).attributes.pop(),
        |s| first(s).attributes[0].value = None,
        |s| first(s).events[0].attributes.clear(),
        |s| first(s).end_time_unix_nano += 1,
        |s| s.schema_url.push('x'),
        |s| s.scope = Some(InstrumentationScope::default()),
    ];
    for (i, change) in changes.iter().enumerate() {
        let base = Records::of_traces(&examples::traces());
        assert!(base.difference(&Records::of_traces(&changed(*change))).is_some(), "{i}");
    }
}

#[test]
fn a_difference_shows_where_records_part() {
    let base = Records::of_traces(&examples::traces());
    let other = Records::of_traces(&changed(|s| first(s).name = "other".to_owned()));
    let text = base.difference(&other).unwrap().to_string();
    assert!(text.starts_with("1 missing, 1 too much\n"), "{text}");
    assert!(text.contains("name: \"other\""), "{text}");
}
