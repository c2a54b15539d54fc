//! Filter lines as SQL, and candidates for what is being typed.

use std::collections::BTreeMap;

use api::views::{Complete, CompleteAnswer, CompletionRow, FilterAnswer, FilterLine, TimeRange};
use schemas::columns as c;
use schemas::derived::{SPAN_FACTS, TRACE_FACTS};
use schemas::{Kind, Table, semantic};
use serde::Deserialize;
use storage::Snapshot;

use super::ingest::newest_ns;
use super::questions::needed;
use super::ranges::{MINUTE_NS, between, bounds_ns, range};
use super::{Answers, Asking};
use crate::QueryError;
use crate::attributes::Source;
use crate::completion::{Operand, Place, Wants, in_line, in_statement, tables_of};
use crate::filter::{self, Over, Setting, SnapshotKeys};
use crate::views::{VIEWS, quoted};

/// Candidates of one answer.
const ROWS_MAX: usize = 50;
/// Rows in which values are counted, so that an answer comes while somebody types.
const SAMPLE_ROWS: usize = 200_000;
/// Files whose keys are listed, the newest first.
const FILES_MAX: usize = 200;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 64 << 10;

impl Answers for FilterLine {
    async fn answer(self, asking: &mut Asking) -> Result<FilterAnswer, QueryError> {
        let over = Over::read(self.table.as_deref().unwrap_or("spans"))?;
        let range = range(self.from, self.to)?;
        let filter = asking.filter(self.text.as_deref().unwrap_or(""), over, &range)?;
        let filter::Filter { sql, terms, warnings } = filter;
        Ok(FilterAnswer { sql, terms, warnings, basis: std::mem::take(&mut asking.basis) })
    }
}

impl Answers for Complete {
    async fn answer(self, asking: &mut Asking) -> Result<CompleteAnswer, QueryError> {
        let text = self.text.unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("text: more than {TEXT_BYTES_MAX} bytes");
            return Err(QueryError::invalid(message));
        }
        let position = self.position.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let before: String = text.chars().take(position).collect();
        let (over, place) = match self.table.as_deref() {
            None | Some("sql") => (None, in_statement(&before)),
            Some(table) => (Some(Over::read(table)?), in_line(&before)),
        };
        let tables = match over {
            Some(over) => over.tables().to_vec(),
            None => named_tables(&text),
        };
        let snapshot = asking.engine.store().snapshot();
        let within = Within { over, tables: &tables, snapshot: &snapshot };
        let range = TimeRange { from: self.from, to: self.to };
        let mut rows = match &place.wants {
            Wants::Value(_) | Wants::FilterValue(_) => {
                let expr = within.operand(&place.wants, asking)?;
                let period = within.period(&range)?;
                values(asking, &within, &expr, &place.prefix, period).await?
            }
            _ => within.names(&place.wants),
        };
        ranked(&mut rows, &place.prefix);
        asking.basis.stats.rows = rows.len() as u64;
        let Place { from, prefix, .. } = place;
        let to = (from + prefix.chars().count()) as u64;
        Ok(CompleteAnswer { from: from as u64, to, rows, basis: std::mem::take(&mut asking.basis) })
    }
}

/// The tables of a statement; spans where it names none yet.
fn named_tables(statement: &str) -> Vec<Table> {
    let known = |word: &str| Table::from_name(&word.to_lowercase()).map(Table::name);
    let named: Vec<Table> =
        tables_of(statement, known).into_iter().filter_map(Table::from_name).collect();
    if named.is_empty() { vec![Table::Spans] } else { named }
}

/// Where a text is completed.
struct Within<'a> {
    /// `None` in a statement.
    over: Option<Over>,
    tables: &'a [Table],
    snapshot: &'a Snapshot,
}

fn row(text: impl Into<String>, kind: &str, detail: impl Into<String>) -> CompletionRow {
    CompletionRow {
        text: text.into(),
        kind: kind.to_owned(),
        detail: Some(detail.into()).filter(|detail| !detail.is_empty()),
        count: None,
    }
}

impl Within<'_> {
    fn names(&self, wants: &Wants) -> Vec<CompletionRow> {
        match wants {
            Wants::Table => tables(),
            Wants::Key(source) => self.keys(*source, |key| key.replace('\'', "''")),
            Wants::Expression => {
                let mut rows = self.columns();
                rows.extend(
                    self.keys(Source::Record, |key| format!("attributes[{}]", quoted(key))),
                );
                rows.extend(
                    self.keys(Source::Resource, |key| format!("resource[{}]", quoted(key))),
                );
                rows.extend(FUNCTIONS.iter().map(|(name, usage)| row(*name, "function", *usage)));
                rows.extend(WORDS.iter().map(|word| row(*word, "word", "")));
                rows
            }
            Wants::FilterKey => {
                let mut rows: Vec<CompletionRow> =
                    filter::SHORT_WORDS.iter().map(|(word, is)| row(*word, "word", *is)).collect();
                rows.extend(self.columns());
                rows.extend(self.keys(Source::Record, str::to_owned));
                rows.extend(self.keys(Source::Resource, |key| format!("resource.{key}")));
                rows
            }
            Wants::Value(_) | Wants::FilterValue(_) | Wants::Nothing => Vec::new(),
        }
    }

    /// Stored, derived and semantic columns.
    fn columns(&self) -> Vec<CompletionRow> {
        let column = |name: &str, kind: Kind, doc: &str| {
            row(name, "column", format!("{}: {doc}", format!("{kind:?}").to_lowercase()))
        };
        if self.over == Some(Over::Traces) {
            return TRACE_FACTS.iter().map(|fact| column(fact.name, fact.kind, fact.doc)).collect();
        }
        let mut rows = Vec::new();
        for table in self.tables {
            rows.extend(
                table
                    .columns()
                    .iter()
                    .filter(|known| known.name != c::ATTRIBUTES_REST)
                    .map(|known| column(known.name, known.kind, known.doc)),
            );
            if *table == Table::Spans {
                rows.extend(SPAN_FACTS.iter().map(|fact| column(fact.name, fact.kind, fact.doc)));
            }
            let semantics = semantic::RECORD.iter().chain(semantic::RESOURCE);
            rows.extend(
                semantics
                    .filter(|known| known.applies_to(*table))
                    .map(|known| row(known.name, "column", "semantic")),
            );
        }
        rows
    }

    /// Attribute keys with the number of rows that have them.
    fn keys(&self, source: Source, written: impl Fn(&str) -> String) -> Vec<CompletionRow> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for table in self.tables {
            let files = self.snapshot.files(*table).iter().rev().take(FILES_MAX);
            let live = self.snapshot.live(*table).iter().map(|batch| &batch.keys);
            for keys in files.map(|file| &file.keys).chain(live) {
                let set = match source {
                    Source::Record | Source::Filtered => &keys.record,
                    Source::Resource => &keys.resource,
                    Source::Scope => &keys.scope,
                };
                for (key, facts) in set {
                    match counts.get_mut(key) {
                        Some(count) => *count += facts.rows,
                        None => drop(counts.insert(key.clone(), facts.rows)),
                    }
                }
            }
        }
        let of = source.column();
        let candidate = |(key, count): (String, u64)| CompletionRow {
            count: Some(count),
            ..row(written(&key), "key", of)
        };
        counts.into_iter().map(candidate).collect()
    }

    /// What values are compared with, as SQL.
    fn operand(&self, wants: &Wants, asking: &Asking) -> Result<String, QueryError> {
        Ok(match wants {
            Wants::FilterValue(key) => {
                let over = self.over.unwrap_or(Over::Spans);
                let keys = SnapshotKeys { snapshot: self.snapshot, tables: over.tables() };
                let range = (None, None);
                let setting = Setting { over, range, now_ns: asking.now_ns, keys: &keys };
                filter::key(&needed("text", Some(key.clone()))?, &setting)
            }
            Wants::Value(Operand::Attribute(source, key)) => {
                format!("{}[{}]", source.column(), quoted(key))
            }
            Wants::Value(Operand::Column(name)) => format!("\"{}\"", name.replace('"', "")),
            _ => "NULL".to_owned(),
        })
    }

    /// The time in which values are counted: as asked, else the quarter of an hour before the newest.
    fn period(&self, asked: &TimeRange) -> Result<(i64, i64), QueryError> {
        let (from, to) = bounds_ns(asked)?;
        let newest = || newest_ns(self.snapshot, self.tables[0]).unwrap_or(0).saturating_add(1);
        let to = to.unwrap_or_else(newest);
        Ok((from.unwrap_or(to.saturating_sub(15 * MINUTE_NS)), to))
    }
}

/// Values that begin with what is written, or hold it, with their counts.
async fn values(
    asking: &mut Asking,
    within: &Within<'_>,
    expr: &str,
    prefix: &str,
    period: (i64, i64),
) -> Result<Vec<CompletionRow>, QueryError> {
    #[derive(Deserialize)]
    struct Counted {
        value: String,
        count: u64,
    }
    let (table, time) = match within.over {
        Some(Over::Traces) => ("traces", c::START_TIME),
        _ => (within.tables[0].name(), within.tables[0].time_column()),
    };
    let expr = match expr == c::TRACE_ID || expr == c::SPAN_ID || expr == c::PARENT_SPAN_ID {
        true => format!("hex({expr})"),
        false => format!("cast({expr} AS varchar)"),
    };
    let prefix = quoted(&prefix.to_lowercase());
    let sql = format!(
        "SELECT \"value\", count(*) AS \"count\" FROM (SELECT {expr} AS \"value\" FROM {table} \
         WHERE {} LIMIT {SAMPLE_ROWS}) WHERE strpos(lower(\"value\"), {prefix}) > 0 \
         GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {ROWS_MAX}",
        between(period, time)
    );
    let counted: Vec<Counted> = asking.whole(sql).await?;
    let candidate = |Counted { value, count }| CompletionRow {
        count: Some(count),
        ..row(
            if within.over.is_some() { in_a_line(value) } else { value.replace('\'', "''") },
            "value",
            "",
        )
    };
    Ok(counted.into_iter().map(candidate).collect())
}

/// A value as a filter line takes it: in quotes where it would end early.
fn in_a_line(value: String) -> String {
    let ends = |c: char| c.is_whitespace() || "(),\"".contains(c);
    if value.is_empty() || value.contains(ends) {
        return format!("\"{}\"", value.replace('"', "\\\""));
    }
    value
}

/// Those that begin with the prefix first, then those that hold it; others are left out.
fn ranked(rows: &mut Vec<CompletionRow>, prefix: &str) {
    let prefix = prefix.to_lowercase();
    let rank = |row: &CompletionRow| {
        let text = row.text.to_lowercase();
        let bare = text.trim_start_matches(['"', '\'']);
        // `attributes['payment…` is found by `pay` as well.
        let key = text.split('\'').nth(1).unwrap_or(bare);
        match (bare.starts_with(&prefix) || key.starts_with(&prefix), text.contains(&prefix)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    };
    rows.retain(|row| rank(row) < 2);
    let mut kinds: Vec<String> = rows.iter().map(|row| row.kind.clone()).collect();
    kinds.dedup();
    // What was listed first is likelier.
    let place = |row: &CompletionRow| kinds.iter().position(|kind| *kind == row.kind);
    rows.sort_by(|a, b| {
        let by_count = b.count.unwrap_or(0).cmp(&a.count.unwrap_or(0));
        rank(a).cmp(&rank(b)).then(place(a).cmp(&place(b))).then(by_count).then(a.text.cmp(&b.text))
    });
    rows.dedup_by(|a, b| (&a.text, &a.kind) == (&b.text, &b.kind));
    rows.truncate(ROWS_MAX);
}

fn tables() -> Vec<CompletionRow> {
    let stored = Table::ALL.map(|table| row(table.name(), "table", "")).into_iter();
    let more = ["traces", "error_origins", "call_patterns", "attribute_keys"];
    let system = crate::system::SYSTEM_TABLES.iter();
    let views = VIEWS.iter().map(|view| {
        row(format!("{}(", view.name), "function", format!("{}({})", view.name, view.usage))
    });
    stored
        .chain(more.map(|name| row(name, "table", "")))
        .chain(system.map(|name| row(format!("system.{name}"), "table", "")))
        .chain(views)
        .collect()
}

/// Functions that questions over telemetry need most, with their arguments.
const FUNCTIONS: [(&str, &str); 32] = [
    ("time_bucket(", "time_bucket(width, time [, origin])"),
    ("epoch_ns(", "epoch_ns(time): nanoseconds since 1970"),
    ("p50(", "p50(x): median"),
    ("p75(", "p75(x)"),
    ("p90(", "p90(x)"),
    ("p95(", "p95(x)"),
    ("p99(", "p99(x)"),
    ("p999(", "p999(x)"),
    ("hist(", "hist(x): histogram"),
    ("hist_merge(", "hist_merge(h): sum of histograms"),
    ("hist_quantile(", "hist_quantile(h, q)"),
    ("hist_count(", "hist_count(h)"),
    ("hist_count_le(", "hist_count_le(h, v)"),
    ("increase(", "increase(value, time [, series_id])"),
    ("rate(", "rate(value, time [, series_id])"),
    ("exemplars(", "exemplars(trace_id, value, is_error): three traces"),
    ("sample(", "sample(trace_id, value): up to 500 values"),
    ("log_pattern(", "log_pattern(body): the line with what varies masked"),
    ("hex(", "hex(id)"),
    ("unhex(", "unhex(text)"),
    ("count(", "count(*), count(DISTINCT x)"),
    ("sum(", "sum(x)"),
    ("avg(", "avg(x)"),
    ("min(", "min(x)"),
    ("max(", "max(x)"),
    ("array_agg(", "array_agg(x [ORDER BY y])"),
    ("coalesce(", "coalesce(a, b, …)"),
    ("nullif(", "nullif(a, b)"),
    ("now()", "now(): start of the statement"),
    ("lower(", "lower(text)"),
    ("regexp_like(", "regexp_like(text, pattern)"),
    ("unnest(", "unnest(list)"),
];

const WORDS: [&str; 26] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "HAVING",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AS",
    "DISTINCT",
    "DESC",
    "JOIN",
    "INTERVAL",
];
