//! Counts of values in bounded memory, the same whatever the order of the rows.
//!
//! * Texts: those with the lowest hashes are kept, so what is kept depends on the set of texts
//!   alone. The counts of the kept ones are exact, the others are counted together, and how many
//!   they are is estimated from the highest hash kept (Bar-Yossef and others 2002). A frequent text
//!   among more than [`Limits::values_max`] others may be pooled; such an attribute is nearly always
//!   an id, an address or a query.
//! * Numbers: when there are too many, all lose bits of their mantissa until they fit, so that the
//!   distribution keeps its shape to a known relative error.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use super::{Set, Value};
use crate::random::{SplitMix64, seed_of};

/// Longer names and values are cut here; the cut ones count as one.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes compared.
    pub attributes_max: usize,
    /// Distinct values kept of each, texts and numbers apart.
    pub values_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { attributes_max: 1_000, values_max: 10_000 }
    }
}

/// Things by name, of which those with the lowest hashes are kept.
#[derive(Debug)]
pub(crate) struct LowestHashes<T> {
    /// Places of the kept names in `things`.
    kept: HashMap<Box<str>, usize>,
    things: Vec<T>,
    /// Hashes of the kept names, the highest on top.
    hashes: BinaryHeap<(u64, Box<str>)>,
    max: usize,
    /// Whether a name was ever turned away.
    is_full: bool,
}

impl<T> LowestHashes<T> {
    pub(crate) fn new(max: usize) -> LowestHashes<T> {
        LowestHashes {
            kept: HashMap::new(),
            things: Vec::new(),
            hashes: BinaryHeap::new(),
            max: max.max(1),
            is_full: false,
        }
    }

    /// The thing of a name; none if the name is not kept. A name once dropped never comes back,
    /// since the highest hash only falls; so what is kept has seen all of its rows.
    pub(crate) fn entry(&mut self, name: &str, new: impl FnOnce() -> T) -> Option<&mut T> {
        let name = cut(name);
        // Once full, most names are above the highest hash, and need no look-up.
        if self.is_full && self.is_above(seed_of(&[name]), name) {
            return None;
        }
        if let Some(&place) = self.kept.get(name) {
            return self.things.get_mut(place);
        }
        let hash = seed_of(&[name]);
        let mut place = self.things.len();
        if place < self.max {
            self.things.push(new());
        } else {
            self.is_full = true;
            if self.is_above(hash, name) {
                return None;
            }
            let (_, dropped) = self.hashes.pop()?;
            place = self.kept.remove(&dropped)?;
            self.things[place] = new();
        }
        self.hashes.push((hash, name.into()));
        self.kept.insert(name.into(), place);
        self.things.get_mut(place)
    }

    /// Whether a name's hash is higher than all that are kept.
    fn is_above(&self, hash: u64, name: &str) -> bool {
        self.hashes.peek().is_some_and(|(highest, of)| (*highest, of.as_ref()) < (hash, name))
    }

    /// How many distinct names there were, estimated once some were dropped.
    pub(crate) fn distinct(&self) -> f64 {
        match self.hashes.peek() {
            Some((highest, _)) if self.is_full => distinct_from_highest(self.max, *highest),
            _ => self.kept.len() as f64,
        }
    }

    /// What was kept, by name.
    pub(crate) fn into_sorted(self) -> BTreeMap<Box<str>, T> {
        let mut things: Vec<_> = self.things.into_iter().map(Some).collect();
        let places = self.kept.into_iter();
        places.filter_map(|(name, place)| Some((name, things[place].take()?))).collect()
    }
}

/// How many hashes there were when the `kept` lowest of them reach up to `highest`: hashes are evenly
/// spread.
fn distinct_from_highest(kept: usize, highest: u64) -> f64 {
    (kept - 1) as f64 * 2.0_f64.powi(64) / (highest as f64 + 1.0)
}

/// The start of a text, whole characters only.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// Counts of one attribute: of the selection and of the baseline.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) texts: LowestHashes<[u64; 2]>,
    pub(crate) text_rows: [u64; 2],
    pub(crate) numbers: Numbers,
    pub(crate) number_rows: [u64; 2],
}

impl Tally {
    pub(crate) fn new(limits: &Limits) -> Tally {
        Tally {
            texts: LowestHashes::new(limits.values_max),
            text_rows: [0, 0],
            numbers: Numbers::new(limits.values_max),
            number_rows: [0, 0],
        }
    }

    pub(crate) fn add(&mut self, value: Value<'_>, set: Set) {
        match value {
            Value::Text(text) => self.text(text, set),
            Value::Bool(true) => self.text("true", set),
            Value::Bool(false) => self.text("false", set),
            Value::Int(number) => self.number(Number::Int(number), set),
            Value::Float(number) => self.number(Number::of(number), set),
        }
    }

    fn text(&mut self, text: &str, set: Set) {
        self.text_rows[set as usize] += 1;
        if let Some(counts) = self.texts.entry(text, || [0, 0]) {
            counts[set as usize] += 1;
        }
    }

    fn number(&mut self, number: Number, set: Set) {
        self.number_rows[set as usize] += 1;
        self.numbers.add(number, set);
    }
}

/// A number as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Number {
    Int(i64),
    /// The bits; all NaN are one, and so are the two zeros.
    Float(u64),
}

impl Number {
    /// Whole numbers are the same with and without a point.
    fn of(number: f64) -> Number {
        let exact = number as i64;
        if number.is_nan() {
            Number::Float(f64::NAN.to_bits())
        } else if exact as f64 == number && exact.unsigned_abs() < 1 << 53 {
            Number::Int(exact)
        } else {
            Number::Float(number.to_bits())
        }
    }

    /// The number, rounded where it has more digits than a float holds.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Float(bits) => f64::from_bits(bits),
        }
    }

    /// As it is shown.
    pub(crate) fn text(self) -> String {
        match self {
            Number::Int(number) => number.to_string(),
            Number::Float(bits) => f64::from_bits(bits).to_string(),
        }
    }

    /// With the last bits of the mantissa at 0.
    fn coarse(self, dropped_bits: u32) -> Number {
        match self {
            number if dropped_bits == 0 => number,
            number if number.as_f64().is_finite() => {
                let bits = number.as_f64().to_bits();
                Number::of(f64::from_bits(bits & (u64::MAX << dropped_bits)))
            }
            number => number,
        }
    }
}

/// Counts of numbers, as exact as they fit.
#[derive(Debug)]
pub(crate) struct Numbers {
    counts: HashMap<Number, [u64; 2]>,
    max: usize,
    dropped_bits: u32,
    has_floats: bool,
    /// The lowest hashes of the exact numbers, to know how many they were after they lost bits.
    hashes: BTreeSet<u64>,
}

/// Hashes kept to estimate how many numbers there were: a standard error of 3 %.
const NUMBER_HASHES_MAX: usize = 1_024;

impl Numbers {
    fn new(max: usize) -> Numbers {
        Numbers {
            counts: HashMap::new(),
            max: max.max(1),
            dropped_bits: 0,
            has_floats: false,
            hashes: BTreeSet::new(),
        }
    }

    fn add(&mut self, number: Number, set: Set) {
        self.has_floats |= matches!(number, Number::Float(_));
        self.remember(number);
        self.counts.entry(number.coarse(self.dropped_bits)).or_default()[set as usize] += 1;
        // With all 52 bits dropped the powers of two are left, which may be more than `max`.
        while self.counts.len() > self.max && self.dropped_bits < 52 {
            self.dropped_bits += 1;
            let finer = std::mem::take(&mut self.counts);
            for (number, [selected, baseline]) in finer {
                let counts = self.counts.entry(number.coarse(self.dropped_bits)).or_default();
                counts[0] += selected;
                counts[1] += baseline;
            }
        }
    }

    fn remember(&mut self, number: Number) {
        let bits = match number {
            Number::Int(exact) => exact as u64,
            Number::Float(bits) => !bits,
        };
        let hash = SplitMix64::new(bits).next_u64();
        if self.hashes.len() < NUMBER_HASHES_MAX {
            self.hashes.insert(hash);
        } else if self.hashes.last().is_some_and(|last| hash < *last) && self.hashes.insert(hash) {
            self.hashes.pop_last();
        }
    }

    /// Distinct numbers, estimated once there were too many to keep each.
    pub(crate) fn distinct(&self) -> f64 {
        match self.hashes.last() {
            Some(highest) if self.dropped_bits > 0 && self.hashes.len() == NUMBER_HASHES_MAX => {
                distinct_from_highest(NUMBER_HASHES_MAX, *highest).max(self.counts.len() as f64)
            }
            _ => self.counts.len() as f64,
        }
    }

    /// Whether a number had a fraction: then it is a measurement, and never an id.
    pub(crate) fn has_floats(&self) -> bool {
        self.has_floats
    }

    /// The numbers and their counts, ascending; NaN last.
    pub(crate) fn sorted(&self) -> Vec<(Number, [u64; 2])> {
        let mut sorted: Vec<_> = self.counts.iter().map(|(n, counts)| (*n, *counts)).collect();
        let exact = |number: Number| if let Number::Int(exact) = number { exact } else { 0 };
        sorted.sort_unstable_by(|(a, _), (b, _)| {
            a.as_f64().total_cmp(&b.as_f64()).then_with(|| exact(*a).cmp(&exact(*b)))
        });
        sorted
    }
}

#[cfg(test)]
mod tests;
