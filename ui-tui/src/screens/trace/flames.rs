//! The flame forms of a trace: in order of time, by weight, and around one function.

use super::model::Model;
use crate::action::Action;
use crate::flames::{Flames as Frames, Node, Weight};
use crate::format;
use crate::span_rows::{Skeleton, flags};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::flame::{Frame, flame};

/// Which frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ByTime,
    LeftHeavy,
    Sandwich,
}

/// Frames made ready, of one kind.
#[derive(Debug)]
pub(crate) struct Flames {
    frames: Frames,
    pub(crate) kind: Kind,
}

impl Flames {
    /// The frames of a trace; a sandwich is around a row.
    pub(crate) fn of(s: &Skeleton, kind: Kind, row: u32) -> Flames {
        let frames = match kind {
            Kind::ByTime => Frames::by_time(s),
            Kind::LeftHeavy => Frames::left_heavy(s, Weight::Own),
            Kind::Sandwich => Frames::sandwich(s, Weight::Own, row).0,
        };
        Flames { frames, kind }
    }

    /// The frame that stands for a row: its own, or that of the same function.
    fn find(&self, s: &Skeleton, row: u32) -> Option<&Node> {
        let same = |node: &&Node| {
            let (a, b) = (node.row as usize, row as usize);
            (s.service[a], s.name[a]) == (s.service[b], s.name[b])
        };
        let exact = self.frames.nodes.iter().find(|node| node.row == row);
        exact.or_else(|| self.frames.nodes.iter().find(same))
    }

    /// The row that an action leads to.
    pub(crate) fn act(&self, s: &Skeleton, row: u32, action: Action) -> Option<u32> {
        let here = *self.find(s, row)?;
        let level = self.frames.level(here.level);
        let at = level.iter().position(|node| node.from == here.from && node.row == here.row)?;
        // Of another level the frame that shares most with this one.
        let shared = |node: &&Node| node.to.min(here.to) - node.from.max(here.from);
        let next = match action {
            Action::Left => level.get(at.checked_sub(1)?),
            Action::Right => level.get(at + 1),
            Action::Up => self.frames.level(here.level.checked_sub(1)?).iter().max_by_key(shared),
            Action::Down => self.frames.level(here.level + 1).iter().max_by_key(shared),
            _ => None,
        };
        next.map(|node| node.row)
    }

    /// Draws the frames of a window, and a line about the one under the cursor.
    pub(crate) fn draw(
        &self,
        pen: &mut Pen<'_>,
        model: &Model,
        zoom: Option<(i64, i64)>,
        row: u32,
    ) {
        let s = &*model.skeleton;
        let (width, height) = (pen.width(), pen.height().saturating_sub(1));
        let zoom = zoom.filter(|_| self.kind == Kind::ByTime);
        let (from, to) = zoom.unwrap_or(self.frames.whole);
        let whole = (to - from).max(1) as f64;
        let here = self.find(s, row).copied();
        let level = here.map_or(0, |node| node.level);
        let first = (level + 2).saturating_sub(height);
        let seen = self.frames.seen((from, to), width, first..first.saturating_add(height));
        let frame = |node: &Node| Frame {
            level: node.level,
            from: (node.from - from) as f64 / whole,
            to: (node.to - from) as f64 / whole,
            label: label(s, node).into(),
            role: role(model, node.row),
            is_cursor: here.as_ref() == Some(node),
        };
        let frames: Vec<Frame> = seen.iter().map(frame).collect();
        flame(&mut pen.part(0, 0, width, height), &frames, first);
        if let Some(node) = here {
            let share = (node.to - node.from) as f64 / whole * 100.0;
            let text = format!("selected  {}   {share:.0}% of what is shown", label(s, &node));
            pen.text(1, height, width, &text.into(), Role::Dim);
        }
    }
}

fn label(s: &Skeleton, node: &Node) -> String {
    let row = node.row as usize;
    let mark = if s.has(row, flags::ERROR) { "x " } else { "" };
    let times = if node.calls > 1 { format!("  {}x", node.calls) } else { String::new() };
    let length = format::duration_ns(node.to - node.from);
    format!("{mark}{} {}  {length}{times}", s.service(row), s.name(row))
}

fn role(model: &Model, row: u32) -> Role {
    match () {
        () if model.skeleton.has(row as usize, flags::ERROR) => Role::Error,
        () if model.is_on_path(row) => Role::Critical,
        () => Role::OffPath,
    }
}
