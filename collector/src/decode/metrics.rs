//! Metrics of the wire to rows of the four metric tables, one row a data point or exemplar.
//!
//! A metric's name and temporality may stand behind its points, so its own fields are read first.

use arrow_schema::ArrowError;
use schemas::Batch;

use super::merge::merged;
use super::text::excerpt;
use super::wire::Wire;
use super::{Bad, Request, Sink, messages};
use crate::rejects::Reason;

mod columns;
mod header;
mod points;

use columns::MetricColumns;
use header::Metric;
use points::Point;

/// Data points of one request.
pub(super) struct Metrics<'a> {
    stage: Point<'a>,
    columns: MetricColumns,
}

impl Metrics<'_> {
    pub(super) fn new(body_bytes: usize) -> Self {
        Metrics { stage: Point::default(), columns: MetricColumns::new(body_bytes) }
    }
}

impl<'a> Sink<'a> for Metrics<'a> {
    const RECORD: &'static str = "metrics";

    fn reserve(&mut self, _: usize) {
        // How many points a metric has is known only when it is read.
    }

    fn count(record: &[u8]) -> u32 {
        match Metric::read(record) {
            Err(Wire::Merge) => merged(&messages::METRIC, record).map_or(1, |once| points(&once)),
            _ => points(record),
        }
    }

    fn push(&mut self, request: &mut Request<'a, '_>, record: &'a [u8], context: u32) {
        let stage = &mut self.stage;
        match push_metric(&mut self.columns, stage, request, record, context) {
            Ok(()) => {}
            Err(Bad::Wire(Wire::Merge)) => self.push_merged(request, record, context),
            Err(bad) => reject_metric(request, bad, record),
        }
    }

    fn accepted(&self) -> u32 {
        self.columns.accepted()
    }

    fn finish(self, request: &Request<'a, '_>) -> Result<Vec<Batch>, ArrowError> {
        self.columns.finish(request)
    }
}

impl Metrics<'_> {
    #[cold]
    fn push_merged(&mut self, request: &mut Request<'_, '_>, record: &[u8], context: u32) {
        let once = match merged(&messages::METRIC, record) {
            Ok(once) => once,
            Err(wire) => return reject_metric(request, wire.into(), record),
        };
        let mut stage = Point::default();
        if let Err(bad) = push_metric(&mut self.columns, &mut stage, request, &once, context) {
            reject_metric(request, bad, &once);
        }
    }
}

/// How many records a metric counts for when it is left out: its points, or itself without any.
fn points(record: &[u8]) -> u32 {
    Metric::read(record).map_or(1, |metric| metric.points.len().max(1) as u32)
}

#[cold]
fn reject_metric(request: &mut Request<'_, '_>, bad: Bad, record: &[u8]) {
    let name = Metric::read(record).unwrap_or_default().name;
    request.reject(bad, record, points(record), || format!("metric {}", excerpt(name)));
}

/// Appends all points of a metric. An error concerns the metric as a whole; a point that is no good
/// by itself is counted here.
fn push_metric<'p>(
    columns: &mut MetricColumns,
    stage: &mut Point<'p>,
    request: &mut Request<'_, '_>,
    record: &'p [u8],
    context: u32,
) -> Result<(), Bad> {
    let metric = Metric::read(record)?;
    let Some(kind) = metric.kind else {
        return Err(Bad::Reject(
            Reason::UnknownMetricKind,
            "it has none of the five kinds of data".to_owned(),
        ));
    };
    let temporality = metric.temporality(kind)?;
    let header = columns.headers.push(request, &metric, kind, temporality, context)?;
    for point in &metric.points {
        let read = stage.read(kind, point, request);
        let result = match read.and_then(|()| columns.push(stage, request, header, context)) {
            Err(Bad::Wire(Wire::Merge)) => {
                push_merged_point(columns, request, kind, point, header, context)
            }
            other => other,
        };
        if let Err(bad) = result {
            request.reject(bad, point, 1, || format!("metric {}", excerpt(metric.name)));
        }
    }
    Ok(())
}

#[cold]
fn push_merged_point(
    columns: &mut MetricColumns,
    request: &mut Request<'_, '_>,
    kind: header::Kind,
    point: &[u8],
    header: u32,
    context: u32,
) -> Result<(), Bad> {
    let once = merged(kind.point(), point)?;
    let mut stage = Point::default();
    stage.read(kind, &once, request)?;
    columns.push(&mut stage, request, header, context)
}
