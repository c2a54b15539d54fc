//! The table `logs`: one row a log record or event. Sorted by (bucket, `service_name`, `time`).

use crate::columns::{self as c, Column, Kind, Statistics, column};

pub(crate) fn columns() -> Vec<Column> {
    use Kind::*;
    let mut columns = vec![
        column(c::TIME, Time, "when it happened; the observed, else the arrival time where the sender gave none").statistics(Statistics::Page),
        column(c::TIME_MISSING, UInt32, "bits: 1 the sender gave no time, 2 no observed time"),
        column(c::OBSERVED_TIME, Time, "when it was collected").nullable(),
        column(c::TRACE_ID, Id16, "trace the record belongs to").nullable().statistics(Statistics::Page),
        column(c::SPAN_ID, Id8, "span the record belongs to").nullable().statistics(Statistics::None),
        c::SERVICE,
        column(c::SEVERITY_NUMBER, Int32, "1 to 24 (trace, debug, info, warn, error, fatal, four each), 0 unspecified").statistics(Statistics::Page),
        column(c::SEVERITY_TEXT, Text, "severity as the source writes it").nullable(),
        column(c::EVENT_NAME, Text, "name of the event, for records that are events").nullable(),
        column(c::BODY, LongText, "text of the body; canonical JSON when it is not a string").nullable().statistics(Statistics::None),
        column(c::BODY_TYPE, Text, "`string`, `bool`, `int`, `double`, `bytes`, `array`, `map`, `empty`; null when no body was sent").nullable(),
        column(c::FLAGS, UInt32, "W3C trace flags"),
    ];
    columns.extend(c::common());
    columns
}
