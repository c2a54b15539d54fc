//! `compare_spans('selection', 'baseline', from, to)`: which attributes tell the one from the other.

use analysis::compare::{AttributeDifference, Compared, Comparison, Limits, Set, Value, ValueName};
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use schemas::{Kind, columns as c, json};

use super::rows::{Rows, ints, numbers, texts, trace_ids};
use super::{Built, Fold, View};

/// Values shown of one attribute.
const VALUES_MAX: usize = 5;
/// Columns of spans that are compared beside the attributes.
const COLUMNS: [&str; 7] =
    [c::SERVICE_NAME, c::NAME, c::KIND, c::STATUS_CODE, "root_name", "parent_name", "peer"];

pub(super) const COMPARE: View = View {
    name: "compare_spans",
    usage: "'selection' [, 'baseline' or NULL [, from [, to]]]",
    columns: || {
        use Kind::{Float64, Id16, Int64, Text};
        vec![
            ("attribute", Text),
            ("value", Text),
            ("share_sel", Float64),
            ("share_base", Float64),
            ("lift", Float64),
            ("score", Float64),
            ("q_value", Float64),
            ("coverage", Float64),
            ("rows_sel", Int64),
            ("rows_base", Int64),
            ("p50_sel", Float64),
            ("p50_base", Float64),
            ("exemplar_trace", Id16),
        ]
    },
    build: |args| {
        let Some(selection) = args.condition()? else {
            return Err(args.wrong("a condition over spans is needed, such as 'duration_ns > 1e9'"));
        };
        let baseline = args.condition()?;
        let range = args.range()?;
        let within = range.of_roots();
        let columns = COLUMNS.map(|column| format!("s.{column}")).join(", ");
        let (with, join, wanted) = match &baseline {
            Some(baseline) => (String::new(), String::new(), format!("({selection} OR {baseline})")),
            // Not selected, and of an operation that the selection has, under the same roots.
            None => (
                format!(
                    "WITH chosen AS (SELECT DISTINCT root_service AS r1, root_name AS r2, \
                     service_name AS r3, name AS r4 FROM spans WHERE {within} AND {selection}) "
                ),
                " JOIN chosen ON root_service = r1 AND root_name = r2 AND service_name = r3 AND name = r4"
                    .to_owned(),
                "TRUE".to_owned(),
            ),
        };
        let sql = format!(
            "{with}SELECT {selection} AS selected, s.trace_id, s.span_id, s.duration_ns, s.self_ns, {columns}, \
             s.attributes, s.resource FROM spans s{join} WHERE {within} AND is_duplicate IS NOT TRUE AND {wanted}"
        );
        let excluded = named_in(&selection, baseline.as_deref());
        Ok(Built::folded(sql, move || Comparing::new(excluded.clone())))
    },
};

/// Attributes that the conditions name, and those that follow from them.
fn named_in(selection: &str, baseline: Option<&str>) -> Vec<String> {
    let text = format!("{selection} {}", baseline.unwrap_or(""));
    let mut names: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if names.iter().any(|name| name.ends_with("_ns") || name == "end_time") {
        names.extend([c::DURATION_NS.to_owned(), "self_ns".to_owned()]);
    }
    // A semantic column stands for its keys.
    let keys: Vec<String> = names.iter().flat_map(|name| keys_of(name)).collect();
    names.extend(keys);
    names.sort_unstable();
    names.dedup();
    names
}

/// The attribute keys behind a semantic column.
fn keys_of(name: &str) -> Vec<String> {
    use schemas::semantic::Source::*;
    let sources = schemas::semantic::semantic(name).map_or(&[][..], |s| s.sources);
    let key = |source: &schemas::semantic::Source| match *source {
        Key(key)
        | BeforeQuery(key)
        | BeforePort(key)
        | ClientKey(key)
        | ServerKey(key)
        | Qualified(key)
        | GrpcStatus(key)
        | Joined(key, _, _) => key.to_owned(),
    };
    sources.iter().map(key).collect()
}

struct Comparing {
    comparison: Comparison,
    excluded: Vec<String>,
    exemplar: (i64, u128),
}

impl Comparing {
    fn new(excluded: Vec<String>) -> Comparing {
        Comparing { comparison: Comparison::new(Limits::default()), excluded, exemplar: (-1, 0) }
    }

    fn row(&mut self, rows: &Rows, row: usize) {
        let selected = rows.bool(0, row);
        let set = if selected { Set::Selected } else { Set::Baseline };
        self.comparison.row(set);
        let duration_ns = rows.int(3, row).unwrap_or(0);
        let trace = rows.trace_id(1, row);
        if selected
            && (duration_ns, std::cmp::Reverse(trace))
                > (self.exemplar.0, std::cmp::Reverse(self.exemplar.1))
        {
            self.exemplar = (duration_ns, trace);
        }
        self.comparison.add(c::DURATION_NS, Value::Int(duration_ns), set);
        if let Some(self_ns) = rows.int(4, row) {
            self.comparison.add("self_ns", Value::Int(self_ns), set);
        }
        for (place, name) in COLUMNS.iter().enumerate() {
            let text = rows.text(5 + place, row);
            if !text.is_empty() {
                self.comparison.add(name, Value::Text(text), set);
            }
        }
        for (place, prefix) in [(5 + COLUMNS.len(), ""), (6 + COLUMNS.len(), "resource.")] {
            for (key, raw) in json::members(rows.text(place, row)) {
                let name = format!("{prefix}{}", json::unescape(key));
                add(&mut self.comparison, &name, raw, set);
            }
        }
    }
}

fn add(comparison: &mut Comparison, name: &str, raw: &str, set: Set) {
    let Some(value) = json::value(raw) else { return };
    match value {
        json::Value::Int(int) => comparison.add(name, Value::Int(int), set),
        json::Value::Double(double) => comparison.add(name, Value::Float(double), set),
        json::Value::Bool(bool) => comparison.add(name, Value::Bool(bool), set),
        other => comparison.add(name, Value::Text(&json::as_text(other)), set),
    }
}

impl Fold for Comparing {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        (0..rows.len()).for_each(|row| self.row(&rows, row));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>> {
        let excluded: Vec<&str> = self.excluded.iter().map(String::as_str).collect();
        let found = self.comparison.finish(&excluded);
        shown(&found, self.exemplar.1)
    }

    /// [`Limits`] bound what is kept; this is their usual size.
    fn bytes(&self) -> usize {
        4 << 20
    }
}

/// One line of the answer: an attribute, and a value of it unless it is numeric.
struct Line<'a> {
    of: &'a AttributeDifference,
    value: Option<&'a analysis::compare::ValueDifference>,
}

fn shown(found: &Compared, exemplar: u128) -> Result<Vec<ArrayRef>> {
    let lines: Vec<Line<'_>> =
        found.attributes.iter().filter(|a| a.score > 0.0).flat_map(lines).collect();
    let number = |of: fn(&Line<'_>) -> Option<f64>| numbers(lines.iter().map(of));
    let rows = |of: fn(&Line<'_>) -> Option<u64>| {
        ints(lines.iter().map(|line| of(line).and_then(|n| i64::try_from(n).ok())))
    };
    Ok(vec![
        texts(lines.iter().map(|line| line.of.attribute.as_str())),
        texts(lines.iter().map(|line| match line.value.map(|v| &v.value) {
            Some(ValueName::Exact(text)) => text.as_str(),
            Some(ValueName::Absent) => "∅",
            Some(ValueName::Other) => "other",
            None => "",
        })),
        number(|line| line.value.map(|v| v.share_selected)),
        number(|line| line.value.map(|v| v.share_baseline)),
        number(|line| line.value.map(|v| v.lift)),
        number(|line| Some(line.of.score)),
        number(|line| line.value.map(|v| v.q_value)),
        number(|line| Some(line.of.coverage)),
        rows(|line| line.value.map(|v| v.selected_rows)),
        rows(|line| line.value.map(|v| v.baseline_rows)),
        number(|line| line.of.numeric.as_ref()?.selected.map(|q| q.p50)),
        number(|line| line.of.numeric.as_ref()?.baseline.map(|q| q.p50)),
        trace_ids(lines.iter().map(|_| exemplar))?,
    ])
}

fn lines(of: &AttributeDifference) -> Vec<Line<'_>> {
    if of.values.is_empty() {
        return vec![Line { of, value: None }];
    }
    of.values.iter().take(VALUES_MAX).map(|value| Line { of, value: Some(value) }).collect()
}
