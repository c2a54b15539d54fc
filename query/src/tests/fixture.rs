//! Spans with chosen attributes, laid out in files and live batches in every way a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampNanosecondArray, UInt32Array,
    new_null_array,
};
use arrow_schema::{DataType, Field, Schema};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::execution::context::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use object_store::local::LocalFileSystem;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use schemas::attributes::{Owner, ValueType, promoted};
use schemas::version::footer;
use schemas::{Batch, Keys, Table, columns as c, json, type_bits};
use storage::{Bound, ColumnFacts, DataFile, Promotion, Snapshot};

use crate::engine::{JailedStore, identifiers, template};
use crate::guard::guard;
use crate::table::{ScanContext, ScanTotals, SnapshotTable};
use crate::{EngineConfig, GuardLimits};

/// Times of a row, its number added.
const NOON_NS: i64 = 1_700_000_000_000_000_000;

/// An attribute value as a sender has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(Vec<u8>),
    Empty,
    /// Raw canonical JSON of an array or map.
    Nested(&'static str),
}

impl Val {
    pub(super) fn canonical(&self) -> String {
        let mut out = Vec::new();
        match self {
            Val::Text(t) => json::write_string(&mut out, t),
            Val::Int(i) => json::write_int(&mut out, *i),
            Val::Double(d) => json::write_double(&mut out, *d),
            Val::Bool(b) => json::write_bool(&mut out, *b),
            Val::Bytes(b) => json::write_bytes(&mut out, b),
            Val::Empty => out.extend_from_slice(json::EMPTY.as_bytes()),
            Val::Nested(raw) => out.extend_from_slice(raw.as_bytes()),
        }
        String::from_utf8(out).unwrap()
    }

    fn bits(&self) -> u8 {
        match self {
            Val::Text(_) => type_bits::STRING,
            Val::Int(_) => type_bits::INT,
            Val::Double(_) => type_bits::DOUBLE,
            Val::Bool(_) => type_bits::BOOL,
            Val::Bytes(_) => type_bits::BYTES,
            Val::Empty => type_bits::EMPTY,
            Val::Nested(raw) => {
                if raw.starts_with('[') {
                    type_bits::ARRAY
                } else {
                    type_bits::MAP
                }
            }
        }
    }

    fn fits(&self, value_type: ValueType) -> bool {
        matches!(
            (self, value_type),
            (Val::Text(_), ValueType::Text) | (Val::Int(_), ValueType::Int)
        )
    }
}

pub(super) type Attributes = BTreeMap<String, Val>;

/// From this number on all rows are of one trace.
pub(super) const OF_ONE_TRACE: i64 = 1_000_000;

/// Three numbers are a trace.
pub(super) fn trace_of(number: i64) -> i128 {
    i128::from(number.min(OF_ONE_TRACE) / 3)
}

/// One span: its number is its duration and its span id.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) service: String,
    pub(super) attributes: Attributes,
}

/// The whole attributes as `SELECT attributes` shows them.
pub(super) fn whole(attributes: &Attributes) -> Option<String> {
    let members: Vec<String> = attributes
        .iter()
        .map(|(k, v)| format!("\"{}\":{}", json::escape_key(k), v.canonical()))
        .collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

/// Rows as a live batch that promotes some keys, and what a footer would say of them.
pub(super) fn batch(
    rows: &[Row],
    promote: &BTreeSet<&str>,
) -> (Batch, BTreeMap<String, Promotion>) {
    let mut keys = Keys::default();
    for (key, value) in rows.iter().flat_map(|r| &r.attributes) {
        let facts = keys.record.entry(key.clone()).or_default();
        facts.types |= value.bits();
        facts.rows += 1;
    }
    let mut fields: Vec<Arc<Field>> = Table::Spans.schema().fields().iter().cloned().collect();
    let mut columns: Vec<ArrayRef> = fields.iter().map(|f| base_column(f, rows, promote)).collect();
    let mut promotions = BTreeMap::new();
    for entry in promote.iter().filter_map(|key| promoted(Owner::Record, key)) {
        let values = || rows.iter().map(|r| r.attributes.get(entry.key));
        if !values().flatten().any(|v| v.fits(entry.value_type)) {
            continue;
        }
        let full = values().flatten().all(|v| v.fits(entry.value_type));
        promotions
            .insert(entry.column.to_owned(), if full { Promotion::Full } else { Promotion::Mixed });
        fields.push(Arc::new(entry.field()));
        columns.push(match entry.value_type {
            ValueType::Int => Arc::new(
                values()
                    .map(|v| if let Some(Val::Int(i)) = v { Some(*i) } else { None })
                    .collect::<Int64Array>(),
            ),
            _ => Arc::new(
                values()
                    .map(|v| if let Some(Val::Text(t)) = v { Some(t.as_str()) } else { None })
                    .collect::<StringViewArray>(),
            ),
        });
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    (Batch { table: Table::Spans, rows, keys }, promotions)
}

fn base_column(field: &Field, rows: &[Row], promote: &BTreeSet<&str>) -> ArrayRef {
    let text = |f: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(r))).collect::<StringViewArray>())
    };
    match field.name().as_str() {
        c::SPAN_ID => {
            let mut b = FixedSizeBinaryBuilder::new(8);
            rows.iter().for_each(|r| b.append_value(r.number.to_be_bytes()).unwrap());
            Arc::new(b.finish())
        }
        c::TRACE_ID => {
            let mut b = FixedSizeBinaryBuilder::new(16);
            rows.iter().for_each(|r| b.append_value(trace_of(r.number).to_be_bytes()).unwrap());
            Arc::new(b.finish())
        }
        c::DURATION_NS => Arc::new(rows.iter().map(|r| r.number).collect::<Int64Array>()),
        c::SERVICE_NAME => text(&|r| r.service.clone()),
        c::ATTRIBUTES_REST => {
            let mut b = StringViewBuilder::new();
            for row in rows {
                let mut rest = row.attributes.clone();
                rest.retain(|k, v| {
                    let column = promoted(Owner::Record, k).filter(|p| promote.contains(p.key));
                    !column.is_some_and(|p| v.fits(p.value_type))
                });
                b.append_option(whole(&rest));
            }
            Arc::new(b.finish())
        }
        _ if field.is_nullable() => new_null_array(field.data_type(), rows.len()),
        _ => match field.data_type() {
            DataType::Utf8View => text(&|_| "x".into()),
            DataType::UInt32 => Arc::new(UInt32Array::from(vec![0; rows.len()])),
            DataType::Int64 => Arc::new(Int64Array::from(vec![0; rows.len()])),
            DataType::Timestamp(..) => Arc::new(
                rows.iter().map(|r| Some(NOON_NS + r.number)).collect::<TimestampNanosecondArray>(),
            ),
            other => panic!("no filler for {other}"),
        },
    }
}

/// A folder of files and live rows that SQL can be asked about.
pub(super) struct World {
    dir: tempfile::TempDir,
    files: Vec<Arc<DataFile>>,
    live: Vec<Arc<Batch>>,
    /// Memory of a query; without it as much as it takes.
    pub(super) memory_bytes: usize,
}

/// How a query runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) pushdown: bool,
    pub(super) partitions: usize,
    pub(super) batch_rows: usize,
}

impl World {
    pub(super) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        World { dir, files: Vec::new(), live: Vec::new(), memory_bytes: usize::MAX }
    }

    pub(super) fn live(&mut self, rows: &[Row], promote: &BTreeSet<&str>) {
        self.live.push(Arc::new(batch(rows, promote).0));
    }

    pub(super) fn file(
        &mut self,
        rows: &[Row],
        promote: &BTreeSet<&str>,
        row_group: usize,
        page: usize,
    ) {
        let (batch, promoted) = batch(rows, promote);
        let words: serde_json::Map<_, _> = promoted
            .iter()
            .map(|(k, p)| (k.clone(), if *p == Promotion::Full { "full" } else { "mixed" }.into()))
            .collect();
        let record: serde_json::Map<_, _> = batch
            .keys
            .record
            .iter()
            .map(|(k, f)| (k.clone(), serde_json::json!([f.types, f.rows])))
            .collect();
        let keys =
            serde_json::json!({"record": record, "resource": {}, "scope": {}, "complete": true});
        let name = format!("{}.parquet", self.files.len());
        let path = self.dir.path().join(&name);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(row_group))
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_column_bloom_filter_enabled(ColumnPath::from(c::TRACE_ID), true)
            .set_key_value_metadata(Some(vec![
                KeyValue::new(
                    footer::PROMOTED.into(),
                    serde_json::Value::Object(words).to_string(),
                ),
                KeyValue::new(footer::KEYS.into(), keys.to_string()),
            ]))
            .build();
        let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(
            File::create(&path).unwrap(),
            batch.rows.schema(),
            options,
        )
        .unwrap();
        writer.write(&batch.rows).unwrap();
        writer.close().unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        self.files.push(Arc::new(DataFile {
            id: self.files.len() as i64,
            table: Table::Spans,
            path,
            name,
            level: 0,
            window: (0, i64::MAX),
            min_time_ns: 0,
            max_time_ns: i64::MAX,
            rows: rows.len() as u64,
            bytes,
            footer_bytes: 0,
            seq: None,
            columns: BTreeMap::new(),
            promoted,
            keys: batch.keys,
            keys_complete: true,
            blooms: Default::default(),
        }));
    }

    /// Says of every file what its catalog entry would: bounds of the columns that follow from a
    /// row's number.
    pub(super) fn describe(&mut self, numbers: &[Vec<i64>]) {
        for (file, numbers) in self.files.iter_mut().zip(numbers) {
            let facts = |offset: i64| ColumnFacts {
                nulls: Some(0),
                bytes: 0,
                min: numbers.iter().min().map(|n| Bound::Int(offset + n)),
                max: numbers.iter().max().map(|n| Bound::Int(offset + n)),
            };
            let columns = [(c::START_TIME, facts(NOON_NS)), (c::DURATION_NS, facts(0))];
            let columns = columns.map(|(name, facts)| (name.to_owned(), facts)).into();
            let max_time_ns = numbers.iter().max().map_or(0, |n| NOON_NS + n);
            *file = Arc::new(DataFile { columns, max_time_ns, ..DataFile::clone(file) });
        }
    }

    fn state(&self, sql: &str, settings: Settings) -> SessionState {
        let mut files: [Vec<Arc<DataFile>>; Table::COUNT] = Default::default();
        files[Table::Spans.index()] = self.files.clone();
        let mut live: [Vec<Arc<Batch>>; Table::COUNT] = Default::default();
        live[Table::Spans.index()] = self.live.clone();
        let store = Arc::new(LocalFileSystem::new_with_prefix(self.dir.path()).unwrap());
        let context = Arc::new(ScanContext {
            snapshot: Arc::new(Snapshot::from_parts(files, live)),
            store_url: ObjectStoreUrl::parse("otlake://data").unwrap(),
            reader: Arc::new(DefaultParquetFileReaderFactory::new(Arc::clone(&store) as _)),
            totals: Arc::new(ScanTotals::default()),
            pushdown: settings.pushdown,
        });
        let statement = guard(sql, &GuardLimits::default()).unwrap();
        let table = SnapshotTable::new(Table::Spans, context, &identifiers(&statement));
        let schema = MemorySchemaProvider::new();
        schema.register_table("spans".into(), Arc::new(table)).unwrap();
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("main", Arc::new(schema)).unwrap();
        let list = MemoryCatalogProviderList::new();
        list.register_catalog("otlake".into(), Arc::new(catalog));
        let env = RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(JailedStore::new(store)))
            .with_memory_limit(self.memory_bytes, 1.0)
            .build_arc()
            .unwrap();
        let template = template(&EngineConfig::new(self.dir.path().join("spill")));
        let config = template
            .config()
            .clone()
            .with_target_partitions(settings.partitions)
            .with_batch_size(settings.batch_rows);
        SessionStateBuilder::new_from_existing(template)
            .with_config(config)
            .with_runtime_env(env)
            .with_catalog_list(Arc::new(list))
            .build()
    }

    /// The executed plan and its batches.
    pub(super) async fn run(
        &self,
        sql: &str,
        settings: Settings,
    ) -> (Arc<dyn ExecutionPlan>, Vec<RecordBatch>) {
        let state = self.state(sql, settings);
        let statement = guard(sql, &GuardLimits::default()).unwrap();
        let plan =
            state.statement_to_plan(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let plan = state.create_physical_plan(&plan).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let batches = collect(Arc::clone(&plan), state.task_ctx()).await;
        let batches = batches
            .unwrap_or_else(|e| panic!("{sql}\n{}\n{e}", displayable(plan.as_ref()).indent(true)));
        (plan, batches)
    }

    /// Rows as text, sorted.
    pub(super) async fn rows(&self, sql: &str, settings: Settings) -> Vec<String> {
        let (_, batches) = self.run(sql, settings).await;
        let mut rows: Vec<String> = batches.iter().flat_map(shown).collect();
        rows.sort();
        rows
    }
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|a| arrow_cast::display::ArrayFormatter::try_new(a, &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}
