//! Data points of all five kinds, staged and checked.

use std::ops::Range;

use super::super::attributes::{KeyTable, Split, Staged};
use super::super::columns::id;
use super::super::wire::{Field, Fields, Wire, push_fixed64s, push_varints, zigzag32};
use super::super::{Bad, Limits, Request, stored_time};
use super::header::Kind;
use crate::rejects::Reason;

/// One data point. The fields that its kind does not have stay empty.
#[derive(Debug, Default)]
pub(super) struct Point<'a> {
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u32,
    pub(super) value: Option<Number>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Option<Buckets>,
    pub(super) negative: Option<Buckets>,
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) exemplars: Vec<Exemplar<'a>>,
    pub(super) attributes: Staged<'a>,
    pub(super) split: Split<'a>,
    /// Filtered attributes of all exemplars; each knows its range.
    pub(super) filtered: Staged<'a>,
    /// Where the JSON of the attributes that are not promoted lies in the scratch.
    pub(super) rest: Range<usize>,
    pub(super) bits: u32,
}

/// A value as sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Double(f64),
    Int(i64),
}

/// One side of an exponential histogram.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
}

/// One exemplar.
#[derive(Debug, Default)]
pub(super) struct Exemplar<'a> {
    pub(super) time_ns: u64,
    pub(super) value: Option<Number>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    attributes: Range<usize>,
    /// Where the JSON of the attributes lies in the scratch.
    pub(super) json: Range<usize>,
    /// Keys of the attributes, with their types.
    pub(super) facts: Vec<(u32, u8)>,
}

impl Exemplar<'_> {
    pub(super) fn trace_id(&self) -> Option<[u8; 16]> {
        id(self.trace_id)
    }

    pub(super) fn span_id(&self) -> Option<[u8; 8]> {
        id(self.span_id)
    }
}

/// "No recorded value": the series ends here.
const NO_RECORDED_VALUE: u32 = 1;

impl<'a> Point<'a> {
    fn clear(&mut self) {
        let mut kept = Point {
            counts: std::mem::take(&mut self.counts),
            bounds: std::mem::take(&mut self.bounds),
            quantiles: std::mem::take(&mut self.quantiles),
            exemplars: std::mem::take(&mut self.exemplars),
            attributes: std::mem::take(&mut self.attributes),
            split: std::mem::take(&mut self.split),
            filtered: std::mem::take(&mut self.filtered),
            ..Point::default()
        };
        kept.counts.clear();
        kept.bounds.clear();
        kept.quantiles.clear();
        kept.exemplars.clear();
        kept.attributes.clear();
        kept.filtered.clear();
        *self = kept;
    }

    pub(super) fn read(
        &mut self,
        kind: Kind,
        message: &'a [u8],
        request: &mut Request<'_, '_>,
    ) -> Result<(), Bad> {
        self.clear();
        request.too_large(message)?;
        match kind {
            Kind::Gauge | Kind::Sum => self.read_number(message, request)?,
            Kind::Histogram => self.read_histogram(message, request)?,
            Kind::Exponential => self.read_exponential(message, request)?,
            Kind::Summary => self.read_summary(message, request)?,
        }
        self.check(kind)
    }

    fn attribute(&mut self, kv: &'a [u8], request: &mut Request<'_, '_>) -> Result<(), Bad> {
        self.attributes.push(&mut request.keys.record, kv, &request.limits, &mut self.bits)
    }

    fn read_number(&mut self, message: &'a [u8], request: &mut Request<'_, '_>) -> Result<(), Bad> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (2, Field::Fixed64(v)) => self.start_ns = v,
                (3, Field::Fixed64(v)) => self.time_ns = v,
                (4, Field::Fixed64(v)) => self.value = Some(Number::Double(f64::from_bits(v))),
                (5, Field::Bytes(m)) => self.read_exemplar(m, request)?,
                (6, Field::Fixed64(v)) => self.value = Some(Number::Int(v as i64)),
                (7, Field::Bytes(kv)) => self.attribute(kv, request)?,
                (8, Field::Varint(v)) => self.flags = v as u32,
                (2..=8, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(
        &mut self,
        message: &'a [u8],
        request: &mut Request<'_, '_>,
    ) -> Result<(), Bad> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (2, Field::Fixed64(v)) => self.start_ns = v,
                (3, Field::Fixed64(v)) => self.time_ns = v,
                (4, Field::Fixed64(v)) => self.count = v,
                (5, Field::Fixed64(v)) => self.sum = Some(f64::from_bits(v)),
                (6, counts) => push_fixed64s(&mut self.counts, counts, |v| v)?,
                (7, bounds) => push_fixed64s(&mut self.bounds, bounds, f64::from_bits)?,
                (8, Field::Bytes(m)) => self.read_exemplar(m, request)?,
                (9, Field::Bytes(kv)) => self.attribute(kv, request)?,
                (10, Field::Varint(v)) => self.flags = v as u32,
                (11, Field::Fixed64(v)) => self.min = Some(f64::from_bits(v)),
                (12, Field::Fixed64(v)) => self.max = Some(f64::from_bits(v)),
                (2..=12, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_exponential(
        &mut self,
        message: &'a [u8],
        request: &mut Request<'_, '_>,
    ) -> Result<(), Bad> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(kv)) => self.attribute(kv, request)?,
                (2, Field::Fixed64(v)) => self.start_ns = v,
                (3, Field::Fixed64(v)) => self.time_ns = v,
                (4, Field::Fixed64(v)) => self.count = v,
                (5, Field::Fixed64(v)) => self.sum = Some(f64::from_bits(v)),
                (6, Field::Varint(v)) => self.scale = zigzag32(v),
                (7, Field::Fixed64(v)) => self.zero_count = v,
                (8, Field::Bytes(m)) => read_buckets(&mut self.positive, m)?,
                (9, Field::Bytes(m)) => read_buckets(&mut self.negative, m)?,
                (10, Field::Varint(v)) => self.flags = v as u32,
                (11, Field::Bytes(m)) => self.read_exemplar(m, request)?,
                (12, Field::Fixed64(v)) => self.min = Some(f64::from_bits(v)),
                (13, Field::Fixed64(v)) => self.max = Some(f64::from_bits(v)),
                (14, Field::Fixed64(v)) => self.zero_threshold = f64::from_bits(v),
                (1..=14, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_summary(
        &mut self,
        message: &'a [u8],
        request: &mut Request<'_, '_>,
    ) -> Result<(), Bad> {
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (2, Field::Fixed64(v)) => self.start_ns = v,
                (3, Field::Fixed64(v)) => self.time_ns = v,
                (4, Field::Fixed64(v)) => self.count = v,
                (5, Field::Fixed64(v)) => self.sum = Some(f64::from_bits(v)),
                (6, Field::Bytes(m)) => self.quantiles.push(read_quantile(m)?),
                (7, Field::Bytes(kv)) => self.attribute(kv, request)?,
                (8, Field::Varint(v)) => self.flags = v as u32,
                (2..=8, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_exemplar(
        &mut self,
        message: &'a [u8],
        request: &mut Request<'_, '_>,
    ) -> Result<(), Bad> {
        let from = self.filtered.len();
        let mut exemplar = Exemplar::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (2, Field::Fixed64(v)) => exemplar.time_ns = v,
                (3, Field::Fixed64(v)) => exemplar.value = Some(Number::Double(f64::from_bits(v))),
                (4, Field::Bytes(id)) => exemplar.span_id = id,
                (5, Field::Bytes(id)) => exemplar.trace_id = id,
                (6, Field::Fixed64(v)) => exemplar.value = Some(Number::Int(v as i64)),
                (7, Field::Bytes(kv)) => {
                    let (keys, limits) = (&mut request.keys.plain, &request.limits);
                    self.filtered.push(keys, kv, limits, &mut self.bits)?;
                }
                (2..=7, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        exemplar.attributes = from..self.filtered.len();
        self.exemplars.push(exemplar);
        Ok(())
    }

    /// Writes the JSON of the exemplars' attributes behind what the scratch holds.
    pub(super) fn write_exemplars(
        &mut self,
        scratch: &mut Vec<u8>,
        keys: &mut KeyTable,
        limits: &Limits,
    ) -> Result<(), Bad> {
        for exemplar in &mut self.exemplars {
            let start = scratch.len();
            let (range, facts) = (exemplar.attributes.clone(), &mut exemplar.facts);
            let fact = |key, type_bit| facts.push((key, type_bit));
            keys.write_range(scratch, &self.filtered, range, limits, &mut self.bits, fact)?;
            exemplar.json = start..scratch.len();
        }
        Ok(())
    }

    fn check(&self, kind: Kind) -> Result<(), Bad> {
        if self.time_ns == 0 {
            return Err(reject(Reason::NoTime, "a data point has no time_unix_nano"));
        }
        stored_time("time_unix_nano", self.time_ns)?;
        stored_time("start_time_unix_nano", self.start_ns)?;
        for exemplar in &self.exemplars {
            stored_time("an exemplar's time_unix_nano", exemplar.time_ns)?;
        }
        match kind {
            Kind::Gauge | Kind::Sum => self.check_value(),
            Kind::Histogram => self.check_buckets(),
            Kind::Exponential => self.check_exponential(),
            Kind::Summary => Ok(()),
        }
    }

    pub(super) fn has_no_recorded_value(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }

    fn check_value(&self) -> Result<(), Bad> {
        if self.value.is_some() || self.has_no_recorded_value() {
            return Ok(());
        }
        Err(reject(Reason::NoValue, "a data point has neither as_double nor as_int"))
    }

    fn check_buckets(&self) -> Result<(), Bad> {
        let (counts, bounds) = (self.counts.len(), self.bounds.len());
        // A count for the only bucket needs no bound, and neither does a histogram without buckets.
        if counts != bounds + 1 && (counts, bounds) != (0, 0) {
            let text =
                format!("a data point has {counts} bucket_counts and {bounds} explicit_bounds");
            return Err(Bad::Reject(Reason::BucketMismatch, text));
        }
        match self.bounds.windows(2).find(|pair| !matches!(pair, [a, b] if a < b)) {
            None if !self.bounds.iter().any(|b| b.is_nan()) => Ok(()),
            _ => Err(reject(
                Reason::BoundsOrder,
                "the explicit_bounds of a data point do not strictly increase",
            )),
        }
    }

    fn check_exponential(&self) -> Result<(), Bad> {
        for buckets in [&self.positive, &self.negative].into_iter().flatten() {
            let last = i64::from(buckets.offset) + buckets.counts.len() as i64;
            let is_in_range = last <= i64::from(i32::MAX)
                && (buckets.counts.is_empty()
                    || (is_finite_bound(self.scale, i64::from(buckets.offset))
                        && is_finite_bound(self.scale, last - 1)));
            if !is_in_range {
                let text = format!(
                    "a data point of scale {} has buckets {} to {last}, beyond the range of doubles",
                    self.scale, buckets.offset
                );
                return Err(Bad::Reject(Reason::ExpRange, text));
            }
        }
        Ok(())
    }
}

fn reject(reason: Reason, text: &str) -> Bad {
    Bad::Reject(reason, text.to_owned())
}

/// Whether base^index, the lower bound of a bucket, is within the range of doubles:
/// its binary logarithm is index × 2^(−scale).
fn is_finite_bound(scale: i32, index: i64) -> bool {
    const SMALLEST: f64 = -1075.0;
    const LARGEST: f64 = 1024.0;
    let log2 = index as f64 * f64::from(-scale).exp2();
    // At scales so low that 2^(−scale) overflows, 0 × infinity is the bound 1.
    index == 0 || (SMALLEST..LARGEST).contains(&log2)
}

fn read_buckets(side: &mut Option<Buckets>, message: &[u8]) -> Result<(), Wire> {
    if side.is_some() {
        return Err(Wire::Merge);
    }
    let buckets = side.insert(Buckets::default());
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Varint(v)) => buckets.offset = zigzag32(v),
            (2, counts) => push_varints(&mut buckets.counts, counts)?,
            (1, _) => return Err(Wire::Type),
            _ => {}
        }
    }
    Ok(())
}

fn read_quantile(message: &[u8]) -> Result<(f64, f64), Wire> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(v)) => quantile = f64::from_bits(v),
            (2, Field::Fixed64(v)) => value = f64::from_bits(v),
            (1..=2, _) => return Err(Wire::Type),
            _ => {}
        }
    }
    Ok((quantile, value))
}
