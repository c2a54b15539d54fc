//! The rows of the answers. Ids are hex, times RFC 3339, lengths of time nanoseconds (`_ns`) or
//! milliseconds (`_ms`), shares from 0 to 1.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Basis, TimeRange};

rows! {
    /// What a period before held.
    Before {
        /// Requests or spans.
        calls: u64,
        /// Of these per second.
        per_second: f64,
        /// Of these in error.
        errors: u64,
        /// Errors by calls.
        error_share: Option<f64>,
        /// Median duration.
        p50_ms: Option<f64>,
        /// 95 % are as fast.
        p95_ms: Option<f64>,
        /// 99 % are as fast.
        p99_ms: Option<f64>,
    }
    /// The largest change against the period before; small ones and those of few calls are none.
    Change {
        /// `p99`, `errors` or `rate`.
        of: String,
        /// Before: milliseconds, a share, or per second.
        before: f64,
        /// Now.
        now: f64,
        /// Now by before; absent where there was nothing before.
        factor: Option<f64>,
        /// Start of a rise within the range, told against the rest of it: the period before is empty,
        /// or does not differ.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    }
    /// Columns of equal width, one value each.
    Trend {
        /// Requests or spans.
        calls: Vec<u64>,
        /// Of these in error.
        errors: Vec<u64>,
        /// 99 % are as fast; absent in a column without calls.
        p99_ms: Vec<Option<f64>>,
    }
    /// A service. A request is a span of kind server or consumer, or the root of a trace.
    ServiceRow {
        /// Name of the service.
        service_name: String,
        /// `service`, or of an inferred peer `db`, `topic` or `external`.
        #[serde(default)]
        kind: String,
        /// Requests.
        requests: u64,
        /// Requests per second of the range; of the time seen where it is open.
        per_second: f64,
        /// Requests in error.
        errors: u64,
        /// Errors by requests; absent without requests.
        error_share: Option<f64>,
        /// Median duration of requests.
        p50_ms: Option<f64>,
        /// 90 % are as fast.
        p90_ms: Option<f64>,
        /// 95 % are as fast.
        p95_ms: Option<f64>,
        /// 99 % are as fast.
        p99_ms: Option<f64>,
        /// Time by request in which none of its spans waited for a child.
        #[serde(default)]
        self_ms: Option<f64>,
        /// All spans, duplicates left out.
        spans: u64,
        /// Distinct instances; absent of a peer.
        #[serde(default)]
        instances: Option<u64>,
        /// Versions seen, 8 at most.
        #[serde(default, deserialize_with = "list")]
        versions: Vec<String>,
        /// Start of the earliest span.
        first_seen: String,
        /// Start of the latest span.
        last_seen: String,
        /// Trace of the slowest request.
        slowest_trace: Option<String>,
        /// Trace of the slowest request in error.
        error_trace: Option<String>,
        /// Trace of a usual request.
        median_trace: Option<String>,
        /// Rate by what p99 has grown, in ms/s; absent without a period before.
        #[serde(default)]
        impact: Option<f64>,
        /// The period before.
        #[serde(default)]
        before: Option<Before>,
        /// What changed most.
        #[serde(default)]
        change: Option<Change>,
        /// Over time, where it was asked for.
        #[serde(default)]
        trend: Option<Trend>,
    }
    /// An operation: the spans of one service, name and kind.
    OperationRow {
        /// Name of the service.
        service_name: String,
        /// Name of the spans.
        name: String,
        /// Kind of the spans.
        kind: String,
        /// Spans.
        calls: u64,
        /// Spans per second of the range; of the time seen where it is open.
        per_second: f64,
        /// Spans in error.
        errors: u64,
        /// Errors by spans.
        error_share: Option<f64>,
        /// Median duration.
        p50_ms: Option<f64>,
        /// 90 % are as fast.
        p90_ms: Option<f64>,
        /// 95 % are as fast.
        p95_ms: Option<f64>,
        /// 99 % are as fast.
        p99_ms: Option<f64>,
        /// Time by span in which it waited for no child.
        #[serde(default)]
        self_ms: Option<f64>,
        /// Start of the earliest span.
        first_seen: String,
        /// Start of the latest span.
        last_seen: String,
        /// Trace of the slowest span.
        slowest_trace: Option<String>,
        /// Trace of the slowest span in error.
        error_trace: Option<String>,
        /// Trace of a usual span.
        median_trace: Option<String>,
        /// Rate by what p99 has grown, in ms/s; absent without a period before.
        #[serde(default)]
        impact: Option<f64>,
        /// The period before.
        #[serde(default)]
        before: Option<Before>,
        /// What changed most.
        #[serde(default)]
        change: Option<Change>,
        /// Over time, where it was asked for.
        #[serde(default)]
        trend: Option<Trend>,
    }
    /// A group of path time.
    BreakdownRow {
        /// What the time is charged to; `∅` without the attribute.
        key: String,
        /// Path time in the mean trace.
        contrib_ms: f64,
        /// Of the duration of the mean trace; absent where several root operations are mixed unasked.
        share: Option<f64>,
        /// Share of traces with time in the group.
        presence: f64,
        /// Spans with path time by trace.
        calls: f64,
        /// Path time over all traces.
        sum_ns: f64,
        /// Duration of the mean trace.
        mean_ms: f64,
        /// Traces counted.
        traces: u64,
        /// `one` root operation, or `mixed`.
        roots: String,
        /// Trace with most time in the group.
        exemplar_trace: Option<String>,
    }
    /// What a group adds to slow traces.
    TailRow {
        /// As in a breakdown.
        key: String,
        /// Path time in the tail less that in the middle, by trace.
        delta_ms: f64,
        /// Of the whole difference.
        share: Option<f64>,
        /// The part that more calls explain.
        more_calls_ms: f64,
        /// The part that slower calls explain.
        slower_ms: f64,
        /// Low end of the 95 % interval of the difference.
        lo_ms: f64,
        /// High end of it.
        hi_ms: f64,
        /// What the middle is.
        band_mid: String,
        /// What the tail is.
        band_tail: String,
        /// Mean duration of traces of the middle.
        mean_mid_ms: f64,
        /// Mean duration of traces of the tail.
        mean_tail_ms: f64,
        /// Traces of the middle.
        n_mid: u64,
        /// Traces of the tail.
        n_tail: u64,
        /// Trace with most time in the group.
        exemplar_trace: Option<String>,
    }
    /// An edge of the map.
    EdgeRow {
        /// Caller.
        src: String,
        /// `service`, `topic`, `user`, `unknown`.
        src_kind: String,
        /// Callee.
        dst: String,
        /// `service`, `db`, `topic`, `external`.
        dst_kind: String,
        /// `call`, `db`, `send`, `receive`, `external`, `entry`.
        edge_kind: String,
        /// The caller's span is missing for some calls.
        inferred: bool,
        /// The callee is known by its address only.
        lost_context: bool,
        /// Address that was asked for where another service answered.
        via: Option<String>,
        /// Calls or messages.
        calls: u64,
        /// Calls per second of the range; of the time seen where it is open.
        per_second: f64,
        /// Spans by call that is no retry: 1 where nothing is tried again.
        attempts: f64,
        /// Calls that failed for the caller.
        client_errors: u64,
        /// Calls that failed in the callee.
        server_errors: u64,
        /// Median seen by the caller.
        client_p50_ms: Option<f64>,
        /// 90 % as seen by the caller.
        client_p90_ms: Option<f64>,
        /// 99 % as seen by the caller.
        client_p99_ms: Option<f64>,
        /// Median seen by the callee.
        server_p50_ms: Option<f64>,
        /// 90 % as seen by the callee.
        server_p90_ms: Option<f64>,
        /// 99 % as seen by the callee.
        server_p99_ms: Option<f64>,
        /// Median of what lies between both.
        gap_p50_ms: Option<f64>,
        /// 90 % of it.
        gap_p90_ms: Option<f64>,
        /// 99 % of it.
        gap_p99_ms: Option<f64>,
        /// Sum seen by the caller.
        client_sum_ns: Option<i64>,
        /// Sum seen by the callee.
        server_sum_ns: Option<i64>,
        /// Sum of what lies between both.
        gap_sum_ns: Option<i64>,
        /// Start of the earliest call.
        first_seen: String,
        /// Start of the latest call.
        last_seen: String,
        /// Trace of the slowest call.
        slowest_trace: Option<String>,
        /// Trace of the slowest call that failed.
        error_trace: Option<String>,
        /// Trace of a usual call.
        median_trace: Option<String>,
    }
    /// A trace in a list.
    TraceRow {
        /// Its id.
        trace_id: String,
        /// Service of the root; absent when the root did not arrive.
        root_service: Option<String>,
        /// Name of the root.
        root_name: Option<String>,
        /// Start of the root.
        start_time: Option<String>,
        /// Duration of the root.
        duration_ns: Option<i64>,
        /// Spans, duplicates left out.
        span_count: u64,
        /// Spans in error; absent, as all that the kernel says, of a trace beyond the memory of a query.
        error_count: Option<u64>,
        /// The root is in error.
        is_error: Option<bool>,
        /// Distinct services.
        service_count: Option<u64>,
        /// Longest way from the root to a leaf.
        depth: Option<u64>,
        /// Spans whose parent did not arrive.
        orphan_count: Option<u64>,
        /// Nothing is missing and nothing came for 30 s.
        trace_complete: Option<bool>,
        /// Node that most of the critical path is charged to, where it was asked for.
        #[serde(default)]
        top_node: Option<String>,
        /// Its share of the path.
        #[serde(default)]
        top_share: Option<f64>,
        /// Values of the columns asked for.
        #[serde(default)]
        columns: Vec<Option<String>>,
        /// What `after` takes to go on behind this row.
        #[serde(default)]
        cursor: String,
    }
    /// One trace.
    TraceAnswer {
        /// Spans in tree order, parents first.
        spans: Vec<TraceSpan>,
        /// Logs of the trace by time.
        logs: Vec<LogRow>,
        /// Pieces of the critical path by segment and time.
        critical_path: Vec<PathPiece>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A span with what the kernel says of it.
    TraceSpan {
        /// Id of the trace.
        trace_id: String,
        /// Id of the span.
        span_id: String,
        /// Id of the parent.
        parent_span_id: Option<String>,
        /// Start.
        start_time: String,
        /// Duration.
        duration_ns: i64,
        /// Name of the service.
        service_name: String,
        /// Name of the span.
        name: String,
        /// `server`, `client`, …
        kind: Option<String>,
        /// `unset`, `ok`, `error`.
        status_code: Option<String>,
        /// What the sender wrote to an error.
        status_message: Option<String>,
        /// Attributes; absent when there are none.
        #[serde(default, deserialize_with = "json")]
        attributes: Option<Value>,
        /// Attributes of the resource.
        #[serde(default, deserialize_with = "json")]
        resource: Option<Value>,
        /// Events.
        #[serde(default, deserialize_with = "list")]
        events: Vec<SpanEvent>,
        /// Links.
        #[serde(default, deserialize_with = "list")]
        links: Vec<SpanLink>,
        /// Steps to the root.
        depth: Option<u64>,
        /// Place in a walk of the trace.
        tree_left: Option<i64>,
        /// Last place below the span.
        tree_right: Option<i64>,
        /// First span of the piece of the trace that waits as one.
        segment_id: Option<String>,
        /// The span belongs to the segment of the root.
        is_main: Option<bool>,
        /// Time in which no child ran that the span waited for.
        self_ns: Option<i64>,
        /// Of a client: its duration less that of the server.
        gap_ns: Option<i64>,
        /// Time on the critical path.
        critical_ns: Option<i64>,
        /// What that time is.
        category: Option<String>,
        /// Node that it is charged to.
        charged_to: Option<String>,
        /// The other side.
        peer: Option<String>,
        /// `service`, `db`, `topic`, `external`.
        peer_kind: Option<String>,
        /// `origin`, `propagated`, …
        error_role: Option<String>,
        /// In error, by status or protocol.
        is_error: Option<bool>,
        /// In error with all above it.
        is_fatal: Option<bool>,
        /// The same call as one that failed before.
        is_retry: Option<bool>,
        /// Its parent did not arrive.
        is_orphan: Option<bool>,
        /// Another row is the same span.
        is_duplicate: Option<bool>,
        /// What the kernel added to the start to correct the clock.
        skew_ns: Option<i64>,
    }
    /// An event of a span.
    SpanEvent {
        /// When.
        time: String,
        /// Name.
        name: String,
        /// Attributes.
        #[serde(default, deserialize_with = "json")]
        attributes: Option<Value>,
    }
    /// A link of a span.
    SpanLink {
        /// Trace linked to.
        trace_id: Option<String>,
        /// Span linked to.
        span_id: Option<String>,
        /// Attributes.
        #[serde(default, deserialize_with = "json")]
        attributes: Option<Value>,
    }
    /// A log record.
    LogRow {
        /// When.
        time: String,
        /// Name of the service.
        service_name: String,
        /// 1 to 24.
        severity_number: Option<i64>,
        /// As sent.
        severity_text: Option<String>,
        /// The body; canonical JSON when it is no text.
        body: Option<String>,
        /// Name of the event.
        event_name: Option<String>,
        /// Its trace.
        trace_id: Option<String>,
        /// Its span.
        span_id: Option<String>,
        /// Attributes.
        #[serde(default, deserialize_with = "json")]
        attributes: Option<Value>,
    }
    /// A piece of a critical path.
    PathPiece {
        /// Place in the trace.
        seq: u64,
        /// First span of the segment.
        segment_id: String,
        /// Span that owns the piece.
        span_id: String,
        /// Its service.
        service_name: String,
        /// Its name.
        name: String,
        /// Begin, from the start of the segment.
        from_ns: i64,
        /// End.
        to_ns: i64,
        /// `self`, `gap`, `db`, `queue`, `external`, `lost`.
        category: String,
        /// Node that it is charged to.
        charged_to: Option<String>,
    }
    /// A way that errors take.
    ErrorRow {
        /// Stable hash of the path and the error's type.
        signature: String,
        /// Services and names from the first span to the origin.
        path: String,
        /// Service, or caller and callee where the call itself failed.
        origin: String,
        /// `service` or `edge`.
        origin_kind: String,
        /// `origin`, `peer_origin`, `timeout_origin`.
        error_role: Option<String>,
        /// `error.type` of the span, else its protocol's status.
        error_type: Option<String>,
        /// How often.
        count: u64,
        /// Share of which the request failed.
        fatal_share: f64,
        /// Path time of what failed, over all.
        cost_ms: Option<f64>,
        /// When first.
        first_seen: Option<String>,
        /// When last.
        last_seen: Option<String>,
        /// A trace with it.
        exemplar_trace: Option<String>,
    }
    /// A finding.
    BottleneckRow {
        /// Which rule found it.
        rule: String,
        /// Service, edge or operation.
        subject: String,
        /// How much it matters; larger is worse, comparable within a rule.
        score: Option<f64>,
        /// What a request would gain at most.
        saving_ms: Option<f64>,
        /// In words.
        evidence: Option<String>,
        /// A trace with it.
        exemplar_trace: Option<String>,
        /// The statement that shows the same.
        sql: Option<String>,
    }
    /// An attribute that differs.
    CompareRow {
        /// Its key.
        attribute: String,
        /// Its value, or a range of numbers.
        value: Option<String>,
        /// Share in the selection.
        share_sel: Option<f64>,
        /// Share in the baseline.
        share_base: Option<f64>,
        /// How many times more frequent in the selection.
        lift: Option<f64>,
        /// How well it tells both apart.
        score: Option<f64>,
        /// Expected share of false finds among those as strong.
        q_value: Option<f64>,
        /// Share of spans that have the attribute.
        coverage: Option<f64>,
        /// Spans of the selection.
        rows_sel: Option<u64>,
        /// Spans of the baseline.
        rows_base: Option<u64>,
        /// Median of a number in the selection.
        p50_sel: Option<f64>,
        /// Median of a number in the baseline.
        p50_base: Option<f64>,
        /// A trace of the selection with it.
        exemplar_trace: Option<String>,
    }
    /// A call path in which two traces, or the means of two sets of traces, differ.
    DiffRow {
        /// Services and names from the root.
        path: String,
        /// Steps to the root.
        depth: u64,
        /// `added`, `removed`, `changed`, `same`.
        status: String,
        /// Difference of the number of spans.
        dcount: Option<f64>,
        /// Difference of self time.
        dself_ms: Option<f64>,
        /// Difference of time on the critical path.
        dcritical_ms: Option<f64>,
        /// Low end of the 95 % interval of it; sets of traces only.
        #[serde(default)]
        lo_ms: Option<f64>,
        /// High end of it.
        #[serde(default)]
        hi_ms: Option<f64>,
        /// Traces of the first set.
        #[serde(default)]
        traces_a: Option<u64>,
        /// Traces of the second set.
        #[serde(default)]
        traces_b: Option<u64>,
    }
    /// The ranking of causes, and the times compared.
    CausesAnswer {
        /// The time in question.
        fault: TimeRange,
        /// The time compared with.
        base: TimeRange,
        /// Candidates, the likeliest first.
        rows: Vec<CauseRow>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A candidate.
    CauseRow {
        /// From 1.
        rank: u64,
        /// Service, edge or load.
        subject: String,
        /// What the subject is.
        kind: String,
        /// Node that its time is charged to.
        charged_to: Option<String>,
        /// Larger is likelier.
        score: Option<f64>,
        /// Latency: ln of how many times as long a call takes.
        e1: Option<f64>,
        /// Errors: how much their rate rose.
        e2: Option<f64>,
        /// Saturation: 1 where it is new.
        e3: Option<f64>,
        /// Change: 1 where a version or instance is new.
        e4: Option<f64>,
        /// Calls: ln of how many times as many, or as costly in series.
        e5: Option<f64>,
        /// What it adds to the path of the mean request.
        path_ms: Option<f64>,
        /// In words.
        why: Option<String>,
        /// A trace that shows it.
        exemplar_trace: Option<String>,
    }
    /// A heatmap: cells that hold something.
    HeatmapAnswer {
        /// What was asked about.
        range: TimeRange,
        /// Width of a column; columns are aligned to midnight UTC.
        column_ns: i64,
        /// Cells by time and duration.
        cells: Vec<HeatmapCell>,
        /// Columns by time, all durations together.
        columns: Vec<HeatmapColumn>,
        /// Where durations or errors were higher than before and, if they fell again, behind.
        change: Option<ChangePoint>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A cell.
    HeatmapCell {
        /// Start of the column.
        time: String,
        /// Number of the row: two an octave, 0 begins at 1 ns.
        bin: i64,
        /// Shortest duration of the row.
        from_ns: i64,
        /// Where the next row begins.
        to_ns: i64,
        /// Spans.
        count: u64,
        /// Spans in error.
        errors: u64,
        /// Trace of the slowest.
        slowest_trace: Option<String>,
        /// Trace of the slowest in error.
        error_trace: Option<String>,
        /// Trace of a usual one.
        median_trace: Option<String>,
    }
    /// A column of a heatmap.
    HeatmapColumn {
        /// Its start.
        time: String,
        /// Spans.
        count: u64,
        /// Spans in error.
        errors: u64,
        /// Median duration.
        p50_ms: Option<f64>,
        /// 95 % are as fast.
        p95_ms: Option<f64>,
        /// 99 % are as fast.
        p99_ms: Option<f64>,
    }
    /// A stretch of time that stands out.
    ChangePoint {
        /// Begin of its first column.
        from: String,
        /// End of its last one; that of the range where it goes on.
        to: String,
        /// `p95` or `errors`.
        of: String,
        /// Outside: milliseconds or a share.
        before: f64,
        /// Inside.
        inside: f64,
        /// Durations from here on are what is new; absent for errors.
        over_ns: Option<i64>,
    }
    /// Everything that carries a correlation id.
    CorrelationAnswer {
        /// The keys looked at.
        keys: Vec<String>,
        /// Spans by start.
        spans: Vec<CorrelatedSpan>,
        /// Logs by time.
        logs: Vec<CorrelatedLog>,
        /// Exemplars by time.
        exemplars: Vec<CorrelatedExemplar>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// A span that carries the id.
    CorrelatedSpan {
        /// Start.
        start_time: String,
        /// Duration.
        duration_ns: i64,
        /// Name of the service.
        service_name: String,
        /// Name of the span.
        name: String,
        /// `server`, `client`, …
        kind: Option<String>,
        /// `unset`, `ok`, `error`.
        status_code: Option<String>,
        /// Its trace.
        trace_id: String,
        /// Its id.
        span_id: String,
        /// Its parent.
        parent_span_id: Option<String>,
    }
    /// A log record that carries the id, or whose span does.
    CorrelatedLog {
        /// The record itself carries it.
        carries: bool,
        /// The record.
        #[serde(flatten)]
        log: LogRow,
    }
    /// An exemplar that carries the id, or whose span does.
    CorrelatedExemplar {
        /// The exemplar itself carries it.
        carries: bool,
        /// When.
        time: String,
        /// Metric.
        metric: String,
        /// Name of the service.
        service_name: String,
        /// The measurement.
        value: Option<f64>,
        /// Its trace.
        trace_id: Option<String>,
        /// Its span.
        span_id: Option<String>,
    }
}

/// Attributes as SQL gives them, canonical JSON in a text, or as the API does, an object.
pub(super) fn json<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        Some(Value::String(text)) => {
            Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
        other => other,
    })
}

/// A list that may be null.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
