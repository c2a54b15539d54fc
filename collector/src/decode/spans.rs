//! Spans of the wire to rows of the table `spans`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, Int64Array, TimestampNanosecondArray};
use arrow_schema::ArrowError;
use schemas::columns as c;
use schemas::{Batch, Table};

use super::attributes::{KeyTable, Split, Staged};
use super::columns::{Ids, ListEnds, Rows, Sealed, Words, array, id, times};
use super::merge::merged;
use super::text::{cut, excerpt};
use super::texts::{TextBlock, TextId, Texts};
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
            let name = self.stage.sent.name;
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
    sent: Sent<'a>,
    attributes: Staged<'a>,
    split: Split<'a>,
    events: Vec<Event<'a>>,
    links: Vec<Link<'a>>,
    /// Attributes of all events, then of all links; each knows its range.
    inner: Staged<'a>,
    bits: u32,
}

/// The fields of a span that occur once.
#[derive(Clone, Copy, Default)]
struct Sent<'a> {
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
}

#[derive(Default)]
struct Event<'a> {
    time_ns: u64,
    name: &'a [u8],
    dropped: u32,
    attributes: Range<usize>,
    /// The attributes as JSON.
    json: TextId,
}

#[derive(Default)]
struct Link<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    dropped: u32,
    flags: u32,
    attributes: Range<usize>,
    /// The attributes as JSON.
    json: TextId,
}

impl<'a> Span<'a> {
    fn clear(&mut self) {
        self.sent = Sent::default();
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        self.inner.clear();
        self.bits = 0;
    }

    fn read(&mut self, message: &'a [u8], request: &mut Request<'_, '_>) -> Result<(), Bad> {
        self.clear();
        request.too_large(message)?;
        let Request { keys, limits, .. } = request;
        let mut fields = Fields::new(message);
        let mut status = None;
        while let Some(field) = fields.next()? {
            match field {
                (9, Field::Bytes(mut kv)) => loop {
                    self.attributes.push(&mut keys.record, kv, limits, &mut self.bits)?;
                    let Some(next) = fields.next_short::<9>() else { break };
                    kv = next;
                },
                (1, Field::Bytes(id)) => self.sent.trace_id = id,
                (2, Field::Bytes(id)) => self.sent.span_id = id,
                (3, Field::Bytes(text)) => self.sent.trace_state = text,
                (4, Field::Bytes(id)) => self.sent.parent_span_id = id,
                (5, Field::Bytes(text)) => self.sent.name = text,
                (6, Field::Varint(v)) => self.sent.kind = v as i32,
                (7, Field::Fixed64(v)) => self.sent.start_ns = v,
                (8, Field::Fixed64(v)) => self.sent.end_ns = v,
                (10, Field::Varint(v)) => self.sent.dropped_attributes = v as u32,
                (11, Field::Bytes(m)) => self.read_event(m, &mut keys.plain, limits)?,
                (12, Field::Varint(v)) => self.sent.dropped_events = v as u32,
                (13, Field::Bytes(m)) => self.read_link(m, &mut keys.plain, limits)?,
                (14, Field::Varint(v)) => self.sent.dropped_links = v as u32,
                (15, Field::Bytes(m)) => set_once(&mut status, m)?,
                (16, Field::Fixed32(v)) => self.sent.flags = v,
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
                (2, Field::Bytes(text)) => self.sent.status_message = text,
                (3, Field::Varint(v)) => self.sent.status_code = v as i32,
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
        let Sent { trace_id, span_id, .. } = self.sent;
        Ok((
            id(trace_id).ok_or_else(|| bad_id(Reason::BadTraceId, c::TRACE_ID, trace_id, 16))?,
            id(span_id).ok_or_else(|| bad_id(Reason::BadSpanId, c::SPAN_ID, span_id, 8))?,
        ))
    }

    /// Writes all attributes as JSON; returns the text of the span's own.
    fn write_json(
        &mut self,
        request: &mut Request<'_, '_>,
        texts: &mut TextBlock,
    ) -> Result<TextId, Bad> {
        let Request { keys, limits, .. } = request;
        let (plain, bits) = (&mut keys.plain, &mut self.bits);
        keys.record.split(texts.json(), &self.attributes, &mut self.split, limits, bits)?;
        let own = texts.end_json();
        let events = self.events.iter_mut().map(|e| (e.attributes.clone(), &mut e.json));
        let links = self.links.iter_mut().map(|l| (l.attributes.clone(), &mut l.json));
        for (range, json) in events.chain(links) {
            plain.write_range(texts.json(), &self.inner, range, limits, bits, |_, _| {})?;
            *json = texts.end_json();
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
        let start_ns = stored_time("start_time_unix_nano", span.sent.start_ns)?;
        let end_ns = stored_time("end_time_unix_nano", span.sent.end_ns)?;
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
    /// Of the rows up to the last one that has it.
    end_before_start: Vec<Option<i64>>,
    name: Texts,
    kinds: Words<6>,
    kind: Texts,
    status_codes: Words<3>,
    status_code: Texts,
    status_message: Texts,
    trace_state: Texts,
    flags: Vec<u32>,
    exception_type: Texts,
    exception_message: Texts,
    events: Events,
    links: Links,
    dropped_events: Vec<u32>,
    dropped_links: Vec<u32>,
    dropped_attributes: Vec<u32>,
    rest: Texts,
}

struct Events {
    ends: ListEnds,
    time: Vec<i64>,
    name: Texts,
    attributes: Texts,
    dropped: Vec<u32>,
}

struct Links {
    ends: ListEnds,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: Texts,
    attributes: Texts,
    dropped: Vec<u32>,
    flags: Vec<u32>,
}

impl SpanColumns {
    fn new(body_bytes: usize) -> SpanColumns {
        SpanColumns {
            rows: Rows::new(body_bytes),
            trace_id: Ids::new(),
            span_id: Ids::new(),
            parent_span_id: Ids::new(),
            start_time: Vec::new(),
            duration_ns: Vec::new(),
            end_before_start: Vec::new(),
            name: Texts::default(),
            kinds: Words::new(KINDS),
            kind: Texts::default(),
            status_codes: Words::new(STATUS_CODES),
            status_code: Texts::default(),
            status_message: Texts::default(),
            trace_state: Texts::default(),
            flags: Vec::new(),
            exception_type: Texts::default(),
            exception_message: Texts::default(),
            events: Events {
                ends: ListEnds::new(),
                time: Vec::new(),
                name: Texts::default(),
                attributes: Texts::default(),
                dropped: Vec::new(),
            },
            links: Links {
                ends: ListEnds::new(),
                trace_id: Ids::new(),
                span_id: Ids::new(),
                trace_state: Texts::default(),
                attributes: Texts::default(),
                dropped: Vec::new(),
                flags: Vec::new(),
            },
            dropped_events: Vec::new(),
            dropped_links: Vec::new(),
            dropped_attributes: Vec::new(),
            rest: Texts::default(),
        }
    }

    fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows);
        self.trace_id.reserve(rows);
        self.span_id.reserve(rows);
        self.parent_span_id.reserve(rows);
        for texts in [&mut self.name, &mut self.kind, &mut self.status_code, &mut self.rest] {
            texts.reserve(rows);
        }
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
        let texts = &mut self.rows.texts;
        let rest = span.write_json(request, texts).inspect_err(|_| texts.cut())?;
        let mut bits = span.bits | request.contexts.quality(context);
        bits |= request.time_quality(interval.start_ns);
        let sent = &span.sent;
        let parent = id(sent.parent_span_id);
        request.notes.bad_parents += u32::from(parent.is_none() && !sent.parent_span_id.is_empty());

        self.trace_id.push(Some(trace_id));
        self.span_id.push(Some(span_id));
        self.parent_span_id.push(parent);
        self.rest.push(rest);
        self.push_texts(sent, &mut bits);
        self.push_interval(&interval);
        self.flags.push(sent.flags);
        self.dropped_events.push(sent.dropped_events);
        self.dropped_links.push(sent.dropped_links);
        self.dropped_attributes.push(sent.dropped_attributes);
        self.push_exception(span, &request.keys.plain, &request.limits, &mut bits);
        self.events.push(&span.events, &mut self.rows.texts, &mut bits);
        self.links.push(&span.links, &mut self.rows.texts, &mut bits);
        self.rows.push_split(&span.split, &request.limits, &mut bits);
        self.rows.push(context, bits);
        request.notes.count(bits);
        Ok(())
    }

    fn push_texts(&mut self, sent: &Sent<'_>, bits: &mut u32) {
        let row = self.rows.len();
        let texts = &mut self.rows.texts;
        self.name.push(texts.add(sent.name, bits));
        self.kind.push(self.kinds.id(sent.kind, texts));
        self.status_code.push(self.status_codes.id(sent.status_code, texts));
        self.status_message.set_some(row, texts.add_or_null(sent.status_message, bits));
        self.trace_state.set_some(row, texts.add_or_null(sent.trace_state, bits));
    }

    fn push_interval(&mut self, interval: &Interval) {
        self.start_time.push(interval.start_ns);
        self.duration_ns.push(interval.duration_ns);
        if interval.end_before_start_ns.is_some() {
            self.end_before_start.resize(self.rows.len(), None);
            self.end_before_start.push(interval.end_before_start_ns);
        }
    }

    fn push_exception(
        &mut self,
        span: &Span<'_>,
        keys: &KeyTable,
        limits: &Limits,
        bits: &mut u32,
    ) {
        let Some(exception) = span.events.iter().find(|event| event.name == b"exception") else {
            return;
        };
        let row = self.rows.len();
        for (column, key) in [
            (&mut self.exception_type, "exception.type"),
            (&mut self.exception_message, "exception.message"),
        ] {
            if let Some(text) = span.inner.text(keys, exception.attributes.clone(), key) {
                let text = cut(text, limits.value_bytes_max, bits);
                column.set(row, self.rows.texts.add(text, bits));
            }
        }
    }

    fn finish(mut self, request: &Request<'_, '_>) -> Result<Batch, ArrowError> {
        let rows = self.rows.len();
        self.end_before_start.resize(rows, None);
        let sealed = self.rows.seal(&request.contexts)?;
        let no_times: ArrayRef = Arc::new(TimestampNanosecondArray::new_null(rows));
        let own: Vec<(&'static str, ArrayRef)> = vec![
            (c::TRACE_ID, self.trace_id.finish()?),
            (c::SPAN_ID, self.span_id.finish()?),
            (c::PARENT_SPAN_ID, self.parent_span_id.finish()?),
            (c::TRACE_START, no_times),
            (c::START_TIME, times(self.start_time)),
            (c::DURATION_NS, array::<Int64Type>(self.duration_ns)),
            (c::END_BEFORE_START, Arc::new(Int64Array::from(self.end_before_start))),
            (c::NAME, sealed.texts(self.name)?),
            (c::KIND, sealed.texts(self.kind)?),
            (c::STATUS_CODE, sealed.texts(self.status_code)?),
            (c::STATUS_MESSAGE, sealed.texts(self.status_message)?),
            (c::TRACE_STATE, sealed.texts(self.trace_state)?),
            (c::FLAGS, array::<UInt32Type>(self.flags)),
            (c::EXCEPTION_TYPE, sealed.texts(self.exception_type)?),
            (c::EXCEPTION_MESSAGE, sealed.texts(self.exception_message)?),
            (c::EVENTS, self.events.finish(&sealed)?),
            (c::DROPPED_EVENTS_COUNT, array::<UInt32Type>(self.dropped_events)),
            (c::LINKS, self.links.finish(&sealed)?),
            (c::DROPPED_LINKS_COUNT, array::<UInt32Type>(self.dropped_links)),
            (c::DROPPED_ATTRIBUTES_COUNT, array::<UInt32Type>(self.dropped_attributes)),
            (c::ATTRIBUTES_REST, sealed.texts(self.rest)?),
        ];
        sealed.finish(Table::Spans, own, request, &request.keys.record)
    }
}

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

impl Events {
    fn push(&mut self, events: &[Event<'_>], texts: &mut TextBlock, bits: &mut u32) {
        for event in events {
            // Checked before: a span with a later event time is rejected.
            self.time.push(event.time_ns as i64);
            self.name.push(texts.add(event.name, bits));
            self.attributes.push(event.json);
            self.dropped.push(event.dropped);
        }
        self.ends.push(self.time.len());
    }

    fn finish(self, sealed: &Sealed) -> Result<ArrayRef, ArrowError> {
        let len = self.time.len();
        self.ends.finish_structs(
            c::event_fields(),
            vec![
                times(self.time),
                sealed.inner_texts(self.name, len)?,
                sealed.inner_texts(self.attributes, len)?,
                array::<UInt32Type>(self.dropped),
            ],
        )
    }
}

impl Links {
    fn push(&mut self, links: &[Link<'_>], texts: &mut TextBlock, bits: &mut u32) {
        for link in links {
            self.trace_id.push(id(link.trace_id));
            self.span_id.push(id(link.span_id));
            self.trace_state.push(texts.add_or_null(link.trace_state, bits));
            self.attributes.push(link.json);
            self.dropped.push(link.dropped);
            self.flags.push(link.flags);
        }
        self.ends.push(self.flags.len());
    }

    fn finish(self, sealed: &Sealed) -> Result<ArrayRef, ArrowError> {
        let len = self.flags.len();
        self.ends.finish_structs(
            c::link_fields(),
            vec![
                self.trace_id.finish()?,
                self.span_id.finish()?,
                sealed.inner_texts(self.trace_state, len)?,
                sealed.inner_texts(self.attributes, len)?,
                array::<UInt32Type>(self.dropped),
                array::<UInt32Type>(self.flags),
            ],
        )
    }
}
