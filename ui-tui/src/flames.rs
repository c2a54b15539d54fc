//! A trace as frames: by time, merged by call path with the heaviest left, and around one function
//! with its callers and callees. Never recursive.

use std::collections::HashMap;

use crate::span_rows::{NO_ROW, Skeleton};

#[cfg(test)]
mod tests;

/// What a frame weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// Time in which no child ran that was waited for.
    #[default]
    Own,
    /// Time on the critical path.
    Critical,
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Its row; 0 is the uppermost.
    pub level: u16,
    /// Begin: nanoseconds from the start of the trace, or of weight before it.
    pub from: i64,
    /// End.
    pub to: i64,
    /// A span of it; the slowest where it stands for several.
    pub row: u32,
    /// How many spans it stands for.
    pub calls: u32,
}

/// Frames by level, and by begin within each.
#[derive(Clone, Debug, Default)]
pub struct Flames {
    /// All frames.
    pub nodes: Vec<Node>,
    /// Where each level begins in them.
    levels: Vec<usize>,
    /// What the whole is.
    pub whole: (i64, i64),
}

impl Flames {
    fn of(mut nodes: Vec<Node>, whole: (i64, i64)) -> Self {
        nodes.sort_by_key(|n| (n.level, n.from));
        let last = nodes.last().map_or(0, |n| usize::from(n.level) + 1);
        let levels =
            (0..=last).map(|l| nodes.partition_point(|n| usize::from(n.level) < l)).collect();
        Self { nodes, levels, whole }
    }

    /// Levels.
    pub fn depth(&self) -> u16 {
        self.levels.len().saturating_sub(1) as u16
    }

    /// Frames of a level.
    pub fn level(&self, level: u16) -> &[Node] {
        let at = usize::from(level);
        match (self.levels.get(at), self.levels.get(at + 1)) {
            (Some(from), Some(to)) => &self.nodes[*from..*to],
            _ => &[],
        }
    }

    /// The frames to draw over `width` columns: of those that share a column the first.
    pub fn seen(
        &self,
        (from, to): (i64, i64),
        width: u16,
        levels: std::ops::Range<u16>,
    ) -> Vec<Node> {
        let column_ns = ((to - from).max(1) as f64 / f64::from(width.max(1))).max(1.0);
        let mut seen = Vec::new();
        for level in levels {
            let nodes = self.level(level);
            let mut at = nodes.partition_point(|n| n.to < from);
            while let Some(node) = nodes.get(at).filter(|n| n.from < to) {
                seen.push(*node);
                // Goes on where the next column begins, however many frames lie before it.
                let column = ((node.from.max(from) - from) as f64 / column_ns).floor() + 1.0;
                let next = from + (column * column_ns).ceil() as i64;
                let skipped = nodes[at + 1..].partition_point(|n| n.from < next && n.to <= next);
                at += 1 + skipped;
            }
        }
        seen
    }

    /// By time. Spans that run side by side stand below each other, each at least one level below its parent.
    pub fn by_time(s: &Skeleton) -> Self {
        let mut busy_until: Vec<i64> = Vec::new();
        let mut level_of = vec![0u16; s.len()];
        let mut nodes = Vec::with_capacity(s.len());
        for row in (0..s.len()).filter(|row| s.is_span(*row)) {
            let parent = s.parent[row];
            let least =
                if parent == NO_ROW { 0 } else { usize::from(level_of[parent as usize]) + 1 };
            let (start, end) = (s.start_ns[row], s.end_ns(row));
            // Bounded, so that thousands of parallel spans cost no square of time.
            const LANES_MAX: usize = 64;
            let lanes = least..least + LANES_MAX;
            let free = |level: &usize| busy_until.get(*level).is_none_or(|until| *until <= start);
            let level =
                lanes.clone().find(free).unwrap_or(lanes.end).min(usize::from(u16::MAX) - 1);
            if busy_until.len() <= level {
                busy_until.resize(level + 1, i64::MIN);
            }
            busy_until[level] = busy_until[level].max(end);
            level_of[row] = level as u16;
            nodes.push(Node {
                level: level as u16,
                from: start,
                to: end,
                row: row as u32,
                calls: 1,
            });
        }
        Self::of(nodes, s.window_ns())
    }

    /// Equal call paths merged, the heaviest left.
    pub fn left_heavy(s: &Skeleton, weight: Weight) -> Self {
        let roots = s.children_of(NO_ROW).map(|r| r as u32).collect();
        lay_out(&merged(s, weight, roots), 0)
    }

    /// Callers above and callees below all spans of one service and name. Gives the level of the function too.
    pub fn sandwich(s: &Skeleton, weight: Weight, of: u32) -> (Self, u16) {
        let key = (s.service[of as usize], s.name[of as usize]);
        let mut roots = Vec::new();
        let mut row = 0;
        while row < s.len() {
            let hit = (s.service[row], s.name[row]) == key && s.is_span(row);
            if hit {
                roots.push(row as u32);
            }
            // What is called by itself is counted once.
            row = if hit { s.subtree_end[row] as usize } else { row + 1 };
        }
        let above = callers(s, weight, &roots);
        let below = lay_out(&merged(s, weight, roots), 0);
        let depth = above.depth();
        let flipped = above.nodes.iter().map(|n| Node { level: depth - 1 - n.level, ..*n });
        let shifted = below.nodes.iter().map(|n| Node { level: n.level + depth, ..*n });
        (Self::of(flipped.chain(shifted).collect(), below.whole), depth)
    }
}

/// A call path with what it weighs.
#[derive(Clone, Copy, Debug)]
struct Path {
    parent: u32,
    weight: i64,
    calls: u32,
    row: u32,
}

fn weight_of(s: &Skeleton, weight: Weight, row: usize) -> i64 {
    match weight {
        Weight::Own => s.self_ns[row].max(0),
        Weight::Critical => s.critical_ns[row].max(0),
    }
}

/// The call paths below these rows; parents stand before children. Weights are those of the path itself.
fn merged(s: &Skeleton, weight: Weight, roots: Vec<u32>) -> Vec<Path> {
    let mut index: HashMap<(u32, u32, u32), u32> = HashMap::new();
    let mut paths: Vec<Path> = Vec::new();
    let mut path_of: HashMap<u32, u32> = HashMap::new();
    for root in roots {
        for row in root as usize..s.subtree_end[root as usize] as usize {
            if !s.is_span(row) {
                continue;
            }
            let above = if row as u32 == root { NO_ROW } else { s.parent[row] };
            let parent = path_of.get(&above).copied().unwrap_or(NO_ROW);
            let key = (parent, s.service[row], s.name[row]);
            let path = *index.entry(key).or_insert_with(|| {
                paths.push(Path { parent, weight: 0, calls: 0, row: row as u32 });
                paths.len() as u32 - 1
            });
            path_of.insert(row as u32, path);
            add(s, &mut paths[path as usize], weight_of(s, weight, row), row);
        }
    }
    paths
}

fn add(s: &Skeleton, path: &mut Path, weight: i64, row: usize) {
    path.weight = path.weight.saturating_add(weight);
    path.calls += 1;
    if s.duration_ns[row] > s.duration_ns[path.row as usize] {
        path.row = row as u32;
    }
}

/// The ways up from these rows, merged; each weighs what lies below its row.
fn callers(s: &Skeleton, weight: Weight, rows: &[u32]) -> Flames {
    let mut index: HashMap<(u32, u32, u32), u32> = HashMap::new();
    let mut paths: Vec<Path> = Vec::new();
    for row in rows {
        let below = *row as usize..s.subtree_end[*row as usize] as usize;
        let total: i64 = below.map(|r| weight_of(s, weight, r)).sum();
        let (mut at, mut parent) = (s.parent[*row as usize], NO_ROW);
        while at != NO_ROW {
            let key = (parent, s.service[at as usize], s.name[at as usize]);
            let path = *index.entry(key).or_insert_with(|| {
                paths.push(Path { parent, weight: 0, calls: 0, row: at });
                paths.len() as u32 - 1
            });
            // Only the last of a way adds its weight: the others get it from their children.
            let top = s.parent[at as usize] == NO_ROW;
            add(s, &mut paths[path as usize], if top { total } else { 0 }, at as usize);
            parent = path;
            at = s.parent[at as usize];
        }
    }
    lay_out(&paths, 0)
}

/// Places paths side by side, the heaviest left, children within their parent.
fn lay_out(paths: &[Path], start: i64) -> Flames {
    let mut total: Vec<i64> = paths.iter().map(|p| p.weight).collect();
    for at in (0..paths.len()).rev() {
        if paths[at].parent != NO_ROW {
            total[paths[at].parent as usize] += total[at];
        }
    }
    let mut order: Vec<usize> = (0..paths.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(total[*at]), *at));
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); paths.len()];
    let mut roots = Vec::new();
    for at in order {
        match paths[at].parent {
            NO_ROW => roots.push(at),
            parent => children[parent as usize].push(at),
        }
    }
    let mut nodes = Vec::with_capacity(paths.len());
    let mut open = vec![(roots, start, 0u16)];
    let mut end = start;
    while let Some((siblings, mut from, level)) = open.pop() {
        for at in siblings {
            let to = from + total[at];
            let (row, calls) = (paths[at].row, paths[at].calls);
            nodes.push(Node { level, from, to, row, calls });
            let below = std::mem::take(&mut children[at]);
            if !below.is_empty() {
                open.push((below, from, level.saturating_add(1)));
            }
            end = end.max(to);
            from = to;
        }
    }
    Flames::of(nodes, (start, end))
}
