//! Path time by trace and group key: the statement that breakdown, tail attribution and cohort diff
//! share, and its rows as `analysis` counts over them.

use std::cmp::Reverse;
use std::collections::HashMap;

use analysis::path_times::{PathTime, PathTimes, TraceTotal};
use analysis::sampling::{Sampling, Weight};
use arrow_array::RecordBatch;
use datafusion::common::{Result, exec_datafusion_err};

use super::args::{Args, Range, quoted};
use super::rows::Rows;

/// The traces that are taken apart, and by what.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) range: Range,
    /// Root operation: its name, or service and name.
    pub(super) root: Option<String>,
    /// The group key as SQL.
    key: String,
    /// Only these spans have a key of their own.
    condition: Option<String>,
    /// Only of traces that have such a span.
    traces: Option<String>,
}

impl Subject {
    /// Reads `from, to, root, by`.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Subject> {
        let (range, root) = (args.range()?, args.text()?);
        let key = key(&args.text()?.unwrap_or_else(|| "service".to_owned()));
        Ok(Subject { range, root, key, condition: None, traces: None })
    }

    pub(super) fn with_condition(mut self, condition: Option<String>) -> Subject {
        self.condition = condition;
        self
    }

    pub(super) fn of_traces_with(mut self, condition: Option<String>) -> Subject {
        self.traces = condition;
        self
    }

    /// One row a trace and key: trace, root duration, root operation, key, path time, spans with
    /// path time, trace state.
    pub(super) fn sql(&self) -> String {
        // Time of other spans stays in the answer, so that the sum is still the whole.
        let key = match &self.condition {
            Some(condition) => {
                format!("CASE WHEN {condition} THEN {} ELSE '(other)' END", self.key)
            }
            None => self.key.clone(),
        };
        format!(
            "SELECT trace_id, root_duration_ns, {ROOT} AS root, {key} AS key, \
             sum(critical_ns) AS path_ns, count(*) AS spans, max(trace_state) AS trace_state \
             FROM spans WHERE {} AND {} AND {} AND is_main AND critical_ns > 0 \
             GROUP BY 1, 2, 3, 4",
            self.range.of_roots(),
            root_condition(self.root.as_deref()),
            self.range.of_traces_with(self.traces.as_deref()),
        )
    }
}

/// The root operation as text.
const ROOT: &str = "concat(root_service, ' ', root_name)";

/// The condition that a trace has this root operation; `*` and none mean all.
pub(super) fn root_condition(root: Option<&str>) -> String {
    match root {
        None | Some("*") => "TRUE".to_owned(),
        Some(root) => {
            let root = quoted(root);
            format!("(root_name = {root} OR {ROOT} = {root})")
        }
    }
}

/// A group key: one of the words, or an attribute.
fn key(by: &str) -> String {
    match by {
        "service" => "charged_to".to_owned(),
        "edge" => "CASE category WHEN 'self' THEN service_name \
                   ELSE concat(service_name, ' → ', charged_to) END"
            .to_owned(),
        "operation" => "concat(service_name, ' ', name)".to_owned(),
        "category" => "category".to_owned(),
        "path" => "hex(path_id)".to_owned(),
        "instance" => "resource['service.instance.id']".to_owned(),
        "version" => "concat(service_name, ' ', resource['service.version'])".to_owned(),
        other => match other.strip_prefix("resource.") {
            Some(key) => format!("resource[{}]::text", quoted(key)),
            None => format!("attributes[{}]::text", quoted(other)),
        },
    }
}

/// Traces and their path times, gathered from the rows of [`Subject::sql`].
#[derive(Debug, Default)]
pub(super) struct Gathered {
    keys: Numbers,
    roots: Numbers,
    places: HashMap<u128, u32>,
    totals: Vec<TraceTotal>,
    entries: Vec<PathTime>,
    /// By key: the trace with most time in it.
    most: HashMap<u32, (i64, u128)>,
}

impl Gathered {
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        for row in 0..rows.len() {
            self.row(&rows, row);
        }
        Ok(())
    }

    fn row(&mut self, rows: &Rows, row: usize) {
        let id = rows.trace_id(0, row);
        let trace = *self.places.entry(id).or_insert_with(|| {
            let weight = match Sampling::of(rows.text(6, row)) {
                Sampling::Known(weight) => weight,
                Sampling::Unknown => Weight::ONE,
            };
            let root_operation = self.roots.number(rows.text(2, row));
            let root_ns = rows.int(1, row).unwrap_or(0);
            self.totals.push(TraceTotal { root_ns, weight, root_operation });
            self.totals.len() as u32 - 1
        });
        let key = self.keys.number(named(rows.text(3, row)));
        let path_ns = rows.int(4, row).unwrap_or(0);
        let spans = rows.int(5, row).and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX);
        self.entries.push(PathTime { trace, key, path_ns, spans });
        let best = self.most.entry(key).or_insert((path_ns, id));
        if (path_ns, Reverse(id)) > (best.0, Reverse(best.1)) {
            *best = (path_ns, id);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<PathTime>()
            + self.totals.capacity() * (size_of::<TraceTotal>() + 40)
    }

    pub(super) fn paths(&self) -> Result<PathTimes> {
        PathTimes::new(&self.keys.names, &self.totals, &self.entries)
            .map_err(|e| exec_datafusion_err!("{e}"))
    }

    /// The trace with most time in a key, 0 for none.
    pub(super) fn exemplar(&self, key: &str) -> u128 {
        let number = self.keys.known.get(key);
        number.and_then(|number| self.most.get(number)).map_or(0, |(_, id)| *id)
    }
}

/// Spans without the attribute are a group of their own, so that all time has an owner.
fn named(key: &str) -> &str {
    if key.is_empty() { "∅" } else { key }
}

/// Distinct texts by order of appearance.
#[derive(Debug, Default)]
struct Numbers {
    names: Vec<String>,
    known: HashMap<String, u32>,
}

impl Numbers {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(text.to_owned());
        self.known.insert(text.to_owned(), number);
        number
    }
}
