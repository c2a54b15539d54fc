//! The rows of a merge are the rows of its inputs, no more and no fewer, or it is refused.
//!
//! Figures that sorting cannot change are compared: the number of rows, the range of their times,
//! and of each column the number of nulls. Those of the inputs are the catalog's, those of the
//! output come from the file as written, so that a fault in reading, sorting or writing shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::DataFile;

use crate::CompactError;

#[cfg(test)]
mod tests;

/// Refuses an output that is not made of exactly these inputs.
pub(crate) fn check(inputs: &[Arc<DataFile>], output: &DataFile) -> Result<(), CompactError> {
    let same = |what: &str, merged: i128, inputs: i128| {
        if merged == inputs {
            return Ok(());
        }
        let (table, what) = (output.table.name(), what.to_owned());
        Err(CompactError::NotConserved { table, what, merged, inputs })
    };
    let first = inputs.iter().map(|f| i128::from(f.min_time_ns)).min().unwrap_or_default();
    let last = inputs.iter().map(|f| i128::from(f.max_time_ns)).max().unwrap_or_default();
    same(
        "the number of rows",
        output.rows.into(),
        inputs.iter().map(|f| i128::from(f.rows)).sum(),
    )?;
    same("the earliest time", output.min_time_ns.into(), first)?;
    same("the latest time", output.max_time_ns.into(), last)?;
    for column in columns(inputs, output) {
        let expected: Option<i128> = inputs.iter().map(|f| nulls(f, column)).sum();
        if let (Some(merged), Some(expected)) = (nulls(output, column), expected) {
            same(&format!("the number of nulls of {column}"), merged, expected)?;
        }
    }
    Ok(())
}

fn columns<'a>(inputs: &'a [Arc<DataFile>], output: &'a DataFile) -> BTreeSet<&'a String> {
    inputs.iter().flat_map(|f| f.columns.keys()).chain(output.columns.keys()).collect()
}

/// A column that a file lacks is null in all its rows. `None` when the file does not tell.
fn nulls(file: &DataFile, column: &str) -> Option<i128> {
    file.columns.get(column).map_or(Some(file.rows), |facts| facts.nulls).map(i128::from)
}
