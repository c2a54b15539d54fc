//! What the kernel says, as Arrow columns.

use std::sync::Arc;

use analysis::{
    Category, Edge, EdgeKind, ErrorRole, NodeKind, SpanFacts, Symbol, Symbols, TraceFacts,
};
use arrow_array::builder::{FixedSizeBinaryBuilder, make_view};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, TimestampNanosecondArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::common::Result;
use schemas::derived::{SpanFact, TraceFact};

/// The rows of one trace in a chunk, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// First row.
    pub(super) from: usize,
    /// Rows.
    pub(super) len: usize,
    pub(super) trace_id: u128,
    pub(super) facts: TraceFacts,
    /// Whole and settled.
    pub(super) is_complete: bool,
    /// False for a trace too large for the memory of the query: its facts are null.
    pub(super) is_known: bool,
    /// Spans of the trace; of one that does not fit into memory, its rows.
    pub(super) span_count: i64,
}

/// Traces of which the columns are made. Facts refer to rows from the first of their trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) spans: &'a [analysis::Span],
    pub(super) facts: &'a [SpanFacts],
    pub(super) runs: &'a [Run],
    pub(super) symbols: &'a Symbols,
}

/// A row of a chunk and its trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) row: u32,
    /// Index among the runs.
    pub(super) run: u32,
}

/// Rows of a chunk of which the columns are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) chunk: Chunk<'a>,
    pub(super) places: &'a [Place],
}

fn edge(row: Row<'_>) -> Option<Edge> {
    row.facts.edge
}

/// One row while columns are made.
#[derive(Clone, Copy)]
struct Row<'a> {
    facts: &'a SpanFacts,
    run: &'a Run,
    chunk: Chunk<'a>,
}

impl<'a> Row<'a> {
    fn span(&self, index: u32) -> Option<&'a analysis::Span> {
        self.chunk.spans.get(self.run.from + index as usize)
    }

    fn root(&self) -> Option<&'a analysis::Span> {
        self.run.facts.root.and_then(|root| self.span(root))
    }

    fn parent(&self) -> Option<&'a analysis::Span> {
        self.facts.parent.and_then(|parent| self.span(parent))
    }
}

impl Rows<'_> {
    /// The column of a fact, a row a span.
    pub(super) fn span_column(&self, fact: SpanFact, texts: &mut Texts) -> Result<ArrayRef> {
        use SpanFact as F;
        Ok(match fact {
            F::TraceComplete => self.all_bools(|run| run.is_complete),
            F::RootService => self.symbols(texts, |r| r.root().map(|s| s.service))?,
            F::RootName => self.symbols(texts, |r| r.root().map(|s| s.name))?,
            F::RootStart => self.times(|r| r.root().map(|s| s.start_ns)),
            F::RootDuration => self.ints(|r| r.root().map(|s| s.duration_ns)),
            F::IsRoot => self
                .bools(|r| Some(r.run.facts.root == Some(r.facts.segment) && r.facts.depth == 0)),
            F::ParentService => self.symbols(texts, |r| r.parent().map(|s| s.service))?,
            F::ParentName => self.symbols(texts, |r| r.parent().map(|s| s.name))?,
            F::Depth => self.ints(|r| Some(r.facts.depth.into())),
            F::TreeLeft => self.ints(|r| Some(r.facts.tree_left.into())),
            F::TreeRight => self.ints(|r| Some(r.facts.tree_right.into())),
            F::SegmentId => self.ids(|r| r.span(r.facts.segment).map(|s| s.span_id))?,
            F::PathId => self.ids(|r| Some(r.facts.path_id))?,
            F::SelfNs => self.ints(|r| Some(r.facts.self_ns)),
            F::GapNs => self.ints(|r| r.facts.gap_ns),
            F::CriticalNs => self.ints(|r| Some(r.facts.critical_ns)),
            F::OverflowNs => self.ints(|r| Some(r.facts.overflow_ns)),
            F::SkewNs => self.ints(|r| Some(r.facts.skew_ns)),
            F::Category => self.words(|r| Some(category(r.facts.category)))?,
            F::ChargedTo => self.symbols(texts, |r| Some(r.facts.charged_to))?,
            F::Peer => self.symbols(texts, |r| Some(r.facts.peer))?,
            F::PeerKind => self.words(|r| r.facts.peer_kind.map(node_kind))?,
            F::ErrorRole => self.words(|r| r.facts.error_role.map(error_role))?,
            F::IsMain => self.bools(|r| Some(r.facts.is_main)),
            F::IsError => self.bools(|r| Some(r.facts.is_error)),
            F::IsFatal => self.bools(|r| Some(r.facts.is_fatal)),
            F::IsRetry => self.bools(|r| Some(r.facts.is_retry)),
            F::IsOrphan => self.bools(|r| Some(r.facts.is_orphan)),
            F::IsDuplicate => self.bools(|r| Some(r.facts.is_duplicate)),
            edge => self.edge_column(edge, texts)?,
        })
    }

    fn edge_column(&self, fact: SpanFact, texts: &mut Texts) -> Result<ArrayRef> {
        use SpanFact as F;
        Ok(match fact {
            F::EdgeSource => self.symbols(texts, |r| edge(r).map(|e| e.source))?,
            F::EdgeTarget => self.symbols(texts, |r| edge(r).map(|e| e.target))?,
            F::EdgeVia => self.symbols(texts, |r| edge(r).map(|e| e.via))?,
            F::EdgeSourceKind => self.words(|r| edge(r).map(|e| node_kind(e.source_kind)))?,
            F::EdgeTargetKind => self.words(|r| edge(r).map(|e| node_kind(e.target_kind)))?,
            F::EdgeCalls => self.ints(|r| edge(r).map(|e| e.calls.into())),
            F::EdgeInferred => self.bools(|r| edge(r).map(|e| e.is_inferred)),
            F::EdgeLost => self.bools(|r| edge(r).map(|e| e.is_lost)),
            F::EdgeClientNs => self.ints(|r| edge(r).and_then(|e| e.client_ns)),
            F::EdgeServerNs => self.ints(|r| edge(r).and_then(|e| e.server_ns)),
            F::EdgeGapNs => self.ints(|r| edge(r).and_then(|e| e.gap_ns)),
            F::EdgeClientError => self.bools(|r| edge(r).map(|e| e.client_error)),
            F::EdgeServerError => self.bools(|r| edge(r).map(|e| e.server_error)),
            // All that are left are the kind of the edge.
            _ => self.words(|r| edge(r).map(|e| edge_kind(e.kind)))?,
        })
    }

    fn rows(&self) -> impl Iterator<Item = Option<Row<'_>>> {
        let chunk = self.chunk;
        self.places.iter().map(move |place| {
            let run = &chunk.runs[place.run as usize];
            let facts = &chunk.facts[place.row as usize];
            run.is_known.then_some(Row { facts, run, chunk })
        })
    }

    fn ints(&self, of: impl Fn(Row<'_>) -> Option<i64>) -> ArrayRef {
        Arc::new(self.rows().map(|row| row.and_then(&of)).collect::<Int64Array>())
    }

    fn times(&self, of: impl Fn(Row<'_>) -> Option<i64>) -> ArrayRef {
        Arc::new(self.rows().map(|row| row.and_then(&of)).collect::<TimestampNanosecondArray>())
    }

    fn bools(&self, of: impl Fn(Row<'_>) -> Option<bool>) -> ArrayRef {
        Arc::new(self.rows().map(|row| row.and_then(&of)).collect::<BooleanArray>())
    }

    fn all_bools(&self, of: impl Fn(&Run) -> bool) -> ArrayRef {
        let runs = self.places.iter().map(|place| &self.chunk.runs[place.run as usize]);
        Arc::new(runs.map(|run| Some(of(run))).collect::<BooleanArray>())
    }

    fn ids(&self, of: impl Fn(Row<'_>) -> Option<u64>) -> Result<ArrayRef> {
        let mut ids = FixedSizeBinaryBuilder::with_capacity(self.places.len(), 8);
        for row in self.rows() {
            match row.and_then(&of) {
                Some(id) => ids.append_value(id.to_be_bytes())?,
                None => ids.append_null(),
            }
        }
        Ok(Arc::new(ids.finish()))
    }

    fn symbols(
        &self,
        texts: &mut Texts,
        of: impl Fn(Row<'_>) -> Option<Symbol>,
    ) -> Result<ArrayRef> {
        texts.array(self.chunk.symbols, self.rows().map(|row| row.and_then(&of)))
    }

    fn words(&self, of: impl Fn(Row<'_>) -> Option<&'static str>) -> Result<ArrayRef> {
        Ok(Arc::new(self.rows().map(|row| row.and_then(&of)).collect::<StringViewArray>()))
    }
}

impl Chunk<'_> {
    /// The column of a fact, a row a trace.
    pub(super) fn trace_column(&self, fact: TraceFact, texts: &mut Texts) -> Result<ArrayRef> {
        use TraceFact as F;
        let known = |run: &Run, value: i64| run.is_known.then_some(value);
        let count = |of: fn(&TraceFacts) -> u32| {
            self.run_ints(move |run| known(run, of(&run.facts).into()))
        };
        let root =
            |run: &Run| run.facts.root.and_then(|root| self.spans.get(run.from + root as usize));
        Ok(match fact {
            F::TraceId => {
                let mut ids = FixedSizeBinaryBuilder::with_capacity(self.runs.len(), 16);
                for run in self.runs {
                    ids.append_value(run.trace_id.to_be_bytes())?;
                }
                Arc::new(ids.finish())
            }
            F::RootService => {
                texts.array(self.symbols, self.runs.iter().map(|r| root(r).map(|s| s.service)))?
            }
            F::RootName => {
                texts.array(self.symbols, self.runs.iter().map(|r| root(r).map(|s| s.name)))?
            }
            F::StartTime => {
                let times = self.runs.iter().map(|r| root(r).map(|s| s.start_ns));
                Arc::new(times.collect::<TimestampNanosecondArray>())
            }
            F::Duration => self.run_ints(|r| root(r).map(|s| s.duration_ns)),
            F::SpanCount => self.run_ints(|r| Some(r.span_count)),
            F::ErrorCount => count(|f| f.errors),
            F::IsError => {
                let of =
                    |r: &Run| r.facts.root.and_then(|root| self.facts.get(r.from + root as usize));
                Arc::new(
                    self.runs.iter().map(|r| of(r).map(|f| f.is_error)).collect::<BooleanArray>(),
                )
            }
            F::ServiceCount => count(|f| f.services),
            F::Depth => count(|f| f.depth),
            F::SegmentCount => count(|f| f.segments + 1),
            F::OrphanCount => count(|f| f.orphans),
            F::DuplicateCount => count(|f| f.duplicates),
            F::TraceComplete => {
                Arc::new(self.runs.iter().map(|r| Some(r.is_complete)).collect::<BooleanArray>())
            }
        })
    }

    fn run_ints(&self, of: impl Fn(&Run) -> Option<i64>) -> ArrayRef {
        Arc::new(self.runs.iter().map(of).collect::<Int64Array>())
    }
}

/// Turns symbols into text columns: each distinct text of a column is copied once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The view of a symbol, valid while its stamp is the current one.
    views: Vec<(u32, u128)>,
    stamp: u32,
}

impl Texts {
    /// A column of symbols; absent ones are null.
    pub(super) fn array(
        &mut self,
        symbols: &Symbols,
        column: impl Iterator<Item = Option<Symbol>>,
    ) -> Result<ArrayRef> {
        self.stamp = self.stamp.wrapping_add(1);
        self.views.resize(symbols.len().max(self.views.len()), (0, 0));
        let mut bytes: Vec<u8> = Vec::new();
        let mut valid = Vec::new();
        let mut views: Vec<u128> = Vec::new();
        for symbol in column {
            let symbol = symbol.and_then(Symbol::some);
            valid.push(symbol.is_some());
            views.push(symbol.map_or(0, |symbol| self.view(symbol, symbols, &mut bytes)));
        }
        let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
        let blocks: Vec<Buffer> = if bytes.is_empty() { vec![] } else { vec![bytes.into()] };
        Ok(Arc::new(StringViewArray::try_new(ScalarBuffer::from(views), blocks, nulls)?))
    }

    fn view(&mut self, symbol: Symbol, symbols: &Symbols, bytes: &mut Vec<u8>) -> u128 {
        let known = &mut self.views[symbol.index()];
        if known.0 != self.stamp {
            let text = symbols.text(symbol).as_bytes();
            let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            *known = (self.stamp, make_view(text, 0, offset));
            if text.len() > 12 {
                bytes.extend_from_slice(text);
            }
        }
        known.1
    }
}

/// The word of SQL for a category.
pub(super) fn category(category: Category) -> &'static str {
    match category {
        Category::Own => "self",
        Category::Gap => "gap",
        Category::Db => "db",
        Category::External => "external",
        Category::Lost => "lost",
        Category::Queue => "queue",
    }
}

/// The word of SQL for a kind of node.
pub(super) fn node_kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Service => "service",
        NodeKind::Db => "db",
        NodeKind::Topic => "topic",
        NodeKind::External => "external",
        NodeKind::User => "user",
        NodeKind::Unknown => "unknown",
    }
}

fn edge_kind(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Call => "call",
        EdgeKind::Db => "db",
        EdgeKind::Send => "send",
        EdgeKind::Receive => "receive",
        EdgeKind::External => "external",
        EdgeKind::Entry => "entry",
    }
}

pub(super) fn error_role(role: ErrorRole) -> &'static str {
    match role {
        ErrorRole::TimeoutOrigin => "timeout_origin",
        ErrorRole::PeerOrigin => "peer_origin",
        ErrorRole::Propagated => "propagated",
        ErrorRole::Origin => "origin",
        ErrorRole::Absorbed => "absorbed",
    }
}
