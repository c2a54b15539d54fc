//! `time_bucket(width, time [, origin])` and `epoch_ns(time)`.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::arrow::datatypes::IntervalMonthDayNano as Interval;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue::IntervalMonthDayNano;

const NANOS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);
const WIDTH: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Monday, 3 January 2000: weeks start on Mondays.
const ORIGIN_NS: i64 = 946_857_600_000_000_000;
/// 1 January 2000, for widths in months, so that they start with the month.
const MONTH_ORIGIN_NS: i64 = 946_684_800_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(TimeBucket { signature: Signature::user_defined(Volatility::Immutable) }.into()),
        Arc::new(EpochNs { signature: Signature::user_defined(Volatility::Immutable) }.into()),
    ]
}

/// `time_bucket`: DataFusion's `date_bin` with widths as text and weeks from Monday.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeBucket {
    signature: Signature,
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(NANOS)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let width = match given.first() {
            Some(DataType::Interval(_) | DataType::Duration(_)) => WIDTH,
            Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => DataType::Utf8,
            _ => return usage(),
        };
        match given.len() {
            2 => Ok(vec![width, as_time(&given[1])?]),
            3 => Ok(vec![width, as_time(&given[1])?, as_time(&given[2])?]),
            _ => usage(),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(width) = &args.args[0] else {
            return exec_err!("the width of time_bucket must be a constant");
        };
        let width = match width {
            IntervalMonthDayNano(Some(width)) => *width,
            ScalarValue::Utf8(Some(text)) => parse_width(text)?,
            _ => return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&NANOS)?)),
        };
        let default = if width.months > 0 { MONTH_ORIGIN_NS } else { ORIGIN_NS };
        args.args[0] = ColumnarValue::Scalar(IntervalMonthDayNano(Some(checked(width)?)));
        if args.args.len() == 2 {
            let origin = ScalarValue::TimestampNanosecond(Some(default), None);
            args.args.push(ColumnarValue::Scalar(origin));
        }
        datafusion::functions::datetime::date_bin().invoke_with_args(args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let constant = |p: &ExprProperties| p.sort_properties == SortProperties::Singleton;
        match inputs {
            [width, time, rest @ ..] if constant(width) && rest.iter().all(constant) => {
                Ok(time.sort_properties)
            }
            _ => Ok(SortProperties::Unordered),
        }
    }
}

fn usage<T>() -> Result<T> {
    plan_err!("time_bucket takes a width and a time: time_bucket('5 minutes', start_time)")
}

/// Whatever can be read as a time; the cast is DataFusion's.
fn as_time(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null => Ok(NANOS),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(NANOS),
        other => plan_err!("{other} is not a time; to_timestamp_nanos() makes one of a number"),
    }
}

/// A width that is positive and of one kind: months have no fixed length.
fn checked(width: Interval) -> Result<Interval> {
    let nanos = i64::from(width.days).checked_mul(DAY_NS);
    match nanos.and_then(|days| days.checked_add(width.nanoseconds)) {
        Some(0) if width.months > 0 => Ok(width),
        Some(nanos) if width.months == 0 && nanos > 0 => Ok(Interval::new(0, 0, nanos)),
        _ => exec_err!("a bucket is wider than zero, and not months together with days"),
    }
}

/// Reads `5m`, `1 minute`, `60.000s`, `1 day`, `2w`, `1 month`. Of single letters `m` is a minute
/// and `M` a month, as Grafana writes them.
fn parse_width(text: &str) -> Result<Interval> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim();
    let number = if number.is_empty() { Some(1.0) } else { number.parse::<f64>().ok() };
    let Some(number) = number else { return bad_width(text) };
    if let Some(months) = months(unit) {
        return match number.fract() == 0.0 && number < 12_000.0 {
            true => Ok(Interval::new(number as i32 * months, 0, 0)),
            false => bad_width(text),
        };
    }
    match nanos(unit) {
        // Above 2^53 ns (104 days) a double is exact only to a few ns, and then only whole units
        // are of use, which it multiplies exactly.
        Some(nanos) if number * nanos < i64::MAX as f64 => {
            Ok(Interval::new(0, 0, (number * nanos).round() as i64))
        }
        _ => bad_width(text),
    }
}

fn bad_width<T>(text: &str) -> Result<T> {
    exec_err!("'{text}' is not a width; write '30s', '5 minutes', '1h', '1 day', '1 month'")
}

fn months(unit: &str) -> Option<i32> {
    if unit == "M" {
        return Some(1);
    }
    match unit.to_ascii_lowercase().as_str() {
        "mo" | "mon" | "mons" | "month" | "months" => Some(1),
        "q" | "quarter" | "quarters" => Some(3),
        "y" | "year" | "years" => Some(12),
        _ => None,
    }
}

fn nanos(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => 1.0,
        "us" | "µs" | "microsecond" | "microseconds" => 1e3,
        "ms" | "millisecond" | "milliseconds" => 1e6,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e9,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e9,
        "h" | "hr" | "hour" | "hours" => 3_600e9,
        "d" | "day" | "days" => 86_400e9,
        "w" | "week" | "weeks" => 604_800e9,
        _ => return None,
    })
}

/// `epoch_ns`: nanoseconds since 1970-01-01 UTC.
#[derive(Debug, PartialEq, Eq, Hash)]
struct EpochNs {
    signature: Signature,
}

impl ScalarUDFImpl for EpochNs {
    fn name(&self) -> &str {
        "epoch_ns"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [time] => Ok(vec![as_time(time)?]),
            _ => plan_err!("epoch_ns takes one time"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(value, _)) => {
                Ok(ColumnarValue::Scalar(ScalarValue::Int64(*value)))
            }
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::Int64(None))),
            ColumnarValue::Array(times) => {
                let times = times.as_primitive::<TimestampNanosecondType>();
                Ok(ColumnarValue::Array(Arc::new(times.reinterpret_cast::<Int64Type>())))
            }
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs[0].sort_properties)
    }
}
