//! The gate in front of the planner: text, tokens, kind of statement, size. Every door calls
//! [`guard`] and plans only what it returns.
//!
//! Planning recurses over the syntax tree, cannot be cancelled and multiplies CTEs, so short texts
//! can end the process (`1+1+…`, CTEs that use the one before twice). Two passes stop them:
//!
//! 1. Over the tokens, before the parser: no run of operators may be long. sqlparser's own limit
//!    sees parentheses but not flat chains, and walking or dropping a deep tree recurses too.
//! 2. Over the tree: exact depth, nodes, joins and set operations, where a reference to a CTE
//!    counts as the whole CTE. Sums saturate, nothing is expanded.
//!
//! Call it on a thread with at least 16 MiB of stack and drop its result there, too.

mod size;
#[cfg(test)]
mod tests;
mod tokens;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{DescribeAlias, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::QueryError;
use crate::limits::GuardLimits;

/// sqlparser's limit on nested parentheses, sub-queries and prefix operators.
const RECURSION_LIMIT: usize = 50;

/// The one statement of `sql`, if it is of a kind and a size that may be planned.
///
/// # Errors
/// `too_large`, `syntax` or `not_allowed`, each with the limit or rule by name.
pub(crate) fn guard(sql: &str, limits: &GuardLimits) -> Result<Statement, QueryError> {
    if sql.len() > limits.text_bytes {
        return Err(QueryError::too_large(
            "text_bytes",
            sql.len() as u64,
            limits.text_bytes as u64,
        ));
    }
    let dialect = GenericDialect {};
    let tokens = tokens::tokenize(sql, &dialect)?;
    tokens::check(&tokens, limits)?;
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(RECURSION_LIMIT)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| QueryError::from_datafusion(error, sql))?;
    let statement = match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => return Err(QueryError::syntax("the statement is empty")),
        (Some(_), more) => {
            return Err(QueryError::not_allowed(format!("{} statements in one text", more + 1))
                .with_hint("send one statement a request"));
        }
    };
    size::check(readable(&statement)?, limits)?;
    Ok(statement)
}

/// Checks a condition that will stand in a statement, so that it cannot change what stands around it
/// and may be parsed by itself. On tokens alone: any thread's stack will do.
///
/// # Errors
/// `too_large` or `syntax`, with the position in the condition.
pub(crate) fn guard_condition(text: &str, limits: &GuardLimits) -> Result<(), QueryError> {
    let dialect = GenericDialect {};
    tokens::check_condition(&tokens::tokenize(text, &dialect)?, limits)
}

/// The statement inside EXPLAIN, if any; refuses whatever may not run. What is not named here is
/// refused, so that a kind added by a later parser is not allowed by accident.
fn readable(statement: &Statement) -> Result<&SqlStatement, QueryError> {
    match statement {
        Statement::Statement(inner) => readable_sql(inner),
        // EXPLAIN of EXPLAIN does not get past the tokens, so this recurses once.
        Statement::Explain(explain) => readable(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn readable_sql(statement: &SqlStatement) -> Result<&SqlStatement, QueryError> {
    match statement {
        SqlStatement::Query(_)
        | SqlStatement::ExplainTable { describe_alias: DescribeAlias::Describe, .. }
        | SqlStatement::ExplainTable { describe_alias: DescribeAlias::Desc, .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowFunctions { .. } => Ok(statement),
        SqlStatement::Explain { statement, .. } => readable_sql(statement),
        _ => Err(refused("this kind of statement")),
    }
}

/// The refusal of a kind of statement.
fn refused(what: &str) -> QueryError {
    QueryError::not_allowed(format!("{what} is not allowed: SQL is read-only here"))
        .with_hint("use SELECT, WITH, VALUES, EXPLAIN, DESCRIBE, SHOW TABLES, COLUMNS or FUNCTIONS")
}
