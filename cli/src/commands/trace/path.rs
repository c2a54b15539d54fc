//! The critical path of a trace: on the waterfall's spans, and piece by piece.

use std::collections::HashMap;
use std::io::{self, Write};

use api::time;
use api::views::{PathPiece, TraceAnswer, TraceSpan};

use super::waterfall::Span;
use crate::output::{Screen, number_head, or_dash, percent, text_head, write_cells};
use crate::units::show_ns;

/// The spans with their pieces, on corrected clocks.
pub(super) fn spans(answer: &TraceAnswer) -> Vec<Span> {
    let starts: HashMap<&str, i64> =
        answer.spans.iter().map(|span| (span.span_id.as_str(), start_ns(span))).collect();
    let mut pieces: HashMap<&str, Vec<(i64, i64)>> = HashMap::new();
    for piece in &answer.critical_path {
        // The segment's first span may be missing; then there is no place to draw.
        if let Some(start_ns) = starts.get(piece.segment_id.as_str()) {
            let ends = (start_ns + piece.from_ns, start_ns + piece.to_ns);
            pieces.entry(&piece.span_id).or_default().push(ends);
        }
    }
    let span = |span: &TraceSpan| Span {
        id: span.span_id.clone(),
        parent: span.parent_span_id.clone(),
        start_ns: start_ns(span),
        duration_ns: span.duration_ns,
        label: format!("{} {}", span.service_name, span.name),
        is_error: span.is_error.unwrap_or(span.status_code.as_deref() == Some("error")),
        path_ns: pieces.remove(span.span_id.as_str()).unwrap_or_default(),
    };
    answer.spans.iter().map(span).collect()
}

fn start_ns(span: &TraceSpan) -> i64 {
    let start_ns = time::parse(&span.start_time, 0).unwrap_or_default();
    start_ns.saturating_add(span.skew_ns.unwrap_or_default())
}

/// A table of the pieces, by time since the trace began; shares are those of the segment that waits
/// as one.
pub(super) fn write_pieces(
    answer: &TraceAnswer,
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let starts: HashMap<&str, i64> =
        answer.spans.iter().map(|span| (span.span_id.as_str(), start_ns(span))).collect();
    let trace_start_ns = starts.values().min().copied().unwrap_or_default();
    let mut segments: HashMap<&str, i64> = HashMap::new();
    for piece in &answer.critical_path {
        *segments.entry(&piece.segment_id).or_default() += length_ns(piece);
    }
    writeln!(out, "\ncritical path, # above: {} pieces", answer.critical_path.len())?;
    let heads = [
        number_head("from"),
        number_head("for"),
        number_head("share"),
        text_head("span"),
        text_head("is"),
        text_head("charged to"),
    ];
    let cells = answer.critical_path.iter().map(|piece| {
        let segment = piece.segment_id.as_str();
        let whole_ns = segments[segment].max(1);
        let begin_ns = starts.get(segment).map_or(0, |start_ns| start_ns - trace_start_ns);
        vec![
            show_ns(begin_ns + piece.from_ns),
            show_ns(length_ns(piece)),
            percent(Some(length_ns(piece) as f64 / whole_ns as f64)),
            format!("{} {}", piece.service_name, piece.name),
            piece.category.clone(),
            or_dash(piece.charged_to.as_deref()),
        ]
    });
    write_cells(out, screen, &heads, cells)
}

fn length_ns(piece: &PathPiece) -> i64 {
    piece.to_ns - piece.from_ns
}
