//! What the reservoir keeps.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, ResourceMetrics as Group, ScopeMetrics,
};

use super::*;

const BOUNDS: &[f64] = &[0.1, 1.0];

fn context(span: u64, flags: TraceFlags) -> Context {
    let (trace, span) = (TraceId::from(7), SpanId::from(span));
    let remote = SpanContext::new(trace, span, flags, false, TraceState::default());
    Context::new().with_remote_span_context(remote)
}

fn offer(reservoir: &Reservoir, value: f64, span: u64, flags: TraceFlags) {
    let attributes = [KeyValue::new("route", "/a"), KeyValue::new("code", 200)];
    let buckets = Buckets::Explicit(BOUNDS);
    reservoir.offer("m", &buckets, value, &attributes, &context(span, flags));
}

/// A request with one point whose attributes come in another order.
fn request() -> ExportMetricsServiceRequest {
    use wire::any_value::Value;
    let attribute = |key: &str, value| wire::KeyValue {
        key: key.to_owned(),
        value: Some(wire::AnyValue { value: Some(value) }),
        ..wire::KeyValue::default()
    };
    let attributes = vec![
        attribute("code", Value::IntValue(200)),
        attribute("route", Value::StringValue("/a".to_owned())),
    ];
    let point = HistogramDataPoint { attributes, ..HistogramDataPoint::default() };
    let data =
        metric::Data::Histogram(Histogram { data_points: vec![point], ..Histogram::default() });
    let metric = Metric { name: "m".to_owned(), data: Some(data), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let group = Group { scope_metrics: vec![scope], ..Group::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }
}

/// Values and last bytes of the span ids, after an export.
fn exported(reservoir: &Reservoir) -> Vec<(f64, u8)> {
    let mut request = request();
    reservoir.fill(&mut request);
    let metric = request.resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0);
    let Some(metric::Data::Histogram(mut histogram)) = metric.data else { panic!("no histogram") };
    let exemplars = histogram.data_points.remove(0).exemplars;
    let pair = |exemplar: Exemplar| match exemplar.value {
        Some(exemplar::Value::AsDouble(value)) => (value, exemplar.span_id[7]),
        other => panic!("{other:?}"),
    };
    exemplars.into_iter().map(pair).collect()
}

#[test]
fn unit_the_last_of_each_bucket_is_kept_until_it_is_sent() {
    let reservoir = Reservoir::default();
    for (value, span) in [(0.05, 1), (0.1, 2), (0.5, 3), (9.0, 4), (0.2, 5)] {
        offer(&reservoir, value, span, TraceFlags::SAMPLED);
    }
    assert_eq!(exported(&reservoir), [(0.1, 2), (0.2, 5), (9.0, 4)]);
    assert_eq!(exported(&reservoir), []);
}

#[test]
fn unit_what_nobody_will_see_is_not_kept() {
    let reservoir = Reservoir::default();
    offer(&reservoir, 0.05, 1, TraceFlags::NOT_SAMPLED);
    reservoir.offer("m", &Buckets::Explicit(BOUNDS), 0.5, &[], &Context::new());
    assert_eq!(exported(&reservoir), []);
}

#[test]
fn unit_the_reservoir_is_bounded_and_counts_what_it_drops() {
    let reservoir = Reservoir::default();
    let context = context(1, TraceFlags::SAMPLED);
    for number in 0..SETS_MAX as i64 + 10 {
        let attributes = [KeyValue::new("n", number)];
        reservoir.offer("m", &Buckets::Exponential, 0.5, &attributes, &context);
    }
    assert_eq!(reservoir.dropped(), 10);
}
