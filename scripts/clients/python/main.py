"""A Python application with the OpenTelemetry SDK: sends the common scenario (../README.md) once.

usage: main.py {grpc|http/protobuf} HOST:PORT SERVICE
"""

import logging
import sys

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context


def exporters(protocol, endpoint):
    """The three exporters of the protocol, gzip throughout."""
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        settings = dict(endpoint=f"http://{endpoint}", insecure=True, compression=Compression.Gzip)
        return tuple(e(**settings) for e in (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter))
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return tuple(
        exporter(endpoint=f"http://{endpoint}/v1/{path}", compression=Compression.Gzip)
        for exporter, path in (
            (OTLPSpanExporter, "traces"),
            (OTLPMetricExporter, "metrics"),
            (OTLPLogExporter, "logs"),
        )
    )


def send_spans(tracer):
    """Sends ten traces of two spans; returns the context of the last root."""
    for order in range(10):
        attributes = {
            "http.route": "/orders/{id}",
            "http.response.status_code": 200,
            "client.order": order,
            "client.ratio": 0.5,
            "client.cached": True,
            "client.tags": ["a", "b"],
        }
        parent = tracer.start_span("checkout", kind=SpanKind.SERVER, attributes=attributes)
        parent.add_event("retry", {"attempt": 1})
        inside = set_span_in_context(parent)
        child = tracer.start_span("charge", inside, kind=SpanKind.CLIENT, attributes=attributes)
        if order == 9:
            child.set_status(StatusCode.ERROR, "card declined")
        child.end()
        parent.end()
    return inside


def send_metrics(meter, context):
    """Sends a counter, a gauge and a histogram whose exemplar points into the last trace."""
    requests = meter.create_counter("client.requests", unit="{request}")
    requests.add(3)
    requests.add(4)
    meter.create_gauge("client.temperature", unit="Cel").set(21.5)
    latency = meter.create_histogram("client.latency", unit="ms")
    for value in (1, 2, 3):
        latency.record(value, context=context)


def send_logs(logger):
    for order in range(5):
        logger.emit(
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body=f"order {order} placed",
            attributes={"order.id": order},
        )


class Failures(logging.Handler):
    """The exporters only log their failures; this makes them visible in the exit code."""

    seen = 0

    def emit(self, record):
        Failures.seen += 1


def main():
    protocol, endpoint, service = sys.argv[1:]
    logging.getLogger("opentelemetry").addHandler(Failures(logging.WARNING))
    logging.getLogger("opentelemetry").addHandler(logging.StreamHandler())
    resource = Resource({"service.name": service})
    span_exporter, metric_exporter, log_exporter = exporters(protocol, endpoint)

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    reader = PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3600_000)
    meters = MeterProvider([reader], resource=resource)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))

    context = send_spans(tracers.get_tracer("client"))
    send_metrics(meters.get_meter("client"), context)
    send_logs(loggers.get_logger("client"))
    for provider in (tracers, meters, loggers):
        provider.shutdown()
    return 1 if Failures.seen else 0


if __name__ == "__main__":
    sys.exit(main())
