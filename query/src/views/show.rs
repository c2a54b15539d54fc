//! `view_sql('name', …)`: the statement behind a view, for its arguments.

use std::sync::Arc;

use arrow_array::{RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;

use super::{VIEWS, build};
use crate::QueryError;

/// Name in SQL.
pub(super) const NAME: &str = "view_sql";

/// One row with one text.
#[derive(Debug)]
pub(super) struct ShowSql;

impl TableFunctionImpl for ShowSql {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let (name, rest) = args.exprs().split_first().map_or((None, &[][..]), |(name, rest)| {
            let text = match name {
                Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text), _) => {
                    text.as_deref()
                }
                _ => None,
            };
            (text, rest)
        });
        let view = VIEWS.iter().find(|view| Some(view.name) == name).ok_or_else(|| {
            let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
            let error = QueryError::invalid("view_sql(name, …): the first argument names no view")
                .with_hint(format!("views are {}", names.join(", ")));
            DataFusionError::External(Box::new(error))
        })?;
        let sql = build(view, rest, args.session())?.sql;
        let schema = Arc::new(Schema::new(vec![Field::new("sql", DataType::Utf8View, false)]));
        let rows = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![Arc::new(StringViewArray::from_iter_values([sql]))],
        )?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}
