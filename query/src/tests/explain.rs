//! What the plan does with an attribute filter: pruning and row filters on promoted files, nothing
//! read where the key is absent, and the filter above the scan always kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::fixture::{Attributes, Row, Settings, Val, World};

const ON: Settings = Settings { pushdown: true, partitions: 1, batch_rows: 8192 };

fn rows(route: impl Fn(i64) -> Option<String>) -> Vec<Row> {
    (0..1000)
        .map(|number| {
            let route = route(number).map(|r| ("http.route".to_owned(), Val::Text(r)));
            let attributes: Attributes = route.into_iter().collect();
            Row { number, service: "shop".into(), attributes }
        })
        .collect()
}

pub(super) fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan.metrics().and_then(|m| m.sum_by_name(name)).map_or(0, |v| match v {
        MetricValue::PruningMetrics { pruning_metrics, .. } => pruning_metrics.pruned(),
        other => other.as_usize(),
    });
    own + plan.children().into_iter().map(|c| metric(c, name)).sum::<usize>()
}

async fn check(world: &World, sql: &str, plan_has: &[&str], rows: usize) -> Arc<dyn ExecutionPlan> {
    let (plan, batches) = world.run(sql, ON).await;
    let text = displayable(plan.as_ref()).indent(true).to_string();
    for part in plan_has {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), rows, "{text}");
    plan
}

#[tokio::test]
async fn a_promoted_file_is_pruned_by_pages_and_filtered_while_decoding() {
    let mut world = World::new();
    world.file(&rows(|n| Some(format!("/r{:04}", n))), &BTreeSet::from(["http.route"]), 500, 50);
    let sql = "SELECT duration_ns FROM spans WHERE attributes['http.route'] = '/r0777'";
    let plan = check(&world, sql, &["FilterExec", "pruning_predicate", "@a.http.route:s"], 1).await;
    assert_eq!(metric(&plan, "row_groups_pruned_statistics"), 1);
    assert!(metric(&plan, "page_index_rows_pruned") >= 400);
    assert!(metric(&plan, "pushdown_rows_pruned") >= 40);
    let sql = "SELECT duration_ns FROM spans WHERE http_route = '/r0777'";
    let plan = check(&world, sql, &["FilterExec", "pruning_predicate"], 1).await;
    assert_eq!(metric(&plan, "row_groups_pruned_statistics"), 1);
}

#[tokio::test]
async fn a_file_without_the_key_is_not_opened() {
    let mut world = World::new();
    world.file(&rows(|_| None), &BTreeSet::new(), 500, 50);
    for filter in [
        "attributes['http.route'] = '/a'",
        "attributes['nobody']::bigint >= 5",
        "http_route = '/a'",
    ] {
        let sql = format!("SELECT duration_ns FROM spans WHERE {filter}");
        check(&world, &sql, &["files=none"], 0).await;
    }
}

#[tokio::test]
async fn a_residual_key_is_filtered_while_decoding() {
    let mut world = World::new();
    world.file(&rows(|n| Some(format!("/r{:04}", n))), &BTreeSet::new(), 500, 50);
    let sql = "SELECT duration_ns FROM spans WHERE attributes['http.route'] = '/r0777'";
    let plan = check(&world, sql, &["FilterExec"], 1).await;
    assert_eq!(metric(&plan, "pushdown_rows_pruned"), 999);
}

#[tokio::test]
async fn hex_ids_are_understood() {
    let mut world = World::new();
    world.file(&rows(|_| None), &BTreeSet::new(), 500, 50);
    world.live(&rows(|_| None), &BTreeSet::new());
    let id = "0000000000000005";
    let trace = "00000000000000000000000000000001";
    for (filter, hits) in [
        (format!("span_id = '{id}'"), 2),
        (format!("'{id}' = span_id"), 2),
        (format!("span_id IN ('{id}', '0000000000000006')"), 4),
        (format!("span_id <> '{id}'"), 1998),
        (format!("trace_id = '{trace}'"), 6),
        ("span_id::text LIKE '%0005'".to_owned(), 2),
        ("span_id LIKE '%0005'".to_owned(), 2),
        (format!("parent_span_id = '{id}'"), 0),
    ] {
        check(&world, &format!("SELECT duration_ns FROM spans WHERE {filter}"), &[], hits).await;
    }
}
