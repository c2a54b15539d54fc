//! The closed lists of signals and tables, and what each table is made of.

use std::sync::{Arc, LazyLock};

use arrow_schema::{Field, Schema, SchemaRef};

use crate::columns::{self as c, Column};
use crate::{exemplars, logs, metrics, spans};

/// One of the three OTLP signals. The discriminant is the byte written into WAL frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    /// Spans.
    Traces = 1,
    /// Data points of all five kinds, and their exemplars.
    Metrics = 2,
    /// Log records and events.
    Logs = 3,
}

impl Signal {
    /// Every signal, in the order of its byte.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The word used in SQL, metrics and paths: `traces`, `metrics`, `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The word for one record of the signal in counters and messages.
    pub fn record(self) -> &'static str {
        match self {
            Signal::Traces => "span",
            Signal::Metrics => "data point",
            Signal::Logs => "log record",
        }
    }

    /// Reads [`Signal::name`] back.
    pub fn from_name(name: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Reads the byte of a WAL frame; `None` for a byte no version has written.
    pub fn from_byte(byte: u8) -> Option<Signal> {
        Signal::ALL.into_iter().find(|s| *s as u8 == byte)
    }

    /// Position in [`Signal::ALL`], for arrays with one slot a signal.
    pub fn index(self) -> usize {
        self as usize - 1
    }
}

/// A stored table. The order is the order of listings; [`Table::index`] is the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// One row a span.
    Spans,
    /// One row a log record or event.
    Logs,
    /// One row a number data point (gauge, sum).
    MetricPoints,
    /// One row a histogram data point, explicit or exponential.
    MetricHistograms,
    /// One row a summary data point.
    MetricSummaries,
    /// One row an exemplar of any point.
    MetricExemplars,
}

impl Table {
    /// Number of tables, for arrays with one slot a table.
    pub const COUNT: usize = 6;
    /// Every table, in the order of listings.
    pub const ALL: [Table; Table::COUNT] = [
        Table::Spans,
        Table::Logs,
        Table::MetricPoints,
        Table::MetricHistograms,
        Table::MetricSummaries,
        Table::MetricExemplars,
    ];

    /// The name in SQL, in the catalog and of the folder.
    pub fn name(self) -> &'static str {
        match self {
            Table::Spans => "spans",
            Table::Logs => "logs",
            Table::MetricPoints => "metric_points",
            Table::MetricHistograms => "metric_histograms",
            Table::MetricSummaries => "metric_summaries",
            Table::MetricExemplars => "metric_exemplars",
        }
    }

    /// Reads [`Table::name`] back.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Position in [`Table::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The signal whose requests fill the table.
    pub fn signal(self) -> Signal {
        match self {
            Table::Spans => Signal::Traces,
            Table::Logs => Signal::Logs,
            _ => Signal::Metrics,
        }
    }

    /// The stored columns, in file order, without the promoted `a.…` and `r.…` ones.
    pub fn columns(self) -> &'static [Column] {
        static COLUMNS: LazyLock<[Vec<Column>; Table::COUNT]> = LazyLock::new(|| {
            [
                spans::columns(),
                logs::columns(),
                metrics::points(),
                metrics::histograms(),
                metrics::summaries(),
                exemplars::columns(),
            ]
        });
        &COLUMNS[self.index()]
    }

    /// The column of that name, promoted ones not included.
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|c| c.name == name)
    }

    /// Arrow schema of [`Table::columns`]: what every live batch starts with. A batch that holds
    /// promoted keys appends their columns behind (see [`crate::attributes::Promoted::field`]).
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Table::COUNT]> = LazyLock::new(|| {
            Table::ALL.map(|t| {
                let fields: Vec<Field> = t.columns().iter().map(Column::field).collect();
                Arc::new(Schema::new(fields))
            })
        });
        Arc::clone(&SCHEMAS[self.index()])
    }

    /// The column that says when a row happened; files are pruned and retained by it.
    pub fn time_column(self) -> &'static str {
        match self {
            Table::Spans => c::START_TIME,
            _ => c::TIME,
        }
    }

    /// The attribute column whose keys are promoted to `a.<key>`, if the table has one.
    /// Exemplars carry [`c::FILTERED_ATTRIBUTES`] instead, which is never promoted.
    pub fn has_attributes(self) -> bool {
        self != Table::MetricExemplars
    }

    /// Width of the leading sort key: a row's time is cut to this before sorting, so that a bucket
    /// is about one row group. Metrics sort by series and have none.
    pub fn bucket_ns(self) -> Option<i64> {
        match self {
            Table::Spans => Some(10_000_000_000),
            Table::Logs => Some(60_000_000_000),
            _ => None,
        }
    }

    /// What the rows of a file are sorted by, behind the bucket where there is one.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Table::Spans => &[c::TRACE_ID, c::START_TIME],
            Table::Logs => &[c::SERVICE_NAME, c::TIME],
            _ => &[c::METRIC, c::SERIES_ID, c::TIME],
        }
    }
}
