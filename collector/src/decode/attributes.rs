//! Attributes of one owner: sorted, each key once, split into promoted columns and canonical JSON.
//!
//! Senders repeat the same keys in the same order, record after record. So each key is looked up
//! once and guessed afterwards from the key before it (one comparison of bytes), and the sorted
//! order of each sequence of keys is computed once.

use std::collections::HashMap;
use std::ops::Range;

use schemas::attributes::{Owner, ValueType, promoted_index, promoted_keys};
use schemas::columns::quality;
use schemas::type_bits;

use super::text::{is_same, repair, write_json};
use super::value::{self, Value, read_key_value};
use super::wire::{put_tag, put_varint};
use super::{Bad, Limits};
use crate::rejects::Reason;

/// Attributes staged for one record, in the order they came. Reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Staged<'a> {
    keys: Vec<KeyId>,
    values: Vec<Value<'a>>,
}

/// Position of a key in its [`KeyTable`].
pub(crate) type KeyId = u32;

impl<'a> Staged<'a> {
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Reads one KeyValue message.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        table: &mut KeyTable,
        key_value: &'a [u8],
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<(), Bad> {
        let before = self.keys.last().copied();
        if let Some((key, any)) = table.guess(before, key_value)
            && let Some(value) = Value::read_short(any)
        {
            self.keys.push(key);
            self.values.push(value);
            return Ok(());
        }
        self.push_any(table, key_value, limits, bits)
    }

    #[inline(never)]
    fn push_any(
        &mut self,
        table: &mut KeyTable,
        key_value: &'a [u8],
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<(), Bad> {
        let before = self.keys.last().copied();
        let (key, value) = match table.guess(before, key_value) {
            Some((key, any)) => (key, Value::read(any, bits)?),
            None => table.read(before, key_value, limits, bits)?,
        };
        self.keys.push(key);
        self.values.push(value);
        Ok(())
    }

    /// The string value of a key among the attributes of a range, the last one.
    pub(crate) fn text(
        &self,
        table: &KeyTable,
        range: Range<usize>,
        key: &str,
    ) -> Option<&'a [u8]> {
        let at = self.keys[range.clone()].iter().rposition(|id| table.key(*id) == key)?;
        match self.values[range.start + at] {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

#[cold]
fn key_too_long(key: &[u8], limits: &Limits) -> Bad {
    Bad::Reject(
        Reason::RecordTooLarge,
        format!(
            "an attribute key has {} bytes, {} are allowed; it begins {}",
            key.len(),
            limits.key_bytes_max,
            super::text::excerpt(key)
        ),
    )
}

/// What became of one record's attributes.
#[derive(Debug, Default)]
pub(crate) struct Split<'a> {
    /// Each key once, with the bit of its type.
    pub(crate) facts: Vec<(KeyId, u8)>,
    /// Values for promoted columns: position in the fixed list, and value.
    pub(crate) promoted: Vec<(usize, Value<'a>)>,
    /// Which sequence of keys it was.
    pub(crate) shape: ShapeId,
}

impl Split<'_> {
    pub(crate) fn clear(&mut self) {
        self.facts.clear();
        self.promoted.clear();
        self.shape = NO_SHAPE;
    }
}

/// The keys seen so far with all that can be known of them beforehand.
#[derive(Debug)]
pub(crate) struct KeyTable {
    owner: Option<Owner>,
    keys: Vec<Key>,
    ids: HashMap<Box<[u8]>, KeyId>,
    /// Keys whose text holds U+FFFD, by text: differently broken bytes may repair to one text.
    repaired: HashMap<String, KeyId>,
    /// The key that came first last time.
    first: KeyId,
    shapes: Vec<Shape>,
    shape_ids: HashMap<Box<[KeyId]>, usize>,
    last_shape: usize,
    last_shape_id: ShapeId,
}

/// Names a sequence of keys; never used for another one during a request.
pub(crate) type ShapeId = u64;

/// Of no keys at all.
const NO_SHAPE: ShapeId = 0;

#[derive(Debug)]
struct Key {
    /// The beginning of a KeyValue message with this key, up to the length of the value.
    wire: Box<[u8]>,
    text: String,
    /// `,"key":` as it stands in canonical JSON.
    json: Box<[u8]>,
    /// Position in the fixed list, if it has a place there.
    promoted: usize,
    /// The bit of the type that its column takes; none without a column.
    promoted_type: u8,
    /// The key that came behind this one last time.
    next: KeyId,
}

/// A sequence of keys, sorted.
#[derive(Debug, Default)]
struct Shape {
    id: ShapeId,
    keys: Box<[KeyId]>,
    /// Positions in order of key text, of equal keys the last one.
    order: Vec<usize>,
    duplicates: bool,
    /// The shape that came behind this one last time.
    next: usize,
}

/// A table that has grown beyond this is emptied before the next request.
const KEYS_MAX: usize = 2048;
const SHAPES_MAX: usize = 256;
/// Longer sequences are sorted each time.
const SHAPE_LEN_MAX: usize = 128;

impl KeyTable {
    /// `owner` decides which keys are promoted; `None`: none.
    pub(crate) fn new(owner: Option<Owner>) -> KeyTable {
        KeyTable {
            owner,
            keys: Vec::new(),
            ids: HashMap::new(),
            repaired: HashMap::new(),
            first: 0,
            shapes: Vec::new(),
            shape_ids: HashMap::new(),
            last_shape: 0,
            last_shape_id: NO_SHAPE,
        }
    }

    /// To be called before a request; ids stay valid for the length of one request only.
    pub(crate) fn bound(&mut self) {
        if self.keys.len() > KEYS_MAX {
            *self = KeyTable::new(self.owner);
        }
    }

    pub(crate) fn key(&self, id: KeyId) -> &str {
        self.keys.get(id as usize).map_or("", |k| &k.text)
    }

    /// Reads a KeyValue message whose key is the one that came here last time and whose value is
    /// short: gives the key and the AnyValue message.
    #[inline(always)]
    fn guess<'a>(&self, before: Option<KeyId>, key_value: &'a [u8]) -> Option<(KeyId, &'a [u8])> {
        let guess = match before {
            Some(before) => self.keys[before as usize].next,
            None => self.first,
        };
        let wire = &*self.keys.get(guess as usize)?.wire;
        let (head, rest) = key_value.split_at_checked(wire.len())?;
        let [len @ 0..0x80, value @ ..] = rest else { return None };
        (value.len() == usize::from(*len) && is_same(head, wire)).then_some((guess, value))
    }

    /// Reads any other KeyValue message, and remembers its key for the next record.
    fn read<'a>(
        &mut self,
        before: Option<KeyId>,
        key_value: &'a [u8],
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<(KeyId, Value<'a>), Bad> {
        let (key, value) = read_key_value(key_value, bits)?;
        if key.len() > limits.key_bytes_max {
            return Err(key_too_long(key, limits));
        }
        let id = match self.ids.get(key) {
            Some(id) => *id,
            None => self.add(key, bits),
        };
        match before {
            Some(before) => self.keys[before as usize].next = id,
            None => self.first = id,
        }
        Ok((id, value))
    }

    #[cold]
    fn add(&mut self, raw: &[u8], bits: &mut u32) -> KeyId {
        let text = repair(raw, bits);
        let is_odd = text.contains('\u{fffd}');
        if is_odd && let Some(id) = self.repaired.get(text.as_ref()) {
            return *id;
        }
        let id = self.keys.len() as KeyId;
        if is_odd {
            self.repaired.insert(text.clone().into_owned(), id);
        }
        let mut json = vec![b','];
        write_json(&mut json, &text);
        json.push(b':');
        let promoted = self.owner.and_then(|owner| Some((owner, promoted_index(owner, &text)?)));
        let promoted_type =
            promoted.map_or(0, |(owner, index)| type_bit(promoted_keys(owner)[index].value_type));
        // A broken key is not found by its bytes, so that each record with it gets its quality bit.
        self.ids.insert(text.as_bytes().into(), id);
        self.keys.push(Key {
            wire: key_wire(&text),
            text: text.into_owned(),
            json: json.into_boxed_slice(),
            promoted: promoted.map_or(0, |(_, index)| index),
            promoted_type,
            next: id,
        });
        id
    }

    /// Position in `shapes` of the sequence.
    fn shape(&mut self, keys: &[KeyId]) -> usize {
        let guess = self.shapes.get(self.last_shape).map_or(0, |s| s.next);
        if self.shapes.get(guess).is_some_and(|s| *s.keys == *keys) {
            self.last_shape = guess;
            return guess;
        }
        let found = match self.shape_ids.get(keys) {
            Some(found) => *found,
            None => self.add_shape(keys),
        };
        if let Some(last) = self.shapes.get_mut(self.last_shape) {
            last.next = found;
        }
        self.last_shape = found;
        found
    }

    #[cold]
    fn add_shape(&mut self, keys: &[KeyId]) -> usize {
        if self.shapes.len() >= SHAPES_MAX {
            self.shapes.clear();
            self.shape_ids.clear();
        }
        let shape = self.sorted(keys);
        self.last_shape_id = shape.id;
        if keys.len() <= SHAPE_LEN_MAX {
            self.shape_ids.insert(Box::clone(&shape.keys), self.shapes.len());
        }
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    fn sorted(&self, keys: &[KeyId]) -> Shape {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        // Later positions first among equal keys, so that the last one sent is the one kept.
        order.sort_by(|a, b| self.key(keys[*a]).cmp(self.key(keys[*b])).then(b.cmp(a)));
        order.dedup_by_key(|at| keys[*at]);
        Shape {
            id: self.last_shape_id + 1,
            keys: keys.into(),
            duplicates: order.len() < keys.len(),
            order,
            next: 0,
        }
    }

    /// Appends the attributes as one canonical JSON object, every key in it.
    /// Returns whether there was any; nothing is written when there was none.
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        staged: &Staged<'_>,
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<bool, Bad> {
        self.write_range(out, staged, 0..staged.len(), limits, bits, |_, _| {})
    }

    /// Like [`KeyTable::write`] for the attributes of a range; tells the type of each key.
    pub(crate) fn write_range(
        &mut self,
        out: &mut Vec<u8>,
        staged: &Staged<'_>,
        range: Range<usize>,
        limits: &Limits,
        bits: &mut u32,
        mut fact: impl FnMut(KeyId, u8),
    ) -> Result<bool, Bad> {
        if range.is_empty() {
            return Ok(false);
        }
        let from = range.start;
        let shape = self.shape(&staged.keys[range]);
        let shape = &self.shapes[shape];
        if shape.duplicates {
            *bits |= quality::DUPLICATE_KEY;
        }
        let object = Object::begin(out);
        for &at in &shape.order {
            let key = staged.keys[from + at];
            out.extend_from_slice(&self.keys[key as usize].json);
            fact(key, value::write(out, staged.values[from + at], limits, bits)?);
        }
        Ok(object.end(out))
    }

    /// Appends what is not promoted as one canonical JSON object; returns whether there was any.
    #[inline]
    pub(crate) fn split<'a>(
        &mut self,
        out: &mut Vec<u8>,
        staged: &Staged<'a>,
        split: &mut Split<'a>,
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<bool, Bad> {
        split.clear();
        if staged.is_empty() {
            return Ok(false);
        }
        let shape = self.shape(&staged.keys);
        let shape = &self.shapes[shape];
        split.shape = shape.id;
        if shape.duplicates {
            *bits |= quality::DUPLICATE_KEY;
        }
        let object = Object::begin(out);
        for &at in &shape.order {
            let (id, value) = (staged.keys[at], staged.values[at]);
            let key = &self.keys[id as usize];
            let mut type_bit = value.type_bit();
            if type_bit & key.promoted_type != 0 {
                split.promoted.push((key.promoted, value));
            } else {
                out.extend_from_slice(&key.json);
                type_bit = value::write(out, value, limits, bits)?;
            }
            split.facts.push((id, type_bit));
        }
        Ok(object.end(out))
    }
}

/// The bit of the values that a column of this type takes.
fn type_bit(value_type: ValueType) -> u8 {
    match value_type {
        ValueType::Text => type_bits::STRING,
        ValueType::Int => type_bits::INT,
        ValueType::Double => type_bits::DOUBLE,
        ValueType::Bool => type_bits::BOOL,
    }
}

/// How every KeyValue message with this key begins: the field of the key, the tag of the value.
fn key_wire(key: &str) -> Box<[u8]> {
    let mut wire = Vec::with_capacity(key.len() + 3);
    put_tag(&mut wire, 1, 2);
    put_varint(&mut wire, key.len() as u64);
    wire.extend_from_slice(key.as_bytes());
    put_tag(&mut wire, 2, 2);
    wire.into_boxed_slice()
}

/// A JSON object being written, each member behind a comma; the first comma becomes the brace.
/// Without a member nothing is written.
struct Object {
    start: usize,
}

impl Object {
    fn begin(out: &[u8]) -> Object {
        Object { start: out.len() }
    }

    fn end(self, out: &mut Vec<u8>) -> bool {
        let Some(first) = out.get_mut(self.start) else { return false };
        *first = b'{';
        out.push(b'}');
        true
    }
}
