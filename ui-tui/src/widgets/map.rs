//! A map of nodes and edges: layered from left to right or from top to bottom, painted cell by cell, so
//! that lines of edges which have nothing in common never look joined.

use std::collections::BTreeSet;

use super::{Pen, Piece};
use crate::safe_text::SafeText;
use crate::theme::Role;

pub mod export;
pub mod layout;
pub mod lines;
pub mod matrix;

pub use layout::{Flow, Layout, Size};
pub use lines::Weight;
use lines::{Grid, HEAD_DOWN, HEAD_LEFT, HEAD_RIGHT, HEAD_UP};

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its lines; the first is its name.
    pub lines: Vec<Vec<Piece>>,
    /// It has a frame of that weight; nothing: only its name.
    pub frame: Option<Weight>,
    /// What the frame means.
    pub role: Role,
    /// It calls itself.
    pub calls_itself: bool,
}

impl Node {
    /// Room that it needs.
    pub fn size(&self) -> Size {
        let width = |line: &Vec<Piece>| line.iter().map(|(t, _)| t.width()).sum::<usize>();
        let widest = self.lines.iter().map(width).max().unwrap_or(0) as u16;
        let (width, height) = (widest.saturating_add(2), self.lines.len() as u16);
        match self.frame {
            Some(_) => Size { width: width.saturating_add(2), height: height + 2 },
            None => Size { width, height: height.max(1) },
        }
    }
}

/// An edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Node that it leaves.
    pub from: usize,
    /// Node that it leads to.
    pub to: usize,
    /// How its line looks.
    pub weight: Weight,
    /// What it means.
    pub role: Role,
}

/// A way along the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a caller.
    Back,
    /// To a callee.
    On,
    /// To the node before in the same layer.
    Before,
    /// To the one behind it.
    Behind,
}

/// A map that is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// Where everything stands.
    pub layout: &'a Layout,
    /// The nodes.
    pub nodes: &'a [Node],
    /// The edges, as they were laid out.
    pub edges: &'a [Edge],
    /// Node under the cursor: its edges are bright, others dim.
    pub cursor: Option<usize>,
    /// Columns and rows that are scrolled out at the left and the top.
    pub scroll: (u16, u16),
}

impl Map<'_> {
    /// Draws what is seen of the map.
    pub fn render(&self, pen: &mut Pen<'_>) {
        self.grid((pen.width(), pen.height())).paint(pen);
        for (at, node) in self.nodes.iter().enumerate() {
            self.draw_texts(pen, at, node);
        }
        self.draw_overflow(pen);
    }

    fn grid(&self, seen: (u16, u16)) -> Grid {
        let mut grid = Grid::new(self.scroll, seen);
        for (place, node) in self.layout.places.iter().zip(self.nodes) {
            if let Some(weight) = node.frame {
                grid.frame(*place, weight, node.role);
            }
        }
        let touches = |e: &Edge| self.cursor.is_none_or(|c| e.from == c || e.to == c);
        // What lies on top is drawn last.
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by_key(|at| (touches(&self.edges[*at]), self.edges[*at].weight));
        for at in order {
            let edge = &self.edges[at];
            let Some(route) = self.layout.routes.get(at).filter(|r| r.len() > 1) else { continue };
            let role = if touches(edge) { edge.role } else { Role::Dim };
            grid.edge(route, (edge.from, edge.to), edge.weight, role);
            grid.head(route, role);
        }
        grid
    }

    fn draw_texts(&self, pen: &mut Pen<'_>, at: usize, node: &Node) {
        let Some(place) = self.layout.places.get(at) else { return };
        let (left, top) = self.scroll;
        let inset = u16::from(node.frame.is_some());
        for (line, pieces) in node.lines.iter().enumerate() {
            let Some(y) = (place.y + inset + line as u16).checked_sub(top) else { continue };
            let width = place.width.saturating_sub(2 * inset);
            for x in 0..width {
                if let Some(x) = (place.x + inset + x).checked_sub(left) {
                    pen.put(x, y, ' ', Role::Text);
                }
            }
            draw_clipped(pen, i32::from(place.x + inset) + 1 - i32::from(left), y, pieces);
        }
        let (x, y) = (place.x.checked_sub(left), (place.y + inset).checked_sub(top));
        if node.calls_itself
            && let (Some(x), Some(y)) = (x, y)
        {
            pen.put(x + place.width.saturating_sub(1 + inset), y, '@', Role::Accent);
        }
        if self.cursor == Some(at)
            && let (Some(x), Some(y)) = (x, y)
        {
            let width = place.width.saturating_sub(2 * inset);
            pen.restyle(x + inset, y, width, 1, pen.style(Role::Cursor));
        }
    }

    /// Signs at the sides on which there is more.
    fn draw_overflow(&self, pen: &mut Pen<'_>) {
        let ((left, top), (width, height)) = (self.scroll, (pen.width(), pen.height()));
        let (middle_x, middle_y) = (width / 2, height / 2);
        if left > 0 {
            pen.put(0, middle_y, '<', Role::Accent);
        }
        if self.layout.width.saturating_sub(left) > width {
            pen.put(width.saturating_sub(1), middle_y, '>', Role::Accent);
        }
        if top > 0 {
            pen.put(middle_x, 0, '^', Role::Accent);
        }
        if self.layout.height.saturating_sub(top) > height {
            pen.put(middle_x, height.saturating_sub(1), 'v', Role::Accent);
        }
    }
}

/// Texts that may begin left of the pen.
fn draw_clipped(pen: &mut Pen<'_>, x: i32, y: u16, pieces: &[Piece]) {
    let mut x = x;
    for (text, role) in pieces {
        let width = text.width() as i32;
        if x >= 0 {
            pen.text(x as u16, y, width as u16, text, *role);
        } else if x + width > 0 {
            let rest = text.fit_end((x + width) as usize, pen.theme().glyphs.ellipsis());
            pen.text(0, y, (x + width) as u16, &SafeText::new(rest), *role);
        }
        x += width;
    }
}

/// The least scroll, from one, that shows a whole place within a view.
pub fn scrolled_to(
    place: ratatui::layout::Rect,
    (left, top): (u16, u16),
    (width, height): (u16, u16),
) -> (u16, u16) {
    let follow = |first: u16, from: u16, size: u16, room: u16| {
        let lowest = (from + size).saturating_sub(room);
        first.clamp(lowest.min(from), from.max(lowest.min(from)))
    };
    (follow(left, place.x, place.width, width), follow(top, place.y, place.height, height))
}

/// The node reached from one by a step: along the edges the one that stands nearest, within a layer the
/// next.
pub fn step(layout: &Layout, edges: &[Edge], at: usize, step: Step) -> Option<usize> {
    let place = |n: usize| layout.places.get(n);
    let here = place(at)?;
    let cross = |n: usize| place(n).map_or(0, |p| layout.cross_middle(*p));
    let near = |n: &usize| (cross(*n).abs_diff(layout.cross_middle(*here)), *n);
    let ends = |back: bool| -> BTreeSet<usize> {
        let turned = |e: &Edge| if back { (e.to, e.from) } else { (e.from, e.to) };
        let leaving = edges.iter().map(turned).filter(|(near, far)| *near == at && *far != at);
        leaving.map(|(_, far)| far).collect()
    };
    match step {
        Step::Back => ends(true).into_iter().min_by_key(near),
        Step::On => ends(false).into_iter().min_by_key(near),
        Step::Before | Step::Behind => {
            let layer = *layout.layer_of.get(at)?;
            let same = (0..layout.places.len()).filter(|n| layout.layer_of[*n] == layer);
            let middle = cross(at);
            if step == Step::Behind {
                same.filter(|n| cross(*n) > middle).min_by_key(|n| cross(*n))
            } else {
                same.filter(|n| cross(*n) < middle).max_by_key(|n| cross(*n))
            }
        }
    }
}

/// The heads of arrows by the way their line goes.
fn head_of((from, to): ((u16, u16), (u16, u16))) -> char {
    match (to.0.cmp(&from.0), to.1.cmp(&from.1)) {
        (std::cmp::Ordering::Greater, _) => HEAD_RIGHT,
        (std::cmp::Ordering::Less, _) => HEAD_LEFT,
        (_, std::cmp::Ordering::Less) => HEAD_UP,
        _ => HEAD_DOWN,
    }
}
