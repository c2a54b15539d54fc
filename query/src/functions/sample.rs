//! `sample(trace_id, value)`: up to 500 values of a group, as a list in order of size. Those rows
//! are chosen whose trace ids hash lowest, so that neither the order of the rows nor their spread
//! over partitions changes the choice.

use std::collections::BinaryHeap;
use std::mem::size_of;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, Int64Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::exemplars::id_hash;

/// Values kept of a group.
const VALUES_MAX: usize = 500;

pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let signature = Signature::user_defined(Volatility::Immutable);
    vec![Arc::new(AggregateUDF::from(Sample { signature }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sample {
    signature: Signature,
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}

impl AggregateUDFImpl for Sample {
    fn name(&self) -> &str {
        "sample"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [id @ DataType::FixedSizeBinary(16), value] if value.is_integer() => {
                Ok(vec![id.clone(), DataType::Int64])
            }
            _ => plan_err!("sample takes sample(trace_id, value), the value an integer"),
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

/// The rows with the lowest (hash, value); the largest of them on top.
#[derive(Debug, Default)]
struct Group(BinaryHeap<(u64, i64)>);

impl Group {
    fn add(&mut self, row: (u64, i64)) {
        if self.0.len() < VALUES_MAX {
            self.0.push(row);
        } else if let Some(mut top) = self.0.peek_mut().filter(|top| row < **top) {
            *top = row;
        }
    }
}

impl Accumulator for Group {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [ids, values] = values else { return plan_err!("sample takes two columns") };
        let ids: &FixedSizeBinaryArray = ids.as_fixed_size_binary();
        let values: &Int64Array = values.as_primitive::<Int64Type>();
        for row in (0..ids.len()).filter(|&row| ids.is_valid(row) && values.is_valid(row)) {
            let id = ids.value(row).try_into().map_or(0, u128::from_be_bytes);
            self.add((id_hash(id), values.value(row)));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = self
            .0
            .iter()
            .flat_map(|(hash, value)| [hash.to_le_bytes(), value.to_le_bytes()].concat());
        Ok(vec![ScalarValue::Binary(Some(rows.collect()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else { return plan_err!("sample has one column of state") };
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        for state in states.as_binary::<i32>().iter().flatten() {
            for row in state.chunks_exact(16) {
                self.add((number(&row[..8]), number(&row[8..]) as i64));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut values: Vec<i64> = self.0.iter().map(|(_, value)| *value).collect();
        values.sort_unstable();
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::new(item(), offsets, Arc::new(Int64Array::from(values)), None);
        Ok(ScalarValue::List(Arc::new(list)))
    }

    fn size(&self) -> usize {
        size_of::<Group>() + self.0.capacity() * size_of::<(u64, i64)>()
    }
}
