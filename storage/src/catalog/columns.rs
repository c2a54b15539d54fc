//! Numbers of columns, as DuckLake wants them: a column keeps its number for good, new ones are
//! registered with the first file that has them.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, Schema};
use schemas::Table;
use sqlx::{Row, SqliteConnection};

/// Every registered column by table and path in the file (`a.http.route`,
/// `events.list.element.name`).
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    by_path: HashMap<(Table, String), Registered>,
    by_id: HashMap<(Table, i64), String>,
}

/// A registered column.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) id: i64,
    pub(super) duck_type: String,
}

/// Number of a table in the catalog.
pub(super) fn table_id(table: Table) -> i64 {
    table.index() as i64 + 1
}

/// Reads [`table_id`] back.
pub(super) fn table(id: i64) -> Option<Table> {
    Table::ALL.into_iter().find(|t| table_id(*t) == id)
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.by_path.len()
    }

    pub(super) fn get(&self, table: Table, path: &str) -> Option<&Registered> {
        self.by_path.get(&(table, path.to_owned()))
    }

    /// Path and type of a column by its number.
    pub(super) fn named(&self, table: Table, id: i64) -> Option<(&str, &str)> {
        let path = self.by_id.get(&(table, id))?;
        Some((path, &self.get(table, path)?.duck_type))
    }

    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Columns, sqlx::Error> {
        let mut columns = Columns::default();
        // Parents have lower numbers than their children.
        let rows = sqlx::query(
            "SELECT table_id, column_id, name, duck_type, parent_id FROM columns
             ORDER BY table_id, column_id",
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let Some(table) = table(row.try_get(0)?) else { continue };
            let (id, name, duck_type): (i64, String, String) =
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            let parent: Option<i64> = row.try_get(4)?;
            let path = match parent.and_then(|p| columns.named(table, p)) {
                Some((parent, "list")) => format!("{parent}.list.{name}"),
                Some((parent, _)) => format!("{parent}.{name}"),
                None => name,
            };
            columns.insert(table, path, Registered { id, duck_type });
        }
        Ok(columns)
    }

    /// Registers every column of a file that is not registered yet.
    pub(super) async fn ensure(
        &mut self,
        connection: &mut SqliteConnection,
        table: Table,
        schema: &Schema,
        snapshot_id: i64,
    ) -> Result<(), sqlx::Error> {
        // Nested fields are pushed behind their parents; depth is that of the schema.
        let mut todo: Vec<(String, Field, Option<i64>)> = schema
            .fields()
            .iter()
            .rev()
            .map(|field| (field.name().clone(), field.as_ref().clone(), None))
            .collect();
        while let Some((path, field, parent)) = todo.pop() {
            let id = match self.get(table, &path) {
                Some(known) => known.id,
                None => {
                    self.register(connection, table, &path, &field, parent, snapshot_id).await?
                }
            };
            let child = |path: String, field: &Field| (path, field.clone(), Some(id));
            match field.data_type() {
                DataType::List(element) => {
                    todo.push(child(format!("{path}.list.{}", element.name()), element));
                }
                DataType::Struct(fields) => {
                    let of = |f: &std::sync::Arc<Field>| child(format!("{path}.{}", f.name()), f);
                    todo.extend(fields.iter().rev().map(of));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn register(
        &mut self,
        connection: &mut SqliteConnection,
        table: Table,
        path: &str,
        field: &Field,
        parent: Option<i64>,
        snapshot_id: i64,
    ) -> Result<i64, sqlx::Error> {
        let last = self.by_id.keys().filter(|(t, _)| *t == table).map(|(_, id)| *id).max();
        let id = last.unwrap_or(0) + 1;
        let duck_type = duck_type(field.data_type()).to_owned();
        sqlx::query("INSERT INTO columns VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6)")
            .bind(table_id(table))
            .bind(id)
            .bind(field.name())
            .bind(&duck_type)
            .bind(parent)
            .bind(snapshot_id)
            .execute(connection)
            .await?;
        self.insert(table, path.to_owned(), Registered { id, duck_type });
        Ok(id)
    }

    fn insert(&mut self, table: Table, path: String, registered: Registered) {
        self.by_id.insert((table, registered.id), path.clone());
        self.by_path.insert((table, path), registered);
    }
}

/// The name of a type in DuckLake.
fn duck_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::FixedSizeBinary(_) => "blob",
        DataType::Timestamp(_, _) => "timestamp_ns",
        DataType::Int64 => "int64",
        DataType::Int32 => "int32",
        DataType::UInt64 => "uint64",
        DataType::UInt32 => "uint32",
        DataType::Float64 => "float64",
        DataType::Boolean => "boolean",
        DataType::List(_) => "list",
        DataType::Struct(_) => "struct",
        _ => "varchar",
    }
}
