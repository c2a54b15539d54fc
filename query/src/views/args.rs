//! The arguments of a view: positional constants, each refused with what it should be.

use api::time;
use datafusion::catalog::Session;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use schemas::{columns as c, ids};
use std::ops::ControlFlow;

use crate::guard::guard_condition;
use crate::traces::{EARLY_NS_MAX, TRACE_NS_MAX, now_ns, root_start};
use crate::{GuardLimits, QueryError};

/// Arguments that are read one after the other.
pub(crate) struct Args<'a> {
    usage: String,
    exprs: std::slice::Iter<'a, Expr>,
    now_ns: i64,
    next: usize,
}

/// A range of time, `from` inclusive and `to` exclusive; open where absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Range {
    /// The condition on the roots of traces.
    pub(super) fn of_roots(&self) -> String {
        self.of(root_start())
    }

    /// The condition on a time column; `TRUE` where the range is open.
    pub(super) fn of(&self, column: &str) -> String {
        let from = self.from.map(|ns| format!("{column} >= {}", time::sql_literal(ns)));
        let to = self.to.map(|ns| format!("{column} < {}", time::sql_literal(ns)));
        let bounds: Vec<String> = from.into_iter().chain(to).collect();
        if bounds.is_empty() { "TRUE".to_owned() } else { bounds.join(" AND ") }
    }

    /// The condition that a trace of the range has a span for which one holds; `TRUE` without one.
    pub(super) fn of_traces_with(&self, condition: Option<&str>) -> String {
        let Some(condition) = condition else { return "TRUE".to_owned() };
        let near = self.widened(EARLY_NS_MAX, TRACE_NS_MAX).of(c::START_TIME);
        format!("trace_id IN (SELECT trace_id FROM spans WHERE {near} AND {condition})")
    }

    /// The range with some time more before and after it.
    pub(super) fn widened(&self, before_ns: i64, after_ns: i64) -> Range {
        Range {
            from: self.from.map(|ns| ns.saturating_sub(before_ns)),
            to: self.to.map(|ns| ns.saturating_add(after_ns)),
        }
    }

    /// Length in seconds, where both ends are given.
    pub(super) fn seconds(&self) -> Option<f64> {
        Some((self.to? - self.from?) as f64 / 1e9)
    }
}

impl<'a> Args<'a> {
    pub(super) fn of(
        name: &str,
        usage: &str,
        exprs: &'a [Expr],
        session: &dyn Session,
    ) -> Args<'a> {
        let usage = format!("{name}({usage})");
        Args { usage, exprs: exprs.iter(), now_ns: now_ns(session), next: 0 }
    }

    /// No argument may be left.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.exprs.next() {
            None => Ok(()),
            Some(_) => Err(self.refused(format!("{} arguments are too many", self.next + 1))),
        }
    }

    /// Two times.
    pub(super) fn range(&mut self) -> Result<Range> {
        let range = Range { from: self.time()?, to: self.time()? };
        match (range.from, range.to) {
            (Some(from), Some(to)) if from >= to => Err(self.refused(format!(
                "the range is empty: it ends at {} and begins at {}",
                time::format(to),
                time::format(from)
            ))),
            _ => Ok(range),
        }
    }

    /// A time, or NULL for the edge of the data; may be left out.
    fn time(&mut self) -> Result<Option<i64>> {
        let Some(value) = self.value()? else { return Ok(None) };
        use ScalarValue as S;
        let scaled = |value: Option<i64>, by: i64| value.and_then(|v| v.checked_mul(by));
        match value {
            S::TimestampNanosecond(ns, _) => Ok(ns),
            S::TimestampMicrosecond(us, _) => Ok(scaled(us, 1_000)),
            S::TimestampMillisecond(ms, _) => Ok(scaled(ms, 1_000_000)),
            S::TimestampSecond(s, _) => Ok(scaled(s, 1_000_000_000)),
            S::Date32(days) => Ok(scaled(days.map(i64::from), 86_400_000_000_000)),
            S::Utf8(Some(text)) | S::Utf8View(Some(text)) | S::LargeUtf8(Some(text)) => {
                let ago = text.trim().strip_prefix('-').unwrap_or(&text);
                let ns = time::parse(ago, self.now_ns);
                ns.map(Some).map_err(|e| self.wrong(&e.to_string()))
            }
            other => {
                Err(self
                    .wrong(&format!("{other} is no time; write `'-15m'`, a timestamp, or NULL")))
            }
        }
    }

    /// A text; NULL and left out are `None`.
    pub(super) fn text(&mut self) -> Result<Option<String>> {
        use ScalarValue as S;
        match self.value()? {
            None => Ok(None),
            Some(S::Utf8(text) | S::Utf8View(text) | S::LargeUtf8(text)) => Ok(text),
            Some(other) => Err(self.wrong(&format!("{other} is no text"))),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, what: &str) -> Result<String> {
        self.text()?.ok_or_else(|| self.wrong(&format!("{what} is needed")))
    }

    /// True or false; false when left out.
    pub(super) fn flag(&mut self) -> Result<bool> {
        match self.value()? {
            None => Ok(false),
            Some(ScalarValue::Boolean(Some(flag))) => Ok(flag),
            Some(other) => Err(self.wrong(&format!("{other} is neither true nor false"))),
        }
    }

    /// A number; NULL and left out are `None`.
    pub(super) fn number(&mut self) -> Result<Option<f64>> {
        let Some(value) = self.value()? else { return Ok(None) };
        match value.cast_to(&arrow_schema::DataType::Float64) {
            Ok(ScalarValue::Float64(number)) if value.data_type().is_numeric() => Ok(number),
            _ => Err(self.wrong(&format!("{value} is no number"))),
        }
    }

    /// A trace id, as its hex digits.
    pub(super) fn trace_id(&mut self) -> Result<String> {
        let text = match self.value()? {
            Some(ScalarValue::FixedSizeBinary(16, Some(bytes))) => {
                <[u8; 16]>::try_from(bytes).map(|id| ids::hex(&id)).unwrap_or_default()
            }
            Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => text,
            _ => String::new(),
        };
        match ids::parse_hex::<16>(text.as_bytes()) {
            Some(id) => Ok(ids::hex(&id)),
            None => Err(self.wrong(&format!("`{text}` is no trace id: 32 hex digits are needed"))),
        }
    }

    /// A condition over the columns of `spans`, as SQL in parentheses; may be left out.
    pub(super) fn condition(&mut self) -> Result<Option<String>> {
        let Some(text) = self.text()? else { return Ok(None) };
        condition(&text).map(Some).map_err(|why| self.wrong(&why))
    }

    /// The next argument as a constant; `None` for NULL and past the end.
    fn value(&mut self) -> Result<Option<ScalarValue>> {
        self.next += 1;
        match self.exprs.next() {
            None => Ok(None),
            Some(Expr::Literal(value, _)) if value.is_null() => Ok(None),
            Some(Expr::Literal(value, _)) => Ok(Some(value.clone())),
            Some(other) => Err(self.wrong(&format!(
                "`{other}` is no constant; columns and sub-queries cannot be arguments"
            ))),
        }
    }

    /// The last argument read is wrong.
    pub(super) fn wrong(&self, why: &str) -> DataFusionError {
        self.refused(format!("argument {}: {why}", self.next))
    }

    fn refused(&self, why: String) -> DataFusionError {
        let error = QueryError::invalid(format!("{}: {why}", self.usage))
            .with_hint("docs/sql/views.md has every view with an example");
        DataFusionError::External(Box::new(error))
    }
}

/// A condition as SQL in parentheses: one expression without sub-queries.
///
/// # Errors
/// Why the text is none.
fn condition(text: &str) -> std::result::Result<String, String> {
    let fail = |error: &dyn std::fmt::Display| format!("`{text}` is no condition: {error}");
    // To the guard of the statement the condition was one text.
    guard_condition(text, &GuardLimits::default()).map_err(|e| fail(&e))?;
    let dialect = GenericDialect {};
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(50).try_with_sql(text).map_err(|e| fail(&e))?;
    let expr = parser.parse_expr().map_err(|e| fail(&e))?;
    if parser.peek_token().token != Token::EOF {
        return Err(fail(&format!("it ends before `{}`", parser.peek_token())));
    }
    let nested = visit_expressions(&expr, |expr| match expr {
        SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if nested.is_break() {
        return Err(fail(&"a sub-query cannot stand in it"));
    }
    Ok(format!("({expr})"))
}

/// A text as a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
