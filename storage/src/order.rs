//! The order of rows in a file, and which window each row belongs to.
//!
//! A row is placed by the start of its trace (spans) or its time; a row whose time lies outside the
//! accepted range is placed by its arrival. Keys are compared as plain integers: ids as 128-bit
//! numbers, text by its rank among the batch's few distinct values.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt32Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StringViewArray, TimestampNanosecondArray,
    UInt32Array,
};
use arrow_schema::Schema;
use arrow_select::take::take;
use schemas::Table;
use schemas::columns::{self as c, quality};

use crate::StorageError;
use crate::layout::{DAY_NS, HOUR_NS, WINDOW_NS};
use crate::rows::{arrow, join, record_batch, union_schema};

/// Files that one flush of a table writes at most; beyond, its windows are made wider.
const WINDOWS_MAX: usize = 64;
/// Widths of windows, narrowest first.
const WIDTHS_NS: [i64; 4] = [WINDOW_NS, HOUR_NS, DAY_NS, 30 * DAY_NS];

/// Rows of one window, sorted.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Start (inclusive) and end (exclusive).
    pub(crate) window: (i64, i64),
    pub(crate) rows: RecordBatch,
}

/// All rows as one batch in the order of the table's files. Columns that a batch lacks are null;
/// spans that do not have it get `trace_start`, the earliest start that the rows know of each trace.
pub fn sort_rows(table: Table, batches: &[RecordBatch]) -> Result<RecordBatch, StorageError> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok(arrange(table, &batches, &[])?.0)
}

/// Where a row stands in the order of the table's files, as [`sort_rows`] makes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    bucket: i64,
    first: Vec<u8>,
    second: Vec<u8>,
    time_ns: i64,
}

impl SortKey {
    /// The key of the row at a position of rows of a file of one window, in the shape of live rows.
    pub fn of(table: Table, rows: &RecordBatch, at: usize) -> Result<SortKey, StorageError> {
        let column = |name: &'static str| {
            let missing = || StorageError::of("arrange rows", format!("no column {name}"));
            rows.column_by_name(name).ok_or_else(missing)
        };
        let text = |name| Ok::<_, StorageError>(column(name)?.as_string_view().value(at).into());
        let id =
            |name| Ok::<_, StorageError>(column(name)?.as_fixed_size_binary().value(at).into());
        let time = |name| {
            let times = column(name)?.as_primitive::<TimestampNanosecondType>();
            Ok::<_, StorageError>(times.is_valid(at).then(|| times.value(at)))
        };
        let time_ns = time(table.time_column())?.unwrap_or_default();
        let bucket = |start: Option<i64>| {
            let bits = column(c::QUALITY)?.as_primitive::<UInt32Type>().value(at);
            let placed = match start {
                Some(start) => start,
                None if is_elsewhere(bits) => time(c::INGESTED_AT)?.unwrap_or_default(),
                None => time_ns,
            };
            Ok::<_, StorageError>(placed.div_euclid(table.bucket_ns().unwrap_or(i64::MAX)))
        };
        let (bucket, first, second) = match table {
            Table::Spans => (bucket(time(c::TRACE_START)?)?, id(c::TRACE_ID)?, Vec::new()),
            Table::Logs => (bucket(None)?, text(c::SERVICE_NAME)?, Vec::new()),
            _ => (0, text(c::METRIC)?, id(c::SERIES_ID)?),
        };
        Ok(SortKey { bucket, first, second, time_ns })
    }
}

/// Whether a row is placed by its arrival rather than by its time.
fn is_elsewhere(quality_bits: u32) -> bool {
    quality_bits & quality::TIME_OUT_OF_RANGE != 0
}

/// A generation's rows of one table, ready to be written: sorted, one batch a window. This is the
/// place where rows will be enriched.
pub(crate) fn prepare(
    table: Table,
    batches: &[&RecordBatch],
) -> Result<Vec<Prepared>, StorageError> {
    let (rows, windows) = arrange(table, batches, &WIDTHS_NS)?;
    let of_window = |(window, range): (_, Range<usize>)| Prepared {
        window,
        rows: without_empty_promoted(table, &rows.slice(range.start, range.len())),
    };
    Ok(windows.into_iter().map(of_window).collect())
}

type Windows = Vec<((i64, i64), Range<usize>)>;

fn arrange(
    table: Table,
    batches: &[&RecordBatch],
    widths_ns: &[i64],
) -> Result<(RecordBatch, Windows), StorageError> {
    let schema = union_schema(table, batches);
    let order = match table {
        Table::Spans => order_spans(table, batches, widths_ns)?,
        Table::Logs => order_logs(table, batches, widths_ns)?,
        _ => order_points(table, batches, widths_ns)?,
    };
    let indices = UInt32Array::from(order.rows);
    let columns = schema
        .fields()
        .iter()
        .map(|field| match &order.trace_start {
            Some(array) if field.name() == c::TRACE_START => Ok(Arc::clone(array)),
            // Joined and taken column by column: the unsorted copy of only one column lives.
            _ => take(&join(batches, field)?, &indices, None).map_err(arrow),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((record_batch(schema, columns)?, order.windows))
}

/// Old positions in new order, and the windows in it.
struct Order {
    rows: Vec<u32>,
    windows: Windows,
    trace_start: Option<ArrayRef>,
}

/// The span's place in its trace; sorts by trace, then start, then arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SpanKey {
    trace: u128,
    start: i64,
    row: u32,
}

fn order_spans(
    table: Table,
    batches: &[&RecordBatch],
    widths_ns: &[i64],
) -> Result<Order, StorageError> {
    let traces = ids(table, batches, c::TRACE_ID)?;
    let starts = times(table, batches, c::START_TIME)?;
    let placed = placed(table, batches)?;
    let bucket_ns = table.bucket_ns().unwrap_or(i64::MAX);
    if times(table, batches, c::TRACE_START)?.null_count() == 0 {
        // They come from files, and know their place.
        let key = |row: u32| {
            let at = row as usize;
            (placed[at].div_euclid(bucket_ns), id(&traces, at), starts.value(at), row)
        };
        let mut keys: Vec<_> = (0..row_count(batches)?).map(key).collect();
        keys.sort_unstable();
        return Ok(windowed(keys.into_iter().map(|k| k.3).collect(), &placed, widths_ns));
    }
    let mut keys: Vec<SpanKey> = (0..row_count(batches)?)
        .map(|row| {
            let at = row as usize;
            SpanKey { trace: id(&traces, at), start: starts.value(at), row }
        })
        .collect();
    keys.sort_unstable();

    // Few traces, many spans: order whole traces by bucket rather than every span once more.
    let mut of_traces: Vec<(i64, &[SpanKey])> = keys
        .chunk_by(|a, b| a.trace == b.trace)
        .map(|spans| {
            (spans.iter().map(|s| placed[s.row as usize]).min().unwrap_or_default(), spans)
        })
        .collect();
    of_traces.sort_by_key(|(start, _)| start.div_euclid(bucket_ns));

    let width_ns = width(of_traces.iter().map(|(start, _)| *start), widths_ns);
    let mut order =
        Order { rows: Vec::with_capacity(keys.len()), windows: vec![], trace_start: None };
    let mut trace_start = Vec::with_capacity(keys.len());
    for (start, spans) in of_traces {
        extend_windows(&mut order.windows, start, width_ns, spans.len());
        order.rows.extend(spans.iter().map(|s| s.row));
        trace_start.extend(std::iter::repeat_n(start, spans.len()));
    }
    order.trace_start = Some(Arc::new(TimestampNanosecondArray::from(trace_start)));
    Ok(order)
}

fn order_logs(
    table: Table,
    batches: &[&RecordBatch],
    widths_ns: &[i64],
) -> Result<Order, StorageError> {
    let services = ranks(&text(table, batches, c::SERVICE_NAME)?);
    let times = times(table, batches, c::TIME)?;
    let placed = placed(table, batches)?;
    let bucket_ns = table.bucket_ns().unwrap_or(i64::MAX);
    let mut keys: Vec<(i64, u32, i64, u32)> = (0..row_count(batches)?)
        .map(|row| {
            let at = row as usize;
            (placed[at].div_euclid(bucket_ns), services[at], times.value(at), row)
        })
        .collect();
    keys.sort_unstable();
    Ok(windowed(keys.into_iter().map(|k| k.3).collect(), &placed, widths_ns))
}

fn order_points(
    table: Table,
    batches: &[&RecordBatch],
    widths_ns: &[i64],
) -> Result<Order, StorageError> {
    let metrics = ranks(&text(table, batches, c::METRIC)?);
    let series = ids(table, batches, c::SERIES_ID)?;
    let times = times(table, batches, c::TIME)?;
    let placed = placed(table, batches)?;
    let width_ns = width(placed.iter().copied(), widths_ns);
    let mut keys: Vec<(i64, u32, u128, i64, u32)> = (0..row_count(batches)?)
        .map(|row| {
            let at = row as usize;
            (window(placed[at], width_ns).0, metrics[at], id(&series, at), times.value(at), row)
        })
        .collect();
    keys.sort_unstable();
    Ok(windowed(keys.into_iter().map(|k| k.4).collect(), &placed, widths_ns))
}

/// Rows are already in the order of their windows; finds where each begins.
fn windowed(rows: Vec<u32>, placed: &[i64], widths_ns: &[i64]) -> Order {
    let width_ns = width(placed.iter().copied(), widths_ns);
    let mut windows = vec![];
    for row in &rows {
        extend_windows(&mut windows, placed[*row as usize], width_ns, 1);
    }
    Order { rows, windows, trace_start: None }
}

fn extend_windows(windows: &mut Windows, time_ns: i64, width_ns: Option<i64>, rows: usize) {
    let here = window(time_ns, width_ns);
    match windows.last_mut() {
        Some((last, range)) if *last == here => range.end += rows,
        last => {
            let from = last.map_or(0, |(_, range)| range.end);
            windows.push((here, from..from + rows));
        }
    }
}

/// The narrowest width that spreads the times over few enough windows; `None` is all of time.
fn width(times: impl Iterator<Item = i64> + Clone, widths_ns: &[i64]) -> Option<i64> {
    let fits = |width_ns: i64| {
        let mut seen: Vec<i64> = Vec::new();
        for time in times.clone() {
            let start = time.div_euclid(width_ns);
            if seen.last() == Some(&start) || seen.contains(&start) {
                continue;
            }
            if seen.len() == WINDOWS_MAX {
                return false;
            }
            seen.push(start);
        }
        true
    };
    widths_ns.iter().copied().find(|width_ns| fits(*width_ns))
}

fn window(time_ns: i64, width_ns: Option<i64>) -> (i64, i64) {
    let Some(width_ns) = width_ns else { return (i64::MIN, i64::MAX) };
    let start = time_ns.div_euclid(width_ns).saturating_mul(width_ns);
    (start, start.saturating_add(width_ns))
}

/// The time that places each row: the trace's start where it is stored, else the row's own time,
/// else its arrival.
fn placed(table: Table, batches: &[&RecordBatch]) -> Result<Vec<i64>, StorageError> {
    let own = times(table, batches, table.time_column())?;
    let arrival = times(table, batches, c::INGESTED_AT)?;
    let bits = column(table, batches, c::QUALITY)?;
    let bits = bits.as_primitive::<UInt32Type>();
    let stored = match table {
        Table::Spans => Some(times(table, batches, c::TRACE_START)?),
        _ => None,
    };
    let of_row = |at: usize| match &stored {
        Some(stored) if stored.is_valid(at) => stored.value(at),
        _ if is_elsewhere(bits.value(at)) => arrival.value(at),
        _ => own.value(at),
    };
    Ok((0..own.len()).map(of_row).collect())
}

/// Each text's position among the distinct ones.
fn ranks(texts: &StringViewArray) -> Vec<u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut last: Option<(u128, u32)> = None;
    let mut of_rows: Vec<u32> = Vec::with_capacity(texts.len());
    for (at, view) in texts.views().iter().enumerate() {
        let number = match last {
            Some((same, number)) if same == *view => number,
            _ => {
                let next = numbers.len() as u32;
                *numbers.entry(texts.value(at)).or_insert(next)
            }
        };
        last = Some((*view, number));
        of_rows.push(number);
    }
    let mut distinct: Vec<(&str, u32)> = numbers.into_iter().collect();
    distinct.sort_unstable();
    let mut rank_of = vec![0; distinct.len()];
    for (rank, (_, number)) in distinct.iter().enumerate() {
        rank_of[*number as usize] = rank as u32;
    }
    of_rows.into_iter().map(|number| rank_of[number as usize]).collect()
}

/// The rows without promoted columns that none of them fills.
fn without_empty_promoted(table: Table, rows: &RecordBatch) -> RecordBatch {
    let own = table.columns().len();
    let kept: Vec<usize> = (0..rows.num_columns())
        .filter(|i| *i < own || rows.column(*i).null_count() < rows.num_rows())
        .collect();
    // A projection onto positions that exist cannot fail; the rows as they are would be right too.
    rows.project(&kept).unwrap_or_else(|_| rows.clone())
}

fn row_count(batches: &[&RecordBatch]) -> Result<u32, StorageError> {
    let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
    u32::try_from(rows).map_err(|_| StorageError::of("sort rows", "more than 4 billion at once"))
}

fn column(table: Table, batches: &[&RecordBatch], name: &str) -> Result<ArrayRef, StorageError> {
    let schema: &Schema = &table.schema();
    join(batches, schema.field_with_name(name).map_err(arrow)?)
}

fn times(
    table: Table,
    batches: &[&RecordBatch],
    name: &str,
) -> Result<TimestampNanosecondArray, StorageError> {
    Ok(column(table, batches, name)?.as_primitive::<TimestampNanosecondType>().clone())
}

fn ids(
    table: Table,
    batches: &[&RecordBatch],
    name: &str,
) -> Result<FixedSizeBinaryArray, StorageError> {
    Ok(column(table, batches, name)?.as_fixed_size_binary().clone())
}

fn text(
    table: Table,
    batches: &[&RecordBatch],
    name: &str,
) -> Result<StringViewArray, StorageError> {
    Ok(column(table, batches, name)?.as_string_view().clone())
}

/// An id as a number that sorts like its bytes.
fn id(ids: &FixedSizeBinaryArray, at: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(ids.value(at));
    u128::from_be_bytes(bytes)
}
