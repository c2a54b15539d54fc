//! Laws that hold for every trace: the guarantees of section 7 of the definitions, and what must be
//! true of the facts among themselves.

use std::collections::HashMap;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::picture::TRACE;
use super::random::{self, DIRTY, Maker, Trace, options};
use crate::facts::TraceFacts;
use crate::{
    Category, ErrorRole, Kernel, Kind, Options, PieceKind, SkewMode, Span, SpanFacts, Status,
    Target,
};

/// No tolerance and no clock correction: what is built from times stays built from times.
const STRICT: Options =
    Options { tolerance_ns: 0, tolerance_share: 0.0, skew: SkewMode::Off, skew_max_ns: 0 };

/// A trace of its own, and a kernel that ran over it.
fn ran(random: &mut StdRng, options: Options) -> (Kernel, Trace, TraceFacts) {
    let mut kernel = Kernel::new(options);
    let trace = Maker::new(&mut kernel).trace(random, DIRTY);
    let facts = kernel.run(TRACE, &trace.spans, &trace.links);
    (kernel, trace, facts)
}

/// Start, as corrected.
fn start(span: &Span, facts: &SpanFacts) -> i64 {
    span.start_ns + facts.skew_ns
}

/// Length of the interval of the path.
fn path_len(span: &Span, facts: &SpanFacts) -> i64 {
    span.duration_ns - facts.overflow_ns
}

fn kept(kernel: &Kernel) -> impl Iterator<Item = (usize, &SpanFacts)> {
    kernel.facts().iter().enumerate().filter(|(_, facts)| !facts.is_duplicate)
}

/// Guarantee 1: pieces are disjoint, in order, cover their segment and sum up to its duration; and
/// they are what the spans were told.
#[test]
fn pieces_cover_each_segment() {
    random::each(|random| {
        let options = options(random);
        let (mut kernel, trace, facts) = ran(random, options);
        let pieces = kernel.critical_path(&trace.spans);
        let mut sums = vec![0; trace.spans.len()];
        for segment in pieces.chunk_by(|a, b| a.segment == b.segment) {
            let first = &trace.spans[segment[0].segment as usize];
            assert_eq!(segment[0].from_ns, 0);
            assert_eq!(segment.last().unwrap().to_ns, first.duration_ns);
            assert!(segment.windows(2).all(|two| two[0].to_ns == two[1].from_ns));
            for piece in segment {
                assert!(piece.from_ns < piece.to_ns && piece.kind == PieceKind::Path);
                assert_eq!(kernel.facts()[piece.span as usize].segment, piece.segment);
                sums[piece.span as usize] += piece.to_ns - piece.from_ns;
            }
        }
        for (row, facts) in kernel.facts().iter().enumerate() {
            assert_eq!(facts.critical_ns, sums[row], "row {row}");
        }
        let of_main = kernel.facts().iter().filter(|f| f.is_main).map(|f| f.critical_ns);
        assert_eq!(of_main.sum::<i64>(), facts.duration_ns);
    });
}

/// Guarantee 2, and the bounds of the other times.
#[test]
fn no_time_is_longer_than_its_span() {
    random::each(|random| {
        let options = options(random);
        let (kernel, trace, _) = ran(random, options);
        for (row, facts) in kept(&kernel) {
            let span = &trace.spans[row];
            let len = path_len(span, facts);
            assert!((0..=len).contains(&facts.critical_ns) && len <= span.duration_ns);
            assert!((0..=span.duration_ns).contains(&facts.self_ns));
            assert!(facts.gap_ns.is_none_or(|gap| (0..=span.duration_ns).contains(&gap)));
            let is_leaf = facts.tree_left == facts.tree_right;
            assert!(!is_leaf || facts.self_ns == span.duration_ns);
            if facts.segment as usize == row {
                assert_eq!(facts.overflow_ns, 0);
                assert!(!is_leaf || facts.critical_ns == span.duration_ns);
            }
        }
    });
}

/// What must not change when times are moved or stretched, rows shuffled or ids renamed.
fn times(facts: &SpanFacts) -> [i64; 5] {
    let SpanFacts { self_ns, critical_ns, overflow_ns, skew_ns, .. } = *facts;
    [self_ns, facts.gap_ns.unwrap_or(-1), critical_ns, overflow_ns, skew_ns]
}

/// Guarantee 3.
#[test]
fn only_differences_of_time_count() {
    random::each(|random| {
        let options = options(random);
        let (mut kernel, mut trace, facts) = ran(random, options);
        let before = kernel.facts().to_vec();
        let first = trace.spans.iter().map(|span| span.start_ns).min().unwrap();
        for by in [-first, 1_700_000_000_000_000_000, -100_000] {
            for span in &mut trace.spans {
                span.start_ns += by;
            }
            let moved = kernel.run(TRACE, &trace.spans, &trace.links);
            assert_eq!(kernel.facts(), before);
            assert_eq!(TraceFacts { start_ns: facts.start_ns, ..moved }, facts);
            for span in &mut trace.spans {
                span.start_ns -= by;
            }
        }

        let mut kernel = Kernel::new(STRICT);
        Maker::new(&mut kernel);
        kernel.run(TRACE, &trace.spans, &trace.links);
        let before: Vec<_> = kernel.facts().iter().map(times).collect();
        let times_by = random.random_range(2..1000);
        for span in &mut trace.spans {
            span.start_ns *= times_by;
            span.duration_ns *= times_by;
        }
        kernel.run(TRACE, &trace.spans, &trace.links);
        for (facts, before) in kernel.facts().iter().zip(before) {
            let expected = before.map(|time| if time < 0 { time } else { time * times_by });
            assert_eq!(times(facts), expected);
        }
    });
}

/// Facts in words that name rows by what is in them, sorted.
fn told(spans: &[Span], facts: &[SpanFacts], name: impl Fn(&Span) -> u64) -> Vec<String> {
    let row = |index: u32| {
        let span = &spans[index as usize];
        (name(span), span.kind, span.duration_ns, span.start_ns, span.row_hash)
    };
    let mut told: Vec<String> = (0u32..)
        .zip(facts)
        .map(|(index, facts)| {
            let words = SpanFacts { parent: None, segment: 0, ..*facts };
            format!(
                "{:?} {:?} {:?} {words:?}",
                row(index),
                facts.parent.map(row),
                row(facts.segment)
            )
        })
        .collect();
    told.sort();
    told
}

/// Fails with the first row that is told otherwise.
fn agree(before: &[String], after: &[String]) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after);
    }
}

/// Guarantee 4: for all facts, not only those of the path.
#[test]
fn neither_order_nor_names_of_rows_count() {
    random::each(|random| {
        let options = options(random);
        let (mut kernel, mut trace, facts) = ran(random, options);
        let before = told(&trace.spans, kernel.facts(), |span| span.span_id);
        let root = facts.root.map(|root| trace.spans[root as usize].row_hash);

        trace.spans.shuffle(random);
        let shuffled = kernel.run(TRACE, &trace.spans, &trace.links);
        agree(&before, &told(&trace.spans, kernel.facts(), |span| span.span_id));
        assert_eq!(TraceFacts { root: facts.root, ..shuffled }, facts);
        assert_eq!(shuffled.root.map(|root| trace.spans[root as usize].row_hash), root);

        // Another id for each, in the same order; 0 stays absent.
        let mut ids: Vec<u64> = trace.spans.iter().flat_map(|s| [s.span_id, s.parent_id]).collect();
        ids.extend(trace.links.iter().map(|link| link.span_id));
        ids.sort_unstable();
        ids.dedup();
        let mut next = 0;
        let names: HashMap<u64, u64> = ids
            .iter()
            .map(|id| {
                next += random.random_range(1..1 << 40);
                (*id, if *id == 0 { 0 } else { next })
            })
            .collect();
        let back: HashMap<u64, u64> = names.iter().map(|(old, new)| (*new, *old)).collect();
        for span in &mut trace.spans {
            span.span_id = names[&span.span_id];
            span.parent_id = names[&span.parent_id];
        }
        for link in &mut trace.links {
            link.span_id = names[&link.span_id];
        }
        kernel.run(TRACE, &trace.spans, &trace.links);
        agree(&before, &told(&trace.spans, kernel.facts(), |span| back[&span.span_id]));
    });
}

/// A span that no other one has to do with.
fn new_leaf(parent: &Span, start_ns: i64, duration_ns: i64) -> Span {
    Span {
        span_id: u64::MAX - 1,
        parent_id: parent.span_id,
        start_ns,
        duration_ns,
        kind: Kind::Internal,
        service: parent.service,
        clock: parent.clock,
        ..Span::default()
    }
}

/// Rows that can be given a child by their id: no other row has it.
fn named_alone(spans: &[Span], kernel: &Kernel) -> Vec<usize> {
    let mut uses: HashMap<u64, u32> = HashMap::new();
    for span in spans {
        *uses.entry(span.span_id).or_default() += 1;
    }
    kept(kernel)
        .map(|(row, _)| row)
        .filter(|row| spans[*row].span_id != 0 && uses[&spans[*row].span_id] == 1)
        .collect()
}

/// Guarantee 5.
#[test]
fn what_holds_nobody_up_changes_no_path() {
    random::each(|random| {
        let options = options(random);
        let (mut kernel, trace, _) = ran(random, options);
        let before: Vec<i64> = kernel.facts().iter().map(|f| f.critical_ns).collect();
        let rows = named_alone(&trace.spans, &kernel);
        for _ in 0..4 {
            if rows.is_empty() {
                return;
            }
            let parent = &trace.spans[rows[random.random_range(0..rows.len())]];
            let end = parent.start_ns + parent.duration_ns;
            let mut added = vec![
                new_leaf(parent, random.random_range(parent.start_ns - 9..=end), 0),
                new_leaf(parent, end + random.random_range(1..9), random.random_range(0..99)),
            ];
            added.extend(beside(random, &kernel, &trace.spans, &rows));
            for leaf in added {
                let mut spans = trace.spans.clone();
                spans.push(leaf);
                kernel.run(TRACE, &spans, &trace.links);
                let after: Vec<i64> = kernel.facts().iter().map(|f| f.critical_ns).collect();
                assert_eq!(after[..before.len()], before, "{leaf:?}");
            }
            kernel.run(TRACE, &trace.spans, &trace.links);
        }
    });
}

/// A sibling of a span on the path that starts no earlier and ends earlier.
fn beside(random: &mut StdRng, kernel: &Kernel, spans: &[Span], rows: &[usize]) -> Option<Span> {
    let on_path: Vec<usize> = kept(kernel)
        .filter(|(row, facts)| {
            facts.critical_ns > 0
                && facts.parent.is_some_and(|parent| rows.contains(&(parent as usize)))
                && facts.segment as usize != *row
        })
        .map(|(row, _)| row)
        .collect();
    let row = *on_path.get(random.random_range(0..on_path.len().max(1)))?;
    let facts = &kernel.facts()[row];
    let parent = facts.parent? as usize;
    let parent_facts = &kernel.facts()[parent];
    // Where both are cut at the parent's end they end at once: take what ends inside.
    let parent_end = start(&spans[parent], parent_facts) + spans[parent].duration_ns;
    let from = start(&spans[row], facts);
    let to = (from + spans[row].duration_ns).min(parent_end) - 1;
    let is_clipped_by_more = facts.overflow_ns > 0;
    if from >= to || is_clipped_by_more {
        return None;
    }
    let begin = random.random_range(from..to);
    let end = random.random_range(begin..=to);
    Some(new_leaf(&spans[parent], begin - parent_facts.skew_ns, end - begin))
}

/// The interval of the path of a row.
fn clip(kernel: &Kernel, spans: &[Span], row: usize) -> (i64, i64) {
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    let mut at = row;
    loop {
        let facts = &kernel.facts()[at];
        let begin = start(&spans[at], facts);
        from = from.max(begin);
        to = to.min(begin + spans[at].duration_ns);
        match facts.parent {
            Some(parent) if facts.segment as usize != at => at = parent as usize,
            _ => return (from, to),
        }
    }
}

/// Guarantee 6: cut within the part that lies in its parents.
#[test]
fn a_split_leaf_keeps_its_sum() {
    random::each(|random| {
        let (mut kernel, trace, _) = ran(random, STRICT);
        let before: Vec<i64> = kernel.facts().iter().map(|f| f.critical_ns).collect();
        let alone = named_alone(&trace.spans, &kernel);
        let is_alone = |row: u32| alone.binary_search(&(row as usize)).is_ok();
        let leaves: Vec<usize> = kept(&kernel)
            .filter(|(row, f)| {
                f.tree_left == f.tree_right
                    && f.critical_ns > 1
                    && f.segment as usize != *row
                    && is_alone(*row as u32)
                    && f.parent.is_some_and(is_alone)
            })
            .map(|(row, _)| row)
            .collect();
        let Some(&leaf) = leaves.get(random.random_range(0..leaves.len().max(1))) else { return };
        let parent = kernel.facts()[leaf].parent;
        let span = trace.spans[leaf];
        let (from, to) = clip(&kernel, &trace.spans, leaf);
        let at = random.random_range(from + 1..to);
        let ends_there = |(row, facts): (usize, &SpanFacts)| {
            let other = &trace.spans[row];
            facts.parent == parent && other.start_ns + other.duration_ns == at
        };
        if kept(&kernel).any(ends_there) {
            return;
        }
        let mut spans = trace.spans.clone();
        spans[leaf].duration_ns = at - span.start_ns;
        spans.push(Span {
            span_id: u64::MAX - 1,
            start_ns: at,
            duration_ns: span.start_ns + span.duration_ns - at,
            ..span
        });
        kernel.run(TRACE, &spans, &trace.links);
        let mut after: Vec<i64> = kernel.facts().iter().map(|f| f.critical_ns).collect();
        let second = after.pop().unwrap();
        after[leaf] += second;
        assert_eq!(after, before);
    });
}

/// Guarantee 7.
#[test]
fn no_consumer_takes_time_from_its_producer() {
    random::each(|random| {
        let options = options(random);
        let (kernel, trace, _) = ran(random, options);
        for (row, facts) in kept(&kernel) {
            let Some(parent) = facts.parent else { continue };
            let kinds = (trace.spans[parent as usize].kind, trace.spans[row].kind);
            if kinds == (Kind::Producer, Kind::Consumer) {
                assert_eq!(facts.segment as usize, row);
                assert!(!facts.is_main);
            }
        }
    });
}

/// Tree numbers are those of a walk, and segments are whole.
#[test]
fn tree_numbers_nest() {
    random::each(|random| {
        let options = options(random);
        let (kernel, trace, counts) = ran(random, options);
        let mut by_left: Vec<Option<usize>> = vec![None; counts.spans as usize];
        for (row, facts) in kept(&kernel) {
            assert_eq!(by_left[facts.tree_left as usize].replace(row), None, "a place twice");
            assert!(facts.tree_left <= facts.tree_right);
        }
        let by_left: Vec<usize> = by_left.into_iter().map(Option::unwrap).collect();
        for (row, facts) in kept(&kernel) {
            let Some(parent) = facts.parent else {
                assert_eq!((facts.depth, facts.segment as usize), (0, row));
                continue;
            };
            let above = &kernel.facts()[parent as usize];
            assert_eq!(facts.depth, above.depth + 1);
            assert!(above.tree_left < facts.tree_left && facts.tree_right <= above.tree_right);
            assert!(facts.segment as usize == row || facts.segment == above.segment);
            assert_eq!(kernel.facts()[facts.segment as usize].segment, facts.segment);
        }
        // Below a span lie exactly the places up to its last one; siblings come by start.
        let mut next_sibling: HashMap<u32, i64> = HashMap::new();
        for &row in &by_left {
            let facts = &kernel.facts()[row];
            let below = facts.tree_left + 1..=facts.tree_right;
            assert!(
                below.into_iter().all(|left| {
                    let mut at = &kernel.facts()[by_left[left as usize]];
                    while at.depth > facts.depth + 1 {
                        at = &kernel.facts()[at.parent.unwrap() as usize];
                    }
                    at.parent == Some(row as u32)
                }) || trace.spans.len() > 60
            );
            if let Some(parent) = facts.parent {
                let begin = start(&trace.spans[row], facts);
                let before = next_sibling.insert(parent, begin).unwrap_or(i64::MIN);
                assert!(before <= begin);
            }
        }
    });
}

/// Counts of the trace are counts of the facts, and facts agree with one another.
#[test]
fn facts_agree() {
    random::each(|random| {
        let options = options(random);
        let (kernel, trace, counts) = ran(random, options);
        let count = |holds: &dyn Fn(&SpanFacts) -> bool| {
            kernel.facts().iter().filter(|facts| holds(facts)).count() as u32
        };
        assert_eq!(counts.spans + counts.duplicates, trace.spans.len() as u32);
        assert_eq!(counts.duplicates, count(&|f| f.is_duplicate));
        assert_eq!(counts.orphans, count(&|f| f.is_orphan));
        assert_eq!(counts.errors, count(&|f| f.is_error));
        let firsts = kept(&kernel).filter(|(row, facts)| facts.segment as usize == *row).count();
        assert_eq!(counts.segments + 1, firsts as u32);
        assert_eq!(counts.depth, kernel.facts().iter().map(|f| f.depth).max().unwrap());
        let root = &kernel.facts()[counts.root.unwrap() as usize];
        assert!(root.is_main && root.tree_left == 0 && root.parent.is_none());
        assert!(!counts.is_whole || (counts.orphans == 0 && !root.is_orphan));
        for (row, facts) in kept(&kernel) {
            let span = &trace.spans[row];
            let is_own = facts.category == Category::Own;
            assert_eq!(facts.charged_to, if is_own { span.service } else { facts.peer });
            assert!(is_own || matches!(span.kind, Kind::Client | Kind::Producer));
            assert!(facts.peer.is_none() || facts.peer_kind.is_some());
            assert!(
                facts.category != Category::Gap || facts.gap_ns.is_some() || facts.edge.is_none()
            );
            if facts.is_fatal {
                assert!(facts.is_error);
            }
            let has_part = !matches!(facts.error_role, None | Some(ErrorRole::Absorbed));
            assert_eq!(facts.is_error, has_part);
            if let Some(edge) = facts.edge {
                let is_caller = edge.source == span.service;
                assert!(is_caller || edge.target == span.service);
                assert!(edge.calls > 0);
            }
        }
        for facts in kernel.facts().iter().filter(|facts| facts.is_duplicate) {
            let expected =
                SpanFacts { is_duplicate: true, segment: facts.segment, ..SpanFacts::default() };
            assert_eq!(*facts, expected);
        }
    });
}

/// Paths of errors, patterns and ways through messages hold together.
#[test]
fn what_is_told_on_demand_agrees() {
    random::each(|random| {
        let options = options(random);
        let (mut kernel, trace, _) = ran(random, options);
        let facts = kernel.facts().to_vec();
        let mut origins = Vec::new();
        for path in kernel.error_paths(&trace.spans) {
            let (first, last) = (path.spans[0], path.spans[path.spans.len() - 1]);
            assert_eq!((facts[last as usize].segment, last), (first, path.origin));
            assert!(path.spans.windows(2).all(|two| facts[two[1] as usize].parent == Some(two[0])));
            let fatal = path.spans.iter().all(|row| facts[*row as usize].is_error);
            assert_eq!(path.is_fatal, fatal);
            assert!(path.cost_ns >= 0 && path.spans.contains(&path.top));
            origins.push(path.origin);
        }
        origins.sort_unstable();
        let len = origins.len();
        origins.dedup();
        assert_eq!(origins.len(), len, "an origin twice");
        for (row, facts) in facts.iter().enumerate() {
            let is_origin =
                matches!(facts.error_role, Some(ErrorRole::Origin | ErrorRole::TimeoutOrigin));
            let has_path = origins.binary_search(&(row as u32)).is_ok();
            assert!(!is_origin || has_path || facts.edge.is_none());
            assert!(!has_path || facts.is_error);
        }
        for pattern in kernel.patterns(&trace.spans) {
            assert!(pattern.calls >= 2 && pattern.saving_ns >= 0);
            assert_eq!(facts[pattern.first as usize].parent, Some(pattern.parent));
        }
        let way = kernel.end_to_end(&trace.spans);
        assert!(way.first().is_none_or(|piece| piece.from_ns == 0));
        assert!(way.iter().all(|piece| piece.from_ns < piece.to_ns));
        assert!(way.windows(2).all(|two| two[0].to_ns == two[1].from_ns));
    });
}

/// A kernel that ran over other traces says the same as a new one.
#[test]
fn runs_are_independent() {
    random::each(|random| {
        let options = options(random);
        let mut used = Kernel::new(options);
        let maker = Maker::new(&mut used);
        let traces: Vec<Trace> = (0..3).map(|_| maker.trace(random, DIRTY)).collect();
        for trace in &traces {
            used.run(TRACE, &trace.spans, &trace.links);
            used.patterns(&trace.spans);
        }
        for trace in &traces {
            let mut new = Kernel::new(options);
            Maker::new(&mut new);
            let expected = new.run(TRACE, &trace.spans, &trace.links);
            assert_eq!(used.run(TRACE, &trace.spans, &trace.links), expected);
            // Names of nodes got their numbers in another order.
            let words = |kernel: &Kernel| {
                let shown = kernel.facts().iter().map(|f| {
                    let texts = [f.peer, f.charged_to].map(|s| kernel.symbols().text(s).to_owned());
                    (f.path_id, f.error_role, f.is_retry, f.parent, times(f), texts)
                });
                shown.collect::<Vec<_>>()
            };
            assert_eq!(words(&used), words(&new));
            assert_eq!(used.critical_path(&trace.spans), new.critical_path(&trace.spans));
        }
    });
}

/// Times at the ends of what a number holds: nothing overflows, and pieces still fit.
#[test]
fn extreme_times() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX / 2, i64::MAX - 1, i64::MAX];
    random::each(|random| {
        let options = Options { skew_max_ns: i64::MAX, ..options(random) };
        let mut kernel = Kernel::new(options);
        let mut trace = Maker::new(&mut kernel).trace(random, DIRTY);
        for span in &mut trace.spans {
            let mut end = || ends[random.random_range(0..ends.len())];
            (span.start_ns, span.duration_ns) = (end(), end());
            span.target.http_status = u32::MAX;
            span.status = Status::Unset;
        }
        kernel.run(TRACE, &trace.spans, &trace.links);
        for (row, facts) in kept(&kernel) {
            let len = trace.spans[row].duration_ns.max(0);
            assert!((0..=len).contains(&facts.critical_ns));
            assert!((0..=len).contains(&facts.self_ns));
        }
        let pieces = kernel.critical_path(&trace.spans);
        assert!(pieces.iter().all(|piece| 0 <= piece.from_ns && piece.from_ns < piece.to_ns));
        kernel.end_to_end(&trace.spans);
        kernel.error_paths(&trace.spans);
        kernel.patterns(&trace.spans);
        let mut builder = crate::WindowBuilder::new();
        for trace_id in 0..9 {
            kernel.observe(trace_id, &trace.spans, &mut builder);
        }
        kernel.set_window(builder.finish());
        kernel.run(TRACE, &trace.spans, &trace.links);
    });
}

/// Links that point past the slice are none.
#[test]
fn links_out_of_range() {
    let span = Span {
        span_id: 1,
        kind: Kind::Consumer,
        links_from: u32::MAX,
        links_len: u32::MAX,
        target: Target::default(),
        ..Span::default()
    };
    let mut kernel = Kernel::default();
    kernel.run(TRACE, &[span], &[]);
    assert_eq!(kernel.facts()[0].edge.map(|edge| edge.calls), Some(1));
}
