//! Log records by page, by severity and by pattern.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rows::json;
use super::{Basis, Bins, LogRow, TimeRange};

rows! {
    /// A page of log records.
    LogsAnswer {
        /// The records, in the order asked for.
        rows: Vec<LogLine>,
        /// What was asked about.
        range: TimeRange,
        /// What `after` takes for the next page; absent on the last one.
        next: Option<String>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A log record with all that a detail shows.
    LogLine {
        /// The record.
        #[serde(flatten)]
        log: LogRow,
        /// Template of its body, as `log_patterns` shows it.
        pattern: Option<String>,
        /// Instance, pod or host that wrote it.
        instance: Option<String>,
        /// Name of the instrumentation scope: the logger.
        scope_name: Option<String>,
        /// Attributes of the resource.
        #[serde(default, deserialize_with = "json")]
        resource: Option<Value>,
        /// Values of the columns asked for.
        #[serde(default)]
        columns: Vec<Option<String>>,
    }
    /// Log records of one column, by severity.
    LogVolumeRow {
        /// Start of the column.
        time: String,
        /// Severity 1 to 4.
        trace: u64,
        /// 5 to 8.
        debug: u64,
        /// 9 to 12.
        info: u64,
        /// 13 to 16.
        warn: u64,
        /// 17 to 20.
        error: u64,
        /// 21 to 24.
        fatal: u64,
        /// Without a severity.
        unspecified: u64,
    }
    /// Templates of log records.
    LogPatternsAnswer {
        /// The templates, new ones first, then by number.
        rows: Vec<LogPatternRow>,
        /// What was asked about.
        range: TimeRange,
        /// Records in the range.
        records: u64,
        /// Records in the period of the same length before it.
        records_before: u64,
        /// Columns of the trends, where they were asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bins: Option<Bins>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A template.
    LogPatternRow {
        /// The body with `<n>` for numbers, `<id>` for ids, `<time>` for times, `<s>` for quoted parts, `<w>` for values.
        pattern: String,
        /// Records.
        count: u64,
        /// Of all records of the range.
        share: f64,
        /// Records in the period of the same length before.
        before: u64,
        /// There are none in the period before, though there are others.
        is_new: bool,
        /// Highest severity.
        severity_number: Option<i64>,
        /// First record in the range.
        first_seen: String,
        /// Last one.
        last_seen: String,
        /// Services that wrote it, 8 at most.
        services: Vec<String>,
        /// A body.
        example: Option<String>,
        /// A trace with it.
        exemplar_trace: Option<String>,
        /// The span of that record.
        exemplar_span: Option<String>,
        /// Records by column, where it was asked for.
        #[serde(default)]
        trend: Vec<u64>,
    }
}
