//! What is asked of the view that a scenario names first, and in which order its answers stand.

use instrumented_demo::scenarios::View;
use instrumented_demo::truth::Record;

use super::{Windows, names};
use crate::failure::Failure;
use crate::source::Source;

/// The answers of a view as `subject` and `kind`, the most changed first.
pub(super) async fn question(
    source: &Source,
    view: &View,
    record: &Record,
    windows: &Windows,
) -> Result<Option<String>, Failure> {
    let Windows { fault, base } = windows;
    let detail = view.detail;
    Ok(Some(match view.name {
        "latency_breakdown" => format!(
            "SELECT f.key AS subject, '' AS kind FROM latency_breakdown({fault}, '*') f \
             LEFT JOIN latency_breakdown({base}, '*') b ON f.key = b.key \
             ORDER BY f.contrib_ms - coalesce(b.contrib_ms, 0) DESC"
        ),
        "tail_attribution" => format!(
            "SELECT key AS subject, 'instance' AS kind \
             FROM tail_attribution({fault}, '*', 'instance') ORDER BY delta_ms DESC"
        ),
        "bottlenecks" if detail != "concurrency_limit" => format!(
            "SELECT f.subject, f.rule AS kind FROM bottlenecks({fault}, '{detail}') f \
             LEFT JOIN bottlenecks({base}, '{detail}') b ON f.subject = b.subject \
             ORDER BY f.score - coalesce(b.score, 0) DESC"
        ),
        "error_paths" => {
            let by_origin = |window: &str| {
                format!("SELECT origin, sum(\"count\") AS n FROM error_paths({window}) GROUP BY 1")
            };
            format!(
                "SELECT f.origin AS subject, '' AS kind FROM ({}) f LEFT JOIN ({}) b \
                 ON f.origin = b.origin ORDER BY f.n - coalesce(b.n, 0) DESC",
                by_origin(fault),
                by_origin(base)
            )
        }
        "compare_spans" => compared(source, record, windows).await?,
        "service_map" if detail == "lag" => format!(
            "SELECT f.dst AS subject, '' AS kind FROM service_map({fault}) f \
             LEFT JOIN service_map({base}) b ON f.src = b.src AND f.dst = b.dst \
             WHERE f.edge_kind = 'receive' ORDER BY f.gap_p90_ms - coalesce(b.gap_p90_ms, 0) DESC"
        ),
        _ => return Ok(None),
    }))
}

/// Of the operation that people complain about, the traces that take longer than 95 of 100 took
/// before, and the spans that fail, against the others.
async fn compared(
    source: &Source,
    record: &Record,
    Windows { fault, base }: &Windows,
) -> Result<String, Failure> {
    let root = record.roots.first().map_or("", String::as_str).replace('\'', "''");
    let (from, to) = base.split_once(", ").unwrap_or_default();
    let slow = names(
        source,
        format!(
            "SELECT CAST(coalesce(p95(duration_ns), 0) AS bigint)::text AS subject, '' AS kind \
             FROM traces WHERE root_name = '{root}' AND start_time >= {from} AND start_time < {to}"
        ),
    );
    let slow = slow.await?;
    let slow_ns = slow.first().map_or("0", |row| &row.subject);
    let selection = format!("root_name = '{root}' AND (root_duration_ns > {slow_ns} OR is_error)");
    Ok(format!(
        "SELECT concat(attribute, '=', value) AS subject, '' AS kind \
         FROM compare_spans('{}', NULL, {fault}) ORDER BY score DESC",
        selection.replace('\'', "''")
    ))
}
