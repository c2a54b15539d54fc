//! A piece of work with a span around it: started below a context, carried through futures, and ended
//! by whoever comes first, its end or its being dropped.

use std::borrow::Cow;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    FutureExt, Link, Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt,
};
use opentelemetry::{Context, KeyValue, Value};

use super::Telemetry;
use super::names::{ERROR_TYPE, Name, Semconv, own};

/// Baggage that is written on each span, since people look there.
const SHOWN_BAGGAGE: [&str; 3] = [own::SESSION_ID, own::CORRELATION_ID, own::SAGA_ID];

/// A span to come.
#[derive(Debug)]
pub struct Plan<'a> {
    telemetry: &'a Telemetry,
    builder: SpanBuilder,
    attributes: Vec<KeyValue>,
    parent: Context,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        telemetry: &'a Telemetry,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
    ) -> Plan<'a> {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        Plan { telemetry, builder, attributes: Vec::new(), parent: Context::current() }
    }

    /// Below this context, and not below the current one.
    pub fn below(mut self, parent: Context) -> Self {
        self.parent = parent;
        self
    }

    /// A trace of its own; the baggage stays.
    pub fn as_root(mut self) -> Self {
        let baggage = self.parent.baggage().iter();
        let kept = baggage.map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
        self.parent = Context::new().with_baggage(kept.collect::<Vec<_>>());
        self
    }

    /// Points at the spans that this one comes from.
    pub fn linked_to(mut self, contexts: impl IntoIterator<Item = SpanContext>) -> Self {
        let links = contexts.into_iter().map(Link::with_context).collect();
        self.builder = self.builder.with_links(links);
        self
    }

    /// Began at this time and not now.
    pub fn since(mut self, start: SystemTime) -> Self {
        self.builder = self.builder.with_start_time(start);
        self
    }

    /// An attribute of the table of names.
    pub fn with(self, name: Name, value: impl Into<Value>) -> Self {
        let key = name.text(self.telemetry.semconv());
        self.with_own(key, value)
    }

    /// An attribute of our own.
    pub fn with_own(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Work {
        let baggage = self.parent.baggage();
        for key in SHOWN_BAGGAGE {
            if let Some(value) = baggage.get(key) {
                self.attributes.push(KeyValue::new(key, value.clone()));
            }
        }
        let (now, began) = (SystemTime::now(), Instant::now());
        let mut builder = self.builder.with_attributes(self.attributes);
        builder.start_time.get_or_insert(now);
        let span = self.telemetry.start_span(builder, &self.parent);
        let context = self.parent.with_span(span);
        let semconv = self.telemetry.semconv();
        Work { context, semconv, clock: Clock { now, began }, taken: None, is_open: true }
    }
}

/// A span that runs. Dropped before its end it counts as cancelled.
#[derive(Debug)]
pub struct Work {
    context: Context,
    semconv: Semconv,
    clock: Clock,
    /// How long it took, once somebody has asked.
    taken: Option<Duration>,
    is_open: bool,
}

/// One moment by both clocks: durations must not jump with the time of day.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: SystemTime,
    began: Instant,
}

impl Work {
    /// Seconds that it took: its span ends here, so that a metric of them says what the span says.
    pub fn seconds(&mut self) -> f64 {
        let taken = self.taken.get_or_insert_with(|| self.clock.began.elapsed());
        taken.as_secs_f64()
    }

    /// The context to hand on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether its span is kept.
    pub fn is_sampled(&self) -> bool {
        self.context.span().span_context().is_sampled()
    }

    /// Other things that the work carries along, such as its deadline.
    pub fn carry<T: Send + Sync + 'static>(&mut self, value: T) {
        self.context = self.context.with_value(value);
    }

    /// Runs a future inside.
    pub fn run<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_context(self.context.clone())
    }

    /// Sets an attribute of the table of names.
    pub fn set(&self, name: Name, value: impl Into<Value>) {
        self.set_own(name.text(self.semconv), value);
    }

    /// Sets an attribute of our own.
    pub fn set_own(&self, key: &'static str, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    /// Writes an event on it.
    pub fn event(&self, name: &'static str, attributes: Vec<KeyValue>) {
        self.context.span().add_event(name, attributes);
    }

    /// It went wrong.
    pub fn fail(&self, error_type: &str, message: impl Into<Cow<'static, str>>) {
        self.set(ERROR_TYPE, error_type.to_owned());
        self.context.span().set_status(Status::error(message));
    }

    /// It is over.
    pub fn end(mut self) {
        self.is_open = false;
        let taken = self.taken.unwrap_or_else(|| self.clock.began.elapsed());
        self.context.span().end_with_timestamp(self.clock.now + taken);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.is_open {
            self.set(ERROR_TYPE, "cancelled");
            self.context.span().end();
        }
    }
}

/// Writes an event on the current span.
pub fn event(name: &'static str, attributes: Vec<KeyValue>) {
    Context::map_current(|context| context.span().add_event(name, attributes));
}

/// Sets an attribute of our own on the current span.
pub fn set_own(key: &'static str, value: impl Into<Value>) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(key, value)));
}

/// A span that is already over, such as a wait that turned out long.
pub(super) fn past(telemetry: &Telemetry, name: &'static str, start: SystemTime) {
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(start);
    Context::map_current(|context| telemetry.start_span(builder, context).end());
}
