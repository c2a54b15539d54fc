//! From the spans of a trace to lines in the order of a waterfall; pure.
//!
//! Damage stays visible: a span whose parent is missing becomes a root of its own with a mark, and
//! of a cycle every span is shown once.

use std::collections::HashMap;

#[cfg(test)]
mod tests;

/// What a line needs to know of a span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) start_ns: i64,
    pub(super) duration_ns: i64,
    pub(super) label: String,
    pub(super) is_error: bool,
    /// Pieces of the critical path that the span owns: begin and end.
    pub(super) path_ns: Vec<(i64, i64)>,
}

/// One line of the waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Position of the span in the input.
    pub(super) span: usize,
    pub(super) depth: usize,
    /// The span names a parent that is not there.
    pub(super) is_orphan: bool,
}

/// Lines in pre-order: roots by start, children under their parent by start.
pub(super) fn lines(spans: &[Span]) -> Vec<Line> {
    let by_id: HashMap<&str, usize> =
        spans.iter().enumerate().rev().map(|(at, span)| (span.id.as_str(), at)).collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        match span.parent.as_deref().map(|parent| by_id.get(parent)) {
            Some(Some(&parent)) if parent != at => children.entry(parent).or_default().push(at),
            Some(_) => roots.push((at, true)),
            None => roots.push((at, false)),
        }
    }
    let mut walk = Walk { spans, children, is_shown: vec![false; spans.len()], lines: Vec::new() };
    roots.sort_by_key(|(at, _)| spans[*at].start_ns);
    for (at, is_orphan) in roots {
        walk.show(at, is_orphan);
    }
    // What is left hangs on a cycle: its earliest span is shown as an orphan.
    for at in 0..spans.len() {
        walk.show(at, true);
    }
    walk.lines
}

struct Walk<'a> {
    spans: &'a [Span],
    children: HashMap<usize, Vec<usize>>,
    is_shown: Vec<bool>,
    lines: Vec<Line>,
}

impl Walk<'_> {
    /// Shows a span and all below it. With a stack of its own: traces are deeper than ours.
    fn show(&mut self, root: usize, is_orphan: bool) {
        let mut open = vec![(root, 0, is_orphan)];
        while let Some((span, depth, is_orphan)) = open.pop() {
            if std::mem::replace(&mut self.is_shown[span], true) {
                continue;
            }
            self.lines.push(Line { span, depth, is_orphan });
            let mut below = self.children.remove(&span).unwrap_or_default();
            below.sort_by_key(|at| std::cmp::Reverse(self.spans[*at].start_ns));
            open.extend(below.into_iter().map(|at| (at, depth + 1, false)));
        }
    }
}

/// First start and last end of the trace.
pub(super) fn extent(spans: &[Span]) -> (i64, i64) {
    let start = spans.iter().map(|span| span.start_ns).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.start_ns.saturating_add(span.duration_ns)).max();
    (start, end.unwrap_or(start))
}

/// The span's place in the trace: `=` for its time, `#` where it is on the critical path, `!` at its
/// end when it failed.
pub(super) fn bar(span: &Span, extent: (i64, i64), width: usize) -> String {
    let whole = extent.1.saturating_sub(extent.0).max(1) as f64;
    let column = |ns: i64| {
        let share = ns.saturating_sub(extent.0) as f64 / whole;
        ((share * width as f64).round() as usize).min(width)
    };
    let from = column(span.start_ns).min(width.saturating_sub(1));
    let to = column(span.start_ns.saturating_add(span.duration_ns)).max(from + 1);
    let mut bar: Vec<char> = (0..to).map(|at| if at < from { ' ' } else { '=' }).collect();
    for (begin_ns, end_ns) in &span.path_ns {
        let begin = column(*begin_ns).clamp(from, to - 1);
        let end = column(*end_ns).clamp(begin + 1, to);
        bar[begin..end].fill('#');
    }
    if span.is_error {
        bar.pop();
        bar.push('!');
    }
    format!("{:width$}", bar.into_iter().collect::<String>())
}

/// The text in exactly `width` characters.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text:width$}");
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
