//! Which attributes tell two sets of rows apart (analytics 14).
//!
//! Rows are fed one attribute at a time. Presence is a value: rows that lack an attribute count as
//! `∅`. Attributes are ranked by the Jensen–Shannon divergence of the two value distributions, less
//! what chance alone would give, times coverage; single values are tested, with the false discovery
//! rate taken over all of them.
//!
//! Memory is bounded ([`Limits`]) in a way that the order of rows cannot influence; see [`tally`].

mod ranking;
pub mod tally;

pub use ranking::{
    AttributeDifference, Compared, LeftOut, Numeric, Quantiles, Reason, ValueDifference, ValueName,
};
pub use tally::Limits;

use tally::{LowestHashes, Tally};

/// A value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text, and whatever is shown as text.
    Text(&'a str),
    /// A number with a fraction.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

/// Which of the two sets a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The selection.
    Selected,
    /// What it is compared with.
    Baseline,
}

/// Counts values of two sets, row by row, and ranks what differs.
#[derive(Debug)]
pub struct Comparison {
    limits: Limits,
    rows: [u64; 2],
    attributes: LowestHashes<Tally>,
}

impl Comparison {
    /// Nothing counted yet.
    pub fn new(limits: Limits) -> Comparison {
        Comparison { limits, rows: [0, 0], attributes: LowestHashes::new(limits.attributes_max) }
    }

    /// Counts a row. Each row is counted once, whatever attributes it has.
    pub fn row(&mut self, set: Set) {
        self.rows[set as usize] += 1;
    }

    /// Counts a value of a row, at most once per row and attribute. Names and values longer than
    /// [`tally::TEXT_BYTES_MAX`] are cut.
    pub fn add(&mut self, attribute: &str, value: Value<'_>, set: Set) {
        let limits = &self.limits;
        if let Some(tally) = self.attributes.entry(attribute, || Tally::new(limits)) {
            tally.add(value, set);
        }
    }

    /// Ranks the attributes. Those of `excluded` are left out: the ones that the selection's
    /// predicate names, and functions of them.
    pub fn finish(self, excluded: &[&str]) -> Compared {
        ranking::rank(self.rows, self.attributes, excluded)
    }
}

#[cfg(test)]
mod tests;
