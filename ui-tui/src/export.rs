//! What is on the screen as a file: its rows, its picture, or the whole answer behind it.

use std::fmt::Write as _;

use api::client::Format;
use api::time;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::app::{App, frame};
use crate::effect::Effect;
use crate::overlay::Form;
use crate::request::Request;
use crate::screens::Grid;

pub(crate) mod otlp;
#[cfg(test)]
mod tests;

/// What writes the view in a form, or why it cannot.
pub(crate) fn effect(app: &App, form: Form) -> Result<Effect, String> {
    let grid = app.top().screen.grid(&app.top_look());
    let rows = || grid.clone().ok_or_else(|| "no rows here to be written".to_owned());
    let name = |ending: &str| file_name(app, ending);
    Ok(match form {
        Form::Csv => Effect::Write { name: name("csv"), bytes: csv(&rows()?).into_bytes() },
        Form::Json => Effect::Write { name: name("json"), bytes: json(&rows()?).into_bytes() },
        Form::Otlp => {
            let records = app.top().screen.otlp(&app.top_look());
            let why = "OTLP is written of a trace with its spans, and of log records; `otlake export` writes all of a range";
            Effect::Write { name: name("otlp.json"), bytes: records.ok_or(why)?.into_bytes() }
        }
        Form::Text => Effect::Write { name: name("txt"), bytes: picture(app).into_bytes() },
        Form::Svg => Effect::Write { name: name("svg"), bytes: svg(app).into_bytes() },
        Form::Arrow => {
            let statements = app.statements();
            let sql = statements.first().ok_or("no statement behind this")?;
            Effect::Download { name: name("arrow"), request: Request::encoded(sql, Format::Arrow) }
        }
    })
}

/// `otlake-services-20261122T155946.csv`.
fn file_name(app: &App, ending: &str) -> String {
    let at: String = time::format(app.now.unix_ns)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(15)
        .collect();
    let word: String = app
        .top()
        .screen
        .link()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(48)
        .collect();
    format!("otlake-{word}-{at}.{ending}")
}

/// Rows as CSV. A cell that a spreadsheet would run as a formula gets a quote in front.
pub(crate) fn csv(grid: &Grid) -> String {
    let mut out = String::new();
    for row in std::iter::once(&grid.columns).chain(&grid.rows) {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn csv_cell(cell: &str) -> String {
    let risky = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let cell = if risky { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// Rows as a JSON array of objects, one a line.
pub(crate) fn json(grid: &Grid) -> String {
    let object = |row: &Vec<String>| {
        let fields = grid.columns.iter().zip(row);
        let fields: serde_json::Map<_, _> =
            fields.map(|(name, cell)| (name.clone(), cell.clone().into())).collect();
        serde_json::Value::Object(fields).to_string()
    };
    let rows: Vec<String> = grid.rows.iter().map(object).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

/// The screen as it is, drawn once more into memory.
fn drawn(app: &App) -> Option<Buffer> {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).ok()?;
    terminal.draw(|frame| frame::render(app, frame)).ok()?;
    Some(terminal.backend().buffer().clone())
}

/// The glyphs of the screen, a line a row.
pub(crate) fn picture(app: &App) -> String {
    let Some(buffer) = drawn(app) else { return String::new() };
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

const CELL_WIDTH: u32 = 8;
const CELL_HEIGHT: u32 = 17;

/// The screen as an SVG image: text, with dim and emphasis by opacity and weight.
pub(crate) fn svg(app: &App) -> String {
    let Some(buffer) = drawn(app) else { return String::new() };
    let (width, height) = (u32::from(buffer.area.width), u32::from(buffer.area.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"monospace\" font-size=\"13\" fill=\"#d8dee9\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#1c2128\"/>\n",
        width * CELL_WIDTH,
        height * CELL_HEIGHT
    );
    for y in 0..buffer.area.height {
        svg_row(&buffer, y, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

/// Runs of cells of one look; each cell has its place, so that columns stand under each other.
fn svg_row(buffer: &Buffer, y: u16, out: &mut String) {
    let baseline = u32::from(y) * CELL_HEIGHT + 13;
    let mut x = 0;
    while x < buffer.area.width {
        let style = buffer[(x, y)].style();
        let end = (x..buffer.area.width)
            .find(|at| buffer[(*at, y)].style() != style)
            .unwrap_or(buffer.area.width);
        let text: String = (x..end).map(|at| buffer[(at, y)].symbol()).collect();
        let reversed = style.add_modifier.contains(ratatui::style::Modifier::REVERSED);
        let left = u32::from(x) * CELL_WIDTH;
        let width = u32::from(end - x) * CELL_WIDTH;
        let fill = crate::theme::svg_colour(style.fg);
        // Writing into a String cannot fail.
        if reversed {
            let top = u32::from(y) * CELL_HEIGHT;
            let _ = writeln!(
                out,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>"
            );
        }
        if !text.trim().is_empty() {
            let fill = if reversed { "#1c2128" } else { &fill };
            let _ = writeln!(
                out,
                "<text x=\"{left}\" y=\"{baseline}\" textLength=\"{width}\" \
                 xml:space=\"preserve\" fill=\"{fill}\">{}</text>",
                escaped(&text)
            );
        }
        x = end;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
