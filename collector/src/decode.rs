//! Request bodies to batches: one pass over the bytes, no message structs.
//!
//! Each record is staged (slices and scalars of one record), checked, and only then appended to the
//! columns, because a column cannot take a value back. A bad record becomes a reject with a reason;
//! only a broken envelope is an error for the whole request. JSON is first rewritten as protobuf
//! ([`json`]), so that both encodings go through the same walkers and give the same rows.
//! The same bytes always decode to the same rows: a retry gets the same answer, replay the same data.

use std::borrow::Cow;
use std::cell::RefCell;

use arrow_schema::ArrowError;
use schemas::columns::quality;
use schemas::{Batch, Signal};
use storage::{Encoding, Replayed};

use crate::intern::{ContextKeys, Contexts};
use crate::rejects::{Reason, Rejects};

pub(crate) mod attributes;
pub(crate) mod columns;
mod json;
mod logs;
pub(crate) mod merge;
pub(crate) mod messages;
mod metrics;
mod spans;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod texts;
pub(crate) mod value;
pub(crate) mod wire;

use attributes::KeyTable;
use schemas::attributes::Owner;
use wire::{Field, Fields, Wire};

/// What one record may measure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A longer record is rejected.
    pub record_bytes_max: usize,
    /// A longer attribute value is cut.
    pub value_bytes_max: usize,
    /// A longer log body is cut.
    pub body_bytes_max: usize,
    /// A longer attribute key rejects its record.
    pub key_bytes_max: usize,
    /// Lists and maps below this level become the text of their JSON.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_bytes_max: 4 << 20,
            value_bytes_max: 64 << 10,
            body_bytes_max: 1 << 20,
            key_bytes_max: 256,
            depth_max: 64,
        }
    }
}

/// What a request body holds: rows and rejects, never one error for the lot unless the envelope is
/// broken.
#[derive(Debug)]
pub struct Decoded {
    /// The rows, one batch a table that has any.
    pub batches: Vec<Batch>,
    /// Records accepted: spans, log records, data points (exemplars are not counted).
    pub accepted: u32,
    /// Records left out.
    pub rejects: Rejects,
    /// Things worth telling the client although all was accepted (unknown old lists, cut values …).
    pub warnings: Vec<String>,
}

/// The whole request is undecodable (final: INVALID_ARGUMENT / 400).
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// Where: a JSON path or `byte 123`.
    pub field: String,
    /// What is wrong there and what to do.
    pub message: String,
}

impl From<ArrowError> for DecodeError {
    fn from(error: ArrowError) -> DecodeError {
        DecodeError {
            field: "byte 0".to_owned(),
            message: format!("the collector could not build its columns (a bug): {error}"),
        }
    }
}

/// Reusable decoder: keeps what it learned about attribute keys, and its buffers, between requests.
/// Not shared between threads.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    keys: Keys,
    scratch: Vec<u8>,
    transcoded: Vec<u8>,
}

/// Buffers that one giant request has grown beyond this are given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl Decoder {
    /// A decoder with these limits.
    pub fn new(limits: Limits) -> Decoder {
        let keys = Keys {
            record: KeyTable::new(Some(Owner::Record)),
            plain: KeyTable::new(None),
            contexts: ContextKeys::new(),
        };
        Decoder { limits, keys, scratch: Vec::new(), transcoded: Vec::new() }
    }

    /// Decodes one decompressed request body. `received_ns` is the time of arrival.
    pub fn decode(
        &mut self,
        signal: Signal,
        encoding: Encoding,
        body: &[u8],
        received_ns: i64,
    ) -> Result<Decoded, DecodeError> {
        let mut rejects = Rejects::default();
        let mut transcoded = std::mem::take(&mut self.transcoded);
        transcoded.clear();
        let result = match encoding {
            Encoding::Protobuf => self.decode_protobuf(signal, body, received_ns, rejects),
            Encoding::Json => json::transcode(signal, body, &mut transcoded, &mut rejects)
                .and_then(|unknown| {
                    let mut decoded =
                        self.decode_protobuf(signal, &transcoded, received_ns, rejects)?;
                    decoded.warnings.extend(unknown);
                    Ok(decoded)
                }),
        };
        self.transcoded = transcoded;
        for buffer in [&mut self.transcoded, &mut self.scratch] {
            if buffer.capacity() > KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        result
    }

    fn decode_protobuf(
        &mut self,
        signal: Signal,
        body: &[u8],
        received_ns: i64,
        rejects: Rejects,
    ) -> Result<Decoded, DecodeError> {
        self.keys.record.bound();
        self.keys.plain.bound();
        self.keys.contexts.bound();
        let request = Request {
            body,
            limits: self.limits,
            received_ns,
            keys: &mut self.keys,
            scratch: &mut self.scratch,
            contexts: Contexts::default(),
            rejects,
            notes: Notes::default(),
        };
        match signal {
            Signal::Traces => request.run(spans::Spans::new(body.len())),
            Signal::Logs => request.run(logs::Logs::new(body.len())),
            Signal::Metrics => request.run(metrics::Metrics::new(body.len())),
        }
    }
}

/// Decodes a stored request again, for the WAL's replay; gives what [`Decoder::decode`] gave.
pub fn replay(
    signal: Signal,
    encoding: Encoding,
    payload: &[u8],
    received_ns: i64,
) -> Result<Replayed, String> {
    thread_local! {
        static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(Limits::default()));
    }
    DECODER.with_borrow_mut(|decoder| {
        let decoded = decoder
            .decode(signal, encoding, payload, received_ns)
            .map_err(|e| format!("{} at {}", e.message, e.field))?;
        Ok(Replayed { accepted: decoded.accepted, batches: decoded.batches })
    })
}

/// Attribute keys by whose they are.
#[derive(Debug)]
struct Keys {
    record: KeyTable,
    /// Of events, links and metric metadata: nothing is promoted from them.
    plain: KeyTable,
    contexts: ContextKeys,
}

/// Why a record is left out.
#[derive(Debug)]
pub(crate) enum Bad {
    Wire(Wire),
    Reject(Reason, String),
}

impl From<Wire> for Bad {
    fn from(wire: Wire) -> Bad {
        Bad::Wire(wire)
    }
}

/// One request while it is decoded.
pub(crate) struct Request<'a, 'd> {
    body: &'a [u8],
    limits: Limits,
    received_ns: i64,
    keys: &'d mut Keys,
    /// JSON of the record at hand.
    scratch: &'d mut Vec<u8>,
    contexts: Contexts<'a>,
    rejects: Rejects,
    notes: Notes,
}

/// What was accepted but is worth a word to the client.
#[derive(Debug, Default)]
struct Notes {
    repaired: u32,
    cut: u32,
    duplicate_keys: u32,
    string_indexes: u32,
    bad_parents: u32,
    old_lists: u32,
}

/// The columns of one signal.
trait Sink<'a> {
    /// Field name of the records in their scope, for messages.
    const RECORD: &'static str;

    fn reserve(&mut self, records: usize);
    /// Takes one field of the scope's list of records.
    fn push(&mut self, request: &mut Request<'a, '_>, record: &'a [u8], context: u32);
    /// How many records a field of the list holds (a metric holds many).
    fn count(record: &[u8]) -> u32;
    fn accepted(&self) -> u32;
    fn finish(self, request: &Request<'a, '_>) -> Result<Vec<Batch>, ArrowError>;
}

/// One ResourceX or ScopeX, read before what is below it: its facts may stand behind.
#[derive(Debug, Default)]
struct Envelope<'a> {
    /// The resource or scope.
    facts: Cow<'a, [u8]>,
    schema_url: &'a [u8],
    /// The scopes or records.
    below: Vec<&'a [u8]>,
}

/// `deprecated` lists of before 2022 in envelopes.
const OLD_LIST_FIELD: u32 = 1000;

impl<'a> Envelope<'a> {
    fn read(&mut self, message: &'a [u8], notes: &mut Notes) -> Result<(), Wire> {
        self.facts = Cow::Borrowed(&[]);
        self.schema_url = &[];
        self.below.clear();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(facts)) if self.facts.is_empty() => self.facts = facts.into(),
                // Two occurrences merge, and concatenation merges.
                (1, Field::Bytes(facts)) => self.facts.to_mut().extend_from_slice(facts),
                (2, Field::Bytes(below)) => self.below.push(below),
                (3, Field::Bytes(url)) => self.schema_url = url,
                (1..=3, _) => return Err(Wire::Type),
                (OLD_LIST_FIELD, _) => notes.old_lists += 1,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Request<'a, '_> {
    fn run<S: Sink<'a>>(mut self, mut sink: S) -> Result<Decoded, DecodeError> {
        let (mut resource, mut scope) = (Envelope::default(), Envelope::default());
        let mut fields = Fields::new(self.body);
        loop {
            let at = fields.rest();
            match fields.next() {
                Ok(None) => break,
                Ok(Some((1, Field::Bytes(message)))) => {
                    self.resource(message, &mut resource, &mut scope, &mut sink)?;
                }
                Ok(Some((1, _))) => return Err(self.broken(at, Wire::Type)),
                Ok(Some(_)) => {}
                Err(wire) => return Err(self.broken(at, wire)),
            }
        }
        self.all_malformed::<S>(sink.accepted())?;
        let accepted = sink.accepted();
        let batches = sink.finish(&self)?;
        Ok(Decoded { batches, accepted, warnings: self.notes.warnings(), rejects: self.rejects })
    }

    fn resource<S: Sink<'a>>(
        &mut self,
        message: &'a [u8],
        resource: &mut Envelope<'a>,
        scope: &mut Envelope<'a>,
        sink: &mut S,
    ) -> Result<(), DecodeError> {
        resource.read(message, &mut self.notes).map_err(|wire| self.broken(message, wire))?;
        let facts = std::mem::take(&mut resource.facts);
        let read = self.contexts.resource(facts, &mut self.keys.contexts, &self.limits);
        let id = match read {
            Ok(id) => Ok(id),
            Err(Bad::Wire(wire)) => return Err(self.broken(message, wire)),
            Err(Bad::Reject(reason, text)) => Err((reason, text)),
        };
        for message in &resource.below {
            scope.read(message, &mut self.notes).map_err(|wire| self.broken(message, wire))?;
            match &id {
                Ok(id) => self.scope(message, *id, resource.schema_url, scope, sink)?,
                Err((reason, text)) => self.reject_all::<S>(&scope.below, *reason, text),
            }
        }
        Ok(())
    }

    fn scope<S: Sink<'a>>(
        &mut self,
        message: &'a [u8],
        resource: u32,
        resource_url: &'a [u8],
        scope: &mut Envelope<'a>,
        sink: &mut S,
    ) -> Result<(), DecodeError> {
        let facts = std::mem::take(&mut scope.facts);
        let url = scope.schema_url;
        let keys = &mut self.keys.contexts;
        let read = self.contexts.context(resource, resource_url, facts, url, keys, &self.limits);
        match read {
            Ok(context) => {
                sink.reserve(scope.below.len());
                scope.below.iter().for_each(|record| sink.push(self, record, context));
            }
            Err(Bad::Wire(wire)) => return Err(self.broken(message, wire)),
            Err(Bad::Reject(reason, text)) => self.reject_all::<S>(&scope.below, reason, &text),
        }
        Ok(())
    }

    fn reject_all<S: Sink<'a>>(&mut self, records: &[&[u8]], reason: Reason, text: &str) {
        let count = records.iter().map(|record| S::count(record)).sum();
        self.rejects.add(reason, count, || text.to_owned());
    }

    /// When nothing but malformed records came, the request itself is the mistake: mostly it is
    /// another signal's.
    fn all_malformed<S: Sink<'a>>(&self, accepted: u32) -> Result<(), DecodeError> {
        let malformed = self.rejects.count(Reason::Malformed);
        if accepted > 0 || malformed == 0 || u64::from(malformed) < self.rejects.total() {
            return Ok(());
        }
        let first = self.rejects.first().first().map_or("", |(_, text)| text);
        Err(DecodeError {
            field: S::RECORD.to_owned(),
            message: format!(
                "none of the {malformed} records is readable as {}: {first}; check that the path \
                 or service fits the signal",
                S::RECORD
            ),
        })
    }

    fn broken(&self, at: &[u8], wire: Wire) -> DecodeError {
        let byte = self.offset(at);
        DecodeError {
            field: format!("byte {byte}"),
            message: format!(
                "the request is no valid protobuf near byte {byte}: {wire}; send \
                 Export…ServiceRequest messages of this signal, or JSON with its content type"
            ),
        }
    }

    /// Position of a part of the body in it; 0 for merged bytes, which lie elsewhere.
    fn offset(&self, part: &[u8]) -> usize {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        if offset < self.body.len() { offset } else { 0 }
    }

    /// Counts a record out. `what` names it.
    #[cold]
    fn reject(&mut self, bad: Bad, record: &[u8], count: u32, what: impl FnOnce() -> String) {
        let byte = self.offset(record);
        let (reason, text) = match bad {
            Bad::Wire(wire) => (Reason::Malformed, format!("{wire}, near byte {byte}")),
            Bad::Reject(reason, text) => (reason, text),
        };
        self.rejects.add(reason, count, || format!("{}: {text}", what()));
    }

    fn too_large(&self, record: &[u8]) -> Result<(), Bad> {
        if record.len() <= self.limits.record_bytes_max {
            return Ok(());
        }
        Err(Bad::Reject(
            Reason::RecordTooLarge,
            format!("it has {} bytes, {} are allowed", record.len(), self.limits.record_bytes_max),
        ))
    }

    /// The quality bit of a time (storage.md 2.1): it is stored, in the window of its arrival.
    fn time_quality(&self, time_ns: i64) -> u32 {
        let early = self.received_ns.saturating_sub(PAST_NS_MAX);
        let late = self.received_ns.saturating_add(FUTURE_NS_MAX);
        if (early..=late).contains(&time_ns) { 0 } else { quality::TIME_OUT_OF_RANGE }
    }

    fn ingested_ns(&self) -> i64 {
        self.received_ns - self.received_ns.rem_euclid(1_000_000)
    }
}

const PAST_NS_MAX: i64 = 30 * 24 * 3_600 * 1_000_000_000;
const FUTURE_NS_MAX: i64 = 10 * 60 * 1_000_000_000;

/// A time of the wire as the signed nanoseconds of the tables.
fn stored_time(name: &str, time_ns: u64) -> Result<i64, Bad> {
    i64::try_from(time_ns).map_err(|_| {
        Bad::Reject(
            Reason::TimeOverflow,
            format!("{name} is {time_ns}, times from 2^63 ns (year 2262) on cannot be stored"),
        )
    })
}

impl Notes {
    /// Counts the quality bits of an accepted record.
    #[inline]
    fn count(&mut self, bits: u32) {
        if bits == 0 {
            return;
        }
        self.repaired += u32::from(bits & quality::TEXT_REPAIRED != 0);
        self.cut += u32::from(bits & quality::VALUE_TRUNCATED != 0);
        self.duplicate_keys += u32::from(bits & quality::DUPLICATE_KEY != 0);
        self.string_indexes += u32::from(bits & value::STRING_INDEX != 0);
    }

    fn warnings(&self) -> Vec<String> {
        [
            (self.old_lists, "lists of the OTLP version before 2022 were skipped and their records are missing; update the sender"),
            (self.repaired, "records held text that is not UTF-8; it was repaired with U+FFFD"),
            (self.cut, "records held values beyond the limits of size or depth; they were cut"),
            (self.duplicate_keys, "records held an attribute key more than once; the last value was kept"),
            (self.string_indexes, "records refer to a string table, which only profiles have; those keys or values are empty"),
            (self.bad_parents, "spans have a parent span id that is not 8 bytes or all zero; they are stored as roots"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, text)| format!("{count} {text}"))
        .collect()
    }
}
