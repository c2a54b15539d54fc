//! `docs/duckdb.sql`, written from the tables: one DuckDB view a table.
//!
//! A view is made of three layers: the files, with an empty relation beside them that has every
//! column, since a key that no file promotes is a column of none; the stored columns with ids as
//! text and promoted keys filled from the residual; the semantic and computed columns.

use std::fmt::Write as _;

use arrow_schema::DataType;

use super::check_file;
use crate::attributes::{Owner, Promoted, ValueType, promoted, promoted_keys};
use crate::columns as c;
use crate::semantic::{self, GRPC_STATUS, Semantic, Source};
use crate::{Column, Kind, Table};

const HEAD: &str = r#"-- The tables of otlake as DuckDB views over the Parquet files of a data directory.
-- Generated from `schemas/` by `UPDATE=1 cargo test -p schemas`. Checked with DuckDB 1.5 by
-- `scripts/clients/run`, with 2.0 by hand.
--
--     SET VARIABLE otlake = '/path/to/data';   -- as `otlake serve` prints it
--     .read docs/duckdb.sql
--     SELECT service_name, http_route, count(*) FROM spans WHERE http_status_code >= 500 GROUP BY ALL;
--
-- Ids are lower-case hex. `"a.key"` and `"r.key"` are the keys that can be columns of a file;
-- attr_text(attributes, 'any.key') and its kin read any other, with the conversions of otlake.
-- Rows younger than `--flush-age` are not in files yet. Read this file again when a table that
-- had no file has got its first one.

SET VARIABLE otlake = coalesce(getvariable('otlake'), 'data');

CREATE OR REPLACE MACRO attr_path(key) AS '$."' || key || '"';
CREATE OR REPLACE MACRO attr_text(json, key) AS CASE
    WHEN (json->attr_path(key))::VARCHAR LIKE '{"$b64"%' THEN json->attr_path(key)->>'$."$b64"'
    WHEN (json->attr_path(key))::VARCHAR LIKE '{"$f"%' THEN json->attr_path(key)->>'$."$f"'
    WHEN (json->attr_path(key))::VARCHAR LIKE '{"$empty"%' THEN ''
    ELSE json->>attr_path(key) END;
CREATE OR REPLACE MACRO attr_int(json, key) AS CASE
    WHEN regexp_full_match((json->attr_path(key))::VARCHAR, '-?[0-9]+(\.0)?|"-?[0-9]+"')
    THEN try_cast(json->>attr_path(key) AS BIGINT) END;
CREATE OR REPLACE MACRO attr_double(json, key) AS CASE
    WHEN (json->attr_path(key))::VARCHAR LIKE '{"$f"%' THEN (json->attr_path(key)->>'$."$f"')::DOUBLE
    ELSE try_cast(json->>attr_path(key) AS DOUBLE) END;
CREATE OR REPLACE MACRO attr_bool(json, key) AS CASE json->>attr_path(key)
    WHEN 'true' THEN true WHEN 'false' THEN false END;
"#;

#[test]
fn the_duckdb_views_are_up_to_date() {
    let mut text = HEAD.to_owned();
    write_grpc_macro(&mut text);
    for table in Table::ALL {
        write_source(&mut text, table);
        write_view(&mut text, table);
    }
    check_file("../docs/duckdb.sql", &text);
}

fn write_grpc_macro(text: &mut String) {
    let cases: Vec<_> =
        GRPC_STATUS.iter().enumerate().map(|(i, name)| format!("WHEN {i} THEN '{name}'")).collect();
    writeln!(
        text,
        "CREATE OR REPLACE MACRO grpc_status(number) AS CASE number\n    {} END;",
        cases.join("\n    ")
    )
    .unwrap();
}

/// DuckDB refuses a pattern without a file, so the statement behind the view is chosen before.
fn write_source(text: &mut String, table: Table) {
    let name = table.name();
    let first = &table.columns()[0];
    let empty = format!("SELECT {} WHERE false", typed_null(first));
    write!(
        text,
        "\n-- {name}\n\
         SET VARIABLE otlake_{name} = (SELECT CASE count(*)\n    \
             WHEN 0 THEN '{empty}'\n    \
             ELSE 'FROM read_parquet(getvariable(''otlake'') || ''/{name}/**/*.parquet'', union_by_name = true, hive_partitioning = false)' END\n    \
             FROM glob(getvariable('otlake') || '/{name}/**/*.parquet'));\n"
    )
    .unwrap();
}

fn write_view(text: &mut String, table: Table) {
    let name = table.name();
    let derived = derived(table);
    let star = if derived.is_empty() { "SELECT *" } else { "SELECT *,\n    " };
    write!(
        text,
        "CREATE OR REPLACE VIEW {name} AS\n{star}{}\nFROM (SELECT\n    {}\nFROM (\n\
         FROM query(getvariable('otlake_{name}'))\nUNION ALL BY NAME\nSELECT\n    {}\nWHERE false));\n",
        derived.join(",\n    "),
        stored(table).join(",\n    "),
        empty(table).join(",\n    "),
    )
    .unwrap();
}

fn keys(table: Table) -> impl Iterator<Item = &'static Promoted> {
    let owners: &[Owner] =
        if table.has_attributes() { &[Owner::Record, Owner::Resource] } else { &[] };
    owners.iter().flat_map(|owner| promoted_keys(*owner))
}

/// Every column a file can have, with its type.
fn empty(table: Table) -> Vec<String> {
    let own = table.columns().iter().map(typed_null);
    let promoted = keys(table)
        .map(|p| format!("NULL::{} AS \"{}\"", duck_type(&p.value_type.data_type()), p.column));
    own.chain(promoted).collect()
}

fn typed_null(column: &Column) -> String {
    format!("NULL::{} AS \"{}\"", duck_type(&column.kind.data_type()), column.name)
}

fn stored(table: Table) -> Vec<String> {
    let own = table.columns().iter().map(|column| match column.kind {
        Kind::Id16 | Kind::Id8 => format!("lower(hex(\"{0}\")) AS \"{0}\"", column.name),
        Kind::Links => links(),
        _ => format!("\"{}\"", column.name),
    });
    let merged = table.has_attributes().then(attributes);
    let promoted = keys(table).map(|p| {
        let json = json_of(p.owner);
        format!(
            "coalesce(\"{0}\", {1}({json}, '{2}')) AS \"{0}\"",
            p.column,
            reader(p.value_type),
            p.key
        )
    });
    own.chain(merged).chain(promoted).collect()
}

fn links() -> String {
    let fields = c::link_fields();
    let fields = fields.iter().map(|field| match field.data_type() {
        DataType::FixedSizeBinary(_) => format!("'{0}': lower(hex(link.{0}))", field.name()),
        _ => format!("'{0}': link.{0}", field.name()),
    });
    format!("[{{{}}} for link in {1}] AS \"{1}\"", fields.collect::<Vec<_>>().join(", "), c::LINKS)
}

/// The residual with the promoted keys put back. Nulls leave the patch first: in a later step they
/// would delete a value of another type from the residual.
fn attributes() -> String {
    let members: Vec<_> = promoted_keys(Owner::Record)
        .iter()
        .map(|p| format!("'{}', \"{}\"", p.key, p.column))
        .collect();
    format!(
        "nullif(json_merge_patch(json_merge_patch('{{}}', json_object(\n        {})),\n        \
         coalesce({rest}, '{{}}'))::VARCHAR, '{{}}') AS \"{}\"",
        members.join(",\n        "),
        c::ATTRIBUTES,
        rest = c::ATTRIBUTES_REST,
    )
}

fn derived(table: Table) -> Vec<String> {
    let computed = match table {
        Table::Spans => Some(format!(
            "make_timestamp_ns(epoch_ns({}) + {}) AS end_time",
            c::START_TIME,
            c::DURATION_NS
        )),
        Table::MetricPoints => Some(format!(
            "coalesce({}, {}::DOUBLE) AS \"{}\"",
            c::VALUE_DOUBLE,
            c::VALUE_INT,
            c::VALUE
        )),
        _ => None,
    };
    let all = semantic::RECORD.iter().chain(semantic::RESOURCE);
    let semantic = all.filter(|s| s.applies_to(table)).map(|s| semantic_column(table, s));
    computed.into_iter().chain(semantic).collect()
}

fn semantic_column(table: Table, semantic: &Semantic) -> String {
    let sources: Vec<_> =
        semantic.sources.iter().filter_map(|s| alternative(table, semantic, s)).collect();
    match sources.as_slice() {
        [one] => format!("{one} AS {}", semantic.name),
        many => format!("coalesce({}) AS {}", many.join(", "), semantic.name),
    }
}

fn alternative(table: Table, semantic: &Semantic, source: &Source) -> Option<String> {
    let key = |key| value(semantic.owner, key, semantic.value_type);
    let client = format!("{} IN ('client', 'producer')", c::KIND);
    Some(match source {
        Source::Key(k) => key(k),
        Source::BeforeQuery(k) => format!("split_part({}, '?', 1)", key(k)),
        Source::BeforePort(k) => format!("split_part({}, ':', 1)", key(k)),
        // Only spans have a side; elsewhere no row is a client's.
        Source::ClientKey(_) if table != Table::Spans => return None,
        Source::ServerKey(k) if table != Table::Spans => key(k),
        Source::ClientKey(k) => format!("CASE WHEN {client} THEN {} END", key(k)),
        Source::ServerKey(k) => format!("CASE WHEN NOT {client} THEN {} END", key(k)),
        Source::Qualified(k) => format!("CASE WHEN contains({0}, '/') THEN {0} END", key(k)),
        Source::Joined(a, separator, b) => {
            format!("{} || '{separator}' || {}, {}", key(a), key(b), key(b))
        }
        Source::GrpcStatus(k) => {
            format!("grpc_status({})", value(semantic.owner, k, ValueType::Int))
        }
    })
}

/// A key as a column of the middle layer, or read from its JSON.
fn value(owner: Owner, key: &str, value_type: ValueType) -> String {
    match promoted(owner, key) {
        Some(p) if p.value_type == value_type => format!("\"{}\"", p.column),
        Some(p) => format!("try_cast(\"{}\" AS {})", p.column, duck_type(&value_type.data_type())),
        None => format!("{}({}, '{key}')", reader(value_type), json_of(owner)),
    }
}

fn json_of(owner: Owner) -> &'static str {
    match owner {
        Owner::Record => c::ATTRIBUTES_REST,
        Owner::Resource => c::RESOURCE,
    }
}

fn reader(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Text => "attr_text",
        ValueType::Int => "attr_int",
        ValueType::Double => "attr_double",
        ValueType::Bool => "attr_bool",
    }
}

fn duck_type(data_type: &DataType) -> String {
    let word = match data_type {
        DataType::FixedSizeBinary(_) => "BLOB",
        DataType::Timestamp(..) => "TIMESTAMP_NS",
        DataType::Int64 => "BIGINT",
        DataType::Int32 => "INTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::UInt32 => "UINTEGER",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Utf8View => "VARCHAR",
        DataType::List(element) => return format!("{}[]", duck_type(element.data_type())),
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|f| format!("\"{}\" {}", f.name(), duck_type(f.data_type())));
            return format!("STRUCT({})", fields.collect::<Vec<_>>().join(", "));
        }
        other => panic!("no column has the type {other}"),
    };
    word.to_owned()
}
