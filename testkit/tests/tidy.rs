//! The rules of style that a machine can check, over every source file of the workspace, and the
//! size line that shows the shape of the tree. Builds without any of our crates.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "common", "misc", "manager", "helpers"];

/// Column names that are no ordinary words: as literals they stand in `schemas/` alone.
const COLUMNS: [&str; 12] = [
    "\"trace_id\"",
    "\"span_id\"",
    "\"parent_span_id\"",
    "\"duration_ns\"",
    "\"service_name\"",
    "\"attributes_rest\"",
    "\"resource_schema_url\"",
    "\"observed_time\"",
    "\"series_id\"",
    "\"value_double\"",
    "\"bucket_counts\"",
    "\"ingested_at\"",
];

/// A function this long is one line from too long; nothing may grow through the band.
const RATCHET_LINES: std::ops::RangeInclusive<usize> = 71..=72;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let path = self.path.to_string_lossy();
        path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/benches/")
    }

    fn crate_name(&self) -> String {
        self.path.components().next().unwrap().as_os_str().to_string_lossy().into_owned()
    }

    /// Lines in front of an inline test module.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().enumerate().map(|(i, line)| (i + 1, line))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir()
                && !name.starts_with('.')
                && !["target", "scripts", "fuzz", "node_modules"].contains(&name.as_str())
            {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(root).unwrap().to_path_buf(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 20, "the walk found only {} files", found.len());
    found
}

/// Fails with one line a finding.
fn check(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    check(
        sources()
            .iter()
            .filter(|s| !s.text.starts_with("//!"))
            .map(|s| format!("{}: no //! header", s.path.display()))
            .collect(),
    );
}

#[test]
fn modules_are_named_after_what_they_hold() {
    let stem = |s: &Source| s.path.file_stem().unwrap().to_string_lossy().into_owned();
    check(
        sources()
            .iter()
            .filter(|s| EMPTY_NAMES.contains(&stem(s).as_str()))
            .map(|s| format!("{}: the name says nothing", s.path.display()))
            .collect(),
    );
}

#[test]
fn column_names_are_literals_only_in_schemas() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        if ["schemas", "testkit"].contains(&source.crate_name().as_str()) {
            continue;
        }
        for (number, line) in source.product_lines() {
            if COLUMNS.iter().any(|c| line.contains(c)) && !line.trim_start().starts_with("//") {
                findings.push(format!("{}:{number}: use schemas::columns", source.path.display()));
            }
        }
    }
    check(findings);
}

#[test]
fn log_messages_start_lower_case_and_end_without_a_period() {
    let mut findings = Vec::new();
    for source in sources() {
        for (number, line) in source.product_lines() {
            let logs = ["info!(", "warn!(", "error!(", "debug!("].iter().any(|m| {
                line.trim_start().starts_with(m) || line.contains(&format!("tracing::{m}"))
            });
            let Some(message) = line
                .rsplit_once("\");")
                .and_then(|(head, _)| head.rsplit_once('"'))
                .map(|(_, m)| m)
            else {
                continue;
            };
            if logs && (message.starts_with(|c: char| c.is_uppercase()) || message.ends_with('.')) {
                findings
                    .push(format!("{}:{number}: log message {message:?}", source.path.display()));
            }
        }
    }
    check(findings);
}

/// Lines of every function, by indentation.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in source.product_lines() {
        let indent = line.len() - line.trim_start().len();
        let code = line.trim_start();
        let starts = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) async fn ",
            "const fn ",
            "pub const fn ",
        ];
        if starts.iter().any(|s| code.starts_with(s)) && !code.ends_with(';') {
            if code.ends_with('}') {
                found.push((number, 1));
            } else {
                open.push((indent, number));
            }
        } else if code.starts_with('}') && open.last().is_some_and(|(i, _)| *i == indent) {
            let (_, start) = open.pop().unwrap();
            found.push((start, number - start + 1));
        }
    }
    found
}

#[test]
fn no_function_grows_through_the_ratchet() {
    let mut findings = Vec::new();
    for source in sources() {
        for (line, length) in functions(&source) {
            if RATCHET_LINES.contains(&length) {
                findings.push(format!("{}:{line}: {length} lines", source.path.display()));
            }
        }
    }
    check(findings);
}

#[test]
fn the_size_line() {
    let product: Vec<Source> = sources().into_iter().filter(|s| !s.is_test()).collect();
    let mut files: Vec<usize> = product.iter().map(|s| s.product_lines().count()).collect();
    let mut lengths: Vec<usize> =
        product.iter().flat_map(functions).map(|(_, length)| length).collect();
    files.sort_unstable();
    lengths.sort_unstable();
    let at = |sorted: &[usize], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let long = lengths.iter().filter(|l| **l > 70).count();
    println!(
        "{} files, lines median {} p90 {} max {}; {} functions, lines median {} p90 {} p99 {}, {long} over 70",
        files.len(),
        at(&files, 0.5),
        at(&files, 0.9),
        at(&files, 1.0),
        lengths.len(),
        at(&lengths, 0.5),
        at(&lengths, 0.9),
        at(&lengths, 0.99),
    );
}
