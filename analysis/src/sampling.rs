//! How many spans a kept span stands for (analytics 18).
//!
//! A sampler that follows OpenTelemetry's consistent probability sampling writes its rejection
//! threshold into the tracestate: `ot=th:c`. With T being the hex digits padded on the right to 14,
//! a span was kept with probability (2⁵⁶ − T) ÷ 2⁵⁶ and stands for the inverse of it.

/// How many spans a span stands for, as an integer, so that weighted sums are exact: units of 2⁻²⁰.
///
/// The bound of 2³² keeps a sum of weight × nanoseconds inside 128 bits: half a million traces of
/// two years each, all of the largest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u64);

impl Weight {
    /// A span that stands for itself.
    pub const ONE: Weight = Weight(1 << 20);
    /// The largest weight; a smaller probability than 2⁻³² counts as this one.
    pub const MAX: Weight = Weight(1 << 52);

    /// The nearest weight between [`Weight::ONE`] and [`Weight::MAX`]; one for what is no number.
    pub fn from_f64(adjusted_count: f64) -> Weight {
        let units = (adjusted_count * Weight::ONE.0 as f64).round();
        if units.is_nan() {
            return Weight::ONE;
        }
        Weight(units as u64).clamp(Weight::ONE, Weight::MAX)
    }

    /// The weight in units of 2⁻²⁰.
    pub fn units(self) -> u64 {
        self.0
    }

    /// The weight as a number.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Weight::ONE.0 as f64
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight::ONE
    }
}

/// What a tracestate says of sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Kept with a known probability.
    Known(Weight),
    /// Nothing is said, or nothing that can be read: counts as one, and views say so.
    Unknown,
}

impl Sampling {
    /// Reads the threshold out of a span's tracestate.
    pub fn of(trace_state: &str) -> Sampling {
        threshold(trace_state).and_then(adjusted_count).map_or(Sampling::Unknown, Sampling::Known)
    }

    /// How many spans the span stands for.
    pub fn weight(self) -> Weight {
        match self {
            Sampling::Known(weight) => weight,
            Sampling::Unknown => Weight::ONE,
        }
    }
}

/// The digits of `th` in the list member `ot`.
fn threshold(trace_state: &str) -> Option<&str> {
    let members = trace_state.split(',').filter_map(|member| member.trim().split_once('='));
    let (_, value) = members.into_iter().find(|(key, _)| *key == "ot")?;
    let fields = value.split(';').filter_map(|field| field.trim().split_once(':'));
    fields.into_iter().find(|(key, _)| *key == "th").map(|(_, digits)| digits)
}

/// The inverse of the probability, in integers: 2⁵⁶ ÷ (2⁵⁶ − T).
fn adjusted_count(digits: &str) -> Option<Weight> {
    let is_hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || !(1..=14).contains(&digits.len()) {
        return None;
    }
    let threshold = u64::from_str_radix(digits, 16).ok()? << (4 * (14 - digits.len()));
    let kept = u128::from((1_u64 << 56) - threshold);
    let units = ((1_u128 << 56) * u128::from(Weight::ONE.0) + kept / 2) / kept;
    Some(Weight(u64::try_from(units).unwrap_or(u64::MAX)).min(Weight::MAX))
}

#[cfg(test)]
mod tests;
