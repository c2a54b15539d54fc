//! The tables of one statement, and the only files it can reach.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use schemas::Table;
use url::Url;

use crate::system;
use crate::table::{ScanContext, SnapshotTable};
use crate::traces::{TRACE_TABLES, TracesTable};
use crate::views::{SERVICE_EDGES_NAME, service_edges};

/// The one catalog.
pub(crate) const CATALOG: &str = "otlake";
/// The schema that needs no prefix.
pub(crate) const MAIN: &str = "main";
/// The schema of the system tables.
pub(crate) const SYSTEM: &str = "system";

/// Catalog list, catalog and both schemas of one statement.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotCatalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<ScanContext>,
    identifiers: BTreeSet<String>,
    info: system::Info,
}

impl SnapshotCatalog {
    pub(crate) fn new(
        context: Arc<ScanContext>,
        identifiers: BTreeSet<String>,
        info: system::Info,
    ) -> SnapshotCatalog {
        SnapshotCatalog(Arc::new(Inner { context, identifiers, info }))
    }

    /// What all scans of the statement share.
    pub(crate) fn context(&self) -> &Arc<ScanContext> {
        &self.0.context
    }

    /// The same tables for another statement, which names these columns.
    pub(crate) fn naming(&self, identifiers: BTreeSet<String>) -> SnapshotCatalog {
        SnapshotCatalog::new(Arc::clone(&self.0.context), identifiers, self.0.info.clone())
    }
}

impl CatalogProviderList for SnapshotCatalog {
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }
    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.into()]
    }
    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for SnapshotCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![MAIN.into(), SYSTEM.into()]
    }
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            MAIN => Some(Arc::new(MainSchema(Arc::clone(&self.0)))),
            SYSTEM => Some(Arc::new(SystemSchema(Arc::clone(&self.0)))),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct MainSchema(Arc<Inner>);

#[async_trait]
impl SchemaProvider for MainSchema {
    fn table_names(&self) -> Vec<String> {
        let stored = Table::ALL.iter().map(|t| t.name());
        let others = system::MAIN_TABLES.iter().copied().chain(TRACE_TABLES);
        let others = others.chain([SERVICE_EDGES_NAME]);
        stored.chain(others).map(str::to_owned).collect()
    }
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = Table::from_name(name) {
            let context = Arc::clone(&self.0.context);
            return Ok(Some(Arc::new(SnapshotTable::new(table, context, &self.0.identifiers))));
        }
        if let Some(table) = TracesTable::named(name, &self.0.context) {
            return Ok(Some(Arc::new(table)));
        }
        if name == SERVICE_EDGES_NAME {
            return service_edges(&self.0.context).map(Some);
        }
        system::main_table(name, &self.0.info, &self.0.context.snapshot)
    }
    fn table_exist(&self, name: &str) -> bool {
        Table::from_name(name).is_some()
            || system::MAIN_TABLES.contains(&name)
            || TRACE_TABLES.contains(&name)
            || name == SERVICE_EDGES_NAME
    }
}

#[derive(Debug)]
struct SystemSchema(Arc<Inner>);

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        system::SYSTEM_TABLES.iter().map(|&t| t.to_owned()).collect()
    }
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        system::system_table(name, &self.0.info, &self.0.context.snapshot)
    }
    fn table_exist(&self, name: &str) -> bool {
        system::SYSTEM_TABLES.contains(&name)
    }
}

/// One read-only store, rooted at the data directory; no other place can be named.
pub(crate) struct JailedStore {
    store: Arc<dyn ObjectStore>,
}

impl JailedStore {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> JailedStore {
        JailedStore { store }
    }
}

impl fmt::Debug for JailedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JailedStore")
    }
}

impl ObjectStoreRegistry for JailedStore {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }
    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match url.scheme() {
            "otlake" => Ok(Arc::clone(&self.store)),
            _ => exec_err!("only the files of this server can be read"),
        }
    }
}
