//! `rank_causes(fault_from, fault_to, base_from, base_to)`: what changed most between two windows,
//! with the evidence, and a sentence why.

use std::collections::{BTreeMap, BTreeSet};

use analysis::NodeKind;
use analysis::causes::{
    Calling, Cause, CauseInput, Change, Component, Counted, Firing, Manner, Measured, Place,
    Subject, SubjectKind, rank_causes,
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
            ("e5", Float64),
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

/// What is asked: one slow statement would drown among the others of its database.
const CALL: &str = "CASE peer_kind WHEN 'db' THEN coalesce(db_summary, name) ELSE name END";

/// An error that says that what the caller showed was not accepted.
const REFUSED: &str = "coalesce(http_status_code IN (401, 403), FALSE) \
    OR coalesce(upper(rpc_status) IN ('UNAUTHENTICATED', 'PERMISSION_DENIED', '16', '7'), FALSE)";

/// One row a window and component, for components of four kinds; and one for each way of calling.
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
    let within = format!("{} AND (({in_fault}) OR ({in_base}))", whole.of_roots());
    format!(
        "SELECT fault, own, service, operation, instance, version, callee, callee_kind, \
         count(*), sum(spent), sum(critical_ns), count(*) FILTER (WHERE began AND NOT refused), \
         sample(trace_id, spent), count(*) FILTER (WHERE is_root), \
         exemplars(trace_id, spent, is_error)[1], min(epoch_ns(start_time)), \
         grouping(operation), grouping(instance), grouping(version), \
         min(epoch_ns(root_start)), max(epoch_ns(root_start)), statement, \
         count(*) FILTER (WHERE began AND refused), count(*) FILTER (WHERE missed), parent, asked, \
         grouping(asked), min(pid), max(pid) \
         FROM (SELECT {in_fault} AS fault, category = 'self' AS own, service_name AS service, \
         name AS operation, coalesce(resource['service.instance.id'], '') AS instance, \
         coalesce(resource['service.version'], '') AS version, \
         resource['process.pid']::bigint AS pid, coalesce(peer, '') AS callee, \
         coalesce(peer_kind, '') AS callee_kind, coalesce(parent_name, '') AS parent, \
         {CALL} AS asked, CASE peer_kind WHEN 'db' THEN {CALL} ELSE '' END AS statement, \
         {SPENT} AS spent, {REFUSED} AS refused, attributes['cache.hit']::boolean = FALSE AS missed, \
         error_role IN ('origin', 'peer_origin', 'timeout_origin') AS began, \
         critical_ns, trace_id, is_root, is_error, start_time, root_start FROM spans \
         WHERE {within} AND is_duplicate IS NOT TRUE) \
         GROUP BY GROUPING SETS ((fault, own, service, operation), \
         (fault, own, service, operation, instance), (fault, own, service, operation, version), \
         (fault, own, service, callee, callee_kind, statement), \
         (fault, own, service, callee, callee_kind, parent, asked)) \
         UNION ALL {} UNION ALL {} UNION ALL {}",
        series_of(&in_fault, &within),
        pools_of("TRUE", fault),
        pools_of("FALSE", base)
    )
}

/// Calls in series as rows of the same columns: patterns, calls, Σ saving.
fn series_of(in_fault: &str, within: &str) -> String {
    format!(
        "SELECT {in_fault}, FALSE, service_name, name, '', '', '', '', count(*), sum(calls), \
         sum(saving_ns), 0, NULL, 0, NULL, NULL, {SERIES}, 0, 0, NULL, NULL, '', 0, 0, '', rule, 0, NULL, NULL \
         FROM call_patterns WHERE {within} GROUP BY {in_fault}, service_name, name, rule"
    )
}

/// Pools of a window as rows of the same columns: points, full ones, most used, size, most waiting.
fn pools_of(is_fault: &str, range: &Range) -> String {
    format!(
        "SELECT {is_fault}, FALSE, subject, peer, '', '', '', '', n1, n2, n3, n4, NULL, n5, NULL, \
         NULL, {POOL}, 0, 0, NULL, NULL, '', 0, 0, '', '', 0, NULL, NULL FROM ({})",
        pools(range)
    )
}

/// Where other rows say how they were grouped.
const POOL: i64 = 2;
const SERIES: i64 = 3;

/// Components by place, and what the windows hold.
struct Ranking {
    /// The fault window and the base window as asked for.
    ranges: [Range; 2],
    /// The first and last root in each.
    seen: [Option<(i64, i64)>; 2],
    input: CauseInput,
    places: BTreeMap<Place, (Measured, Measured)>,
    /// By service, operation and manner: what it called. How often it ran follows from its place.
    callings: BTreeMap<(String, String, Manner), (Counted, Counted)>,
    /// By name of the subject: a trace of the fault window that shows it, and its time.
    exemplars: BTreeMap<String, (i64, u128)>,
    /// By service and pool: what was saturated in the fault window, and whether in the base window.
    pools: BTreeMap<(String, String), (Option<String>, bool)>,
    /// Versions and instances of a service.
    parts: BTreeMap<(String, Subject), Seen>,
}

/// When a version or an instance was seen, and in which processes.
#[derive(Default)]
struct Seen {
    /// Its first span in the fault window.
    first_ns: Option<i64>,
    in_base: bool,
    /// The least and the largest process id in the fault window and in the base window.
    pids: [Option<(i64, i64)>; 2],
}

impl Seen {
    fn see(&mut self, is_fault: bool, rows: &Rows, row: usize) {
        let widest = |a: Option<(i64, i64)>, b: (i64, i64)| {
            Some(a.map_or(b, |(least, largest)| (least.min(b.0), largest.max(b.1))))
        };
        if let Some(pids) = rows.int(27, row).zip(rows.int(28, row)) {
            let of = &mut self.pids[usize::from(!is_fault)];
            *of = widest(*of, pids);
        }
        match is_fault {
            true => {
                let first_ns = [self.first_ns, rows.int(15, row)];
                self.first_ns = first_ns.into_iter().flatten().min();
            }
            false => self.in_base = true,
        }
    }

    /// It was one process, and is another now, or was for a time. Where several processes share an
    /// instance's id nothing is known.
    fn is_restarted(&self) -> bool {
        match self.pids {
            [Some(now), Some((least, largest))] => least == largest && now != (least, largest),
            _ => false,
        }
    }
}

impl Ranking {
    fn new(fault: Range, base: Range) -> Ranking {
        Ranking {
            ranges: [fault, base],
            seen: [None; 2],
            input: CauseInput::default(),
            places: BTreeMap::new(),
            callings: BTreeMap::new(),
            exemplars: BTreeMap::new(),
            pools: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    fn row(&mut self, rows: &Rows, row: usize) {
        let is_fault = rows.bool(0, row);
        match rows.int(16, row) {
            Some(POOL) => self.pool(is_fault, rows, row),
            Some(SERIES) => self.series(is_fault, rows, row),
            _ => {
                self.see(is_fault, rows.int(19, row), rows.int(20, row));
                self.spans(is_fault, rows, row);
            }
        }
    }

    /// A row of the spans that have something in common.
    fn spans(&mut self, is_fault: bool, rows: &Rows, row: usize) {
        let is_set = |column: usize| rows.int(column, row) == Some(0);
        if is_set(26) {
            return self.repeats(is_fault, rows, row);
        }
        let Some(place) = self.place(is_fault, rows, row) else { return };
        if is_fault {
            self.example(&place, rows.int(9, row).unwrap_or(0), rows.trace_id(14, row));
        }
        let measured = Measured {
            calls: count(rows, 8, row),
            sum_ns: rows.int(9, row).unwrap_or(0),
            path_ns: rows.int(10, row).unwrap_or(0),
            errors: count(rows, 11, row),
            refusals: count(rows, 22, row),
            misses: count(rows, 23, row),
            sample_ns: rows.list(12, row),
        };
        let windows = self.places.entry(place).or_default();
        *(if is_fault { &mut windows.0 } else { &mut windows.1 }) = measured;
    }

    /// What the spans are, by how they were grouped; none where it is no component.
    fn place(&mut self, is_fault: bool, rows: &Rows, row: usize) -> Option<Place> {
        let is_own = rows.bool(1, row);
        let text = |column: usize| rows.text(column, row).to_owned();
        let is_set = |column: usize| rows.int(column, row) == Some(0);
        let (service, operation) = (text(2), text(3));
        if !is_set(16) {
            let (callee, callee_kind) = (text(6), node_kind(rows.text(7, row)));
            let operation = text(21);
            let edge = Place::Edge { caller: service, callee, callee_kind, operation };
            return (!is_own).then_some(edge);
        }
        if !is_own {
            return None;
        }
        let subject = match (is_set(17), is_set(18)) {
            (true, _) => Subject::new(SubjectKind::Instance, text(4)),
            (_, true) => Subject::new(SubjectKind::Version, format!("{service} {}", text(5))),
            _ => {
                let window = if is_fault { &mut self.input.fault } else { &mut self.input.base };
                window.requests += count(rows, 13, row);
                return Some(Place::Own { service, operation });
            }
        };
        if text(4).is_empty() && text(5).is_empty() {
            return None;
        }
        let key = (service.clone(), subject.clone());
        self.parts.entry(key).or_default().see(is_fault, rows, row);
        Some(Place::Part { service, subject, operation })
    }

    /// A call that an operation makes.
    fn repeats(&mut self, is_fault: bool, rows: &Rows, row: usize) {
        let text = |column: usize| rows.text(column, row).to_owned();
        let (callee, callee_kind, call) = (text(6), node_kind(rows.text(7, row)), text(25));
        if rows.bool(1, row) || callee.is_empty() {
            return;
        }
        let manner = Manner::Repeats { callee, callee_kind, call };
        let counted = Counted { calls: count(rows, 8, row), ..Counted::default() };
        self.counted(is_fault, (text(2), text(24), manner), counted);
    }

    /// Calls one after another.
    fn series(&mut self, is_fault: bool, rows: &Rows, row: usize) {
        let text = |column: usize| rows.text(column, row).to_owned();
        let counted = Counted {
            calls: count(rows, 9, row),
            saving_ns: rows.int(10, row).unwrap_or(0),
            ..Counted::default()
        };
        self.counted(is_fault, (text(2), text(3), Manner::InSeries { rule: text(25) }), counted);
    }

    fn counted(&mut self, is_fault: bool, key: (String, String, Manner), counted: Counted) {
        let windows = self.callings.entry(key).or_default();
        *(if is_fault { &mut windows.0 } else { &mut windows.1 }) = counted;
    }

    /// The ways of calling, each with how often its operation ran.
    fn callings(&mut self) -> Vec<Calling> {
        let callings = std::mem::take(&mut self.callings).into_iter();
        let calling = |((service, operation, manner), (fault, base))| {
            let place = Place::Own { service, operation };
            let (in_fault, in_base) = self.places.get(&place)?;
            let fault = Counted { runs: in_fault.calls, ..fault };
            let base = Counted { runs: in_base.calls, ..base };
            let Place::Own { service, operation } = place else { return None };
            Some(Calling { service, operation, manner, fault, base })
        };
        callings.filter_map(calling).collect()
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

    /// Versions and instances that the base window does not know, of services that it knows, and
    /// instances that were started again.
    fn changes(&self) -> Vec<Change> {
        let in_base = self.parts.iter().filter(|(_, seen)| seen.in_base);
        let known: BTreeSet<&str> = in_base.map(|((service, _), _)| service.as_str()).collect();
        let mut changes = Vec::new();
        for ((service, subject), seen) in &self.parts {
            let is_new = !seen.in_base && known.contains(service.as_str());
            let text = match subject.kind {
                SubjectKind::Version if is_new => format!("new version {}", subject.name),
                SubjectKind::Instance if is_new => format!("new instance {}", subject.name),
                SubjectKind::Instance if seen.is_restarted() => {
                    format!("{} was started again", subject.name)
                }
                _ => continue,
            };
            let Some(at_ns) = seen.first_ns else { continue };
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
        self.input.callings = self.callings();
        let places = std::mem::take(&mut self.places);
        self.input.components = places
            .into_iter()
            .map(|(place, (fault, base))| Component { place, fault, base })
            .collect();
        shown(&rank_causes(&self.input), &self.exemplars)
    }

    fn bytes(&self) -> usize {
        self.places.len() * 2 * (size_of::<Measured>() + 4_000)
            + self.callings.len() * (size_of::<(Manner, Counted, Counted)>() + 200)
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
        number(|cause| cause.evidence.e5),
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
