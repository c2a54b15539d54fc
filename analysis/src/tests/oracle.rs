//! The definitions once more, as slow and plain as can be: every row looks at every row, and time
//! goes by nanosecond for nanosecond. The kernel must agree on small traces.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::random::{self, Maker, Shape};
use crate::{Kernel, Kind, Options, SkewMode, Span, SpanFacts, Symbol};

/// What the oracle says of a row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    parent: Option<u32>,
    segment: u32,
    depth: u32,
    self_ns: i64,
    gap_ns: Option<i64>,
    critical_ns: i64,
    overflow_ns: i64,
    skew_ns: i64,
    is_orphan: bool,
    is_duplicate: bool,
    is_main: bool,
}

impl Said {
    fn by_kernel(facts: &SpanFacts) -> Said {
        Said {
            parent: facts.parent,
            segment: facts.segment,
            depth: facts.depth,
            self_ns: facts.self_ns,
            gap_ns: facts.gap_ns,
            critical_ns: facts.critical_ns,
            overflow_ns: facts.overflow_ns,
            skew_ns: facts.skew_ns,
            is_orphan: facts.is_orphan,
            is_duplicate: facts.is_duplicate,
            is_main: facts.is_main,
        }
    }
}

struct Oracle<'a> {
    spans: &'a [Span],
    options: Options,
    parent: Vec<Option<usize>>,
    is_orphan: Vec<bool>,
    is_duplicate: Vec<bool>,
    shift: Vec<i64>,
    critical: Vec<i64>,
}

impl Oracle<'_> {
    fn new(spans: &[Span], options: Options) -> Oracle<'_> {
        let mut oracle = Oracle {
            spans,
            options,
            parent: vec![None; spans.len()],
            is_orphan: vec![false; spans.len()],
            is_duplicate: vec![false; spans.len()],
            shift: vec![0; spans.len()],
            critical: vec![0; spans.len()],
        };
        oracle.leave_out();
        oracle.find_parents();
        oracle.cut_cycles();
        oracle.correct();
        for row in oracle.rows().filter(|row| oracle.is_first(*row)).collect::<Vec<_>>() {
            let end = oracle.end(row);
            oracle.own(row, end);
        }
        oracle
    }

    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.spans.len()).filter(|row| !self.is_duplicate[*row])
    }

    fn rank(&self, row: usize) -> (u64, Kind, Reverse<i64>, i64, u64, usize) {
        let s = &self.spans[row];
        (s.span_id, s.kind, Reverse(s.duration_ns), s.start_ns, s.row_hash, row)
    }

    fn leave_out(&mut self) {
        for row in 0..self.spans.len() {
            self.is_duplicate[row] = self.spans[row].span_id != 0
                && (0..self.spans.len()).any(|other| {
                    let (a, b) = (&self.spans[row], &self.spans[other]);
                    (a.span_id, a.kind) == (b.span_id, b.kind) && self.rank(other) < self.rank(row)
                });
        }
    }

    fn find_parents(&mut self) {
        for row in self.rows().collect::<Vec<_>>() {
            let span = &self.spans[row];
            let shared = self.rows().find(|other| {
                let other = &self.spans[*other];
                span.kind == Kind::Server
                    && span.span_id != 0
                    && (other.span_id, other.kind) == (span.span_id, Kind::Client)
            });
            let is_named = span.parent_id != 0 && span.parent_id != span.span_id;
            let order = [
                Kind::Client,
                Kind::Producer,
                Kind::Unspecified,
                Kind::Internal,
                Kind::Consumer,
                Kind::Server,
            ];
            let named = self
                .rows()
                .filter(|other| self.spans[*other].span_id == span.parent_id)
                .max_by_key(|other| {
                    let other = &self.spans[*other];
                    let place = order.iter().position(|kind| *kind == other.kind);
                    (other.service == span.service, place)
                });
            self.parent[row] = shared.or(named.filter(|_| is_named));
            self.is_orphan[row] = self.parent[row].is_none() && span.parent_id != 0;
        }
    }

    fn ancestors(&self, row: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = self.parent[row];
        while let Some(parent) = at {
            if found.contains(&parent) {
                break;
            }
            found.push(parent);
            at = self.parent[parent];
        }
        found
    }

    fn cut_cycles(&mut self) {
        let in_cycle =
            |oracle: &Oracle<'_>| oracle.rows().find(|row| oracle.ancestors(*row).contains(row));
        while let Some(row) = in_cycle(self) {
            let members = self.ancestors(row);
            let key = |row: &usize| (self.spans[*row].start_ns, self.rank(*row));
            let first = members.into_iter().min_by_key(key).unwrap();
            self.parent[first] = None;
            self.is_orphan[first] = true;
        }
    }

    fn roots(&self) -> Vec<usize> {
        let mut roots: Vec<usize> = self.rows().filter(|row| self.parent[*row].is_none()).collect();
        roots.sort_by_key(|row| {
            let span = &self.spans[*row];
            (self.is_orphan[*row], span.start_ns, Reverse(span.duration_ns), self.rank(*row))
        });
        roots
    }

    fn correct(&mut self) {
        let roots = self.roots();
        if self.options.skew == SkewMode::Off || roots.is_empty() {
            return;
        }
        let mut shifts: HashMap<Symbol, i64> = HashMap::from([(self.spans[roots[0]].clock, 0)]);
        let mut walk: Vec<usize> = self.rows().collect();
        walk.sort_by_key(|row| {
            let ancestors = self.ancestors(*row);
            let root = ancestors.last().unwrap_or(row);
            let tree = roots.iter().position(|other| other == root);
            (tree, ancestors.len(), self.spans[*row].start_ns, self.rank(*row))
        });
        for row in walk {
            let Some(parent) = self.parent[row] else { continue };
            let (p, c) = (&self.spans[parent], &self.spans[row]);
            let is_call = (p.kind, c.kind) == (Kind::Client, Kind::Server);
            let are_known = !p.clock.is_none() && !c.clock.is_none() && p.clock != c.clock;
            if !is_call || !are_known || shifts.contains_key(&c.clock) {
                continue;
            }
            let of_caller = *shifts.entry(p.clock).or_insert(0);
            let (p_end, c_end) = (p.start_ns + p.duration_ns, c.start_ns + c.duration_ns);
            let delta = if c.start_ns >= p.start_ns && c_end <= p_end {
                0
            } else if c.duration_ns > p.duration_ns {
                p.start_ns - c.start_ns
            } else {
                p.start_ns + (p.duration_ns - c.duration_ns) / 2 - c.start_ns
            };
            let is_refused = delta.abs() > self.options.skew_max_ns;
            shifts.insert(c.clock, if is_refused { 0 } else { of_caller + delta });
        }
        shifts.remove(&Symbol::NONE);
        for row in 0..self.spans.len() {
            self.shift[row] = shifts.get(&self.spans[row].clock).copied().unwrap_or(0);
        }
    }

    fn start(&self, row: usize) -> i64 {
        self.spans[row].start_ns + self.shift[row]
    }

    fn end(&self, row: usize) -> i64 {
        self.start(row) + self.spans[row].duration_ns
    }

    /// Whether the row begins a segment.
    fn is_first(&self, row: usize) -> bool {
        let Some(parent) = self.parent[row] else { return true };
        let (p, c) = (&self.spans[parent], &self.spans[row]);
        let is_message =
            c.kind == Kind::Consumer && (p.kind == Kind::Producer || p.service != c.service);
        let (a_c, b_p) = (self.start(row), self.end(parent));
        is_message || a_c > b_p || (a_c == b_p && c.duration_ns > 0)
    }

    fn blocking(&self, parent: usize) -> Vec<usize> {
        self.rows()
            .filter(|row| self.parent[*row] == Some(parent) && !self.is_first(*row))
            .collect()
    }

    /// The row and its ancestors within the segment.
    fn chain(&self, row: usize) -> Vec<usize> {
        let mut chain = vec![row];
        while !self.is_first(*chain.last().unwrap()) {
            chain.push(self.parent[*chain.last().unwrap()].unwrap());
        }
        chain
    }

    /// The interval of the path, where it is not empty.
    fn clip(&self, row: usize) -> Option<(i64, i64)> {
        let chain = self.chain(row);
        let from = chain.iter().map(|row| self.start(*row)).max().unwrap();
        let to = chain.iter().map(|row| self.end(*row)).min().unwrap();
        (from < to).then_some((from, to))
    }

    /// Gives every nanosecond before `entered` to the row or to the child that held it up.
    fn own(&mut self, row: usize, entered: i64) {
        let Some((from, to)) = self.clip(row) else { return };
        let tolerance = self
            .options
            .tolerance_ns
            .max(((to - from) as f64 * self.options.tolerance_share) as i64);
        let mut time = entered;
        while time > from {
            let holds = |child: &usize| {
                self.clip(*child).is_some_and(|(child_from, child_to)| {
                    let end = child_to.min(entered);
                    child_from < time && end >= time && end <= time + tolerance
                })
            };
            let children = self.blocking(row).into_iter().filter(holds);
            let key = |child: &usize| {
                let (child_from, child_to) = self.clip(*child).unwrap();
                (child_to, child_from, Reverse(self.rank(*child)))
            };
            match children.max_by_key(key) {
                Some(child) => {
                    self.own(child, time.min(self.clip(child).unwrap().1));
                    time = self.clip(child).unwrap().0;
                }
                None => {
                    self.critical[row] += 1;
                    time -= 1;
                }
            }
        }
    }

    /// Nanoseconds of a row in which none of some children ran.
    fn uncovered(&self, row: usize, children: &[usize]) -> i64 {
        let runs = |child: &usize, t: i64| (self.start(*child)..self.end(*child)).contains(&t);
        (self.start(row)..self.end(row))
            .filter(|t| !children.iter().any(|child| runs(child, *t)))
            .count() as i64
    }

    fn gap(&self, row: usize) -> Option<i64> {
        if !matches!(self.spans[row].kind, Kind::Client | Kind::Producer) {
            return None;
        }
        let mut servers = self.blocking(row);
        servers.retain(|child| self.spans[*child].kind == Kind::Server);
        match servers.as_slice() {
            [] => None,
            [one] => Some((self.spans[row].duration_ns - self.spans[*one].duration_ns).max(0)),
            several => Some(self.uncovered(row, several)),
        }
    }

    fn say(&self, row: usize) -> Said {
        if self.is_duplicate[row] {
            return Said { segment: row as u32, is_duplicate: true, ..Said::default() };
        }
        let first = *self.chain(row).last().unwrap();
        Said {
            parent: self.parent[row].map(|parent| parent as u32),
            segment: first as u32,
            depth: self.ancestors(row).len() as u32,
            self_ns: self.uncovered(row, &self.blocking(row)),
            gap_ns: self.gap(row),
            critical_ns: self.critical[row],
            overflow_ns: self.spans[row].duration_ns
                - self.clip(row).map_or(0, |(from, to)| to - from),
            skew_ns: self.shift[row],
            is_orphan: self.is_orphan[row],
            is_duplicate: false,
            is_main: first == self.roots()[0],
        }
    }
}

#[test]
fn the_kernel_agrees() {
    let shape = Shape { spans: 9, spans_max: 14, time_max: 24, is_dirty: true };
    random::each(|random| {
        let options = random::options(random);
        let mut kernel = Kernel::new(options);
        let trace = Maker::new(&mut kernel).trace(random, shape);
        kernel.run(super::picture::TRACE, &trace.spans, &trace.links);
        let oracle = Oracle::new(&trace.spans, options);
        for (row, facts) in kernel.facts().iter().enumerate() {
            assert_eq!(Said::by_kernel(facts), oracle.say(row), "row {row} of {:#?}", trace.spans);
        }
    });
}
