//! Log records of the wire to rows of the table `logs`.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::PrimitiveBuilder;
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt32Type};
use arrow_schema::ArrowError;
use schemas::columns as c;
use schemas::columns::time_missing;
use schemas::{Batch, Table, type_bits};

use super::attributes::{Split, Staged};
use super::columns::{Ids, Rows, array, id, optional, times};
use super::merge::merged;
use super::text::{cut, excerpt};
use super::texts::{NULL, TextBlock, TextId, Texts};
use super::value::{self, Value};
use super::wire::{Field, Fields, Wire, set_once};
use super::{Bad, Limits, Request, Sink, messages, stored_time};

/// Log records of one request.
pub(super) struct Logs<'a> {
    stage: Log<'a>,
    columns: LogColumns,
}

impl Logs<'_> {
    pub(super) fn new(body_bytes: usize) -> Self {
        Logs { stage: Log::default(), columns: LogColumns::new(body_bytes) }
    }

    #[cold]
    fn push_merged(
        &mut self,
        request: &mut Request<'_, '_>,
        record: &[u8],
        context: u32,
    ) -> Result<(), Bad> {
        let once = merged(&messages::LOG_RECORD, record)?;
        let mut stage = Log::default();
        stage.read(&once, request)?;
        self.columns.push(&mut stage, request, context)
    }
}

impl<'a> Sink<'a> for Logs<'a> {
    const RECORD: &'static str = "logRecords";

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
            let event_name = self.stage.sent.event_name;
            request.reject(bad, record, 1, || match event_name {
                b"" => "log record".to_owned(),
                name => format!("log record {}", excerpt(name)),
            });
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

/// One log record, staged.
#[derive(Default)]
struct Log<'a> {
    sent: Sent<'a>,
    attributes: Staged<'a>,
    split: Split<'a>,
    bits: u32,
}

/// The fields of a log record that occur once.
#[derive(Clone, Copy, Default)]
struct Sent<'a> {
    time_ns: u64,
    observed_ns: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    body: Option<Value<'a>>,
    event_name: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    flags: u32,
    dropped_attributes: u32,
}

impl<'a> Log<'a> {
    fn clear(&mut self) {
        self.sent = Sent::default();
        self.attributes.clear();
        self.bits = 0;
    }

    fn read(&mut self, message: &'a [u8], request: &mut Request<'_, '_>) -> Result<(), Bad> {
        self.clear();
        request.too_large(message)?;
        let Request { keys, limits, .. } = request;
        let mut body = None;
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (6, Field::Bytes(mut kv)) => loop {
                    self.attributes.push(&mut keys.record, kv, limits, &mut self.bits)?;
                    let Some(next) = fields.next_short::<6>() else { break };
                    kv = next;
                },
                (1, Field::Fixed64(v)) => self.sent.time_ns = v,
                (2, Field::Varint(v)) => self.sent.severity_number = v as i32,
                (3, Field::Bytes(text)) => self.sent.severity_text = text,
                (5, Field::Bytes(any)) => set_once(&mut body, any)?,
                (7, Field::Varint(v)) => self.sent.dropped_attributes = v as u32,
                (8, Field::Fixed32(v)) => self.sent.flags = v,
                (9, Field::Bytes(id)) => self.sent.trace_id = id,
                (10, Field::Bytes(id)) => self.sent.span_id = id,
                (11, Field::Fixed64(v)) => self.sent.observed_ns = v,
                (12, Field::Bytes(text)) => self.sent.event_name = text,
                (1..=3 | 5..=12, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        self.sent.body = body.map(|any| Value::read(any, &mut self.bits)).transpose()?;
        Ok(())
    }

    /// Writes the attributes as JSON, and the body unless it is a string.
    fn write_json(
        &mut self,
        request: &mut Request<'_, '_>,
        texts: &mut TextBlock,
    ) -> Result<Written, Bad> {
        let Request { keys, limits, .. } = request;
        let (split, bits) = (&mut self.split, &mut self.bits);
        keys.record.split(texts.json(), &self.attributes, split, limits, bits)?;
        let rest = texts.end_json();
        let body_limits = Limits { value_bytes_max: limits.body_bytes_max, ..*limits };
        let body_type = match self.sent.body {
            None => None,
            Some(Value::String(_)) => Some(type_bits::STRING),
            Some(value) => Some(value::write(texts.json(), value, &body_limits, bits)?),
        };
        Ok(Written { rest, body: texts.end_json(), body_type })
    }
}

/// What a record became as JSON.
struct Written {
    rest: TextId,
    /// Null for a string, which is stored as it is.
    body: TextId,
    body_type: Option<u8>,
}

/// When a record happened, as stored.
struct Times {
    time_ns: i64,
    observed_ns: Option<i64>,
    missing: u32,
}

impl Times {
    /// An unknown time is the observed one, else that of arrival; what was missing stays known.
    fn new(log: &Log<'_>, received_ns: i64) -> Result<Times, Bad> {
        let sent_ns = stored_time("time_unix_nano", log.sent.time_ns)?;
        let observed_ns = stored_time("observed_time_unix_nano", log.sent.observed_ns)?;
        let (mut time_ns, mut missing) = (sent_ns, 0);
        if sent_ns == 0 {
            missing |= time_missing::TIME;
            time_ns = if observed_ns == 0 { received_ns } else { observed_ns };
        }
        if observed_ns == 0 {
            missing |= time_missing::OBSERVED;
        }
        Ok(Times { time_ns, observed_ns: (observed_ns != 0).then_some(observed_ns), missing })
    }
}

/// The columns that only logs have.
struct LogColumns {
    rows: Rows,
    time: Vec<i64>,
    time_missing: Vec<u32>,
    observed_time: PrimitiveBuilder<TimestampNanosecondType>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    severity_number: Vec<i32>,
    severity_text: Texts,
    event_name: Texts,
    body: Texts,
    body_type: Texts,
    flags: Vec<u32>,
    dropped_attributes: Vec<u32>,
    rest: Texts,
}

impl LogColumns {
    fn new(body_bytes: usize) -> LogColumns {
        LogColumns {
            rows: Rows::new(body_bytes),
            time: Vec::new(),
            time_missing: Vec::new(),
            observed_time: optional(),
            trace_id: Ids::new(),
            span_id: Ids::new(),
            severity_number: Vec::new(),
            severity_text: Texts::default(),
            event_name: Texts::default(),
            body: Texts::default(),
            body_type: Texts::default(),
            flags: Vec::new(),
            dropped_attributes: Vec::new(),
            rest: Texts::default(),
        }
    }

    fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows);
        self.trace_id.reserve(rows);
        self.span_id.reserve(rows);
        for texts in [&mut self.body, &mut self.body_type, &mut self.rest] {
            texts.reserve(rows);
        }
        self.time.reserve_exact(rows);
        self.severity_number.reserve_exact(rows);
        for counts in [&mut self.time_missing, &mut self.flags, &mut self.dropped_attributes] {
            counts.reserve_exact(rows);
        }
    }

    /// Checks the record and appends it.
    fn push(
        &mut self,
        log: &mut Log<'_>,
        request: &mut Request<'_, '_>,
        context: u32,
    ) -> Result<(), Bad> {
        let when = Times::new(log, request.received_ns)?;
        let texts = &mut self.rows.texts;
        let written = log.write_json(request, texts).inspect_err(|_| texts.cut())?;
        let mut bits = log.bits | request.contexts.quality(context);
        bits |= request.time_quality(when.time_ns);
        let sent = &log.sent;

        self.time.push(when.time_ns);
        self.time_missing.push(when.missing);
        self.observed_time.append_option(when.observed_ns);
        // Without its trace a span id means nothing.
        let trace_id = id(sent.trace_id);
        self.trace_id.push(trace_id);
        self.span_id.push(trace_id.and_then(|_| id(sent.span_id)));
        self.severity_number.push(sent.severity_number);
        self.flags.push(sent.flags);
        self.dropped_attributes.push(sent.dropped_attributes);
        self.rest.push(written.rest);
        self.push_texts(sent, &written, request.limits.body_bytes_max, &mut bits);
        self.rows.push_split(&log.split, &request.limits, &mut bits);
        self.rows.push(context, bits);
        request.notes.count(bits);
        Ok(())
    }

    fn push_texts(
        &mut self,
        sent: &Sent<'_>,
        written: &Written,
        body_bytes_max: usize,
        bits: &mut u32,
    ) {
        let row = self.rows.len();
        let texts = &mut self.rows.texts;
        self.severity_text.set_some(row, texts.add_or_null(sent.severity_text, bits));
        self.event_name.set_some(row, texts.add_or_null(sent.event_name, bits));
        self.body.push(match sent.body {
            Some(Value::String(text)) => texts.add(cut(text, body_bytes_max, bits), bits),
            _ => written.body,
        });
        self.body_type.push(match written.body_type.and_then(type_name) {
            Some(name) => texts.add(name.as_bytes(), bits),
            None => NULL,
        });
    }

    fn finish(mut self, request: &Request<'_, '_>) -> Result<Batch, ArrowError> {
        let sealed = self.rows.seal(&request.contexts)?;
        let own: Vec<(&'static str, ArrayRef)> = vec![
            (c::TIME, times(self.time)),
            (c::TIME_MISSING, array::<UInt32Type>(self.time_missing)),
            (c::OBSERVED_TIME, Arc::new(self.observed_time.finish())),
            (c::TRACE_ID, self.trace_id.finish()?),
            (c::SPAN_ID, self.span_id.finish()?),
            (c::SEVERITY_NUMBER, array::<Int32Type>(self.severity_number)),
            (c::SEVERITY_TEXT, sealed.texts(self.severity_text)?),
            (c::EVENT_NAME, sealed.texts(self.event_name)?),
            (c::BODY, sealed.texts(self.body)?),
            (c::BODY_TYPE, sealed.texts(self.body_type)?),
            (c::FLAGS, array::<UInt32Type>(self.flags)),
            (c::DROPPED_ATTRIBUTES_COUNT, array::<UInt32Type>(self.dropped_attributes)),
            (c::ATTRIBUTES_REST, sealed.texts(self.rest)?),
        ];
        sealed.finish(Table::Logs, own, request, &request.keys.record)
    }
}

fn type_name(bit: u8) -> Option<&'static str> {
    type_bits::NAMES.iter().find(|(known, _)| *known == bit).map(|(_, name)| *name)
}
