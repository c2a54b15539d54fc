//! `every_nth_trace(trace_id, n)`: true for one trace in n, always the same ones. The kernel learns
//! from such a sample; it is a function so that files leave out the other rows while they are read.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col,
    lit,
};
use schemas::columns as c;

use crate::traces::is_nth_trace;

/// The condition that a row belongs to the sample.
pub(crate) fn every_nth_trace(n: u64) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    let function = Arc::new(ScalarUDF::from(EveryNth { signature }));
    let n = lit(ScalarValue::UInt64(Some(n)));
    function.call(vec![col(c::TRACE_ID), n])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EveryNth {
    signature: Signature,
}

impl ScalarUDFImpl for EveryNth {
    fn name(&self) -> &str {
        "every_nth_trace"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ids, ColumnarValue::Scalar(ScalarValue::UInt64(Some(n)))] = args.args.as_slice()
        else {
            return exec_err!("every_nth_trace takes a trace id and a constant");
        };
        let ids = ids.to_array(args.number_rows)?;
        let chosen = is_nth_trace(&ids, *n)?;
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(chosen)) as ArrayRef))
    }
}
