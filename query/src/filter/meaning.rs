//! What a key means, and what its comparison is in SQL.

use api::time;
use api::views::{FilterTerm, FilterWarning};
use regex::Regex;
use schemas::attributes::{Owner, ValueType};
use schemas::columns as c;
use schemas::derived::{TRACE_FACTS, span_fact};
use schemas::semantic::semantic;
use schemas::{Kind, Table, ids};

use super::parse::{Atom, Name, Node, Op, Value, What};
use super::{Filter, Over, Setting, Wrong};
use crate::attributes::Source;
use crate::guard::guard_condition;
use crate::limits::GuardLimits;
use crate::table::Computed;
use crate::views::quoted;

/// Short words for what is typed often. Where a table lacks the column the word is a plain key.
const SHORT: [(&str, &str); 11] = [
    ("service", c::SERVICE_NAME),
    ("op", c::NAME),
    ("dur", c::DURATION_NS),
    ("self", "self_ns"),
    ("critical", "critical_ns"),
    ("gap", "gap_ns"),
    (STATUS, c::STATUS_CODE),
    ("trace", c::TRACE_ID),
    ("span", c::SPAN_ID),
    ("env", "environment"),
    ("level", c::SEVERITY_NUMBER),
];

/// Short words for attributes of the resource.
const SHORT_OF_RESOURCE: [(&str, &str); 2] =
    [("instance", "service.instance.id"), ("version", "service.version")];

const STATUS: &str = "status";

/// The same for traces, whose columns are those of the root.
const SHORT_OF_TRACES: [(&str, &str); 6] = [
    ("service", "root_service"),
    ("op", "root_name"),
    ("dur", c::DURATION_NS),
    ("spans", "span_count"),
    ("errors", "error_count"),
    ("trace", c::TRACE_ID),
];

/// Severities by name: the first number of each, four a name.
const LEVELS: [(&str, i64); 6] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];

/// Writes a tree.
pub(super) fn write(tree: &Node, setting: &Setting<'_>) -> Result<Filter, Wrong> {
    let mut writer = Writer::new(setting);
    let sql = writer.node(tree)?;
    let Writer { terms, warnings, .. } = writer;
    Ok(Filter { sql, terms, warnings })
}

/// What a key reads.
pub(super) fn key(text: &str, setting: &Setting<'_>) -> String {
    Writer::new(setting).meaning(&Name { at: 0, text: text.to_owned() }).sql
}

pub(super) struct Writer<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// What the condition at hand is over; sub-queries change it.
    pub(super) over: Over,
    /// Name of the table at hand, for conditions that compare two.
    pub(super) table: String,
    /// Tables named so far.
    pub(super) tables: usize,
    terms: Vec<FilterTerm>,
    warnings: Vec<FilterWarning>,
}

/// What a key was taken for.
struct Meaning {
    /// The expression that reads it.
    sql: String,
    /// Its type.
    kind: Reads,
    /// As [`FilterTerm::meaning`] says it.
    is: &'static str,
}

/// What a key reads, which decides how values are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    Text,
    Int,
    Double,
    Bool,
    Time,
    /// Nanoseconds: units are understood.
    DurationNs,
    /// An id of so many hex digits.
    Id(usize),
    /// Severity by number or name.
    Level,
    /// An attribute of any type, read as text unless the value says otherwise.
    Any,
}

impl<'a> Writer<'a> {
    fn new(setting: &'a Setting<'a>) -> Writer<'a> {
        Writer {
            setting,
            over: setting.over,
            table: Table::Spans.name().to_owned(),
            tables: 0,
            terms: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn node(&mut self, node: &Node) -> Result<String, Wrong> {
        match node {
            Node::And(parts) => self.joined(parts, " AND "),
            Node::Or(parts) => Ok(format!("({})", self.joined(parts, " OR ")?)),
            Node::Not(inner) => self.not(inner),
            Node::Atom(atom) => self.atom(atom, false),
        }
    }

    fn joined(&mut self, parts: &[Node], with: &str) -> Result<String, Wrong> {
        let parts: Result<Vec<String>, Wrong> = parts.iter().map(|part| self.node(part)).collect();
        Ok(parts?.join(with))
    }

    fn not(&mut self, inner: &Node) -> Result<String, Wrong> {
        if let Node::Atom(atom) = inner {
            return self.atom(atom, true);
        }
        // Null where a key is missing: such rows do not meet the condition, so they stay.
        Ok(format!("NOT coalesce(({}), FALSE)", self.node(inner)?))
    }

    fn atom(&mut self, atom: &Atom, negated: bool) -> Result<String, Wrong> {
        let (sql, meaning) = match &atom.what {
            What::Compare { key, op, value } => self.compare(key, *op, value, negated)?,
            What::In { key, values } => self.one_of(key, values, negated)?,
            What::Has(key) => self.has(key, negated)?,
            What::Text(text) => (negated_if(negated, self.contains(text)), "text"),
            What::Sql(text) => (negated_if(negated, expression(text)?), "sql"),
            What::Related { relation, inner } => {
                let condition = self.related(*relation, inner, atom.at)?;
                let not = if negated { "NOT " } else { "" };
                (format!("{not}{condition}"), "sql")
            }
        };
        self.terms.push(FilterTerm {
            at: atom.at as u64,
            length: atom.length as u64,
            sql: sql.clone(),
            meaning: meaning.to_owned(),
        });
        Ok(sql)
    }

    fn compare(
        &mut self,
        key: &Name,
        op: Op,
        value: &Value,
        negated: bool,
    ) -> Result<(String, &'static str), Wrong> {
        if let Some(found) =
            self.of_trace(key, |inner, key| inner.compare(key, op, value, negated))?
        {
            return Ok(found);
        }
        let Meaning { sql, kind, is } = self.meaning(key);
        let condition = match op {
            Op::Match | Op::NoMatch => {
                let pattern = regex(value)?;
                let text = match kind {
                    Reads::Text | Reads::Any => sql,
                    Reads::Id(_) => format!("hex({sql})"),
                    _ => format!("{sql}::text"),
                };
                let matched = format!("regexp_like({text}, {pattern})");
                return Ok((negated_if(negated != (op == Op::NoMatch), matched), is));
            }
            Op::Eq | Op::Ne if kind == Reads::Level => {
                let (first, last) = level(value)?;
                let within = format!("{sql} BETWEEN {first} AND {last}");
                return Ok((negated_if(negated != (op == Op::Ne), within), is));
            }
            Op::Eq | Op::Ne => {
                let (sql, value) = operands(sql, kind, value, false, self.setting.now_ns)?;
                let equal = negated == (op == Op::Ne);
                let op = if equal { "=" } else { "IS DISTINCT FROM" };
                return Ok((format!("{sql} {op} {value}"), is));
            }
            Op::Gt | Op::Ge | Op::Lt | Op::Le if kind == Reads::Level => {
                let (first, last) = level(value)?;
                let bound = if matches!(op, Op::Gt | Op::Le) { last } else { first };
                format!("{sql} {} {bound}", op.sql())
            }
            Op::Gt | Op::Ge | Op::Lt | Op::Le => {
                let (sql, value) = operands(sql, kind, value, true, self.setting.now_ns)?;
                format!("{sql} {} {value}", op.sql())
            }
        };
        Ok((negated_if(negated, condition), is))
    }

    fn one_of(
        &mut self,
        key: &Name,
        values: &[Value],
        negated: bool,
    ) -> Result<(String, &'static str), Wrong> {
        if let Some(found) = self.of_trace(key, |inner, key| inner.one_of(key, values, negated))? {
            return Ok(found);
        }
        let Meaning { sql, kind, is } = self.meaning(key);
        if kind == Reads::Level {
            let level = |value| {
                level(value).map(|(first, last)| format!("{sql} BETWEEN {first} AND {last}"))
            };
            let each: Result<Vec<String>, Wrong> = values.iter().map(level).collect();
            return Ok((negated_if(negated, format!("({})", each?.join(" OR "))), is));
        }
        let now_ns = self.setting.now_ns;
        let operand = |value| operands(sql.clone(), kind, value, false, now_ns).map(|(_, v)| v);
        let values: Result<Vec<String>, Wrong> = values.iter().map(operand).collect();
        Ok((negated_if(negated, format!("{sql} IN ({})", values?.join(", "))), is))
    }

    fn has(&mut self, key: &Name, negated: bool) -> Result<(String, &'static str), Wrong> {
        if let Some(found) = self.of_trace(key, |inner, key| inner.has(key, negated))? {
            return Ok(found);
        }
        let Meaning { sql, is, .. } = self.meaning(key);
        // As text: a value of another type than the listed one is there as well.
        let sql = if matches!(is, "attribute" | "resource") { format!("{sql}::text") } else { sql };
        let not = if negated { "" } else { "NOT " };
        Ok((format!("{sql} IS {not}NULL"), is))
    }

    /// Contained in what a row of the table says of itself, without regard to case.
    fn contains(&self, text: &str) -> String {
        let column = match self.over {
            Over::Spans => c::NAME,
            Over::Traces => "root_name",
            Over::Logs => c::BODY,
            Over::Metrics => c::METRIC,
        };
        format!("strpos(lower({column}), {}) > 0", quoted(&text.to_lowercase()))
    }

    /// The key as the first of: short word, column, semantic column, attribute of the record, of the
    /// resource. A prefix decides.
    fn meaning(&mut self, key: &Name) -> Meaning {
        let name = key.text.as_str();
        for (prefix, source) in [
            ("attributes.", Source::Record),
            ("resource.", Source::Resource),
            ("scope.", Source::Scope),
        ] {
            if let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                return attribute(source, rest);
            }
        }
        if let Some((_, key)) = SHORT_OF_RESOURCE.iter().find(|(word, _)| *word == name) {
            return attribute(Source::Resource, key);
        }
        if self.over == Over::Traces && name == STATUS {
            let sql = "CASE WHEN is_error THEN 'error' ELSE 'ok' END".to_owned();
            return Meaning { sql, kind: Reads::Text, is: "column" };
        }
        let short: &[(&str, &str)] =
            if self.over == Over::Traces { &SHORT_OF_TRACES } else { &SHORT };
        let column = short.iter().find(|(word, _)| *word == name).map_or(name, |(_, name)| name);
        if let Some(kind) = self.column(column) {
            return Meaning { sql: column.to_owned(), kind, is: "column" };
        }
        if let Some(known) =
            semantic(column).filter(|s| self.over.tables().iter().all(|t| s.applies_to(*t)))
        {
            let kind = reads(known.value_type);
            return Meaning { sql: column.to_owned(), kind, is: "semantic" };
        }
        self.attribute_of_any(key)
    }

    fn column(&self, name: &str) -> Option<Reads> {
        let kind = match self.over {
            Over::Traces => TRACE_FACTS.iter().find(|d| d.name == name).map(|d| d.kind),
            over => {
                let tables = over.tables();
                let stored = tables[0].column(name).map(|column| column.kind);
                let everywhere = tables.iter().all(|table| table.column(name).is_some());
                let derived = || span_fact(name).filter(|_| over == Over::Spans).map(|d| d.kind);
                let end = || Computed::of(tables[0], name).filter(|_| tables.len() == 1);
                let computed = || end().map(|_| Kind::Time);
                stored.filter(|_| everywhere).or_else(derived).or_else(computed)
            }
        }?;
        Some(match kind {
            _ if name == c::SEVERITY_NUMBER => Reads::Level,
            _ if name.ends_with("_ns") => Reads::DurationNs,
            Kind::Id16 => Reads::Id(32),
            Kind::Id8 => Reads::Id(16),
            Kind::Time => Reads::Time,
            Kind::Int64 | Kind::Int32 | Kind::UInt64 | Kind::UInt32 => Reads::Int,
            Kind::Float64 => Reads::Double,
            Kind::Bool => Reads::Bool,
            kind if kind.is_primitive() => Reads::Text,
            // Lists have no comparison here; sql(…) reaches into them.
            _ => return None,
        })
    }

    fn attribute_of_any(&mut self, key: &Name) -> Meaning {
        let name = key.text.as_str();
        let keys = self.setting.keys;
        let (record, resource) = (keys.has(Owner::Record, name), keys.has(Owner::Resource, name));
        let mut warn = |message: String, near: Vec<String>| {
            self.warnings.push(FilterWarning {
                at: key.at as u64,
                length: name.chars().count() as u64,
                message,
                near,
            });
        };
        match (record, resource) {
            (true, true) => warn(
                format!(
                    "{name} is an attribute of records and of resources: write attributes.{name} or resource.{name}"
                ),
                Vec::new(),
            ),
            (false, false) => warn(format!("no row has the key {name}"), keys.near(name)),
            _ => {}
        }
        let source = if resource && !record { Source::Resource } else { Source::Record };
        attribute(source, name)
    }
}

fn attribute(source: Source, key: &str) -> Meaning {
    let column = source.column();
    let kind = match source.static_type(key) {
        ValueType::Text => Reads::Any,
        other => reads(other),
    };
    let is = if source == Source::Resource { "resource" } else { "attribute" };
    Meaning { sql: format!("{column}[{}]", quoted(key)), kind, is }
}

fn reads(value_type: ValueType) -> Reads {
    match value_type {
        ValueType::Text => Reads::Text,
        ValueType::Int => Reads::Int,
        ValueType::Double => Reads::Double,
        ValueType::Bool => Reads::Bool,
    }
}

/// Rows without the key do not meet a condition, so its negation keeps them.
fn negated_if(negated: bool, condition: String) -> String {
    if negated { format!("NOT coalesce({condition}, FALSE)") } else { condition }
}

/// Both sides of a comparison, of the same type; `ordered` comparisons read numbers from attributes.
fn operands(
    sql: String,
    kind: Reads,
    value: &Value,
    ordered: bool,
    now_ns: i64,
) -> Result<(String, String), Wrong> {
    let text = value.text.as_str();
    let wrong = |what: &str| Err(Wrong::new(value.at, format!("`{text}` is no {what}")));
    let literal = match kind {
        Reads::Text => quoted(text),
        Reads::Any => match number(text).filter(|_| ordered && !value.is_quoted) {
            Some(number) => return Ok((format!("{sql}::double"), format!("{number:?}"))),
            None => quoted(text),
        },
        Reads::Int | Reads::Double => match number(text) {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 9e15 => format!("{whole:.0}"),
            Some(number) => format!("{number:?}"),
            // Attributes hold what clients send.
            None if sql.ends_with(']') => return Ok((format!("{sql}::text"), quoted(text))),
            None => return wrong("number"),
        },
        Reads::Bool => match text {
            "true" | "1" | "yes" => "TRUE".to_owned(),
            "false" | "0" | "no" => "FALSE".to_owned(),
            _ => return wrong("truth: write true or false"),
        },
        Reads::Time => match time::parse(text, now_ns) {
            Ok(ns) => time::sql_literal(ns),
            Err(error) => return Err(Wrong::new(value.at, error.to_string())),
        },
        Reads::DurationNs => match duration_ns(text) {
            Some(ns) => ns.to_string(),
            None => return wrong("duration: write a number and a unit, such as 250ms"),
        },
        Reads::Id(digits) => {
            let text = text.to_lowercase();
            let is_hex = match digits {
                32 => ids::parse_hex::<16>(text.as_bytes()).is_some(),
                _ => ids::parse_hex::<8>(text.as_bytes()).is_some(),
            };
            if !is_hex {
                return wrong(&format!("id: {digits} hex digits are needed"));
            }
            quoted(&text)
        }
        Reads::Level => level(value)?.0.to_string(),
    };
    Ok((sql, literal))
}

/// A number, with a unit of bytes where it has one.
fn number(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 4] = [("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
    let unit = UNITS.iter().find(|(unit, _)| {
        text.len() > unit.len()
            && text.is_char_boundary(text.len() - unit.len())
            && text[text.len() - unit.len()..].eq_ignore_ascii_case(unit)
    });
    let (digits, scale) = match unit {
        Some((unit, scale)) => (&text[..text.len() - unit.len()], *scale),
        None => (text, 1.0),
    };
    // `inf` and `nan` are texts here.
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    digits.parse::<f64>().ok().filter(|n| is_number && n.is_finite()).map(|n| n * scale)
}

/// `250ms`, `1.5s`, `1h30m`, and a bare number of nanoseconds.
fn duration_ns(text: &str) -> Option<i64> {
    if let Ok(ns) = text.parse::<i64>() {
        return Some(ns);
    }
    if let Ok(length) = time::duration(text) {
        return i64::try_from(length.as_nanos()).ok();
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let one = time::duration(&format!("1{}", &text[digits.len()..])).ok()?;
    let count = digits.parse::<f64>().ok().filter(|count| count.is_finite())?;
    let ns = count * one.as_nanos() as f64;
    (ns.abs() < 9.2e18).then_some(ns.round() as i64)
}

/// First and last number of a severity.
fn level(value: &Value) -> Result<(i64, i64), Wrong> {
    let text = value.text.to_lowercase();
    if let Ok(number) = text.parse::<i64>() {
        return Ok((number, number));
    }
    let named = LEVELS.iter().find(|(name, _)| {
        *name == text
            || (text.len() == 1 && name.starts_with(&text))
            || (text == "warning" && *name == "warn")
    });
    named.map(|(_, first)| (*first, first + 3)).ok_or_else(|| {
        let known = LEVELS.map(|(name, _)| name).join(", ");
        Wrong::new(value.at, format!("`{}` is no level: there are {known}", value.text))
    })
}

/// A regular expression as a literal, refused here where it would fail in every row.
fn regex(value: &Value) -> Result<String, Wrong> {
    match Regex::new(&value.text) {
        Ok(_) => Ok(quoted(&value.text)),
        Err(error) => {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().trim();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            Err(Wrong::new(value.at, format!("no regular expression: {last}")))
        }
    }
}

/// An expression of SQL that cannot change what stands around it.
fn expression(text: &Name) -> Result<String, Wrong> {
    guard_condition(&text.text, &GuardLimits::default()).map_err(|error| {
        let column = error.0.column.filter(|_| error.0.line == Some(1)).unwrap_or(1);
        let within = usize::try_from(column).unwrap_or(1).saturating_sub(1);
        Wrong::new(text.at + within, error.0.message)
    })?;
    Ok(format!("({})", text.text))
}

/// Whether traces have a column of that name or short word.
pub(super) fn is_of_traces(name: &str) -> bool {
    name == STATUS
        || SHORT_OF_TRACES.iter().any(|(word, _)| *word == name)
        || TRACE_FACTS.iter().any(|fact| fact.name == name)
}
