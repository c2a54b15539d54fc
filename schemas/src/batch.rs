//! Rows of one table on their way from the decoder to the file, with the facts about their keys.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;

use crate::Table;

/// Rows of one table in its live shape: the columns of [`Table::schema`], in that order, then the
/// promoted columns that at least one row fills, in the order of the fixed lists.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which table the rows belong to.
    pub table: Table,
    /// The rows.
    pub rows: RecordBatch,
    /// Which attribute keys the rows hold.
    pub keys: Keys,
}

/// Attribute keys of a batch or file, by whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Keys of the record's own attributes (of `filtered_attributes` for exemplars).
    pub record: KeySet,
    /// Keys of the resource.
    pub resource: KeySet,
    /// Keys of the scope.
    pub scope: KeySet,
}

/// Attribute keys with what is known of each. Ordered, so that footers are reproducible.
pub type KeySet = BTreeMap<String, KeyFacts>;

/// What is known of one attribute key in a batch or file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// Bits of [`type_bits`] of the values seen.
    pub types: u8,
    /// Rows that have the key.
    pub rows: u64,
}

impl Keys {
    /// Adds what another batch knows.
    pub fn merge(&mut self, other: &Keys) {
        for (mine, theirs) in [
            (&mut self.record, &other.record),
            (&mut self.resource, &other.resource),
            (&mut self.scope, &other.scope),
        ] {
            for (key, facts) in theirs {
                match mine.get_mut(key) {
                    Some(known) => known.merge(*facts),
                    None => {
                        mine.insert(key.clone(), *facts);
                    }
                }
            }
        }
    }
}

impl KeyFacts {
    /// Adds rows and types of another sighting.
    pub fn merge(&mut self, other: KeyFacts) {
        self.types |= other.types;
        self.rows += other.rows;
    }
}

/// Bits of [`KeyFacts::types`], one an OTLP value type.
pub mod type_bits {
    /// Text.
    pub const STRING: u8 = 1;
    /// Integer.
    pub const INT: u8 = 2;
    /// Double.
    pub const DOUBLE: u8 = 4;
    /// Boolean.
    pub const BOOL: u8 = 8;
    /// Bytes.
    pub const BYTES: u8 = 16;
    /// Array.
    pub const ARRAY: u8 = 32;
    /// Map.
    pub const MAP: u8 = 64;
    /// A value that was sent empty.
    pub const EMPTY: u8 = 128;

    /// Every bit with its word in SQL.
    pub const NAMES: [(u8, &str); 8] = [
        (STRING, "string"),
        (INT, "int"),
        (DOUBLE, "double"),
        (BOOL, "bool"),
        (BYTES, "bytes"),
        (ARRAY, "array"),
        (MAP, "map"),
        (EMPTY, "empty"),
    ];
}
