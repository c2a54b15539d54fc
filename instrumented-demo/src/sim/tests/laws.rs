//! What must hold between the answers and the data they are beside.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::*;
use crate::topology;

/// Few enough requests of each system for a test.
fn options(preset: Preset) -> Options {
    let requests = match preset {
        Preset::DeepChain => 1,
        Preset::MetaFetch => 4,
        Preset::Shop => 400,
        _ => 120,
    };
    small(preset, requests)
}

#[test]
fn unit_every_span_is_counted_and_hangs_where_it_should() {
    for preset in Preset::value_variants() {
        let (kept, summary) = Kept::of(&options(*preset));
        if !summary.answers.exact {
            continue;
        }
        let spans = kept.spans();
        assert_eq!(spans.len() as u64, summary.answers.spans, "{preset:?}");
        assert_eq!(summary.sent.spans, summary.answers.spans);
        let ids: HashMap<(&[u8], &[u8]), &Span> = spans
            .iter()
            .map(|(_, span)| ((span.trace_id.as_slice(), span.span_id.as_slice()), span))
            .collect();
        assert_eq!(ids.len(), spans.len(), "{preset:?}: an id was used twice");
        let mut roots = 0;
        for (_, span) in &spans {
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            if span.parent_span_id.is_empty() {
                roots += 1;
                continue;
            }
            let parent = ids[&(span.trace_id.as_slice(), span.parent_span_id.as_slice())];
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{preset:?}");
        }
        assert_eq!(roots, summary.answers.traces, "{preset:?}");
        let traces: BTreeSet<&[u8]> = spans.iter().map(|(_, s)| s.trace_id.as_slice()).collect();
        assert_eq!(traces.len() as u64, summary.answers.traces, "{preset:?}");
    }
}

#[test]
fn unit_the_path_times_add_up_to_the_roots() {
    for preset in Preset::value_variants() {
        let answers = Kept::of(&options(*preset)).1.answers;
        let roots: u64 = answers.roots.iter().map(|root| root.duration_ns).sum();
        assert_eq!(answers.critical_ns.values().sum::<u64>(), roots, "{preset:?}");
        let own: u64 = answers.self_ns.values().sum();
        assert!(own >= roots, "{preset:?}: all that waits works somewhere");
    }
}

#[test]
fn unit_edges_are_the_spans_that_call() {
    for preset in Preset::value_variants() {
        let (kept, summary) = Kept::of(&options(*preset));
        if !summary.answers.exact {
            continue;
        }
        let mut kinds: BTreeMap<i32, u64> = BTreeMap::new();
        for (_, span) in kept.spans() {
            *kinds.entry(span.kind).or_default() += 1;
        }
        let calling: u64 = [3, 4, 5].iter().filter_map(|kind| kinds.get(kind)).sum();
        let answers = &summary.answers;
        let calls = |is_entry: bool| -> u64 {
            let edges = answers.edges.iter().filter(|e| (e.source_kind == "user") == is_entry);
            edges.map(|edge| edge.calls).sum()
        };
        let known = match preset {
            // Callers there have no spans of their own.
            Preset::MetaFetch => kinds[&2] - answers.traces,
            _ => calling,
        };
        assert_eq!(calls(false), known, "{preset:?}");
        let consumed: u64 = kinds.get(&5).copied().unwrap_or(0);
        // A batch that nobody called is no call.
        let entered = if *preset == Preset::RpcSkew { 0 } else { answers.traces - consumed };
        assert_eq!(calls(true), entered, "{preset:?}");
    }
}

/// Self time found in the spans themselves, by a sweep over their children.
#[test]
fn unit_self_times_are_those_of_the_spans() {
    for preset in Preset::value_variants() {
        let (kept, summary) = Kept::of(&options(*preset));
        if !summary.answers.exact {
            continue;
        }
        let spans = kept.spans();
        let mut children: HashMap<&[u8], Vec<(u64, u64)>> = HashMap::new();
        for (_, span) in &spans {
            let times = (span.start_time_unix_nano, span.end_time_unix_nano);
            children.entry(&span.parent_span_id).or_default().push(times);
        }
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for (service, span) in &spans {
            let mut below = children.remove(span.span_id.as_slice()).unwrap_or_default();
            below.sort_unstable();
            let (mut covered_to, end_ns) = (span.start_time_unix_nano, span.end_time_unix_nano);
            let mut own_ns = end_ns - covered_to;
            for (from_ns, to_ns) in below {
                let (from_ns, to_ns) = (from_ns.max(covered_to), to_ns.min(end_ns));
                if from_ns < to_ns {
                    own_ns -= to_ns - from_ns;
                    covered_to = to_ns;
                }
            }
            *found.entry(service.clone()).or_default() += own_ns;
        }
        found.retain(|_, ns| *ns > 0);
        assert_eq!(found, summary.answers.self_ns, "{preset:?}");
    }
}

#[test]
fn unit_requests_are_as_an_sdk_sends_them() {
    for preset in Preset::value_variants() {
        let (kept, _) = Kept::of(&options(*preset));
        for request in kept.traces() {
            let [of_resource] = request.resource_spans.as_slice() else { panic!("one resource") };
            let [of_scope] = of_resource.scope_spans.as_slice() else { panic!("one scope") };
            assert!((1..=512).contains(&of_scope.spans.len()));
        }
    }
}

#[test]
fn unit_logs_belong_to_spans_and_every_request_has_one() {
    let (kept, summary) = Kept::of(&options(Preset::Shop));
    let spans: BTreeSet<(Vec<u8>, Vec<u8>)> =
        kept.spans().into_iter().map(|(_, span)| (span.trace_id, span.span_id)).collect();
    let requests: Vec<ExportLogsServiceRequest> = kept.decoded(Signal::Logs);
    let records: Vec<_> = requests
        .into_iter()
        .flat_map(|request| request.resource_logs)
        .flat_map(|of_resource| of_resource.scope_logs)
        .flat_map(|of_scope| of_scope.log_records)
        .collect();
    assert_eq!(records.len() as u64, summary.sent.log_records);
    assert!(records.iter().all(|r| spans.contains(&(r.trace_id.clone(), r.span_id.clone()))));
    let with_log: BTreeSet<&[u8]> = records.iter().map(|r| r.trace_id.as_slice()).collect();
    assert_eq!(with_log.len() as u64, summary.answers.traces);
}

#[test]
fn unit_exemplars_are_spans_that_fall_into_their_bucket() {
    let (kept, summary) = Kept::of(&options(Preset::Shop));
    let durations: HashMap<(Vec<u8>, Vec<u8>), u64> = kept
        .spans()
        .into_iter()
        .map(|(_, s)| ((s.trace_id, s.span_id), s.end_time_unix_nano - s.start_time_unix_nano))
        .collect();
    let requests: Vec<ExportMetricsServiceRequest> = kept.decoded(Signal::Metrics);
    let metrics = requests
        .into_iter()
        .flat_map(|request| request.resource_metrics)
        .flat_map(|of_resource| of_resource.scope_metrics)
        .flat_map(|of_scope| of_scope.metrics);
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut exemplars = 0;
    for metric in metrics {
        let Some(Data::Histogram(histogram)) = metric.data else { continue };
        for point in histogram.data_points {
            let series = format!("{:?}", point.attributes);
            last.insert(series, point.count);
            for exemplar in point.exemplars {
                let ns = durations[&(exemplar.trace_id, exemplar.span_id)];
                let bucket = point.explicit_bounds.partition_point(|b| *b < ns as f64 / 1e9);
                assert!(point.bucket_counts[bucket] > 0);
                exemplars += 1;
            }
        }
    }
    assert!(exemplars > 100 && summary.sent.data_points > 100, "{exemplars}");
}

#[test]
fn unit_a_day_has_exactly_its_requests() {
    let day = Options { minutes: None, ..small(Preset::Day1e9, 2_400) };
    let (kept, summary) = Kept::of(&Options { signals: vec![Signal::Traces], ..day.clone() });
    let entries: u64 =
        summary.answers.edges.iter().filter(|e| e.source_kind == "user").map(|e| e.calls).sum();
    assert_eq!(entries, 2_400);
    let spans = kept.spans();
    assert!(spans.iter().all(|(_, span)| span.trace_state == "ot=th:ffbe76c8b43958"));
    let hour = |h: u64| {
        let from = day.start_ns + h * 60 * MINUTE_NS;
        let is_root = |(_, s): &&(String, Span)| {
            s.kind == 2
                && s.parent_span_id.is_empty()
                && (from..from + 60 * MINUTE_NS).contains(&s.start_time_unix_nano)
        };
        spans.iter().filter(is_root).count()
    };
    assert!(hour(12) > 3 * hour(3), "{} {}", hour(12), hour(3));
}

#[test]
fn unit_the_shop_is_the_demo() {
    let answers = Kept::of(&small(Preset::Shop, 3_000)).1.answers;
    let edges = answers.edges.into_iter().filter(|edge| edge.source_kind != "user");
    let found: BTreeSet<(String, String)> = edges.map(|edge| (edge.source, edge.target)).collect();
    let expected = topology::expected_edges(topology::Shop::All);
    let expected = expected.into_iter().map(|edge| (edge.caller, edge.callee)).collect();
    assert_eq!(found, expected);
}
