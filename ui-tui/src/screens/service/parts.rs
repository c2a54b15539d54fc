//! Parts of the critical path of the traces that hold some requests: the statement, and its rows.

use std::collections::HashMap;

use api::sql::SqlAnswer;
use serde_json::Value;

use crate::request::Request;
use crate::scope::Fixed;

/// Parts of one statement at most.
const PARTS_MAX: usize = 60;
/// The root of a trace starts within this before its requests, and all of it ends within this after.
const AROUND_NS: i64 = 300_000_000_000;

/// What the time is grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    #[default]
    Operation,
    Service,
    Edge,
    Category,
}

impl By {
    const ALL: [By; 4] = [By::Operation, By::Service, By::Edge, By::Category];

    pub(crate) fn word(self) -> &'static str {
        match self {
            By::Operation => "op",
            By::Service => "service",
            By::Edge => "edge",
            By::Category => "category",
        }
    }

    pub(crate) fn next(self) -> By {
        let at = By::ALL.iter().position(|by| *by == self).unwrap_or(0);
        By::ALL[(at + 1) % By::ALL.len()]
    }

    /// The group as an expression over spans.
    fn sql(self) -> &'static str {
        match self {
            By::Operation => {
                "CASE WHEN category = 'gap' THEN 'gap: ' || service_name || ' -> ' || coalesce(peer, '?') \
                 WHEN category IN ('db', 'external', 'queue') \
                 THEN coalesce(charged_to, service_name) || '  ' || name \
                 ELSE service_name || '  ' || name END"
            }
            By::Service => "coalesce(charged_to, service_name)",
            By::Edge => "service_name || coalesce(' -> ' || peer, ' (self)')",
            By::Category => "coalesce(category, 'self')",
        }
    }
}

/// Asks for the parts of the traces that hold a span which meets a condition.
pub(crate) fn request(condition: &str, range: Fixed, by: By) -> Request {
    Request::sql(&statement(condition, range, by))
}

/// The statement behind [`request`], which reads the spans once. Every nanosecond of the path of a
/// trace has one owner, so the parts add up to the mean duration of the traces.
pub(crate) fn statement(condition: &str, range: Fixed, by: By) -> String {
    let roots = Fixed { from_ns: range.from_ns.map(|ns| ns.saturating_sub(AROUND_NS)), ..range };
    let spans = Fixed { from_ns: None, to_ns: range.to_ns.map(|ns| ns.saturating_add(AROUND_NS)) };
    format!(
        "WITH of_trace AS (SELECT trace_id, {} AS part, \
         sum(critical_ns) FILTER (WHERE is_main AND critical_ns > 0) AS ns, \
         bool_or({} AND {condition}) AS is_chosen, bool_or(is_root) AS has_root FROM spans \
         WHERE {} AND {} AND is_duplicate IS NOT TRUE GROUP BY 1, 2), \
         chosen AS (SELECT part, trace_id, ns, row_number() OVER trace AS place, \
         bool_or(is_chosen) OVER trace AS is_chosen, bool_or(has_root) OVER trace AS has_root \
         FROM of_trace WINDOW trace AS (PARTITION BY trace_id)), \
         parts AS (SELECT part, sum(ns) AS ns, count(ns) AS present, \
         count(*) FILTER (WHERE place = 1 AND has_root) AS roots, \
         first_value(trace_id ORDER BY ns DESC NULLS LAST) AS exemplar \
         FROM chosen WHERE is_chosen GROUP BY 1) \
         SELECT part, ns / 1e6 / traces AS mean_ms, 1.0 * present / traces AS presence, traces, \
         exemplar FROM (SELECT *, nullif(sum(roots) OVER (), 0) AS traces FROM parts) \
         WHERE present > 0 ORDER BY 2 DESC, 1",
        by.sql(),
        range.sql("start_time"),
        roots.sql("root_start"),
        spans.sql("start_time"),
    )
}

/// A group with its part of the mean trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) key: String,
    pub(crate) mean_ms: f64,
    /// Of the whole.
    pub(crate) share: f64,
    /// In the baseline.
    pub(crate) before_ms: Option<f64>,
    pub(crate) exemplar: Option<String>,
}

/// The groups, the largest first, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    pub(crate) rows: Vec<Part>,
    pub(crate) mean_ms: f64,
}

/// The rows of an answer to [`statement`].
pub(crate) fn read(answer: &SqlAnswer) -> Vec<Part> {
    let row = |row: &serde_json::Map<String, Value>| Part {
        key: row.get("part").and_then(Value::as_str).unwrap_or("(none)").to_owned(),
        mean_ms: row.get("mean_ms").and_then(Value::as_f64).unwrap_or(0.0),
        exemplar: row.get("exemplar").and_then(Value::as_str).map(str::to_owned),
        ..Part::default()
    };
    answer.rows.iter().map(row).collect()
}

impl Parts {
    /// Parts with their shares, and beside them those of a baseline.
    pub(crate) fn of(mut rows: Vec<Part>, before: Option<&[Part]>) -> Parts {
        let mean_ms: f64 = rows.iter().map(|part| part.mean_ms).sum();
        let before: Option<HashMap<&str, f64>> =
            before.map(|rows| rows.iter().map(|part| (part.key.as_str(), part.mean_ms)).collect());
        for part in &mut rows {
            part.share = if mean_ms > 0.0 { part.mean_ms / mean_ms } else { 0.0 };
            part.before_ms =
                before.as_ref().map(|before| before.get(part.key.as_str()).copied().unwrap_or(0.0));
        }
        let mut parts = Parts { rows, mean_ms };
        if parts.rows.len() > PARTS_MAX {
            let rest = parts.rest(PARTS_MAX - 1);
            parts.rows.truncate(PARTS_MAX - 1);
            parts.rows.push(rest);
        }
        parts
    }

    /// This row and all behind it as one.
    pub(crate) fn rest(&self, from: usize) -> Part {
        let rest = &self.rows[from..];
        let before = rest.iter().filter_map(|part| part.before_ms);
        Part {
            key: format!("{} more", rest.len()),
            mean_ms: rest.iter().map(|part| part.mean_ms).sum(),
            share: rest.iter().map(|part| part.share).sum(),
            before_ms: rest.iter().any(|part| part.before_ms.is_some()).then(|| before.sum()),
            exemplar: rest.first().and_then(|part| part.exemplar.clone()),
        }
    }
}
