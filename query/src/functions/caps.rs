//! DataFusion functions that build values of any size, with a cap in front; and those removed.
//!
//! The functions allocate before any memory pool is asked, and constants are folded while
//! planning, so one call could take all memory. The cap computes the size of the result first.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::functions_nested;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::limits::{BATCH_BYTES_MAX, VALUE_BYTES_MAX};

/// Functions to deregister: they show paths, versions or the inside of files.
pub(super) const REMOVED: [&str; 5] =
    ["input_file_name", "file_row_index", "arrow_metadata", "with_metadata", "version"];

/// Capped functions; registering them replaces DataFusion's of the same names.
pub(super) fn capped() -> Vec<Arc<ScalarUDF>> {
    use datafusion::functions::{string, unicode};
    let all = [
        (string::repeat(), bytes_times_count as Size),
        (unicode::lpad(), padded),
        (unicode::rpad(), padded),
        (string::concat(), sum_of_all),
        (string::concat_ws(), joined),
        (string::replace(), replaced),
        (functions_nested::range::range_udf(), stepped),
        (functions_nested::range::gen_series_udf(), stepped),
        (functions_nested::repeat::array_repeat_udf(), bytes_times_count),
        (functions_nested::resize::array_resize_udf(), resized),
    ];
    all.map(|(inner, size)| Arc::new(ScalarUDF::from(Capped { inner, size }))).into()
}

/// An upper bound of the bytes of each row's result.
type Size = fn(&Rows<'_>) -> Result<Vec<f64>>;

/// A function with its cap. Equal when the function is: the cap goes with the name.
#[derive(Debug)]
struct Capped {
    inner: Arc<ScalarUDF>,
    size: Size,
}

impl PartialEq for Capped {
    fn eq(&self, other: &Capped) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Capped {}

impl std::hash::Hash for Capped {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = Rows::new(&args)?;
        let mut sum = 0.0;
        for bytes in (self.size)(&rows)? {
            if bytes > VALUE_BYTES_MAX as f64 {
                return too_large(self.name(), "one value", VALUE_BYTES_MAX);
            }
            sum += bytes;
        }
        if sum > BATCH_BYTES_MAX as f64 {
            return too_large(self.name(), "the rows of one batch", BATCH_BYTES_MAX);
        }
        self.inner.invoke_with_args(args)
    }
}

fn too_large<T>(function: &str, of: &str, most: u64) -> Result<T> {
    exec_err!("{function} would build more than {} MiB for {of}", most >> 20)
}

/// The arguments as arrays: one row where all are constant.
struct Rows<'a> {
    args: Vec<ArrayRef>,
    fields: &'a [FieldRef],
    rows: usize,
}

impl<'a> Rows<'a> {
    fn new(args: &'a ScalarFunctionArgs) -> Result<Rows<'a>> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<_>>()?;
        Ok(Rows { args: arrays, fields: &args.arg_fields, rows })
    }

    /// A number of each row; 0 where NULL or missing.
    fn numbers(&self, arg: usize) -> Result<Vec<f64>> {
        let Some(array) = self.args.get(arg) else { return Ok(vec![0.0; self.rows]) };
        let numbers = cast(array, &DataType::Float64)?;
        Ok(numbers.as_primitive::<Float64Type>().iter().map(|n| n.unwrap_or(0.0)).collect())
    }

    /// Bytes of each row's value: exact for text, the whole column's at most for the rest.
    fn bytes(&self, arg: usize) -> Result<Vec<f64>> {
        let Some(array) = self.args.get(arg) else { return Ok(vec![0.0; self.rows]) };
        if let DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View = array.data_type() {
            return Ok(self.texts(arg)?.iter().map(|t| t.len() as f64).collect());
        }
        let whole = array.to_data().get_slice_memory_size()? as f64;
        Ok(vec![array.data_type().primitive_width().map_or(whole, |w| w as f64); self.rows])
    }

    fn texts(&self, arg: usize) -> Result<Vec<&str>> {
        let Some(array) = self.args.get(arg) else { return Ok(vec![""; self.rows]) };
        Ok(match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().map(|t| t.unwrap_or("")).collect(),
            DataType::LargeUtf8 => {
                array.as_string::<i64>().iter().map(|t| t.unwrap_or("")).collect()
            }
            DataType::Utf8View => array.as_string_view().iter().map(|t| t.unwrap_or("")).collect(),
            _ => vec![""; self.rows],
        })
    }
}

fn bytes_times_count(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let (bytes, counts) = (rows.bytes(0)?, rows.numbers(1)?);
    // A repeated empty text or NULL still costs its place in a list.
    Ok(bytes.iter().zip(counts).map(|(bytes, n)| bytes.max(1.0) * n.max(0.0)).collect())
}

/// Characters of up to four bytes.
fn padded(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let plain = rows.texts(0)?.iter().chain(&rows.texts(2)?).all(|t| t.is_ascii());
    let width = if plain { 1.0 } else { 4.0 };
    Ok(rows.numbers(1)?.iter().map(|n| n.max(0.0) * width).collect())
}

fn sum_of_all(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; rows.rows];
    for arg in 0..rows.args.len() {
        for (sum, bytes) in sums.iter_mut().zip(rows.bytes(arg)?) {
            *sum += bytes;
        }
    }
    Ok(sums)
}

/// `concat_ws(separator, …)`: the separator stands between all.
fn joined(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let gaps = rows.args.len().saturating_sub(2) as f64;
    let (sums, separators) = (sum_of_all(rows)?, rows.bytes(0)?);
    Ok(sums.iter().zip(separators).map(|(sum, bytes)| sum + bytes * gaps).collect())
}

/// `replace(text, from, to)`.
fn replaced(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let (texts, from, to) = (rows.texts(0)?, rows.texts(1)?, rows.texts(2)?);
    let bytes = |row: usize| {
        let (text, from, to) = (texts[row], from[row], to[row]);
        let most = (text.len() as f64 + 1.0) * (to.len() as f64 + 1.0);
        if most <= VALUE_BYTES_MAX as f64 / 1_024.0 {
            return most;
        }
        let hits = if from.is_empty() { text.len() + 1 } else { text.matches(from).count() };
        text.len() as f64 + hits as f64 * to.len() as f64
    };
    Ok((0..rows.rows).map(bytes).collect())
}

/// `range` and `generate_series` as scalars: [start,] stop [, step], of integers or times.
fn stepped(rows: &Rows<'_>) -> Result<Vec<f64>> {
    if rows.args.len() < 3 || rows.args[0].data_type().is_integer() {
        let (start, stop) = match rows.args.len() {
            1 => (vec![0.0; rows.rows], rows.numbers(0)?),
            _ => (rows.numbers(0)?, rows.numbers(1)?),
        };
        let step = if rows.args.len() > 2 { rows.numbers(2)? } else { vec![1.0; rows.rows] };
        let values = |row: usize| ((stop[row] - start[row]) / step[row]).abs() + 1.0;
        return Ok((0..rows.rows).map(|row| finite(values(row) * 8.0)).collect());
    }
    let (start, stop) = (instants(&rows.args[0])?, instants(&rows.args[1])?);
    let step = nanos(&rows.args[2]);
    let values = |row: usize| ((stop[row] - start[row]) / step[row]).abs() + 1.0;
    Ok((0..rows.rows).map(|row| finite(values(row) * 8.0)).collect())
}

/// A step of zero is an error of the function itself, not an endless list.
fn finite(bytes: f64) -> f64 {
    if bytes.is_finite() { bytes } else { 0.0 }
}

fn instants(array: &ArrayRef) -> Result<Vec<f64>> {
    let nanos = DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, None);
    // Times out of the range of nanoseconds become NULL here; the function then refuses them.
    let times = cast(&cast(array, &nanos)?, &DataType::Int64)?;
    Ok(times.as_primitive::<Int64Type>().iter().map(|t| t.unwrap_or(0) as f64).collect())
}

/// Intervals in nanoseconds, months at their shortest.
fn nanos(array: &ArrayRef) -> Vec<f64> {
    use arrow_array::types::IntervalMonthDayNanoType;
    const DAY_NS: f64 = 86_400e9;
    let Some(steps) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return vec![1.0; array.len()];
    };
    let one = |step: Option<arrow_buffer::IntervalMonthDayNano>| {
        let step = step.unwrap_or_default();
        let days = f64::from(step.months) * 28.0 + f64::from(step.days);
        days * DAY_NS + step.nanoseconds as f64
    };
    steps.iter().map(one).collect()
}

/// `array_resize(array, size [, value])`.
fn resized(rows: &Rows<'_>) -> Result<Vec<f64>> {
    let field: &Field = rows.fields[0].as_ref();
    let element = match field.data_type() {
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => {
            f.data_type().primitive_width().unwrap_or(16) as f64
        }
        _ => 16.0,
    };
    let filler = rows.bytes(2)?;
    let sizes = rows.numbers(1)?;
    Ok(sizes.iter().zip(filler).map(|(n, bytes)| n.max(0.0) * bytes.max(element)).collect())
}
