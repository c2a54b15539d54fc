//! `increase(value, time [, series_id])` and `rate(value, time [, series_id])` of cumulative
//! counters.
//!
//! Within a group the points of one series are put in order of time. Each point adds its growth
//! over the one before; where it is smaller, the counter has restarted and the whole value counts.
//! Nothing is extrapolated to the edges of a window. `rate` divides by the seconds between the
//! first and the last point. With `series_id` a group may hold many series, whose results are
//! added up; without it the caller groups by series. Fewer than two points have no increase: NULL.
//!
//! Points are kept until the group is answered, since partitions interleave; their memory is
//! reported to the query's budget.

use std::sync::Arc;

use arrow_array::builder::LargeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let new = |measure| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::from(Counter { measure, signature }))
    };
    vec![new(Measure::Increase), new(Measure::Rate)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measure {
    Increase,
    Rate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Counter {
    measure: Measure,
    signature: Signature,
}

impl AggregateUDFImpl for Counter {
    fn name(&self) -> &str {
        match self.measure {
            Measure::Increase => "increase",
            Measure::Rate => "rate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
        match given {
            [v, DataType::Timestamp(..)] if v.is_numeric() => Ok(vec![DataType::Float64, time]),
            [v, DataType::Timestamp(..), id @ DataType::FixedSizeBinary(16)] if v.is_numeric() => {
                Ok(vec![DataType::Float64, time, id.clone()])
            }
            _ => {
                plan_err!("{0} takes {0}(value, time) or {0}(value, time, series_id)", self.name())
            }
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[points]", args.name);
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("{} does not take DISTINCT", self.name());
        }
        Ok(Box::new(One(Groups { series: vec![Vec::new()], ..self.groups() })))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        _: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups()))
    }
}

impl Counter {
    fn groups(&self) -> Groups {
        Groups { measure: self.measure, series: Vec::new(), heap_bytes: 0 }
    }
}

/// One point of a counter. The order of the fields is the order of points.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    series: u128,
    time_ns: i64,
    value: f64,
}

impl Point {
    const BYTES: usize = 32;

    fn bytes(&self) -> [u8; Point::BYTES] {
        let mut bytes = [0; Point::BYTES];
        bytes[..16].copy_from_slice(&self.series.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes[24..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Point> {
        Some(Point {
            series: u128::from_le_bytes(bytes.get(..16)?.try_into().ok()?),
            time_ns: i64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
            value: f64::from_le_bytes(bytes.get(24..32)?.try_into().ok()?),
        })
    }
}

/// What the points of a group add up to.
fn evaluate(measure: Measure, points: &mut [Point]) -> Option<f64> {
    // Values last: of two points of one time the larger comes second, so a repeated point adds
    // nothing and never looks like a restart.
    points.sort_unstable_by(|a, b| {
        let place = (a.series, a.time_ns).cmp(&(b.series, b.time_ns));
        place.then(a.value.total_cmp(&b.value))
    });
    let known = points.chunk_by(|a, b| a.series == b.series).filter_map(|s| of_series(measure, s));
    known.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

fn of_series(measure: Measure, points: &[Point]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let growth = |pair: &[Point]| match (pair[0].value, pair[1].value) {
        (before, now) if now >= before => now - before,
        (_, restarted) => restarted,
    };
    let increase = points.windows(2).map(growth).sum::<f64>();
    match measure {
        Measure::Increase => Some(increase),
        Measure::Rate if last.time_ns > first.time_ns => {
            // The difference of two i64 may not fit one.
            Some(increase / ((last.time_ns as f64 - first.time_ns as f64) / 1e9))
        }
        Measure::Rate => None,
    }
}

/// A single group: an aggregate without GROUP BY.
#[derive(Debug)]
struct One(Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut points = self.0.series.first().cloned().unwrap_or_default();
        Ok(ScalarValue::Float64(evaluate(self.0.measure, &mut points)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state: ArrayRef = Arc::new(pack(&self.0.series));
        Ok(vec![ScalarValue::try_from_array(&state, 0)?])
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
}

/// The points of every group.
#[derive(Debug)]
struct Groups {
    measure: Measure,
    series: Vec<Vec<Point>>,
    /// Capacity of the inner vectors, kept up so that `size` need not visit every group.
    heap_bytes: usize,
}

impl Groups {
    fn cover(&mut self, total: usize) {
        if self.series.len() < total {
            self.series.resize_with(total, Vec::new);
        }
    }

    fn push(&mut self, group: usize, point: Point) {
        let points = &mut self.series[group];
        let before = points.capacity();
        points.push(point);
        self.heap_bytes += (points.capacity() - before) * size_of::<Point>();
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Vec<Point>> {
        let taken = emit_to.take_needed(&mut self.series);
        let bytes: usize = taken.iter().map(|p| p.capacity() * size_of::<Point>()).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(bytes);
        taken
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.cover(total);
        for (row, point) in points(values, filter) {
            self.push(groups[row], point);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.cover(total);
        for (state, group) in states[0].as_binary::<i64>().iter().zip(groups) {
            for bytes in state.unwrap_or_default().chunks(Point::BYTES) {
                match Point::from_bytes(bytes) {
                    Some(point) => self.push(*group, point),
                    None => return exec_err!("the state of a counter is cut"),
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let measure = self.measure;
        let mut series = self.take(emit_to);
        let values: Float64Array = series.iter_mut().map(|p| evaluate(measure, p)).collect();
        Ok(Arc::new(values))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(pack(&self.take(emit_to)))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut each = vec![Vec::new(); values[0].len()];
        for (row, point) in points(values, filter) {
            each[row].push(point);
        }
        Ok(vec![Arc::new(pack(&each))])
    }

    fn size(&self) -> usize {
        size_of::<Groups>() + self.series.capacity() * size_of::<Vec<Point>>() + self.heap_bytes
    }
}

/// The rows that are points: value and time present, value a number.
fn points<'a>(
    values: &'a [ArrayRef],
    filter: Option<&'a BooleanArray>,
) -> impl Iterator<Item = (usize, Point)> + 'a {
    let value = values[0].as_primitive::<Float64Type>();
    let time = values[1].as_primitive::<TimestampNanosecondType>();
    let ids = values.get(2).map(|ids| ids.as_fixed_size_binary());
    (0..value.len()).filter_map(move |row| {
        let kept = filter.is_none_or(|f| f.is_valid(row) && f.value(row));
        if !kept || value.is_null(row) || time.is_null(row) || value.value(row).is_nan() {
            return None;
        }
        let series = match ids {
            Some(ids) if ids.is_valid(row) => ids.value(row).try_into().map(u128::from_le_bytes),
            _ => Ok(0),
        };
        let series = series.unwrap_or(0);
        Some((row, Point { series, time_ns: time.value(row), value: value.value(row) }))
    })
}

fn pack(groups: &[Vec<Point>]) -> arrow_array::LargeBinaryArray {
    let points = groups.iter().map(Vec::len).sum::<usize>();
    let mut out = LargeBinaryBuilder::with_capacity(groups.len(), points * Point::BYTES);
    let mut bytes = Vec::new();
    for group in groups {
        bytes.clear();
        bytes.extend(group.iter().flat_map(Point::bytes));
        out.append_value(&bytes);
    }
    out.finish()
}
