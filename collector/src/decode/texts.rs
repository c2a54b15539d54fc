//! The text of one table: one block of bytes that all its columns share.
//!
//! A column holds the number of each row's text. A text that came recently, in whatever column, is
//! found again and stored once. Arrow checks the whole block in one go instead of text by text.

use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, LargeStringArray, StringViewArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::take::take;

use super::text::{is_same, repair};

/// Number of a text in its block.
pub(crate) type TextId = u32;

/// No text.
pub(crate) const NULL: TextId = TextId::MAX;

/// The texts of one table, one behind the other.
#[derive(Debug)]
pub(crate) struct TextBlock {
    bytes: Vec<u8>,
    /// Where each text begins, and behind them where the next one will.
    starts: Vec<i64>,
    /// Recent texts, each at the place that its bytes give it.
    recent: Vec<TextId>,
}

/// Recent texts that a new one may be equal to.
const RECENT: usize = 256;

impl Default for TextBlock {
    fn default() -> TextBlock {
        TextBlock { bytes: Vec::new(), starts: vec![0], recent: Vec::new() }
    }
}

impl TextBlock {
    /// Makes room for texts of a request of that size.
    pub(crate) fn reserve(&mut self, rows: usize, body_bytes: usize) {
        self.starts.reserve(2 * rows);
        self.bytes.reserve(body_bytes / 4);
    }

    /// The text as it came, repaired where needed.
    #[inline]
    pub(crate) fn add(&mut self, text: &[u8], bits: &mut u32) -> TextId {
        let place = place(text);
        match self.recent(place, text) {
            Some(known) => known,
            None => self.add_new(place, text, bits),
        }
    }

    /// A text for which empty means that none was sent.
    #[inline]
    pub(crate) fn add_or_null(&mut self, text: &[u8], bits: &mut u32) -> TextId {
        if text.is_empty() { NULL } else { self.add(text, bits) }
    }

    fn add_new(&mut self, place: usize, text: &[u8], bits: &mut u32) -> TextId {
        if text.is_ascii() {
            self.bytes.extend_from_slice(text);
        } else {
            self.bytes.extend_from_slice(repair(text, bits).as_bytes());
        }
        self.end(place)
    }

    /// Where to write a text whose length is not known yet: behind what is there. Until
    /// [`TextBlock::end_json`] or [`TextBlock::cut`] nothing else may be added.
    pub(crate) fn json(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the JSON text that was written; nothing is null.
    pub(crate) fn end_json(&mut self) -> TextId {
        let start = self.end_of_texts();
        let Some(text @ [_, ..]) = self.bytes.get(start..) else { return NULL };
        let place = place(text);
        match self.recent(place, text) {
            Some(known) => {
                self.bytes.truncate(start);
                known
            }
            None => self.end(place),
        }
    }

    /// A text that our own JSON writers made; nothing is null.
    pub(crate) fn add_json(&mut self, json: &[u8]) -> TextId {
        self.bytes.extend_from_slice(json);
        self.end_json()
    }

    /// Takes back what was written since the last text ended.
    pub(crate) fn cut(&mut self) {
        self.bytes.truncate(self.end_of_texts());
    }

    /// Ends the table's text.
    pub(crate) fn finish(mut self) -> Result<TextArray, ArrowError> {
        self.bytes.shrink_to_fit();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.starts));
        let texts = LargeStringArray::try_new(offsets, Buffer::from_vec(self.bytes), None)?;
        Ok(TextArray {
            texts: Arc::new(StringViewArray::from(&texts)),
            no_texts: RefCell::new(Arc::new(StringViewArray::new_null(0))),
        })
    }

    fn end_of_texts(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    #[inline]
    fn recent(&self, place: usize, text: &[u8]) -> Option<TextId> {
        let id = *self.recent.get(place)?;
        let known = id as usize;
        let (from, to) = (*self.starts.get(known)? as usize, *self.starts.get(known + 1)? as usize);
        let known = self.bytes.get(from..to)?;
        (known.len() == text.len() && is_same(known, text)).then_some(id)
    }

    fn end(&mut self, place: usize) -> TextId {
        let id = (self.starts.len() - 1) as TextId;
        self.starts.push(self.bytes.len() as i64);
        if self.recent.is_empty() {
            self.recent = vec![NULL; RECENT];
        }
        self.recent[place] = id;
        id
    }
}

/// Where a text stands among the recent ones, by its length and last bytes: beginnings are alike.
#[inline]
fn place(text: &[u8]) -> usize {
    let tail = match text.last_chunk() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mixed = (tail ^ (text.len() as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as usize % RECENT
}

/// All texts of a table, each once; columns take theirs.
#[derive(Debug)]
pub(crate) struct TextArray {
    texts: ArrayRef,
    /// The last column without any text: many columns of a table are.
    no_texts: RefCell<ArrayRef>,
}

impl TextArray {
    /// A column without any text.
    fn none(&self, rows: usize) -> ArrayRef {
        let mut none = self.no_texts.borrow_mut();
        if none.len() != rows {
            *none = Arc::new(StringViewArray::new_null(rows));
        }
        Arc::clone(&none)
    }
}

/// A column of text: each row's text in the table's block. Rows at the end that were not filled
/// are null.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    ids: Vec<TextId>,
}

impl Texts {
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.ids.reserve_exact(rows);
    }

    #[inline]
    pub(crate) fn push(&mut self, id: TextId) {
        self.ids.push(id);
    }

    /// Fills row `row`; the rows before it that were not filled become null.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, id: TextId) {
        if self.ids.len() < row {
            self.ids.resize(row, NULL);
        }
        self.ids.push(id);
    }

    /// Fills row `row` unless there is no text for it.
    #[inline]
    pub(crate) fn set_some(&mut self, row: usize, id: TextId) {
        if id != NULL {
            self.set(row, id);
        }
    }

    pub(crate) fn finish(mut self, rows: usize, texts: &TextArray) -> Result<ArrayRef, ArrowError> {
        if self.ids.iter().all(|id| *id == NULL) {
            return Ok(texts.none(rows));
        }
        self.ids.resize(rows, NULL);
        let ids = &self.ids;
        let nulls = ids
            .contains(&NULL)
            .then(|| NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| ids[row] != NULL)));
        take(&texts.texts, &UInt32Array::new(self.ids.into(), nulls), None)
    }
}

impl FromIterator<TextId> for Texts {
    fn from_iter<I: IntoIterator<Item = TextId>>(ids: I) -> Texts {
        Texts { ids: ids.into_iter().collect() }
    }
}
