//! Spans and log records to bytes, and these to requests as the SDK of each instance would send
//! them.

use super::catalog::{Catalog, Kind, NOTHING};
use super::failure::FAILURES;
use super::trace::{Content, Span, Trace, Value};
use super::wire;

/// Records of one request, as an SDK's batch processor sends them.
pub(super) const RECORDS_MAX: u32 = 512;
/// The flags of a sampled span: of which its parent is known to be in the same process, or not.
const FLAGS_LOCAL: u32 = 0x101;
const FLAGS_REMOTE: u32 = 0x301;

/// Export requests of one signal, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// The bytes of each, and where in them it begins.
    each: Vec<(Vec<u8>, usize)>,
    /// Records in all of them.
    pub records: u64,
}

impl Requests {
    /// The requests in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.each.iter().map(|(bytes, from)| &bytes[*from..])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }

    /// Adds a request that is encoded already, and begins somewhere in its bytes.
    pub(super) fn push(&mut self, (request, from): (Vec<u8>, usize), records: u64) {
        self.each.push((request, from));
        self.records += records;
    }
}

/// Collects the records of all instances into requests.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    /// By instance.
    waiting: Vec<Waiting>,
    requests: Requests,
}

/// Encoded records of an instance, behind room for what comes before them.
#[derive(Clone, Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    records: u32,
    /// Bytes of the request before.
    last_len: usize,
}

impl Batcher {
    pub(super) fn new(instances: usize) -> Batcher {
        Batcher { waiting: vec![Waiting::default(); instances], requests: Requests::default() }
    }

    /// Adds one record; a full batch becomes a request.
    pub(super) fn add(
        &mut self,
        catalog: &Catalog,
        instance: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let waiting = &mut self.waiting[instance as usize];
        if waiting.records == 0 {
            // What grows is copied; the next request is about as long as the last one.
            waiting.bytes.reserve_exact(waiting.last_len + waiting.last_len / 4);
            waiting.bytes.resize(catalog.head_len_max(instance), 0);
        }
        write(&mut waiting.bytes);
        waiting.records += 1;
        if waiting.records == RECORDS_MAX {
            self.flush(catalog, instance);
        }
    }

    fn flush(&mut self, catalog: &Catalog, instance: u32) {
        let waiting = &mut self.waiting[instance as usize];
        let from = catalog.enclose(&mut waiting.bytes, instance);
        waiting.last_len = waiting.bytes.len();
        self.requests.records += u64::from(std::mem::take(&mut waiting.records));
        self.requests.each.push((std::mem::take(&mut waiting.bytes), from));
    }

    /// Makes requests of all that waits, and hands out the requests made so far.
    pub(super) fn take(&mut self, catalog: &Catalog) -> Requests {
        for instance in 0..self.waiting.len() {
            if self.waiting[instance].records > 0 {
                self.flush(catalog, instance as u32);
            }
        }
        std::mem::take(&mut self.requests)
    }
}

/// Where a span hangs, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// 0 for a root.
    pub(super) parent: u64,
}

/// Writes a span of a trace as it was told.
pub(super) fn span(out: &mut Vec<u8>, catalog: &Catalog, trace: &Trace, span: &Span) {
    let parent = trace.spans.get(span.parent as usize).map_or(0, |parent| parent.id);
    let ids = Ids { trace: trace.ids[span.trace as usize], span: span.id, parent };
    span_as(out, catalog, trace, span, ids, None);
}

/// Writes a span under ids, and with a kind, that may be others than its own.
pub(super) fn span_as(
    out: &mut Vec<u8>,
    catalog: &Catalog,
    trace: &Trace,
    span: &Span,
    ids: Ids,
    kind: Option<u64>,
) {
    let op = &catalog.ops[span.op as usize];
    let shift_ns = trace.clock_shift_ns(catalog.instances[span.instance as usize].host);
    let at = |ns: u64| ns.saturating_add_signed(shift_ns);
    let parent = trace.spans.get(span.parent as usize);
    wire::long_message(out, 2, |out| {
        wire::short_field::<18>(out, 1, &ids.trace.to_be_bytes());
        wire::short_field::<10>(out, 2, &ids.span.to_be_bytes());
        out.extend_from_slice(&catalog.trace_state);
        if ids.parent != 0 {
            wire::short_field::<10>(out, 4, &ids.parent.to_be_bytes());
        }
        out.extend_from_slice(op.fields.head());
        if let Some(kind) = kind {
            // Of a field that is there twice the last one holds.
            wire::uint(out, 6, kind);
        }
        wire::fixed64(out, 7, at(span.start_ns));
        wire::fixed64(out, 8, at(span.end_ns));
        out.extend_from_slice(op.fields.attributes());
        trace.values(span).iter().for_each(|value| attribute(out, 9, value));
        if span.failure == 0 {
            out.extend_from_slice(op.fields.success());
        } else {
            failed(out, catalog, span, at(span.end_ns));
        }
        if let Some(linked) = trace.spans.get(span.link as usize) {
            link(out, trace.ids[linked.trace as usize], linked.id);
        }
        if span.failure != 0 {
            out.extend_from_slice(&catalog.outcome(op, span.failure).status);
        }
        let is_remote = parent.is_some_and(|parent| parent.instance != span.instance);
        wire::fixed32(out, 16, if is_remote { FLAGS_REMOTE } else { FLAGS_LOCAL });
    });
}

fn failed(out: &mut Vec<u8>, catalog: &Catalog, span: &Span, at_ns: u64) {
    let outcome = catalog.outcome(&catalog.ops[span.op as usize], span.failure);
    out.extend_from_slice(&outcome.attributes);
    if span.is_error && !span.has_error {
        wire::message(out, 11, |out| {
            wire::fixed64(out, 1, at_ns);
            wire::text(out, 2, "exception");
            out.extend_from_slice(&outcome.exception);
        });
    }
}

fn link(out: &mut Vec<u8>, trace: u128, span: u64) {
    wire::message(out, 13, |out| {
        wire::bytes(out, 1, &trace.to_be_bytes());
        wire::bytes(out, 2, &span.to_be_bytes());
        wire::fixed32(out, 6, FLAGS_REMOTE);
    });
}

pub(super) fn attribute(out: &mut Vec<u8>, field: u32, value: &Value) {
    match value.content {
        Content::Int(int) => wire::int_attribute(out, field, value.key, int),
        Content::Bool(is) => wire::bool_attribute(out, field, value.key, is),
        Content::Text(text) => wire::text_attribute(out, field, value.key, [text, ""]),
        Content::Numbered(text, number) => {
            let digits = wire::Digits::new(number);
            wire::text_attribute(out, field, value.key, [text, digits.as_str()]);
        }
    }
}

/// How urgent a log record is, by its number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Info = 9,
    Warn = 13,
    Error = 17,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
        }
    }
}

/// What a service writes into its log when a span of it ends.
pub(super) fn log_of(out: &mut Batcher, catalog: &Catalog, trace: &Trace, span: &Span) {
    let op = &catalog.ops[span.op as usize];
    let millis = wire::Digits::new(span.duration_ns() / 1_000_000);
    let message = FAILURES[usize::from(span.failure)].message;
    let (severity, body) = match op.kind {
        _ if span.is_error && !span.has_error => {
            (Severity::Error, [op.name.as_str(), ": ", message, ""])
        }
        Kind::Client if span.is_error => {
            (Severity::Warn, [op.name.as_str(), " failed: ", message, ""])
        }
        Kind::Server | Kind::Consumer if span.parent == NOTHING => {
            (Severity::Info, [op.name.as_str(), " answered in ", millis.as_str(), " ms"])
        }
        _ => return,
    };
    out.add(catalog, span.instance, |out| log(out, catalog, trace, span, severity, &body));
}

/// Writes a log record of a span, at its end.
fn log(
    out: &mut Vec<u8>,
    catalog: &Catalog,
    trace: &Trace,
    span: &Span,
    severity: Severity,
    body: &[&str],
) {
    let shift_ns = trace.clock_shift_ns(catalog.instances[span.instance as usize].host);
    let at_ns = span.end_ns.saturating_add_signed(shift_ns);
    wire::long_message(out, 2, |out| {
        wire::fixed64(out, 1, at_ns);
        wire::uint(out, 2, severity as u64);
        wire::text(out, 3, severity.word());
        wire::message(out, 5, |out| {
            wire::open(out, 1, body.iter().map(|part| part.len()).sum());
            body.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        });
        trace.values(span).iter().for_each(|value| attribute(out, 6, value));
        wire::fixed32(out, 8, 1);
        wire::bytes(out, 9, &trace.ids[span.trace as usize].to_be_bytes());
        wire::bytes(out, 10, &span.id.to_be_bytes());
        wire::fixed64(out, 11, at_ns);
    });
}
