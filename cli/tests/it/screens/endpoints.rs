//! Each endpoint finds what is true of the shop.

use std::collections::BTreeMap;

use testkit::shop::{Edge, TraceTruth, USER};

use super::*;

mod explorer;

fn hex(id: [u8; 16]) -> String {
    schemas::ids::hex(&id)
}

#[test]
fn endpoints_tell_the_truth() {
    let filled = Filled::with(Fault::ErrorsAt);
    services_and_operations(&filled);
    breakdown_adds_up(&filled);
    tail_names_its_bands(&filled);
    map_has_every_edge(&filled);
    traces_are_found_and_sorted(&filled);
    a_trace_has_its_logs_and_path(&filled);
    errors_begin_where_they_do(&filled);
    heatmap_counts_every_root(&filled);
    correlation_reaches_all_signals(&filled);
    what_differs_is_found(&filled);
    wrong_questions_are_refused(&filled);
    explorer::explorer(&filled);
}

fn services_and_operations(filled: &Filled) {
    let services =
        filled.ask(Services { from: filled.from(), to: filled.to(), ..Services::default() });
    assert_eq!(services.range, TimeRange { from: filled.from(), to: filled.to() });
    assert!(services.basis.sql[0].starts_with("SELECT service_name"), "{:?}", services.basis.sql);
    assert_eq!(services.basis.stats.rows, services.rows.len() as u64);
    let spans: u64 = services.rows.iter().map(|row| row.spans).sum();
    assert_eq!(spans, filled.shop.truth.spans);
    let payment = services.rows.iter().find(|row| row.service_name == "payment").unwrap();
    let edge = filled.shop.truth.edges[&Edge { from: "order", to: "payment" }];
    assert_eq!((payment.requests, payment.errors), (edge.calls, edge.server_errors));
    let seconds = (filled.options.minutes * 60 + 60) as f64;
    assert!((payment.per_second - edge.calls as f64 / seconds).abs() < 1e-9);
    assert!(payment.error_trace.is_some() && payment.p99_ms > payment.p50_ms);

    let operations = filled.ask(Operations {
        service: Some("payment".into()),
        from: filled.from(),
        to: filled.to(),
        ..Operations::default()
    });
    let calls: u64 = operations.rows.iter().map(|row| row.calls).sum();
    assert_eq!(calls, payment.spans);
}

fn breakdown_adds_up(filled: &Filled) {
    let (root, sums) = filled.shop.truth.roots.iter().max_by_key(|(_, sums)| sums.traces).unwrap();
    let answer = filled.ask(Breakdown {
        from: filled.from(),
        to: filled.to(),
        root: Some(format!("{} {}", root.service, root.name)),
        ..Breakdown::default()
    });
    let found: BTreeMap<&str, u64> =
        answer.rows.iter().map(|row| (row.key.as_str(), row.sum_ns as u64)).collect();
    let expected: BTreeMap<&str, u64> =
        sums.path_ns_by_node.iter().map(|(node, ns)| (*node, *ns)).collect();
    assert_eq!(found, expected);
    let shares: f64 = answer.rows.iter().filter_map(|row| row.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    assert_eq!(answer.basis.sql.len(), 2, "{:?}", answer.basis.sql);
    let again = filled.server.sql(&answer.basis.sql[0]);
    assert_eq!(again.len(), answer.rows.len());
    assert!(!filled.server.sql(&answer.basis.sql[1]).is_empty());
}

fn tail_names_its_bands(filled: &Filled) {
    let tail = |quantile| Tail {
        from: filled.from(),
        to: filled.to(),
        root: Some(filled.busiest()),
        quantile: Some(quantile),
        ..Tail::default()
    };
    match filled.try_ask(&tail(0.9), &Options::default()) {
        Ok(answer) => assert!(answer.rows.iter().all(|row| row.n_tail > 0)),
        Err(ClientError::Refused(problem)) => assert_eq!(problem.code, "invalid"),
        Err(error) => panic!("{error}"),
    }
    let refused = filled.try_ask(&tail(0.5), &Options::default()).unwrap_err();
    assert!(refused.to_string().contains("0.5 is none of"), "{refused}");
}

fn map_has_every_edge(filled: &Filled) {
    let answer = filled.ask(Map { from: filled.from(), to: filled.to(), ..Map::default() });
    let found: BTreeMap<(&str, &str), (u64, u64)> = answer
        .rows
        .iter()
        .map(|row| ((row.src.as_str(), row.dst.as_str()), (row.calls, row.client_errors)))
        .collect();
    let expected: BTreeMap<(&str, &str), (u64, u64)> = filled
        .shop
        .truth
        .edges
        .iter()
        .map(|(edge, sums)| ((edge.from, edge.to), (sums.calls, sums.client_errors)))
        .collect();
    assert_eq!(found, expected);
    assert!(answer.rows.iter().any(|row| row.src == USER && row.src_kind == "user"));
}

fn traces_are_found_and_sorted(filled: &Filled) {
    let traces = |sort: &str, filter: Option<&str>, trace_filter: Option<&str>| Traces {
        from: filled.from(),
        to: filled.to(),
        sort: Some(sort.into()),
        filter: filter.map(str::to_owned),
        trace_filter: trace_filter.map(str::to_owned),
        ..Traces::default()
    };
    let truth = &filled.shop.truth.traces;
    let slowest = truth.iter().max_by_key(|trace| trace.duration_ns).unwrap();
    let answer = filled.ask(traces("slowest", None, None));
    assert_eq!(answer.rows.len(), truth.len().min(100));
    assert!(answer.basis.stats.truncated || truth.len() <= 100);
    assert_eq!(answer.rows[0].trace_id, hex(slowest.trace_id));
    assert_eq!(answer.rows[0].duration_ns, i64::try_from(slowest.duration_ns).ok());

    let failed: Vec<&TraceTruth> = truth.iter().filter(|trace| trace.is_error).collect();
    let only = |filter, trace_filter| {
        let all = Options { limit: Some(10_000), ..Options::default() };
        filled.try_ask(&traces("oldest", filter, trace_filter), &all).unwrap().rows
    };
    let expected: Vec<String> = failed.iter().map(|trace| hex(trace.trace_id)).collect();
    let found =
        |rows: Vec<TraceRow>| -> Vec<String> { rows.into_iter().map(|row| row.trace_id).collect() };
    assert!(!expected.is_empty());
    assert_eq!(found(only(None, Some("is_error"))), expected);
    assert_eq!(found(only(Some("is_root AND is_error"), None)), expected);
    assert_eq!(found(only(Some("service_name = 'nobody'"), None)), [""; 0]);
}

fn a_trace_has_its_logs_and_path(filled: &Filled) {
    let slowest = filled.shop.truth.traces.iter().max_by_key(|trace| trace.duration_ns).unwrap();
    let answer = filled.ask(Trace { trace_id: Some(hex(slowest.trace_id).to_uppercase()) });
    let root = &answer.spans[0];
    assert_eq!(root.duration_ns, i64::try_from(slowest.duration_ns).unwrap());
    assert_eq!((root.depth, root.is_main), (Some(0), Some(true)));
    assert!(root.attributes.as_ref().unwrap().is_object());
    assert!(!answer.logs.is_empty());
    assert!(answer.logs.iter().all(|log| log.trace_id == Some(hex(slowest.trace_id))));
    let path_ns: i64 = answer
        .critical_path
        .iter()
        .filter(|piece| piece.segment_id == root.span_id)
        .map(|piece| piece.to_ns - piece.from_ns)
        .sum();
    assert_eq!(path_ns, root.duration_ns);
    let none = filled.ask(Trace { trace_id: Some("0".repeat(31) + "1") });
    assert!(none.spans.is_empty() && none.logs.is_empty() && none.critical_path.is_empty());
}

fn errors_begin_where_they_do(filled: &Filled) {
    let answer = filled.ask(Errors { from: filled.from(), to: filled.to(), ..Errors::default() });
    let payment: u64 =
        answer.rows.iter().filter(|row| row.origin == "payment").map(|row| row.count).sum();
    let truth = filled.shop.truth.errors[&ErrorOrigin::Service("payment")];
    assert_eq!(payment, truth.count);
    assert!(answer.rows.iter().all(|row| row.exemplar_trace.is_some()));
}

fn heatmap_counts_every_root(filled: &Filled) {
    let answer = filled.ask(Heatmap { from: filled.from(), to: filled.to(), ..Heatmap::default() });
    let count: u64 = answer.cells.iter().map(|cell| cell.count).sum();
    let errors: u64 = answer.cells.iter().map(|cell| cell.errors).sum();
    let truth = &filled.shop.truth.traces;
    assert_eq!(count, truth.len() as u64);
    assert_eq!(errors, truth.iter().filter(|trace| trace.is_error).count() as u64);
    assert_eq!(answer.column_ns, 10_000_000_000);
    for cell in &answer.cells {
        assert!(cell.from_ns < cell.to_ns && cell.slowest_trace.is_some(), "{cell:?}");
        assert_eq!(cell.error_trace.is_some(), cell.errors > 0, "{cell:?}");
        let slowest =
            truth.iter().find(|trace| Some(hex(trace.trace_id)) == cell.slowest_trace).unwrap();
        let duration_ns = i64::try_from(slowest.duration_ns).unwrap();
        assert!((cell.from_ns..cell.to_ns).contains(&duration_ns), "{cell:?}: {duration_ns}");
    }
}

fn correlation_reaches_all_signals(filled: &Filled) {
    // A customer whose request an exemplar points to: then all three signals have something.
    let linked = "select attributes['correlation.id'] as id, count(*) as n from spans \
                  where trace_id in (select trace_id from metric_exemplars) group by 1 order by n desc, id";
    let id = filled.server.sql(linked)[0]["id"].as_str().unwrap().to_owned();
    let answer = filled.ask(Correlation { value: Some(id.clone()), ..Correlation::default() });
    let count = |sql: String| filled.server.sql(&sql)[0]["n"].as_u64().unwrap() as usize;
    let spans = count(format!(
        "select count(*) as n from spans where attributes['correlation.id'] = '{id}'"
    ));
    let logs = count(format!(
        "select count(*) as n from logs where attributes['correlation.id'] = '{id}'"
    ));
    assert!(spans > 0 && logs > 0);
    assert_eq!((answer.spans.len(), answer.logs.len()), (spans, logs));
    assert!(answer.logs.iter().all(|log| log.carries));
    assert!(!answer.exemplars.is_empty());
    for exemplar in &answer.exemplars {
        assert!(!exemplar.carries && exemplar.value.is_some());
        assert!(answer.spans.iter().any(|span| Some(&span.span_id) == exemplar.span_id.as_ref()));
    }
    // By its trace: the same spans, found without the attribute.
    let by_trace = filled.ask(Correlation {
        value: Some(answer.spans[0].trace_id.clone()),
        keys: Some("session.id".into()),
        ..Correlation::default()
    });
    assert_eq!(by_trace.keys, ["session.id"]);
    assert!(by_trace.spans.iter().all(|span| span.trace_id == answer.spans[0].trace_id));
    assert!(!by_trace.spans.is_empty() && !by_trace.logs.is_empty());
    let nobody = Correlation { value: Some("a/'b".into()), ..Correlation::default() };
    assert!(filled.ask(nobody).spans.is_empty());
}

fn what_differs_is_found(filled: &Filled) {
    let (from, to) = (filled.from(), filled.to());
    let failed = "service_name = 'payment' AND kind = 'server' AND is_error";
    let compared = filled.ask(Compare {
        selection: Some(failed.into()),
        from: from.clone(),
        to: to.clone(),
        ..Compare::default()
    });
    let status = compared.rows.iter().find(|row| row.attribute.contains("status")).unwrap();
    assert!(status.share_sel > status.share_base && status.exemplar_trace.is_some(), "{status:?}");
    assert!(compared.rows.is_sorted_by(|a, b| a.score >= b.score || a.attribute == b.attribute));

    let causes = filled.ask(Causes {
        fault_from: Some(time(filled.options.fault_from_ns())),
        fault_to: to.clone(),
        base_from: from.clone(),
        ..Causes::default()
    });
    assert_eq!(causes.base.to, causes.fault.from, "the base ends where the fault begins");
    assert_eq!(causes.rows[0].rank, 1);
    assert!(causes.rows.iter().any(|row| row.subject == "payment" && row.e2 > Some(0.0)));
    assert!(causes.rows.iter().all(|row| row.subject.starts_with("payment")), "{:?}", causes.rows);

    let question = Bottlenecks { from: from.clone(), to: to.clone(), ..Bottlenecks::default() };
    for row in filled.ask(question).rows {
        assert!(row.evidence.is_some(), "{row:?}");
        filled.server.sql(&row.sql.unwrap());
    }

    let slow = "is_root AND duration_ns > 1e8";
    let sets = filled.ask(CohortDiff {
        selection_a: Some("is_root AND duration_ns <= 1e8".into()),
        selection_b: Some(slow.into()),
        from,
        to,
    });
    assert!(sets.rows.iter().any(|row| row.dcritical_ms > Some(0.0) && row.lo_ms.is_some()));
    let mut by_duration = filled.shop.truth.traces.clone();
    by_duration.sort_by_key(|trace| trace.duration_ns);
    let (fast, slow) = (by_duration.first().unwrap(), by_duration.last().unwrap());
    let pair = filled
        .ask(TraceDiff { trace_id: Some(hex(fast.trace_id)), other: Some(hex(slow.trace_id)) });
    assert!(pair.rows.iter().any(|row| row.dcount != Some(0.0)), "{:?}", pair.rows);
}

/// What `GET path` says: status, and code, message and hint.
fn refusal(filled: &Filled, path: &str) -> String {
    block_on(async {
        let answer = Client::new(&filled.server.url()).unwrap().get(path).await.unwrap();
        let status = answer.status;
        match answer.problem().await {
            ClientError::Refused(problem) => format!(
                "{status} {} {} ({})",
                problem.code,
                problem.message,
                problem.hint.unwrap_or_default()
            ),
            other => format!("{status} {other}"),
        }
    })
}

fn wrong_questions_are_refused(filled: &Filled) {
    for (path, expected) in [
        (
            "services?form=1h",
            "400 unknown_parameter /api/v1/services takes no form (did you mean from?)",
        ),
        ("services?from=1h&to=2h", "400 invalid the range is empty"),
        ("traces?sort=slowst", "400 invalid sort: `slowst` is no order (did you mean slowest?)"),
        ("traces?filter=a)%20OR%20(b", "400 syntax `)` closes nothing"),
        ("traces?filter=no_such_column%3D1", "400 unknown_column"),
        ("traces/xyz", "400 invalid `xyz` is no trace id (32 hex digits are needed)"),
        ("compare", "400 invalid selection is needed"),
        ("heatmap?columns=0", "400 invalid columns: 0 is not from 1 to 1000"),
        ("map?limit=many", "400 invalid limit: `many` is no whole number"),
    ] {
        let found = refusal(filled, &format!("/api/v1/{path}"));
        assert!(found.starts_with(expected), "{path}: {found}");
    }
    for endpoint in ENDPOINTS {
        let path = endpoint
            .path
            .replace("{trace_id}", "x")
            .replace("{other}", "x")
            .replace("{value}", "x");
        let found = refusal(filled, &format!("{path}?nonsense=1"));
        assert!(found.starts_with("400 unknown_parameter"), "{path}: {found}");
    }
}
