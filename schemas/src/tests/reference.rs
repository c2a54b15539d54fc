//! `docs/sql/tables.md`, written from the tables.

use std::fmt::Write as _;

use super::check_file;
use crate::attributes::{Owner, ValueType, promoted_keys};
use crate::columns as c;
use crate::derived::{Derived, ERROR_FACTS, PATH_FACTS, PATTERN_FACTS, SPAN_FACTS, TRACE_FACTS};
use crate::semantic::{self, Semantic, Source};
use crate::{Kind, Table};

const HEAD: &str = "\
# Tables and columns

Generated from `schemas/` by `UPDATE=1 cargo test -p schemas`; edit the text there.

Ids are shown as lower-case hex and compared with hex text. Times are UTC, to the nanosecond, without a zone. Durations
are nanoseconds. Columns marked ○ can be null. How attributes are asked for: [attributes.md](attributes.md).
";

#[test]
fn the_sql_reference_is_up_to_date() {
    let mut text = HEAD.to_owned();
    for table in Table::ALL {
        write_table(&mut text, table);
        if table == Table::Spans {
            write_derived(&mut text);
        }
    }
    write_structs(&mut text);
    write_promoted(&mut text);
    write_semantic(&mut text);
    check_file("../docs/sql/tables.md", &text);
}

fn write_table(text: &mut String, table: Table) {
    write!(
        text,
        "\n## {}\n\n{} Sorted by {} in each file.\n\n",
        table.name(),
        about(table),
        sort(table)
    )
    .unwrap();
    text.push_str("| column | type | | meaning |\n|---|---|---|---|\n");
    for column in table.columns() {
        // The residual is a matter of files; SQL shows the whole attributes.
        let (name, doc) = match column.name {
            c::ATTRIBUTES_REST => {
                (c::ATTRIBUTES, "all attributes as canonical JSON; `attributes['key']` for one")
            }
            name => (name, column.doc),
        };
        write_row(text, name, sql_type(column.kind), column.nullable, doc);
    }
    let (added, doc) = match table {
        Table::Spans => (
            Some(("end_time", "timestamp")),
            "start plus duration; exists when named, not in `SELECT *`",
        ),
        Table::MetricPoints => (
            Some((c::VALUE, "double")),
            "the value of either type; exists when named, not in `SELECT *`",
        ),
        _ => (None, ""),
    };
    if let Some((name, kind)) = added {
        write_row(text, name, kind, table == Table::MetricPoints, doc);
    }
}

fn write_row(text: &mut String, name: &str, kind: &str, nullable: bool, doc: &str) {
    let null = if nullable { "○" } else { "" };
    writeln!(text, "| `{name}` | {kind} | {null} | {doc} |").unwrap();
}

/// What the trace kernel says: columns of `spans`, and tables of their own.
fn write_derived(text: &mut String) {
    write_facts(
        text,
        "### Derived columns of spans",
        "What the spans of a trace say together, whoever sent them and wherever they are stored. Each is a column of `spans` as\n\
         soon as a statement names it; `SELECT *` does not show it. The definitions stand in `analysis/`; a trace is always\n\
         read whole, also where the statement asks for some of its spans. Where a trace is too large for the memory of the\n\
         query they are null.",
        SPAN_FACTS,
    );
    write_facts(text, "## traces", "One row a trace, from the same kernel.", TRACE_FACTS);
    write_facts(
        text,
        "## error_origins",
        "One row a place in a trace where an error began.",
        ERROR_FACTS,
    );
    write_facts(
        text,
        "## call_patterns",
        "One row a group of sibling calls of a span that follow one another and need not.",
        PATTERN_FACTS,
    );
    write_facts(
        text,
        "## critical_paths()",
        "One row a piece of the critical path of each segment of each trace: `critical_paths([tolerance [, end_to_end]])`.\n\
         `tolerance` is the share of a parent by which two children may overlap and still follow one another, 0.01 when left\n\
         out. With `end_to_end` the paths of segments that begin with a message go on through it, back to the root.",
        PATH_FACTS,
    );
}

fn write_facts<F>(text: &mut String, title: &str, about: &str, facts: &[Derived<F>]) {
    write!(text, "\n{title}\n\n{about}\n\n| column | type | | meaning |\n|---|---|---|---|\n")
        .unwrap();
    for fact in facts {
        write_row(text, fact.name, sql_type(fact.kind), true, fact.doc);
    }
}

fn about(table: Table) -> &'static str {
    match table {
        Table::Spans => "One row a span.",
        Table::Logs => "One row a log record or event.",
        Table::MetricPoints => "One row a data point of a gauge or sum.",
        Table::MetricHistograms => "One row a histogram data point, explicit or exponential.",
        Table::MetricSummaries => "One row a summary data point.",
        Table::MetricExemplars => "One row an exemplar of any point, with the trace it points to.",
    }
}

fn sort(table: Table) -> String {
    let columns = table.sort_columns().iter().map(|name| format!("`{name}`"));
    let bucket = table.bucket_ns().map(|ns| {
        let of = if table == Table::Spans { c::TRACE_START } else { c::TIME };
        format!("`{of}` cut to {} s", ns / 1_000_000_000)
    });
    bucket.into_iter().chain(columns).collect::<Vec<_>>().join(", ")
}

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Id16 | Kind::Id8 => "id",
        Kind::Time => "timestamp",
        Kind::Int64 => "bigint",
        Kind::Int32 => "integer",
        Kind::UInt64 => "ubigint",
        Kind::UInt32 => "uinteger",
        Kind::Float64 => "double",
        Kind::Bool => "boolean",
        Kind::Text | Kind::LongText => "text",
        Kind::Json | Kind::LongJson => "text (JSON)",
        Kind::Float64s => "double[]",
        Kind::UInt64s => "ubigint[]",
        Kind::Events => "event[]",
        Kind::Links => "link[]",
        Kind::Quantiles => "quantile[]",
    }
}

fn value_word(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Text => "text",
        ValueType::Int => "bigint",
        ValueType::Double => "double",
        ValueType::Bool => "boolean",
    }
}

fn write_structs(text: &mut String) {
    text.push_str("\n## Parts of lists\n\n| | fields |\n|---|---|\n");
    for (name, fields) in [
        ("event", c::event_fields()),
        ("link", c::link_fields()),
        ("quantile", c::quantile_fields()),
    ] {
        let names: Vec<_> = fields.iter().map(|f| format!("`{}`", f.name())).collect();
        writeln!(text, "| {name} | {} |", names.join(", ")).unwrap();
    }
    text.push_str("\n`attributes` of an event or link is canonical JSON text.\n");
}

fn write_promoted(text: &mut String) {
    text.push_str(
        "\n## Attribute keys with a column of their own\n\n\
         These keys are stored as columns wherever they occur, so that filters on them skip files and pages. In SQL\n\
         nothing changes but the type of an access without a cast; all other keys are text.\n\n",
    );
    for (owner, access) in [(Owner::Record, c::ATTRIBUTES), (Owner::Resource, c::RESOURCE)] {
        let of_type = |value_type| {
            let keys = promoted_keys(owner).iter().filter(move |p| p.value_type == value_type);
            keys.map(|p| format!("`{}`", p.key)).collect::<Vec<_>>()
        };
        for value_type in [ValueType::Text, ValueType::Int, ValueType::Double, ValueType::Bool] {
            let keys = of_type(value_type);
            if !keys.is_empty() {
                writeln!(text, "* `{access}`, {}: {}", value_word(value_type), keys.join(", "))
                    .unwrap();
            }
        }
    }
}

fn write_semantic(text: &mut String) {
    text.push_str(
        "\n## Semantic columns\n\n\
         One name for what semantic conventions have spelled in several ways. Each is a column of every table with\n\
         attributes as soon as a statement names it; `SELECT *` does not show it. The first key that is not null wins,\n\
         row by row. `exception_type` and `exception_message` of spans are stored columns.\n\n\
         | column | type | keys, newest first |\n|---|---|---|\n",
    );
    for semantic in semantic::RECORD.iter().chain(semantic::RESOURCE) {
        let sources: Vec<_> = semantic.sources.iter().map(describe).collect();
        let of = owner_note(semantic);
        writeln!(
            text,
            "| `{}` | {} | {}{of} |",
            semantic.name,
            value_word(semantic.value_type),
            sources.join(", ")
        )
        .unwrap();
    }
}

fn owner_note(semantic: &Semantic) -> &'static str {
    match semantic.owner {
        Owner::Record => "",
        Owner::Resource => " of the resource",
    }
}

fn describe(source: &Source) -> String {
    match source {
        Source::Key(key) => format!("`{key}`"),
        Source::BeforeQuery(key) => format!("`{key}` before its `?`"),
        Source::BeforePort(key) => format!("`{key}` before its `:`"),
        Source::ClientKey(key) => format!("`{key}` on client and producer spans"),
        Source::ServerKey(key) => format!("`{key}` elsewhere"),
        Source::Qualified(key) => format!("`{key}` where it holds a `/`"),
        Source::Joined(first, separator, second) => {
            format!("`{first}` and `{second}` joined by `{separator}`, else `{second}`")
        }
        Source::GrpcStatus(key) => format!("the name of `{key}`"),
    }
}
