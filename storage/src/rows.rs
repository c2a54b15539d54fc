//! Rows of batches that differ in their promoted columns, brought together; what rows weigh.
//!
//! Joining copies fixed-width values and keeps the text buffers of its inputs. [`compact`] then
//! moves text into fresh buffers, equal neighbours once, so that a request of five rows does not
//! keep its whole text alive and a resource shared by thousands of rows stays one value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, StringViewArray, StructArray, new_null_array,
};
use arrow_buffer::Buffer;
use arrow_data::{ByteView, MAX_INLINE_VIEW_LEN};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat;
use schemas::attributes::{Owner, promoted_column, promoted_index};
use schemas::{Batch, Table};

use crate::StorageError;

/// Text is moved into blocks of this size; a longer value gets a block of its own.
const BLOCK_BYTES: usize = 1 << 20;
/// Recent texts that a new one is compared with.
const RECENT: usize = 256;

/// One batch of all the rows, in order, with compact text and merged keys.
pub(crate) fn coalesce(table: Table, batches: &[Arc<Batch>]) -> Result<Batch, StorageError> {
    let rows: Vec<&RecordBatch> = batches.iter().map(|b| &b.rows).collect();
    let schema = union_schema(table, &rows);
    let columns = schema
        .fields()
        .iter()
        .map(|field| compact(&join(&rows, field)?))
        .collect::<Result<Vec<_>, _>>()?;
    let mut keys = schemas::Keys::default();
    batches.iter().for_each(|b| keys.merge(&b.keys));
    Ok(Batch { table, rows: record_batch(schema, columns)?, keys })
}

/// The table's columns, then every promoted column that a batch has, in the order of the fixed
/// lists; promoted columns outside the lists follow by name.
pub fn union_schema(table: Table, batches: &[&RecordBatch]) -> SchemaRef {
    let own = table.schema();
    let mut promoted: Vec<Arc<Field>> = Vec::new();
    for batch in batches {
        for field in batch.schema_ref().fields() {
            let known = own.index_of(field.name()).is_ok();
            if !known && !promoted.iter().any(|p| p.name() == field.name()) {
                promoted.push(promoted_field(field));
            }
        }
    }
    promoted.sort_by_cached_key(|field| promoted_rank(field.name()));
    Arc::new(Schema::new(own.fields().iter().cloned().chain(promoted).collect::<Vec<_>>()))
}

/// A promoted column has the type of its list, else its own with text as views.
fn promoted_field(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match (promoted_column(field.name()), field.data_type()) {
        (Some(promoted), _) => promoted.value_type.data_type(),
        (None, DataType::Utf8 | DataType::LargeUtf8) => DataType::Utf8View,
        (None, other) => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true))
}

fn promoted_rank(name: &str) -> (bool, usize, String) {
    let listed = promoted_column(name)
        .and_then(|p| Some((p.owner == Owner::Resource, promoted_index(p.owner, p.key)?)));
    let (resource, index) = listed.unwrap_or((true, usize::MAX));
    (resource, index, name.to_owned())
}

/// One column of all batches, null where a batch lacks it.
pub(crate) fn join(batches: &[&RecordBatch], field: &Field) -> Result<ArrayRef, StorageError> {
    let arrays = batches
        .iter()
        .map(|batch| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
            Some(array) => arrow_cast::cast(array, field.data_type()).map_err(arrow),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if let [one] = arrays.as_slice() {
        return Ok(Arc::clone(one));
    }
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    concat(&arrays).map_err(arrow)
}

/// The array with its text moved into as few buffers as it needs; other arrays as they are.
fn compact(array: &ArrayRef) -> Result<ArrayRef, StorageError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(compact_text(array.as_string_view())?),
        DataType::List(field) if has_text(field.data_type()) => {
            let list = array.as_list::<i32>();
            let values = compact(list.values())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls).map_err(arrow)?)
        }
        DataType::Struct(fields) if has_text(array.data_type()) => {
            let of = array.as_struct();
            let columns = of.columns().iter().map(compact).collect::<Result<Vec<_>, _>>()?;
            let nulls = of.nulls().cloned();
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls).map_err(arrow)?)
        }
        _ => Arc::clone(array),
    })
}

fn has_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View => true,
        DataType::List(field) => has_text(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_text(f.data_type())),
        _ => false,
    }
}

fn compact_text(array: &StringViewArray) -> Result<StringViewArray, StorageError> {
    let mut texts = Texts::default();
    let mut views = Vec::with_capacity(array.len());
    let mut last = (0_u128, 0_u128);
    for (i, &view) in array.views().iter().enumerate() {
        if array.is_null(i) {
            views.push(0);
        } else if view as u32 <= MAX_INLINE_VIEW_LEN {
            views.push(view);
        } else {
            if view != last.0 {
                last = (view, texts.intern(array.value(i).as_bytes()));
            }
            views.push(last.1);
        }
    }
    StringViewArray::try_new(views.into(), texts.finish(), array.nulls().cloned()).map_err(arrow)
}

/// Long texts in blocks, each view pointing at its text; recent ones are found again.
#[derive(Default)]
struct Texts {
    blocks: Vec<Vec<u8>>,
    recent: Vec<u128>,
}

impl Texts {
    fn intern(&mut self, text: &[u8]) -> u128 {
        self.recent.resize(RECENT, 0);
        let slot = recent_slot(text);
        if self.text(self.recent[slot]) == Some(text) {
            return self.recent[slot];
        }
        let view = self.push(text);
        self.recent[slot] = view;
        view
    }

    fn text(&self, view: u128) -> Option<&[u8]> {
        let view = ByteView::from(view);
        let from = view.offset as usize;
        self.blocks.get(view.buffer_index as usize)?.get(from..from + view.length as usize)
    }

    fn push(&mut self, text: &[u8]) -> u128 {
        let full = self.blocks.last().is_none_or(|b| b.len() + text.len() > BLOCK_BYTES);
        if full {
            self.blocks.push(Vec::new());
        }
        let block = self.blocks.len() - 1;
        let offset = self.blocks[block].len();
        self.blocks[block].extend_from_slice(text);
        ByteView::new(text.len() as u32, &text[..4])
            .with_buffer_index(block as u32)
            .with_offset(offset as u32)
            .into()
    }

    fn finish(self) -> Vec<Buffer> {
        let shrunk = |mut block: Vec<u8>| {
            block.shrink_to_fit();
            Buffer::from_vec(block)
        };
        self.blocks.into_iter().map(shrunk).collect()
    }
}

/// A place among the recent texts by length and last bytes, which differ where prefixes are alike.
fn recent_slot(text: &[u8]) -> usize {
    let mut tail = [0; 8];
    tail.copy_from_slice(&text[text.len() - 8..]);
    let mixed = (u64::from_le_bytes(tail) ^ text.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as usize % RECENT
}

/// Bytes that rows keep alive. Buffers that columns share, as text buffers are, count once.
pub fn memory_bytes(rows: &RecordBatch) -> usize {
    let mut shared = Vec::new();
    rows.columns().iter().map(|column| array_bytes(column, &mut shared)).sum()
}

fn array_bytes(array: &ArrayRef, shared: &mut Vec<*const u8>) -> usize {
    /// Array, its `Arc`s and buffer headers.
    const OVERHEAD_BYTES: usize = 160;
    let nulls = array.nulls().map_or(0, |n| n.buffer().capacity());
    let values = match array.data_type() {
        DataType::Utf8View => {
            let text = array.as_string_view();
            text.views().inner().capacity() + text_bytes(text.data_buffers(), shared)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list.offsets().inner().inner().capacity() + array_bytes(list.values(), shared)
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|c| array_bytes(c, shared)).sum()
        }
        _ => return OVERHEAD_BYTES + array.get_buffer_memory_size(),
    };
    OVERHEAD_BYTES + nulls + values
}

fn text_bytes(buffers: &[Buffer], shared: &mut Vec<*const u8>) -> usize {
    let mut bytes = 0;
    for buffer in buffers {
        let at = buffer.data_ptr().as_ptr().cast_const();
        if !shared.contains(&at) {
            shared.push(at);
            bytes += buffer.capacity();
        }
    }
    bytes
}

/// A batch that keeps its length even where columns could not say it.
pub(crate) fn record_batch(
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<RecordBatch, StorageError> {
    RecordBatch::try_new(schema, columns).map_err(arrow)
}

/// An Arrow error in the store's words.
pub(crate) fn arrow(why: arrow_schema::ArrowError) -> StorageError {
    StorageError::of("arrange rows", why)
}
