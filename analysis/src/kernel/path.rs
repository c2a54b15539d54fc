//! The critical path: from the end of a segment backwards, always to the child that ended last
//! (section 7 of the definitions).

use super::Options;
use super::tree::{Node, children};

/// A span that is being swept.
#[derive(Clone, Copy, Debug)]
struct Frame {
    place: u32,
    /// Everything from here on has an owner.
    time: i64,
    /// Where the sweep entered the span.
    entered: i64,
    tolerance: i64,
    /// Where its children begin in the list, and which is next.
    first: usize,
    next: usize,
}

/// The sweep and its stacks.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    frames: Vec<Frame>,
    /// Children of all frames, latest end first, the innermost frame's behind the others.
    children: Vec<u32>,
}

impl Sweep {
    /// The path of the segment that begins at `place`, latest piece first: place, from, to.
    pub(super) fn segment(
        &mut self,
        nodes: &[Node],
        options: &Options,
        place: u32,
        emit: impl FnMut(u32, i64, i64),
    ) {
        let end = nodes[place as usize].to;
        self.from(nodes, options, place, end, end, emit);
    }

    /// The path within one span, which was entered at `entered`, from `time` backwards.
    pub(super) fn from(
        &mut self,
        nodes: &[Node],
        options: &Options,
        place: u32,
        entered: i64,
        time: i64,
        mut emit: impl FnMut(u32, i64, i64),
    ) {
        self.open(nodes, options, place, entered, time);
        while let Some(frame) = self.frames.last_mut() {
            let Some(&child_place) = self.children.get(frame.next) else {
                let node = &nodes[frame.place as usize];
                if node.from < frame.time {
                    emit(frame.place, node.from, frame.time);
                }
                self.children.truncate(frame.first);
                self.frames.pop();
                continue;
            };
            frame.next += 1;
            let child = &nodes[child_place as usize];
            let ends_before =
                child.to.min(frame.entered) <= frame.time.saturating_add(frame.tolerance);
            if child.from < frame.time && ends_before {
                let end = child.to.min(frame.time);
                if end < frame.time {
                    emit(frame.place, end, frame.time);
                }
                frame.time = child.from;
                self.open(nodes, options, child_place, end, end);
            }
        }
    }

    fn open(&mut self, nodes: &[Node], options: &Options, place: u32, entered: i64, time: i64) {
        let first = self.children.len();
        let node = &nodes[place as usize];
        // A child with an empty interval has no effect, nor has anything below it.
        self.children.extend(children(nodes, place).filter(|child| {
            let child = &nodes[*child as usize];
            child.is_blocking && child.from < child.to
        }));
        let siblings = &mut self.children[first..];
        if siblings.len() > 1 {
            siblings.sort_unstable_by(|a, b| {
                let (a, b) = (&nodes[*a as usize], &nodes[*b as usize]);
                (b.to, b.from, a.rank).cmp(&(a.to, a.from, b.rank))
            });
        }
        let tolerance = options.tolerance(node.path_len());
        self.frames.push(Frame { place, time, entered, tolerance, first, next: first });
    }
}

/// Adds up the path time of every span.
pub(super) fn critical(nodes: &[Node], options: &Options, sweep: &mut Sweep, sums: &mut Vec<i64>) {
    sums.clear();
    sums.resize(nodes.len(), 0);
    for (place, node) in (0u32..).zip(nodes) {
        if !node.is_blocking {
            sweep.segment(nodes, options, place, |owner, from, to| {
                sums[owner as usize] += to - from;
            });
        }
    }
}
