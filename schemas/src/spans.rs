//! The table `spans`: one row a span. Sorted by (bucket of `trace_start`, `trace_id`, `start_time`).

use crate::columns::{self as c, Column, Encoding, Kind, Statistics, column};

pub(crate) fn columns() -> Vec<Column> {
    use Kind::*;
    let mut columns = vec![
        column(c::TRACE_ID, Id16, "16-byte trace id, shown as 32 hex digits").statistics(Statistics::Page),
        column(c::SPAN_ID, Id8, "8-byte span id, shown as 16 hex digits").statistics(Statistics::None),
        column(c::PARENT_SPAN_ID, Id8, "span id of the parent, null for a root").nullable().statistics(Statistics::None),
        column(c::TRACE_START, Time, "earliest start of the trace's spans known when the file was written; null in rows not yet in a file").nullable().statistics(Statistics::Page),
        column(c::START_TIME, Time, "when the span started").statistics(Statistics::Page),
        column(c::DURATION_NS, Int64, "end minus start in nanoseconds, 0 when the end lies before the start").statistics(Statistics::Page),
        column(c::END_BEFORE_START, Int64, "start minus end in nanoseconds where the end lies before the start, else null").nullable().encoded(Encoding::Dictionary),
        c::SERVICE,
        column(c::NAME, Text, "name of the operation").statistics(Statistics::Page),
        column(c::KIND, Text, "`unspecified`, `internal`, `server`, `client`, `producer`, `consumer`").statistics(Statistics::Page),
        column(c::STATUS_CODE, Text, "`unset`, `ok`, `error`"),
        column(c::STATUS_MESSAGE, Text, "what the sender says about the status").nullable(),
        column(c::TRACE_STATE, Text, "W3C trace state").nullable(),
        column(c::FLAGS, UInt32, "W3C trace flags and OTLP's remote bits"),
        column(c::EXCEPTION_TYPE, Text, "type of the first exception event").nullable(),
        column(c::EXCEPTION_MESSAGE, Text, "message of the first exception event").nullable(),
        column(c::EVENTS, Events, "events of the span").nullable().statistics(Statistics::None),
        column(c::DROPPED_EVENTS_COUNT, UInt32, "events the sender dropped"),
        column(c::LINKS, Links, "links to other spans").nullable().statistics(Statistics::None),
        column(c::DROPPED_LINKS_COUNT, UInt32, "links the sender dropped"),
    ];
    columns.extend(c::common());
    columns
}
