//! From counts to ranked differences.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::tally::{LowestHashes, Number, Tally};
use crate::stats::{
    Proportion, benjamini_hochberg, jensen_shannon_bits, jensen_shannon_by_chance,
    kolmogorov_smirnov, two_proportion_p, two_proportion_z,
};

/// Values that were seen less often than this in both sets are pooled.
const RARE_ROWS: u64 = 5;

/// Numbers with more distinct values than this are compared by their distribution.
const CATEGORIES_MAX: f64 = 20.0;

/// An attribute with more distinct values per row than this is an id.
const ID_SHARE: f64 = 0.5;

/// Bins of a numeric attribute, each with as many rows of both sets together as ties allow.
const BINS: u64 = 10;

/// A q value up to this is significant.
const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// What tells the sets apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Rows of the selection.
    pub selected_rows: u64,
    /// Rows of the baseline.
    pub baseline_rows: u64,
    /// The highest score first, then by name. Empty if one of the sets is.
    pub attributes: Vec<AttributeDifference>,
    /// Attributes that were not compared, by name.
    pub left_out: Vec<LeftOut>,
    /// Attributes beyond the limit, estimated.
    pub attributes_dropped: u64,
}

/// How one attribute differs.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeDifference {
    /// Its name.
    pub attribute: String,
    /// max(0, divergence − chance) · coverage.
    pub score: f64,
    /// Jensen–Shannon divergence of the values, `∅` included.
    pub divergence_bits: f64,
    /// What two random samples of this size would show.
    pub chance_bits: f64,
    /// The larger of the two shares of rows that have the attribute.
    pub coverage: f64,
    /// The values with the largest difference of shares first; none for a numeric attribute.
    pub values: Vec<ValueDifference>,
    /// For numbers with many values.
    pub numeric: Option<Numeric>,
    /// Rows whose value was not kept for want of space; they count as `other`.
    pub unkept_rows: u64,
}

/// What a value is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueName {
    /// The value itself.
    Exact(String),
    /// The rows that lack the attribute.
    Absent,
    /// Rare values together.
    Other,
}

/// How one value differs.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueDifference {
    /// The value.
    pub value: ValueName,
    /// Rows of the selection with it.
    pub selected_rows: u64,
    /// Rows of the baseline with it.
    pub baseline_rows: u64,
    /// Share of the selection.
    pub share_selected: f64,
    /// Share of the baseline.
    pub share_baseline: f64,
    /// Share of the selection ÷ share of the baseline; infinite if the baseline lacks it.
    pub lift: f64,
    /// Standard errors between the two shares.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
    /// The false discovery rate over all values of the comparison.
    pub q_value: f64,
}

/// How the numbers of an attribute differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numeric {
    /// Largest difference of the cumulated shares, of the rows that have the attribute; none if one
    /// set lacks it.
    pub kolmogorov_smirnov: Option<f64>,
    /// Median and 90th percentile of the selection.
    pub selected: Option<Quantiles>,
    /// The same of the baseline.
    pub baseline: Option<Quantiles>,
}

/// Two quantiles by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
}

/// An attribute that was not compared.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Its name.
    pub attribute: String,
    /// Why.
    pub reason: Reason,
}

/// Why an attribute was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The selection is made by it.
    Excluded,
    /// More than half of its rows have a value of their own.
    Id,
}

impl ValueDifference {
    /// Whether the difference is beyond chance, at a false discovery rate of 5 %.
    pub fn is_significant(&self) -> bool {
        self.q_value <= FALSE_DISCOVERY_RATE
    }
}

impl fmt::Display for ValueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueName::Absent => f.write_str("∅"),
            ValueName::Exact(value) => f.write_str(value),
            ValueName::Other => f.write_str("other"),
        }
    }
}

pub(super) fn rank(rows: [u64; 2], attributes: LowestHashes<Tally>, excluded: &[&str]) -> Compared {
    let [selected_rows, baseline_rows] = rows;
    let mut compared = Compared { selected_rows, baseline_rows, ..Compared::default() };
    let distinct = attributes.distinct();
    let attributes = attributes.into_sorted();
    compared.attributes_dropped = (distinct - attributes.len() as f64).max(0.0).round() as u64;
    for (name, tally) in attributes {
        let attribute = name.into_string();
        if excluded.contains(&attribute.as_str()) {
            compared.left_out.push(LeftOut { attribute, reason: Reason::Excluded });
        } else if is_id(&tally) {
            compared.left_out.push(LeftOut { attribute, reason: Reason::Id });
        } else if selected_rows > 0 && baseline_rows > 0 {
            compared.attributes.push(difference(attribute, tally, rows));
        }
    }
    set_q_values(&mut compared.attributes);
    // Stable: equal scores stay in the order of their names.
    compared.attributes.sort_by(|a, b| b.score.total_cmp(&a.score));
    compared
}

/// Nearly every row has a value of its own. Numbers with a fraction always do, and are no ids.
fn is_id(tally: &Tally) -> bool {
    let rows = tally.text_rows.iter().chain(&tally.number_rows).sum::<u64>();
    let distinct = tally.texts.distinct() + tally.numbers.distinct();
    !tally.numbers.has_floats() && distinct > ID_SHARE * rows as f64
}

fn difference(attribute: String, tally: Tally, rows: [u64; 2]) -> AttributeDifference {
    let present = [0, 1].map(|set| tally.text_rows[set] + tally.number_rows[set]);
    let absent = [0, 1].map(|set| rows[set].saturating_sub(present[set]));
    let coverage = [0, 1].map(|set| present[set] as f64 / rows[set] as f64);
    let is_numeric = tally.text_rows == [0, 0] && tally.numbers.distinct() > CATEGORIES_MAX;
    let mut unkept_rows = 0;
    let (counts, values, numeric) = if is_numeric {
        let numbers = tally.numbers.sorted();
        let mut counts = binned(&numbers);
        counts.push(absent);
        (counts, Vec::new(), Some(numeric(&numbers)))
    } else {
        let (categories, unkept) = categories(tally, absent);
        unkept_rows = unkept;
        let counts = categories.values().copied().collect();
        (counts, value_differences(&categories, rows), None)
    };
    let kinds = counts.iter().filter(|counts| **counts != [0, 0]).count();
    let divergence_bits = jensen_shannon_bits(&counts).unwrap_or(0.0);
    let chance_bits = jensen_shannon_by_chance(kinds, rows[0], rows[1]);
    let coverage = coverage[0].max(coverage[1]).min(1.0);
    AttributeDifference {
        attribute,
        score: (divergence_bits - chance_bits).max(0.0) * coverage,
        divergence_bits,
        chance_bits,
        coverage,
        values,
        numeric,
        unkept_rows,
    }
}

/// Counts by value, rare ones pooled, with the rows that lack the attribute; and how many rows'
/// values were not kept.
fn categories(tally: Tally, absent: [u64; 2]) -> (BTreeMap<ValueName, [u64; 2]>, u64) {
    let mut exact = tally.texts.into_sorted();
    let mut unkept = tally.text_rows;
    for counts in exact.values() {
        unkept = [0, 1].map(|set| unkept[set] - counts[set]);
    }
    for (number, counts) in tally.numbers.sorted() {
        add(exact.entry(number.text().into()).or_default(), counts);
    }
    let mut categories = BTreeMap::new();
    add(categories.entry(ValueName::Absent).or_default(), absent);
    add(categories.entry(ValueName::Other).or_default(), unkept);
    for (value, counts) in exact {
        let is_rare = counts.iter().all(|rows| *rows < RARE_ROWS);
        let name = if is_rare { ValueName::Other } else { ValueName::Exact(value.into_string()) };
        add(categories.entry(name).or_default(), counts);
    }
    categories.retain(|_, counts| *counts != [0, 0]);
    (categories, unkept.iter().sum())
}

fn add(counts: &mut [u64; 2], more: [u64; 2]) {
    counts[0] += more[0];
    counts[1] += more[1];
}

fn value_differences(
    categories: &BTreeMap<ValueName, [u64; 2]>,
    rows: [u64; 2],
) -> Vec<ValueDifference> {
    let differences = categories.iter().map(|(value, [selected, baseline])| {
        let a = Proportion { hits: *selected, rows: rows[0] };
        let b = Proportion { hits: *baseline, rows: rows[1] };
        ValueDifference {
            value: value.clone(),
            selected_rows: a.hits,
            baseline_rows: b.hits,
            share_selected: a.share(),
            share_baseline: b.share(),
            lift: a.share() / b.share(),
            z: two_proportion_z(a, b).unwrap_or(0.0),
            p_value: two_proportion_p(a, b),
            q_value: 1.0,
        }
    });
    let mut differences: Vec<_> = differences.collect();
    // The difference of the shares in integers, so that rounding decides no tie. Of two values that
    // differ alike, the one that the selection has more of tells more.
    let order = |d: &ValueDifference| {
        let a = u128::from(d.selected_rows) * u128::from(rows[1]);
        let b = u128::from(d.baseline_rows) * u128::from(rows[0]);
        (Reverse(a.abs_diff(b)), a < b)
    };
    differences.sort_by_key(order);
    differences
}

/// The false discovery rate of each value among all that were tested.
fn set_q_values(attributes: &mut [AttributeDifference]) {
    let values = || attributes.iter().flat_map(|attribute| &attribute.values);
    let q_values = benjamini_hochberg(&values().map(|v| v.p_value).collect::<Vec<_>>());
    let values = attributes.iter_mut().flat_map(|attribute| &mut attribute.values);
    values.zip(q_values).for_each(|(value, q_value)| value.q_value = q_value);
}

/// Counts by bin, the bounds being the nearest-rank deciles of both sets together: a value lies in
/// the bin after all deciles that are below it.
fn binned(numbers: &[(Number, [u64; 2])]) -> Vec<[u64; 2]> {
    let rows: u64 = numbers.iter().flat_map(|(_, counts)| counts).sum();
    let mut bins = vec![[0, 0]; BINS as usize];
    let mut below = 0;
    for (_, counts) in numbers {
        let bin = (1..BINS).filter(|decile| (decile * rows).div_ceil(BINS) <= below).count();
        add(&mut bins[bin], *counts);
        below += counts[0] + counts[1];
    }
    bins
}

fn numeric(numbers: &[(Number, [u64; 2])]) -> Numeric {
    let counts: Vec<[u64; 2]> = numbers.iter().map(|(_, counts)| *counts).collect();
    let at = |set: usize, percent: u64| {
        let rows: u64 = counts.iter().map(|counts| counts[set]).sum();
        let wanted = (percent * rows).div_ceil(100).max(1);
        let mut reached = 0;
        numbers.iter().find_map(|(number, counts)| {
            reached += counts[set];
            (reached >= wanted).then(|| number.as_f64())
        })
    };
    let quantiles = |set| Some(Quantiles { p50: at(set, 50)?, p90: at(set, 90)? });
    Numeric {
        kolmogorov_smirnov: kolmogorov_smirnov(&counts),
        selected: quantiles(0),
        baseline: quantiles(1),
    }
}
