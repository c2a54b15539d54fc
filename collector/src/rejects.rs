//! The closed list of reasons for leaving out a record, and the partial-success text.

/// Why a record is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// A span's trace id is not 16 bytes, or all zero.
    BadTraceId,
    /// A span's id is not 8 bytes, or all zero.
    BadSpanId,
    /// The bytes of the record are no valid protobuf of its type.
    Malformed,
    /// The record, or a key in it, is beyond the limits.
    RecordTooLarge,
    /// A time of 2^63 ns or later.
    TimeOverflow,
    /// A JSON value of the wrong type.
    JsonType,
    /// An enum's name where OTLP/JSON wants its number.
    JsonEnumName,
    /// An id that is not hex.
    JsonBadId,
    /// A data point without a time.
    NoTime,
    /// A number point without a value.
    NoValue,
    /// A sum or histogram that is neither delta nor cumulative.
    BadTemporality,
    /// A histogram's counts and bounds do not fit together.
    BucketMismatch,
    /// A histogram's bounds do not increase.
    BoundsOrder,
    /// An exponential histogram's buckets leave the range of doubles or of their index.
    ExpRange,
    /// A metric of none of the five kinds.
    UnknownMetricKind,
}

impl Reason {
    /// Number of reasons.
    pub const COUNT: usize = 15;
    /// Every reason, in the order of its number.
    pub const ALL: [Reason; Reason::COUNT] = [
        Reason::BadTraceId,
        Reason::BadSpanId,
        Reason::Malformed,
        Reason::RecordTooLarge,
        Reason::TimeOverflow,
        Reason::JsonType,
        Reason::JsonEnumName,
        Reason::JsonBadId,
        Reason::NoTime,
        Reason::NoValue,
        Reason::BadTemporality,
        Reason::BucketMismatch,
        Reason::BoundsOrder,
        Reason::ExpRange,
        Reason::UnknownMetricKind,
    ];

    /// The word in counters, `system.rejects` and texts.
    pub fn name(self) -> &'static str {
        match self {
            Reason::BadTraceId => "bad_trace_id",
            Reason::BadSpanId => "bad_span_id",
            Reason::Malformed => "malformed",
            Reason::RecordTooLarge => "record_too_large",
            Reason::TimeOverflow => "time_overflow",
            Reason::JsonType => "json_type",
            Reason::JsonEnumName => "json_enum_name",
            Reason::JsonBadId => "json_bad_id",
            Reason::NoTime => "no_time",
            Reason::NoValue => "no_value",
            Reason::BadTemporality => "bad_temporality",
            Reason::BucketMismatch => "bucket_mismatch",
            Reason::BoundsOrder => "bounds_order",
            Reason::ExpRange => "exp_range",
            Reason::UnknownMetricKind => "unknown_metric_kind",
        }
    }

    /// What the sender should do about it.
    fn advice(self) -> &'static str {
        match self {
            Reason::BadTraceId | Reason::BadSpanId => {
                "send ids as raw bytes in protobuf and as hex in JSON"
            }
            Reason::Malformed => "check the exporter's version and that the path fits the signal",
            Reason::RecordTooLarge => "send smaller records and shorter attribute keys",
            Reason::TimeOverflow => "send times as nanoseconds since 1970",
            Reason::JsonType => "see the OTLP/JSON encoding for the type of each field",
            Reason::JsonEnumName => "send enums as integers",
            Reason::JsonBadId => "send ids as hex, not as base64",
            Reason::NoTime => "set time_unix_nano of each data point",
            Reason::NoValue => "set as_double or as_int, or flag 1 for no recorded value",
            Reason::BadTemporality => "set aggregation_temporality to 1 (delta) or 2 (cumulative)",
            Reason::BucketMismatch => "send one more bucket count than explicit bounds, or neither",
            Reason::BoundsOrder => "send explicit bounds in strictly increasing order",
            Reason::ExpRange => "send buckets whose bounds are finite doubles",
            Reason::UnknownMetricKind => {
                "send gauge, sum, histogram, exponential histogram or summary"
            }
        }
    }
}

/// Rejected records of one request: counts per reason and the first sentence of each.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    counts: [u32; Reason::COUNT],
    first: Vec<(Reason, String)>,
}

/// `error_message` is cut here, so that answers stay far below what clients read (otlp.md item 17).
const MESSAGE_BYTES_MAX: usize = 2_000;
/// One sentence must not crowd out the other reasons.
const SENTENCE_BYTES_MAX: usize = 300;

impl Rejects {
    /// Counts `n` records; `text` is only called for the first of a reason.
    pub fn add(&mut self, reason: Reason, n: u32, text: impl FnOnce() -> String) {
        if n == 0 {
            return;
        }
        if self.count(reason) == 0 {
            self.first.push((reason, text()));
        }
        let count = &mut self.counts[reason as usize];
        *count = count.saturating_add(n);
    }

    /// Records left out for this reason.
    pub fn count(&self, reason: Reason) -> u32 {
        self.counts[reason as usize]
    }

    /// Records left out.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|c| u64::from(*c)).sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        Reason::ALL.into_iter().map(|r| (r, self.count(r))).filter(|(_, n)| *n > 0)
    }

    /// The first sentence of each reason, in the order of their first occurrence.
    pub fn first(&self) -> &[(Reason, String)] {
        &self.first
    }

    /// The text of `partial_success`: for each reason how many, the first case and what to do.
    /// Empty when nothing was rejected; never longer than 2 kB.
    pub fn message(&self) -> String {
        let mut message = String::new();
        for (reason, text) in &self.first {
            let sentence = floor(text, SENTENCE_BYTES_MAX);
            let more = if sentence.len() < text.len() { "…" } else { "" };
            let line = format!(
                "{}{} rejected as {}, first: {sentence}{more}; {}",
                if message.is_empty() { "" } else { ". " },
                self.count(*reason),
                reason.name(),
                reason.advice()
            );
            if message.len() + line.len() > MESSAGE_BYTES_MAX {
                break;
            }
            message.push_str(&line);
        }
        message
    }
}

fn floor(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
