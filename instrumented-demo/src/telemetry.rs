//! What an instance says about itself: spans, logs and metrics by the official SDK, with providers of
//! its own for each instance, so that many may run in one program. Nothing here is global.
//!
//! Exporters live on a runtime that all instances share. The runtime of an instance may stop at any
//! moment, and what it was about to send has to be lost then or sent then, as was asked for.

mod exemplars;
mod http;
mod instruments;
pub mod names;
mod settings;
mod stdout;
mod switch;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatching, BatchLogProcessor, SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatching, BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span,
};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::faults::Knobs;
pub use instruments::{Instruments, Seconds};
use names::{Semconv, own};
pub use settings::{Lookup, Protocol, Route, Settings, Signal, process_environment};
use switch::{Switch, Switched};
pub use work::{Plan, Work, event, set_own};

/// Target of ordinary log lines.
pub const LOG: &str = "shop";
/// Target of the log stream that says who did what, and whether they might.
pub const AUDIT: &str = "audit";
/// `service.namespace`.
const NAMESPACE: &str = "shop";
/// `deployment.environment.name`.
const ENVIRONMENT: &str = "production";
/// How long the last exports may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Who an instance is, in its telemetry.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `service.name`.
    pub service: &'static str,
    /// `service.instance.id`.
    pub instance: String,
    /// `service.version`.
    pub version: String,
    /// `host.name`.
    pub host: String,
    /// `team`.
    pub team: &'static str,
    /// `domain`.
    pub domain: &'static str,
}

impl Identity {
    fn resource(&self) -> Resource {
        let text = |key, value: &str| KeyValue::new(key, value.to_owned());
        let attributes = [
            text("service.name", self.service),
            text("service.namespace", NAMESPACE),
            text("service.version", &self.version),
            text("service.instance.id", &self.instance),
            text("deployment.environment.name", ENVIRONMENT),
            text("host.name", &self.host),
            KeyValue::new("process.pid", i64::from(std::process::id())),
            text("team", self.team),
            text("domain", self.domain),
        ];
        // The builder reads OTEL_RESOURCE_ATTRIBUTES; what is said here wins.
        Resource::builder().with_schema_url([], SCHEMA_URL).with_attributes(attributes).build()
    }
}

/// The providers of one instance and what is recorded with them.
#[derive(Debug)]
pub struct Telemetry {
    identity: Identity,
    settings: Settings,
    tracer: SdkTracer,
    propagator: TextMapCompositePropagator,
    instruments: Instruments,
    providers: Providers,
    switch: Switch,
}

#[derive(Debug)]
struct Providers {
    spans: SdkTracerProvider,
    logs: SdkLoggerProvider,
    metrics: SdkMeterProvider,
}

impl Telemetry {
    /// Sets an instance up. The exporters run on `runtime`, which has to outlive them.
    pub fn start(
        identity: Identity,
        settings: Settings,
        knobs: &Knobs,
        runtime: &Handle,
        lookup: Lookup<'_>,
    ) -> anyhow::Result<Telemetry> {
        // The exporters' channels are made inside a runtime, or not at all.
        let _inside = runtime.enter();
        let switch = Switch::default();
        let reservoir = Arc::default();
        let providers = if settings::is_disabled(lookup) {
            Providers::silent()
        } else {
            let parts = Parts { settings: &settings, switch: &switch, knobs, runtime, lookup };
            parts.providers(&identity.resource(), &reservoir)?
        };
        let scope = InstrumentationScope::builder("instrumented-demo")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build();
        Ok(Telemetry::with(identity, settings, providers, scope, &reservoir, switch))
    }

    /// For an instance that says nothing about itself.
    pub fn silent(identity: Identity) -> Telemetry {
        let settings = Settings { stdout_logs: false, ..Settings::default() };
        let scope = InstrumentationScope::default();
        let switch = Switch::default();
        Telemetry::with(identity, settings, Providers::silent(), scope, &Arc::default(), switch)
    }

    fn with(
        identity: Identity,
        settings: Settings,
        providers: Providers,
        scope: InstrumentationScope,
        reservoir: &Arc<exemplars::Reservoir>,
        switch: Switch,
    ) -> Telemetry {
        let tracer = providers.spans.tracer_with_scope(scope.clone());
        let meter = providers.metrics.meter_with_scope(scope);
        Telemetry {
            instruments: Instruments::new(meter, reservoir),
            propagator: TextMapCompositePropagator::new(vec![
                Box::new(TraceContextPropagator::new()),
                Box::new(BaggagePropagator::new()),
            ]),
            identity,
            settings,
            tracer,
            providers,
            switch,
        }
    }

    /// Who the instance is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is measured.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Which names are sent.
    pub fn semconv(&self) -> Semconv {
        self.settings.semconv
    }

    /// Whether consumers take the producer as parent too.
    pub fn consumers_are_children(&self) -> bool {
        self.settings.consumers_are_children
    }

    /// An attribute of the table of names, in the form that is sent.
    pub fn attribute(&self, name: names::Name, value: impl Into<opentelemetry::Value>) -> KeyValue {
        KeyValue::new(name.text(self.semconv()), value)
    }

    /// A span of this kind and name, below the current one.
    pub fn span(
        &self,
        kind: SpanKind,
        name: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Plan<'_> {
        Plan::new(self, kind, name)
    }

    /// An internal span that is over, since `start`.
    pub fn past_span(&self, name: &'static str, start: SystemTime) {
        work::past(self, name, start);
    }

    fn start_span(&self, builder: SpanBuilder, parent: &Context) -> Span {
        self.tracer.build_with_context(builder, parent)
    }

    /// The context that a caller sent.
    pub fn extract(&self, from: &dyn Extractor) -> Context {
        self.propagator.extract_with_context(&Context::new(), from)
    }

    /// Writes a context where a callee will find it.
    pub fn inject(&self, context: &Context, into: &mut dyn Injector) {
        self.propagator.inject_context(context, into);
    }

    /// What takes the log lines of the threads of this instance.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let ours = |metadata: &Metadata<'_>| [LOG, AUDIT].contains(&metadata.target());
        let bridge = OpenTelemetryTracingBridge::new(&self.providers.logs);
        let lines =
            self.settings.stdout_logs.then(|| stdout::JsonLines::new(self.identity.service));
        Registry::default()
            .with(bridge.with_filter(FilterFn::new(ours)))
            .with(lines.with_filter(FilterFn::new(ours)))
    }

    /// Sends what waits and ends. Blocks, so never on the thread of a runtime; returns what could
    /// not be sent in time.
    pub fn shutdown(&self) -> Vec<String> {
        let (spans, logs) = (&self.providers.spans, &self.providers.logs);
        let results = [
            ("spans", spans.shutdown_with_timeout(SHUTDOWN)),
            ("logs", logs.shutdown_with_timeout(SHUTDOWN)),
            ("metrics", self.providers.metrics.shutdown_with_timeout(SHUTDOWN)),
        ];
        let failed = results.into_iter().filter_map(|(what, result)| Some((what, result.err()?)));
        failed.map(|(what, error)| format!("{what}: {error}")).collect()
    }

    /// Ends without sending what waits, like a process that was killed.
    pub fn abandon(&self) {
        self.switch.turn_off();
        self.shutdown();
    }
}

impl Providers {
    fn silent() -> Providers {
        let spans = SdkTracerProvider::builder();
        Providers {
            spans: spans.with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff).build(),
            logs: SdkLoggerProvider::builder().build(),
            metrics: SdkMeterProvider::builder().build(),
        }
    }
}

/// What providers are made of.
struct Parts<'a> {
    settings: &'a Settings,
    switch: &'a Switch,
    knobs: &'a Knobs,
    runtime: &'a Handle,
    lookup: Lookup<'a>,
}

impl Parts<'_> {
    fn providers(
        &self,
        resource: &Resource,
        reservoir: &Arc<exemplars::Reservoir>,
    ) -> anyhow::Result<Providers> {
        Ok(Providers {
            spans: self.spans(resource.clone())?,
            logs: self.logs(resource.clone())?,
            metrics: self.metrics(resource.clone(), reservoir)?,
        })
    }

    fn switched<E>(&self, inner: E) -> Switched<E> {
        Switched { inner, switch: self.switch.clone(), knobs: self.knobs.clone() }
    }

    fn route(&self, signal: Signal) -> anyhow::Result<Route> {
        self.settings.route(signal, self.lookup)
    }

    fn spans(&self, resource: Resource) -> anyhow::Result<SdkTracerProvider> {
        let route = self.route(Signal::Traces)?;
        let builder = SpanExporter::builder();
        let exporter = match route.protocol {
            Protocol::Grpc => {
                let builder = builder.with_tonic().with_endpoint(route.endpoint);
                builder.with_timeout(route.timeout).build()?
            }
            Protocol::HttpProtobuf => {
                let sender = http::Sender::new(self.runtime, route.timeout);
                let builder = builder.with_http().with_http_client(sender);
                builder.with_protocol(BINARY).with_endpoint(route.endpoint).build()?
            }
        };
        let batching = SpanBatching::default().with_scheduled_delay(route.delay).build();
        let processor = BatchSpanProcessor::builder(self.switched(exporter));
        let processor = processor.with_batch_config(batching).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor);
        Ok(provider.with_resource(resource).build())
    }

    fn logs(&self, resource: Resource) -> anyhow::Result<SdkLoggerProvider> {
        let route = self.route(Signal::Logs)?;
        let builder = LogExporter::builder();
        let exporter = match route.protocol {
            Protocol::Grpc => {
                let builder = builder.with_tonic().with_endpoint(route.endpoint);
                builder.with_timeout(route.timeout).build()?
            }
            Protocol::HttpProtobuf => {
                let sender = http::Sender::new(self.runtime, route.timeout);
                let builder = builder.with_http().with_http_client(sender);
                builder.with_protocol(BINARY).with_endpoint(route.endpoint).build()?
            }
        };
        let batching = LogBatching::default().with_scheduled_delay(route.delay).build();
        let processor = BatchLogProcessor::builder(self.switched(exporter));
        let processor = processor.with_batch_config(batching).build();
        let provider = SdkLoggerProvider::builder().with_log_processor(processor);
        Ok(provider.with_resource(resource).build())
    }

    /// Where metrics go; their exporter is our own.
    fn destination(&self, route: Route) -> anyhow::Result<exemplars::Destination> {
        if route.protocol == Protocol::HttpProtobuf {
            return Ok(exemplars::Destination::Http {
                sender: http::Sender::new(self.runtime, route.timeout),
                endpoint: route.endpoint,
                headers: route.metadata.into_headers(),
            });
        }
        let endpoint = tonic::transport::Endpoint::from_shared(route.endpoint.clone())
            .with_context(|| format!("{} is no endpoint", route.endpoint))?;
        Ok(exemplars::Destination::Grpc {
            client: MetricsServiceClient::new(endpoint.connect_lazy()),
            metadata: route.metadata,
            timeout: route.timeout,
            runtime: self.runtime.clone(),
        })
    }

    fn metrics(
        &self,
        resource: Resource,
        reservoir: &Arc<exemplars::Reservoir>,
    ) -> anyhow::Result<SdkMeterProvider> {
        let route = self.route(Signal::Metrics)?;
        let delay = route.delay;
        let exporter = exemplars::Exporter {
            to: self.destination(route)?,
            temporality: settings::temporality(self.lookup),
            reservoir: reservoir.clone(),
            switch: self.switch.clone(),
        };
        let reader = PeriodicReader::builder(exporter).with_interval(delay).build();
        let provider = SdkMeterProvider::builder().with_reader(reader);
        Ok(provider.with_view(instruments::exponential_view).with_resource(resource).build())
    }
}

/// OTLP over HTTP as protobuf, in the words of the SDK.
const BINARY: opentelemetry_otlp::Protocol = opentelemetry_otlp::Protocol::HttpBinary;

/// What a request is called in logs: what its caller called it, or its trace.
pub fn correlation_id() -> Option<String> {
    Context::map_current(|context| {
        let given = context.baggage().get(own::CORRELATION_ID).map(ToString::to_string);
        given.or_else(|| {
            let span = context.span().span_context().clone();
            span.is_valid().then(|| span.trace_id().to_string())
        })
    })
}

/// Seconds since a moment.
pub fn seconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// Writes a log line of a level, with the keys that every line has. Further fields come first.
#[macro_export]
macro_rules! say {
    ($level:ident, $($rest:tt)+) => {
        ::tracing::$level!(
            target: "shop",
            correlationId = $crate::telemetry::correlation_id(),
            $($rest)+
        )
    };
}
