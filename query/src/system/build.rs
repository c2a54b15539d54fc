//! Small tables, written cell by cell in the order of their columns.

use std::sync::Arc;

use arrow_array::builder::{
    Float64Builder, Int64Builder, StringViewBuilder, TimestampNanosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use datafusion::common::{Result, internal_err};

/// Rows of a table that is described by (`name type`, meaning).
#[derive(Debug)]
pub(super) struct Rows {
    fields: Vec<Field>,
    columns: Vec<Column>,
    /// Cells written.
    cells: usize,
}

#[derive(Debug)]
enum Column {
    Text(StringViewBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Time(TimestampNanosecondBuilder),
}

impl Column {
    fn new(kind: &str) -> Column {
        match kind {
            "bigint" => Column::Int(Int64Builder::new()),
            "double" => Column::Double(Float64Builder::new()),
            "timestamp" => Column::Time(TimestampNanosecondBuilder::new()),
            _ => Column::Text(StringViewBuilder::new()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Int(builder) => Arc::new(builder.finish()),
            Column::Double(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

impl Rows {
    pub(super) fn new(columns: &[(&str, &str)]) -> Rows {
        let split = |(column, _): &(&str, &str)| {
            let (name, kind) = column.split_once(' ').unwrap_or((column, "text"));
            (name.to_owned(), Column::new(kind))
        };
        let (names, mut builders): (Vec<String>, Vec<Column>) = columns.iter().map(split).unzip();
        let described = names.into_iter().zip(&mut builders).zip(columns);
        let fields = described.map(|((name, builder), (_, doc))| {
            let metadata = [("doc".to_owned(), (*doc).to_owned())].into();
            Field::new(name, builder.finish().data_type().clone(), true).with_metadata(metadata)
        });
        Rows { fields: fields.collect(), columns: builders, cells: 0 }
    }

    /// The column of the next cell.
    fn next(&mut self) -> &mut Column {
        let at = self.cells % self.columns.len();
        self.cells += 1;
        &mut self.columns[at]
    }

    pub(super) fn text(&mut self, value: Option<&str>) {
        if let Column::Text(builder) = self.next() {
            builder.append_option(value);
        }
    }

    /// Counts above 2^63 do not occur; should one, it shows as the largest.
    pub(super) fn int(&mut self, value: Option<impl Into<u64>>) {
        if let Column::Int(builder) = self.next() {
            let signed = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
            builder.append_option(value.map(|v| signed(v.into())));
        }
    }

    pub(super) fn double(&mut self, value: f64) {
        if let Column::Double(builder) = self.next() {
            builder.append_value(value);
        }
    }

    pub(super) fn time(&mut self, value_ns: Option<i64>) {
        if let Column::Time(builder) = self.next() {
            builder.append_option(value_ns);
        }
    }

    /// # Errors
    /// When a cell was written as another type than its column's.
    pub(super) fn finish(mut self) -> Result<RecordBatch> {
        let rows = self.cells / self.columns.len();
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        if columns.iter().any(|c| c.len() != rows) {
            return internal_err!("a system table has a cell of the wrong type");
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(self.fields));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}
