//! How the explorer feels in a terminal: `cargo run --release -p ui-tui --example session_times`.
//!
//! It runs the explorer in pseudo-terminals, once over a source that never answers and then over
//! made-up answers, and measures from the outside: the time from a key to the frame, the bytes of a
//! frame, the bytes of doing nothing, and memory.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use api::ask::{Ask, Call};
use api::client::{Answer, ClientError};
use api::views::{
    Before, HeatmapAnswer, List, LogLine, LogRow, LogsAnswer, NO_PARENT, ServiceRow,
    SkeletonAnswer, SkeletonColumns, Trend,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use portable_pty::{CommandBuilder, NativePtySystem, PtySize, PtySystem};
use serde::Serialize;
use ui_tui::Options;

const CHILD: &str = "OTLAKE_SESSION";
const PATIENCE: Duration = Duration::from_secs(60);
/// A frame is whole once nothing has come for so long.
const QUIET: Duration = Duration::from_millis(40);
const KEYS: usize = 200;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    match std::env::var(CHILD) {
        Ok(what) => explore(&what),
        Err(_) => measure(),
    }
}

/// Answers what is made up for it; for ever nothing to everything else.
struct Canned {
    what: String,
    /// The tree of the trace that is shown, made before the explorer starts.
    tree: Option<Bytes>,
}

impl Canned {
    fn new(what: &str) -> Canned {
        let tree = what.parse().ok().and_then(|spans| json(&trace(spans)));
        Canned { what: what.to_owned(), tree: tree.map(Bytes::from) }
    }

    fn answer(&self, path: &str) -> Option<Bytes> {
        match (self.what.as_str(), path) {
            ("silent", _) => None,
            ("logs", "logs") => json(&logs(20_000)).map(Bytes::from),
            (_, path) if path.ends_with("/skeleton") => self.tree.clone(),
            (_, "services") => json(&services(100)).map(Bytes::from),
            (_, "heatmap") => {
                let columns = HeatmapAnswer { column_ns: 1, ..HeatmapAnswer::default() };
                json(&columns).map(Bytes::from)
            }
            _ => None,
        }
    }
}

impl Ask for Canned {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, ClientError>> {
        let path = call.path.split('?').next().unwrap_or("");
        let answer = self.answer(path.trim_start_matches("/api/v1/"));
        Box::pin(async move {
            match answer {
                Some(bytes) => {
                    let body = futures::stream::once(std::future::ready(Ok(bytes)));
                    Ok(Answer::new(200, None, Box::pin(body)))
                }
                None => std::future::pending().await,
            }
        })
    }
}

fn json(of: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(of).ok()
}

fn services(count: u32) -> List<ServiceRow> {
    let row = |at: u32| ServiceRow {
        service_name: format!("service-{at}"),
        kind: "service".into(),
        per_second: f64::from(at) * 3.7,
        error_share: Some(f64::from(at % 7) / 100.0),
        p50_ms: Some(f64::from(at)),
        p95_ms: Some(f64::from(at) * 3.0),
        p99_ms: Some(f64::from(at) * 9.0),
        before: Some(Before { calls: 1, ..Before::default() }),
        trend: Some(Trend {
            p99_ms: (0..15).map(|n| Some(f64::from((at * n) % 17))).collect(),
            ..Trend::default()
        }),
        ..ServiceRow::default()
    };
    List {
        rows: (0..count).map(row).collect(),
        range: Default::default(),
        bins: None,
        basis: Default::default(),
    }
}

fn logs(count: i64) -> LogsAnswer {
    let line = |at: i64| LogLine {
        log: LogRow {
            time: api::time::format(1_795_363_186_000_000_000 - at * 1_000_000),
            service_name: format!("service-{}", at % 12),
            severity_number: Some(9 + at % 9),
            body: Some(format!("request {at} answered in {} ms", at % 977)),
            ..LogRow::default()
        },
        ..LogLine::default()
    };
    LogsAnswer { rows: (0..count).map(line).collect(), ..LogsAnswer::default() }
}

/// Chains with siblings, in pre-order; the same each time.
fn trace(spans: u32) -> SkeletonAnswer {
    let mut columns = SkeletonColumns {
        names: (0..50).map(|n| format!("operation {n}")).collect(),
        services: (0..20).map(|n| format!("service-{n}")).collect(),
        ..SkeletonColumns::default()
    };
    let mut seed = 1u32;
    let mut open: Vec<u32> = Vec::new();
    for row in 0..spans {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Up by as many steps as the last bits say, and down by one.
        open.truncate(
            open.len().saturating_sub((seed >> 24) as usize % 4 / 2).max(usize::from(row > 0)),
        );
        columns.parent.push(open.last().copied().unwrap_or(NO_PARENT));
        columns.depth.push(u16::try_from(open.len()).unwrap_or(u16::MAX));
        columns.start_ns.push(i64::from(row) * 1_000);
        columns.duration_ns.push(i64::from(seed >> 12) * 10);
        columns.self_ns.push(1_000);
        columns.gap_ns.push(0);
        columns.critical_ns.push(if row % 97 == 0 { 500 } else { 0 });
        columns.flags.push(u16::from(row % 1_009 == 0));
        columns.kind.push(2);
        columns.name.push(seed % 50);
        columns.service.push(seed % 20);
        columns.peer.push(NO_PARENT);
        columns.span_id.push(format!("{row:016x}"));
        open.push(row);
        if open.len() > 60 {
            open.truncate(20);
        }
    }
    columns.subtree_end = ends(&columns.parent);
    let start = Some(api::time::format(1_795_363_186_000_000_000));
    SkeletonAnswer { start, columns, basis: Default::default() }
}

/// The row behind the last descendant of each row.
fn ends(parents: &[u32]) -> Vec<u32> {
    let mut ends: Vec<u32> = (1..=parents.len() as u32).collect();
    for (row, parent) in parents.iter().enumerate().rev() {
        if *parent != NO_PARENT {
            let end = ends[row].max(ends[*parent as usize]);
            ends[*parent as usize] = end;
        }
    }
    ends
}

/// The explorer over what is asked for, in the process that was started for it.
fn explore(what: &str) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let open = match what {
        "silent" | "services" => None,
        "logs" => Some("otlake:logs".to_owned()),
        _ => Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    };
    // A range that does not move, so that nothing is asked by itself.
    let range = Some("2026-11-22T15:45Z..+15m".to_owned());
    let options = Options { open, range, ..Options::default() };
    runtime.block_on(ui_tui::run(Arc::new(Canned::new(what)), options))?;
    Ok(())
}

/// An explorer in a terminal.
struct Terminal {
    writer: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    bytes: mpsc::Receiver<Vec<u8>>,
    screen: vt100::Parser,
    began: Instant,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn start(what: &str, (cols, rows): (u16, u16)) -> Result<Terminal, Failure> {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = NativePtySystem::default().openpty(size)?;
        let mut command = CommandBuilder::new(std::env::current_exe()?);
        for (name, value) in [
            (CHILD, what),
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LANG", "C.UTF-8"),
            ("XDG_STATE_HOME", "/nonexistent"),
        ] {
            command.env(name, value);
        }
        let began = Instant::now();
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader()?;
        let writer = pair.master.take_writer()?;
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let (rows, cols) = (NonZero::new(rows), NonZero::new(cols));
        let (rows, cols) = rows.zip(cols).ok_or("a terminal has rows and columns")?;
        let screen = vt100::Parser::new(rows, cols, 0);
        Ok(Terminal { writer, child, bytes, screen, began, _master: pair.master })
    }

    /// Reads until a text stands on the screen, and returns the time since the start.
    fn wait_for(&mut self, text: &str) -> Result<Duration, Failure> {
        while !self.screen.screen().contents().contains(text) {
            let bytes = self.bytes.recv_timeout(PATIENCE)?;
            self.screen.process(&bytes);
        }
        Ok(self.began.elapsed())
    }

    /// Reads until nothing comes any more; the bytes read.
    fn quiet(&mut self, for_: Duration) -> usize {
        let mut read = 0;
        while let Ok(bytes) = self.bytes.recv_timeout(for_) {
            self.screen.process(&bytes);
            read += bytes.len();
        }
        read
    }

    /// Presses a key: the time until its frame begins to come, and the bytes of the frame.
    fn press(&mut self, key: &str) -> Result<(Duration, usize), Failure> {
        let at = Instant::now();
        self.writer.write_all(key.as_bytes())?;
        self.writer.flush()?;
        let first = self.bytes.recv_timeout(PATIENCE)?;
        let took = at.elapsed();
        self.screen.process(&first);
        Ok((took, first.len() + self.quiet(QUIET)))
    }

    /// Memory of the process in MiB.
    fn resident_mib(&self) -> Result<u64, Failure> {
        let id = self.child.process_id().ok_or("the explorer has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
        Ok(kib >> 10)
    }

    fn end(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Median and 99th percentile of the time from key to frame, and the largest frame.
fn press_all(terminal: &mut Terminal, keys: &[&str]) -> Result<String, Failure> {
    let mut took = Vec::new();
    let mut bytes = Vec::new();
    for at in 0..KEYS {
        let (time, frame) = terminal.press(keys[at % keys.len()])?;
        took.push(time.as_secs_f64() * 1e3);
        bytes.push(frame);
    }
    took.sort_by(f64::total_cmp);
    bytes.sort_unstable();
    let at = |share: usize| (KEYS - 1) * share / 100;
    Ok(format!(
        "key to frame p50 {:.1} ms, p99 {:.1} ms; bytes a frame p50 {}, most {}",
        took[at(50)],
        took[at(99)],
        bytes[at(50)],
        bytes[KEYS - 1]
    ))
}

fn measure() -> Result<(), Failure> {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let (width, height) = size;
        let mut silent = Terminal::start("silent", size)?;
        let first = silent.wait_for("Services")?;
        silent.quiet(Duration::from_millis(100));
        println!("{width}x{height}, a source that never answers: first frame after {first:.0?}");
        println!("  {}", press_all(&mut silent, &["t", "\x1b", "2", "1"])?);
        silent.end()?;
        let mut services = Terminal::start("services", size)?;
        services.wait_for("service-")?;
        services.quiet(Duration::from_millis(500));
        println!(
            "{width}x{height}, 100 services, down and up: {}",
            press_all(&mut services, &["j", "k"])?
        );
        let idle = services.quiet(Duration::from_secs(3));
        println!("  idle for 3 s: {idle} bytes; memory {} MiB", services.resident_mib()?);
        services.end()?;
        let mut logs = Terminal::start("logs", size)?;
        logs.wait_for("request 3 ")?;
        logs.quiet(Duration::from_millis(500));
        println!(
            "{width}x{height}, 20,000 log lines, pages: {}",
            press_all(&mut logs, &["\x1b[6~"])?
        );
        println!("  memory {} MiB", logs.resident_mib()?);
        logs.end()?;
    }
    for spans in ["3000", "100000", "1000000"] {
        let mut trace = Terminal::start(spans, (200, 60))?;
        let asked = trace.wait_for("Waterfall")?;
        let shown = trace.wait_for("operation")? - asked;
        trace.quiet(Duration::from_millis(500));
        println!("200x60, trace of {spans} spans: {shown:.0?} after it was asked for");
        println!("  {}", press_all(&mut trace, &["j", "k"])?);
        println!("  {}", press_all(&mut trace, &["G", "g"])?);
        println!("  memory {} MiB", trace.resident_mib()?);
        trace.end()?;
    }
    Ok(())
}
