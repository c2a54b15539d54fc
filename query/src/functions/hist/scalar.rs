//! What can be asked of a histogram.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::buckets::Hist;
use super::column::{Hists, hist_type};

pub(in super::super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let new = |question| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Ask { question, signature }))
    };
    vec![new(Question::Quantile), new(Question::CountLe), new(Question::Count)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    Quantile,
    CountLe,
    Count,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ask {
    question: Question,
    signature: Signature,
}

impl ScalarUDFImpl for Ask {
    fn name(&self) -> &str {
        match self.question {
            Question::Quantile => "hist_quantile",
            Question::CountLe => "hist_count_le",
            Question::Count => "hist_count",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.question {
            Question::Quantile => DataType::Float64,
            Question::CountLe | Question::Count => DataType::Int64,
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_hist = |t: &DataType| t.is_null() || t.equals_datatype(&hist_type());
        match (self.question, given) {
            (Question::Count, [h]) if is_hist(h) => Ok(vec![hist_type()]),
            (Question::Quantile | Question::CountLe, [h, x])
                if is_hist(h) && (x.is_numeric() || x.is_null()) =>
            {
                Ok(vec![hist_type(), DataType::Float64])
            }
            (Question::Count, _) => plan_err!("{} takes one histogram", self.name()),
            _ => plan_err!("{} takes a histogram, as hist() makes, and a number", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let hists = args.args[0].to_array(rows)?;
        let answer: ArrayRef = match self.question {
            Question::Count => {
                let counts = ask(&hists, None, |hist, _| Ok(Some(signed(hist.count))))?;
                Arc::new(Int64Array::from(counts))
            }
            Question::CountLe => {
                let limits = args.args[1].to_array(rows)?;
                let count = |hist: &Hist, limit| Ok(Some(signed(hist.count_le(limit))));
                Arc::new(Int64Array::from(ask(&hists, Some(&limits), count)?))
            }
            Question::Quantile => {
                let shares = args.args[1].to_array(rows)?;
                Arc::new(Float64Array::from(ask(&hists, Some(&shares), quantile)?))
            }
        };
        Ok(ColumnarValue::Array(answer))
    }
}

fn quantile(hist: &Hist, q: f64) -> Result<Option<f64>> {
    if !(0.0..=1.0).contains(&q) {
        return exec_err!("a quantile lies between 0 and 1, not at {q}");
    }
    Ok(hist.quantile(q))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The answer for every row; NULL where the histogram or the argument is.
fn ask<T>(
    hists: &ArrayRef,
    arguments: Option<&ArrayRef>,
    answer: impl Fn(&Hist, f64) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let column = Hists::new(hists)?;
    let arguments = arguments.map(|a| a.as_primitive::<Float64Type>());
    let one = |row: usize| {
        let argument = match arguments {
            Some(values) if values.is_null(row) => return Ok(None),
            Some(values) => values.value(row),
            None => 0.0,
        };
        let Some(found) = column.get(row)? else { return Ok(None) };
        let mut hist = Hist::default();
        hist.merge(found);
        answer(&hist, argument)
    };
    (0..hists.len()).map(one).collect()
}
