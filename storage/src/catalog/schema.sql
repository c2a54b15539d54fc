-- The catalog: which files and rows exist. Everything but the DuckLake part at the end is ours.
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commits(snapshot_id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, changes TEXT NOT NULL,
  schema_version INTEGER NOT NULL, note TEXT);
CREATE TABLE tables(table_id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, name TEXT NOT NULL UNIQUE, added INTEGER NOT NULL);
CREATE TABLE columns(table_id INTEGER NOT NULL, column_id INTEGER NOT NULL, ord INTEGER NOT NULL, name TEXT NOT NULL,
  duck_type TEXT NOT NULL, parent_id INTEGER, added INTEGER NOT NULL, PRIMARY KEY(table_id, column_id)) WITHOUT ROWID;
-- crc: CRC32C over the file's own row, its columns and its keys, and `removed` where it is set.
CREATE TABLE files(file_id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL REFERENCES tables, path TEXT NOT NULL UNIQUE,
  level INTEGER NOT NULL, window_start_ns INTEGER NOT NULL, window_end_ns INTEGER NOT NULL, min_time_ns INTEGER NOT NULL,
  max_time_ns INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, footer_bytes INTEGER NOT NULL,
  blake3 BLOB NOT NULL, block_crcs BLOB, row_hash BLOB, writer INTEGER NOT NULL, seq_lo INTEGER, seq_hi INTEGER,
  kernel_version INTEGER, schema_version INTEGER NOT NULL, added INTEGER NOT NULL, removed INTEGER, removed_ns INTEGER,
  unlinked_ns INTEGER, crc INTEGER NOT NULL);
CREATE INDEX files_live ON files(table_id, max_time_ns, min_time_ns) WHERE removed IS NULL;
CREATE TABLE file_columns(file_id INTEGER NOT NULL REFERENCES files, column_id INTEGER NOT NULL, bytes INTEGER NOT NULL,
  nulls INTEGER, min_value TEXT, max_value TEXT, PRIMARY KEY(file_id, column_id)) WITHOUT ROWID;
CREATE TABLE file_keys(file_id INTEGER NOT NULL REFERENCES files, scope TEXT NOT NULL, promoted TEXT NOT NULL,
  keys BLOB NOT NULL, exact INTEGER NOT NULL, PRIMARY KEY(file_id, scope)) WITHOUT ROWID;
CREATE TABLE wal_marks(writer INTEGER NOT NULL, signal TEXT NOT NULL, covered_through INTEGER NOT NULL,
  crc INTEGER NOT NULL, PRIMARY KEY(writer, signal)) WITHOUT ROWID;
CREATE TABLE late_traces(window_start_ns INTEGER NOT NULL, trace_id BLOB NOT NULL, seen_ns INTEGER NOT NULL,
  PRIMARY KEY(window_start_ns, trace_id)) WITHOUT ROWID;
CREATE TABLE attribute_keys(scope TEXT NOT NULL, key TEXT NOT NULL, types TEXT NOT NULL, rows INTEGER NOT NULL,
  last_seen_ns INTEGER NOT NULL, query_hits INTEGER NOT NULL, promoted_type TEXT, PRIMARY KEY(scope, key)) WITHOUT ROWID;
CREATE TABLE data_loss(id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, tenant INTEGER NOT NULL, table_name TEXT,
  file TEXT, seq_lo INTEGER, seq_hi INTEGER, min_time_ns INTEGER, max_time_ns INTEGER, rows INTEGER, cause TEXT NOT NULL);
CREATE TABLE rejects(day TEXT NOT NULL, signal TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(day, signal, reason)) WITHOUT ROWID;

-- DuckLake 1.0, so that `ATTACH 'ducklake:sqlite:…/catalog.sqlite' (READ_ONLY)` works in DuckDB: views of the above.
CREATE TABLE ducklake_metadata("key" VARCHAR NOT NULL, "value" VARCHAR NOT NULL, "scope" VARCHAR, scope_id BIGINT);
-- A snapshot some of whose files are unlinked is not offered: time travel to it would lack rows in silence.
CREATE VIEW ducklake_snapshot AS SELECT snapshot_id,
  strftime('%Y-%m-%d %H:%M:%S', time_ns/1000000000, 'unixepoch') || '.' || printf('%06d', time_ns/1000%1000000) || '+00'
    AS snapshot_time,
  schema_version, (SELECT coalesce(max(table_id),0)+1 FROM tables) AS next_catalog_id,
  (SELECT coalesce(max(file_id),0)+1 FROM files) AS next_file_id
  FROM commits WHERE snapshot_id >= (SELECT coalesce(max(removed),0) FROM files WHERE unlinked_ns IS NOT NULL);
CREATE VIEW ducklake_snapshot_changes AS SELECT snapshot_id, changes AS changes_made, NULL AS author,
  note AS commit_message, NULL AS commit_extra_info FROM commits;
CREATE VIEW ducklake_schema AS SELECT 0 AS schema_id, value AS schema_uuid, 0 AS begin_snapshot, NULL AS end_snapshot,
  'main' AS schema_name, '' AS path, 1 AS path_is_relative FROM meta WHERE key = 'data_uuid';
CREATE VIEW ducklake_table AS SELECT table_id, uuid AS table_uuid, added AS begin_snapshot, NULL AS end_snapshot,
  0 AS schema_id, name AS table_name, '' AS path, 1 AS path_is_relative FROM tables;
CREATE VIEW ducklake_column AS SELECT column_id, added AS begin_snapshot, NULL AS end_snapshot, table_id,
  ord AS column_order, name AS column_name, duck_type AS column_type, NULL AS initial_default, 'NULL' AS default_value,
  1 AS nulls_allowed, parent_id AS parent_column, 'literal' AS default_value_type, 'duckdb' AS default_value_dialect
  FROM columns;
CREATE VIEW ducklake_data_file AS SELECT file_id AS data_file_id, table_id, added AS begin_snapshot,
  removed AS end_snapshot, NULL AS file_order, path, 1 AS path_is_relative, 'parquet' AS file_format,
  rows AS record_count, bytes AS file_size_bytes, footer_bytes AS footer_size, 0 AS row_id_start, NULL AS partition_id,
  NULL AS encryption_key, table_id AS mapping_id, NULL AS partial_max FROM files WHERE unlinked_ns IS NULL;
-- Bounds of ids stay ours: they are hex here, which DuckDB would compare as text of the bytes. They are left out by a
-- join, since an expression has no declared type and DuckDB's SQLite reader then takes every column for text.
CREATE VIEW ducklake_file_column_stats AS SELECT c.file_id AS data_file_id, f.table_id, c.column_id,
  c.bytes AS column_size_bytes, f.rows AS value_count, c.nulls AS null_count, b.min_value, b.max_value,
  NULL AS contains_nan, NULL AS extra_stats
  FROM file_columns c JOIN files f USING(file_id) JOIN columns k ON k.table_id = f.table_id AND k.column_id = c.column_id
  LEFT JOIN file_columns b ON b.file_id = c.file_id AND b.column_id = c.column_id AND k.duck_type <> 'blob'
  WHERE f.unlinked_ns IS NULL;
CREATE VIEW ducklake_table_stats AS SELECT table_id, sum(rows) AS record_count, sum(rows) AS next_row_id,
  sum(bytes) AS file_size_bytes FROM files WHERE removed IS NULL GROUP BY table_id;
CREATE VIEW ducklake_column_mapping AS SELECT table_id AS mapping_id, table_id, 'map_by_name' AS type FROM tables;
CREATE VIEW ducklake_name_mapping AS SELECT table_id AS mapping_id, column_id, name AS source_name,
  column_id AS target_field_id, parent_id AS parent_column, 0 AS is_partition FROM columns;
CREATE VIEW ducklake_schema_versions AS SELECT min(c.snapshot_id) AS begin_snapshot, c.schema_version, t.table_id
  FROM commits c CROSS JOIN tables t GROUP BY c.schema_version, t.table_id;
-- The rest of DuckLake, as DuckDB 1.5.5 makes it; always empty.
CREATE TABLE ducklake_view(view_id BIGINT, view_uuid VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT, schema_id BIGINT, view_name VARCHAR, dialect VARCHAR, "sql" VARCHAR, column_aliases VARCHAR);
CREATE TABLE ducklake_tag(object_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE TABLE ducklake_column_tag(table_id BIGINT, column_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE TABLE ducklake_file_variant_stats(data_file_id BIGINT, table_id BIGINT, column_id BIGINT, variant_path VARCHAR, shredded_type VARCHAR, column_size_bytes BIGINT, value_count BIGINT, null_count BIGINT, min_value VARCHAR, max_value VARCHAR, contains_nan BIGINT, extra_stats VARCHAR);
CREATE TABLE ducklake_delete_file(delete_file_id BIGINT PRIMARY KEY, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, data_file_id BIGINT, path VARCHAR, path_is_relative BIGINT, format VARCHAR, delete_count BIGINT, file_size_bytes BIGINT, footer_size BIGINT, encryption_key VARCHAR, partial_max BIGINT);
CREATE TABLE ducklake_table_column_stats(table_id BIGINT, column_id BIGINT, contains_null BIGINT, contains_nan BIGINT, min_value VARCHAR, max_value VARCHAR, extra_stats VARCHAR);
CREATE TABLE ducklake_partition_info(partition_id BIGINT, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE ducklake_partition_column(partition_id BIGINT, table_id BIGINT, partition_key_index BIGINT, column_id BIGINT, "transform" VARCHAR);
CREATE TABLE ducklake_file_partition_value(data_file_id BIGINT, table_id BIGINT, partition_key_index BIGINT, partition_value VARCHAR);
CREATE TABLE ducklake_files_scheduled_for_deletion(data_file_id BIGINT, path VARCHAR, path_is_relative BIGINT, schedule_start VARCHAR);
CREATE TABLE ducklake_inlined_data_tables(table_id BIGINT, table_name VARCHAR, schema_version BIGINT);
CREATE TABLE ducklake_macro(schema_id BIGINT, macro_id BIGINT, macro_name VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE ducklake_macro_impl(macro_id BIGINT, impl_id BIGINT, dialect VARCHAR, "sql" VARCHAR, "type" VARCHAR);
CREATE TABLE ducklake_macro_parameters(macro_id BIGINT, impl_id BIGINT, column_id BIGINT, parameter_name VARCHAR, parameter_type VARCHAR, default_value VARCHAR, default_value_type VARCHAR);
CREATE TABLE ducklake_sort_info(sort_id BIGINT, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE ducklake_sort_expression(sort_id BIGINT, table_id BIGINT, sort_key_index BIGINT, expression VARCHAR, dialect VARCHAR, sort_direction VARCHAR, null_order VARCHAR);
