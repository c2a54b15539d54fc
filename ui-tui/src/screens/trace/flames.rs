//! The flame forms of a trace: frames by time, or equal call paths merged and sorted by weight.

use std::collections::HashMap;

use super::model::Model;
use crate::action::Action;
use crate::format;
use crate::span_rows::{NO_ROW, Skeleton, flags};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::flame::{Frame, flame};

/// Spans in at most so many rows of frames are drawn at once.
const FRAMES_MAX: usize = 20_000;

/// Merged call paths, made once a trace.
#[derive(Debug, Default)]
pub(crate) struct Flames {
    /// Each merged path, parents before children.
    nodes: Vec<Node>,
    /// The merged path that a row belongs to.
    node_of_row: Vec<u32>,
}

/// Equal call paths.
#[derive(Debug)]
struct Node {
    parent: u32,
    level: u16,
    /// A row of it, the one that took longest.
    row: u32,
    calls: u32,
    weight_ns: i64,
    longest_ns: i64,
    /// Where it begins and ends, as a share of the whole.
    from: f64,
    to: f64,
}

impl Flames {
    /// Merges the call paths of a trace.
    pub(crate) fn fill(&mut self, s: &Skeleton) {
        let mut known: HashMap<(u32, u32, u32), u32> = HashMap::new();
        self.nodes.clear();
        self.node_of_row = vec![NO_ROW; s.len()];
        for row in 0..s.len() {
            let parent = match s.parent[row] {
                NO_ROW => NO_ROW,
                parent => self.node_of_row[parent as usize],
            };
            let at = *known.entry((parent, s.service[row], s.name[row])).or_insert_with(|| {
                let level = self.nodes.get(parent as usize).map_or(0, |p| p.level + 1);
                self.nodes.push(Node {
                    parent,
                    level,
                    row: row as u32,
                    calls: 0,
                    weight_ns: 0,
                    longest_ns: -1,
                    from: 0.0,
                    to: 0.0,
                });
                self.nodes.len() as u32 - 1
            });
            self.node_of_row[row] = at;
            let node = &mut self.nodes[at as usize];
            node.calls += 1;
            node.weight_ns += s.duration_ns[row];
            if s.duration_ns[row] > node.longest_ns {
                (node.longest_ns, node.row) = (s.duration_ns[row], row as u32);
            }
        }
        self.place();
    }

    /// Gives each path its room: the heaviest at the left, within its parent.
    fn place(&mut self) {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|at| {
            let node = &self.nodes[*at];
            (node.level, std::cmp::Reverse(node.weight_ns))
        });
        let roots: i64 = self.nodes.iter().filter(|n| n.parent == NO_ROW).map(|n| n.weight_ns).sum();
        let mut children: HashMap<u32, i64> = HashMap::new();
        for node in &self.nodes {
            *children.entry(node.parent).or_insert(0) += node.weight_ns;
        }
        let mut free: HashMap<u32, f64> = HashMap::new();
        for at in order {
            let parent = self.nodes[at].parent;
            let (begin, end, weight) = match self.nodes.get(parent as usize) {
                // Children that ran beside each other weigh more than their parent: they share it.
                Some(p) => (p.from, p.to, p.weight_ns.max(children[&parent])),
                None => (0.0, 1.0, roots),
            };
            let from = *free.entry(parent).or_insert(begin);
            let width = (end - begin) * self.nodes[at].weight_ns as f64 / weight.max(1) as f64;
            let to = (from + width).min(end);
            free.insert(parent, to);
            (self.nodes[at].from, self.nodes[at].to) = (from, to);
        }
    }

    /// The row that an action leads to.
    pub(crate) fn act(&self, heavy: bool, row: u32, action: Action) -> Option<u32> {
        let at = *self.node_of_row.get(row as usize)?;
        let node = &self.nodes[at as usize];
        let step = |forward: bool| {
            let mut level: Vec<&Node> =
                self.nodes.iter().filter(|other| other.level == node.level).collect();
            level.sort_by(|a, b| a.from.total_cmp(&b.from));
            let here = level.iter().position(|other| other.row == node.row)?;
            let to = if forward { here + 1 } else { here.checked_sub(1)? };
            level.get(to).map(|other| other.row)
        };
        let _ = heavy;
        match action {
            Action::Up => self.nodes.get(node.parent as usize).map(|parent| parent.row),
            Action::Down => {
                let below = self.nodes.iter().filter(|other| other.parent == at);
                below.max_by_key(|other| other.weight_ns).map(|child| child.row)
            }
            Action::Left => step(false),
            Action::Right => step(true),
            _ => None,
        }
    }

    /// Draws the frames of a window, and a line about the one under the cursor.
    pub(crate) fn draw(
        &self,
        pen: &mut Pen<'_>,
        model: &Model,
        heavy: bool,
        window_ns: (i64, i64),
        row: u32,
    ) {
        let (width, height) = (pen.width(), pen.height().saturating_sub(1));
        let frames =
            if heavy { self.merged(model, row) } else { in_time(model, window_ns, row, width) };
        let cursor = frames.iter().find(|frame| frame.is_cursor).map_or(0, |frame| frame.level);
        let first = (cursor + 2).saturating_sub(height);
        flame(&mut pen.part(0, 0, width, height), &frames, first);
        let s = &model.skeleton;
        let calls = self.node_of_row.get(row as usize).map_or(1, |at| self.nodes[*at as usize].calls);
        let share = s.duration_ns[row as usize] as f64 / model.duration_ns().max(1) as f64;
        let text = format!(
            "selected  {} {}   {}   {:.0}% of the trace   {calls} calls",
            s.service(row as usize),
            s.name(row as usize),
            format::duration_ns(s.duration_ns[row as usize]),
            share * 100.0
        );
        pen.text(1, height, width, &text.into(), Role::Dim);
    }

    fn merged(&self, model: &Model, row: u32) -> Vec<Frame> {
        let at = self.node_of_row.get(row as usize).copied();
        let frame = |(i, node): (usize, &Node)| Frame {
            level: node.level,
            from: node.from,
            to: node.to,
            label: label(model, node.row, node.weight_ns, node.calls).into(),
            role: role(model, node.row),
            is_cursor: at == Some(i as u32),
        };
        self.nodes.iter().enumerate().take(FRAMES_MAX).map(frame).collect()
    }
}

/// The spans of a window, each in its place of time.
fn in_time(model: &Model, (from, to): (i64, i64), row: u32, width: u16) -> Vec<Frame> {
    let s = &model.skeleton;
    let whole = (to - from).max(1) as f64;
    let column_ns = whole / f64::from(width.max(1));
    let seen = |i: &usize| {
        s.start_ns[*i] < to
            && s.end_ns(*i) > from
            && (s.duration_ns[*i] as f64 >= column_ns / 4.0 || *i as u32 == row)
    };
    let frame = |i: usize| Frame {
        level: s.depth[i],
        from: (s.start_ns[i] - from) as f64 / whole,
        to: (s.end_ns(i) - from) as f64 / whole,
        label: label(model, i as u32, s.duration_ns[i], 1).into(),
        role: role(model, i as u32),
        is_cursor: i as u32 == row,
    };
    (0..s.len()).filter(seen).take(FRAMES_MAX).map(frame).collect()
}

fn label(model: &Model, row: u32, ns: i64, calls: u32) -> String {
    let s = &model.skeleton;
    let mark = if s.has(row as usize, flags::ERROR) { "x " } else { "" };
    let times = if calls > 1 { format!("  {calls}x") } else { String::new() };
    let (service, name) = (s.service(row as usize), s.name(row as usize));
    format!("{mark}{service} {name}  {}{times}", format::duration_ns(ns))
}

fn role(model: &Model, row: u32) -> Role {
    match () {
        () if model.skeleton.has(row as usize, flags::ERROR) => Role::Error,
        () if model.skeleton.has(row as usize, flags::WAITING) => Role::Waiting,
        () if model.is_on_path(row) => Role::Critical,
        () => Role::OffPath,
    }
}
