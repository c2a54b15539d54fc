//! What a column can be: its kind, its encoding in Parquet, and the names, each written once.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

/// One stored column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in SQL and in files.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// How Parquet writes it.
    pub encoding: Encoding,
    /// Which statistics the file keeps of it.
    pub statistics: Statistics,
    /// What it means, for the SQL reference.
    pub doc: &'static str,
}

impl Column {
    /// The Arrow field of the column in live batches and in the engine.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), self.nullable)
    }

    pub(crate) const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
    pub(crate) const fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }
    pub(crate) const fn statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = statistics;
        self
    }
}

/// A required column with the encoding and statistics that fit its kind.
pub(crate) const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column {
        name,
        kind,
        nullable: false,
        encoding: kind.encoding(),
        statistics: Statistics::Chunk,
        doc,
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 16 bytes: a trace id or a series id.
    Id16,
    /// 8 bytes: a span id.
    Id8,
    /// Nanoseconds since the Unix epoch, UTC, without a zone.
    Time,
    /// Signed 64-bit integer.
    Int64,
    /// Signed 32-bit integer.
    Int32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Double.
    Float64,
    /// Boolean.
    Bool,
    /// Text of few distinct values (dictionary in files).
    Text,
    /// Text of many distinct values (plain in files).
    LongText,
    /// Canonical JSON of few distinct values, such as a resource (dictionary in files).
    Json,
    /// Canonical JSON of many distinct values, such as the residual attributes (plain in files).
    LongJson,
    /// List of doubles.
    Float64s,
    /// List of unsigned 64-bit integers.
    UInt64s,
    /// Events of a span, see [`event_fields`].
    Events,
    /// Links of a span, see [`link_fields`].
    Links,
    /// Quantiles of a summary, see [`quantile_fields`].
    Quantiles,
}

impl Kind {
    /// The Arrow type in live batches and in the engine. Text is `Utf8View`, so that rows of one
    /// batch share the bytes of equal values; files hold plain Parquet strings.
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Id16 => DataType::FixedSizeBinary(16),
            Kind::Id8 => DataType::FixedSizeBinary(8),
            Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Kind::Int64 => DataType::Int64,
            Kind::Int32 => DataType::Int32,
            Kind::UInt64 => DataType::UInt64,
            Kind::UInt32 => DataType::UInt32,
            Kind::Float64 => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Text | Kind::LongText | Kind::Json | Kind::LongJson => DataType::Utf8View,
            Kind::Float64s => list(DataType::Float64),
            Kind::UInt64s => list(DataType::UInt64),
            Kind::Events => list(DataType::Struct(event_fields())),
            Kind::Links => list(DataType::Struct(link_fields())),
            Kind::Quantiles => list(DataType::Struct(quantile_fields())),
        }
    }

    /// Whether the value is one leaf, so that statistics and row filters can speak of it.
    pub fn is_primitive(self) -> bool {
        !matches!(
            self,
            Kind::Float64s | Kind::UInt64s | Kind::Events | Kind::Links | Kind::Quantiles
        )
    }

    const fn encoding(self) -> Encoding {
        match self {
            Kind::Id16 | Kind::Id8 | Kind::LongText | Kind::LongJson | Kind::Float64 => {
                Encoding::Plain
            }
            Kind::Time | Kind::Int64 => Encoding::Delta,
            _ => Encoding::Dictionary,
        }
    }
}

/// How Parquet writes a column (measured reasons: docs/decisions/0002-wide-schema.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// PLAIN, dictionary off: random or long values.
    Plain,
    /// DELTA_BINARY_PACKED, dictionary off: times and durations.
    Delta,
    /// Dictionary, falling back to PLAIN.
    Dictionary,
}

/// Which statistics a file keeps of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Of every page and row group: columns that queries filter on.
    Page,
    /// Of every row group.
    Chunk,
    /// None: values whose minimum says nothing.
    None,
}

/// The list type of this project: nullable list, required element called `element`.
pub fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new(LIST_ELEMENT, element, false)))
}

/// Fields of one span event.
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new(TIME, Kind::Time.data_type(), false),
        Field::new(NAME, DataType::Utf8View, false),
        Field::new(ATTRIBUTES, DataType::Utf8View, true),
        Field::new(DROPPED_ATTRIBUTES_COUNT, DataType::UInt32, false),
    ])
}

/// Fields of one span link.
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new(TRACE_ID, Kind::Id16.data_type(), true),
        Field::new(SPAN_ID, Kind::Id8.data_type(), true),
        Field::new(TRACE_STATE, DataType::Utf8View, true),
        Field::new(ATTRIBUTES, DataType::Utf8View, true),
        Field::new(DROPPED_ATTRIBUTES_COUNT, DataType::UInt32, false),
        Field::new(FLAGS, DataType::UInt32, false),
    ])
}

/// Fields of one quantile of a summary.
pub fn quantile_fields() -> Fields {
    Fields::from(vec![
        Field::new(QUANTILE, DataType::Float64, false),
        Field::new(VALUE, DataType::Float64, false),
    ])
}

macro_rules! names {
    ($($id:ident = $text:literal),* $(,)?) => {
        $(#[doc = concat!("The column `", $text, "`.")] pub const $id: &str = $text;)*
    };
}

names! {
    ATTRIBUTES = "attributes",
    ATTRIBUTES_REST = "attributes_rest",
    BODY = "body",
    BODY_TYPE = "body_type",
    BOUNDS = "bounds",
    BUCKET_COUNTS = "bucket_counts",
    COUNT = "count",
    DESCRIPTION = "description",
    DROPPED_ATTRIBUTES_COUNT = "dropped_attributes_count",
    DROPPED_EVENTS_COUNT = "dropped_events_count",
    DROPPED_LINKS_COUNT = "dropped_links_count",
    DURATION_NS = "duration_ns",
    END_BEFORE_START = "end_before_start",
    EVENTS = "events",
    EVENT_NAME = "event_name",
    EXCEPTION_MESSAGE = "exception_message",
    EXCEPTION_TYPE = "exception_type",
    FILTERED_ATTRIBUTES = "filtered_attributes",
    FLAGS = "flags",
    INGESTED_AT = "ingested_at",
    IS_MONOTONIC = "is_monotonic",
    KIND = "kind",
    LINKS = "links",
    LIST_ELEMENT = "element",
    MAX = "max",
    METRIC = "metric",
    METRIC_METADATA = "metric_metadata",
    MIN = "min",
    NAME = "name",
    NEG_COUNTS = "neg_counts",
    NEG_OFFSET = "neg_offset",
    OBSERVED_TIME = "observed_time",
    PARENT_SPAN_ID = "parent_span_id",
    POINT_START_TIME = "point_start_time",
    POINT_TIME = "point_time",
    POS_COUNTS = "pos_counts",
    POS_OFFSET = "pos_offset",
    QUALITY = "quality",
    QUANTILE = "quantile",
    QUANTILES = "quantiles",
    RESOURCE = "resource",
    RESOURCE_DROPPED = "resource_dropped",
    RESOURCE_ENTITY_REFS = "resource_entity_refs",
    RESOURCE_SCHEMA_URL = "resource_schema_url",
    SCALE = "scale",
    SCOPE_ATTRIBUTES = "scope_attributes",
    SCOPE_DROPPED = "scope_dropped",
    SCOPE_NAME = "scope_name",
    SCOPE_SCHEMA_URL = "scope_schema_url",
    SCOPE_VERSION = "scope_version",
    SERIES_ID = "series_id",
    SERVICE_NAME = "service_name",
    SEVERITY_NUMBER = "severity_number",
    SEVERITY_TEXT = "severity_text",
    SPAN_ID = "span_id",
    START_TIME = "start_time",
    STATUS_CODE = "status_code",
    STATUS_MESSAGE = "status_message",
    SUM = "sum",
    TEMPORALITY = "temporality",
    TIME = "time",
    TIME_MISSING = "time_missing",
    TRACE_ID = "trace_id",
    TRACE_START = "trace_start",
    TRACE_STATE = "trace_state",
    UNIT = "unit",
    VALUE = "value",
    VALUE_DOUBLE = "value_double",
    VALUE_INT = "value_int",
    ZERO_COUNT = "zero_count",
    ZERO_THRESHOLD = "zero_threshold",
}

/// Bits of the column `quality`: what the collector had to do to keep a row.
pub mod quality {
    /// A text held invalid UTF-8 and was repaired with U+FFFD.
    pub const TEXT_REPAIRED: u32 = 1;
    /// A value was longer or deeper than the limits and was cut.
    pub const VALUE_TRUNCATED: u32 = 2;
    /// The time lies outside the accepted range; the row is stored in the window of its arrival.
    pub const TIME_OUT_OF_RANGE: u32 = 4;
    /// Another span with the same ids has other content.
    pub const DUPLICATE_SPAN_ID: u32 = 8;
    /// The row arrived after its window was closed.
    pub const LATE: u32 = 16;
    /// An attribute key came more than once; the last one was kept.
    pub const DUPLICATE_KEY: u32 = 32;
}

/// Bits of the column `time_missing` of logs.
pub mod time_missing {
    /// `time_unix_nano` was 0; the column `time` holds the observed or the arrival time.
    pub const TIME: u32 = 1;
    /// `observed_time_unix_nano` was 0.
    pub const OBSERVED: u32 = 2;
}

/// The columns every client table ends with: scope, resource, attributes, bookkeeping.
pub(crate) fn common() -> Vec<Column> {
    use Kind::*;
    vec![
        column(DROPPED_ATTRIBUTES_COUNT, UInt32, "attributes the sender dropped"),
        column(SCOPE_NAME, Text, "name of the instrumentation scope").nullable(),
        column(SCOPE_VERSION, Text, "version of the instrumentation scope").nullable(),
        column(SCOPE_ATTRIBUTES, Json, "attributes of the instrumentation scope").nullable(),
        column(SCOPE_SCHEMA_URL, Text, "schema URL of the scope and its records").nullable(),
        column(SCOPE_DROPPED, UInt32, "scope attributes the sender dropped"),
        column(RESOURCE, Json, "the complete resource").nullable(),
        column(RESOURCE_SCHEMA_URL, Text, "schema URL of the resource").nullable(),
        column(RESOURCE_ENTITY_REFS, Json, "entity references of the resource").nullable(),
        column(RESOURCE_DROPPED, UInt32, "resource attributes the sender dropped"),
        column(ATTRIBUTES_REST, LongJson, "attributes that are not columns of their own")
            .nullable()
            .statistics(Statistics::None),
        column(INGESTED_AT, Time, "when the collector received the request, to the millisecond"),
        column(
            QUALITY,
            UInt32,
            "bits: 1 text repaired, 2 value cut, 4 time out of range, 8 duplicate span id, 16 late, 32 duplicate key",
        ),
    ]
}

/// The resource's service, which every table carries.
pub(crate) const SERVICE: Column =
    column(SERVICE_NAME, Kind::Text, "`service.name` of the resource, else `unknown_service`")
        .statistics(Statistics::Page);
