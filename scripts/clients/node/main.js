// A Node application with the OpenTelemetry SDK: sends the common scenario (../README.md) once.
// usage: node main.js {http/json|http/protobuf|grpc} HOST:PORT SERVICE
'use strict';
const { SpanKind, SpanStatusCode, ValueType, context, trace } = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');

const [protocol, endpoint, service] = process.argv.slice(2);
const flavour = { 'http/json': 'http', 'http/protobuf': 'proto', grpc: 'grpc' }[protocol];
const failures = [];

function exporter(signal, type) {
  const Exporter = require(`@opentelemetry/exporter-${signal}-otlp-${flavour}`)[type];
  const path = { trace: 'traces', metrics: 'metrics', logs: 'logs' }[signal];
  const url = flavour === 'grpc' ? `http://${endpoint}` : `http://${endpoint}/v1/${path}`;
  const made = new Exporter({ url, compression: 'gzip' });
  const send = made.export.bind(made);
  made.export = (items, done) =>
    send(items, (result) => {
      if (result.code !== 0) failures.push(`${signal}: ${result.error}`);
      done(result);
    });
  return made;
}

function spans(tracer) {
  for (let order = 0; order < 10; order++) {
    const attributes = {
      'http.route': '/orders/{id}',
      'http.response.status_code': 200,
      'client.order': order,
      'client.ratio': 0.5,
      'client.cached': true,
      'client.tags': ['a', 'b'],
    };
    const parent = tracer.startSpan('checkout', { kind: SpanKind.SERVER, attributes });
    parent.addEvent('retry', { attempt: 1 });
    const inside = trace.setSpan(context.active(), parent);
    const child = tracer.startSpan('charge', { kind: SpanKind.CLIENT, attributes }, inside);
    if (order === 9) child.setStatus({ code: SpanStatusCode.ERROR, message: 'card declined' });
    child.end();
    parent.end();
  }
}

function metrics(meter) {
  const requests = meter.createCounter('client.requests', {
    unit: '{request}',
    valueType: ValueType.INT,
  });
  requests.add(3);
  requests.add(4);
  meter.createGauge('client.temperature', { unit: 'Cel' }).record(21.5);
  const latency = meter.createHistogram('client.latency', { unit: 'ms' });
  for (const value of [1, 2, 3]) latency.record(value);
}

function logs(logger) {
  for (let order = 0; order < 5; order++) {
    logger.emit({
      severityNumber: SeverityNumber.WARN,
      severityText: 'WARN',
      body: `order ${order} placed`,
      attributes: { 'order.id': order },
    });
  }
}

async function main() {
  const resource = resourceFromAttributes({ 'service.name': service });
  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(exporter('trace', 'OTLPTraceExporter'))],
  });
  const reader = new PeriodicExportingMetricReader({
    exporter: exporter('metrics', 'OTLPMetricExporter'),
    exportIntervalMillis: 3600_000,
  });
  const meters = new MeterProvider({ resource, readers: [reader] });
  const processor = new BatchLogRecordProcessor({ exporter: exporter('logs', 'OTLPLogExporter') });
  const loggers = new LoggerProvider({ resource, processors: [processor] });
  spans(tracers.getTracer('client'));
  metrics(meters.getMeter('client'));
  logs(loggers.getLogger('client'));
  for (const provider of [tracers, meters, loggers]) await provider.shutdown();
  for (const failure of failures) console.error(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

main();
