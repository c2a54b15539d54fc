//! Rows of `spans` → trace requests.

use arrow_array::{
    Array, FixedSizeBinaryArray, Int64Array, RecordBatch, StringViewArray,
    TimestampNanosecondArray, UInt32Array,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use schemas::{Table, columns as c};

use super::ExportError;
use super::columns::{Columns, Structs, id, number, optional, text, time};
use super::groups::{Envelope, Groups};
use super::values::attributes;

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

/// The spans of rows of the table `spans` in its logical shape.
pub fn traces(batches: &[RecordBatch]) -> Result<ExportTraceServiceRequest, ExportError> {
    let batches = batches.iter().map(Spans::new).collect::<Result<Vec<_>, _>>()?;
    let mut groups = Groups::new();
    for spans in &batches {
        for row in 0..spans.name.len() {
            let scope = groups.scope(&spans.envelope, row);
            groups.records(scope).push(spans.span(row)?);
        }
    }
    let resource_spans = groups.wrap(
        |scope, schema_url, spans| ScopeSpans { scope, spans, schema_url },
        |resource, schema_url, scope_spans| ResourceSpans { resource, scope_spans, schema_url },
    )?;
    Ok(ExportTraceServiceRequest { resource_spans })
}

struct Spans {
    envelope: Envelope,
    trace_id: FixedSizeBinaryArray,
    span_id: FixedSizeBinaryArray,
    parent_span_id: FixedSizeBinaryArray,
    start_time: TimestampNanosecondArray,
    duration_ns: Int64Array,
    end_before_start: Int64Array,
    name: StringViewArray,
    kind: StringViewArray,
    status_code: StringViewArray,
    status_message: StringViewArray,
    trace_state: StringViewArray,
    flags: UInt32Array,
    attributes: StringViewArray,
    dropped_attributes_count: UInt32Array,
    events: Events,
    dropped_events_count: UInt32Array,
    links: Links,
    dropped_links_count: UInt32Array,
}

impl Spans {
    fn new(rows: &RecordBatch) -> Result<Spans, ExportError> {
        let columns = Columns { table: Table::Spans, rows };
        Ok(Spans {
            envelope: Envelope::new(&columns)?,
            trace_id: columns.get(c::TRACE_ID)?,
            span_id: columns.get(c::SPAN_ID)?,
            parent_span_id: columns.get(c::PARENT_SPAN_ID)?,
            start_time: columns.get(c::START_TIME)?,
            duration_ns: columns.get(c::DURATION_NS)?,
            end_before_start: columns.get(c::END_BEFORE_START)?,
            name: columns.get(c::NAME)?,
            kind: columns.get(c::KIND)?,
            status_code: columns.get(c::STATUS_CODE)?,
            status_message: columns.get(c::STATUS_MESSAGE)?,
            trace_state: columns.get(c::TRACE_STATE)?,
            flags: columns.get(c::FLAGS)?,
            attributes: columns.get(c::ATTRIBUTES)?,
            dropped_attributes_count: columns.get(c::DROPPED_ATTRIBUTES_COUNT)?,
            events: Events::new(&columns)?,
            dropped_events_count: columns.get(c::DROPPED_EVENTS_COUNT)?,
            links: Links::new(&columns)?,
            dropped_links_count: columns.get(c::DROPPED_LINKS_COUNT)?,
        })
    }

    fn span(&self, row: usize) -> Result<Span, ExportError> {
        Ok(Span {
            trace_id: id(&self.trace_id, row),
            span_id: id(&self.span_id, row),
            trace_state: text(&self.trace_state, row).to_owned(),
            parent_span_id: id(&self.parent_span_id, row),
            flags: self.flags.value(row),
            name: text(&self.name, row).to_owned(),
            kind: number(c::KIND, &KINDS, text(&self.kind, row))?,
            start_time_unix_nano: time(&self.start_time, row),
            end_time_unix_nano: self.end_time(row),
            attributes: attributes(c::ATTRIBUTES, text(&self.attributes, row))?,
            dropped_attributes_count: self.dropped_attributes_count.value(row),
            events: self.events.of_row(row)?,
            dropped_events_count: self.dropped_events_count.value(row),
            links: self.links.of_row(row)?,
            dropped_links_count: self.dropped_links_count.value(row),
            status: self.status(row)?,
        })
    }

    fn end_time(&self, row: usize) -> u64 {
        let from_start = match optional(&self.end_before_start, row) {
            Some(before_ns) => -before_ns,
            None => self.duration_ns.value(row),
        };
        time(&self.start_time, row).saturating_add_signed(from_start)
    }

    fn status(&self, row: usize) -> Result<Option<Status>, ExportError> {
        let status = Status {
            message: text(&self.status_message, row).to_owned(),
            code: number(c::STATUS_CODE, &STATUS_CODES, text(&self.status_code, row))?,
        };
        Ok((status != Status::default()).then_some(status))
    }
}

struct Events {
    lists: Structs,
    time: TimestampNanosecondArray,
    name: StringViewArray,
    attributes: StringViewArray,
    dropped_attributes_count: UInt32Array,
}

impl Events {
    fn new(columns: &Columns<'_>) -> Result<Events, ExportError> {
        let lists = Structs::get(columns, c::EVENTS)?;
        Ok(Events {
            time: lists.field(c::TIME)?,
            name: lists.field(c::NAME)?,
            attributes: lists.field(c::ATTRIBUTES)?,
            dropped_attributes_count: lists.field(c::DROPPED_ATTRIBUTES_COUNT)?,
            lists,
        })
    }

    fn of_row(&self, row: usize) -> Result<Vec<Event>, ExportError> {
        let event = |i| {
            Ok(Event {
                time_unix_nano: time(&self.time, i),
                name: text(&self.name, i).to_owned(),
                attributes: attributes(c::EVENTS, text(&self.attributes, i))?,
                dropped_attributes_count: self.dropped_attributes_count.value(i),
            })
        };
        self.lists.elements(row).map(event).collect()
    }
}

struct Links {
    lists: Structs,
    trace_id: FixedSizeBinaryArray,
    span_id: FixedSizeBinaryArray,
    trace_state: StringViewArray,
    attributes: StringViewArray,
    dropped_attributes_count: UInt32Array,
    flags: UInt32Array,
}

impl Links {
    fn new(columns: &Columns<'_>) -> Result<Links, ExportError> {
        let lists = Structs::get(columns, c::LINKS)?;
        Ok(Links {
            trace_id: lists.field(c::TRACE_ID)?,
            span_id: lists.field(c::SPAN_ID)?,
            trace_state: lists.field(c::TRACE_STATE)?,
            attributes: lists.field(c::ATTRIBUTES)?,
            dropped_attributes_count: lists.field(c::DROPPED_ATTRIBUTES_COUNT)?,
            flags: lists.field(c::FLAGS)?,
            lists,
        })
    }

    fn of_row(&self, row: usize) -> Result<Vec<Link>, ExportError> {
        let link = |i| {
            Ok(Link {
                trace_id: id(&self.trace_id, i),
                span_id: id(&self.span_id, i),
                trace_state: text(&self.trace_state, i).to_owned(),
                attributes: attributes(c::LINKS, text(&self.attributes, i))?,
                dropped_attributes_count: self.dropped_attributes_count.value(i),
                flags: self.flags.value(i),
            })
        };
        self.lists.elements(row).map(link).collect()
    }
}
