//! What reaches the terminal: sanitised text, tables, tab-separated rows, colour only where wanted.
//!
//! Telemetry is written by strangers. Every text of it passes [`safe`] before a person's terminal
//! sees it; a pipe gets the bytes as asked.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use api::client::Answer;
use api::sql::{Field, Stats};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// Combining marks kept on one base; more of them paint over the lines around.
const MARKS_MAX: usize = 8;
const WIDTH_DEFAULT: usize = 100;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where the output goes: stdout and what it can show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// A person reads it.
    pub(crate) is_terminal: bool,
    /// Colour is wanted.
    pub(crate) color: bool,
    /// Columns of the terminal.
    pub(crate) width: usize,
}

impl Screen {
    /// Looks at stdout and the environment.
    pub(crate) fn detect(choice: ColorChoice) -> Screen {
        let is_terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR") => false,
            ColorChoice::Auto => is_terminal || set("CLICOLOR_FORCE"),
        };
        Screen { is_terminal, color, width: terminal_width().unwrap_or(WIDTH_DEFAULT) }
    }

    /// The text in red where colour is wanted.
    pub(crate) fn red(self, text: &str) -> Cow<'_, str> {
        self.paint("31", text)
    }

    /// The text dimmed where colour is wanted.
    pub(crate) fn dim(self, text: &str) -> Cow<'_, str> {
        self.paint("2", text)
    }

    /// Lines as a person's terminal may have them; a program gets the text as it is.
    pub(crate) fn shown(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { safe_lines(text).into() } else { text.into() }
    }

    fn paint<'a>(self, code: &str, text: &'a str) -> Cow<'a, str> {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m").into() } else { text.into() }
    }
}

fn terminal_width() -> Option<usize> {
    let columns = rustix::termios::tcgetwinsize(io::stdout()).ok()?.ws_col;
    (columns > 0).then_some(usize::from(columns))
}

/// The text with everything made visible that a terminal would obey instead of show.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_combining(c) { marks + 1 } else { 0 };
        match marks {
            0..=MARKS_MAX => push_safe(&mut out, c),
            _ if marks == MARKS_MAX + 1 => out.push('…'),
            _ => {}
        }
    }
    out.into()
}

/// As [`safe`], keeping line ends: for answers that are lines.
fn safe_lines(text: &str) -> String {
    text.split('\n').map(safe).collect::<Vec<_>>().join("\n")
}

fn push_safe(out: &mut String, c: char) {
    match c {
        '\t' => out.push_str("    "),
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('␀')),
        '\u{7f}' => out.push('␡'),
        _ if is_invisible(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        _ => out.push(c),
    }
}

/// C1 controls, direction marks, zero-width and tag characters.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_combining(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// The form of an answer on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Aligned columns for people
    Table,
    /// One object with schema, rows and stats, as the HTTP API answers
    Json,
    /// One JSON object a row
    Ndjson,
    /// Comma-separated with a header
    Csv,
    /// Tab-separated without a header
    Tsv,
}

impl RowFormat {
    /// What was asked for; else a table for people and tab-separated rows for programs.
    pub(crate) fn or_default(asked: Option<RowFormat>, screen: Screen) -> RowFormat {
        let default = if screen.is_terminal { RowFormat::Table } else { RowFormat::Tsv };
        asked.unwrap_or(default)
    }
}

/// Writes rows as a table that fits the screen.
pub(crate) fn write_table(
    out: &mut dyn Write,
    screen: Screen,
    schema: &[Field],
    rows: &[Map<String, Value>],
) -> io::Result<()> {
    let heads: Vec<Head<'_>> = schema
        .iter()
        .map(|field| Head { title: &field.name, is_number: is_number(&field.kind) })
        .collect();
    let cells = |row| schema.iter().map(|field| cell(row, field).into_owned()).collect();
    write_cells(out, screen, &heads, rows.iter().map(cells))
}

/// The head of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) title: &'a str,
    /// Numbers are aligned to the right.
    pub(crate) is_number: bool,
}

/// A column of texts.
pub(crate) const fn text_head(title: &str) -> Head<'_> {
    Head { title, is_number: false }
}

/// A column of numbers.
pub(crate) const fn number_head(title: &str) -> Head<'_> {
    Head { title, is_number: true }
}

/// Writes texts as a table that fits the screen.
pub(crate) fn write_cells(
    out: &mut dyn Write,
    screen: Screen,
    heads: &[Head<'_>],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    if screen.is_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(screen.width).unwrap_or(u16::MAX));
    }
    table.set_header(heads.iter().map(|head| safe(head.title).into_owned()));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell).into_owned()));
    }
    for (at, head) in heads.iter().enumerate() {
        if let (true, Some(column)) = (head.is_number, table.column_mut(at)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{}", table.trim_fmt())
}

/// A share as a bar of at most `width` characters, to half a character.
pub(crate) fn bar(share: f64, width: usize) -> String {
    let halves = (share.clamp(0.0, 1.0) * 2.0 * width as f64).round() as usize;
    format!("{}{}", "█".repeat(halves / 2), if halves % 2 == 1 { "▌" } else { "" })
}

/// A share as per cent, `-` when there is none.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A number with two digits, `-` when there is none.
pub(crate) fn decimal(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
}

/// A text, `-` when there is none.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// Writes rows separated by tabs; a tab, line end or backslash within a value is escaped.
pub(crate) fn write_tsv(
    out: &mut dyn Write,
    schema: &[Field],
    rows: &[Map<String, Value>],
) -> io::Result<()> {
    for row in rows {
        for (at, field) in schema.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\t" };
            write!(out, "{separator}{}", tsv_escaped(&cell(row, field)))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Copies an answer as it arrives, sanitised where a person reads it; gives its lines.
pub(crate) async fn copy(
    out: &mut dyn Write,
    screen: Screen,
    mut answer: Answer,
) -> Result<u64, Failure> {
    let mut ends = 0;
    let mut pending = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ends += chunk.iter().filter(|b| **b == b'\n').count() as u64;
        // Whole lines only, so that no character is cut in two.
        pending.extend_from_slice(&chunk);
        let lines = pending.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = pending.drain(..lines).collect();
        out.write_all(screen.shown(&String::from_utf8_lossy(&whole)).as_bytes())?;
    }
    out.write_all(screen.shown(&String::from_utf8_lossy(&pending)).as_bytes())?;
    out.flush()?;
    Ok(ends)
}

/// Tells on stderr what an answer is built on: always what is missing, the rest to people only.
pub(crate) fn write_notes(screen: Screen, stats: &Stats) {
    let mut notes: Vec<String> = stats.warnings.iter().map(|w| format!("warning: {w}")).collect();
    if stats.truncated {
        notes.push(format!(
            "warning: cut at {} rows; narrow the question or use `otlake export`",
            stats.rows
        ));
    }
    if stats.partial {
        notes.push(
            "warning: some rows could not be read; see `select * from system.data_loss`".into(),
        );
    }
    if let Some(bytes) = stats.recovering_bytes {
        notes.push(format!(
            "warning: {} of earlier data are still being recovered",
            crate::units::show_bytes(bytes)
        ));
    }
    if screen.is_terminal {
        notes.push(format!(
            "{} rows in {:.1} ms; {} files read, {} skipped, {} live rows",
            stats.rows, stats.elapsed_ms, stats.files_scanned, stats.files_skipped, stats.live_rows
        ));
    }
    for note in notes {
        // Without a stderr the answer itself still stands.
        let _ = writeln!(io::stderr(), "{}", safe(&note));
    }
}

/// A value as plain text: strings bare, a missing one as `null`.
pub(crate) fn cell<'a>(row: &'a Map<String, Value>, field: &Field) -> Cow<'a, str> {
    match row.get(&field.name) {
        None | Some(Value::Null) => "null".into(),
        Some(Value::String(text)) => text.into(),
        Some(other) => other.to_string().into(),
    }
}

/// The text of a column in a row, empty when it is missing.
pub(crate) fn text<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The number of a column in a row, 0 when it is missing.
pub(crate) fn number(row: &Map<String, Value>, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn is_number(kind: &str) -> bool {
    ["int", "double", "float", "real", "decimal"].iter().any(|word| kind.contains(word))
}

fn tsv_escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\t', '\n', '\r', '\\']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r").into()
}
