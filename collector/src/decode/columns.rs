//! Columns under construction, and their assembly into the batch of one table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, PrimitiveBuilder, StringViewBuilder,
};
use arrow_array::types::{ArrowPrimitiveType, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch, StructArray,
    UInt32Array,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Field, Fields, Schema};
use arrow_select::take::take;
use schemas::attributes::{Owner, Promoted, ValueType, promoted_keys};
use schemas::columns as c;
use schemas::{Batch, KeyFacts, KeySet, Keys, Table};

use super::Limits;
use super::attributes::{KeyId, KeyTable};
use super::text::{cut, repair};
use super::value::Value;
use crate::intern::ContextColumns;

/// Ids of `N` bytes.
#[derive(Debug)]
pub(crate) struct Ids<const N: usize> {
    values: Vec<[u8; N]>,
    nulls: NullBufferBuilder,
}

impl<const N: usize> Ids<N> {
    pub(crate) fn new() -> Ids<N> {
        Ids { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    pub(crate) fn push(&mut self, id: Option<[u8; N]>) {
        self.values.push(id.unwrap_or([0; N]));
        self.nulls.append(id.is_some());
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    pub(crate) fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        self.values.shrink_to_fit();
        let bytes = Buffer::from_vec(self.values.into_flattened());
        let array = FixedSizeBinaryArray::try_new(N as i32, bytes, self.nulls.finish())?;
        Ok(Arc::new(array))
    }
}

/// A valid id: of the right length and not all zero.
#[inline]
pub(crate) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let id: [u8; N] = bytes.try_into().ok()?;
    (id != [0; N]).then_some(id)
}

/// Values without nulls as an array.
pub(crate) fn array<T: ArrowPrimitiveType>(mut values: Vec<T::Native>) -> ArrayRef {
    values.shrink_to_fit();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None))
}

/// Times without nulls as an array.
pub(crate) fn times(values: Vec<i64>) -> ArrayRef {
    array::<TimestampNanosecondType>(values)
}

/// A nullable number column.
pub(crate) fn optional<T: ArrowPrimitiveType>() -> PrimitiveBuilder<T> {
    PrimitiveBuilder::with_capacity(0)
}

/// A text column. Long texts go into blocks of a size that fits the request, so that a small
/// request does not pin large blocks in the live buffer.
pub(crate) fn texts(body_bytes: usize) -> StringViewBuilder {
    let block = (body_bytes / 64).clamp(256, 64 << 10);
    StringViewBuilder::with_capacity(0).with_fixed_block_size(block as u32)
}

/// Appends a text as it came, repaired where needed.
#[inline]
pub(crate) fn push_text(column: &mut StringViewBuilder, bytes: &[u8], bits: &mut u32) {
    column.append_value(repair(bytes, bits));
}

/// Appends a text for which empty means that none was sent.
#[inline]
pub(crate) fn push_text_or_null(column: &mut StringViewBuilder, bytes: &[u8], bits: &mut u32) {
    if bytes.is_empty() {
        column.append_null();
    } else {
        push_text(column, bytes, bits);
    }
}

/// Appends the word of a number, or the number's digits when we have no word for it.
pub(crate) fn push_number_word(column: &mut StringViewBuilder, words: &[&str], number: i32) {
    match usize::try_from(number).ok().and_then(|n| words.get(n)) {
        Some(word) => column.append_value(word),
        None => column.append_value(itoa::Buffer::new().format(number)),
    }
}

/// Appends a part of the request's JSON scratch; an empty one is null.
pub(crate) fn push_json(column: &mut StringViewBuilder, json: &str, range: Range<usize>) {
    match json.get(range) {
        Some(text) if !text.is_empty() => column.append_value(text),
        _ => column.append_null(),
    }
}

/// Lists of one column: where each ends, and which rows have none.
#[derive(Debug)]
pub(crate) struct ListEnds {
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl ListEnds {
    pub(crate) fn new() -> ListEnds {
        ListEnds { ends: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    /// Ends a row's list at `len` elements in all; a list of none is null.
    pub(crate) fn push_or_null(&mut self, len: usize) {
        let is_valid = self.ends.last() != Some(&(len as i32));
        self.push(len, is_valid);
    }

    pub(crate) fn push(&mut self, len: usize, is_valid: bool) {
        self.ends.push(len as i32);
        self.nulls.append(is_valid);
    }

    pub(crate) fn finish(mut self, elements: ArrayRef) -> Result<ArrayRef, ArrowError> {
        let field = Field::new(c::LIST_ELEMENT, elements.data_type().clone(), false);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(Arc::new(ListArray::try_new(Arc::new(field), offsets, elements, self.nulls.finish())?))
    }

    pub(crate) fn finish_structs(
        self,
        fields: Fields,
        columns: Vec<ArrayRef>,
    ) -> Result<ArrayRef, ArrowError> {
        self.finish(Arc::new(StructArray::try_new(fields, columns, None)?))
    }
}

/// Columns of promoted keys: made when the first row fills them, null where a row does not.
#[derive(Debug)]
struct PromotedColumns {
    columns: Vec<Option<PromotedColumn>>,
}

#[derive(Debug)]
enum PromotedColumn {
    Text(StringViewBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl PromotedColumn {
    fn new(value_type: ValueType, body_bytes: usize) -> PromotedColumn {
        match value_type {
            ValueType::Text => PromotedColumn::Text(texts(body_bytes)),
            ValueType::Int => PromotedColumn::Int(Int64Builder::with_capacity(0)),
            ValueType::Double => PromotedColumn::Double(Float64Builder::with_capacity(0)),
            ValueType::Bool => PromotedColumn::Bool(BooleanBuilder::with_capacity(0)),
        }
    }

    #[inline]
    fn pad(&mut self, rows: usize) {
        use arrow_array::builder::ArrayBuilder;
        match self {
            PromotedColumn::Text(column) => (column.len()..rows).for_each(|_| column.append_null()),
            PromotedColumn::Int(column) => column.append_nulls(rows - column.len()),
            PromotedColumn::Double(column) => column.append_nulls(rows - column.len()),
            PromotedColumn::Bool(column) => column.append_nulls(rows - column.len()),
        }
    }

    #[inline]
    fn push(&mut self, value: Value<'_>, limits: &Limits, bits: &mut u32) {
        match (self, value) {
            (PromotedColumn::Text(column), Value::String(text)) => {
                push_text(column, cut(text, limits.value_bytes_max, bits), bits);
            }
            (PromotedColumn::Int(column), Value::Int(v)) => column.append_value(v),
            (PromotedColumn::Double(column), Value::Double(v)) => column.append_value(v),
            (PromotedColumn::Bool(column), Value::Bool(v)) => column.append_value(v),
            // Only values of the column's type are split off; see `attributes::fits`.
            _ => debug_assert!(false, "value of another type in a promoted column"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            PromotedColumn::Text(column) => Arc::new(column.finish()),
            PromotedColumn::Int(column) => Arc::new(column.finish()),
            PromotedColumn::Double(column) => Arc::new(column.finish()),
            PromotedColumn::Bool(column) => Arc::new(column.finish()),
        }
    }
}

impl PromotedColumns {
    fn new(owner: Owner) -> PromotedColumns {
        PromotedColumns { columns: promoted_keys(owner).iter().map(|_| None).collect() }
    }

    /// Fills row `row`; rows before it that did not fill the column become null.
    #[inline]
    fn push(
        &mut self,
        row: usize,
        index: usize,
        value: Value<'_>,
        body_bytes: usize,
        limits: &Limits,
        bits: &mut u32,
    ) {
        let column = self.columns[index].get_or_insert_with(|| {
            PromotedColumn::new(promoted_keys(Owner::Record)[index].value_type, body_bytes)
        });
        column.pad(row);
        column.push(value, limits, bits);
    }

    fn finish(self, rows: usize) -> impl Iterator<Item = (&'static Promoted, ArrayRef)> {
        let keys = promoted_keys(Owner::Record);
        self.columns.into_iter().zip(keys).filter_map(move |(column, key)| {
            let mut column = column?;
            column.pad(rows);
            Some((key, column.finish()))
        })
    }
}

/// What every table has: the facts shared by many rows, the promoted attributes, the bookkeeping.
#[derive(Debug)]
pub(crate) struct Rows {
    body_bytes: usize,
    /// Of each row, which resource and scope it belongs to.
    contexts: Vec<u32>,
    quality: Vec<u32>,
    promoted: PromotedColumns,
    facts: Vec<KeyFacts>,
}

impl Rows {
    pub(crate) fn new(body_bytes: usize) -> Rows {
        Rows {
            body_bytes,
            contexts: Vec::new(),
            quality: Vec::new(),
            promoted: PromotedColumns::new(Owner::Record),
            facts: Vec::new(),
        }
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.contexts.reserve_exact(rows);
        self.quality.reserve_exact(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.quality.len()
    }

    /// Appends promoted values of the row that [`Rows::push`] will end.
    #[inline]
    pub(crate) fn push_promoted(
        &mut self,
        values: &[(usize, Value<'_>)],
        limits: &Limits,
        bits: &mut u32,
    ) {
        let row = self.len();
        for &(index, value) in values {
            self.promoted.push(row, index, value, self.body_bytes, limits, bits);
        }
    }

    #[inline]
    pub(crate) fn push_facts(&mut self, facts: &[(KeyId, u8)]) {
        for &(key, type_bit) in facts {
            let at = key as usize;
            if at >= self.facts.len() {
                self.facts.resize(at + 1, KeyFacts::default());
            }
            self.facts[at].types |= type_bit;
            self.facts[at].rows += 1;
        }
    }

    /// Ends a row.
    #[inline]
    pub(crate) fn push(&mut self, context: u32, quality: u32) {
        self.contexts.push(context);
        self.quality.push(quality & STORED_QUALITY);
    }

    /// Puts the batch together. `own` are the columns that only this table has, each with its name;
    /// where it lacks one of the table's columns, the shared ones have it.
    pub(crate) fn finish(
        self,
        table: Table,
        mut own: Vec<(&'static str, ArrayRef)>,
        contexts: &ContextColumns<'_, '_>,
        keys: &KeyTable,
        ingested_ns: i64,
    ) -> Result<Batch, ArrowError> {
        let rows = self.len();
        own.push((c::INGESTED_AT, times(vec![ingested_ns; rows])));
        own.push((c::QUALITY, array::<arrow_array::types::UInt32Type>(self.quality)));
        let at = UInt32Array::from(self.contexts);
        let mut fields: Vec<Field> = Vec::new();
        let mut columns = Vec::new();
        for column in table.columns() {
            let array = match own.iter().position(|(name, _)| *name == column.name) {
                Some(found) => own.swap_remove(found).1,
                None => contexts.column(column.name, &at)?,
            };
            fields.push(column.field());
            columns.push(array);
        }
        if table.has_attributes() {
            let resource = contexts.promoted(&at)?;
            for (key, array) in self.promoted.finish(rows).chain(resource) {
                fields.push(key.field());
                columns.push(array);
            }
        }
        let mut facts = Keys { record: key_set(&self.facts, keys), ..Keys::default() };
        if table.has_attributes() {
            contexts.add_keys(at.values(), &mut facts);
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(Batch { table, rows, keys: facts })
    }
}

/// Bits from 2^16 on are notes of the decoder to itself.
const STORED_QUALITY: u32 = 0xFFFF;

fn key_set(facts: &[KeyFacts], keys: &KeyTable) -> KeySet {
    let seen = facts.iter().enumerate().filter(|(_, facts)| facts.rows > 0);
    seen.map(|(id, facts)| (keys.key(id as KeyId).to_owned(), *facts)).collect::<BTreeMap<_, _>>()
}

/// Rows of a small array by position: how facts that many rows share become columns.
pub(crate) fn spread(values: &ArrayRef, at: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    take(values, at, None)
}
