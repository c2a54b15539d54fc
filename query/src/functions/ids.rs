//! `hex(id)` and `unhex(text)`: ids as people see them, and back. `id_hash(id)`: an id as a number, to
//! count distinct ones cheaply.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::traces::mixed;

pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let signature = Signature::user_defined(Volatility::Immutable);
    let hash = IdHash { signature: signature.clone() };
    vec![hex(), Arc::new(Unhex { signature }.into()), Arc::new(hash.into())]
}

pub(super) fn hex() -> Arc<ScalarUDF> {
    Arc::new(Hex { signature: Signature::user_defined(Volatility::Immutable) }.into())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hex {
    signature: Signature,
}

impl ScalarUDFImpl for Hex {
    fn name(&self) -> &str {
        "hex"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [id @ DataType::FixedSizeBinary(_)] => Ok(vec![id.clone()]),
            [DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null] => {
                Ok(vec![DataType::Binary])
            }
            _ => plan_err!("hex takes one id or other bytes; to_hex() is for numbers"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        each(args, |array| match array.as_fixed_size_binary_opt() {
            Some(ids) => Ok(hex_all(ids.iter())),
            None => Ok(hex_all(array.as_binary::<i32>().iter())),
        })
    }
}

fn hex_all<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    let mut out = StringBuilder::new();
    for value in values {
        out.append_option(value.map(schemas::ids::hex));
    }
    Arc::new(out.finish())
}

/// A set of numbers takes a tenth of the memory of a set of ids. Two of a billion ids have the same
/// number with a chance of 3 %.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IdHash {
    signature: Signature,
}

impl ScalarUDFImpl for IdHash {
    fn name(&self) -> &str {
        "id_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [id @ DataType::FixedSizeBinary(_)] => Ok(vec![id.clone()]),
            _ => plan_err!("id_hash takes one trace id or span id"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        each(args, |array| {
            let ids = array.as_fixed_size_binary().iter();
            let numbers = ids.map(|id| id.map(|id| mixed(number(id)) as i64));
            Ok(Arc::new(numbers.collect::<Int64Array>()))
        })
    }
}

/// The bytes of an id as one number.
fn number(id: &[u8]) -> u128 {
    id.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unhex {
    signature: Signature,
}

impl ScalarUDFImpl for Unhex {
    fn name(&self) -> &str {
        "unhex"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null] => {
                Ok(vec![DataType::Utf8])
            }
            _ => plan_err!("unhex takes one text of hex digits"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        each(args, |array| {
            let mut out = BinaryBuilder::new();
            let mut bytes = Vec::new();
            for text in array.as_string::<i32>().iter() {
                match text {
                    Some(text) => {
                        unhex(text, &mut bytes)?;
                        out.append_value(&bytes);
                    }
                    None => out.append_null(),
                }
            }
            Ok(Arc::new(out.finish()))
        })
    }
}

fn unhex(text: &str, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    for pair in text.as_bytes().chunks(2) {
        match schemas::ids::parse_hex::<1>(pair) {
            Some([byte]) => bytes.push(byte),
            None => return exec_err!("'{text}' is not an even number of hex digits"),
        }
    }
    Ok(())
}

/// Applies a function of one array to an array or a scalar.
fn each(
    args: ScalarFunctionArgs,
    apply: impl Fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match &args.args[0] {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(apply(array)?)),
        ColumnarValue::Scalar(scalar) => {
            let one = apply(&scalar.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
        }
    }
}
