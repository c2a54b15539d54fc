//! What screens and commands ask beyond SQL: one struct a question, one a row of its answer.
//!
//! [`ENDPOINTS`] is the one list: the server makes its routes and checks parameters by it, the client
//! its paths, and `docs/api.md` shows it. Behind each question stands SQL, which an answer shows
//! when it is asked to ([`Options::sql`]).

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sql::Stats;

macro_rules! rows {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name { $($(#[$meta])* pub $field: $type,)* }
    )*};
}

mod editor;
mod ingest;
mod logs;
mod metrics;
mod rows;
mod skeleton;
#[cfg(test)]
mod tests;

pub use editor::*;
pub use ingest::*;
pub use logs::*;
pub use metrics::*;
pub use rows::*;
pub use skeleton::*;

/// A question with typed parameters and a typed answer.
pub trait Question: Serialize + DeserializeOwned + Send + 'static {
    /// What is told.
    type Answer: Based + Serialize + DeserializeOwned + Send + 'static;
    /// Where it is asked, and with which parameters.
    const ENDPOINT: Endpoint;

    /// Path and query string of a request.
    fn path(&self, options: &Options) -> String {
        let mut path = Self::ENDPOINT.path.to_owned();
        let mut query = Vec::new();
        for (name, value) in members(self).into_iter().chain(members(options)) {
            let value = encoded(&value);
            let place = format!("{{{name}}}");
            if path.contains(&place) {
                path = path.replace(&place, &value);
            } else {
                query.push(format!("{name}={value}"));
            }
        }
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

/// One address of the HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Path; `{name}` stands for a parameter.
    pub path: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// Its own parameters; [`OPTIONS`] are taken by all.
    pub parameters: &'static [Parameter],
}

/// One parameter of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name in the query string.
    pub name: &'static str,
    /// What its text must be.
    pub kind: Kind,
    /// What it means.
    pub doc: &'static str,
}

/// What the text of a parameter must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A time as `api::time` reads it; `-15m` is allowed for `15m`.
    Time,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `1`, `true`, `0` or `false`.
    Flag,
}

/// Any text.
pub type Text = String;
/// A time as a person types it.
pub type Time = String;
/// A whole number.
pub type Integer = u64;
/// A number.
pub type Number = f64;
/// Yes or no.
pub type Flag = bool;

macro_rules! parameters {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $text:literal])* $field:ident: $kind:ident,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[doc = $text])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }

        impl $name {
            const PARAMETERS: &[Parameter] = &[$(Parameter {
                name: stringify!($field),
                kind: Kind::$kind,
                doc: concat!($($text),*),
            }),*];
        }
    };
}

macro_rules! questions {
    ($($(#[doc = $doc:literal])* $name:ident at $path:literal gives $answer:ty { $($body:tt)* })*) => {
        $(
            parameters! { $(#[doc = $doc])* $name { $($body)* } }

            impl Question for $name {
                type Answer = $answer;
                const ENDPOINT: Endpoint = Endpoint {
                    path: $path,
                    doc: concat!($($doc),*),
                    parameters: $name::PARAMETERS,
                };
            }
        )*

        /// Every endpoint besides `/api/v1/sql`.
        pub const ENDPOINTS: &[Endpoint] = &[$(<$name as Question>::ENDPOINT),*];
    };
}

parameters! {
    /// What every question takes besides its own parameters.
    Options {
        /// `1` shows the SQL behind the answer.
        sql: Flag,
        /// Rows of a list at most; `stats.truncated` tells when it was cut.
        limit: Integer,
        /// Seconds at most.
        timeout_s: Number,
        /// Filter line: only the spans, log records or points that meet it; refused by endpoints over none of these.
        search: Text,
        /// `1` asks ahead of need: refused at once where other questions keep the engine busy.
        prefetch: Flag,
    }
}

/// Parameters that every endpoint takes.
pub const OPTIONS: &[Parameter] = Options::PARAMETERS;

questions! {
    /// Services with rate, errors and duration of their requests, now and in a period before.
    Services at "/api/v1/services" gives List<ServiceRow> {
        /// Spans that start from then on; absent: from the oldest.
        from: Time,
        /// Spans that start before then; absent: to the newest.
        to: Time,
        /// `previous`: the period of the same length before; a length such as `1d`: the same period so long ago; absent: none.
        compare: Text,
        /// Columns of the trend at most; absent: no trend.
        bins: Integer,
        /// `1` adds databases, topics and external hosts, known by the spans of their callers only.
        peers: Flag,
    }
    /// Operations of services with rate, errors and duration of their spans, now and in a period before.
    Operations at "/api/v1/operations" gives List<OperationRow> {
        /// Spans that start from then on; absent: from the oldest.
        from: Time,
        /// Spans that start before then; absent: to the newest.
        to: Time,
        /// Only this service.
        service: Text,
        /// As of the services.
        compare: Text,
        /// Columns of the trend at most; absent: no trend.
        bins: Integer,
    }
    /// Where the time of the mean trace goes: path time by group (`latency_breakdown`).
    Breakdown at "/api/v1/breakdown" gives List<BreakdownRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Root operation: its name, or service and name; `*` mixes all and shows shares of the mix.
        root: Text,
        /// `service` (default), `edge`, `operation`, `category`, `path`, `instance`, `version`, an attribute, or `resource.` and an attribute.
        by: Text,
        /// Condition over `spans`: time of other spans is one group, `(other)`.
        filter: Text,
    }
    /// What makes the slow traces slower than the middle ones (`tail_attribution`).
    Tail at "/api/v1/tail" gives List<TailRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Root operation: its name, or service and name; `*` mixes all.
        root: Text,
        /// As of the breakdown.
        by: Text,
        /// Where the tail begins: `0.99` (default), `0.95` or `0.9`.
        quantile: Number,
        /// Condition over `spans`: only traces with a span that meets it.
        filter: Text,
    }
    /// Who calls whom, how often, how long, how well (`service_map`).
    Map at "/api/v1/map" gives List<EdgeRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// `service` (default), or a resource attribute that groups services, such as `team`.
        level: Text,
        /// Condition over `spans`: only traces with a span that meets it.
        filter: Text,
    }
    /// Traces, found by conditions and sorted.
    Traces at "/api/v1/traces" gives List<TraceRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Condition over `spans`: a trace is listed when one of its spans meets it.
        filter: Text,
        /// Condition over `traces`, such as `duration_ns > 1e9 AND error_count = 0`.
        trace_filter: Text,
        /// `newest` (default), `oldest`, `slowest`, `fastest`, `errors` or `spans`, most first.
        sort: Text,
        /// `cursor` of the last row of the page before.
        after: Text,
        /// Attribute keys to show of the root, separated by commas; `resource.` before one asks the resource.
        columns: Text,
        /// `1` shows the node that most of the critical path is charged to.
        top: Flag,
    }
    /// One trace: its spans with what the kernel says of them, its logs, its critical path.
    Trace at "/api/v1/traces/{trace_id}" gives TraceAnswer {
        /// 32 hex digits.
        trace_id: Text,
    }
    /// The tree of a trace of any size as columns; details of its spans are asked for by id.
    Skeleton at "/api/v1/traces/{trace_id}/skeleton" gives SkeletonAnswer {
        /// 32 hex digits.
        trace_id: Text,
    }
    /// Some spans of a trace with all that is known of them.
    SpanDetails at "/api/v1/traces/{trace_id}/spans" gives List<TraceSpan> {
        /// 32 hex digits.
        trace_id: Text,
        /// Span ids, 16 hex digits each, separated by commas; 500 at most.
        ids: Text,
    }
    /// Where errors begin, and the ways they take (`error_paths`).
    Errors at "/api/v1/errors" gives List<ErrorRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Root operation: its name, or service and name.
        root: Text,
        /// Condition over `spans`: only traces with a span that meets it.
        filter: Text,
    }
    /// What could be faster, by rule (`bottlenecks`).
    Bottlenecks at "/api/v1/bottlenecks" gives List<BottleneckRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Only findings of this rule.
        rule: Text,
    }
    /// What sets some spans apart from others: attributes by difference (`compare_spans`).
    Compare at "/api/v1/compare" gives List<CompareRow> {
        /// Condition over `spans` that selects; it must be given.
        selection: Text,
        /// Condition of the spans compared with; absent: the others of the same operations.
        baseline: Text,
        /// Spans of traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Spans of traces whose root starts before then; absent: to the newest.
        to: Time,
    }
    /// What a trace does otherwise than another one (`trace_diff`).
    TraceDiff at "/api/v1/traces/{trace_id}/diff/{other}" gives List<DiffRow> {
        /// 32 hex digits of the trace before.
        trace_id: Text,
        /// 32 hex digits of the trace after.
        other: Text,
    }
    /// What traces do otherwise than others, by the mean of each set (`cohort_diff`).
    CohortDiff at "/api/v1/diff" gives List<DiffRow> {
        /// Condition over `spans`: the first set are the traces with such a span; it must be given.
        selection_a: Text,
        /// The same for the second set; it must be given.
        selection_b: Text,
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
    }
    /// Services and edges by how well they explain a change (`rank_causes`).
    Causes at "/api/v1/causes" gives CausesAnswer {
        /// Begin of the time in question; absent: 5 minutes before its end.
        fault_from: Time,
        /// End of it; absent: now.
        fault_to: Time,
        /// Begin of the time compared with; absent: 15 minutes before its end.
        base_from: Time,
        /// End of it; absent: where the time in question begins.
        base_to: Time,
    }
    /// Bins of start time and duration with exemplar traces.
    Heatmap at "/api/v1/heatmap" gives HeatmapAnswer {
        /// Begin; absent: an hour before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Condition over `spans`; absent, and without a filter line: roots of traces.
        filter: Text,
        /// Columns at most, 60 when absent: the width of one is chosen by it.
        columns: Integer,
    }
    /// Spans, logs and exemplars that carry a correlation id, or belong to a span that does.
    Correlation at "/api/v1/correlation/{value}" gives CorrelationAnswer {
        /// The id; one of 32 hex digits means the trace of that id as well.
        value: Text,
        /// Attribute keys that may carry it, separated by commas; absent: the usual ones.
        keys: Text,
        /// Records from then on; absent: from the oldest.
        from: Time,
        /// Records before then; absent: to the newest.
        to: Time,
    }
    /// Log records, one page after the other.
    Logs at "/api/v1/logs" gives LogsAnswer {
        /// Records from then on; absent: from the oldest.
        from: Time,
        /// Records before then; absent: to the newest.
        to: Time,
        /// Condition over `logs`.
        filter: Text,
        /// Only records of this trace, 32 hex digits.
        trace_id: Text,
        /// Only records of this span, 16 hex digits.
        span_id: Text,
        /// Only records whose body has this template, as `log_patterns` shows it.
        pattern: Text,
        /// `newest` (default) or `oldest`, which comes first.
        sort: Text,
        /// `next` of the page before.
        after: Text,
        /// Attribute keys to show, separated by commas; `resource.` before one asks the resource.
        columns: Text,
    }
    /// Log records by time and severity.
    LogVolume at "/api/v1/log_volume" gives List<LogVolumeRow> {
        /// Begin; absent: an hour before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Condition over `logs`.
        filter: Text,
        /// Columns at most, 60 when absent: the width of one is chosen by it.
        bins: Integer,
    }
    /// Log records by the template of their body, new ones first, then by number.
    LogPatterns at "/api/v1/log_patterns" gives LogPatternsAnswer {
        /// Begin; absent: an hour before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Condition over `logs`.
        filter: Text,
        /// Columns of the trend at most; absent: no trend.
        bins: Integer,
    }
    /// Records of an instance near a moment that belong to no trace.
    NearbyLogs at "/api/v1/nearby_logs" gives List<LogRow> {
        /// The moment; it must be given.
        at: Time,
        /// The service; it must be given.
        service: Text,
        /// `service.instance.id`, pod or host; absent: any instance of the service.
        instance: Text,
        /// Seconds to both sides, 2 when absent, 600 at most.
        within_s: Number,
    }
    /// Metrics with kind, unit, series, last value and trend.
    Metrics at "/api/v1/metrics" gives List<MetricRow> {
        /// Begin; absent: an hour before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Condition over columns that all tables of points have.
        filter: Text,
        /// Columns of the trend at most, 20 when absent.
        bins: Integer,
    }
    /// One metric over time, by group.
    MetricSeries at "/api/v1/metric_series" gives MetricSeriesAnswer {
        /// The metric; it must be given.
        metric: Text,
        /// Begin; absent: an hour before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Condition over columns that all tables of points have.
        filter: Text,
        /// Attribute that groups series, `resource.` before it asks the resource, `service` is the service; absent: all together.
        by: Text,
        /// Columns at most, 60 when absent; wider where points come less often.
        columns: Integer,
        /// Quantiles of a histogram, separated by commas; absent: `0.5,0.95,0.99`.
        quantiles: Text,
    }
    /// Metrics by how much they changed at a moment, against the range before it.
    MetricsRanked at "/api/v1/metrics_ranked" gives List<RankedMetricRow> {
        /// The moment; it must be given.
        at: Time,
        /// Begin; absent: 5 minutes before the moment.
        from: Time,
        /// End; absent: 5 minutes behind the moment.
        to: Time,
        /// Condition over columns that all tables of points have.
        filter: Text,
        /// Columns at most, 60 when absent.
        columns: Integer,
    }
    /// A filter line as SQL.
    FilterLine at "/api/v1/filter" gives FilterAnswer {
        /// The line, such as `service=checkout dur>250ms -status=ok`.
        text: Text,
        /// What it is over: `spans` (default), `traces`, `logs` or `metrics`.
        table: Text,
        /// Begin of the range that sub-queries over traces look at; absent: from the oldest.
        from: Time,
        /// End of it; absent: to the newest.
        to: Time,
    }
    /// What may stand at a place of a statement or filter line.
    Complete at "/api/v1/complete" gives CompleteAnswer {
        /// The text as far as it is written.
        text: Text,
        /// Characters before the cursor; absent: all.
        position: Integer,
        /// `sql` (default), or what a filter line is over: `spans`, `traces`, `logs` or `metrics`.
        table: Text,
        /// Values are counted in records from then on; absent: 15 minutes before the newest.
        from: Time,
        /// And before then.
        to: Time,
    }
    /// What arrives, from whom, and how it is kept.
    Ingest at "/api/v1/ingest" gives IngestAnswer {
        /// Begin of the trend; absent: 15 minutes before the end.
        from: Time,
        /// End; absent: now.
        to: Time,
        /// Columns of the trend at most, 30 when absent.
        bins: Integer,
    }
    /// How far the data reaches. Cheap: to be asked again and again.
    Watermark at "/api/v1/watermark" gives WatermarkAnswer {
    }
}

/// Attributes that carry a correlation id unless the question names others.
pub const CORRELATION_KEYS: [&str; 8] = [
    "correlation.id",
    "correlation_id",
    "correlationId",
    "correlation-id",
    "request.id",
    "request_id",
    "requestId",
    "saga.id",
];

/// From inclusive, to exclusive, RFC 3339; open where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Begin.
    pub from: Option<String>,
    /// End.
    pub to: Option<String>,
}

/// An answer that is one list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List<T> {
    /// The rows, in an order that matters.
    pub rows: Vec<T>,
    /// What was asked about.
    pub range: TimeRange,
    /// Columns of the trends of the rows, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// What the answer is built on.
    #[serde(flatten)]
    pub basis: Basis,
}

/// Columns of equal width, aligned to midnight UTC, so that asking again changes the newest only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bins {
    /// Begin of the first column.
    pub from: String,
    /// Width of each.
    pub width_ns: i64,
    /// How many.
    pub count: usize,
}

/// What an answer is built on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// As of `/api/v1/sql`; over several statements the sum, with their ids joined by commas.
    pub stats: Stats,
    /// The statements, where they were asked for: the call of a view first, what it stands for next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
}

/// An answer that says what it is built on.
pub trait Based {
    /// Statistics and statements.
    fn basis(&self) -> &Basis;
}

impl<T> Based for List<T> {
    fn basis(&self) -> &Basis {
        &self.basis
    }
}

macro_rules! based {
    ($($answer:ident),*) => {$(
        impl Based for $answer {
            fn basis(&self) -> &Basis {
                &self.basis
            }
        }
    )*};
}

based!(
    TraceAnswer,
    CausesAnswer,
    HeatmapAnswer,
    CorrelationAnswer,
    SkeletonAnswer,
    LogsAnswer,
    LogPatternsAnswer,
    MetricSeriesAnswer,
    FilterAnswer,
    CompleteAnswer,
    IngestAnswer,
    WatermarkAnswer
);

/// The fields of a plain struct that are set, as texts.
fn members(of: &impl Serialize) -> Vec<(String, String)> {
    // Structs of options, texts and numbers cannot fail.
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(of) else { return Vec::new() };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    fields.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// The text as it may stand in a path or a query string.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
