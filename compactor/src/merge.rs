//! The rows of a job's files in the table's order, a batch at a time.
//!
//! The files are sorted, so a few rows of each are enough in memory: all rows up to the smallest of
//! the files' last keys there can be handed on, since whatever is still to be read comes behind.
//! Spans of a trace that was flushed in parts get the trace's one start first ([`starts`]).

use std::collections::VecDeque;
use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use schemas::attributes::promoted_column;
use schemas::{Keys, Table};
use storage::{DataFile, SortKey, sort_rows, union_schema};

use crate::CompactError;
use crate::merge::starts::Starts;
use crate::plan::Job;

mod starts;
#[cfg(test)]
mod tests;

/// Rows of a file that are decoded at a time.
const BATCH_ROWS: RangeInclusive<usize> = 64..=8_192;

/// All rows of a job in the table's order; its batches have one schema.
pub(crate) struct Merge {
    table: Table,
    schema: SchemaRef,
    starts: Starts,
    inputs: Vec<Input>,
    /// Rows of each file that are in memory before any are handed on. With fewer of one file than of
    /// the others each step would bring but these few.
    ahead_rows: usize,
}

/// A file that is being read.
struct Input {
    name: String,
    /// `None` once it is read to its end.
    reader: Option<ParquetRecordBatchReader>,
    /// Rows read and not handed on, none of the batches empty.
    head: VecDeque<RecordBatch>,
}

impl Merge {
    /// Opens the files of a job. About `rows_max` rows will be in memory at a time.
    pub(crate) fn open(job: &Job, rows_max: usize) -> Result<Merge, CompactError> {
        let files = job.inputs.iter().map(|file| Opened::new(job.table, file));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let empty: Vec<RecordBatch> = files
            .iter()
            .map(|file| RecordBatch::new_empty(Arc::clone(file.metadata.schema())))
            .collect();
        let schema = union_schema(job.table, &empty.iter().collect::<Vec<_>>());
        // A file is read on while it has fewer rows than a batch in memory.
        let batch_rows = rows_max / 2 / files.len().max(1);
        let batch_rows = batch_rows.clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end());
        let starts = match job.table {
            Table::Spans => Starts::read(&files, rows_max / 4)?,
            _ => Starts::default(),
        };
        let (table, inputs) = (job.table, Vec::new());
        let mut merge = Merge { table, schema, starts, inputs, ahead_rows: batch_rows };
        merge.inputs.extend(merge.moved(&files, batch_rows)?);
        for (at, file) in files.iter().enumerate() {
            let reader = Some(file.reader(batch_rows, merge.starts.staying(at, file.rows))?);
            merge.inputs.push(Input { name: file.name.clone(), reader, head: VecDeque::new() });
        }
        Ok(merge)
    }

    /// The rows that do not stay where they are in their files, sorted, as if they were a file.
    fn moved(&self, files: &[Opened], batch_rows: usize) -> Result<Option<Input>, CompactError> {
        let mut rows = Vec::new();
        for (at, file) in files.iter().enumerate() {
            if let Some(selection) = self.starts.moving(at, file.rows) {
                for batch in file.reader(batch_rows, Some(selection))? {
                    rows.push(self.shape(&batch.map_err(|cause| unreadable(&file.name, cause))?)?);
                }
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let head = VecDeque::from([sort_rows(self.table, &rows)?]);
        Ok(Some(Input { name: "rows of several files".to_owned(), reader: None, head }))
    }

    /// Rows with all columns of the merge and one start for each trace.
    fn shape(&self, rows: &RecordBatch) -> Result<RecordBatch, CompactError> {
        let column = |field: &FieldRef| match rows.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), rows.num_rows()),
        };
        let columns = self.schema.fields().iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let shaped = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        let shaped = shaped.map_err(|cause| unreadable("rows as read", cause))?;
        Ok(self.starts.apply(shaped))
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, CompactError> {
        for at in 0..self.inputs.len() {
            while self.inputs[at].rows() < self.ahead_rows
                && let Some(rows) = self.inputs[at].read()?
            {
                let rows = self.shape(&rows)?;
                self.inputs[at].head.push_back(rows);
            }
        }
        let lasts = self.inputs.iter().filter_map(|input| input.last(self.table).transpose());
        let lasts = lasts.collect::<Result<Vec<_>, _>>()?;
        let bound = lasts.iter().min();
        let mut ready = Vec::new();
        for input in &mut self.inputs {
            input.take(self.table, bound, &mut ready)?;
        }
        Ok((!ready.is_empty()).then(|| sort_rows(self.table, &ready)).transpose()?)
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, CompactError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Input {
    fn read(&mut self) -> Result<Option<RecordBatch>, CompactError> {
        let next = self.reader.as_mut().and_then(Iterator::next).transpose();
        let rows = next.map_err(|cause| unreadable(&self.name, cause))?;
        if rows.is_none() {
            self.reader = None;
        }
        Ok(rows)
    }

    fn rows(&self) -> usize {
        self.head.iter().map(RecordBatch::num_rows).sum()
    }

    /// The key that no row still to be read comes before; `None` when all are read.
    fn last(&self, table: Table) -> Result<Option<SortKey>, CompactError> {
        let rows = self.head.back().filter(|_| self.reader.is_some());
        Ok(rows.map(|rows| SortKey::of(table, rows, rows.num_rows() - 1)).transpose()?)
    }

    /// Takes the rows up to a key, or all.
    fn take(
        &mut self,
        table: Table,
        bound: Option<&SortKey>,
        ready: &mut Vec<RecordBatch>,
    ) -> Result<(), CompactError> {
        while let Some(rows) = self.head.pop_front() {
            let taken = match bound {
                Some(bound) => rows_up_to(table, &rows, bound)?,
                None => rows.num_rows(),
            };
            if taken > 0 {
                ready.push(rows.slice(0, taken));
            }
            if taken < rows.num_rows() {
                self.head.push_front(rows.slice(taken, rows.num_rows() - taken));
                break;
            }
        }
        Ok(())
    }
}

/// How many of the sorted rows do not come behind a key.
fn rows_up_to(table: Table, rows: &RecordBatch, bound: &SortKey) -> Result<usize, CompactError> {
    let (mut low, mut high) = (0, rows.num_rows());
    while low < high {
        let middle = low + (high - low) / 2;
        match SortKey::of(table, rows, middle)? <= *bound {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

/// A file whose footer is read, with its columns in the types of live batches.
struct Opened {
    name: String,
    rows: usize,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    fn new(table: Table, input: &DataFile) -> Result<Opened, CompactError> {
        let open = || -> Result<Opened, Box<dyn std::error::Error>> {
            let file = File::open(&input.path)?;
            let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
            let fields = stored.schema().fields().iter().map(|field| live_field(table, field));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let options = ArrowReaderOptions::new().with_schema(schema);
            let metadata = ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options)?;
            let rows = usize::try_from(metadata.metadata().file_metadata().num_rows())?;
            Ok(Opened { name: input.name.clone(), rows, file, metadata })
        };
        open().map_err(|cause| unreadable(&input.name, cause))
    }

    /// Reads all rows, or those selected.
    fn reader(
        &self,
        batch_rows: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader, CompactError> {
        self.build(batch_rows, selection, ProjectionMask::all())
    }

    fn build(
        &self,
        batch_rows: usize,
        selection: Option<RowSelection>,
        columns: ProjectionMask,
    ) -> Result<ParquetRecordBatchReader, CompactError> {
        let file = self.file.try_clone().map_err(|cause| unreadable(&self.name, cause))?;
        let metadata = self.metadata.clone();
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(batch_rows)
            .with_projection(columns);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|cause| unreadable(&self.name, cause))
    }
}

fn unreadable(file: &str, cause: impl std::fmt::Display) -> CompactError {
    CompactError::Read { file: file.to_owned(), cause: cause.to_string() }
}

/// Keys of all inputs.
pub(crate) fn keys(job: &Job) -> Keys {
    let mut keys = Keys::default();
    job.inputs.iter().for_each(|input| keys.merge(&input.keys));
    keys
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
