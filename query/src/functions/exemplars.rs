//! `exemplars(trace_id, value, is_error)`: three traces that stand for a group: the one with the
//! largest value, the failed one with the largest value (null when none failed), and a typical one.
//!
//! The typical one has the median value of a sample: the rows whose trace ids hash lowest. So the
//! choice depends neither on the order of the rows nor on how they were spread over partitions.

use std::mem::size_of;
use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

/// Rows of a group that the typical one is chosen from.
const SAMPLE: usize = 15;

pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let signature = Signature::user_defined(Volatility::Immutable);
    vec![Arc::new(AggregateUDF::from(Exemplars { signature }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exemplars {
    signature: Signature,
}

const ID: DataType = DataType::FixedSizeBinary(16);

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(ID, true))
}

impl AggregateUDFImpl for Exemplars {
    fn name(&self) -> &str {
        "exemplars"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::FixedSizeBinary(16), value, DataType::Boolean | DataType::Null]
                if value.is_numeric() =>
            {
                Ok(vec![ID, DataType::Float64, DataType::Boolean])
            }
            _ => plan_err!("exemplars takes exemplars(trace_id, value, is_error)"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[rows]", args.name), DataType::Binary, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Group::default()))
    }
}

/// A trace and its value. Ordered by value, equal ones by the smaller id first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    value: f64,
    trace_id: u128,
}

impl Candidate {
    const BYTES: usize = 24;

    fn is_above(&self, other: &Candidate) -> bool {
        let order = self.value.total_cmp(&other.value);
        order.then(other.trace_id.cmp(&self.trace_id)).is_gt()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.value.to_le_bytes());
        out.extend_from_slice(&self.trace_id.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Candidate> {
        Some(Candidate {
            value: f64::from_le_bytes(bytes.get(..8)?.try_into().ok()?),
            trace_id: u128::from_le_bytes(bytes.get(8..24)?.try_into().ok()?),
        })
    }
}

/// Order of ids in a sample: ids of one sender may count up, so they are mixed.
pub(super) fn id_hash(trace_id: u128) -> u64 {
    let folded = (trace_id as u64) ^ ((trace_id >> 64) as u64).rotate_left(29);
    let mixed = (folded ^ (folded >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

#[derive(Debug, Default)]
struct Group {
    largest: Option<Candidate>,
    failed: Option<Candidate>,
    /// By hash, ascending.
    sample: Vec<(u64, Candidate)>,
}

impl Group {
    fn add(&mut self, row: Candidate, is_error: bool) {
        let larger = |place: &Option<Candidate>| place.is_none_or(|held| row.is_above(&held));
        if larger(&self.largest) {
            self.largest = Some(row);
        }
        if is_error && larger(&self.failed) {
            self.failed = Some(row);
        }
        self.sample(row);
    }

    fn sample(&mut self, row: Candidate) {
        let hash = id_hash(row.trace_id);
        let full = self.sample.len() == SAMPLE;
        if full && self.sample.last().is_some_and(|last| last.0 < hash) {
            return;
        }
        let rank = |a: &(u64, Candidate)| (a.0, a.1.trace_id, a.1.value.to_bits());
        let entry = (hash, row);
        let place = self.sample.partition_point(|held| rank(held) < rank(&entry));
        self.sample.insert(place, entry);
        self.sample.truncate(SAMPLE);
    }

    fn typical(&self) -> Option<Candidate> {
        let mut rows: Vec<Candidate> = self.sample.iter().map(|(_, row)| *row).collect();
        rows.sort_by(|a, b| a.value.total_cmp(&b.value).then(a.trace_id.cmp(&b.trace_id)));
        rows.get(rows.len().saturating_sub(1) / 2).copied()
    }
}

impl Accumulator for Group {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [ids, numbers, errors] = values else {
            return plan_err!("exemplars takes three columns");
        };
        let ids: &FixedSizeBinaryArray = ids.as_fixed_size_binary();
        let numbers: &Float64Array = numbers.as_primitive::<Float64Type>();
        let errors: &BooleanArray = errors.as_boolean();
        for row in (0..ids.len()).filter(|&row| ids.is_valid(row) && numbers.is_valid(row)) {
            let trace_id = ids.value(row).try_into().map_or(0, u128::from_be_bytes);
            let is_error = errors.is_valid(row) && errors.value(row);
            self.add(Candidate { value: numbers.value(row), trace_id }, is_error);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut out = vec![u8::from(self.largest.is_some()), u8::from(self.failed.is_some())];
        for row in self.largest.iter().chain(&self.failed) {
            row.write(&mut out);
        }
        for (_, row) in &self.sample {
            row.write(&mut out);
        }
        Ok(vec![ScalarValue::Binary(Some(out))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else { return plan_err!("exemplars has one column of state") };
        for state in states.as_binary::<i32>().iter().flatten() {
            let Some(([has_largest, has_failed], rows)) = state.split_first_chunk::<2>() else {
                continue;
            };
            let mut rows = rows.chunks(Candidate::BYTES).filter_map(Candidate::read);
            let mut first = |has: u8| if has == 1 { rows.next() } else { None };
            let (largest, failed) = (first(*has_largest), first(*has_failed));
            for (row, is_error) in
                largest.map(|r| (r, false)).into_iter().chain(failed.map(|r| (r, true)))
            {
                // They are in the sample below as well, where they belong there.
                let sample = std::mem::take(&mut self.sample);
                self.add(row, is_error);
                self.sample = sample;
            }
            rows.for_each(|row| self.sample(row));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut ids = FixedSizeBinaryBuilder::new(16);
        for row in [self.largest, self.failed, self.typical()] {
            match row {
                Some(row) => ids.append_value(row.trace_id.to_be_bytes())?,
                None => ids.append_null(),
            }
        }
        let list = arrow_array::ListArray::new(
            item(),
            OffsetBuffer::from_lengths([3]),
            Arc::new(ids.finish()),
            None,
        );
        Ok(ScalarValue::List(Arc::new(list)))
    }

    fn size(&self) -> usize {
        size_of::<Group>() + self.sample.capacity() * size_of::<(u64, Candidate)>()
    }
}
