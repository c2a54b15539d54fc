//! What screens and commands ask beyond SQL: one struct a question, one a row of its answer.
//!
//! [`ENDPOINTS`] is the one list: the server makes its routes and checks parameters by it, the client
//! its paths, and `docs/api.md` shows it. Behind each question stands SQL, which an answer shows
//! when it is asked to ([`Options::sql`]).

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sql::Stats;

mod rows;
#[cfg(test)]
mod tests;

pub use rows::*;

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
    }
}

/// Parameters that every endpoint takes.
pub const OPTIONS: &[Parameter] = Options::PARAMETERS;

questions! {
    /// Services with rate, errors and duration of their requests.
    Services at "/api/v1/services" gives List<ServiceRow> {
        /// Spans that start from then on; absent: from the oldest.
        from: Time,
        /// Spans that start before then; absent: to the newest.
        to: Time,
    }
    /// Operations of services with rate, errors and duration of their spans.
    Operations at "/api/v1/operations" gives List<OperationRow> {
        /// Spans that start from then on; absent: from the oldest.
        from: Time,
        /// Spans that start before then; absent: to the newest.
        to: Time,
        /// Only this service.
        service: Text,
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
    }
    /// Who calls whom, how often, how long, how well (`service_map`).
    Map at "/api/v1/map" gives List<EdgeRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// `service` (default), or a resource attribute that groups services, such as `team`.
        level: Text,
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
    }
    /// One trace: its spans with what the kernel says of them, its logs, its critical path.
    Trace at "/api/v1/traces/{trace_id}" gives TraceAnswer {
        /// 32 hex digits.
        trace_id: Text,
    }
    /// Where errors begin, and the ways they take (`error_paths`).
    Errors at "/api/v1/errors" gives List<ErrorRow> {
        /// Traces whose root starts from then on; absent: from the oldest.
        from: Time,
        /// Traces whose root starts before then; absent: to the newest.
        to: Time,
        /// Root operation: its name, or service and name.
        root: Text,
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
        /// Condition over `spans`; absent: roots of traces.
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
    /// What the answer is built on.
    #[serde(flatten)]
    pub basis: Basis,
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

based!(TraceAnswer, CausesAnswer, HeatmapAnswer, CorrelationAnswer);

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
