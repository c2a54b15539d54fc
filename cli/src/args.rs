//! The command line: one table from which parsing, help, the configuration file and completions come.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands::{
    bottlenecks, breakdown, causes, compare, correlate, demo, doctor, errors, export, import, map,
    services, sql, status, tail, trace, tui,
};
use crate::config;
use crate::failure::Failure;
use crate::output::ColorChoice;
use crate::units::{parse_bytes, parse_duration};

#[cfg(test)]
mod tests;

/// Where the HTTP API listens unless told otherwise.
const HTTP_DEFAULT: &str = "127.0.0.1:4319";

/// An observability backend in one binary: OTLP in, SQL out
#[derive(Debug, Parser)]
#[command(name = "otlake", version, propagate_version = true, max_term_width = 100)]
#[command(after_long_help = "Examples:
  otlake demo                                      a shop with a fault to find, and the explorer
  otlake serve                                     start; prints where to send telemetry
  otlake tui                                       explore it in the terminal
  otlake status                                    is my data arriving?
  otlake sql 'select count(*) from spans'          ask in SQL
  otlake tail --service checkout                   watch spans and logs come in
  otlake trace 0af7651916cd43dd8448eb211c80319c    one trace as a waterfall
  otlake breakdown --root 'POST /orders'           where its time goes
  otlake causes                                    what changed in the last minutes

Exit codes: 0 good, 1 failed, 2 wrong usage, 3 nothing found (sql --exit-code), 69 no server answers,
78 wrong configuration.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Configuration file [default: $XDG_CONFIG_HOME/otlake/config.toml, /etc/otlake/otlake.toml]
    #[arg(long, global = true, env = "OTLAKE_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// When to colour
    #[arg(long, global = true, env = "OTLAKE_COLOR", value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// How the program's own log lines look
    #[arg(
        long,
        global = true,
        env = "OTLAKE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "pretty"
    )]
    pub(crate) log_format: LogFormat,
    /// Which of the program's own log lines are written: a level, or `crate=level,…` [default: info
    /// for serve, else warn]
    #[arg(long, global = true, env = "OTLAKE_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

/// Form of the program's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Pretty,
    /// One JSON object a line
    Json,
    /// key=value
    Logfmt,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Receive telemetry, store it, answer questions
    Serve(Box<ServeArgs>),
    /// Run a shop of services with a fault in it, and the explorer to find the fault
    Demo(Box<demo::DemoArgs>),
    /// Explore services, traces, logs and metrics in the terminal
    Tui(tui::TuiArgs),
    /// Ask in SQL: one statement, a file, or a prompt
    Sql(sql::SqlArgs),
    /// Watch spans and logs come in
    Tail(tail::TailArgs),
    /// Show one trace as a waterfall
    Trace(trace::TraceArgs),
    /// List services with their rates, errors and latencies
    Services(services::ServicesArgs),
    /// Show where the time of requests goes, or what makes the slow ones slow
    Breakdown(breakdown::BreakdownArgs),
    /// Show who calls whom, as a table or a drawing
    Map(map::MapArgs),
    /// Show where errors begin and the ways they take
    Errors(errors::ErrorsArgs),
    /// List patterns of calls that cost time
    Bottlenecks(bottlenecks::BottlenecksArgs),
    /// Show what sets some spans apart from others
    Compare(compare::CompareArgs),
    /// Rank what explains a change
    Causes(causes::CausesArgs),
    /// Show everything that carries a correlation id
    Correlate(correlate::CorrelateArgs),
    /// Tell whether data arrives, what is stored and what was refused
    Status(status::StatusArgs),
    /// Check disk, clock, limits and doors, and send a span through each
    Doctor(doctor::DoctorArgs),
    /// Read OTLP files into a server or a directory
    Import(import::ImportArgs),
    /// Write stored telemetry as OTLP
    Export(export::ExportArgs),
    /// Check every file, frame and catalog entry of a data directory
    Verify(DirArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The directory a command works on.
#[derive(Debug, Args)]
pub(crate) struct DirArgs {
    /// Data directory [default: $XDG_STATE_HOME/otlake]
    #[arg(long, env = "OTLAKE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DirArgs {
    /// The directory asked for, else the user's own.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(dir) => Ok(dir.clone()),
            None => config::data_dir_default(),
        }
    }
}

/// Everything `serve` can be told. Field names are the keys of the configuration file.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake serve
  otlake serve --data /var/lib/otlake --retain 7d --retain-bytes 50GiB
  otlake serve --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 --http 127.0.0.1:0 --ready-file ready.json")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) dir: DirArgs,
    /// Where OTLP arrives; takes gRPC and HTTP. Port 0 picks a free one
    #[arg(
        long,
        env = "OTLAKE_OTLP_GRPC",
        value_name = "ADDR",
        default_value = "127.0.0.1:4317",
        help_heading = "Listeners"
    )]
    pub(crate) otlp_grpc: SocketAddr,
    /// Where OTLP arrives, too; takes HTTP and gRPC
    #[arg(
        long,
        env = "OTLAKE_OTLP_HTTP",
        value_name = "ADDR",
        default_value = "127.0.0.1:4318",
        help_heading = "Listeners"
    )]
    pub(crate) otlp_http: SocketAddr,
    /// Where SQL, health and metrics are answered
    #[arg(long, env = "OTLAKE_HTTP", value_name = "ADDR", default_value = HTTP_DEFAULT, help_heading = "Listeners")]
    pub(crate) http: SocketAddr,
    /// Written with the addresses when everything listens
    #[arg(long, env = "OTLAKE_READY_FILE", value_name = "PATH", help_heading = "Listeners")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Browser origins that may send OTLP, besides loopback ones
    #[arg(
        long,
        env = "OTLAKE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        help_heading = "Listeners"
    )]
    pub(crate) cors_origin: Vec<String>,
    /// Names under which this server may be called, besides loopback ones
    #[arg(
        long,
        env = "OTLAKE_ALLOWED_HOST",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Listeners"
    )]
    pub(crate) allowed_host: Vec<String>,
    /// Path in front of /v1/traces and its siblings
    #[arg(long, env = "OTLAKE_PATH_PREFIX", value_name = "PATH", help_heading = "Listeners")]
    pub(crate) path_prefix: Option<String>,

    /// Delete rows older than this; 0 keeps all
    #[arg(long, env = "OTLAKE_RETAIN", value_name = "TIME", value_parser = parse_duration, help_heading = "Storage")]
    pub(crate) retain: Option<Duration>,
    /// Delete the oldest rows beyond this size; 0 keeps all
    #[arg(long, env = "OTLAKE_RETAIN_BYTES", value_name = "SIZE", value_parser = parse_bytes, help_heading = "Storage")]
    pub(crate) retain_bytes: Option<u64>,
    /// How long a repeated, byte-identical request is recognised and not stored twice; 0 switches it off
    #[arg(long, env = "OTLAKE_RETRY_WINDOW", value_name = "TIME", value_parser = parse_duration, default_value = "15m", help_heading = "Storage")]
    pub(crate) retry_window: Duration,
    /// How long new rows stay in memory before they become files
    #[arg(long, env = "OTLAKE_FLUSH_AGE", value_name = "TIME", value_parser = parse_duration, default_value = "60s", help_heading = "Storage")]
    pub(crate) flush_age: Duration,

    /// Memory for requests, fresh rows, queries and caches together
    #[arg(long, env = "OTLAKE_MEMORY", value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB", help_heading = "Limits")]
    pub(crate) memory: u64,
    /// Largest request, as sent and decompressed
    #[arg(long, env = "OTLAKE_REQUEST_MAX", value_name = "SIZE", value_parser = parse_bytes, default_value = "64MiB", help_heading = "Limits")]
    pub(crate) request_max: u64,
    /// Longest a query may run
    #[arg(long, env = "OTLAKE_QUERY_TIMEOUT", value_name = "TIME", value_parser = parse_duration, default_value = "30s", help_heading = "Limits")]
    pub(crate) query_timeout: Duration,
    /// Rows of one answer at most
    #[arg(
        long,
        env = "OTLAKE_QUERY_ROWS",
        value_name = "ROWS",
        default_value_t = 100_000,
        help_heading = "Limits"
    )]
    pub(crate) query_rows: u64,
}

/// Whom a reading command asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// A running server.
    Server(String),
    /// A directory, or the server that holds it.
    Directory(PathBuf),
}

#[derive(Debug, Args)]
struct ReadFromArgs {
    /// Server to ask
    #[arg(long, env = "OTLAKE_URL", value_name = "URL", help = concat!("Server to ask [default: http://127.0.0.1:4319]"), help_heading = "Source")]
    url: Option<String>,
    /// Read this directory, with no server needed; one that holds it is asked instead
    #[arg(long, env = "OTLAKE_DATA", value_name = "DIR", help_heading = "Source")]
    data: Option<PathBuf>,
}

impl Args for ReadFrom {
    fn augment_args(command: clap::Command) -> clap::Command {
        ReadFromArgs::augment_args(command)
    }
    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ReadFromArgs::augment_args_for_update(command)
    }
}

impl FromArgMatches for ReadFrom {
    /// The more deliberate of the two wins: a flag over the environment over the file; a tie asks
    /// the server.
    fn from_arg_matches(matches: &ArgMatches) -> Result<ReadFrom, clap::Error> {
        let args = ReadFromArgs::from_arg_matches(matches)?;
        let rank = |id| match matches.value_source(id) {
            Some(clap::parser::ValueSource::CommandLine) => 3,
            Some(clap::parser::ValueSource::EnvVariable) => 2,
            Some(_) => 1,
            None => 0,
        };
        Ok(match (args.url, args.data) {
            (Some(_), Some(dir)) if rank("data") > rank("url") => ReadFrom::Directory(dir),
            (None, Some(dir)) => ReadFrom::Directory(dir),
            (Some(url), _) => ReadFrom::Server(url),
            (None, None) => ReadFrom::Server(format!("http://{HTTP_DEFAULT}")),
        })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = ReadFrom::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads flags, environment and configuration file, in this order of weight. Help and wrong usage
/// end the process here, as clap does it.
pub(crate) fn parse() -> Result<Cli, Failure> {
    let first = Cli::parse();
    let command = config::apply(Cli::command(), first.config.as_deref())?;
    let matches = command.get_matches();
    Cli::from_arg_matches(&matches).map_err(|error| Failure::failed(error.to_string()))
}
