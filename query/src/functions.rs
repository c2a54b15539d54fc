//! SQL functions of our own, what of DataFusion's is capped, and what is removed.
//!
//! Definitions for users, with tested examples, stand in `docs/sql/functions.md`.

mod caps;
mod counter;
mod exemplars;
mod hist;
mod ids;
mod pattern;
mod sample;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Registers our functions, puts caps on DataFusion's and removes what shows the inside. To be
/// called when the builder has DataFusion's functions: of equal names the later one wins.
pub(crate) fn install(builder: &mut SessionStateBuilder) {
    let functions = builder.scalar_functions().get_or_insert_default();
    functions.retain(|f| !caps::REMOVED.contains(&f.name()));
    functions.extend(caps::capped());
    functions.extend(scalar());
    builder.aggregate_functions().get_or_insert_default().extend(aggregate());
}

/// Our scalar functions.
fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut all = time::scalar();
    all.extend(ids::scalar());
    all.extend(hist::scalar());
    all.extend(pattern::scalar());
    all
}

/// Our aggregate functions.
fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let mut all = hist::aggregate();
    all.extend(counter::aggregate());
    all.extend(exemplars::aggregate());
    all.extend(sample::aggregate());
    all
}

/// `hex(id)`, for rules that compare ids with text.
pub(crate) fn hex() -> Arc<ScalarUDF> {
    ids::hex()
}

/// DataFusion's `strpos`, for rules that build expressions.
pub(crate) fn strpos() -> Arc<ScalarUDF> {
    datafusion::functions::unicode::strpos()
}

/// DataFusion's `concat`, for rules that build expressions.
pub(crate) fn concat() -> Arc<ScalarUDF> {
    datafusion::functions::string::concat()
}

/// DataFusion's `split_part`, for rules that build expressions.
pub(crate) fn split_part() -> Arc<ScalarUDF> {
    datafusion::functions::string::split_part()
}
