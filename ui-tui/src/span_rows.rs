//! The spans of a trace as rows of a screen: what is folded, what is seen, where the next error is.
//!
//! A trace is a [`Skeleton`]: arrays in pre-order. Folding is a bit a row; the rows that are seen are a
//! list that is made anew when something folds. Nothing here recurses, since traces can be a chain of a
//! million spans.

use std::collections::HashMap;
use std::sync::Arc;

mod skeleton;
#[cfg(test)]
pub(crate) mod tests;

pub use skeleton::{BadSkeleton, Builder, NO_ROW, Node, Skeleton, flags};

/// Siblings of one service and name from this many on are one group.
pub const GROUP_MIN: usize = 4;
/// Traces with at most this many rows open unfolded.
pub const UNFOLDED_MAX: usize = 200;

/// A set of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// An empty set of rows below `len`.
    pub fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// Whether a row is in it.
    pub fn has(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Puts a row in or takes it out.
    pub fn set(&mut self, row: usize, on: bool) {
        if let Some(word) = self.0.get_mut(row / 64) {
            let bit = 1 << (row % 64);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    /// How many are in it.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn fill(&mut self, on: bool) {
        self.0.fill(if on { u64::MAX } else { 0 });
    }
}

/// Equal siblings, shown as one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their rows, by start.
    pub members: Vec<u32>,
    /// Half of them took at most so long.
    pub p50_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// The row of the longest.
    pub slowest: u32,
    /// Time of all of them.
    pub sum_ns: i64,
    /// Some of them, or spans below them, failed.
    pub failed: usize,
}

/// A row of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A span.
    Span(u32),
    /// A group of equal siblings, by its place in [`SpanRows::group`].
    Group(u32),
}

const GROUP_BIT: u32 = 1 << 31;

/// The rows of a trace that are seen.
#[derive(Clone, Debug)]
pub struct SpanRows {
    skeleton: Arc<Skeleton>,
    folded: Bits,
    groups: Vec<Group>,
    /// Group that a row belongs to; only rows of groups are in it.
    group_of: HashMap<u32, u32>,
    open_groups: Bits,
    grouping: bool,
    /// Rows with time on the critical path, and what leads to them.
    path: Bits,
    /// Only these are shown.
    path_only: bool,
    visible: Vec<u32>,
    depths: Vec<u16>,
}

/// A stretch of rows still to be listed.
struct Walk {
    next: u32,
    end: u32,
    /// Members of an open group still to be listed behind it.
    group: Option<(u32, usize)>,
    deeper: u16,
}

impl SpanRows {
    /// The rows of a trace as it opens: all of a small one; of a large one the critical path and what
    /// leads to errors and to `wanted`.
    pub fn new(skeleton: Arc<Skeleton>, wanted: Option<u32>) -> Self {
        let len = skeleton.len();
        let groups = groups_of(&skeleton);
        let group_of = groups.iter().zip(0u32..);
        let group_of =
            group_of.flat_map(|(group, at)| group.members.iter().map(move |m| (*m, at))).collect();
        let mut rows = Self {
            folded: Bits::new(len),
            open_groups: Bits::new(groups.len()),
            groups,
            group_of,
            grouping: len > UNFOLDED_MAX,
            path: path_of(&skeleton),
            path_only: false,
            visible: Vec::new(),
            depths: Vec::new(),
            skeleton,
        };
        if len > UNFOLDED_MAX {
            rows.fold_what_matters_less();
        }
        if let Some(row) = wanted {
            rows.reveal(row);
        }
        rows.list();
        rows
    }

    fn fold_what_matters_less(&mut self) {
        let s = Arc::clone(&self.skeleton);
        self.folded.fill(true);
        for row in 0..s.len() {
            let matters = s.critical_ns[row] > 0 || s.has(row, flags::ERROR);
            if matters && s.parent[row] != NO_ROW {
                self.folded.set(s.parent[row] as usize, false);
            }
        }
        // What leads to an open row must be open: parents stand before children.
        for row in (0..s.len()).rev() {
            if !self.folded.has(row) && s.parent[row] != NO_ROW {
                self.folded.set(s.parent[row] as usize, false);
            }
        }
    }

    /// The trace.
    pub fn skeleton(&self) -> &Arc<Skeleton> {
        &self.skeleton
    }

    /// Rows that are seen.
    pub fn len(&self) -> usize {
        self.visible.len()
    }

    /// True for a trace without spans.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }

    /// A row that is seen.
    pub fn shown(&self, at: usize) -> Option<Shown> {
        let entry = *self.visible.get(at)?;
        Some(if entry & GROUP_BIT == 0 {
            Shown::Span(entry)
        } else {
            Shown::Group(entry & !GROUP_BIT)
        })
    }

    /// How far a row that is seen is indented.
    pub fn depth(&self, at: usize) -> u16 {
        self.depths.get(at).copied().unwrap_or(0)
    }

    /// A group of equal siblings.
    pub fn group(&self, group: u32) -> &Group {
        &self.groups[group as usize]
    }

    /// The span of a row that is seen; of a group the slowest.
    pub fn span(&self, at: usize) -> Option<u32> {
        Some(match self.shown(at)? {
            Shown::Span(row) => row,
            Shown::Group(group) => self.group(group).slowest,
        })
    }

    /// Whether something is hidden below a row that is seen; nothing where there is nothing below.
    pub fn is_folded(&self, at: usize) -> Option<bool> {
        match self.shown(at)? {
            Shown::Group(group) => Some(!self.open_groups.has(group as usize)),
            Shown::Span(row) => {
                let row = row as usize;
                self.skeleton.has_children(row).then(|| self.folded.has(row))
            }
        }
    }

    /// Folds or unfolds a row that is seen.
    pub fn fold(&mut self, at: usize, folded: bool) {
        match self.shown(at) {
            Some(Shown::Span(row)) => self.folded.set(row as usize, folded),
            Some(Shown::Group(group)) => self.open_groups.set(group as usize, !folded),
            None => return,
        }
        self.list();
    }

    /// Folds or unfolds everything.
    pub fn fold_all(&mut self, folded: bool) {
        self.folded.fill(folded);
        self.open_groups.fill(!folded);
        self.list();
    }

    /// Whether equal siblings are shown as one.
    pub fn is_grouping(&self) -> bool {
        self.grouping
    }

    /// Shows equal siblings as one, or each.
    pub fn set_grouping(&mut self, on: bool) {
        self.grouping = on;
        self.open_groups.fill(false);
        self.list();
    }

    /// Whether only the critical path is shown.
    pub fn is_path_only(&self) -> bool {
        self.path_only
    }

    /// Shows the critical path only, or all.
    pub fn set_path_only(&mut self, on: bool) {
        self.path_only = on;
        self.list();
    }

    /// Place of a span among the rows that are seen, or of the group or ancestor that hides it.
    pub fn place(&self, row: u32) -> Option<usize> {
        let find = |row: u32| {
            let group = self.group_of.get(&row).map(|g| g | GROUP_BIT);
            let exact = self.visible.iter().position(|v| *v == row);
            exact.or_else(|| self.visible.iter().position(|v| Some(*v) == group))
        };
        let mut row = row;
        loop {
            if let Some(at) = find(row) {
                return Some(at);
            }
            row = *self.skeleton.parent.get(row as usize).filter(|p| **p != NO_ROW)?;
        }
    }

    /// Unfolds what hides a span and gives its place.
    pub fn show(&mut self, row: u32) -> Option<usize> {
        self.reveal(row);
        self.list();
        self.place(row)
    }

    fn reveal(&mut self, row: u32) {
        let s = Arc::clone(&self.skeleton);
        let mut at = row;
        while (at as usize) < s.len() {
            if let Some(group) = self.group_of.get(&at) {
                self.open_groups.set(*group as usize, true);
            }
            at = s.parent[at as usize];
            if at != NO_ROW {
                self.folded.set(at as usize, false);
            }
        }
        self.path_only &= self.path.has(row as usize);
    }

    /// The next span behind `row`, or before it, that has one of these flags; folded ones count.
    pub fn next_flagged(&self, row: u32, flags: u16, forward: bool) -> Option<u32> {
        self.next_where(row, forward, |s, at| s.has(at, flags))
    }

    /// The next span behind `row`, or before it, for which `wanted` holds; goes round once.
    pub fn next_where(
        &self,
        row: u32,
        forward: bool,
        wanted: impl Fn(&Skeleton, usize) -> bool,
    ) -> Option<u32> {
        let (s, row) = (&*self.skeleton, row as usize);
        let hit = |at: &usize| wanted(s, *at);
        let found = if forward {
            (row + 1..s.len()).find(hit).or_else(|| (0..(row + 1).min(s.len())).find(hit))
        } else {
            (0..row.min(s.len())).rev().find(hit).or_else(|| (row..s.len()).rev().find(hit))
        };
        found.map(|at| at as u32)
    }

    /// The child of a span that took longest.
    pub fn slowest_child(&self, row: u32) -> Option<u32> {
        let s = &self.skeleton;
        s.children(row as usize).max_by_key(|c| s.duration_ns[*c]).map(|c| c as u32)
    }

    /// The sibling behind a span, or before it.
    pub fn sibling(&self, row: u32, forward: bool) -> Option<u32> {
        let s = &self.skeleton;
        let parent = *s.parent.get(row as usize)?;
        let siblings: Vec<u32> = s.children_of(parent).map(|c| c as u32).collect();
        let at = siblings.iter().position(|c| *c == row)?;
        let next = if forward { at + 1 } else { at.checked_sub(1)? };
        siblings.get(next).copied()
    }

    /// The span that the cursor stands on first: most time of its own on the critical path.
    pub fn guilty(&self) -> Option<u32> {
        let s = &self.skeleton;
        let longest = (0..s.len()).filter(|row| s.is_span(*row)).max_by_key(|row| {
            // The first of equals.
            (s.critical_ns[*row], s.self_ns[*row], std::cmp::Reverse(*row))
        });
        longest.map(|row| row as u32)
    }

    /// Lists the rows that are seen.
    fn list(&mut self) {
        self.visible.clear();
        self.depths.clear();
        let s = Arc::clone(&self.skeleton);
        let mut stack = vec![Walk { next: 0, end: s.len() as u32, group: None, deeper: 0 }];
        while let Some(walk) = stack.last_mut() {
            if walk.next >= walk.end {
                let Some(next) = self.next_member(walk) else {
                    stack.pop();
                    continue;
                };
                (walk.next, walk.end) = next;
            }
            let (row, deeper, whole) = (walk.next, walk.deeper, walk.group);
            let at = row as usize;
            let behind = s.subtree_end[at];
            if self.path_only && !self.path.has(at) {
                walk.next = behind;
                continue;
            }
            let group = self.group_of.get(&row).copied().filter(|_| self.grouping);
            if let Some(group) = group.filter(|g| whole.is_none_or(|(within, _)| within != *g)) {
                walk.next = behind;
                // The others of the group are listed with the first.
                if self.groups[group as usize].members[0] == row {
                    self.push(group | GROUP_BIT, s.depth[at].saturating_add(deeper));
                    if self.open_groups.has(group as usize) {
                        let deeper = deeper.saturating_add(1);
                        stack.push(Walk { next: 0, end: 0, group: Some((group, 0)), deeper });
                    }
                }
                continue;
            }
            walk.next = if self.folded.has(at) { behind } else { row + 1 };
            self.push(row, s.depth[at].saturating_add(deeper));
        }
    }

    /// The rows of the next member of an open group.
    fn next_member(&self, walk: &mut Walk) -> Option<(u32, u32)> {
        let (group, at) = walk.group.as_mut()?;
        let row = *self.groups[*group as usize].members.get(*at)?;
        *at += 1;
        Some((row, self.skeleton.subtree_end[row as usize]))
    }

    fn push(&mut self, entry: u32, depth: u16) {
        self.visible.push(entry);
        self.depths.push(depth);
    }
}

/// Rows with time on the critical path, and all above them.
fn path_of(s: &Skeleton) -> Bits {
    let mut path = Bits::new(s.len());
    // Parents stand before children.
    for row in (0..s.len()).rev() {
        if s.critical_ns[row] > 0 || path.has(row) {
            path.set(row, true);
            if s.parent[row] != NO_ROW {
                path.set(s.parent[row] as usize, true);
            }
        }
    }
    path
}

/// Equal siblings, by the first of each group.
fn groups_of(s: &Skeleton) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut equal: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
    for parent in 0..s.len() {
        // Counting children costs a look at each; most rows have none.
        if s.subtree_end[parent] as usize - parent <= GROUP_MIN {
            continue;
        }
        equal.clear();
        for child in s.children(parent).filter(|c| s.is_span(*c)) {
            equal.entry((s.service[child], s.name[child])).or_default().push(child as u32);
        }
        let large = equal.drain().map(|(_, members)| members).filter(|m| m.len() >= GROUP_MIN);
        groups.extend(large.map(|members| group_of(s, members)));
    }
    groups.sort_by_key(|g| g.members[0]);
    groups
}

fn group_of(s: &Skeleton, members: Vec<u32>) -> Group {
    let duration = |row: &u32| s.duration_ns[*row as usize];
    let mut durations: Vec<i64> = members.iter().map(duration).collect();
    durations.sort_unstable();
    let slowest = members.iter().copied().max_by_key(duration).unwrap_or(members[0]);
    let failed = members.iter().filter(|m| s.has(**m as usize, flags::ERROR)).count();
    Group {
        p50_ns: durations[(durations.len() - 1) / 2],
        max_ns: durations[durations.len() - 1],
        sum_ns: durations.iter().sum(),
        slowest,
        failed,
        members,
    }
}

/// Pauses: stretches of more than this share of the trace in which no span runs.
const PAUSE_SHARE: f64 = 0.2;

/// Stretches in which nothing runs, long enough to be folded on the screen.
pub fn pauses(s: &Skeleton) -> Vec<(i64, i64)> {
    let (from, to) = s.window_ns();
    let least = ((to - from) as f64 * PAUSE_SHARE) as i64;
    let mut spans: Vec<(i64, i64)> =
        (0..s.len()).map(|row| (s.start_ns[row], s.end_ns(row))).collect();
    spans.sort_unstable();
    let mut pauses = Vec::new();
    let mut busy_until = from;
    for (start, end) in spans {
        if start - busy_until > least {
            pauses.push((busy_until, start));
        }
        busy_until = busy_until.max(end);
    }
    pauses
}

/// How many spans run in each of `columns` equal stretches of `from_ns..to_ns`: the density strip.
pub fn density(s: &Skeleton, from_ns: i64, to_ns: i64, columns: usize) -> Vec<u32> {
    if columns == 0 || to_ns <= from_ns {
        return vec![0; columns];
    }
    let whole = (to_ns - from_ns) as f64;
    let column = |at: i64| ((at - from_ns) as f64 / whole * columns as f64).floor();
    // Running sums of starts and ends.
    let mut change = vec![0i64; columns + 1];
    for row in (0..s.len()).filter(|row| s.is_span(*row)) {
        let (start, end) = (s.start_ns[row], s.end_ns(row));
        if end < from_ns || start > to_ns {
            continue;
        }
        let first = column(start).clamp(0.0, columns as f64 - 1.0) as usize;
        let last = column(end).clamp(0.0, columns as f64 - 1.0) as usize;
        change[first] += 1;
        change[last + 1] -= 1;
    }
    let mut running = 0;
    change[..columns]
        .iter()
        .map(|c| {
            running += c;
            running as u32
        })
        .collect()
}
