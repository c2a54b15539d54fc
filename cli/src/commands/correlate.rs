//! `otlake correlate VALUE`: everything that carries a correlation id, across traces and signals.

use std::collections::BTreeSet;
use std::io::{self, Write};

use api::views::{Correlation, CorrelationAnswer};
use clap::Args;

use crate::commands::asking::{self, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{Screen, number_head, or_dash, safe, text_head, write_cells};
use crate::units::show_ns;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake correlate req-3f2a9c01
  otlake correlate 0af7651916cd43dd8448eb211c80319c      a trace id works as well
  otlake correlate 4711 --key order.id --key order_id")]
pub(crate) struct CorrelateArgs {
    /// The id
    value: String,
    /// Attribute that may carry it; repeat for each [default: correlation.id, request.id, saga.id and
    /// their spellings]
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(args: CorrelateArgs, screen: Screen) -> Result<Exit, Failure> {
    let question = Correlation {
        value: Some(args.value.clone()),
        keys: (!args.keys.is_empty()).then(|| args.keys.join(",")),
        ..Correlation::default()
    };
    asking::run(&question, &args.wanted, screen, async |_, answer, out| {
        if answer.spans.is_empty() && answer.logs.is_empty() && answer.exemplars.is_empty() {
            let keys = answer.keys.join(", ");
            writeln!(
                out,
                "nothing carries {} under {}; name another attribute with --key (`otlake sql \
                 \"select key from attribute_keys\"` lists them)",
                safe(&args.value),
                safe(&keys)
            )?;
            return Ok(());
        }
        writeln!(out, "{}", headline(&args.value, answer))?;
        Ok(write_timeline(answer, screen, out)?)
    })
    .await
}

fn headline(value: &str, answer: &CorrelationAnswer) -> String {
    let traces: BTreeSet<&str> = answer.spans.iter().map(|span| span.trace_id.as_str()).collect();
    let services: BTreeSet<&str> =
        answer.spans.iter().map(|span| span.service_name.as_str()).collect();
    format!(
        "{}: {} traces, {} spans of {} services, {} logs, {} exemplars",
        safe(value),
        traces.len(),
        answer.spans.len(),
        services.len(),
        answer.logs.len(),
        answer.exemplars.len()
    )
}

/// Spans, logs and exemplars by time.
fn write_timeline(
    answer: &CorrelationAnswer,
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let spans = answer.spans.iter().map(|span| {
        let mark = if span.status_code.as_deref() == Some("error") { " !" } else { "" };
        let length = show_ns(span.duration_ns);
        let what = format!("{}{mark}", span.name);
        row(&span.start_time, "span", &span.service_name, what, length, Some(&span.trace_id))
    });
    let logs = answer.logs.iter().map(|correlated| {
        let log = &correlated.log;
        let severity = or_dash(log.severity_text.as_deref());
        let body = log.body.as_deref().or(log.event_name.as_deref()).unwrap_or_default();
        row(&log.time, "log", &log.service_name, body.to_owned(), severity, log.trace_id.as_deref())
    });
    let exemplars = answer.exemplars.iter().map(|exemplar| {
        let value = exemplar.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let trace = exemplar.trace_id.as_deref();
        let metric = exemplar.metric.clone();
        row(&exemplar.time, "exemplar", &exemplar.service_name, metric, value, trace)
    });
    let mut rows: Vec<Vec<String>> = spans.chain(logs).chain(exemplars).collect();
    rows.sort();
    let heads = [
        text_head("time"),
        text_head(""),
        text_head("service"),
        text_head("what"),
        number_head("duration, severity, value"),
        text_head("trace"),
    ];
    write_cells(out, screen, &heads, rows.into_iter())
}

fn row(
    time: &str,
    kind: &str,
    service: &str,
    what: String,
    measure: String,
    trace: Option<&str>,
) -> Vec<String> {
    vec![time.to_owned(), kind.to_owned(), service.to_owned(), what, measure, or_dash(trace)]
}
