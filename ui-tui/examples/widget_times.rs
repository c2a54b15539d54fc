//! How long the heavy widgets take: `cargo run --release -p ui-tui --example widget_times`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::sync::Arc;
use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ui_tui::flames::{Flames, Weight};
use ui_tui::span_rows::{Builder, NO_ROW, Node, Skeleton, SpanRows, density, flags};
use ui_tui::theme::{Depth, Glyphs, Role, Theme, ThemeName};
use ui_tui::widgets::heatmap::{Cells, Count, Heatmap};
use ui_tui::widgets::map::layout::Sugiyama;
use ui_tui::widgets::map::{self, Edge, Flow, Layout, Map};
use ui_tui::widgets::table::{Cell, Column, Row, Table};
use ui_tui::widgets::waterfall::{Bar, Line, Waterfall};
use ui_tui::widgets::{Mark, Pen, piece};

const RUNS: u32 = 21;

/// Prints the median of some runs.
fn time<T>(what: &str, mut run: impl FnMut() -> T) {
    let mut took: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("{what:<52} {:>9.3} ms", took[took.len() / 2]);
}

/// A trace with some chains, many siblings, and errors here and there; the same each time.
fn trace(spans: u32) -> Skeleton {
    let mut builder = Builder::default();
    let mut seed = 1u32;
    for at in 0..spans {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let parent = if at == 0 { NO_ROW } else { at - 1 - (seed >> 8) % at.min(64) };
        let node = Node {
            parent,
            start_ns: i64::from(at) * 1000,
            duration_ns: i64::from(seed >> 12) * 10,
            self_ns: 1000,
            critical_ns: i64::from(at % 97 == 0) * 500,
            flags: if at % 1009 == 0 { flags::ERROR } else { 0 },
            ..Node::default()
        };
        builder.push(node, &format!("op{}", seed % 50), &format!("service{}", seed % 20));
    }
    builder.build()
}

fn draw(size: (u16, u16), theme: &Theme, draw: impl Fn(&mut Pen<'_>)) -> Buffer {
    let area = Rect::new(0, 0, size.0, size.1);
    let mut buffer = Buffer::empty(area);
    draw(&mut Pen::new(&mut buffer, area, theme));
    buffer
}

fn tables(theme: &Theme) {
    let columns =
        [Column::text("service", 20), Column::number("rate/s", 9), Column::fixed("trend", 30)];
    let table = Table {
        columns: &columns,
        len: 1_000_000,
        first: 499_990,
        cursor: Some(500_000),
        sort: None,
        rows: &|at| {
            let trend = (0..30).map(|n| Some(f64::from(n * at as i32 % 17))).collect();
            let cells =
                vec![Cell::text(format!("service-{at}")), Cell::text("212.4"), Cell::spark(trend)];
            Some(Row { mark: Mark::Error, cells, ..Row::default() })
        },
    };
    for size in [(80, 24), (120, 40), (200, 60)] {
        time(&format!("table of 1,000,000 rows, {}x{}", size.0, size.1), || {
            draw(size, theme, |pen| table.render(pen))
        });
    }
}

fn traces(theme: &Theme, spans: u32) {
    let skeleton = Arc::new(trace(spans));
    let n = skeleton.len();
    time(&format!("{n} spans: rows as the trace opens"), || {
        SpanRows::new(Arc::clone(&skeleton), None)
    });
    let mut rows = SpanRows::new(Arc::clone(&skeleton), None);
    rows.fold_all(false);
    time(&format!("{n} spans: unfold all, {} rows", rows.len()), || rows.fold_all(false));
    time(&format!("{n} spans: density strip"), || density(&skeleton, 0, 1 << 30, 200));
    let window_ns = skeleton.window_ns();
    let line = |at: usize| {
        let row = rows.span(at).unwrap_or(0) as usize;
        let (from_ns, to_ns) = (skeleton.start_ns[row], skeleton.end_ns(row));
        Line {
            depth: rows.depth(at),
            folded: rows.is_folded(at),
            name: vec![piece(skeleton.name(row), Role::Text)],
            bars: vec![Bar { from_ns, to_ns, fill: '█', role: Role::Critical }],
            ..Line::default()
        }
    };
    let waterfall = Waterfall {
        len: rows.len(),
        first: rows.len() / 2,
        cursor: Some(rows.len() / 2),
        name_width: 60,
        fields: &[],
        window_ns,
        zero_ns: 0,
        pauses: &[],
        head: "span",
        lines: &line,
    };
    time(&format!("{n} spans: waterfall, 200x60"), || {
        draw((200, 60), theme, |pen| waterfall.render(pen))
    });
    time(&format!("{n} spans: flame by time"), || Flames::by_time(&skeleton));
    time(&format!("{n} spans: flame, left-heavy"), || Flames::left_heavy(&skeleton, Weight::Own));
    let flames = Flames::by_time(&skeleton);
    time(&format!("{n} spans: frames seen, 200x60"), || flames.seen(window_ns, 200, 0..60));
}

fn heatmaps() {
    let mut cells = Cells::new(190, 60);
    for column in 0..190 {
        for row in 0..60 {
            cells.add(column, row, Count { all: (column * row % 977) as u64, failed: 0 });
        }
    }
    for (name, depth) in [("half blocks", Depth::TrueColor), ("shades", Depth::None)] {
        let theme = Theme::new(ThemeName::Dark, depth, Glyphs::default());
        let heatmap = Heatmap { cells: Some(&cells), ..Heatmap::default() };
        time(&format!("heatmap of 190x60 cells, {name}, 200x40"), || {
            draw((200, 40), &theme, |pen| heatmap.render(pen))
        });
    }
}

fn maps(theme: &Theme, nodes: usize) {
    let node = |at: usize| map::Node {
        lines: vec![vec![piece(format!("service{at}"), Role::Text)]; 2],
        frame: Some(map::Weight::Light),
        role: Role::Text,
        calls_itself: false,
    };
    let nodes: Vec<map::Node> = (0..nodes).map(node).collect();
    let edges: Vec<Edge> = (1..nodes.len())
        .flat_map(|to| [(to / 3, to), (to / 2, to)])
        .filter(|(from, to)| from != to)
        .map(|(from, to)| Edge { from, to, weight: map::Weight::Light, role: Role::Text })
        .collect();
    let sizes: Vec<map::Size> = nodes.iter().map(map::Node::size).collect();
    let pairs: Vec<(usize, usize)> = edges.iter().map(|e| (e.from, e.to)).collect();
    let lay_out = || Layout::new(&Sugiyama, &sizes, &pairs, Flow::Right, 0);
    let n = nodes.len();
    time(&format!("map of {n} nodes, {} edges: layout", edges.len()), lay_out);
    let layout = lay_out();
    let map =
        Map { layout: &layout, nodes: &nodes, edges: &edges, cursor: Some(1), scroll: (0, 0) };
    time(&format!("map of {n} nodes: painted, 200x60"), || {
        draw((200, 60), theme, |pen| map.render(pen))
    });
}

fn main() {
    let theme = Theme::new(ThemeName::Dark, Depth::TrueColor, Glyphs::default());
    println!("median of {RUNS} runs");
    tables(&theme);
    traces(&theme, 100_000);
    traces(&theme, 1_000_000);
    heatmaps();
    maps(&theme, 14);
    maps(&theme, 60);
    maps(&theme, 200);
}
