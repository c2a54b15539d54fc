//! Sent = stored: requests through the decoder and back, in both encodings.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemas::attributes::{ATTRIBUTE_PREFIX, RESOURCE_PREFIX};
use schemas::{Batch, Signal, Table, columns as c, json};
use storage::Encoding;
use testkit::compare::Records;
use testkit::examples;
use testkit::otlp::{Generator, Options};

use super::check_same;
use crate::decode::{Decoder, Limits};
use crate::export::{self, logs, metrics, traces};

const SEEDS: u64 = 300;
/// A minute behind the generator's clock.
const RECEIVED_NS: i64 = 1_748_779_260_000_000_000;

/// A request of any signal in both encodings, and what it holds.
struct Sent {
    signal: Signal,
    records: Records,
    protobuf: Vec<u8>,
    json: Vec<u8>,
}

impl Sent {
    fn new<M: Message>(
        signal: Signal,
        request: &M,
        records: fn(&M) -> Records,
        write: fn(&mut Vec<u8>, &M),
    ) -> Sent {
        let mut json = Vec::new();
        write(&mut json, request);
        Sent { signal, records: records(request), protobuf: request.encode_to_vec(), json }
    }

    fn all(mut generator: Generator) -> [Sent; 3] {
        [
            Sent::traces(&generator.traces()),
            Sent::logs(&generator.logs()),
            Sent::metrics(&generator.metrics()),
        ]
    }

    fn traces(request: &ExportTraceServiceRequest) -> Sent {
        Sent::new(Signal::Traces, request, Records::of_traces, export::json::traces)
    }

    fn logs(request: &ExportLogsServiceRequest) -> Sent {
        Sent::new(Signal::Logs, request, Records::of_logs, export::json::logs)
    }

    fn metrics(request: &ExportMetricsServiceRequest) -> Sent {
        Sent::new(Signal::Metrics, request, Records::of_metrics, export::json::metrics)
    }

    fn check(&self, seed: u64, decoder: &mut Decoder) {
        for (encoding, body) in [(Encoding::Protobuf, &self.protobuf), (Encoding::Json, &self.json)]
        {
            let decoded = decoder.decode(self.signal, encoding, body, RECEIVED_NS).unwrap();
            let context = format!("seed {seed}, {encoding:?}, {:?}", self.signal);
            assert_eq!(decoded.rejects.total(), 0, "{context}: {:?}", decoded.rejects.first());
            assert_eq!(decoded.accepted as usize, self.records.len(), "{context}");
            check_same(seed, &self.records, &back(self.signal, &decoded.batches));
        }
    }
}

fn back(signal: Signal, batches: &[Batch]) -> Records {
    let rows = |table| -> Vec<RecordBatch> {
        batches.iter().filter(|b| b.table == table).map(|b| logical(table, &b.rows)).collect()
    };
    match signal {
        Signal::Traces => Records::of_traces(&traces(&rows(Table::Spans)).unwrap()),
        Signal::Logs => Records::of_logs(&logs(&rows(Table::Logs)).unwrap()),
        Signal::Metrics => Records::of_metrics(
            &metrics(
                &rows(Table::MetricPoints),
                &rows(Table::MetricHistograms),
                &rows(Table::MetricSummaries),
                &rows(Table::MetricExemplars),
            )
            .unwrap(),
        ),
    }
}

/// Live rows in the logical shape: promoted attributes merged back into `attributes`.
fn logical(table: Table, rows: &RecordBatch) -> RecordBatch {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let name = field.name();
        if name != c::ATTRIBUTES_REST
            && !name.starts_with(ATTRIBUTE_PREFIX)
            && !name.starts_with(RESOURCE_PREFIX)
        {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    if table.has_attributes() {
        let texts: Vec<_> = (0..rows.num_rows()).map(|row| attributes(rows, row)).collect();
        fields.push(Arc::new(Field::new(c::ATTRIBUTES, DataType::Utf8View, false)));
        columns.push(Arc::new(StringViewArray::from(texts)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn attributes(rows: &RecordBatch, row: usize) -> String {
    let rest = rows.column_by_name(c::ATTRIBUTES_REST).unwrap().as_string_view();
    let rest = if rest.is_null(row) { "{}" } else { rest.value(row) };
    let mut members: Vec<(String, Vec<u8>)> = json::members(rest)
        .map(|(key, raw)| (json::unescape(key).into_owned(), raw.as_bytes().to_vec()))
        .collect();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if let Some(key) = field.name().strip_prefix(ATTRIBUTE_PREFIX)
            && column.is_valid(row)
        {
            members.push((key.to_owned(), promoted(column.as_ref(), row)));
        }
    }
    let count = members.len();
    members.sort();
    members.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(members.len(), count, "a promoted key stands in the residual too: {members:?}");
    let mut out = Vec::new();
    for (key, raw) in members {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::write_string(&mut out, &key);
        out.push(b':');
        out.extend_from_slice(&raw);
    }
    out.extend_from_slice(if count == 0 { b"{}" } else { b"}" });
    String::from_utf8(out).unwrap()
}

fn promoted(column: &dyn Array, row: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match column.data_type() {
        DataType::Utf8View => {
            json::write_string(&mut out, column.as_string_view().value(row));
        }
        DataType::Int64 => {
            json::write_int(&mut out, column.as_primitive::<Int64Type>().value(row));
        }
        DataType::Float64 => {
            json::write_double(&mut out, column.as_primitive::<Float64Type>().value(row));
        }
        DataType::Boolean => json::write_bool(&mut out, column.as_boolean().value(row)),
        other => panic!("a promoted column is {other}"),
    }
    out
}

#[test]
fn wild_requests_survive_storing() {
    let mut decoder = Decoder::new(Limits::default());
    for seed in 0..SEEDS {
        for sent in Sent::all(Generator::new(seed, Options::wild())) {
            sent.check(seed, &mut decoder);
        }
    }
}

#[test]
fn plausible_requests_survive_storing() {
    let mut decoder = Decoder::new(Limits::default());
    for seed in 0..3 {
        for sent in Sent::all(Generator::new(seed, Options::plausible())) {
            sent.check(seed, &mut decoder);
        }
    }
}

#[test]
fn examples_survive_storing() {
    let mut decoder = Decoder::new(Limits::default());
    Sent::traces(&examples::traces()).check(0, &mut decoder);
    Sent::logs(&examples::logs()).check(0, &mut decoder);
    Sent::metrics(&examples::metrics()).check(0, &mut decoder);
}
