//! `otlake status`: is my data arriving, where does it lie, what was refused?

use std::io::Write;

use api::time;
use clap::Args;
use schemas::{Table, columns as c};
use serde_json::{Map, Value, json};

use crate::args::ReadFrom;
use crate::commands::{serve, stdout};
use crate::failure::{Exit, Failure};
use crate::metrics::Samples;
use crate::output::{self, Screen, safe};
use crate::source::Source;
use crate::units::{show_ago, show_bytes, show_ns};

/// Services are listed that sent within this time.
const SEEN_NS: i64 = 24 * 3_600 * 1_000_000_000;
/// Rates are those of this time.
const RATE_NS: i64 = 5 * 60 * 1_000_000_000;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake status
  otlake status --json | jq .services
  eval \"$(otlake status --print-env)\"      point an OpenTelemetry SDK at the server")]
pub(crate) struct StatusArgs {
    /// One JSON object in place of text
    #[arg(long)]
    json: bool,
    /// Only the lines that point an OpenTelemetry SDK at the server
    #[arg(long, conflicts_with = "json")]
    print_env: bool,
    #[command(flatten)]
    from: ReadFrom,
}

pub(crate) async fn run(args: StatusArgs, screen: Screen) -> Result<Exit, Failure> {
    let source = Source::open(&args.from).await?;
    let samples = samples(&source).await?;
    let mut out = stdout();
    if args.print_env {
        writeln!(out, "{}", environment(samples.as_ref())?)?;
        out.flush()?;
        return Ok(Exit::Good);
    }
    let mut sections = Vec::new();
    for (title, sql) in questions(time::now_ns()) {
        sections.push((title, source.ask(sql).await?));
    }
    if args.json {
        let object: Map<String, Value> = sections
            .into_iter()
            .map(|(title, answer)| (title.to_owned(), json!(answer.rows)))
            .collect();
        writeln!(out, "{}", Value::Object(object))?;
    } else {
        if let Some(samples) = &samples {
            writeln!(out, "{}", server_lines(samples, time::now_ns()))?;
        }
        for (title, mut answer) in sections {
            if answer.rows.is_empty() {
                writeln!(out, "{}: none", title.replace('_', " "))?;
                continue;
            }
            writeln!(out, "{}", title.replace('_', " "))?;
            answer.rows.iter_mut().for_each(humanise);
            output::write_table(&mut out, screen, &answer.schema, &answer.rows)?;
        }
    }
    out.flush()?;
    Ok(Exit::Good)
}

/// The server's own counters; none where a directory is read.
pub(crate) async fn samples(source: &Source) -> Result<Option<Samples>, Failure> {
    let Some(client) = source.server() else { return Ok(None) };
    let text = client.get("/metrics").await?.checked().await?.bytes().await?;
    Ok(Some(Samples::new(String::from_utf8_lossy(&text).into_owned())))
}

fn environment(samples: Option<&Samples>) -> Result<String, Failure> {
    let address = |door: &str| {
        let with = format!("door=\"{door}\"");
        samples?.label("otlake_listener_info", &with, "address")?.parse().ok()
    };
    match (address("otlp_grpc"), address("otlp_http")) {
        (Some(grpc), Some(http)) => Ok(serve::environment(grpc, http)),
        _ => Err(Failure::failed("no server runs that could take telemetry")
            .hint("start one with `otlake serve`")),
    }
}

fn server_lines(samples: &Samples, now_ns: i64) -> String {
    let value = |name: &str| samples.sum(name, "").unwrap_or_default();
    let started_ns = (value("process_start_time_seconds") * 1e9) as i64;
    let version = samples.label("otlake_build_info", "", "version").unwrap_or("of unknown version");
    let refusing = if value("otlake_ingest_refusing") > 0.0 {
        "\nNOTHING IS STORED NOW: disk full or failing"
    } else {
        ""
    };
    format!(
        "otlake {} up {}, memory {}, disk free {}, fresh rows {} in {}, log {}{refusing}",
        safe(version),
        show_ago(started_ns, now_ns).trim_end_matches(" ago"),
        show_bytes(value("process_resident_memory_bytes") as u64),
        show_bytes(value("otlake_disk_free_bytes") as u64),
        value("otlake_live_rows"),
        show_bytes(value("otlake_live_bytes") as u64),
        show_bytes(value("otlake_wal_bytes") as u64),
    )
}

/// Sections and the statements that fill them; the names are the keys of `--json`.
fn questions(now_ns: i64) -> [(&'static str, String); 6] {
    [
        ("services", services(now_ns)),
        ("tables", "select * from system.buffers".into()),
        ("wal", "select * from system.wal".into()),
        ("rejects", "select * from system.rejects limit 20".into()),
        ("data_loss", "select * from system.data_loss limit 20".into()),
        ("queries", "select * from system.queries limit 20".into()),
    ]
}

fn services(now_ns: i64) -> String {
    let part = |table: Table| {
        format!(
            "select {service}, '{record}' as record, {ingested} from {table} where {time} >= {seen}",
            service = c::SERVICE_NAME,
            record = table.signal().record(),
            ingested = c::INGESTED_AT,
            table = table.name(),
            time = table.time_column(),
            seen = time::sql_literal(now_ns - SEEN_NS),
        )
    };
    let tables = [
        Table::Spans,
        Table::Logs,
        Table::MetricPoints,
        Table::MetricHistograms,
        Table::MetricSummaries,
    ];
    format!(
        "select {service}, record, count(*) as last_day, \
         round(count(*) filter (where {ingested} >= {recent}) / {seconds}.0, 2) as per_second, \
         max({ingested}) as last_seen from ({parts}) group by 1, 2 order by 1, 2",
        service = c::SERVICE_NAME,
        ingested = c::INGESTED_AT,
        recent = time::sql_literal(now_ns - RATE_NS),
        seconds = RATE_NS / 1_000_000_000,
        parts = tables.map(part).join(" union all "),
    )
}

/// Sizes, lengths and times of a row as people read them, by the names of their columns.
fn humanise(row: &mut Map<String, Value>) {
    let now_ns = time::now_ns();
    for (name, value) in row.iter_mut() {
        let shown = match value {
            Value::Number(number) if name == "bytes" || name.ends_with("_bytes") => {
                number.as_u64().map(show_bytes)
            }
            Value::Number(number) if name.ends_with("_ns") => number.as_i64().map(show_ns),
            Value::String(text) if name == "last_seen" => {
                time::parse(text, now_ns).ok().map(|then| show_ago(then, now_ns))
            }
            _ => None,
        };
        if let Some(shown) = shown {
            *value = Value::String(shown);
        }
    }
}
