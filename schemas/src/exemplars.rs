//! The table `metric_exemplars`: one row an exemplar, with the trace it points to.
//! Sorted by (`metric`, `series_id`, `time`).

use crate::columns::{self as c, Column, Kind, Statistics, column};

pub(crate) fn columns() -> Vec<Column> {
    use Kind::*;
    vec![
        column(c::METRIC, Text, "name of the metric").statistics(Statistics::Page),
        column(c::SERIES_ID, Id16, "series of the point that carries the exemplar")
            .statistics(Statistics::Page),
        column(c::POINT_START_TIME, Time, "start of that point, null when the sender gave none")
            .nullable(),
        column(c::POINT_TIME, Time, "time of that point"),
        column(c::TIME, Time, "when the measurement was taken").statistics(Statistics::Page),
        c::SERVICE,
        column(c::VALUE_DOUBLE, Float64, "value, when sent as a double").nullable(),
        column(c::VALUE_INT, Int64, "value, when sent as an integer").nullable(),
        column(c::TRACE_ID, Id16, "trace of the measurement")
            .nullable()
            .statistics(Statistics::Page),
        column(c::SPAN_ID, Id8, "span of the measurement").nullable().statistics(Statistics::None),
        column(
            c::FILTERED_ATTRIBUTES,
            LongJson,
            "attributes that the view dropped from the series",
        )
        .nullable()
        .statistics(Statistics::None),
        column(c::INGESTED_AT, Time, "when the collector received the request, to the millisecond"),
        column(c::QUALITY, UInt32, "bits as in the other tables"),
    ]
}
