//! Reads the files of a job and sorts their rows together.

use std::fs::File;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use schemas::attributes::promoted_column;
use schemas::{Keys, Table};
use storage::{DataFile, sort_rows};

use crate::CompactError;
use crate::plan::Job;

#[cfg(test)]
mod tests;

/// Rows the reader decodes at a time.
const BATCH_ROWS: usize = 8_192;

/// All rows of a job in the table's order, with what is known of their keys.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) rows: RecordBatch,
    pub(crate) keys: Keys,
}

/// Reads and sorts. The job's limits bound what is in memory.
pub(crate) fn merge(job: &Job) -> Result<Merged, CompactError> {
    let mut batches = Vec::new();
    let mut keys = Keys::default();
    for input in &job.inputs {
        let rows = read(job.table, input).map_err(|cause| CompactError::Read {
            file: input.name.clone(),
            cause: cause.to_string(),
        })?;
        batches.extend(rows);
        keys.merge(&input.keys);
    }
    Ok(Merged { rows: sort_rows(job.table, &batches)?, keys })
}

/// A file's rows in the shape of live batches.
fn read(table: Table, input: &DataFile) -> Result<Vec<RecordBatch>, Box<dyn std::error::Error>> {
    let file = File::open(&input.path)?;
    let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let fields = stored.schema().fields().iter().map(|field| live_field(table, field));
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        Default::default(),
    )));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options)?;
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BATCH_ROWS)
        .build()?
        .map(|batch| batch.map_err(Into::into))
        .collect()
}

/// The type a file's column has in memory: the table's, the promoted key's, else the file's own
/// with text as views.
fn live_field(table: Table, stored: &FieldRef) -> Field {
    if let Some(column) = table.column(stored.name()) {
        return column.field();
    }
    if let Some(promoted) = promoted_column(stored.name()) {
        return promoted.field();
    }
    match stored.data_type() {
        DataType::Utf8 => stored.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => stored.as_ref().clone(),
    }
}
