//! The functions behind attribute accesses, all over canonical JSON text or promoted columns.
//!
//! Each function carries its key and type, so that equal accesses are equal expressions.

use std::hash::Hash;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use schemas::attributes::ValueType;
use schemas::json::{self, Typed, Value};

use super::{Source, VirtualColumn};

/// `attr(json)`: the value of one key of a JSON object column, converted by the table of types in
/// [`schemas::json::convert`]. NULL where the key is absent or does not convert; never an error.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attr {
    signature: Signature,
    pub(crate) column: VirtualColumn,
    escaped_key: String,
}

impl Attr {
    pub(crate) fn udf(column: VirtualColumn) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        let escaped_key = json::escape_key(&column.key);
        Arc::new(ScalarUDF::from(Attr { signature, column, escaped_key }))
    }

    /// The access behind a logical expression, with its argument.
    pub(crate) fn of(expr: &Expr) -> Option<(&VirtualColumn, &Expr)> {
        let Expr::ScalarFunction(call) = expr else { return None };
        let attr = call.func.inner().as_ref().downcast_ref::<Attr>()?;
        Some((&attr.column, call.args.first()?))
    }
}

impl ScalarUDFImpl for Attr {
    fn name(&self) -> &str {
        "attr"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let base = match args {
            [Expr::Column(c)] => c.name.clone(),
            [other] => other.schema_name().to_string(),
            _ => self.column.source.column().to_owned(),
        };
        Ok(format!("{base}['{}']", self.column.key))
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.column.value_type.data_type())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(texts) = texts.first() else { return exec_err!("attr takes one argument") };
        Ok(ColumnarValue::Array(self.look_up(texts)?))
    }
}

impl Attr {
    fn look_up(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let mut out = TypedBuilder::new(self.column.value_type, texts.len());
        // Rows of one resource share their text, so the last answer is often the next one.
        let mut last: Option<(*const u8, usize, Option<Value<'_>>)> = None;
        for_each_text(texts, |text| {
            let Some(text) = text else { return out.append(None) };
            let place = (text.as_ptr(), text.len());
            let value = match last {
                Some((at, len, value)) if (at, len) == place => value,
                _ => json::lookup(text, &self.escaped_key).and_then(json::value),
            };
            last = Some((place.0, place.1, value));
            out.append(value);
        })?;
        Ok(out.finish())
    }
}

/// `attr_cast(column)`: a promoted column as another type, by the same conversions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttrCast {
    signature: Signature,
    to: ValueType,
}

impl AttrCast {
    pub(crate) fn udf(to: ValueType) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(AttrCast {
            signature: Signature::any(1, Volatility::Immutable),
            to,
        }))
    }
}

impl ScalarUDFImpl for AttrCast {
    fn name(&self) -> &str {
        "attr_cast"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.data_type())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else { return exec_err!("attr_cast takes one argument") };
        let mut out = TypedBuilder::new(self.to, array.len());
        let mut escaped = Vec::new();
        for row in 0..array.len() {
            out.append(column_value(array, row, &mut escaped)?);
        }
        Ok(ColumnarValue::Array(out.finish()))
    }
}

/// `attr_merge(rest, columns…)`: the whole attributes as canonical JSON: the residual with the
/// promoted keys put back. NULL where a row has none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttrMerge {
    signature: Signature,
    /// Escaped keys of the columns, in argument order.
    keys: Vec<String>,
}

impl AttrMerge {
    pub(crate) fn udf<'a>(keys: impl Iterator<Item = &'a str>) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(AttrMerge {
            signature: Signature::variadic_any(Volatility::Immutable),
            keys: keys.map(json::escape_key).collect(),
        }))
    }
}

impl ScalarUDFImpl for AttrMerge {
    fn name(&self) -> &str {
        "attr_merge"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((rest, columns)) = arrays.split_first() else {
            return exec_err!("attr_merge takes the residual and the promoted columns");
        };
        let mut out = StringViewBuilder::with_capacity(rest.len());
        let mut row = 0;
        let mut failed = None;
        for_each_text(rest, |text| {
            match self.merge_row(text, columns, row) {
                Ok(merged) => out.append_option(merged),
                Err(e) => failed = Some(e),
            }
            row += 1;
        })?;
        match failed {
            Some(e) => Err(e),
            None => Ok(ColumnarValue::Array(Arc::new(out.finish()))),
        }
    }
}

impl AttrMerge {
    fn merge_row(
        &self,
        rest: Option<&str>,
        columns: &[ArrayRef],
        row: usize,
    ) -> Result<Option<String>> {
        let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
        for (key, column) in self.keys.iter().zip(columns) {
            if column.is_null(row) {
                continue;
            }
            let mut text = Vec::new();
            write_column_value(&mut text, column, row)?;
            members.push((key, text));
        }
        if members.is_empty() {
            return Ok(rest.map(str::to_owned));
        }
        for (key, value) in rest.map(json::members).into_iter().flatten() {
            members.push((key, value.as_bytes().to_vec()));
        }
        members.sort_by_cached_key(|(key, _)| json::unescape(key).into_owned());
        let mut out = vec![b'{'];
        for (i, (key, value)) in members.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Ok(Some(String::from_utf8_lossy(&out).into_owned()))
    }
}

/// Calls `f` with each text of a string column of either layout.
fn for_each_text<'a>(texts: &'a ArrayRef, mut f: impl FnMut(Option<&'a str>)) -> Result<()> {
    match texts.data_type() {
        DataType::Utf8View => texts.as_string_view().iter().for_each(&mut f),
        DataType::Utf8 => texts.as_string::<i32>().iter().for_each(&mut f),
        DataType::LargeUtf8 => texts.as_string::<i64>().iter().for_each(&mut f),
        DataType::Null => (0..texts.len()).for_each(|_| f(None)),
        other => return exec_err!("attributes are read from text, got {other}"),
    }
    Ok(())
}

/// A cell of a promoted column as a JSON value; `escaped` holds the text of a string.
fn column_value<'a>(
    column: &ArrayRef,
    row: usize,
    escaped: &'a mut Vec<u8>,
) -> Result<Option<Value<'a>>> {
    if column.is_null(row) {
        return Ok(None);
    }
    escaped.clear();
    write_column_value(escaped, column, row)?;
    Ok(std::str::from_utf8(escaped).ok().and_then(json::value))
}

fn write_column_value(out: &mut Vec<u8>, column: &ArrayRef, row: usize) -> Result<()> {
    match column.data_type() {
        DataType::Utf8View => json::write_string(out, column.as_string_view().value(row)),
        DataType::Utf8 => json::write_string(out, column.as_string::<i32>().value(row)),
        DataType::Int64 => json::write_int(out, column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => {
            json::write_double(out, column.as_primitive::<Float64Type>().value(row))
        }
        DataType::Boolean => json::write_bool(out, column.as_boolean().value(row)),
        other => return exec_err!("no attribute has the type {other}"),
    }
    Ok(())
}

/// One builder per value type, fed with converted values.
enum TypedBuilder {
    Text(StringViewBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl TypedBuilder {
    fn new(to: ValueType, rows: usize) -> TypedBuilder {
        match to {
            ValueType::Text => TypedBuilder::Text(StringViewBuilder::with_capacity(rows)),
            ValueType::Int => TypedBuilder::Int(Int64Builder::with_capacity(rows)),
            ValueType::Double => TypedBuilder::Double(Float64Builder::with_capacity(rows)),
            ValueType::Bool => TypedBuilder::Bool(BooleanBuilder::with_capacity(rows)),
        }
    }

    fn append(&mut self, value: Option<Value<'_>>) {
        match self {
            TypedBuilder::Text(b) => match value.and_then(|v| json::convert(v, ValueType::Text)) {
                Some(Typed::Text(text)) => b.append_value(text),
                _ => b.append_null(),
            },
            TypedBuilder::Int(b) => b.append_option(value.and_then(json::as_int)),
            TypedBuilder::Double(b) => b.append_option(value.and_then(json::as_double)),
            TypedBuilder::Bool(b) => b.append_option(value.and_then(json::as_bool)),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            TypedBuilder::Text(mut b) => Arc::new(b.finish()),
            TypedBuilder::Int(mut b) => Arc::new(b.finish()),
            TypedBuilder::Double(mut b) => Arc::new(b.finish()),
            TypedBuilder::Bool(mut b) => Arc::new(b.finish()),
        }
    }
}

/// The access to a key of a source's column, as a logical expression.
pub(crate) fn access(source: Source, key: &str, value_type: ValueType, column: Expr) -> Expr {
    let column_of = VirtualColumn { source, key: key.to_owned(), value_type };
    Attr::udf(column_of).call(vec![column])
}
