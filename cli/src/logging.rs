//! The program's own log: structured lines on stderr.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::LogFormat;
use crate::failure::{Exit, Failure};

/// Starts the log. Called once.
pub(crate) fn start(format: LogFormat, filter: &str, color: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{filter}` is not a log filter"))
            .cause(error)
            .hint("write a level such as `info`, or `warn,storage=debug`")
    })?;
    // A line that cannot be written, to a file on a full disk, is lost; a word about it to the same
    // stderr would end the process.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Pretty => lines.with_ansi(color).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Logfmt => lines.event_format(Logfmt).try_init(),
    };
    started.map_err(|error| Failure::failed("the log cannot be started").cause(error))
}

/// `ts=… level=… target=… msg=… key=value`, one line an event whatever the values hold.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let time = api::time::format(api::time::now_ns());
        let mut line = format!("ts={time} level={} target={}", meta.level(), meta.target());
        event.record(&mut Pairs(&mut line));
        writeln!(writer, "{line}")
    }
}

struct Pairs<'a>(&'a mut String);

impl Visit for Pairs<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        push_pair(self.0, field.name(), value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        push_pair(self.0, field.name(), &format!("{value:?}"));
    }
}

/// Quotes and escapes what could end the value or forge a line.
fn push_pair(line: &mut String, name: &str, value: &str) {
    let name = if name == "message" { "msg" } else { name };
    let plain =
        !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
    // Writing into a String cannot fail.
    let _ = if plain { write!(line, " {name}={value}") } else { write!(line, " {name}={value:?}") };
}
