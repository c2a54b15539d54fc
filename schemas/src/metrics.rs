//! The tables of metric data points, one row a point. Sorted by (`metric`, `series_id`, `time`).

use crate::columns::{self as c, Column, Kind, Statistics, column};

fn head() -> Vec<Column> {
    use Kind::*;
    vec![
        column(c::METRIC, Text, "name of the metric").statistics(Statistics::Page),
        column(
            c::SERIES_ID,
            Id16,
            "identity of the time series: resource, scope, metric and attributes hashed",
        )
        .statistics(Statistics::Page),
        column(c::START_TIME, Time, "start of the interval, null when the sender gave none")
            .nullable(),
        column(c::TIME, Time, "time of the point").statistics(Statistics::Page),
        c::SERVICE,
        column(c::UNIT, Text, "unit of the metric (UCUM)").nullable(),
        column(c::DESCRIPTION, Text, "description of the metric").nullable(),
        column(c::METRIC_METADATA, Json, "metadata of the metric").nullable(),
        column(c::KIND, Text, "`gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`"),
        column(c::TEMPORALITY, Text, "`delta` or `cumulative`, null for gauges and summaries")
            .nullable(),
        column(c::IS_MONOTONIC, Bool, "whether a sum only grows; null for other kinds").nullable(),
        column(c::FLAGS, UInt32, "bit 1: no recorded value"),
    ]
}

fn with_common(own: Vec<Column>) -> Vec<Column> {
    let mut columns = head();
    columns.extend(own);
    columns.extend(c::common());
    columns
}

pub(crate) fn points() -> Vec<Column> {
    use Kind::*;
    with_common(vec![
        column(c::VALUE_DOUBLE, Float64, "value, when sent as a double").nullable(),
        column(c::VALUE_INT, Int64, "value, when sent as an integer").nullable(),
    ])
}

pub(crate) fn histograms() -> Vec<Column> {
    use Kind::*;
    with_common(vec![
        column(c::COUNT, UInt64, "number of observations"),
        column(c::SUM, Float64, "sum of the observations, null when not sent").nullable(),
        column(c::MIN, Float64, "smallest observation, null when not sent").nullable(),
        column(c::MAX, Float64, "largest observation, null when not sent").nullable(),
        column(c::BOUNDS, Float64s, "upper bounds of the explicit buckets, inclusive").nullable(),
        column(c::BUCKET_COUNTS, UInt64s, "counts of the explicit buckets").nullable(),
        column(c::SCALE, Int32, "scale of an exponential histogram: base = 2^(2^-scale)")
            .nullable(),
        column(c::ZERO_COUNT, UInt64, "observations within the zero threshold").nullable(),
        column(c::ZERO_THRESHOLD, Float64, "width of the zero bucket").nullable(),
        column(c::POS_OFFSET, Int32, "index of the first positive bucket").nullable(),
        column(c::POS_COUNTS, UInt64s, "counts of the positive buckets").nullable(),
        column(c::NEG_OFFSET, Int32, "index of the first negative bucket").nullable(),
        column(c::NEG_COUNTS, UInt64s, "counts of the negative buckets").nullable(),
    ])
}

pub(crate) fn summaries() -> Vec<Column> {
    use Kind::*;
    with_common(vec![
        column(c::COUNT, UInt64, "number of observations"),
        column(c::SUM, Float64, "sum of the observations"),
        column(c::QUANTILES, Quantiles, "quantiles as the sender computed them").nullable(),
    ])
}
