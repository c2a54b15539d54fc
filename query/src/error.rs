//! Why a query was refused or failed: problem details with a stable code, a position and a hint.
//!
//! Every message a client sees passes through here, so this is where paths, backtraces and the
//! engine's inner words are kept back.

mod suggest;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::sql::Problem;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

/// A refused or failed query: problem details with code, position, hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct QueryError(pub Problem);

/// Kinds of failure: the stable code and the HTTP status (reliability.md section 6).
macro_rules! kinds {
    ($($name:ident $code:literal $status:literal $doc:literal),* $(,)?) => {
        impl QueryError {$(
            #[doc = $doc]
            pub fn $name(message: impl Into<String>) -> QueryError {
                QueryError::new($code, $status, message.into())
            }
        )*}
    };
}

kinds! {
    syntax "syntax" 400 "The text is not SQL.",
    unknown_column "unknown_column" 400 "A name that is no column of the tables at hand.",
    unknown_table "unknown_table" 400 "A name that is no table.",
    unknown_function "unknown_function" 400 "A name that is no function.",
    invalid "invalid" 400 "SQL that parses and means nothing: types, arguments, grouping.",
    not_allowed "not_allowed" 400 "A statement or function that is refused on purpose.",
    limit "limit" 422 "Memory, spill or scan limit: the statement must be narrowed.",
    failed "failed" 422 "The data does not allow it: overflow, division by zero, a cast.",
    timeout "timeout" 504 "The time limit passed.",
    cancelled "cancelled" 499 "Cancelled by id, or the client went away.",
    unknown_parameter "unknown_parameter" 400 "A parameter that the endpoint does not take.",
    unknown_query "unknown_query" 404 "No running query has the id.",
    unknown_path "unknown_path" 404 "The server has no such path.",
    forbidden "forbidden" 403 "The door refuses the caller: host, origin.",
    unsupported "unsupported" 415 "A body or format the door does not speak.",
    internal "internal" 500 "A fault of ours; details are in the log.",
}

impl QueryError {
    fn new(code: &str, status: u16, message: String) -> QueryError {
        QueryError(Problem { code: code.into(), status, message, ..Problem::default() })
    }

    /// A limit on text or plan size is exceeded.
    pub fn too_large(limit: &str, used: u64, most: u64) -> QueryError {
        let message = format!("the statement is over the limit {limit}: {used}, allowed {most}");
        QueryError::new("too_large", 400, message)
            .with_hint("SELECT * FROM system.limits lists all")
    }

    /// The body of a request is over its limit.
    pub fn body_too_large(most_bytes: usize) -> QueryError {
        let message = format!("the request body is over the limit body_bytes, {most_bytes}");
        QueryError::new("too_large", 413, message).with_hint("a statement has at most 64 KiB")
    }

    /// Too many queries run or wait.
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> QueryError {
        QueryError::new("overloaded", 429, message.into()).retry_after(retry_after)
    }

    /// Shutting down, or out of memory as a whole.
    pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> QueryError {
        QueryError::new("unavailable", 503, message.into()).retry_after(retry_after)
    }

    fn retry_after(mut self, delay: Duration) -> QueryError {
        // Never 0: a client would come back at once.
        self.0.retry_after_s = Some(u32::try_from(delay.as_secs()).unwrap_or(u32::MAX).max(1));
        self
    }

    /// Says what to do; replaces an earlier hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> QueryError {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the nearest of the known names, else all of them.
    #[must_use]
    pub(crate) fn did_you_mean(self, name: &str, known: &[&str]) -> QueryError {
        match suggest::nearest(name, known.iter().copied()) {
            Some(near) => self.with_hint(format!("did you mean {near}?")),
            None => self.with_hint(format!("known are {}", known.join(", "))),
        }
    }

    /// Says where, from 1. Line 0 means unknown and is left out.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> QueryError {
        if line > 0 {
            self.0.line = Some(line);
            self.0.column = Some(column);
        }
        self
    }

    /// A DataFusion error in words for the client: kind, position, one hint. What may hold paths or
    /// inner state goes to the log and not into the message.
    pub fn from_datafusion(error: DataFusionError, sql: &str) -> QueryError {
        let found = classify(root(&error), error.diagnostic(), sql);
        if found.0.status == 500 {
            tracing::error!(error = %error.strip_backtrace(), "query failed inside the engine");
        }
        match error.diagnostic().and_then(|d| d.span) {
            Some(span) => found.at(span.start.line, span.start.column),
            None => found,
        }
    }
}

/// The innermost error that says something: contexts, diagnostics and shared errors peeled off.
/// One of ours inside `External` is found by [`classify`].
fn root(error: &DataFusionError) -> &DataFusionError {
    let mut inner = error;
    // Chains are a few links long; the bound is against a cycle of shared errors.
    for _ in 0..64 {
        inner = match inner {
            DataFusionError::Context(_, next) | DataFusionError::Diagnostic(_, next) => next,
            DataFusionError::Shared(next) => next,
            DataFusionError::Collection(all) => match all.first() {
                Some(first) => first,
                None => return inner,
            },
            DataFusionError::External(boxed) => match boxed.downcast_ref::<DataFusionError>() {
                Some(next) => next,
                None => return inner,
            },
            _ => return inner,
        };
    }
    inner
}

fn classify(error: &DataFusionError, diagnostic: Option<&Diagnostic>, sql: &str) -> QueryError {
    match error {
        DataFusionError::SQL(parser, _) => from_parser(parser),
        DataFusionError::SchemaError(schema, _) => from_schema(schema, sql),
        DataFusionError::Plan(message) => from_plan(message, diagnostic),
        DataFusionError::NotImplemented(message) => {
            QueryError::invalid(format!("not supported: {}", first_line(message)))
        }
        DataFusionError::Configuration(message) => QueryError::not_allowed(first_line(message)),
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::Execution(message) => QueryError::failed(first_line(message)),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
        DataFusionError::External(boxed) => match boxed.downcast_ref::<QueryError>() {
            Some(ours) => ours.clone(),
            None => broken(),
        },
        _ => broken(),
    }
}

fn broken() -> QueryError {
    QueryError::internal("the engine failed on this statement")
        .with_hint("the server's log has the details; please report the statement")
}

fn exhausted(message: &str) -> QueryError {
    tracing::debug!(message, "a query ran into its limit");
    // A want of memory names consumers that can spill.
    let what = if message.contains("disk") { "spill" } else { "memory" };
    QueryError::limit(format!("the query needs more {what} than it may use"))
        .with_hint("narrow the time range, group by fewer values, or add a LIMIT")
}

fn from_arrow(error: &arrow_schema::ArrowError) -> QueryError {
    use arrow_schema::ArrowError as E;
    match error {
        E::CastError(_) | E::ParseError(_) | E::ComputeError(_) | E::InvalidArgumentError(_) => {
            QueryError::failed(first_line(&error.to_string()))
        }
        E::DivideByZero => QueryError::failed("division by zero")
            .with_hint("divide by nullif(x, 0) to get NULL instead"),
        E::ArithmeticOverflow(_) => QueryError::failed(first_line(&error.to_string()))
            .with_hint("cast to double or decimal first"),
        E::MemoryError(_) | E::OffsetOverflowError(_) => exhausted("memory"),
        E::ExternalError(boxed) => match boxed.downcast_ref::<QueryError>() {
            Some(ours) => ours.clone(),
            None => broken(),
        },
        _ => broken(),
    }
}

fn from_parser(error: &ParserError) -> QueryError {
    match error {
        ParserError::RecursionLimitExceeded => {
            QueryError::new("too_large", 400, "parentheses and sub-queries nest too deeply".into())
                .with_hint("at most 50 levels; move inner queries to WITH")
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (message, position) = split_position(message);
            let (line, column) = position.unwrap_or((0, 0));
            QueryError::syntax(message).at(line, column)
        }
    }
}

/// sqlparser ends its messages with ` at Line: 1, Column: 8`.
fn split_position(message: &str) -> (String, Option<(u64, u64)>) {
    let parse = || {
        let (text, position) = message.rsplit_once(" at Line: ")?;
        let (line, column) = position.split_once(", Column: ")?;
        Some((text, (line.parse().ok()?, column.trim_end().parse().ok()?)))
    };
    match parse() {
        Some((text, position)) => (text.to_owned(), Some(position)),
        None => (first_line(message), None),
    }
}

fn from_schema(error: &SchemaError, sql: &str) -> QueryError {
    let SchemaError::FieldNotFound { field, valid_fields } = error else {
        return QueryError::invalid(first_line(&error.to_string()))
            .with_hint("write the table before the column, or give columns names with AS");
    };
    let name = field.name();
    let message = match &field.relation {
        Some(relation) => format!("no column \"{name}\" in {relation}"),
        None => format!("no column \"{name}\""),
    };
    let names = valid_fields.iter().map(|f| f.name());
    let found = QueryError::unknown_column(message);
    if let Some(near) = suggest::nearest(name, names) {
        return found.with_hint(format!("did you mean {}?", suggest::quoted(near)));
    }
    if name.contains('.') || sql.contains(&format!("\"{name}\"")) {
        return found.with_hint(format!(
            "attributes are written attributes['{name}'], texts in single quotes: '{name}'"
        ));
    }
    found.with_hint("DESCRIBE the table to see its columns; attributes are attributes['key']")
}

fn from_plan(message: &str, diagnostic: Option<&Diagnostic>) -> QueryError {
    let line = first_line(message);
    if let Some(name) = between(&line, "Invalid function '", "'") {
        let found = QueryError::unknown_function(format!("no function {name}()"));
        return match between(message, "Did you mean '", "'") {
            Some(near) if suggest::is_near(name, near) => {
                found.with_hint(format!("did you mean {near}()?"))
            }
            _ => found.with_hint("SHOW FUNCTIONS lists all"),
        };
    }
    let lower = line.to_lowercase();
    let function = between(&lower, "table function '", "' not found");
    if let Some(name) = function {
        return QueryError::unknown_function(format!("no table function {name}()"));
    }
    if let Some(name) = between(&lower, "table '", "' not found") {
        return unknown_table(name);
    }
    // The parts of a name that SQLOptions refuses; the guard has refused most before.
    if line.contains("not supported: ") {
        return QueryError::not_allowed(line);
    }
    let error = QueryError::invalid(line);
    match diagnostic.and_then(|d| d.helps.first()) {
        Some(help) => error.with_hint(help.message.clone()),
        None => error,
    }
}

fn unknown_table(name: &str) -> QueryError {
    // Names come as catalog.schema.table; only what the user can write is shown.
    let short = name.rsplit('.').next().unwrap_or(name);
    let found = QueryError::unknown_table(format!("no table {short}"));
    match suggest::nearest(short, schemas::Table::ALL.iter().map(|t| t.name())) {
        Some(near) => found.with_hint(format!("did you mean {near}?")),
        None => found.with_hint("SHOW TABLES lists all"),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// The sentence that matters: DataFusion appends candidates, backtraces and pleas to report bugs.
fn first_line(message: &str) -> String {
    let text = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let line = text.lines().next().unwrap_or_default().trim();
    line.strip_suffix('.').unwrap_or(line).chars().take(400).collect()
}
