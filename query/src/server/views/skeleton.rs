//! A trace as columns, and some of its spans in full.

use std::collections::HashMap;

use api::sql::SqlRequest;
use api::time;
use api::views::{
    List, NO_PARENT, SPAN_KINDS, Skeleton, SkeletonAnswer, SkeletonColumns, SpanDetails, TimeRange,
    TraceSpan, span_flags,
};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_select::take::take;
use futures::StreamExt;
use schemas::columns as c;
use schemas::ids;

use super::questions::{needed, trace_id};
use super::{Answers, Asking, add};
use crate::QueryError;

/// Spans of a skeleton: as JSON about 57 bytes each, and an answer has 64 MiB at most.
const SPANS_MAX: usize = 1_100_000;
/// Spans of which details are given at once.
const DETAILS_MAX: usize = 500;

impl Answers for Skeleton {
    async fn answer(self, asking: &mut Asking) -> Result<SkeletonAnswer, QueryError> {
        let id = trace_id(needed(c::TRACE_ID, self.trace_id)?)?;
        let batches = asking.batches(sql(&id)).await?;
        let mut answer = SkeletonAnswer::default();
        if let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) {
            let lists = Lists::new(batch)?;
            let spans = lists.order.len();
            if spans > SPANS_MAX {
                let message =
                    format!("the trace has {spans} spans, of which {SPANS_MAX} are shown");
                return Err(QueryError::limit(message).with_hint("ask SQL for a part of it"));
            }
            (answer.start, answer.columns) = columns(&lists)?;
            asking.basis.stats.rows = spans as u64;
        }
        answer.basis = std::mem::take(&mut asking.basis);
        Ok(answer)
    }
}

impl Asking {
    /// The rows of a statement as Arrow.
    async fn batches(&mut self, sql: String) -> Result<Vec<RecordBatch>, QueryError> {
        if self.options.sql == Some(true) {
            self.basis.sql.push(sql.clone());
        }
        let timeout_s = self.options.timeout_s;
        let request = SqlRequest { sql, timeout_s, ..SqlRequest::default() };
        let mut running = self.engine.sql(request).await?;
        let mut batches = Vec::new();
        while let Some(batch) = running.next().await {
            batches.push(batch?);
        }
        add(&mut self.basis.stats, running.stats());
        Ok(batches)
    }
}

/// One row: each column of the skeleton as a list, all in the same order. A list of lists is no longer
/// than a trace, where rows have a limit. Fifteen lists that are sorted here would be sorted each, and
/// hold the keys as often.
fn sql(id: &str) -> String {
    let bit = |condition: &str, bit: u16| format!("CASE WHEN {condition} THEN {bit} ELSE 0 END");
    let flags = [
        bit("is_error", span_flags::ERROR),
        bit("error_role IN ('origin', 'peer_origin', 'timeout_origin')", span_flags::ORIGIN),
        bit("segment_id = span_id AND NOT is_main", span_flags::ASYNC),
        bit("is_orphan", span_flags::ORPHAN),
        bit("peer_kind IN ('db', 'topic', 'external')", span_flags::INFERRED),
        bit("skew_ns <> 0", span_flags::SKEWED),
        bit("is_retry", span_flags::RETRY),
        bit("is_fatal", span_flags::FATAL),
    ];
    let kinds = SPAN_KINDS.iter().enumerate().map(|(n, kind)| format!("WHEN '{kind}' THEN {n}"));
    let kinds = kinds.collect::<Vec<_>>().join(" ");
    let list = |column: &str| format!("array_agg({column}) AS {column}");
    let lists: Vec<String> = LISTS.iter().map(|column| list(column)).collect();
    format!(
        "SELECT {} FROM (SELECT tree_left, tree_right, depth, \
         epoch_ns(start_time) + coalesce(skew_ns, 0) AS start_ns, duration_ns, \
         coalesce(self_ns, 0) AS self_ns, coalesce(gap_ns, 0) AS gap_ns, \
         coalesce(critical_ns, 0) AS critical_ns, cast({} AS bigint) AS flags, \
         cast(CASE kind {kinds} ELSE 0 END AS bigint) AS kind, name, service_name, peer, span_id, \
         parent_span_id \
         FROM spans WHERE trace_id = '{id}' AND NOT coalesce(is_duplicate, FALSE))",
        lists.join(", "),
        flags.join(" + ")
    )
}

const LISTS: [&str; 15] = [
    "tree_left",
    "tree_right",
    "depth",
    "start_ns",
    c::DURATION_NS,
    "self_ns",
    "gap_ns",
    "critical_ns",
    c::FLAGS,
    c::KIND,
    c::NAME,
    c::SERVICE_NAME,
    "peer",
    c::SPAN_ID,
    c::PARENT_SPAN_ID,
];

/// The lists of the one row, in pre-order.
struct Lists<'a> {
    batch: &'a RecordBatch,
    /// Places in the lists, as they follow each other.
    order: UInt32Array,
    walk: Walk,
}

impl Lists<'_> {
    fn new(batch: &RecordBatch) -> Result<Lists<'_>, QueryError> {
        let order = UInt32Array::from(Vec::<u32>::new());
        let mut lists = Lists { batch, order, walk: Walk::default() };
        let count = lists.unordered("tree_left")?.len();
        lists.order = (0..count as u32).collect::<Vec<_>>().into();
        let (left, start_ns) = (lists.numbers("tree_left")?, lists.all("start_ns")?);
        let span_ids = lists.list(c::SPAN_ID)?;
        let span_ids = span_ids.as_fixed_size_binary();
        if left.iter().all(Option::is_none) {
            let parents = lists.list(c::PARENT_SPAN_ID)?;
            let parents: Vec<_> = parents.as_fixed_size_binary().iter().collect();
            let ids: Vec<_> = span_ids.iter().map(Option::unwrap_or_default).collect();
            let (order, walk) = by_parents(&ids, &parents, &start_ns);
            return Ok(Lists { order: order.into(), walk, ..lists });
        }
        // Spans without a place in the tree come last.
        let key = |at: u32| {
            let row = at as usize;
            (left[row].unwrap_or(i64::MAX), start_ns[row], span_ids.value(row))
        };
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by(|a, b| key(*a).cmp(&key(*b)));
        lists.order = order.into();
        lists.walk = Walk {
            left: lists.numbers("tree_left")?,
            right: lists.numbers("tree_right")?,
            depth: lists.all("depth")?,
        };
        Ok(lists)
    }

    /// A list; empty where there was nothing to aggregate.
    fn list(&self, name: &str) -> Result<ArrayRef, QueryError> {
        let list = self.unordered(name)?;
        take(&list, &self.order, None).map_err(|e| QueryError::internal(e.to_string()))
    }

    fn unordered(&self, name: &str) -> Result<ArrayRef, QueryError> {
        let column = self.batch.column_by_name(name);
        let list = column.and_then(|column| column.as_list_opt::<i32>());
        let missing = || QueryError::internal(format!("the skeleton has no list {name}"));
        list.map(|list| list.value(0)).ok_or_else(missing)
    }

    fn numbers(&self, name: &str) -> Result<Vec<Option<i64>>, QueryError> {
        let list = self.list(name)?;
        let numbers = list.as_primitive_opt::<Int64Type>();
        let wrong = || QueryError::internal(format!("{name} of the skeleton has no numbers"));
        numbers.map(|numbers| numbers.iter().collect()).ok_or_else(wrong)
    }

    fn all(&self, name: &str) -> Result<Vec<i64>, QueryError> {
        Ok(self.numbers(name)?.into_iter().map(|number| number.unwrap_or(0)).collect())
    }
}

/// Places in a walk over the tree, row by row: of the span, of the last one below it, and its depth.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Walk {
    pub(super) left: Vec<Option<i64>>,
    pub(super) right: Vec<Option<i64>>,
    pub(super) depth: Vec<i64>,
}

/// The order of a walk over a trace that the kernel could not take in, by the ids of parents alone:
/// earlier siblings first. Spans of a cycle stand below the earliest of them.
pub(super) fn by_parents(
    ids: &[&[u8]],
    parents: &[Option<&[u8]>],
    start_ns: &[i64],
) -> (Vec<u32>, Walk) {
    let mut by_start: Vec<u32> = (0..ids.len() as u32).collect();
    by_start.sort_by_key(|row| (start_ns[*row as usize], ids[*row as usize]));
    let row_of: HashMap<&[u8], u32> = ids.iter().copied().zip(0..).collect();
    let parent_of = |row: u32| {
        let parent = parents[row as usize].and_then(|id| row_of.get(id)).copied();
        parent.filter(|parent| *parent != row)
    };
    let (mut first, mut next) = (vec![NO_PARENT; ids.len()], vec![NO_PARENT; ids.len()]);
    for &row in by_start.iter().rev() {
        if let Some(parent) = parent_of(row) {
            next[row as usize] = std::mem::replace(&mut first[parent as usize], row);
        }
    }
    let mut order: Vec<u32> = Vec::with_capacity(ids.len());
    let mut walk = Walk::default();
    let mut is_seen = vec![false; ids.len()];
    let roots = by_start.iter().filter(|row| parent_of(**row).is_none());
    for &root in roots.chain(&by_start) {
        // Places of the spans above, and the child of each that comes next.
        let mut open: Vec<(usize, u32)> = Vec::new();
        let mut come = root;
        loop {
            if come != NO_PARENT && !std::mem::replace(&mut is_seen[come as usize], true) {
                open.push((order.len(), first[come as usize]));
                walk.left.push(Some(order.len() as i64));
                walk.right.push(None);
                walk.depth.push(open.len() as i64 - 1);
                order.push(come);
            }
            let Some((place, child)) = open.last_mut() else { break };
            come = *child;
            if come == NO_PARENT {
                walk.right[*place] = Some(order.len() as i64 - 1);
                open.pop();
            } else {
                *child = next[come as usize];
            }
        }
    }
    (order, walk)
}

/// Start and columns of the skeleton.
fn columns(lists: &Lists<'_>) -> Result<(Option<String>, SkeletonColumns), QueryError> {
    let starts_ns = lists.all("start_ns")?;
    let Some(start_ns) = starts_ns.iter().min().copied() else {
        return Ok((None, SkeletonColumns::default()));
    };
    let (parent, subtree_end) = tree(&lists.walk.left, &lists.walk.right);
    let mut names = Interned::default();
    let mut services = Interned::default();
    let small = |numbers: Vec<i64>| numbers.into_iter().map(|number| number as u16).collect();
    let span_ids = lists.list(c::SPAN_ID)?;
    let columns = SkeletonColumns {
        parent,
        subtree_end,
        depth: small(lists.walk.depth.clone()),
        start_ns: starts_ns.iter().map(|at_ns| at_ns - start_ns).collect(),
        duration_ns: lists.all(c::DURATION_NS)?,
        self_ns: lists.all("self_ns")?,
        gap_ns: lists.all("gap_ns")?,
        critical_ns: lists.all("critical_ns")?,
        flags: small(lists.all(c::FLAGS)?),
        kind: lists.all(c::KIND)?.into_iter().map(|kind| kind as u8).collect(),
        name: names.column(&lists.list(c::NAME)?),
        service: services.column(&lists.list(c::SERVICE_NAME)?),
        peer: services.column(&lists.list("peer")?),
        span_id: span_ids.as_fixed_size_binary().iter().flatten().map(ids::hex).collect(),
        names: names.texts,
        services: services.texts,
    };
    Ok((Some(time::format(start_ns)), columns))
}

/// Parents and ends of subtrees of rows in pre-order. Rows without a place in the tree stand alone.
pub(super) fn tree(left: &[Option<i64>], right: &[Option<i64>]) -> (Vec<u32>, Vec<u32>) {
    let mut parents = Vec::with_capacity(left.len());
    let mut ends: Vec<u32> = (1..=left.len() as u32).collect();
    let mut open: Vec<(usize, i64)> = Vec::new();
    for (row, place) in left.iter().enumerate() {
        let ends_before = |last: i64| place.is_none_or(|place| last < place);
        while open.last().is_some_and(|(_, last)| ends_before(*last)) {
            if let Some((closed, _)) = open.pop() {
                ends[closed] = row as u32;
            }
        }
        parents.push(open.last().map_or(NO_PARENT, |(parent, _)| *parent as u32));
        if let (Some(place), Some(last)) = (place, right.get(row).copied().flatten())
            && last > *place
        {
            open.push((row, last));
        }
    }
    open.into_iter().for_each(|(row, _)| ends[row] = left.len() as u32);
    (parents, ends)
}

/// Texts, each once.
#[derive(Default)]
struct Interned {
    texts: Vec<String>,
    places: HashMap<String, u32>,
}

impl Interned {
    fn column(&mut self, list: &ArrayRef) -> Vec<u32> {
        let Some(texts) = list.as_string_view_opt() else { return vec![NO_PARENT; list.len()] };
        texts.iter().map(|text| text.map_or(NO_PARENT, |text| self.place(text))).collect()
    }

    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

impl Answers for SpanDetails {
    async fn answer(self, asking: &mut Asking) -> Result<List<TraceSpan>, QueryError> {
        let id = trace_id(needed(c::TRACE_ID, self.trace_id)?)?;
        let asked = needed("ids", self.ids)?;
        let spans: Vec<&str> =
            asked.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
        if spans.is_empty() || spans.len() > DETAILS_MAX {
            let message = format!("ids: {} are not from 1 to {DETAILS_MAX}", spans.len());
            return Err(QueryError::invalid(message));
        }
        let span = |text: &&str| {
            let id = ids::parse_hex::<8>(text.to_lowercase().as_bytes()).map(|id| ids::hex(&id));
            let wrong = || QueryError::invalid(format!("ids: `{text}` is no span id"));
            id.map(|id| format!("'{id}'")).ok_or_else(wrong)
        };
        let spans: Result<Vec<String>, QueryError> = spans.iter().map(span).collect();
        let sql = format!("SELECT * FROM trace('{id}') WHERE span_id IN ({})", spans?.join(", "));
        let rows = asking.rows(sql, None).await?;
        Ok(asking.list(rows, TimeRange::default()))
    }
}
