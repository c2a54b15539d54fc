//! Histograms that merge exactly: `hist(x)`, `hist_merge(h)`, `hist_quantile(h, q)`,
//! `hist_count(h)`, `hist_count_le(h, v)`, and the percentiles `p50(x)` … `p999(x)`.
//!
//! A histogram is OTel's exponential one at scale 5 (base 2^(1/32)): bucket i counts the values in
//! (base^i, base^(i+1)], and answers with the middle of the bucket, at most 1.09 % off. Counts are
//! integers, so merging the parts gives bit for bit what the whole gives; only `sum` is a floating
//! sum and depends on the order in its last digits. A percentile is never stored: histograms are.

mod aggregate;
mod buckets;
mod column;
mod scalar;
#[cfg(test)]
mod tests;

pub(super) use aggregate::aggregate;
pub(super) use scalar::scalar;
