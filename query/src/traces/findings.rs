//! What the kernel finds inside traces: pieces of critical paths, origins of errors, patterns of
//! calls. Rows are gathered trace by trace and become columns at the end of a chunk.

use std::sync::Arc;

use analysis::{
    Category, ErrorRole, Kernel, PatternRule, PieceKind, Span, SpanFacts, Symbol, Symbols,
    TraceFacts,
};
use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, TimestampNanosecondArray};
use datafusion::common::Result;
use schemas::derived::{ERROR_FACTS, ErrorFact, PATH_FACTS, PATTERN_FACTS, PathFact, PatternFact};

use super::output::{Texts, category, error_role};

/// Names on a path that are shown; a longer one is cut in the middle.
const PATH_NAMES_MAX: usize = 24;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Pieces of critical paths; across messages when `end_to_end`.
    Paths { end_to_end: bool },
    /// Origins of errors.
    Errors,
    /// Patterns of calls.
    Patterns,
}

/// The rows found in a chunk.
#[derive(Debug, Default)]
pub(super) struct Findings {
    roots: Vec<Root>,
    rows: Vec<Row>,
}

/// What all findings of a trace share.
#[derive(Clone, Copy, Debug)]
struct Root {
    trace_id: u128,
    service: Symbol,
    name: Symbol,
    start_ns: Option<i64>,
}

#[derive(Debug)]
struct Row {
    root: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Piece(PieceRow),
    Error(ErrorRow),
    Pattern(PatternRow),
}

#[derive(Debug)]
struct PieceRow {
    seq: i64,
    span: Span,
    segment_id: u64,
    from_ns: i64,
    to_ns: i64,
    category: Category,
    charged_to: Symbol,
    is_main: bool,
}

#[derive(Debug)]
struct ErrorRow {
    span: Span,
    signature: u64,
    path: String,
    origin: String,
    role: ErrorRole,
    error_type: String,
    is_fatal: bool,
    cost_ns: i64,
}

#[derive(Debug)]
struct PatternRow {
    rule: PatternRule,
    parent: Span,
    peer: Symbol,
    first: Span,
    calls: i64,
    saving_ns: i64,
}

impl Findings {
    pub(super) fn clear(&mut self) {
        self.roots.clear();
        self.rows.clear();
    }

    /// Adds what is in the trace that the kernel has just run over.
    pub(super) fn add(
        &mut self,
        finding: Finding,
        trace_id: u128,
        trace: &TraceFacts,
        spans: &[Span],
        kernel: &mut Kernel,
    ) {
        let root = trace.root.and_then(|root| spans.get(root as usize));
        self.roots.push(Root {
            trace_id,
            service: root.map_or(Symbol::NONE, |s| s.service),
            name: root.map_or(Symbol::NONE, |s| s.name),
            start_ns: root.map(|s| s.start_ns),
        });
        let root = self.roots.len() - 1;
        let mut push = |what| self.rows.push(Row { root, what });
        match finding {
            Finding::Paths { end_to_end } => {
                pieces(end_to_end, spans, kernel).for_each(|row| push(What::Piece(row)));
            }
            Finding::Errors => {
                let paths = kernel.error_paths(spans);
                let (facts, symbols) = (kernel.facts(), kernel.symbols());
                for path in paths {
                    push(What::Error(error(&path, spans, facts, symbols)));
                }
            }
            Finding::Patterns => {
                for found in kernel.patterns(spans) {
                    push(What::Pattern(PatternRow {
                        rule: found.rule,
                        parent: spans[found.parent as usize],
                        peer: found.peer,
                        first: spans[found.first as usize],
                        calls: found.calls.into(),
                        saving_ns: found.saving_ns,
                    }));
                }
            }
        }
    }

    /// The columns of the finding's table, in its order.
    pub(super) fn columns(
        &self,
        finding: Finding,
        symbols: &Symbols,
        texts: &mut Texts,
    ) -> Result<Vec<ArrayRef>> {
        let mut columns = Columns { found: self, symbols, texts };
        match finding {
            Finding::Paths { .. } => PATH_FACTS.iter().map(|d| columns.path(d.fact)).collect(),
            Finding::Errors => ERROR_FACTS.iter().map(|d| columns.error(d.fact)).collect(),
            Finding::Patterns => PATTERN_FACTS.iter().map(|d| columns.pattern(d.fact)).collect(),
        }
    }
}

fn pieces<'k>(
    end_to_end: bool,
    spans: &'k [Span],
    kernel: &'k mut Kernel,
) -> impl Iterator<Item = PieceRow> + 'k {
    let pieces = if end_to_end { kernel.end_to_end(spans) } else { kernel.critical_path(spans) };
    let facts = kernel.facts();
    pieces.into_iter().enumerate().map(move |(seq, piece)| {
        let own = facts[piece.span as usize];
        // A wait in a queue is charged to the topic, which is the peer of the consumer.
        let (category, charged_to) = match piece.kind {
            PieceKind::Path => (own.category, own.charged_to),
            PieceKind::Queue => (Category::Queue, own.peer),
        };
        PieceRow {
            seq: seq as i64,
            span: spans[piece.span as usize],
            segment_id: spans[piece.segment as usize].span_id,
            from_ns: piece.from_ns,
            to_ns: piece.to_ns,
            category,
            charged_to,
            is_main: own.is_main,
        }
    })
}

fn error(
    path: &analysis::ErrorPath,
    spans: &[Span],
    facts: &[SpanFacts],
    symbols: &Symbols,
) -> ErrorRow {
    let (span, own) = (spans[path.origin as usize], facts[path.origin as usize]);
    let role = own.error_role.unwrap_or(ErrorRole::Origin);
    let service = symbols.text(span.service);
    let origin = match role {
        ErrorRole::TimeoutOrigin | ErrorRole::PeerOrigin if !own.peer.is_none() => {
            format!("{service} → {}", symbols.text(own.peer))
        }
        _ => service.to_owned(),
    };
    let status = [span.target.error_type, span.target.rpc_status]
        .into_iter()
        .find_map(Symbol::some)
        .map(|symbol| symbols.text(symbol).to_owned());
    let http = || (span.target.http_status > 0).then(|| span.target.http_status.to_string());
    ErrorRow {
        span,
        signature: path.signature,
        path: path_text(&path.spans, spans, symbols),
        origin,
        role,
        error_type: status.or_else(http).unwrap_or_default(),
        is_fatal: path.is_fatal,
        cost_ns: path.cost_ns,
    }
}

/// `gateway POST /orders → order POST /orders → …`
fn path_text(path: &[u32], spans: &[Span], symbols: &Symbols) -> String {
    let name = |&index: &u32| {
        let span = &spans[index as usize];
        format!("{} {}", symbols.text(span.service), symbols.text(span.name))
    };
    if path.len() <= PATH_NAMES_MAX {
        return path.iter().map(name).collect::<Vec<_>>().join(" → ");
    }
    let half = PATH_NAMES_MAX / 2;
    let head = path[..half].iter().map(name);
    let left_out = std::iter::once(format!("… {} more …", path.len() - 2 * half));
    let tail = path[path.len() - half..].iter().map(name);
    head.chain(left_out).chain(tail).collect::<Vec<_>>().join(" → ")
}

struct Columns<'a> {
    found: &'a Findings,
    symbols: &'a Symbols,
    texts: &'a mut Texts,
}

impl<'a> Columns<'a> {
    fn path(&mut self, fact: PathFact) -> Result<ArrayRef> {
        use PathFact as F;
        let piece = |row: &'a Row| match &row.what {
            What::Piece(piece) => Some(piece),
            _ => None,
        };
        let rows = || self.found.rows.iter().filter_map(piece);
        Ok(match fact {
            F::TraceId => self.trace_ids()?,
            F::RootService => self.root_text(|root| root.service)?,
            F::RootName => self.root_text(|root| root.name)?,
            F::RootStart => self.root_starts(),
            F::Seq => ints(rows().map(|r| r.seq)),
            F::SegmentId => ids(rows().map(|r| r.segment_id))?,
            F::SpanId => ids(rows().map(|r| r.span.span_id))?,
            F::ServiceName => {
                self.texts.array(self.symbols, rows().map(|r| Some(r.span.service)))?
            }
            F::Name => self.texts.array(self.symbols, rows().map(|r| Some(r.span.name)))?,
            F::FromNs => ints(rows().map(|r| r.from_ns)),
            F::ToNs => ints(rows().map(|r| r.to_ns)),
            F::Category => words(rows().map(|r| category(r.category))),
            F::ChargedTo => self.texts.array(self.symbols, rows().map(|r| Some(r.charged_to)))?,
            F::IsMain => bools(rows().map(|r| r.is_main)),
        })
    }

    fn error(&mut self, fact: ErrorFact) -> Result<ArrayRef> {
        use ErrorFact as F;
        let error = |row: &'a Row| match &row.what {
            What::Error(error) => Some(error),
            _ => None,
        };
        let rows = || self.found.rows.iter().filter_map(error);
        Ok(match fact {
            F::TraceId => self.trace_ids()?,
            F::RootService => self.root_text(|root| root.service)?,
            F::RootName => self.root_text(|root| root.name)?,
            F::RootStart => self.root_starts(),
            F::SpanId => ids(rows().map(|r| r.span.span_id))?,
            F::Signature => ids(rows().map(|r| r.signature))?,
            F::Path => words(rows().map(|r| r.path.as_str())),
            F::Origin => words(rows().map(|r| r.origin.as_str())),
            F::OriginKind => words(rows().map(|r| match r.role {
                ErrorRole::TimeoutOrigin | ErrorRole::PeerOrigin => "edge",
                _ => "service",
            })),
            F::ErrorRole => words(rows().map(|r| error_role(r.role))),
            F::ErrorType => words(rows().map(|r| r.error_type.as_str())),
            F::IsFatal => bools(rows().map(|r| r.is_fatal)),
            F::CostNs => ints(rows().map(|r| r.cost_ns)),
        })
    }

    fn pattern(&mut self, fact: PatternFact) -> Result<ArrayRef> {
        use PatternFact as F;
        let pattern = |row: &'a Row| match &row.what {
            What::Pattern(pattern) => Some(pattern),
            _ => None,
        };
        let rows = || self.found.rows.iter().filter_map(pattern);
        Ok(match fact {
            F::TraceId => self.trace_ids()?,
            F::RootService => self.root_text(|root| root.service)?,
            F::RootName => self.root_text(|root| root.name)?,
            F::RootStart => self.root_starts(),
            F::SpanId => ids(rows().map(|r| r.parent.span_id))?,
            F::Rule => words(rows().map(|r| match r.rule {
                PatternRule::NPlusOne => "n_plus_one",
                PatternRule::SerialFanout => "serial_fanout",
            })),
            F::ServiceName => {
                self.texts.array(self.symbols, rows().map(|r| Some(r.parent.service)))?
            }
            F::Name => self.texts.array(self.symbols, rows().map(|r| Some(r.parent.name)))?,
            F::Peer => self.texts.array(self.symbols, rows().map(|r| Some(r.peer)))?,
            F::CallName => self.texts.array(self.symbols, rows().map(|r| Some(r.first.name)))?,
            F::Calls => ints(rows().map(|r| r.calls)),
            F::SavingNs => ints(rows().map(|r| r.saving_ns)),
        })
    }

    fn roots(&self) -> impl Iterator<Item = &'a Root> {
        self.found.rows.iter().map(|row| &self.found.roots[row.root])
    }

    fn trace_ids(&self) -> Result<ArrayRef> {
        let mut ids = FixedSizeBinaryBuilder::with_capacity(self.found.rows.len(), 16);
        for root in self.roots() {
            ids.append_value(root.trace_id.to_be_bytes())?;
        }
        Ok(Arc::new(ids.finish()))
    }

    fn root_text(&mut self, of: fn(&Root) -> Symbol) -> Result<ArrayRef> {
        let roots = self.found.rows.iter().map(|row| Some(of(&self.found.roots[row.root])));
        self.texts.array(self.symbols, roots)
    }

    fn root_starts(&self) -> ArrayRef {
        Arc::new(self.roots().map(|root| root.start_ns).collect::<TimestampNanosecondArray>())
    }
}

fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<Int64Array>())
}

fn bools(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn ids(values: impl Iterator<Item = u64>) -> Result<ArrayRef> {
    let mut ids = FixedSizeBinaryBuilder::new(8);
    for id in values {
        ids.append_value(id.to_be_bytes())?;
    }
    Ok(Arc::new(ids.finish()))
}

/// Texts; empty ones are null.
fn words<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(|text| (!text.is_empty()).then_some(text)).collect::<StringViewArray>())
}
