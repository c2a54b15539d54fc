//! `service_edges`: the calls of which `service_map` is the sum, a row each.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, Result};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use schemas::Table;
use schemas::derived::SERVICE_EDGES;

use crate::table::{ScanContext, SnapshotTable};

/// Name of the view in SQL.
pub(crate) const SERVICE_EDGES_NAME: &str = "service_edges";

/// The view over a snapshot. Conditions on it are conditions on `spans`.
pub(crate) fn service_edges(context: &Arc<ScanContext>) -> Result<Arc<dyn TableProvider>> {
    let named: BTreeSet<String> = SERVICE_EDGES.iter().map(|(_, of)| (*of).to_owned()).collect();
    let spans = SnapshotTable::new(Table::Spans, Arc::clone(context), &named);
    let column = |name: &str| Expr::Column(Column::from_name(name));
    let shown = SERVICE_EDGES.iter().map(|(name, of)| column(of).alias(*name));
    let is_edge = column(SERVICE_EDGES[EDGE_KIND].1).is_not_null();
    let plan =
        LogicalPlanBuilder::scan(Table::Spans.name(), provider_as_source(Arc::new(spans)), None)?
            .filter(is_edge)?
            .project(shown)?
            .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Place of the kind of an edge, which spans without an edge lack.
const EDGE_KIND: usize = 4;
