//! `/metrics`: what the parts count, as one Prometheus text; and reading such a text back.

use std::fmt::Write;
use std::sync::Arc;

use collector::CollectorStats;
use query::Engine;
use schemas::Table;
use storage::{Scrubbed, Store, StoreStats};

use crate::server_file::Addresses;

#[cfg(test)]
mod tests;

/// The parts of a server that count.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) collector: Arc<CollectorStats>,
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) addresses: Addresses,
    pub(crate) started_ns: i64,
}

impl Sources {
    /// The whole text.
    pub(crate) fn render(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        self.process(&mut out);
        self.collector.render_prometheus(&mut out);
        store(&mut out, &self.store.stats());
        let running = self.engine.running().len() as f64;
        family(
            &mut out,
            "otlake_queries_running",
            "gauge",
            "Queries that run now.",
            &[("", running)],
        );
        out
    }

    fn process(&self, out: &mut String) {
        let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
        family(out, "otlake_build_info", "gauge", "The program that answers.", &[(&version, 1.0)]);
        let door = |name, address| format!("{{door=\"{name}\",address=\"{address}\"}}");
        let grpc = door("otlp_grpc", self.addresses.otlp_grpc);
        let http = door("otlp_http", self.addresses.otlp_http);
        let doors = [(grpc.as_str(), 1.0), (http.as_str(), 1.0)];
        family(out, "otlake_listener_info", "gauge", "Where OTLP arrives.", &doors);
        let started = self.started_ns as f64 / 1e9;
        family(
            out,
            "process_start_time_seconds",
            "gauge",
            "When the process started.",
            &[("", started)],
        );
        if let Some(bytes) = resident_bytes() {
            family(
                out,
                "process_resident_memory_bytes",
                "gauge",
                "Memory in use.",
                &[("", bytes as f64)],
            );
        }
    }
}

fn store(out: &mut String, stats: &StoreStats) {
    per_table(out, "otlake_live_rows", "Rows not yet in files.", &stats.live_rows);
    per_table(out, "otlake_files", "Parquet files.", &stats.files);
    per_table(out, "otlake_file_rows", "Rows in Parquet files.", &stats.file_rows);
    per_table(out, "otlake_file_bytes", "Bytes of Parquet files.", &stats.file_bytes);
    let recovering = stats.recovering_bytes.unwrap_or_default();
    let refusing = u64::from(stats.read_only_reason.is_some());
    for (name, help, value) in [
        ("otlake_live_bytes", "Memory of rows not yet in files.", stats.live_bytes),
        ("otlake_wal_segments", "Files of the write-ahead log.", stats.wal_segments),
        ("otlake_wal_bytes", "Bytes of the write-ahead log.", stats.wal_bytes),
        ("otlake_wal_recovering_bytes", "Old log not yet replayed.", recovering),
        (
            "otlake_disk_free_bytes",
            "Free space of the data directory's disk.",
            stats.free_disk_bytes,
        ),
        ("otlake_ingest_refusing", "1 while nothing is stored: disk full or failing.", refusing),
    ] {
        family(out, name, "gauge", help, &[("", value as f64)]);
    }
    for (name, help, value) in [
        ("otlake_wal_frames_total", "Requests written to the log.", stats.wal_frames),
        ("otlake_wal_syncs_total", "Syncs of the log.", stats.wal_syncs),
        (
            "otlake_wal_torn_tail_bytes_total",
            "Bytes cut off as never acknowledged.",
            stats.wal_torn_tail_bytes,
        ),
        ("otlake_deduplicated_total", "Repeated requests not stored again.", stats.deduplicated),
        ("otlake_flushes_total", "Generations written to files.", stats.flushes),
        (
            "otlake_flush_failures_total",
            "Writes of files that failed and are retried.",
            stats.flush_failures,
        ),
    ] {
        family(out, name, "counter", help, &[("", value as f64)]);
    }
    let seconds = stats.wal_sync_ns_total as f64 / 1e9;
    family(
        out,
        "otlake_wal_sync_seconds_total",
        "counter",
        "Time spent in syncs.",
        &[("", seconds)],
    );
    scrub(out, &stats.scrubbed);
}

fn scrub(out: &mut String, scrubbed: &Scrubbed) {
    let pending = [("", scrubbed.pending as f64)];
    let help = "Files of the last run still to be compared with their hashes.";
    family(out, "otlake_scrub_pending_files", "gauge", help, &pending);
    let compared = [
        ("{result=\"sound\"}", scrubbed.sound as f64),
        ("{result=\"damaged\"}", scrubbed.damaged as f64),
        ("{result=\"unchecked\"}", scrubbed.unchecked as f64),
    ];
    let help = "Files compared with their hashes since the start.";
    family(out, "otlake_scrub_files_total", "counter", help, &compared);
}

fn per_table(out: &mut String, name: &str, help: &str, values: &[u64; Table::COUNT]) {
    let labels = Table::ALL.map(|table| format!("{{table=\"{}\"}}", table.name()));
    let samples: Vec<(&str, f64)> =
        labels.iter().zip(values).map(|(label, value)| (label.as_str(), *value as f64)).collect();
    family(out, name, "gauge", help, &samples);
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(&str, f64)]) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The samples of a Prometheus text.
#[derive(Debug)]
pub(crate) struct Samples(String);

impl Samples {
    pub(crate) fn new(text: String) -> Samples {
        Samples(text)
    }

    /// The sum of a family over all labels that contain `with`; `None` when it has no sample.
    pub(crate) fn sum(&self, name: &str, with: &str) -> Option<f64> {
        let values =
            self.of(name).filter(|(labels, _)| labels.contains(with)).map(|(_, value)| value);
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// The value of a label in the first sample whose labels contain `with`.
    pub(crate) fn label(&self, name: &str, with: &str, label: &str) -> Option<&str> {
        let (labels, _) = self.of(name).find(|(labels, _)| labels.contains(with))?;
        let (_, rest) = labels.split_once(&format!("{label}=\""))?;
        Some(rest.split_once('"')?.0)
    }

    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (sample, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let is_family = sample.is_empty() || sample.starts_with('{');
            Some((sample, value.parse().ok()?)).filter(|_| is_family)
        })
    }
}
