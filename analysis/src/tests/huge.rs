//! Guarantee 8 of section 7 of the definitions: chains and stars of any size return, on a small
//! stack.

use super::picture::TRACE;
use crate::facts::TraceFacts;
use crate::{Kernel, Kind, Span, Status};

/// Smaller than a million frames of any function.
const STACK_BYTES: usize = 256 * 1024;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test).unwrap().join().unwrap();
}

/// Each the parent of the next, a nanosecond shorter at both ends; all in error.
fn chain(len: u64) -> Vec<Span> {
    (0..len)
        .map(|i| Span {
            span_id: i + 1,
            parent_id: i,
            start_ns: i.cast_signed(),
            duration_ns: 2 * (len - i).cast_signed(),
            kind: if i % 2 == 0 { Kind::Server } else { Kind::Client },
            status: Status::Error,
            ..Span::default()
        })
        .rev()
        .collect()
}

/// One parent, and children one after another.
fn star(len: u64) -> Vec<Span> {
    let leaf = |i: u64| Span {
        span_id: i + 1,
        parent_id: 1,
        start_ns: i.cast_signed(),
        duration_ns: 1,
        kind: Kind::Client,
        status: Status::Error,
        ..Span::default()
    };
    let root = Span {
        span_id: 1,
        duration_ns: len.cast_signed(),
        kind: Kind::Server,
        status: Status::Error,
        ..Span::default()
    };
    std::iter::once(root).chain((1..len).map(leaf)).rev().collect()
}

/// Everything that can be asked of a trace.
fn ask(spans: &[Span]) -> (Kernel, TraceFacts) {
    let mut kernel = Kernel::default();
    let trace = kernel.run(TRACE, spans, &[]);
    assert!(kernel.critical_path(spans).len() >= spans.len());
    assert!(kernel.end_to_end(spans).len() >= spans.len());
    assert!(!kernel.error_paths(spans).is_empty());
    kernel.patterns(spans);
    (kernel, trace)
}

#[test]
fn chains() {
    for len in [1, 10_000, 100_000, 1_000_000] {
        on_a_small_stack(move || {
            let spans = chain(len);
            let (kernel, trace) = ask(&spans);
            assert_eq!(u64::from(trace.depth) + 1, len);
            assert!(kernel.facts().iter().all(|facts| facts.critical_ns == 2));
            assert_eq!(kernel.error_paths(&spans)[0].spans.len() as u64, len);
        });
    }
}

#[test]
fn stars() {
    for len in [10_000, 1_000_000] {
        on_a_small_stack(move || {
            let spans = star(len);
            let (mut kernel, trace) = ask(&spans);
            assert_eq!(trace.depth, 1);
            assert!(kernel.facts().iter().all(|facts| facts.critical_ns == 1));
            let patterns = kernel.patterns(&spans);
            assert_eq!(patterns.len(), 1);
            assert_eq!(u64::from(patterns[0].calls), len - 1);
        });
    }
}

/// A cycle of all spans, and as many rows of one span.
#[test]
fn cycles_and_duplicates() {
    on_a_small_stack(|| {
        let mut spans = chain(100_000);
        spans.last_mut().unwrap().parent_id = 100_000;
        let (_, trace) = ask(&spans);
        assert_eq!((trace.cycles, trace.orphans), (1, 1));
        for (span, hash) in spans.iter_mut().zip(0..) {
            *span = Span { span_id: 7, parent_id: 7, row_hash: hash, ..Span::default() };
        }
        let mut kernel = Kernel::default();
        assert_eq!(kernel.run(TRACE, &spans, &[]).duplicates, 99_999);
    });
}

/// A chain with an error at each step: paths would have n²/2 spans in all.
#[test]
fn error_paths_are_bounded() {
    on_a_small_stack(|| {
        let mut spans = chain(20_000);
        for i in 0..20_000 {
            spans.push(Span {
                span_id: 1 << 32 | i,
                parent_id: i + 1,
                start_ns: i.cast_signed() + 1,
                duration_ns: 1,
                kind: Kind::Internal,
                status: Status::Error,
                ..Span::default()
            });
        }
        let mut kernel = Kernel::default();
        kernel.run(TRACE, &spans, &[]);
        let paths = kernel.error_paths(&spans);
        assert_eq!(paths[0].spans.len(), 20_000, "down to the last call");
        let all: usize = paths.iter().map(|path| path.spans.len()).sum();
        assert!(all <= 1 << 20, "{all} spans in {} paths", paths.len());
    });
}
