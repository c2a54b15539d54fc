//! The graph as boxes and lines of the largest size that fits, and what is told of a node and an edge.

use super::model::{Edge, Model, Node};
use crate::format;
use crate::safe_text::SafeText;
use crate::theme::{RAMP, Role};
use crate::widgets::map::layout::{Flow, Layout, Sugiyama};
use crate::widgets::map::matrix::Joint;
use crate::widgets::map::{self, Weight, scrolled_to};
use crate::widgets::table::{Cell, Column, Row};
use crate::widgets::{Mark, Pen, Piece, piece, sparkline};

/// What a node's frame and an edge's line are coloured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ColourBy {
    /// How p99 changed.
    #[default]
    Change,
    P99,
    Errors,
    Rate,
}

impl ColourBy {
    pub(super) fn next(self) -> ColourBy {
        match self {
            ColourBy::Change => ColourBy::P99,
            ColourBy::P99 => ColourBy::Errors,
            ColourBy::Errors => ColourBy::Rate,
            ColourBy::Rate => ColourBy::Change,
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            ColourBy::Change => "p99 change",
            ColourBy::P99 => "p99",
            ColourBy::Errors => "error%",
            ColourBy::Rate => "rate",
        }
    }

    fn role(
        self,
        p99_ms: Option<f64>,
        before_ms: Option<f64>,
        errors: f64,
        per_second: f64,
    ) -> Role {
        match self {
            ColourBy::Change => p99_ms
                .zip(before_ms)
                .map_or(Role::Text, |(now, before)| Role::Change(change_step(now, before))),
            ColourBy::P99 => p99_ms.map_or(Role::Dim, |ms| ramp(ms, 1.0, 10_000.0)),
            ColourBy::Errors if errors >= 0.01 => Role::Error,
            ColourBy::Errors if errors >= 0.001 => Role::Warn,
            ColourBy::Errors => Role::Ok,
            ColourBy::Rate => ramp(per_second, 0.1, 10_000.0),
        }
    }
}

/// Five steps: much better, better, the same, worse, much worse.
fn change_step(now: f64, before: f64) -> u8 {
    match now / before {
        f if !f.is_finite() => 2,
        f if f >= 2.0 => 4,
        f if f >= 1.2 => 3,
        f if f <= 0.5 => 0,
        f if f <= 0.83 => 1,
        _ => 2,
    }
}

/// A step of the scale, by the logarithm between two ends.
fn ramp(value: f64, low: f64, high: f64) -> Role {
    let share = (value.max(low) / low).ln() / (high / low).ln();
    Role::Ramp((share * RAMP as f64).min(RAMP as f64 - 1.0) as u8)
}

/// How much a node tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Name,
    Framed,
    Numbers,
    Trend,
}

/// A graph ready to be drawn.
#[derive(Debug, Default)]
pub(super) struct Painted {
    pub(super) layout: Layout,
    pub(super) nodes: Vec<map::Node>,
    pub(super) edges: Vec<map::Edge>,
}

impl Painted {
    /// With as much detail as fits, left to right before top to bottom; one that never fits is scrolled.
    pub(super) fn of(model: &Model, colour: ColourBy, (width, height): (u16, u16)) -> Painted {
        let edges = edges(model, colour);
        let pairs: Vec<(usize, usize)> = edges.iter().map(|e| (e.from, e.to)).collect();
        let layers = Sugiyama.found(model.nodes.len(), &pairs);
        let mut last = Painted::default();
        for detail in [Detail::Trend, Detail::Numbers, Detail::Framed, Detail::Name] {
            let nodes: Vec<map::Node> =
                model.nodes.iter().map(|n| node(n, colour, detail, &edges, model)).collect();
            let sizes: Vec<map::Size> = nodes.iter().map(map::Node::size).collect();
            for flow in [Flow::Right, Flow::Down] {
                let layout = Layout::new(&layers, &sizes, &pairs, flow, 0);
                let fits = layout.width <= width && layout.height <= height;
                if fits || (detail == Detail::Framed && flow == Flow::Right) {
                    let nodes = nodes.clone();
                    last = Painted { layout, nodes, edges: edges.clone() };
                }
                if fits {
                    return last;
                }
            }
        }
        last
    }

    /// What is scrolled out so that the cursor is seen.
    pub(super) fn scroll(&self, cursor: Option<usize>, view: (u16, u16)) -> (u16, u16) {
        if self.layout.width <= view.0 && self.layout.height <= view.1 {
            return (0, 0);
        }
        let place = cursor.and_then(|at| self.layout.places.get(at));
        place.map_or((0, 0), |place| scrolled_to(*place, (0, 0), view))
    }
}

fn edges(model: &Model, colour: ColourBy) -> Vec<map::Edge> {
    let edge = |e: &Edge| {
        let weight = match (e.on_path, e.is_message) {
            (true, _) => Weight::Double,
            (_, true) => Weight::Dashed,
            _ => Weight::Light,
        };
        let role = colour.role(e.p99_ms, e.before_p99_ms, e.error_share(), e.per_second);
        Some(map::Edge { from: model.place(&e.from)?, to: model.place(&e.to)?, weight, role })
    };
    // By name: the order in which a layout gets them must not follow what is measured.
    let mut edges: Vec<map::Edge> = model.edges.iter().filter_map(edge).collect();
    edges.sort_by_key(|e| (e.from, e.to));
    edges
}

fn node(
    n: &Node,
    colour: ColourBy,
    detail: Detail,
    edges: &[map::Edge],
    model: &Model,
) -> map::Node {
    let mark = mark_of(n);
    let errors = n.error_share.unwrap_or(0.0);
    let role = colour.role(n.p99_ms, n.before_p99_ms, errors, n.per_second);
    let hidden = if n.hidden > 0 { format!(" +{}", n.hidden) } else { String::new() };
    let mut lines: Vec<Vec<Piece>> = vec![vec![
        piece(mark.glyph().to_string(), mark.role()),
        piece(" ", Role::Text),
        (name(n), Role::Title),
        piece(hidden, Role::Dim),
    ]];
    if mark == Mark::None {
        lines[0].remove(0);
    }
    if matches!(detail, Detail::Numbers | Detail::Trend) {
        lines.push(vec![
            piece(format!("{}/s ", format::rate(n.per_second)), Role::Text),
            piece(format::percent(errors), if errors >= 0.01 { Role::Error } else { Role::Dim }),
            piece(format!(" {}", p99(n.p99_ms)), Role::Text),
        ]);
    }
    if detail == Detail::Trend {
        lines.push(vec![piece(trend(n), Role::Series(0)), piece(changed(n), role)]);
    }
    let weight = if n.on_path { Weight::Double } else { Weight::Light };
    let place = model.place(&n.id);
    map::Node {
        lines,
        frame: (detail != Detail::Name).then_some(weight),
        role,
        calls_itself: edges.iter().any(|e| Some(e.from) == place && Some(e.to) == place),
    }
}

fn mark_of(n: &Node) -> Mark {
    let worse = n.p99_ms.zip(n.before_p99_ms).is_some_and(|(now, b)| change_step(now, b) == 4);
    match n.error_share.unwrap_or(0.0) {
        e if e >= 0.01 => Mark::Error,
        _ if worse => Mark::Degraded,
        _ => Mark::None,
    }
}

fn p99(ms: Option<f64>) -> String {
    ms.map_or(format::NONE.to_owned(), format::duration_ms)
}

fn changed(n: &Node) -> String {
    n.p99_ms
        .zip(n.before_p99_ms)
        .map_or(String::new(), |(now, before)| format!(" {}", format::factor(now, before)))
}

/// The trend as a text, since boxes hold texts.
fn trend(n: &Node) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let high = n.trend.iter().flatten().copied().fold(0.0, f64::max);
    let level = |v: &Option<f64>| {
        v.map_or(' ', |v| LEVELS[((v / high.max(f64::MIN_POSITIVE)) * 7.999) as usize % 8])
    };
    n.trend.iter().map(level).collect()
}

/// Columns of the longest name.
const NAME_MAX: usize = 28;

fn name(n: &Node) -> SafeText {
    SafeText::both_ends(&n.id.shown(), NAME_MAX)
}

/// The names of the nodes for a matrix.
pub(super) fn names(model: &Model) -> Vec<SafeText> {
    model.nodes.iter().map(name).collect()
}

/// A time to the second.
fn second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// What stands where a caller and a callee meet.
pub(super) fn joint(edge: &Edge, colour: ColourBy) -> Joint {
    let role = colour.role(edge.p99_ms, edge.before_p99_ms, edge.error_share(), edge.per_second);
    let glyph = match edge.error_share() {
        e if e >= 0.01 => 'x',
        _ if edge.on_path => '█',
        _ if edge.is_message => '░',
        _ => '▒',
    };
    Some((glyph, role))
}

/// Columns of the list of edges.
pub(super) fn edge_columns() -> Vec<Column> {
    vec![
        Column::text("from", 12),
        Column::text("to", 14),
        Column::number("calls/s", 8),
        Column::number("err%", 6),
        Column::number("p50", 8).rank(3),
        Column::number("p99", 8),
        Column::number("was p99", 8).rank(4),
        Column::number("change", 8),
        Column::number("attempts", 8).rank(5),
        Column::number("gap p99", 8).rank(6),
        Column::fixed("kind", 12).rank(7),
        Column::fixed("first seen", 19).rank(8),
    ]
}

pub(super) fn edge_row(e: &Edge) -> Row {
    let failing = e.error_share() >= 0.01;
    let step = e.p99_ms.zip(e.before_p99_ms).map_or(2, |(now, before)| change_step(now, before));
    Row {
        mark: match (failing, step) {
            (true, _) => Mark::Error,
            (_, 4) => Mark::Degraded,
            _ => Mark::None,
        },
        cells: vec![
            Cell::text(e.from.shown()),
            Cell::text(e.to.shown()),
            Cell::text(format::rate(e.per_second)),
            Cell::text(format!("{:.2}", e.error_share() * 100.0)).role(if failing {
                Role::Error
            } else {
                Role::Text
            }),
            Cell::text(p99(e.p50_ms)),
            Cell::text(p99(e.p99_ms)),
            Cell::text(p99(e.before_p99_ms)).role(Role::Dim),
            Cell::text(e.change()).role(Role::Change(step)),
            Cell::text(format!("{:.2}", e.attempts)),
            Cell::text(p99(e.gap_p99_ms)),
            Cell::text(e.kinds.join(" ")).role(Role::Dim),
            Cell::text(second(&e.first_seen)).role(Role::Dim),
        ],
        ..Row::default()
    }
}

/// Lines of text below each other, as many as fit.
fn told(pen: &mut Pen<'_>, lines: &[Vec<Piece>]) {
    let width = pen.width().saturating_sub(2);
    for (y, line) in (0..pen.height()).zip(lines) {
        pen.pieces(1, y, width, line);
    }
}

fn text(words: impl Into<SafeText>) -> Piece {
    piece(words, Role::Text)
}

fn was(words: String) -> Piece {
    piece(format!(" (was {words})"), Role::Dim)
}

/// What is known of a node, with its callers and callees.
pub(super) fn draw_node(pen: &mut Pen<'_>, n: &Node, model: &Model) {
    let errors = n.error_share.unwrap_or(0.0);
    let error_role = if errors >= 0.01 { Role::Error } else { Role::Text };
    let mut first = vec![
        text(format!("{}/s  err ", format::rate(n.per_second))),
        piece(format::percent(errors), error_role),
    ];
    first.extend(n.before_error_share.map(|before| was(format::percent(before))));
    first.push(text(format!("  p99 {}", p99(n.p99_ms))));
    first.extend(n.before_p99_ms.map(|before| was(format::duration_ms(before))));
    first.push(text(format!("  p50 {}", p99(n.p50_ms))));
    let mut lines = vec![first];
    if let Some(ms) = n.self_ms {
        lines.push(vec![text(format!("own time {} a request", format::duration_ms(ms)))]);
    }
    if !n.versions.is_empty() {
        lines.push(vec![piece("version ", Role::Dim), text(n.versions.join(" "))]);
    }
    let ends = |head: &str, found: Vec<&Edge>, end: fn(&Edge) -> String| {
        let mut lines = vec![vec![piece(head, Role::Head)]];
        for e in found {
            let errors = e.error_share();
            let role = if errors >= 0.01 { Role::Error } else { Role::Text };
            lines.push(vec![
                text(format!("  {:<18}{:>8}/s ", end(e), format::rate(e.per_second))),
                piece(format!("{:>7}", format::percent(errors)), role),
                text(format!("  {:>8}  {}", p99(e.p99_ms), e.change())),
            ]);
        }
        lines
    };
    let of = |f: fn(&Edge) -> &super::model::NodeId| -> Vec<&Edge> {
        model.edges.iter().filter(|e| *f(e) == n.id).collect()
    };
    let (callers, callees) = (of(|e| &e.to), of(|e| &e.from));
    if !callers.is_empty() {
        lines.extend(ends("callers", callers, |e| e.from.shown()));
    }
    if !callees.is_empty() {
        lines.extend(ends("calls", callees, |e| e.to.shown()));
    }
    let trend_y = pen.height().saturating_sub(1);
    told(pen, &lines);
    if lines.len() < usize::from(pen.height()) && !n.trend.is_empty() {
        let width = pen.width().min(30);
        sparkline::sparkline(pen, (1, trend_y), width.saturating_sub(2), &n.trend, Role::Series(0));
        pen.text(width, trend_y, 12, &"p99 trend".into(), Role::Dim);
    }
}

/// What is known of an edge.
pub(super) fn draw_edge(pen: &mut Pen<'_>, e: &Edge) {
    let errors = e.error_share();
    let error_role = if errors >= 0.01 { Role::Error } else { Role::Text };
    let mut first = vec![
        text(format!("{}/s  err ", format::rate(e.per_second))),
        piece(format::percent(errors), error_role),
        text(format!("  p50 {}  p99 {}", p99(e.p50_ms), p99(e.p99_ms))),
    ];
    first.extend(e.before_p99_ms.map(|before| was(format::duration_ms(before))));
    first.push(piece(format!("  n={}", format::count(e.calls)), Role::Dim));
    let mut lines = vec![first];
    let gap = e.gap_p99_ms.map_or(String::new(), |ms| {
        format!("between both {} (network or queue), p99   ", format::duration_ms(ms))
    });
    let retried = if e.attempts > 1.005 {
        format!("{:.2} attempts a call", e.attempts)
    } else {
        String::new()
    };
    if !gap.is_empty() || !retried.is_empty() {
        lines.push(vec![text(format!("{gap}{retried}"))]);
    }
    lines.push(vec![piece("kind ", Role::Dim), text(e.kinds.join(" "))]);
    if let Some(id) = e.exemplar() {
        lines.push(vec![piece("exemplar ", Role::Dim), piece(format::short_id(id), Role::Accent)]);
    }
    lines.push(vec![piece("first seen ", Role::Dim), text(second(&e.first_seen))]);
    told(pen, &lines);
}
