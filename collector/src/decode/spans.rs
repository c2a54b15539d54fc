//! Spans of the wire to rows of the table `spans`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, TimestampNanosecondArray};
use arrow_schema::ArrowError;
use schemas::columns as c;
use schemas::{Batch, Table};

use super::attributes::{KeyTable, Split, Staged};
use super::columns::{
    Ids, ListEnds, Rows, array, id, optional, push_json, push_number_word, push_text,
    push_text_or_null, texts, times,
};
use super::merge::merged;
use super::text::{cut, excerpt};
use super::wire::{Field, Fields, Wire, set_once};
use super::{Bad, Limits, Request, Sink, messages, stored_time};
use crate::rejects::Reason;

/// Spans of one request.
pub(super) struct Spans<'a> {
    stage: Span<'a>,
    columns: SpanColumns,
}

impl Spans<'_> {
    pub(super) fn new(body_bytes: usize) -> Self {
        Spans { stage: Span::default(), columns: SpanColumns::new(body_bytes) }
    }
}

impl<'a> Sink<'a> for Spans<'a> {
    const RECORD: &'static str = "spans";

    fn reserve(&mut self, records: usize) {
        self.columns.reserve(records);
    }

    fn count(_: &[u8]) -> u32 {
        1
    }

    fn push(&mut self, request: &mut Request<'a, '_>, record: &'a [u8], context: u32) {
        let staged = self.stage.read(record, request);
        let result =
            match staged.and_then(|()| self.columns.push(&mut self.stage, request, context)) {
                Err(Bad::Wire(Wire::Merge)) => self.push_merged(request, record, context),
                other => other,
            };
        if let Err(bad) = result {
            let name = self.stage.name;
            request.reject(bad, record, 1, || format!("span {}", excerpt(name)));
        }
    }

    fn accepted(&self) -> u32 {
        self.columns.rows.len() as u32
    }

    fn finish(self, request: &Request<'a, '_>) -> Result<Vec<Batch>, ArrowError> {
        if self.columns.rows.len() == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![self.columns.finish(request)?])
    }
}

impl Spans<'_> {
    #[cold]
    fn push_merged(
        &mut self,
        request: &mut Request<'_, '_>,
        record: &[u8],
        context: u32,
    ) -> Result<(), Bad> {
        let once = merged(&messages::SPAN, record)?;
        let mut stage = Span::default();
        stage.read(&once, request)?;
        self.columns.push(&mut stage, request, context)
    }
}

/// One span, staged.
#[derive(Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    name: &'a [u8],
    kind: i32,
    start_ns: u64,
    end_ns: u64,
    status_code: i32,
    status_message: &'a [u8],
    flags: u32,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
    attributes: Staged<'a>,
    split: Split<'a>,
    events: Vec<Event<'a>>,
    links: Vec<Link<'a>>,
    /// Attributes of all events, then of all links; each knows its range.
    inner: Staged<'a>,
    bits: u32,
}

#[derive(Default)]
struct Event<'a> {
    time_ns: u64,
    name: &'a [u8],
    dropped: u32,
    attributes: Range<usize>,
    /// Where the JSON of the attributes lies in the scratch, empty when there are none.
    json: Range<usize>,
}

#[derive(Default)]
struct Link<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    dropped: u32,
    flags: u32,
    attributes: Range<usize>,
    /// Where the JSON of the attributes lies in the scratch, empty when there are none.
    json: Range<usize>,
}

impl<'a> Span<'a> {
    fn clear(&mut self) {
        let mut kept = Span {
            attributes: std::mem::take(&mut self.attributes),
            split: std::mem::take(&mut self.split),
            events: std::mem::take(&mut self.events),
            links: std::mem::take(&mut self.links),
            inner: std::mem::take(&mut self.inner),
            ..Span::default()
        };
        kept.attributes.clear();
        kept.events.clear();
        kept.links.clear();
        kept.inner.clear();
        *self = kept;
    }

    fn read(&mut self, message: &'a [u8], request: &mut Request<'_, '_>) -> Result<(), Bad> {
        self.clear();
        request.too_large(message)?;
        let Request { keys, limits, .. } = request;
        let mut fields = Fields::new(message);
        let mut status = None;
        while let Some(field) = fields.next()? {
            match field {
                (9, Field::Bytes(kv)) => {
                    self.attributes.push(&mut keys.record, kv, limits, &mut self.bits)?;
                }
                (1, Field::Bytes(id)) => self.trace_id = id,
                (2, Field::Bytes(id)) => self.span_id = id,
                (3, Field::Bytes(text)) => self.trace_state = text,
                (4, Field::Bytes(id)) => self.parent_span_id = id,
                (5, Field::Bytes(text)) => self.name = text,
                (6, Field::Varint(v)) => self.kind = v as i32,
                (7, Field::Fixed64(v)) => self.start_ns = v,
                (8, Field::Fixed64(v)) => self.end_ns = v,
                (10, Field::Varint(v)) => self.dropped_attributes = v as u32,
                (11, Field::Bytes(m)) => self.read_event(m, &mut keys.plain, limits)?,
                (12, Field::Varint(v)) => self.dropped_events = v as u32,
                (13, Field::Bytes(m)) => self.read_link(m, &mut keys.plain, limits)?,
                (14, Field::Varint(v)) => self.dropped_links = v as u32,
                (15, Field::Bytes(m)) => set_once(&mut status, m)?,
                (16, Field::Fixed32(v)) => self.flags = v,
                (1..=16, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        self.read_status(status.unwrap_or_default())?;
        Ok(())
    }

    fn read_status(&mut self, message: &'a [u8]) -> Result<(), Wire> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (2, Field::Bytes(text)) => self.status_message = text,
                (3, Field::Varint(v)) => self.status_code = v as i32,
                (2..=3, _) => return Err(Wire::Type),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_event(
        &mut self,
        message: &'a [u8],
        keys: &mut KeyTable,
        limits: &Limits,
    ) -> Result<(), Bad> {
        let from = self.inner.len();
        let mut event = Event::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Fixed64(v)) => event.time_ns = v,
                (2, Field::Bytes(text)) => event.name = text,
                (3, Field::Bytes(kv)) => self.inner.push(keys, kv, limits, &mut self.bits)?,
                (4, Field::Varint(v)) => event.dropped = v as u32,
                (1..=4, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        event.attributes = from..self.inner.len();
        self.events.push(event);
        Ok(())
    }

    fn read_link(
        &mut self,
        message: &'a [u8],
        keys: &mut KeyTable,
        limits: &Limits,
    ) -> Result<(), Bad> {
        let from = self.inner.len();
        let mut link = Link::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(id)) => link.trace_id = id,
                (2, Field::Bytes(id)) => link.span_id = id,
                (3, Field::Bytes(text)) => link.trace_state = text,
                (4, Field::Bytes(kv)) => self.inner.push(keys, kv, limits, &mut self.bits)?,
                (5, Field::Varint(v)) => link.dropped = v as u32,
                (6, Field::Fixed32(v)) => link.flags = v,
                (1..=6, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        link.attributes = from..self.inner.len();
        self.links.push(link);
        Ok(())
    }

    fn ids(&self) -> Result<([u8; 16], [u8; 8]), Bad> {
        let trace_id = id(self.trace_id)
            .ok_or_else(|| bad_id(Reason::BadTraceId, "trace_id", self.trace_id, 16))?;
        let span_id = id(self.span_id)
            .ok_or_else(|| bad_id(Reason::BadSpanId, "span_id", self.span_id, 8))?;
        Ok((trace_id, span_id))
    }

    /// Writes the JSON of all attributes into the scratch; returns where the span's own lies.
    fn write_json(&mut self, request: &mut Request<'_, '_>) -> Result<Range<usize>, Bad> {
        let Request { keys, limits, scratch, .. } = request;
        let (plain, bits) = (&mut keys.plain, &mut self.bits);
        scratch.clear();
        keys.record.split(scratch, &self.attributes, &mut self.split, limits, bits)?;
        let own = 0..scratch.len();
        let events = self.events.iter_mut().map(|e| (e.attributes.clone(), &mut e.json));
        let links = self.links.iter_mut().map(|l| (l.attributes.clone(), &mut l.json));
        for (range, json) in events.chain(links) {
            let start = scratch.len();
            plain.write_range(scratch, &self.inner, range, limits, bits, |_, _| {})?;
            *json = start..scratch.len();
        }
        Ok(own)
    }
}

#[cold]
fn bad_id(reason: Reason, name: &str, bytes: &[u8], needed: usize) -> Bad {
    let text = if bytes.len() == needed {
        format!("{name} is all zero, which marks an invalid id")
    } else if bytes.len() == 2 * needed && bytes.iter().all(u8::is_ascii_hexdigit) {
        let len = bytes.len();
        format!("{name} has {len} bytes, {needed} needed; it looks like hex text in a bytes field")
    } else {
        format!("{name} has {} bytes, {needed} needed", bytes.len())
    };
    Bad::Reject(reason, text)
}

/// The span's start as stored, with its end or how far that lies before it.
struct Interval {
    start_ns: i64,
    duration_ns: i64,
    end_before_start_ns: Option<i64>,
}

impl Interval {
    fn new(span: &Span<'_>) -> Result<Interval, Bad> {
        let start_ns = stored_time("start_time_unix_nano", span.start_ns)?;
        let end_ns = stored_time("end_time_unix_nano", span.end_ns)?;
        for event in &span.events {
            stored_time("an event's time_unix_nano", event.time_ns)?;
        }
        let duration_ns = (end_ns - start_ns).max(0);
        let end_before_start_ns = (end_ns < start_ns).then(|| start_ns - end_ns);
        Ok(Interval { start_ns, duration_ns, end_before_start_ns })
    }
}

/// The columns that only spans have.
struct SpanColumns {
    rows: Rows,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    parent_span_id: Ids<8>,
    start_time: Vec<i64>,
    duration_ns: Vec<i64>,
    end_before_start: arrow_array::builder::Int64Builder,
    name: StringViewBuilder,
    kind: StringViewBuilder,
    status_code: StringViewBuilder,
    status_message: StringViewBuilder,
    trace_state: StringViewBuilder,
    flags: Vec<u32>,
    exception_type: StringViewBuilder,
    exception_message: StringViewBuilder,
    events: Events,
    links: Links,
    dropped_events: Vec<u32>,
    dropped_links: Vec<u32>,
    dropped_attributes: Vec<u32>,
    rest: StringViewBuilder,
}

struct Events {
    ends: ListEnds,
    time: Vec<i64>,
    name: StringViewBuilder,
    attributes: StringViewBuilder,
    dropped: Vec<u32>,
}

struct Links {
    ends: ListEnds,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: StringViewBuilder,
    attributes: StringViewBuilder,
    dropped: Vec<u32>,
    flags: Vec<u32>,
}

impl SpanColumns {
    fn new(body_bytes: usize) -> SpanColumns {
        let texts = || texts(body_bytes);
        SpanColumns {
            rows: Rows::new(body_bytes),
            trace_id: Ids::new(),
            span_id: Ids::new(),
            parent_span_id: Ids::new(),
            start_time: Vec::new(),
            duration_ns: Vec::new(),
            end_before_start: optional::<Int64Type>(),
            name: texts(),
            kind: texts(),
            status_code: texts(),
            status_message: texts(),
            trace_state: texts(),
            flags: Vec::new(),
            exception_type: texts(),
            exception_message: texts(),
            events: Events {
                ends: ListEnds::new(),
                time: Vec::new(),
                name: texts(),
                attributes: texts(),
                dropped: Vec::new(),
            },
            links: Links {
                ends: ListEnds::new(),
                trace_id: Ids::new(),
                span_id: Ids::new(),
                trace_state: texts(),
                attributes: texts(),
                dropped: Vec::new(),
                flags: Vec::new(),
            },
            dropped_events: Vec::new(),
            dropped_links: Vec::new(),
            dropped_attributes: Vec::new(),
            rest: texts(),
        }
    }

    fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows);
        self.trace_id.reserve(rows);
        self.span_id.reserve(rows);
        self.parent_span_id.reserve(rows);
        self.start_time.reserve_exact(rows);
        self.duration_ns.reserve_exact(rows);
        for counts in [
            &mut self.flags,
            &mut self.dropped_events,
            &mut self.dropped_links,
            &mut self.dropped_attributes,
        ] {
            counts.reserve_exact(rows);
        }
    }

    /// Checks the span and appends it.
    fn push(
        &mut self,
        span: &mut Span<'_>,
        request: &mut Request<'_, '_>,
        context: u32,
    ) -> Result<(), Bad> {
        let (trace_id, span_id) = span.ids()?;
        let interval = Interval::new(span)?;
        let rest = span.write_json(request)?;
        let mut bits = span.bits | request.contexts.quality(context);
        bits |= request.time_quality(interval.start_ns);
        let parent = id(span.parent_span_id);
        request.notes.bad_parents += u32::from(parent.is_none() && !span.parent_span_id.is_empty());

        self.trace_id.push(Some(trace_id));
        self.span_id.push(Some(span_id));
        self.parent_span_id.push(parent);
        self.start_time.push(interval.start_ns);
        self.duration_ns.push(interval.duration_ns);
        self.end_before_start.append_option(interval.end_before_start_ns);
        push_text(&mut self.name, span.name, &mut bits);
        push_number_word(&mut self.kind, &KINDS, span.kind);
        push_number_word(&mut self.status_code, &STATUS_CODES, span.status_code);
        push_text_or_null(&mut self.status_message, span.status_message, &mut bits);
        push_text_or_null(&mut self.trace_state, span.trace_state, &mut bits);
        self.flags.push(span.flags);
        self.dropped_events.push(span.dropped_events);
        self.dropped_links.push(span.dropped_links);
        self.dropped_attributes.push(span.dropped_attributes);
        self.push_exception(span, &request.keys.plain, &request.limits, &mut bits);
        let json = std::str::from_utf8(request.scratch).unwrap_or_default();
        push_json(&mut self.rest, json, rest);
        self.events.push(&span.events, json, &mut bits);
        self.links.push(&span.links, json, &mut bits);
        self.rows.push_promoted(&span.split.promoted, &request.limits, &mut bits);
        self.rows.push_facts(&span.split.facts);
        self.rows.push(context, bits);
        request.notes.count(bits);
        Ok(())
    }

    fn push_exception(
        &mut self,
        span: &Span<'_>,
        keys: &KeyTable,
        limits: &Limits,
        bits: &mut u32,
    ) {
        let exception = span.events.iter().find(|event| event.name == b"exception");
        for (column, key) in [
            (&mut self.exception_type, "exception.type"),
            (&mut self.exception_message, "exception.message"),
        ] {
            match exception.and_then(|e| span.inner.text(keys, e.attributes.clone(), key)) {
                Some(text) => push_text(column, cut(text, limits.value_bytes_max, bits), bits),
                None => column.append_null(),
            }
        }
    }

    fn finish(mut self, request: &Request<'_, '_>) -> Result<Batch, ArrowError> {
        let rows = self.rows.len();
        let no_times: ArrayRef = Arc::new(TimestampNanosecondArray::new_null(rows));
        let own: Vec<(&'static str, ArrayRef)> = vec![
            (c::TRACE_ID, self.trace_id.finish()?),
            (c::SPAN_ID, self.span_id.finish()?),
            (c::PARENT_SPAN_ID, self.parent_span_id.finish()?),
            (c::TRACE_START, no_times),
            (c::START_TIME, times(self.start_time)),
            (c::DURATION_NS, array::<Int64Type>(self.duration_ns)),
            (c::END_BEFORE_START, Arc::new(self.end_before_start.finish())),
            (c::NAME, Arc::new(self.name.finish())),
            (c::KIND, Arc::new(self.kind.finish())),
            (c::STATUS_CODE, Arc::new(self.status_code.finish())),
            (c::STATUS_MESSAGE, Arc::new(self.status_message.finish())),
            (c::TRACE_STATE, Arc::new(self.trace_state.finish())),
            (c::FLAGS, array::<UInt32Type>(self.flags)),
            (c::EXCEPTION_TYPE, Arc::new(self.exception_type.finish())),
            (c::EXCEPTION_MESSAGE, Arc::new(self.exception_message.finish())),
            (c::EVENTS, self.events.finish()?),
            (c::DROPPED_EVENTS_COUNT, array::<UInt32Type>(self.dropped_events)),
            (c::LINKS, self.links.finish()?),
            (c::DROPPED_LINKS_COUNT, array::<UInt32Type>(self.dropped_links)),
            (c::DROPPED_ATTRIBUTES_COUNT, array::<UInt32Type>(self.dropped_attributes)),
            (c::ATTRIBUTES_REST, Arc::new(self.rest.finish())),
        ];
        let contexts = request.contexts.columns(&request.keys.contexts);
        let ingested_ns = request.ingested_ns();
        self.rows.finish(Table::Spans, own, &contexts, &request.keys.record, ingested_ns)
    }
}

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

impl Events {
    fn push(&mut self, events: &[Event<'_>], json: &str, bits: &mut u32) {
        for event in events {
            // Checked before: a span with a later event time is rejected.
            self.time.push(event.time_ns as i64);
            push_text(&mut self.name, event.name, bits);
            push_json(&mut self.attributes, json, event.json.clone());
            self.dropped.push(event.dropped);
        }
        self.ends.push_or_null(self.time.len());
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        self.ends.finish_structs(
            c::event_fields(),
            vec![
                times(self.time),
                Arc::new(self.name.finish()),
                Arc::new(self.attributes.finish()),
                array::<UInt32Type>(self.dropped),
            ],
        )
    }
}

impl Links {
    fn push(&mut self, links: &[Link<'_>], json: &str, bits: &mut u32) {
        for link in links {
            self.trace_id.push(id(link.trace_id));
            self.span_id.push(id(link.span_id));
            push_text_or_null(&mut self.trace_state, link.trace_state, bits);
            push_json(&mut self.attributes, json, link.json.clone());
            self.dropped.push(link.dropped);
            self.flags.push(link.flags);
        }
        self.ends.push_or_null(self.flags.len());
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        self.ends.finish_structs(
            c::link_fields(),
            vec![
                self.trace_id.finish()?,
                self.span_id.finish()?,
                Arc::new(self.trace_state.finish()),
                Arc::new(self.attributes.finish()),
                array::<UInt32Type>(self.dropped),
                array::<UInt32Type>(self.flags),
            ],
        )
    }
}
