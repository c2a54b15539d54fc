//! What all points of one metric share.

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::ArrowError;
use schemas::columns as c;

use super::super::attributes::Staged;
use super::super::columns::spread;
use super::super::messages::{self, Message};
use super::super::texts::{NULL, TextBlock, Texts};
use super::super::wire::{Field, Fields, Wire};
use super::super::{Bad, Request};
use crate::intern::hash_part;
use crate::rejects::Reason;

/// The five kinds of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    /// By the number of the metric's data field.
    fn from_field(number: u32) -> Option<Kind> {
        match number {
            5 => Some(Kind::Gauge),
            7 => Some(Kind::Sum),
            9 => Some(Kind::Histogram),
            10 => Some(Kind::Exponential),
            11 => Some(Kind::Summary),
            _ => None,
        }
    }

    /// The word in the column `kind`.
    fn name(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Sum => "sum",
            Kind::Histogram => "histogram",
            Kind::Exponential => "exponential_histogram",
            Kind::Summary => "summary",
        }
    }

    fn has_temporality(self) -> bool {
        matches!(self, Kind::Sum | Kind::Histogram | Kind::Exponential)
    }

    /// The message of its points.
    pub(super) fn point(self) -> &'static Message {
        match self {
            Kind::Gauge | Kind::Sum => &messages::NUMBER_POINT,
            Kind::Histogram => &messages::HISTOGRAM_POINT,
            Kind::Exponential => &messages::EXPONENTIAL_POINT,
            Kind::Summary => &messages::SUMMARY_POINT,
        }
    }
}

/// One metric with its points still in wire form.
#[derive(Debug, Default)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    metadata: Vec<&'a [u8]>,
    pub(super) kind: Option<Kind>,
    pub(super) temporality: i32,
    pub(super) is_monotonic: bool,
    pub(super) points: Vec<&'a [u8]>,
}

impl<'a> Metric<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Metric<'a>, Wire> {
        let mut metric = Metric::default();
        let mut data: Option<(u32, &[u8])> = None;
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(text)) => metric.name = text,
                (2, Field::Bytes(text)) => metric.description = text,
                (3, Field::Bytes(text)) => metric.unit = text,
                (12, Field::Bytes(kv)) => metric.metadata.push(kv),
                (number @ (5 | 7 | 9 | 10 | 11), Field::Bytes(payload)) => {
                    if data.is_some_and(|(known, _)| known == number) {
                        return Err(Wire::Merge);
                    }
                    data = Some((number, payload));
                }
                (1..=3 | 5 | 7 | 9..=12, _) => return Err(Wire::Type),
                _ => {}
            }
        }
        if let Some((number, payload)) = data {
            metric.kind = Kind::from_field(number);
            metric.read_data(payload)?;
        }
        Ok(metric)
    }

    /// Reads Gauge, Sum, Histogram, ExponentialHistogram or Summary: they share field numbers.
    fn read_data(&mut self, message: &'a [u8]) -> Result<(), Wire> {
        let has_temporality = self.kind.is_some_and(Kind::has_temporality);
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(point)) => self.points.push(point),
                (2, Field::Varint(v)) => self.temporality = v as i32,
                (3, Field::Varint(v)) => self.is_monotonic = v != 0,
                (1, _) => return Err(Wire::Type),
                (2, _) if has_temporality => return Err(Wire::Type),
                (3, _) if self.kind == Some(Kind::Sum) => return Err(Wire::Type),
                _ => {}
            }
        }
        Ok(())
    }

    /// The word for the temporality, `None` for kinds that have none.
    pub(super) fn temporality(&self, kind: Kind) -> Result<Option<&'static str>, Bad> {
        match self.temporality {
            _ if !kind.has_temporality() => Ok(None),
            1 => Ok(Some("delta")),
            2 => Ok(Some("cumulative")),
            other => Err(Bad::Reject(
                Reason::BadTemporality,
                format!(
                    "its aggregation_temporality is {other}, a {} needs 1 (delta) or 2 \
                     (cumulative)",
                    kind.name()
                ),
            )),
        }
    }
}

/// One value a metric of every column that its points share.
#[derive(Default)]
pub(super) struct Headers {
    texts: TextBlock,
    metric: Texts,
    unit: Texts,
    description: Texts,
    metadata: Texts,
    kind: Texts,
    temporality: Texts,
    is_monotonic: BooleanBuilder,
    facts: Vec<Header>,
}

struct Header {
    kind: Kind,
    quality: u32,
    /// BLAKE3 of the identity of the metric's series but for the point's attributes.
    series: [u8; 32],
}

impl Headers {
    /// Takes the facts of a metric; returns its position.
    pub(super) fn push(
        &mut self,
        request: &mut Request<'_, '_>,
        metric: &Metric<'_>,
        kind: Kind,
        temporality: Option<&'static str>,
        context: u32,
    ) -> Result<u32, Bad> {
        let Request { keys, limits, contexts, .. } = request;
        let mut quality = 0;
        let mut staged = Staged::default();
        for kv in &metric.metadata {
            staged.push(&mut keys.plain, kv, limits, &mut quality)?;
        }
        let texts = &mut self.texts;
        let written = keys.plain.write(texts.json(), &staged, limits, &mut quality);
        written.inspect_err(|_| texts.cut())?;
        self.metadata.push(texts.end_json());
        let is_monotonic = (kind == Kind::Sum).then_some(metric.is_monotonic);
        self.metric.push(texts.add(metric.name, &mut quality));
        self.unit.push(texts.add_or_null(metric.unit, &mut quality));
        self.description.push(texts.add_or_null(metric.description, &mut quality));
        self.kind.push(texts.add(kind.name().as_bytes(), &mut 0));
        self.temporality.push(temporality.map_or(NULL, |t| texts.add(t.as_bytes(), &mut 0)));
        self.is_monotonic.append_option(is_monotonic);
        let mut series = blake3::Hasher::new();
        contexts.hash_series(context, &mut series);
        let monotonic = is_monotonic.map_or("", |m| if m { "true" } else { "false" });
        for part in [
            metric.name,
            metric.unit,
            kind.name().as_bytes(),
            temporality.unwrap_or_default().as_bytes(),
            monotonic.as_bytes(),
        ] {
            hash_part(&mut series, part);
        }
        self.facts.push(Header { kind, quality, series: *series.finalize().as_bytes() });
        Ok(self.facts.len() as u32 - 1)
    }

    pub(super) fn kind(&self, header: u32) -> Kind {
        self.facts[header as usize].kind
    }

    pub(super) fn quality(&self, header: u32) -> u32 {
        self.facts[header as usize].quality
    }

    /// Identity of the series with these attributes (canonical JSON): 16 bytes of their BLAKE3,
    /// keyed with the hash of all else that makes the series. So a point costs one short hash,
    /// however long its resource is.
    pub(super) fn series_id(&self, header: u32, attributes: &[u8]) -> [u8; 16] {
        let hash = blake3::keyed_hash(&self.facts[header as usize].series, attributes);
        let (id, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
        *id
    }

    pub(super) fn finish(mut self) -> Result<HeaderColumns, ArrowError> {
        let rows = self.facts.len();
        let texts = self.texts.finish()?;
        let mut columns: Vec<(&'static str, ArrayRef)> =
            vec![(c::IS_MONOTONIC, Arc::new(self.is_monotonic.finish()))];
        for (name, column) in [
            (c::METRIC, self.metric),
            (c::UNIT, self.unit),
            (c::DESCRIPTION, self.description),
            (c::METRIC_METADATA, self.metadata),
            (c::KIND, self.kind),
            (c::TEMPORALITY, self.temporality),
        ] {
            columns.push((name, column.finish(rows, &texts)?));
        }
        Ok(HeaderColumns { columns })
    }
}

/// [`Headers`] as arrays.
pub(super) struct HeaderColumns {
    columns: Vec<(&'static str, ArrayRef)>,
}

impl HeaderColumns {
    /// The columns of rows that belong to these metrics.
    pub(super) fn rows(
        &self,
        headers: Vec<u32>,
    ) -> Result<Vec<(&'static str, ArrayRef)>, ArrowError> {
        let at = UInt32Array::from(headers);
        self.columns.iter().map(|(name, values)| Ok((*name, spread(values, &at)?))).collect()
    }
}
