//! `otlake services`: who sends, how much, how slow, how often wrong.

use api::sql::SqlRequest;
use api::time;
use clap::Args;
use schemas::{Table, columns as c};

use crate::args::ReadFrom;
use crate::commands::sql::{self, Shape};
use crate::failure::{Exit, Failure};
use crate::output::{RowFormat, Screen};
use crate::source::Source;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake services
  otlake services --since 15m --format csv")]
pub(crate) struct ServicesArgs {
    /// From when on: `15m` ago, `now-1h`, a date or an epoch
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Form of the answer [default: table on a terminal, else tsv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<RowFormat>,
    #[command(flatten)]
    from: ReadFrom,
}

pub(crate) async fn run(args: ServicesArgs, screen: Screen) -> Result<Exit, Failure> {
    let since_ns = since(&args.since)?;
    let source = Source::open(&args.from).await?;
    let request = SqlRequest { sql: question(since_ns), ..SqlRequest::default() };
    let format = RowFormat::or_default(args.format, screen);
    sql::answer(&source, &request, Shape { screen, format, header: false }).await?;
    Ok(Exit::Good)
}

/// Reads a `--since` value.
pub(crate) fn since(text: &str) -> Result<i64, Failure> {
    time::parse(text, time::now_ns()).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// One row a service over all three signals.
pub(crate) fn question(since_ns: i64) -> String {
    let since = time::sql_literal(since_ns);
    let (service, ingested) = (c::SERVICE_NAME, c::INGESTED_AT);
    let spans = format!(
        "select {service}, count(*) as spans, count(*) filter (where {status} = 'error') as errors, \
         approx_percentile_cont({duration}, 0.5) as p50_ns, approx_percentile_cont({duration}, 0.95) as p95_ns, \
         0 as logs, 0 as points, max({ingested}) as last_seen \
         from {table} where {start} >= {since} group by 1",
        status = c::STATUS_CODE,
        duration = c::DURATION_NS,
        table = Table::Spans.name(),
        start = c::START_TIME,
    );
    let other = |table: Table, logs: &str, points: &str| {
        format!(
            "select {service}, 0, 0, cast(null as bigint), cast(null as bigint), {logs}, {points}, max({ingested}) \
             from {} where {} >= {since} group by 1",
            table.name(),
            table.time_column(),
        )
    };
    let mut parts = vec![spans, other(Table::Logs, "count(*)", "0")];
    for table in [Table::MetricPoints, Table::MetricHistograms, Table::MetricSummaries] {
        parts.push(other(table, "0", "count(*)"));
    }
    format!(
        "select {service}, sum(spans) as spans, sum(errors) as errors, cast(max(p50_ns) as bigint) as p50_ns, \
         cast(max(p95_ns) as bigint) as p95_ns, sum(logs) as logs, sum(points) as points, max(last_seen) as last_seen \
         from ({}) group by 1 order by 1",
        parts.join(" union all ")
    )
}
