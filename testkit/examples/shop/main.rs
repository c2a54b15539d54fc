//! Writes a shop as OTLP JSON lines, one export request a line, as `otlake import` reads them.
//!
//! ```text
//! cargo run -p testkit --example shop -- --fault slow-dependency --end now > shop.jsonl
//! ```

mod json;

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::shop::{Edge, ErrorOrigin, Fault, Harm, Request, ShopOptions, Stream, Subject, Truth};

const HELP: &str =
    "Writes the telemetry of a small shop as OTLP JSON lines, one export request a line.

Usage: shop [--fault NAME] [--minutes N] [--rate N] [--seed N] [--hosts N] [--end TIME]
            [--out FILE] [--answer]

  --fault NAME   what is wrong in the last third of the time: slow-dependency, slow-network,
                 slow-service, errors-at, retry-storm, n-plus-one, bad-instance or none [none]
  --minutes N    how long customers come [15]
  --rate N       requests in a minute [120]
  --seed N       the same seed makes the same shop [1]
  --hosts N      hosts that the instances are spread over [1]
  --end TIME     when the last minute ends: now, or nanoseconds since 1970
                 [a fixed day, so that two runs write the same bytes]
  --out FILE     where to write [standard output]
  --answer       print what an analysis must find, to standard error
";

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => match run(&arguments) {
            // Whoever read the output has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cannot write the shop: {error}")),
            Ok(()) => ExitCode::SUCCESS,
        },
        Ok(None) => {
            print(&mut io::stdout(), HELP);
            ExitCode::SUCCESS
        }
        Err(text) => fail(&format!("{text}; --help shows all flags")),
    }
}

fn fail(text: &str) -> ExitCode {
    print(&mut io::stderr(), &format!("{text}\n"));
    ExitCode::FAILURE
}

/// Without a reader there is nobody to tell that it failed.
fn print(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

struct Arguments {
    options: ShopOptions,
    out: Option<PathBuf>,
    wants_answer: bool,
}

impl Arguments {
    /// None where help is asked for.
    fn read(mut from: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
        let mut arguments =
            Arguments { options: ShopOptions::default(), out: None, wants_answer: false };
        let options = &mut arguments.options;
        let mut end = None;
        while let Some(flag) = from.next() {
            let mut value = || from.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--help" | "-h" => return Ok(None),
                "--answer" => arguments.wants_answer = true,
                "--fault" => options.fault = fault(&value()?)?,
                "--minutes" => options.minutes = number(&flag, &value()?)?,
                "--rate" => options.requests_per_minute = number(&flag, &value()?)?,
                "--seed" => options.seed = number(&flag, &value()?)?,
                "--hosts" => options.hosts = number(&flag, &value()?)?,
                "--end" => end = Some(time_ns(&value()?)?),
                "--out" => arguments.out = Some(value()?.into()),
                _ => return Err(format!("no flag is called {flag}")),
            }
        }
        if let Some(end_ns) = end {
            let length_ns = options.end_ns() - options.start_ns;
            options.start_ns =
                end_ns.checked_sub(length_ns).ok_or("--end lies before the shop's first minute")?;
        }
        Ok(Some(arguments))
    }
}

fn fault(name: &str) -> Result<Option<Fault>, String> {
    if name == "none" {
        return Ok(None);
    }
    let found = Fault::ALL.into_iter().find(|fault| fault.name() == name);
    found.map(Some).ok_or_else(|| format!("no fault is called {name}"))
}

fn number<T: FromStr<Err: Display>>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{flag} {text}: {error}"))
}

fn time_ns(text: &str) -> Result<u64, String> {
    if text != "now" {
        return number("--end", text);
    }
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    u64::try_from(since_1970.as_nanos()).map_err(|error| error.to_string())
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let output: Box<dyn Write> = match &arguments.out {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut output = BufWriter::new(output);
    let mut stream = Stream::new(arguments.options);
    let (mut requests, mut bytes, mut logs) = (0_u64, 0_u64, 0_u64);
    let mut line = String::new();
    for request in stream.by_ref() {
        line.clear();
        json::line(&mut line, &request)?;
        output.write_all(line.as_bytes())?;
        requests += 1;
        bytes += line.len() as u64;
        logs += log_records(&request);
    }
    output.flush()?;
    let truth = stream.into_truth();
    let wrote = format!(
        "{requests} requests, {bytes} bytes: {} traces, {} spans, {logs} log records, from {} to {}\n",
        truth.traces.len(),
        truth.spans,
        arguments.options.start_ns,
        arguments.options.end_ns(),
    );
    print(&mut io::stderr(), &wrote);
    if arguments.wants_answer {
        print(&mut io::stderr(), &answer(&truth));
    }
    Ok(())
}

fn log_records(request: &Request) -> u64 {
    let Request::Logs(request) = request else { return 0 };
    let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
    scopes.map(|scope| scope.log_records.len() as u64).sum()
}

/// The truth in words.
fn answer(truth: &Truth) -> String {
    let mut text = culprit(truth);
    for (root, sums) in &truth.roots {
        let mean_ms = sums.mean_ns() as f64 / 1e6;
        line(
            &mut text,
            format_args!(
                "{} {}: {} traces, mean {mean_ms:.3} ms",
                root.service, root.name, sums.traces
            ),
        );
        for (node, ns) in &sums.path_ns_by_node {
            let per_trace_ms = *ns as f64 / sums.traces as f64 / 1e6;
            line(&mut text, format_args!("  {node}: {per_trace_ms:.3} ms"));
        }
    }
    for (Edge { from, to }, edge) in &truth.edges {
        line(
            &mut text,
            format_args!(
                "{from} -> {to}: {} calls, client {} ns, server {} ns, gap {} ns, {} failed, {} retries",
                edge.calls,
                edge.client_ns,
                edge.server_ns,
                edge.gap_ns,
                edge.client_errors.max(edge.server_errors),
                edge.retries
            ),
        );
    }
    for (origin, error) in &truth.errors {
        let place = match origin {
            ErrorOrigin::Service(service) => (*service).to_owned(),
            ErrorOrigin::Peer(edge) => arrow(edge),
        };
        line(
            &mut text,
            format_args!("errors begin at {place}: {}, fatal {}", error.count, error.fatal),
        );
    }
    text
}

fn culprit(truth: &Truth) -> String {
    let Some(culprit) = &truth.culprit else { return "culprit: none\n".to_owned() };
    let subject = match &culprit.subject {
        Subject::Service(service) => format!("service {service}"),
        Subject::Edge(edge) => format!("edge {}", arrow(edge)),
    };
    let harm = match culprit.harm {
        Harm::Latency => "latency",
        Harm::Error => "errors",
    };
    let only = culprit.attribute.map(|(key, value)| format!(", {key} = {value}"));
    format!(
        "culprit: {subject}, {harm}{}, from {} to {}, {} traces affected\n",
        only.unwrap_or_default(),
        culprit.window_ns.start,
        culprit.window_ns.end,
        culprit.affected_traces
    )
}

fn arrow(edge: &Edge) -> String {
    format!("{} -> {}", edge.from, edge.to)
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{content}");
}
