//! Exporters that can be cut off, as a process that dies cuts off its own, and whose host may have a
//! clock that is off.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{LogRecord, Severity};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::faults::Knobs;

/// Whether anything is sent. Once off it stays off: what waits in queues is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(super) fn turn_off(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_off(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// An exporter behind the switch.
#[derive(Debug)]
pub(super) struct Switched<E> {
    pub(super) inner: E,
    pub(super) switch: Switch,
    pub(super) knobs: Knobs,
}

impl<E> Switched<E> {
    fn offset_ms(&self) -> i64 {
        self.knobs.read().clock_offset_ms
    }
}

fn shifted(time: SystemTime, offset_ms: i64) -> SystemTime {
    let distance = Duration::from_millis(offset_ms.unsigned_abs());
    if offset_ms < 0 { time - distance } else { time + distance }
}

fn shift(span: &mut SpanData, offset_ms: i64) {
    span.start_time = shifted(span.start_time, offset_ms);
    span.end_time = shifted(span.end_time, offset_ms);
    for event in &mut span.events.events {
        event.timestamp = shifted(event.timestamp, offset_ms);
    }
}

impl<E: SpanExporter> SpanExporter for Switched<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        if self.switch.is_off() {
            return Ok(());
        }
        let offset_ms = self.offset_ms();
        if offset_ms != 0 {
            batch.iter_mut().for_each(|span| shift(span, offset_ms));
        }
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Switched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        if self.switch.is_off() {
            return Ok(());
        }
        let offset_ms = self.offset_ms();
        if offset_ms == 0 {
            return self.inner.export(batch).await;
        }
        let moved: Vec<(SdkLogRecord, InstrumentationScope)> = batch
            .iter()
            .map(|(record, scope)| {
                let mut record = record.clone();
                let time = record.observed_timestamp().unwrap_or_else(SystemTime::now);
                record.set_observed_timestamp(shifted(time, offset_ms));
                (record, scope.clone())
            })
            .collect();
        let borrowed: Vec<_> = moved.iter().map(|(record, scope)| (record, scope)).collect();
        self.inner.export(LogBatch::new(&borrowed)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
