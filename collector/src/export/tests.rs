//! Rows of generated requests come back as what was sent, and damage is named.
// A panic is the failure of the test.
#![allow(clippy::unwrap_used)]

mod decoded;
mod oracle;
mod writer;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringViewArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use schemas::columns as c;
use testkit::compare::Records;
use testkit::examples;
use testkit::otlp::{Generator, Options};

use super::{ExportError, logs, metrics, traces, values};

/// Requests of each kind that a property is tried on.
const SEEDS: u64 = 100;

fn check_same(seed: u64, sent: &Records, back: &Records) {
    if let Some(difference) = sent.difference(back) {
        panic!("seed {seed}: {difference}");
    }
}

fn check_metrics(seed: u64, sent: &ExportMetricsServiceRequest, tables: &oracle::Metrics) {
    let [points, histograms, summaries, exemplars] =
        [&tables.points, &tables.histograms, &tables.summaries, &tables.exemplars]
            .map(std::slice::from_ref);
    let back = metrics(points, histograms, summaries, exemplars).unwrap();
    check_same(seed, &Records::of_metrics(sent), &Records::of_metrics(&back));
}

#[test]
fn rows_come_back_as_they_were_sent() {
    for seed in 0..SEEDS {
        let options = if seed % 10 == 0 {
            Options { records: 20, ..Options::plausible() }
        } else {
            Options::wild()
        };
        let mut generator = Generator::new(seed, options);
        let sent = generator.traces();
        let back = traces(&[oracle::spans(&sent)]).unwrap();
        check_same(seed, &Records::of_traces(&sent), &Records::of_traces(&back));
        let sent = generator.logs();
        let back = logs(&[oracle::logs(&sent)]).unwrap();
        check_same(seed, &Records::of_logs(&sent), &Records::of_logs(&back));
        let sent = generator.metrics();
        check_metrics(seed, &sent, &oracle::metrics(&sent));
    }
}

#[test]
fn examples_come_back_as_they_are() {
    // Sorted attributes aside, which the example of metrics has already.
    let sent = examples::metrics();
    let tables = oracle::metrics(&sent);
    check_metrics(0, &sent, &tables);
    assert_eq!(traces(&[]).unwrap().resource_spans, []);
    let back = traces(&[oracle::spans(&examples::traces())]).unwrap();
    assert_eq!(back.resource_spans.len(), 1);
    assert_eq!(back.resource_spans[0].scope_spans.len(), 1);
}

#[test]
fn equal_resources_of_several_batches_are_one() {
    let rows = oracle::spans(&examples::traces());
    let back = traces(&[rows.clone(), rows.clone(), rows]).unwrap();
    assert_eq!(back.resource_spans.len(), 1);
    assert_eq!(back.resource_spans[0].scope_spans[0].spans.len(), 6);
}

#[test]
fn points_of_one_metric_are_together_again() {
    let tables = oracle::metrics(&examples::metrics());
    let back = metrics(
        &[tables.points.clone(), tables.points],
        &[tables.histograms],
        &[tables.summaries],
        &[tables.exemplars],
    );
    let back = back.unwrap();
    let metrics = &back.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = metrics.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["shop.load", "shop.orders", "shop.latency", "shop.size", "shop.old"]);
    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
    assert_eq!(gauge.data_points.len(), 4);
    // The points are twice the same, so the first of them carries the exemplar.
    let Some(Data::Sum(sum)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
    let exemplars: Vec<_> = sum.data_points.iter().map(|p| p.exemplars.len()).collect();
    assert_eq!(exemplars, [1, 0]);
}

/// The same rows with each column run through `change`.
fn changed(
    rows: &RecordBatch,
    change: impl Fn(&Field, &ArrayRef) -> Option<ArrayRef>,
) -> RecordBatch {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .filter_map(|(field, column)| {
            let column = change(field, column)?;
            Some((Field::new(field.name(), column.data_type().clone(), true), column))
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn any_form_of_text_and_any_order_of_columns_will_do() {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let rows = oracle::spans(&examples::traces());
    for text in [DataType::Utf8, DataType::LargeUtf8, dictionary] {
        let other = changed(&rows, |_, column| match column.data_type() {
            DataType::Utf8View => Some(cast(column, &text).unwrap()),
            _ => Some(Arc::clone(column)),
        });
        let columns: Vec<usize> = (0..other.num_columns()).rev().collect();
        let other = other.project(&columns).unwrap();
        assert_eq!(traces(&[other]).unwrap(), traces(std::slice::from_ref(&rows)).unwrap());
    }
}

#[test]
fn rows_that_are_no_spans_are_refused() {
    let rows = oracle::spans(&examples::traces());
    let check = |rows: RecordBatch, expected: &str| {
        let error = traces(&[rows]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let without =
        changed(&rows, |field, column| (field.name() != c::ATTRIBUTES).then(|| Arc::clone(column)));
    check(without, "the rows of spans lack the column attributes;");
    let with = |name: &'static str, text: &'static str| {
        changed(&rows, |field, column| {
            let texts = || StringViewArray::from(vec![text; column.len()]);
            Some(if field.name() == name { Arc::new(texts()) } else { Arc::clone(column) })
        })
    };
    check(with(c::DURATION_NS, "x"), "column duration_ns is Utf8View and cannot be read as Int64");
    check(with(c::KIND, "servant"), "column kind holds \"servant\", which is not a known word");
    check(with(c::RESOURCE, "{\"a\":1"), "column resource holds \"{\\\"a\\\":1\", which is not");
    check(with(c::ATTRIBUTES, "{\"a\":1,}"), "column attributes holds ");
    assert!(matches!(
        logs(std::slice::from_ref(&rows)),
        Err(ExportError::MissingColumn { column: c::TIME, .. })
    ));
    assert!(metrics(&[rows], &[], &[], &[]).is_err());
}

#[test]
fn text_that_is_not_canonical_is_no_value() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for raw in [
        "",
        "nul",
        "[",
        "[1",
        "[1,]",
        "[1}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1}}",
        "1 ",
        "1x",
        "{\"$b64\":\"?\"}",
        deep.as_str(),
    ] {
        assert!(values::value(c::BODY, raw).is_err(), "{raw:.80}");
    }
    for raw in ["{", "[]", "7", "{\"a\":1,\"b\"}", "{\"a\":[1}"] {
        assert!(values::attributes(c::ATTRIBUTES, raw).is_err(), "{raw}");
    }
    for raw in ["{}", "[{\"name\":\"x\"}]", "[{\"type\":1}]", "[1]"] {
        assert!(values::entity_refs(raw).is_err(), "{raw}");
    }
}
