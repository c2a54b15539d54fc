//! `rank_causes(fault_from, fault_to, base_from, base_to)`: what changed most between two windows,
//! with the evidence, and a sentence why.

use std::collections::{BTreeMap, BTreeSet};

use analysis::NodeKind;
use analysis::causes::{
    Cause, CauseInput, Change, Component, Firing, Measured, Place, Subject, SubjectKind, Window,
    rank_causes,
};
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use schemas::Kind;

use super::args::Range;
use super::bottlenecks::{Pool, pools};
use super::rows::{Rows, ints, numbers, texts, trace_ids};
use super::{Built, Fold, View};

pub(super) const CAUSES: View = View {
    name: "rank_causes",
    usage: "fault_from, fault_to, base_from, base_to",
    columns: || {
        use Kind::{Float64, Id16, Int64, Text};
        vec![
            ("rank", Int64),
            ("subject", Text),
            ("kind", Text),
            ("charged_to", Text),
            ("score", Float64),
            ("e1", Float64),
            ("e2", Float64),
            ("e3", Float64),
            ("e4", Float64),
            ("path_ms", Float64),
            ("why", Text),
            ("exemplar_trace", Id16),
        ]
    },
    build: |args| {
        let (fault, base) = (args.range()?, args.range()?);
        if fault.from.is_none() || (base.from.is_none() && base.to.is_none()) {
            return Err(args.wrong(
                "two windows are needed, such as '-5m', NULL, '-20m', '-5m': when something was \
                 wrong, and when nothing was",
            ));
        }
        Ok(Built::folded(sql(&fault, &base), move || Ranking::new(fault, base)))
    },
};

/// Time of a span that its category says it spent: own work, the gap to its server, or the wait.
const SPENT: &str = "CASE category WHEN 'self' THEN self_ns WHEN 'gap' THEN coalesce(gap_ns, 0) ELSE duration_ns END";

/// What a database is asked: one slow statement would drown among the others.
const STATEMENT: &str = "CASE peer_kind WHEN 'db' THEN coalesce(db_summary, name) ELSE '' END";

/// One row a window and component, for components of four kinds.
fn sql(fault: &Range, base: &Range) -> String {
    let (in_fault, in_base) = (fault.of_roots(), base.of_roots());
    let whole = Range {
        from: match (fault.from, base.from) {
            (Some(a), Some(b)) => Some(a.min(b)),
            _ => None,
        },
        to: match (fault.to, base.to) {
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        },
    };
    format!(
        "SELECT fault, own, service, operation, instance, version, callee, callee_kind, \
         count(*), sum(spent), sum(critical_ns), \
         count(*) FILTER (WHERE error_role IN ('origin', 'peer_origin', 'timeout_origin')), \
         sample(trace_id, spent), count(*) FILTER (WHERE is_root), \
         exemplars(trace_id, spent, is_error)[1], min(epoch_ns(start_time)), \
         grouping(operation), grouping(instance), grouping(version), \
         min(epoch_ns(root_start)), max(epoch_ns(root_start)), statement \
         FROM (SELECT {in_fault} AS fault, category = 'self' AS own, service_name AS service, \
         name AS operation, coalesce(resource['service.instance.id'], '') AS instance, \
         coalesce(resource['service.version'], '') AS version, coalesce(peer, '') AS callee, \
         coalesce(peer_kind, '') AS callee_kind, {STATEMENT} AS statement, {SPENT} AS spent, \
         critical_ns, error_role, \
         trace_id, is_root, is_error, start_time, root_start FROM spans \
         WHERE {} AND (({in_fault}) OR ({in_base})) AND NOT is_duplicate) \
         GROUP BY GROUPING SETS ((fault, own, service, operation), \
         (fault, own, service, operation, instance), (fault, own, service, operation, version), \
         (fault, own, service, callee, callee_kind, statement)) \
         UNION ALL {} UNION ALL {}",
        whole.of_roots(),
        pools_of("TRUE", fault),
        pools_of("FALSE", base)
    )
}

/// Pools of a window as rows of the same columns: points, full ones, most used, size, most waiting.
fn pools_of(is_fault: &str, range: &Range) -> String {
    format!(
        "SELECT {is_fault}, FALSE, subject, peer, '', '', '', '', n1, n2, n3, n4, NULL, n5, NULL, \
         NULL, {POOL}, 0, 0, NULL, NULL, '' FROM ({})",
        pools(range)
    )
}

/// Where other rows say how they were grouped.
const POOL: i64 = 2;

/// Components by place, and what the windows hold.
struct Ranking {
    /// The fault window and the base window as asked for.
    ranges: [Range; 2],
    /// The first and last root in each.
    seen: [Option<(i64, i64)>; 2],
    input: CauseInput,
    places: BTreeMap<Place, (Measured, Measured)>,
    /// By name of the subject: a trace of the fault window that shows it, and its time.
    exemplars: BTreeMap<String, (i64, u128)>,
    /// By service and pool: what was saturated in the fault window, and whether in the base window.
    pools: BTreeMap<(String, String), (Option<String>, bool)>,
    /// Versions and instances of a service: first seen in the fault window, and whether in the base.
    parts: BTreeMap<(String, Subject), (Option<i64>, bool)>,
}

impl Ranking {
    fn new(fault: Range, base: Range) -> Ranking {
        Ranking {
            ranges: [fault, base],
            seen: [None; 2],
            input: CauseInput {
                fault: Window::default(),
                base: Window::default(),
                components: Vec::new(),
                firings: Vec::new(),
                changes: Vec::new(),
            },
            places: BTreeMap::new(),
            exemplars: BTreeMap::new(),
            pools: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    fn row(&mut self, rows: &Rows, row: usize) {
        let (is_fault, is_own) = (rows.bool(0, row), rows.bool(1, row));
        if rows.int(16, row) == Some(POOL) {
            return self.pool(is_fault, rows, row);
        }
        self.see(is_fault, rows.int(19, row), rows.int(20, row));
        let text = |column: usize| rows.text(column, row).to_owned();
        let (service, operation) = (text(2), text(3));
        let is_set = |column: usize| rows.int(column, row) == Some(0);
        let part = |kind, column| Subject::new(kind, text(column));
        let place = match (is_set(16), is_set(17), is_set(18)) {
            (false, ..) if is_own => return,
            (false, ..) => Place::Edge {
                caller: service.clone(),
                callee: text(6),
                callee_kind: node_kind(rows.text(7, row)),
                operation: text(21),
            },
            _ if !is_own => return,
            (true, true, _) => Place::Part { subject: part(SubjectKind::Instance, 4), operation },
            (true, _, true) => {
                let subject = Subject::new(SubjectKind::Version, format!("{service} {}", text(5)));
                Place::Part { subject, operation }
            }
            _ => {
                let window = if is_fault { &mut self.input.fault } else { &mut self.input.base };
                window.requests += count(rows, 13, row);
                Place::Own { service: service.clone(), operation }
            }
        };
        if let Place::Part { subject, .. } = &place {
            if text(4).is_empty() && text(5).is_empty() {
                return;
            }
            let seen = self.parts.entry((service, subject.clone())).or_default();
            match is_fault {
                true => seen.0 = [seen.0, rows.int(15, row)].into_iter().flatten().min(),
                false => seen.1 = true,
            }
        }
        if is_fault {
            self.example(&place, rows.int(9, row).unwrap_or(0), rows.trace_id(14, row));
        }
        let measured = Measured {
            calls: count(rows, 8, row),
            sum_ns: rows.int(9, row).unwrap_or(0),
            path_ns: rows.int(10, row).unwrap_or(0),
            errors: count(rows, 11, row),
            sample_ns: rows.list(12, row),
        };
        let windows = self.places.entry(place).or_default();
        *(if is_fault { &mut windows.0 } else { &mut windows.1 }) = measured;
    }

    fn pool(&mut self, is_fault: bool, rows: &Rows, row: usize) {
        let [points, full, used_max, size, pending_max] =
            [8, 9, 10, 11, 13].map(|column| rows.int(column, row).unwrap_or(0));
        let pool = Pool { points, full, used_max, size, pending_max };
        let Some(finding) = pool.saturation() else { return };
        let key = (rows.text(2, row).to_owned(), rows.text(3, row).to_owned());
        let fired = self.pools.entry(key).or_default();
        match is_fault {
            true => fired.0 = Some(finding.evidence),
            false => fired.1 = true,
        }
    }

    fn firings(&mut self) -> Vec<Firing> {
        let pools = std::mem::take(&mut self.pools).into_iter();
        pools
            .filter_map(|((service, pool), (evidence, in_base))| {
                let subject = Subject::new(SubjectKind::Service, service);
                let evidence = format!("pool {pool} {}", evidence?);
                Some(Firing { subject, in_base, evidence })
            })
            .collect()
    }

    fn see(&mut self, is_fault: bool, first: Option<i64>, last: Option<i64>) {
        let (Some(first), Some(last)) = (first, last) else { return };
        let seen = &mut self.seen[usize::from(!is_fault)];
        *seen = Some(seen.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
    }

    /// Where a window is open it reaches to the edge of the data, so that rates are right.
    fn set_windows(&mut self) {
        let windows = [&mut self.input.fault, &mut self.input.base];
        for ((window, range), seen) in windows.into_iter().zip(self.ranges).zip(self.seen) {
            let (first, last) = seen.unwrap_or_default();
            window.from_ns = range.from.unwrap_or(first);
            window.to_ns = range.to.unwrap_or(last.saturating_add(1));
        }
    }

    fn example(&mut self, place: &Place, sum_ns: i64, trace: u128) {
        let names = match place {
            Place::Own { service, .. } => vec![service.clone()],
            Place::Edge { caller, callee, .. } => {
                vec![Subject::edge(caller, callee).name, callee.clone()]
            }
            Place::Part { subject, .. } => vec![subject.name.clone()],
        };
        for name in names {
            let best = self.exemplars.entry(name).or_insert((sum_ns, trace));
            if (sum_ns, trace) > *best {
                *best = (sum_ns, trace);
            }
        }
    }

    /// Where several instances or versions of a service show the same, it is the service: they are
    /// left out, and chance does not put one of them before it.
    fn leave_out_shared_parts(&self, found: &mut Vec<Cause>) {
        let service = |subject: &Subject| {
            let part = self.parts.keys().find(|(_, part)| part == subject);
            part.map(|(service, _)| (service.clone(), subject.kind))
        };
        let strength = |cause: &Cause| {
            (cause.evidence.e1 / std::f64::consts::LN_10).max(cause.evidence.e2 / 0.5)
        };
        let mut strengths: BTreeMap<(String, SubjectKind), Vec<f64>> = BTreeMap::new();
        for cause in found.iter() {
            if let Some(part) = service(&cause.subject) {
                strengths.entry(part).or_default().push(strength(cause));
            }
        }
        let is_shared = |strengths: &Vec<f64>| {
            let mut sorted = strengths.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            matches!(sorted[..], [first, second, ..] if second >= first / 2.0)
        };
        found.retain(|cause| {
            let part = service(&cause.subject).and_then(|part| strengths.get(&part));
            !part.is_some_and(is_shared)
        });
    }

    /// Versions and instances that the base window does not know, of services that it knows.
    fn changes(&self) -> Vec<Change> {
        let known: BTreeSet<&str> =
            self.parts.iter().filter(|(_, seen)| seen.1).map(|((s, _), _)| s.as_str()).collect();
        let mut changes = Vec::new();
        for ((service, subject), (first, in_base)) in &self.parts {
            let Some(at_ns) = first.filter(|_| !in_base && known.contains(service.as_str())) else {
                continue;
            };
            let text = match subject.kind {
                SubjectKind::Version => format!("new version {}", subject.name),
                _ => format!("new instance {}", subject.name),
            };
            for subject in [subject.clone(), Subject::new(SubjectKind::Service, service.clone())] {
                changes.push(Change { subject, at_ns, text: text.clone() });
            }
        }
        changes
    }
}

impl Fold for Ranking {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        (0..rows.len()).for_each(|row| self.row(&rows, row));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ArrayRef>> {
        self.set_windows();
        self.input.changes = self.changes();
        self.input.firings = self.firings();
        let places = std::mem::take(&mut self.places);
        self.input.components = places
            .into_iter()
            .map(|(place, (fault, base))| Component { place, fault, base })
            .collect();
        let mut found = rank_causes(&self.input);
        self.leave_out_shared_parts(&mut found);
        shown(&found, &self.exemplars)
    }

    fn bytes(&self) -> usize {
        self.places.len() * 2 * (size_of::<Measured>() + 4_000)
    }
}

fn shown(found: &[Cause], exemplars: &BTreeMap<String, (i64, u128)>) -> Result<Vec<ArrayRef>> {
    let number = |of: fn(&Cause) -> f64| numbers(found.iter().map(|cause| Some(of(cause))));
    Ok(vec![
        ints((1..).take(found.len()).map(Some)),
        texts(found.iter().map(|cause| cause.subject.name.as_str())),
        texts(found.iter().map(|cause| kind(cause.subject.kind))),
        texts(found.iter().map(|cause| cause.charged_to.as_str())),
        number(|cause| cause.score),
        number(|cause| cause.evidence.e1),
        number(|cause| cause.evidence.e2),
        number(|cause| cause.evidence.e3),
        number(|cause| cause.evidence.e4),
        number(|cause| cause.path_ns as f64 / 1e6),
        texts(found.iter().map(|cause| cause.why.as_str())),
        trace_ids(found.iter().map(|c| exemplars.get(&c.subject.name).map_or(0, |e| e.1)))?,
    ])
}

fn count(rows: &Rows, column: usize, row: usize) -> u64 {
    rows.int(column, row).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn node_kind(word: &str) -> NodeKind {
    match word {
        "service" => NodeKind::Service,
        "db" => NodeKind::Db,
        "topic" => NodeKind::Topic,
        _ => NodeKind::External,
    }
}

/// The word of SQL for a kind of cause.
fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Service => "service",
        SubjectKind::Instance => "instance",
        SubjectKind::Edge => "edge",
        SubjectKind::Db => "db",
        SubjectKind::Topic => "topic",
        SubjectKind::External => "external",
        SubjectKind::Version => "version",
        SubjectKind::Attribute => "attribute",
        SubjectKind::Load => "load",
    }
}
