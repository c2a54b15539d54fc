//! `service_map(from, to, level, traces)`: who calls whom, how often, how long, how well.

use schemas::Kind;
use schemas::columns as c;

use super::args::{Range, quoted};
use super::{Built, View};
use crate::traces::{EARLY_NS_MAX, TRACE_NS_MAX};

pub(super) const MAP: View = View {
    name: "service_map",
    usage: "[from [, to [, level [, traces]]]]",
    columns: || {
        use Kind::{Bool, Float64, Id16, Int64, Text, Time};
        vec![
            ("src", Text),
            ("src_kind", Text),
            ("dst", Text),
            ("dst_kind", Text),
            ("edge_kind", Text),
            ("inferred", Bool),
            ("lost_context", Bool),
            ("via", Text),
            ("calls", Int64),
            ("per_second", Float64),
            ("attempts", Float64),
            ("client_errors", Int64),
            ("server_errors", Int64),
            ("client_p50_ms", Float64),
            ("client_p90_ms", Float64),
            ("client_p99_ms", Float64),
            ("server_p50_ms", Float64),
            ("server_p90_ms", Float64),
            ("server_p99_ms", Float64),
            ("gap_p50_ms", Float64),
            ("gap_p90_ms", Float64),
            ("gap_p99_ms", Float64),
            ("client_sum_ns", Int64),
            ("server_sum_ns", Int64),
            ("gap_sum_ns", Int64),
            ("first_seen", Time),
            ("last_seen", Time),
            ("slowest_trace", Id16),
            ("error_trace", Id16),
            ("median_trace", Id16),
        ]
    },
    build: |args| {
        let range = args.range()?;
        let level = Level::read(args.text()?.as_deref());
        let seconds = match range.seconds() {
            // With a point, so that the division is none of integers.
            Some(seconds) => format!("{seconds:?}"),
            None => SECONDS_SEEN.to_owned(),
        };
        let traces = range.of_traces_with(args.condition()?.as_deref());
        Ok(Built::plain(sql(&range, &level, &seconds, &traces)))
    },
};

/// Without a range: the time between the first and the last call of the edge.
const SECONDS_SEEN: &str = "greatest(1.0, (epoch_ns(last_seen) - epoch_ns(first_seen)) / 1e9)";

/// Time between the two ends of an edge, in the trace or across traces.
const GAP: &str = "coalesce(edge_gap_ns, \
                   CASE edge_kind WHEN 'receive' THEN greatest(0, epoch_ns(start_time) - sent_ns) END)";

fn sql(range: &Range, level: &Level, seconds: &str, traces: &str) -> String {
    let percentiles = ["client", "server", "gap"].map(|side| {
        let percentile = |q: &str| format!("hist_quantile({side}, {q}) / 1e6");
        ["0.5", "0.9", "0.99"].map(percentile).join(", ")
    });
    let [client, server, gap] = percentiles;
    let Level { with, outer: [before, after], source, target } = level;
    let (roots, lags) = (range.of_roots(), lags(range));
    format!(
        "{with}SELECT src, edge_source_kind, dst, edge_target_kind, edge_kind, inferred, lost, via, \
         calls, calls / {seconds}, 1.0 * spans / greatest(1, spans - retries), \
         client_errors, server_errors, {client}, {server}, {gap}, \
         client_sum_ns, server_sum_ns, gap_sum_ns, first_seen, last_seen, \
         example[1], example[2], example[3] FROM (\
         SELECT {source} AS src, edge_source_kind, {target} AS dst, edge_target_kind, edge_kind, \
         bool_or(edge_inferred) AS inferred, bool_or(edge_lost) AS lost, max(edge_via) AS via, \
         sum(edge_calls) AS calls, count(*) AS spans, count(*) FILTER (WHERE is_retry) AS retries, \
         count(*) FILTER (WHERE edge_client_error) AS client_errors, \
         count(*) FILTER (WHERE edge_server_error) AS server_errors, \
         hist(edge_client_ns) AS client, hist(edge_server_ns) AS server, hist({GAP}) AS gap, \
         sum(edge_client_ns) AS client_sum_ns, sum(edge_server_ns) AS server_sum_ns, \
         sum({GAP}) AS gap_sum_ns, \
         min(start_time) AS first_seen, max(start_time) AS last_seen, \
         exemplars(trace_id, duration_ns, edge_client_error OR edge_server_error) AS example \
         FROM {before}({lags}) RIGHT JOIN spans ON trace_id = to_trace AND span_id = to_span{after} \
         WHERE edge_kind IS NOT NULL AND {roots} AND {traces} GROUP BY 1, 2, 3, 4, 5) \
         ORDER BY calls DESC, src, dst"
    )
}

/// The latest end of the spans that a consumer links to. The kernel sees one trace; a message may
/// lead into another, and the two meet here, whenever they arrive. Where no link does, senders are
/// not even read. Who sends is the kernel's rule, and consumers are looked for where it finds those of
/// the range.
fn lags(range: &Range) -> String {
    let consumers = range.widened(EARLY_NS_MAX, TRACE_NS_MAX).of(c::START_TIME);
    let senders = range.widened(TRACE_NS_MAX, TRACE_NS_MAX).of(c::START_TIME);
    format!(
        "SELECT to_trace, to_span, max(epoch_ns(end_time)) AS sent_ns \
         FROM (SELECT trace_id AS to_trace, span_id AS to_span, unnest(links) AS link FROM spans \
         WHERE kind = 'consumer' AND {consumers}) \
         JOIN (SELECT trace_id AS from_trace, span_id AS from_span, end_time FROM spans \
         WHERE (kind = 'producer' OR kind = 'client' AND messaging_system IS NOT NULL) \
         AND {senders}) \
         ON from_trace = link['trace_id'] AND from_span = link['span_id'] \
         WHERE link['trace_id'] <> to_trace GROUP BY 1, 2"
    )
}

/// What the nodes of the map are.
struct Level {
    with: String,
    /// What stands before and after the joined spans. A join holds its left side in memory, so the
    /// spans are always on the right.
    outer: [&'static str; 2],
    source: String,
    target: String,
}

impl Level {
    /// `service`, or a resource attribute such as `team` or `domain`: then a service stands for its
    /// value of it, and edges inside one value are kept.
    fn read(level: Option<&str>) -> Level {
        let plain = Level {
            with: String::new(),
            outer: ["", ""],
            source: "edge_source".to_owned(),
            target: "edge_target".to_owned(),
        };
        let Some(key) = level.filter(|level| *level != "service") else { return plain };
        Level {
            with: format!(
                "WITH node AS (SELECT service_name AS service, max(resource[{}]::text) AS label \
                 FROM spans GROUP BY 1) ",
                quoted(key)
            ),
            outer: [
                "node t RIGHT JOIN (node s RIGHT JOIN (",
                ") ON s.service = edge_source) ON t.service = edge_target",
            ],
            source: "coalesce(s.label, edge_source)".to_owned(),
            target: "coalesce(t.label, edge_target)".to_owned(),
        }
    }
}
