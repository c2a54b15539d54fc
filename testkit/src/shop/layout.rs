//! A plan laid out in time: its spans, its log records, its measurements.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::Rng;
use rand::rngs::StdRng;

use super::attributes;
use super::metrics::Measurement;
use super::plan::{Delivery, Plan, Role, STAGGER_NS, Step};
use super::topology::{Protocol, any, text};

/// The trace is sampled, and whether the parent is remote is known: it is not, or it is.
const FLAGS_LOCAL: u32 = 0x101;
const FLAGS_REMOTE: u32 = 0x301;

/// What one request leaves behind; records stand with the index of their instance.
#[derive(Debug, Default)]
pub(super) struct Laid<'a> {
    pub(super) spans: Vec<(usize, Span)>,
    pub(super) logs: Vec<(usize, LogRecord)>,
    pub(super) measurements: Vec<(usize, Measurement)>,
    /// Every trace with the plan of its root and its start, the request's own first.
    pub(super) traces: Vec<([u8; 16], &'a Plan, u64)>,
}

/// Lays out the plan of a request.
pub(super) fn lay_out<'a>(plan: &'a Plan, start_ns: u64, rng: &mut StdRng) -> Laid<'a> {
    let customer = Customer { order: rng.random_range(10_000..1_000_000), key: rng.random() };
    let mut layout = Layout { rng, customer, laid: Laid::default() };
    layout.trace(plan, start_ns, None);
    layout.laid
}

/// What all spans and log records of one customer's request share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Customer {
    /// The number in paths.
    pub(super) order: u32,
    /// What `correlation.id` is made of.
    key: u32,
}

impl Customer {
    /// The attribute that ties everything of a request together, across traces.
    pub(super) fn correlation(self) -> KeyValue {
        text("correlation.id", format!("req-{:08x}", self.key))
    }

    pub(super) fn message_id(self) -> String {
        format!("orders-{:08x}", self.key)
    }
}

struct Layout<'a, 'r> {
    rng: &'r mut StdRng,
    customer: Customer,
    laid: Laid<'a>,
}

/// The span under which another one is laid out.
struct Above<'p> {
    plan: &'p Plan,
    span_id: [u8; 8],
}

/// A message on its way.
struct Sent<'a> {
    consumer: &'a Plan,
    delivery: Delivery,
    lag_ns: u64,
}

impl<'a> Layout<'a, '_> {
    fn trace(&mut self, root: &'a Plan, start_ns: u64, link: Option<Link>) {
        let trace_id: [u8; 16] = self.rng.random();
        self.laid.traces.push((trace_id, root, start_ns));
        self.span(root, start_ns, trace_id, None, link);
    }

    /// Lays out a span and all below it.
    fn span(
        &mut self,
        plan: &'a Plan,
        start_ns: u64,
        trace_id: [u8; 16],
        above: Option<&Above<'_>>,
        link: Option<Link>,
    ) {
        let end_ns = start_ns + plan.duration_ns();
        let span_id: [u8; 8] = self.rng.random();
        let is_remote =
            above.is_some_and(|a| a.plan.instance != plan.instance || plan.role == Role::Process);
        let span = Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            parent_span_id: above.map_or_else(Vec::new, |a| a.span_id.to_vec()),
            flags: if is_remote { FLAGS_REMOTE } else { FLAGS_LOCAL },
            name: plan.name().to_owned(),
            kind: kind(plan.role) as i32,
            start_time_unix_nano: start_ns,
            end_time_unix_nano: end_ns,
            attributes: attributes::of(plan, self.customer),
            events: exception(plan, end_ns).into_iter().collect(),
            links: link.into_iter().collect(),
            status: status(plan),
            ..Span::default()
        };
        self.log(plan, &span);
        self.measure(plan, &span);
        self.laid.spans.push((plan.instance, span));
        let sent = self.below(&Above { plan, span_id }, &plan.steps, start_ns, trace_id);
        for Sent { consumer, delivery, lag_ns } in sent {
            let begin_ns = end_ns + lag_ns;
            let link = Some(Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                flags: FLAGS_REMOTE,
                ..Link::default()
            });
            match delivery {
                Delivery::SameTrace => {
                    let above = Above { plan, span_id };
                    self.span(consumer, begin_ns, trace_id, Some(&above), link);
                }
                Delivery::OwnTrace => self.trace(consumer, begin_ns, link),
            }
        }
    }

    /// Lays out the steps of a span, one after the other; messages wait for its end.
    fn below(
        &mut self,
        above: &Above<'_>,
        steps: &'a [Step],
        start_ns: u64,
        trace_id: [u8; 16],
    ) -> Vec<Sent<'a>> {
        let mut now_ns = start_ns;
        let mut sent = Vec::new();
        for step in steps {
            let mut begin_ns = now_ns;
            for child in step.children() {
                self.span(child, begin_ns, trace_id, Some(above), None);
                begin_ns += STAGGER_NS;
            }
            if let Step::Message { lag_ns, consumer, delivery } = step {
                sent.push(Sent { consumer, delivery: *delivery, lag_ns: *lag_ns });
            }
            now_ns += step.duration_ns();
        }
        sent
    }

    fn log(&mut self, plan: &Plan, span: &Span) {
        let Some((severity, body)) = message(plan) else { return };
        let record = LogRecord {
            time_unix_nano: span.end_time_unix_nano,
            observed_time_unix_nano: span.end_time_unix_nano,
            severity_number: severity as i32,
            severity_text: match severity {
                SeverityNumber::Error => "ERROR",
                SeverityNumber::Warn => "WARN",
                _ => "INFO",
            }
            .to_owned(),
            body: Some(any(body)),
            attributes: vec![self.customer.correlation()],
            flags: 1,
            trace_id: span.trace_id.clone(),
            span_id: span.span_id.clone(),
            ..LogRecord::default()
        };
        self.laid.logs.push((plan.instance, record));
    }

    fn measure(&mut self, plan: &Plan, span: &Span) {
        let Role::Server(endpoint) = plan.role else { return };
        let Protocol::Http(method, route) = endpoint.protocol else { return };
        let measurement = Measurement {
            method,
            route,
            status: attributes::http_status(plan, method),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            trace_id: span.trace_id.clone(),
            span_id: span.span_id.clone(),
        };
        self.laid.measurements.push((plan.instance, measurement));
    }
}

fn kind(role: Role) -> SpanKind {
    match role {
        Role::Server(_) => SpanKind::Server,
        Role::Client(_) | Role::Provider | Role::Database(_) => SpanKind::Client,
        Role::Internal(_) => SpanKind::Internal,
        Role::Send => SpanKind::Producer,
        Role::Process => SpanKind::Consumer,
    }
}

fn status(plan: &Plan) -> Option<Status> {
    plan.failure.map(|failure| Status {
        message: failure.message.to_owned(),
        code: StatusCode::Error as i32,
    })
}

/// Whether a span is in error and no child that it waited for is.
fn begins_error(plan: &Plan) -> bool {
    plan.failure.is_some() && plan.children().all(|child| child.failure.is_none())
}

/// The event of a span in which an error begins.
fn exception(plan: &Plan, time_unix_nano: u64) -> Option<Event> {
    let failure = plan.failure.filter(|_| begins_error(plan))?;
    Some(Event {
        time_unix_nano,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", failure.exception),
            text("exception.message", failure.message),
        ],
        dropped_attributes_count: 0,
    })
}

/// What a service writes into its log when a span of it ends.
fn message(plan: &Plan) -> Option<(SeverityNumber, String)> {
    if let Some(failure) = plan.failure {
        return match plan.role {
            _ if begins_error(plan) => {
                Some((SeverityNumber::Error, format!("{}: {}", plan.name(), failure.message)))
            }
            Role::Client(_) => {
                Some((SeverityNumber::Warn, format!("{} failed: {}", plan.name(), failure.message)))
            }
            _ => None,
        };
    }
    let text = match plan.role {
        Role::Server(endpoint) if endpoint.name.contains("/api/") => {
            format!("{} answered in {} ms", endpoint.name, plan.duration_ns() / 1_000_000)
        }
        Role::Send => "order placed".to_owned(),
        Role::Process => format!("order taken over by {}", plan.service.name()),
        _ => return None,
    };
    Some((SeverityNumber::Info, text))
}
