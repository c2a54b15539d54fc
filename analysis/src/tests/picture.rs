//! Traces as pictures: one span a line, `id parent kind service from-to key=value …`, times in
//! milliseconds. Kinds are V server, L client, I internal, P producer, C consumer, U unspecified; a
//! parent `-` is none. Ids are texts of at most 8 characters and compare as such.
//!
//! Keys: `name`, `inst`, `clock`, `db`, `ns`, `msg`, `dest`, `op`, `addr` (with port), `peer`,
//! `peeraddr`, `host`, `etype`, `http`, `rpc`, `resend`, `stmt`, `hash`, `link` (an id of this trace,
//! `id@n` of trace n), and `err` or `ok` for the status.

use std::fmt::Write as _;

use crate::facts::TraceFacts;
use crate::{
    Kernel, Kind, Link, Options, Piece, PieceKind, Span, SpanFacts, Status, Symbol, Symbols,
};

pub(super) const MS: i64 = 1_000_000;

/// The trace that pictures show.
pub(super) const TRACE: u128 = 1;

/// A trace as the kernel takes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) ids: Vec<String>,
    pub(super) spans: Vec<Span>,
    pub(super) links: Vec<Link>,
}

/// The id that a text stands for.
pub(super) fn id(text: &str) -> u64 {
    assert!(text.len() <= 8, "{text} is too long for an id");
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    u64::from_be_bytes(bytes)
}

impl Picture {
    pub(super) fn read(text: &str, symbols: &mut Symbols) -> Picture {
        let mut picture = Picture::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            picture.read_line(line, symbols);
        }
        picture
    }

    fn read_line(&mut self, line: &str, symbols: &mut Symbols) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [own, parent, kind, service, times, keys @ ..] = words.as_slice() else {
            panic!("{line:?} is no span");
        };
        // The first character may be a sign.
        let dash = times[1..].find('-').unwrap() + 1;
        let (from, to) = (&times[..dash], &times[dash + 1..]);
        let (from, to): (i64, i64) = (from.parse().unwrap(), to.parse().unwrap());
        let mut span = Span {
            span_id: id(own),
            parent_id: if *parent == "-" { 0 } else { id(parent) },
            start_ns: from * MS,
            duration_ns: (to - from) * MS,
            kind: kind_of(kind),
            service: symbols.intern(service),
            name: symbols.intern(own),
            links_from: self.links.len() as u32,
            ..Span::default()
        };
        for key in keys {
            self.read_key(key, &mut span, symbols);
        }
        span.links_len = self.links.len() as u32 - span.links_from;
        self.ids.push((*own).to_owned());
        self.spans.push(span);
    }

    fn read_key(&mut self, key: &str, span: &mut Span, symbols: &mut Symbols) {
        let (key, value) = key.split_once('=').unwrap_or((key, ""));
        let number = || value.parse::<u32>().unwrap();
        let target = &mut span.target;
        match key {
            "err" => span.status = Status::Error,
            "ok" => span.status = Status::Ok,
            "hash" => span.row_hash = u64::from(number()),
            "name" => span.name = symbols.intern(value),
            "inst" => span.instance = symbols.intern(value),
            "clock" => span.clock = symbols.intern(value),
            "db" => target.db_system = symbols.intern(value),
            "ns" => target.db_namespace = symbols.intern(value),
            "msg" => target.messaging_system = symbols.intern(value),
            "dest" => target.messaging_destination = symbols.intern(value),
            "op" => target.messaging_operation = symbols.intern(value),
            "peer" => target.peer_service = symbols.intern(value),
            "peeraddr" => target.peer_address = symbols.intern(value),
            "host" => target.url_host = symbols.intern(value),
            "etype" => target.error_type = symbols.intern(value),
            "rpc" => target.rpc_status = symbols.intern(value),
            "stmt" => target.statement = symbols.intern(value),
            "http" => target.http_status = number(),
            "resend" => target.resend_count = number(),
            "addr" => {
                let (address, port) = value.split_once(':').unwrap_or((value, "0"));
                target.server_address = symbols.intern(address);
                target.server_port = port.parse().unwrap();
            }
            "link" => {
                let (span, trace) = value.split_once('@').unwrap_or((value, "1"));
                self.links.push(Link { trace_id: trace.parse().unwrap(), span_id: id(span) });
            }
            _ => panic!("{key} is no key of a picture"),
        }
    }
}

fn kind_of(text: &str) -> Kind {
    match text {
        "V" => Kind::Server,
        "L" => Kind::Client,
        "I" => Kind::Internal,
        "P" => Kind::Producer,
        "C" => Kind::Consumer,
        "U" => Kind::Unspecified,
        _ => panic!("{text} is no kind"),
    }
}

/// A picture after a run.
pub(super) struct Ran {
    pub(super) kernel: Kernel,
    pub(super) picture: Picture,
    pub(super) trace: TraceFacts,
}

/// Runs the kernel over a picture.
pub(super) fn run(text: &str) -> Ran {
    run_with(text, Options::default(), |_| {})
}

/// The same, strict: no overlap is forgiven.
pub(super) fn run_strict(text: &str) -> Ran {
    run_with(text, Options { tolerance_share: 0.0, ..Options::default() }, |_| {})
}

/// The same with options, and tables set in between.
pub(super) fn run_with(text: &str, options: Options, set: impl FnOnce(&mut Kernel)) -> Ran {
    let mut kernel = Kernel::new(options);
    let picture = Picture::read(text, kernel.symbols_mut());
    set(&mut kernel);
    let trace = kernel.run(TRACE, &picture.spans, &picture.links);
    Ran { kernel, picture, trace }
}

impl Ran {
    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.kernel.symbols().text(symbol)
    }

    /// One value of every row, in order of the picture: `id value, id value`.
    pub(super) fn each(&self, show: impl Fn(&SpanFacts) -> String) -> String {
        let values = self.picture.ids.iter().zip(self.kernel.facts());
        let shown: Vec<String> = values.map(|(id, f)| format!("{id} {}", show(f))).collect();
        shown.join(", ")
    }

    /// The same in milliseconds.
    pub(super) fn each_ms(&self, value: impl Fn(&SpanFacts) -> i64) -> String {
        self.each(|facts| ms(value(facts)))
    }

    /// Ids of the rows for which something holds, in order of the picture.
    pub(super) fn ids_with(&self, holds: impl Fn(&SpanFacts) -> bool) -> String {
        let rows = self.picture.ids.iter().zip(self.kernel.facts());
        let ids: Vec<&str> = rows.filter(|(_, f)| holds(f)).map(|(id, _)| id.as_str()).collect();
        ids.join(" ")
    }

    /// The id of a row, `-` for none.
    pub(super) fn id_at(&self, index: Option<u32>) -> &str {
        index.map_or("-", |index| self.picture.ids[index as usize].as_str())
    }

    /// Pieces as `id from-to`, segments parted by `|`.
    pub(super) fn path(&mut self) -> String {
        let pieces = self.kernel.critical_path(&self.picture.spans);
        self.show(&pieces)
    }

    pub(super) fn show(&self, pieces: &[Piece]) -> String {
        let mut text = String::new();
        let mut segment = None;
        for piece in pieces {
            if let Some(segment) = segment {
                text += if segment == piece.segment { ", " } else { " | " };
            }
            segment = Some(piece.segment);
            let id = &self.picture.ids[piece.span as usize];
            let queue = if piece.kind == PieceKind::Queue { "queue " } else { "" };
            let (from, to) = (ms(piece.from_ns), ms(piece.to_ns));
            write!(text, "{queue}{id} {from}-{to}").unwrap();
        }
        text
    }

    /// Edges of all rows: `source→target kind calls …`, one a line, in order of the picture.
    pub(super) fn edges(&self) -> String {
        let facts = self.kernel.facts();
        let shown: Vec<String> =
            facts.iter().filter_map(|facts| facts.edge).map(|edge| self.edge(&edge)).collect();
        shown.join("\n")
    }

    fn edge(&self, edge: &crate::Edge) -> String {
        let mut text =
            format!("{}→{} {:?}", self.text(edge.source), self.text(edge.target), edge.kind);
        for (name, value) in
            [("client", edge.client_ns), ("server", edge.server_ns), ("gap", edge.gap_ns)]
        {
            if let Some(value) = value {
                write!(text, " {name} {}", ms(value)).unwrap();
            }
        }
        if edge.calls != 1 {
            write!(text, " calls {}", edge.calls).unwrap();
        }
        if !edge.via.is_none() {
            write!(text, " via {}", self.text(edge.via)).unwrap();
        }
        for (name, is_set) in [
            ("inferred", edge.is_inferred),
            ("lost", edge.is_lost),
            ("client-error", edge.client_error),
            ("server-error", edge.server_error),
        ] {
            if is_set {
                write!(text, " {name}").unwrap();
            }
        }
        text
    }
}

/// Nanoseconds as milliseconds, without a fraction where there is none.
pub(super) fn ms(ns: i64) -> String {
    if ns % MS == 0 { (ns / MS).to_string() } else { format!("{:.3}", ns as f64 / MS as f64) }
}
