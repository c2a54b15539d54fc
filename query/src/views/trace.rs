//! `trace('id')`: the spans of a trace in tree order, with what the kernel says of each.

use schemas::columns as c;
use schemas::derived::SPAN_FACTS;
use schemas::{Kind, Table};

use super::{Built, View};

pub(super) const TRACE: View = View {
    name: "trace",
    usage: "'trace id'",
    columns,
    build: |args| {
        let id = args.trace_id()?;
        let names: Vec<&str> = columns().into_iter().map(|(name, _)| name).collect();
        Ok(Built::plain(format!(
            "SELECT {} FROM spans WHERE trace_id = '{id}' ORDER BY tree_left, start_time, span_id",
            names.join(", ")
        )))
    },
};

/// What a sender wrote that a reader of a trace wants to see.
const STORED: [&str; 16] = [
    c::TRACE_ID,
    c::SPAN_ID,
    c::PARENT_SPAN_ID,
    c::START_TIME,
    c::DURATION_NS,
    c::SERVICE_NAME,
    c::NAME,
    c::KIND,
    c::STATUS_CODE,
    c::STATUS_MESSAGE,
    c::EXCEPTION_TYPE,
    c::EXCEPTION_MESSAGE,
    c::ATTRIBUTES,
    c::RESOURCE,
    c::EVENTS,
    c::LINKS,
];

fn columns() -> Vec<(&'static str, Kind)> {
    let spans = Table::Spans;
    let kind = |name: &str| spans.column(name).map_or(Kind::LongJson, |column| column.kind);
    let stored = STORED.iter().map(|&name| (name, kind(name)));
    stored.chain(SPAN_FACTS.iter().map(|d| (d.name, d.kind))).collect()
}
