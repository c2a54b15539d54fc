//! One start for each trace of a merge.
//!
//! A flush knows the earliest start of a trace's spans that it writes, and spans stand in a file by the
//! bucket of that start. Spans that were flushed apart so have several; a merge gives them the
//! earliest. Where it lies in another bucket, rows move: these are left out of their files and come in
//! as if they were one more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch, TimestampNanosecondArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use schemas::Table;
use schemas::columns as c;

use super::{Opened, unreadable};
use crate::CompactError;

/// Rows of the two columns that are decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// What is to be changed.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Traces that have several starts, and the earliest.
    earliest: HashMap<[u8; 16], i64>,
    /// Rows of each file that move, in their order.
    moving: Vec<Vec<Range<usize>>>,
}

/// Neighbouring rows of one trace and start.
struct Run {
    trace: [u8; 16],
    start_ns: i64,
    file: usize,
    rows: Range<usize>,
}

impl Starts {
    /// Looks at the starts of all rows. When more than `rows_max` would have to move none does: their
    /// traces keep several starts.
    pub(super) fn read(files: &[Opened], rows_max: usize) -> Result<Starts, CompactError> {
        let mut runs = Vec::new();
        for (at, file) in files.iter().enumerate() {
            read_runs(at, file, &mut runs)?;
        }
        Ok(Starts::of(runs, files.len(), rows_max))
    }

    fn of(mut runs: Vec<Run>, files: usize, rows_max: usize) -> Starts {
        runs.sort_unstable_by_key(|run| (run.trace, run.start_ns));
        let bucket_ns = Table::Spans.bucket_ns().unwrap_or(i64::MAX);
        let mut starts = Starts { earliest: HashMap::new(), moving: vec![Vec::new(); files] };
        let (mut displaced, mut moving_rows) = (Vec::new(), 0);
        for of_trace in runs.chunk_by(|a, b| a.trace == b.trace) {
            let [first, .., last] = of_trace else { continue };
            if first.start_ns == last.start_ns {
                continue;
            }
            starts.earliest.insert(first.trace, first.start_ns);
            let bucket = first.start_ns.div_euclid(bucket_ns);
            let moves = |run: &&Run| run.start_ns.div_euclid(bucket_ns) != bucket;
            if moves(&last) {
                displaced.push(first.trace);
            }
            for run in of_trace.iter().filter(moves) {
                moving_rows += run.rows.len();
                starts.moving[run.file].push(run.rows.clone());
            }
        }
        if moving_rows > rows_max {
            displaced.iter().for_each(|trace| {
                starts.earliest.remove(trace);
            });
            starts.moving.iter_mut().for_each(Vec::clear);
        }
        starts.moving.iter_mut().for_each(|ranges| ranges.sort_unstable_by_key(|r| r.start));
        starts
    }

    /// The rows of a file that move, if any do.
    pub(super) fn moving(&self, file: usize, rows: usize) -> Option<RowSelection> {
        let ranges = self.moving.get(file).filter(|ranges| !ranges.is_empty())?;
        Some(RowSelection::from_consecutive_ranges(ranges.iter().cloned(), rows))
    }

    /// The rows of a file that do not move, where that is not all of them.
    pub(super) fn staying(&self, file: usize, rows: usize) -> Option<RowSelection> {
        let ranges = self.moving.get(file).filter(|ranges| !ranges.is_empty())?;
        let ends = ranges.iter().map(|range| range.start).chain([rows]);
        let begins = [0].into_iter().chain(ranges.iter().map(|range| range.end));
        let between = begins.zip(ends).map(|(begin, end)| begin..end);
        Some(RowSelection::from_consecutive_ranges(between.filter(|r| !r.is_empty()), rows))
    }

    /// The rows with the earliest start of their trace.
    pub(super) fn apply(&self, rows: RecordBatch) -> RecordBatch {
        let index = match self.earliest.is_empty() {
            true => return rows,
            false => rows.schema().index_of(c::TRACE_START),
        };
        let (Ok(index), Some(traces)) = (index, rows.column_by_name(c::TRACE_ID)) else {
            return rows;
        };
        let traces = traces.as_fixed_size_binary();
        let stored = rows.column(index).as_primitive::<TimestampNanosecondType>();
        let start = |at: usize| match self.earliest.get(traces.value(at)) {
            Some(earliest) => Some(*earliest),
            None => stored.is_valid(at).then(|| stored.value(at)),
        };
        let starts: TimestampNanosecondArray = (0..rows.num_rows()).map(start).collect();
        let mut columns = rows.columns().to_vec();
        columns[index] = Arc::new(starts);
        // The same columns with other values of one cannot fail; the rows as they are would be right too.
        RecordBatch::try_new(rows.schema(), columns).unwrap_or(rows)
    }
}

fn read_runs(at: usize, file: &Opened, runs: &mut Vec<Run>) -> Result<(), CompactError> {
    let schema = file.metadata.parquet_schema();
    let columns = ProjectionMask::columns(schema, [c::TRACE_ID, c::TRACE_START]);
    let mut row = 0;
    let first = runs.len();
    for batch in file.build(BATCH_ROWS, None, columns)? {
        let batch = batch.map_err(|cause| unreadable(&file.name, cause))?;
        let (Some(traces), Some(starts)) =
            (batch.column_by_name(c::TRACE_ID), batch.column_by_name(c::TRACE_START))
        else {
            return Ok(());
        };
        let traces = traces.as_fixed_size_binary();
        let starts = starts.as_primitive::<TimestampNanosecondType>();
        for (of_batch, start_ns) in starts.iter().enumerate() {
            // Rows without a start stay where they are.
            if let (Some(start_ns), Ok(trace)) = (start_ns, traces.value(of_batch).try_into()) {
                match runs[first..].last_mut() {
                    Some(run)
                        if run.trace == trace
                            && run.start_ns == start_ns
                            && run.rows.end == row =>
                    {
                        run.rows.end += 1;
                    }
                    _ => runs.push(Run { trace, start_ns, file: at, rows: row..row + 1 }),
                }
            }
            row += 1;
        }
    }
    Ok(())
}
