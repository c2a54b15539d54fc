//! Which rows are spans of their own, and who is whose parent: duplicates, parents, cycles, the root
//! (section 2 of the definitions). Everything here goes by times as sent.

use std::cmp::Ordering;

use crate::span::{Kind, Span};

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// The rows of a trace by their place in the input.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Ids and indices of the rows that are kept, by id; rows that share an id by [`by_content`].
    ids: Vec<(u64, u32)>,
    /// Place in `ids`, by index: compares as the ids do, and never equal. [`NONE`] for a duplicate.
    pub(super) rank: Vec<u32>,
    /// Index of the parent, by index.
    pub(super) parent: Vec<u32>,
    /// Whether the parent is named and not there, or was cut, by index.
    pub(super) is_orphan: Vec<bool>,
    /// Rows left out.
    pub(super) duplicates: u32,
    /// Of these, how many were not the same row again.
    pub(super) conflicts: u32,
    /// Cycles cut.
    pub(super) cycles: u32,
    /// Spans without a parent: the trace's root first, true roots before orphans, each by start.
    pub(super) roots: Vec<u32>,
    /// Whether the first of `roots` is a true one.
    pub(super) has_true_root: bool,
    colour: Vec<u32>,
    members: Vec<u32>,
}

impl Rows {
    /// Duplicates and parents.
    pub(super) fn prepare(&mut self, spans: &[Span]) {
        self.index(spans);
        self.link(spans);
        self.cycles = 0;
    }

    /// How many rows are kept.
    pub(super) fn kept(&self) -> usize {
        self.ids.len()
    }

    /// Rows with an id, at most one of each kind; none for the absent id.
    pub(super) fn with_id(&self, id: u64) -> &[(u64, u32)] {
        if id == 0 {
            return &[];
        }
        let from = self.ids.partition_point(|(other, _)| *other < id);
        let len = self.ids[from..].iter().take_while(|(other, _)| *other == id).count();
        &self.ids[from..from + len]
    }

    /// Sorts rows by id and leaves out duplicates. A row without an id is nobody's duplicate.
    fn index(&mut self, spans: &[Span]) {
        self.ids.clear();
        self.ids.extend((0u32..).zip(spans).map(|(index, span)| (span.span_id, index)));
        self.ids.sort_unstable_by(|a, b| {
            let same = || by_content(&spans[a.1 as usize], &spans[b.1 as usize]);
            a.0.cmp(&b.0).then_with(same).then(a.1.cmp(&b.1))
        });
        self.conflicts = 0;
        let mut kept: Option<&Span> = None;
        let conflicts = &mut self.conflicts;
        self.ids.retain(|&(id, index)| {
            let span = &spans[index as usize];
            if let Some(kept) = kept
                && id != 0
                && (kept.span_id, kept.kind) == (id, span.kind)
            {
                *conflicts += u32::from(by_content(kept, span) != Ordering::Equal);
                return false;
            }
            kept = Some(span);
            true
        });
        self.duplicates = (spans.len() - self.ids.len()) as u32;
        self.rank.clear();
        self.rank.resize(spans.len(), NONE);
        for (rank, &(_, index)) in (0u32..).zip(&self.ids) {
            self.rank[index as usize] = rank;
        }
    }

    fn link(&mut self, spans: &[Span]) {
        self.parent.clear();
        self.parent.resize(spans.len(), NONE);
        self.is_orphan.clear();
        self.is_orphan.resize(spans.len(), false);
        for at in 0..self.ids.len() {
            let index = self.ids[at].1;
            let span = &spans[index as usize];
            let parent = self.parent_of(spans, span);
            self.parent[index as usize] = parent;
            let stands_alone = span.parent_id == 0;
            self.is_orphan[index as usize] = parent == NONE && !stands_alone;
        }
    }

    /// The half of a shared id that serves is the child of the half that asks. Other spans that name
    /// a shared id are children of the half of their own service, else of the serving one.
    fn parent_of(&self, spans: &[Span], span: &Span) -> u32 {
        if span.kind == Kind::Server
            && span.span_id != 0
            && let Some(client) = self.of_kind(spans, span.span_id, Kind::Client)
        {
            return client;
        }
        if span.parent_id == 0 || span.parent_id == span.span_id {
            return NONE;
        }
        let halves = self.with_id(span.parent_id);
        if let [(_, only)] = halves {
            return *only;
        }
        let preference = |index: u32| {
            let half = &spans[index as usize];
            let serves = match half.kind {
                Kind::Server => 5,
                Kind::Consumer => 4,
                Kind::Internal => 3,
                Kind::Unspecified => 2,
                Kind::Producer => 1,
                Kind::Client => 0,
            };
            (half.service == span.service, serves)
        };
        halves.iter().map(|(_, index)| *index).max_by_key(|i| preference(*i)).unwrap_or(NONE)
    }

    fn of_kind(&self, spans: &[Span], id: u64, kind: Kind) -> Option<u32> {
        self.with_id(id).iter().map(|(_, index)| *index).find(|i| spans[*i as usize].kind == kind)
    }

    /// Collects the roots, the trace's own in front.
    pub(super) fn find_roots(&mut self, spans: &[Span]) {
        self.roots.clear();
        let parents = &self.parent;
        self.roots
            .extend(self.ids.iter().map(|(_, i)| *i).filter(|i| parents[*i as usize] == NONE));
        let key = |&index: &u32| {
            let span = &spans[index as usize];
            let longest = std::cmp::Reverse(span.duration_ns);
            (self.is_orphan[index as usize], span.start_ns, longest, self.rank[index as usize])
        };
        self.roots.sort_unstable_by_key(key);
        self.has_true_root = self.roots.first().is_some_and(|i| !self.is_orphan[*i as usize]);
    }

    /// Cuts every cycle at its earliest member. Each span is walked over once.
    pub(super) fn cut_cycles(&mut self, spans: &[Span]) {
        self.colour.clear();
        self.colour.resize(spans.len(), NONE);
        for walk in 0..self.ids.len() as u32 {
            let mut at = self.ids[walk as usize].1;
            while at != NONE && self.colour[at as usize] == NONE {
                self.colour[at as usize] = walk;
                at = self.parent[at as usize];
            }
            if at != NONE && self.colour[at as usize] == walk {
                self.cut(spans, at);
            }
        }
    }

    fn cut(&mut self, spans: &[Span], member: u32) {
        self.members.clear();
        let mut at = member;
        loop {
            self.members.push(at);
            at = self.parent[at as usize];
            if at == member {
                break;
            }
        }
        let key = |i: &u32| (spans[*i as usize].start_ns, self.rank[*i as usize]);
        let Some(earliest) = self.members.iter().copied().min_by_key(key) else { return };
        self.parent[earliest as usize] = NONE;
        self.is_orphan[earliest as usize] = true;
        self.cycles += 1;
    }
}

/// Order of rows with one id: by kind, and of one kind the row to keep first.
fn by_content(a: &Span, b: &Span) -> Ordering {
    a.kind
        .cmp(&b.kind)
        .then(b.duration_ns.cmp(&a.duration_ns))
        .then(a.start_ns.cmp(&b.start_ns))
        .then(a.row_hash.cmp(&b.row_hash))
}
