//! Columns under construction, and their assembly into the batch of one table.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, PrimitiveBuilder,
};
use arrow_array::types::{ArrowPrimitiveType, TimestampNanosecondType, UInt32Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch, StructArray,
    UInt32Array,
};
use arrow_buffer::{
    BooleanBuffer, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer,
};
use arrow_schema::{ArrowError, Field, FieldRef, Fields, Schema};
use arrow_select::take::take;
use schemas::attributes::{Owner, ValueType, promoted_keys};
use schemas::columns as c;
use schemas::{Batch, KeyFacts, KeySet, Keys, Table};

use super::attributes::{KeyId, KeyTable, ShapeId, Split};
use super::text::cut;
use super::texts::{NULL, TextArray, TextBlock, TextId, Texts};
use super::value::Value;
use super::{Limits, Request};
use crate::intern::{ContextColumns, Contexts};

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

/// The words of an enum's numbers, as texts of a block.
#[derive(Debug)]
pub(crate) struct Words<const N: usize> {
    words: [&'static str; N],
    /// Null until the word is needed.
    ids: [TextId; N],
}

impl<const N: usize> Words<N> {
    pub(crate) fn new(words: [&'static str; N]) -> Words<N> {
        Words { words, ids: [NULL; N] }
    }

    /// The word of a number, or the number's digits when we have no word for it.
    #[inline]
    pub(crate) fn id(&mut self, number: i32, texts: &mut TextBlock) -> TextId {
        let known = usize::try_from(number).ok().and_then(|n| self.ids.get(n).copied());
        match known {
            Some(id) if id != NULL => id,
            _ => self.add(number, texts),
        }
    }

    #[cold]
    fn add(&mut self, number: i32, texts: &mut TextBlock) -> TextId {
        match usize::try_from(number).ok().filter(|n| *n < N) {
            Some(n) => {
                self.ids[n] = texts.add(self.words[n].as_bytes(), &mut 0);
                self.ids[n]
            }
            None => texts.add(itoa::Buffer::new().format(number).as_bytes(), &mut 0),
        }
    }
}

/// Lists of one column: where each ends.
#[derive(Debug)]
pub(crate) struct ListEnds {
    ends: Vec<i32>,
}

impl ListEnds {
    pub(crate) fn new() -> ListEnds {
        ListEnds { ends: vec![0] }
    }

    /// Ends a row's list at `len` elements in all.
    #[inline]
    pub(crate) fn push(&mut self, len: usize) {
        self.ends.push(len as i32);
    }

    pub(crate) fn finish(
        self,
        elements: ArrayRef,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let field = Field::new(c::LIST_ELEMENT, elements.data_type().clone(), false);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(Arc::new(ListArray::try_new(Arc::new(field), offsets, elements, nulls)?))
    }

    /// A column of lists of structs; a list without an element is null.
    pub(crate) fn finish_structs(
        self,
        fields: Fields,
        columns: Vec<ArrayRef>,
    ) -> Result<ArrayRef, ArrowError> {
        let rows = self.ends.len() - 1;
        let is_filled = |row| self.ends[row] < self.ends[row + 1];
        let nulls = Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, is_filled)));
        self.finish(Arc::new(StructArray::try_new(fields, columns, None)?), nulls)
    }
}

/// Columns of promoted keys: made when the first row fills them, null where a row does not.
#[derive(Debug, Default)]
struct PromotedColumns {
    /// By position in the fixed list; empty until a row fills one.
    columns: Vec<Option<PromotedColumn>>,
}

#[derive(Debug)]
enum PromotedColumn {
    Text(Texts),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl PromotedColumn {
    fn new(value_type: ValueType) -> PromotedColumn {
        match value_type {
            ValueType::Text => PromotedColumn::Text(Texts::default()),
            ValueType::Int => PromotedColumn::Int(Int64Builder::with_capacity(0)),
            ValueType::Double => PromotedColumn::Double(Float64Builder::with_capacity(0)),
            ValueType::Bool => PromotedColumn::Bool(BooleanBuilder::with_capacity(0)),
        }
    }

    /// Fills row `row`; the rows before it that were not filled become null.
    #[inline]
    fn set(
        &mut self,
        row: usize,
        value: Value<'_>,
        texts: &mut TextBlock,
        limits: &Limits,
        bits: &mut u32,
    ) {
        match (self, value) {
            (PromotedColumn::Text(column), Value::String(text)) => {
                column.set(row, texts.add(cut(text, limits.value_bytes_max, bits), bits));
            }
            (PromotedColumn::Int(column), Value::Int(v)) => set(column, row, v),
            (PromotedColumn::Double(column), Value::Double(v)) => set(column, row, v),
            (PromotedColumn::Bool(column), Value::Bool(v)) => {
                column.append_nulls(row - column.len());
                column.append_value(v);
            }
            // Only values of the column's type are split off; see `KeyTable::split`.
            _ => debug_assert!(false, "value of another type in a promoted column"),
        }
    }

    fn finish(self, rows: usize, texts: &TextArray) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            PromotedColumn::Text(column) => return column.finish(rows, texts),
            PromotedColumn::Int(column) => padded(column, rows),
            PromotedColumn::Double(column) => padded(column, rows),
            PromotedColumn::Bool(mut column) => {
                column.append_nulls(rows - column.len());
                Arc::new(column.finish())
            }
        })
    }
}

#[inline]
fn set<T: ArrowPrimitiveType>(column: &mut PrimitiveBuilder<T>, row: usize, value: T::Native) {
    if column.len() < row {
        column.append_nulls(row - column.len());
    }
    column.append_value(value);
}

fn padded<T: ArrowPrimitiveType>(mut column: PrimitiveBuilder<T>, rows: usize) -> ArrayRef {
    column.append_nulls(rows - column.len());
    Arc::new(column.finish())
}

impl PromotedColumns {
    #[inline]
    fn column(&mut self, index: usize) -> &mut PromotedColumn {
        let keys = promoted_keys(Owner::Record);
        if self.columns.is_empty() {
            self.columns.resize_with(keys.len(), || None);
        }
        self.columns[index].get_or_insert_with(|| PromotedColumn::new(keys[index].value_type))
    }

    fn finish(
        self,
        fields: &mut Vec<FieldRef>,
        columns: &mut Vec<ArrayRef>,
        rows: usize,
        texts: &TextArray,
    ) -> Result<(), ArrowError> {
        for (index, column) in self.columns.into_iter().enumerate() {
            if let Some(column) = column {
                fields.push(promoted_field(Owner::Record, index));
                columns.push(column.finish(rows, texts)?);
            }
        }
        Ok(())
    }
}

/// The field of a promoted key, made once.
pub(crate) fn promoted_field(owner: Owner, index: usize) -> FieldRef {
    static FIELDS: LazyLock<[Vec<FieldRef>; 2]> = LazyLock::new(|| {
        [Owner::Record, Owner::Resource]
            .map(|owner| promoted_keys(owner).iter().map(|key| Arc::new(key.field())).collect())
    });
    Arc::clone(&FIELDS[usize::from(owner == Owner::Resource)][index])
}

/// What every table has: its text, the facts shared by many rows, the promoted attributes, the
/// bookkeeping.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) texts: TextBlock,
    body_bytes: usize,
    /// Of each row, which resource and scope it belongs to.
    contexts: Vec<u32>,
    quality: Vec<u32>,
    promoted: PromotedColumns,
    facts: Vec<KeyFacts>,
    run: Run,
}

/// Rows in a row whose attributes have the same keys: their keys are counted once.
#[derive(Debug, Default)]
struct Run {
    shape: ShapeId,
    rows: u64,
    facts: Vec<(KeyId, u8)>,
}

impl Rows {
    pub(crate) fn new(body_bytes: usize) -> Rows {
        Rows {
            texts: TextBlock::default(),
            body_bytes,
            contexts: Vec::new(),
            quality: Vec::new(),
            promoted: PromotedColumns::default(),
            facts: Vec::new(),
            run: Run::default(),
        }
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.texts.reserve(rows, self.body_bytes);
        self.contexts.reserve_exact(rows);
        self.quality.reserve_exact(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.quality.len()
    }

    /// Appends what became of the attributes of the row that [`Rows::push`] will end.
    #[inline]
    pub(crate) fn push_split(&mut self, split: &Split<'_>, limits: &Limits, bits: &mut u32) {
        let row = self.len();
        for &(index, value) in &split.promoted {
            self.promoted.column(index).set(row, value, &mut self.texts, limits, bits);
        }
        if self.run.shape != split.shape {
            self.end_run();
            self.run.shape = split.shape;
            self.run.facts.extend_from_slice(&split.facts);
        }
        self.run.rows += 1;
        for (known, (_, type_bit)) in self.run.facts.iter_mut().zip(&split.facts) {
            known.1 |= type_bit;
        }
    }

    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.run);
        self.push_facts(&run.facts, run.rows);
        run.facts.clear();
        self.run.facts = run.facts;
    }

    /// Counts keys that each of so many rows has.
    pub(crate) fn push_facts(&mut self, facts: &[(KeyId, u8)], rows: u64) {
        for &(key, types) in facts {
            let at = key as usize;
            if at >= self.facts.len() {
                self.facts.resize(at + 1, KeyFacts::default());
            }
            self.facts[at].merge(KeyFacts { types, rows });
        }
    }

    /// Ends a row.
    #[inline]
    pub(crate) fn push(&mut self, context: u32, quality: u32) {
        self.contexts.push(context);
        self.quality.push(quality & STORED_QUALITY);
    }

    /// Ends the table's text, when all rows are in it.
    pub(crate) fn seal(mut self, contexts: &Contexts<'_>) -> Result<Sealed, ArrowError> {
        self.end_run();
        let shared = contexts.columns(self.contexts, &mut self.texts);
        Ok(Sealed {
            texts: self.texts.finish()?,
            shared,
            quality: self.quality,
            promoted: self.promoted,
            facts: self.facts,
        })
    }
}

/// [`Rows`] whose text is complete.
pub(crate) struct Sealed {
    texts: TextArray,
    shared: ContextColumns,
    quality: Vec<u32>,
    promoted: PromotedColumns,
    facts: Vec<KeyFacts>,
}

impl Sealed {
    /// A column of texts.
    pub(crate) fn texts(&self, column: Texts) -> Result<ArrayRef, ArrowError> {
        column.finish(self.quality.len(), &self.texts)
    }

    /// A column of texts that is not one a row.
    pub(crate) fn inner_texts(&self, column: Texts, len: usize) -> Result<ArrayRef, ArrowError> {
        column.finish(len, &self.texts)
    }

    /// Puts the batch together. `own` are the columns that only this table has, each with its name;
    /// where it lacks one of the table's columns, the shared ones have it.
    pub(crate) fn finish(
        self,
        table: Table,
        mut own: Vec<(&'static str, ArrayRef)>,
        request: &Request<'_, '_>,
        keys: &KeyTable,
    ) -> Result<Batch, ArrowError> {
        let rows = self.quality.len();
        own.push((c::INGESTED_AT, times(vec![request.ingested_ns(); rows])));
        own.push((c::QUALITY, array::<UInt32Type>(self.quality)));
        let mut fields: Vec<FieldRef> = table.schema().fields().iter().cloned().collect();
        let mut columns = Vec::with_capacity(fields.len() + PROMOTED_EXPECTED);
        for column in table.columns() {
            columns.push(match own.iter().position(|(name, _)| *name == column.name) {
                Some(found) => own.swap_remove(found).1,
                None => self.shared.column(column.name, &self.texts)?,
            });
        }
        let mut facts = Keys { record: key_set(&self.facts, keys), ..Keys::default() };
        if table.has_attributes() {
            self.promoted.finish(&mut fields, &mut columns, rows, &self.texts)?;
            self.shared.promoted(&mut fields, &mut columns, &self.texts)?;
            self.shared.add_keys(&request.contexts, &request.keys.contexts, &mut facts);
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(Batch { table, rows, keys: facts })
    }
}

/// How many promoted columns a batch is likely to have.
const PROMOTED_EXPECTED: usize = 24;

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
